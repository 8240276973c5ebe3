"""What all of seqreg's networks have in common: they read letters, and know their alphabet."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.networks.encodings import Encoding
from seqreg.specs import Spec

if TYPE_CHECKING:
    from seqreg.networks.convnet import ConvNet
    from seqreg.networks.objectives import Objective
    from seqreg.networks.part import Part
    from seqreg.sequences import SequenceSet, Windows

DEFAULT_PENALTY = ("gradient:weight=0.01",)


class SequenceNetwork(nn.Module, ABC):
    """A network over ids (N, L) uint8, padded with the alphabet's padding code, or over one-hot x (N, A, L).

    weighed: whether the weights of its parts are fitted to sequences held out. objective: of what it learns, as all of
    its parts have it; None where nothing has been said, and y says what it is. hilbert_space: name of the reproducing
    kernel Hilbert space that it lies in exactly, where one is known.
    """

    mixtures: Tensor
    receptive_field: int
    weighed: bool = False
    objective: "Objective | None" = None
    hilbert_space: ClassVar[str | None] = None

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet = alphabet
        mixtures = torch.as_tensor(alphabet.mixtures.copy(), dtype=torch.float32)
        self.register_buffer("mixtures", mixtures, persistent=False)

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (N, K) from ids (N, L), or from one-hot x (N, A, L) with the sequences' `lengths` (N,)."""

    @abstractmethod
    def forward_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Logits (N, K) at x (N, A, L), which must hold the one-hot of ids (N, L): fast, and differentiable in x."""

    @abstractmethod
    def parts_within(self) -> "list[Part]":
        """The parts whose logits add up to those of the network, those of sums within a sum one by one."""

    def score(self, data: "SequenceSet", rows: NDArray[np.int64]) -> Tensor:
        """Logits (n, K) of sequences of a set, by whatever the network reads of them."""
        return self(self.ids_of(data, rows))

    def score_windows(self, windows: "Windows") -> Tensor:
        """Logits (M, K) of windows that slide over long sequences: those of each window alone."""
        return torch.cat([self.score(piece, np.arange(len(piece))) for piece in windows.sequences()])

    def learns(self, objective: "Objective") -> Self:
        """Say what it learns, to all of its parts too."""
        for each in self.modules():
            if isinstance(each, SequenceNetwork):
                each.objective = objective
        return self

    def windowed(self) -> "ConvNet | None":
        """The convolutional network that this one is, for rooms that take its windows apart; None for any other."""
        return None

    def rkhs_norm_squared(self) -> Tensor | None:
        """Upper bounds (K,) on the squared norms of the logits in the `hilbert_space`; None where there is none."""
        return None

    def rkhs_kernel(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(N, N) kernel of the `hilbert_space` between one-hot x (N, A, L) of these lengths (N,)."""
        raise NotImplementedError(f"a {type(self).__name__} lies in no Hilbert space that is known")

    def ids_of(self, data: "SequenceSet", rows: NDArray[np.int64]) -> Tensor:
        """ids (n, L) of sequences of a set, where the network is."""
        return torch.from_numpy(data.padded(rows)).to(self.mixtures.device)

    def one_hot(self, ids: Tensor) -> Tensor:
        """x (N, A, L): each symbol as its mixture of letters, padding as zero."""
        return F.embedding(ids.int(), self.mixtures).transpose(1, 2)

    def lengths(self, ids: Tensor) -> Tensor:
        """(N,) letters before the padding."""
        return (ids != self.alphabet.pad).sum(1)


class NetworkSpec(Spec, ABC):
    """What a network is built from, and what is known of it before it is built.

    of_parts: whether it is a sum, whose parts are trained one by one. reads_vectors: whether `build` also takes
    `vectors`, the numbers of dimensions D of the vectors that sequences come with, by name.
    """

    of_parts: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = False

    @property
    def scores_both_strands(self) -> bool:
        """Whether DNA is scored on both strands where nothing is said."""
        return True

    @property
    def default_penalty(self) -> tuple[str, ...] | None:
        """What it is regularized by where nothing is said, as texts of PENALTIES; None where each part has its own."""
        return DEFAULT_PENALTY

    def for_alphabet(self, alphabet: Alphabet) -> Self:
        """The same with every field filled in that is left to the alphabet."""
        return self

    @property
    @abstractmethod
    def in_words(self) -> str:
        """What it is, for people who do not know its fields: "the sum of", "a convolutional network with" ..."""

    @abstractmethod
    def build(
        self,
        alphabet: Alphabet,
        *,
        outputs: int,
        length: int,
        encoding: Encoding | None = None,
        reverse_complement: bool = False,
    ) -> SequenceNetwork:
        """An untrained network; `length` is the longest training sequence, `encoding` a member of ENCODINGS."""
