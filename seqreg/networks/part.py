"""A part of a sum: the contract by which every other room deals with it.

A part computes F features of a sequence, which its head reads: one linear layer, or two with a ReLU in between. Parts
are trained, weighed, edited, certified, exported and explained through the members below and no others, so that a new
part is a file with a subclass, its tests, and its line in `seqreg.networks.sum`. The base class answers for the
simplest of parts; what a part cannot do it says in a sentence, `cannot`, which whoever asks for it is told.

Bounds hold for exactly what a class computes. A class whose members below prove something declares itself,
`class Mine(Part, proved=True)`; that is not inherited, for a subclass may compute anything.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.errors import UnknownLayerError, UsageError
from seqreg.networks.activations import ACTIVATIONS
from seqreg.networks.base import DEFAULT_PENALTY, SequenceNetwork

if TYPE_CHECKING:
    from seqreg.sequences import SequenceSet

Ability = Literal["edits", "gradients", "bounds", "graph"]
"""Scores of edited letters; gradients in letters; certificates; a graph of common operations, for export."""


class Profile(NamedTuple):
    """drop, up (B, C, R) >= 0: most that the score at window t of filter c falls or rises, offset o = i - t."""

    drop: Tensor
    up: Tensor


class Part(SequenceNetwork):
    """Logits (N, K) = head(features), the features (N, F) being those of letters, or of anything else.

    output, hidden: the head. head_only: whether nothing else is trained, so that the head, which is linear then, is
    solved for. dear: whether a look at letters that change takes so long that penalties on a sum leave the part out.
    solved_together: parts of a sum that are one such model have the same, which then is their kind. dense:
    whether few features are 0. reverse_complement: whether both strands are scored. default_penalty:
    of a part that is trained step by step, where nothing is said.
    """

    cannot: Mapping[Ability, str] = MappingProxyType({})
    dear: ClassVar[bool] = False
    solved_together: ClassVar[str | None] = None
    proved: ClassVar[bool] = False
    output: nn.Linear
    hidden: nn.Linear | None
    head_only: bool = False
    dense: bool = False
    reverse_complement: bool = False

    def __init_subclass__(cls, *, proved: bool = False) -> None:
        super().__init_subclass__()
        cls.proved = proved

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__(alphabet)
        self.hidden = None

    def demand(self, *abilities: Ability) -> None:
        """Raises UsageError with the sentence of what the part cannot do, UnknownLayerError where nothing is proved."""
        for ability in abilities:
            if ability in self.cannot:
                raise UsageError(self.cannot[ability])
            if ability == "bounds" and not self.proved:
                raise UnknownLayerError(f"what a {type(self).__name__} does to changed letters has no proved bound")

    # ---- what it computes

    @abstractmethod
    def features(self, ids: Tensor) -> Tensor:
        """(N, F) of ids (N, L)."""

    @abstractmethod
    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """(N, F) at x (N, A, L), which holds the one-hot of ids (N, L): differentiable in x."""

    @abstractmethod
    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(N, F) at any x (N, A, L) of sequences of these lengths (N,), full where None."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (N, K) from ids (N, L), or from one-hot x (N, A, L) with the sequences' `lengths` (N,)."""
        return self.classify(self.features(x) if x.dim() == 2 else self.dense_features(x, lengths))

    def forward_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Logits (N, K) at x (N, A, L), which must hold the one-hot of ids (N, L): fast, and differentiable in x."""
        return self.classify(self.features_at(x, ids))

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, K) from features (N, F)."""
        if self.hidden is not None:
            features = F.relu(self.hidden(features))
        return self.output(features)

    def parts_within(self) -> "list[Part]":
        """The parts whose logits add up to those of this one: itself, for any that is not a sum within a sum."""
        return [self]

    # ---- training, where the head is solved for or the part is trained step by step

    @property
    def outputs(self) -> int:
        """K."""
        return self.output.out_features

    @property
    def width(self) -> int:
        """F."""
        return self.head_layer.in_features

    @property
    def head_layer(self) -> nn.Linear:
        """The linear layer that reads the features."""
        return self.output if self.hidden is None else self.hidden

    @property
    def default_penalty(self) -> tuple[str, ...]:
        """Spec texts of PENALTIES."""
        return DEFAULT_PENALTY

    def prepare(self, train: "SequenceSet", seed: int) -> None:
        """Take from training sequences what is not learned step by step; nothing, for most parts."""

    def read(self, data: "SequenceSet", rows: NDArray[np.int64]) -> Tensor:
        """Features (n, F) of sequences of a set."""
        return self.features(self.ids_of(data, rows))

    def coordinates(self) -> NDArray[np.float64] | None:
        """(F, D) basis such that features @ basis are coordinates whose squares add up to the norm that is penalized.

        None where features are those themselves.
        """
        return None

    @torch.no_grad()
    def set_head(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
        """Make the head, which is linear, features @ weight.T + bias: weight (K, F), bias (K,)."""
        self.output.weight.copy_(torch.as_tensor(weight))
        self.output.bias.copy_(torch.as_tensor(bias))

    @torch.no_grad()
    def scale(self, factor: float) -> None:
        """Multiply the logits."""
        for part in self.parts_within():
            part.output.weight.mul_(factor)
            part.output.bias.mul_(factor)

    # ---- edits

    def substitution_changes(self, ids: Tensor) -> list[Tensor] | None:
        """For each sequence of ids (N, L), (l, A, K) float64: what replacing position i by letter a adds to each logit.

        None where edited sequences are to be scored whole.
        """
        return None

    # ---- what certificates ask: features are pooled from C scores of each of T windows of `receptive_field` letters
    #
    # pooling: how features follow from the windows' activations: by "max", by "mean", or kept apart by "position", of
    # `windows` windows. activation_name: of ACTIVATIONS; window_by_window: whether `last_scores` tell windows apart,
    # rather than speak of the sequence as a whole (T = 1), as pooled.

    pooling: str = "max"
    windows: int = 1
    activation_name: str = "identity"
    window_by_window: bool = True
    one_filter_fires: ClassVar[bool] = False  # in a window of letters, at 1, and all others are 0
    range_of_letters: ClassVar[bool] = False  # `first_range` holds for letters, and not for mixtures of them

    @property
    def linear(self) -> bool:
        """Whether logits are affine in one-hot x."""
        return False

    def window_counts(self, lengths: Tensor) -> Tensor:
        """(N,) number of windows T of sequences of these lengths."""
        return lengths.clamp(min=self.receptive_field) - self.receptive_field + 1

    def pad_ids(self, ids: Tensor) -> Tensor:
        """ids padded to one window at least."""
        return F.pad(ids, (0, max(0, self.receptive_field - ids.shape[1])), value=self.alphabet.pad)

    def strands(self, ids: Tensor) -> list[Tensor]:
        """ids (N, L) as read on each strand that is scored."""
        return [ids]

    def join(self, forward: Tensor, backward: Tensor) -> Tensor:
        """Features from those of both strands: the larger below max pooling, else the mean."""
        return torch.maximum(forward, backward) if self.pooling == "max" else (forward + backward) / 2

    def deeper_convs(self) -> list[nn.Conv1d]:
        """Convolutions between the scores that `first_profile` and `first_range` speak of, activated, and the last."""
        return []

    def last_scores(self, ids: Tensor) -> Tensor:
        """(N, T, C) what `activate` turns into the last layer's activations."""
        raise self._unknown()

    def activate(self, scores: Tensor) -> Tensor:
        """Activations of the last layer: monotone in the scores, with slopes in [0, 1]."""
        return ACTIVATIONS[self.activation_name](scores)

    def pool(self, h: Tensor, counts: Tensor | None) -> Tensor:
        """Features (N, F) from activations h (N, C, T) of the first `counts` (N,) windows, or all."""
        raise self._unknown()

    def first_profile(self, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
        """What replacing symbol old (B,) by new (B,) does to scores at most, whatever the other letters are.

        opposite: as seen from the opposite strand, where old and new become their complements. Differentiable in the
        weights.
        """
        raise self._unknown()

    def first_range(self) -> tuple[Tensor, Tensor] | None:
        """low, high (C,): the first layer's activations over all windows of letters; None where that is not known."""
        return None

    def lipschitz(self, length: int | None, direction: Tensor | None) -> Tensor:
        """Upper bound of the l2 Lipschitz constant of the logits, or (...) of direction (..., K) . logits, for inputs
        of at least `length` letters, of any number where None.
        """
        raise self._unknown()

    def content_costs(self, directions: Tensor, others: int) -> Tensor | None:
        """(Q, R, V') most that margins u (Q, K) lose, times T, when tap j of a window of content v is replaced.

        others: how many of the window's other letters may have been replaced before. For a part below mean pooling
        that knows more than its profiles say; None for any other. V': what `contents` of a window there are.
        """
        return None

    def site_costs(self, directions: Tensor, ids: Tensor, others: int | None) -> Tensor | None:
        """(N, Q, L, A) >= 0, most that margins u (Q, K) lose when letter a replaces the symbol at position i of ids
        (N, L), if `others` letters at other positions have been replaced before, or any number of them where None.

        For a part, not below a mean, that knows more than its profiles say.
        """
        return None

    def contents(self, ids: Tensor) -> Tensor:
        """(N, T) int64 the content of each window of ids (N, L), as `content_costs` counts them."""
        raise self._unknown()

    def symbol_costs(self, directions: Tensor, old: Tensor, new: Tensor) -> Tensor | None:
        """(B, Q) most that margins u (Q, K) lose when new (B,) replaces old (B,), wherever and whatever else changes.

        Times T below mean pooling. None for a part that knows no more than its profiles say.
        """
        return None

    def _unknown(self) -> UnknownLayerError:
        return UnknownLayerError(f"what a {type(self).__name__} computes of a window is not known")


def parts_of(model: SequenceNetwork) -> list[Part]:
    """The parts whose logits add up to those of the network; a part alone is a sum of one."""
    return model.parts_within()


def can(model: SequenceNetwork, ability: Ability) -> bool:
    """Whether no part of the network says that it cannot."""
    return all(ability not in part.cannot for part in parts_of(model))


def added(of_parts: Iterable[Tensor]) -> Tensor:
    """The sum of what the parts of a network give, tensors of one shape; that of a single part as it is."""
    return reduce(torch.add, of_parts)
