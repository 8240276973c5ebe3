"""The 1-D CNN: encoding, valid convolutions, one pooling, a head; padding never changes a score.

A sequence of l letters has T = max(l, R) - R + 1 windows, R being the receptive field of the stacked valid
convolutions; a shorter sequence is scored as one padded window. Pooling looks at these T windows and no others.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError, option
from seqreg.networks.activations import ACTIVATIONS
from seqreg.networks.base import DEFAULT_PENALTY
from seqreg.networks.convolution import conv
from seqreg.networks.lookup import (
    best_windows,
    first_best,
    letter_conv,
    lookup_scores,
    place_scores,
    symbol_table,
    window_dot,
    window_rows,
)
from seqreg.networks.part import Part, Profile
from seqreg.networks.sliding import slid
from seqreg.spectral import conv1d_norm_upper_bound, linear_norm

if TYPE_CHECKING:
    from seqreg.sequences import Windows


class ConvNet(Part, proved=True):
    """Logits (N, K) from ids (N, L) uint8, or from one-hot x (N, A, L) with the sequences' `lengths` (N,).

    encoding: (A, D) fixed letter vectors, folded into the first kernel. channels and widths: one per convolution.
    pooling: "max" or "mean" over windows, or "position", which keeps one feature per filter and window
    (`length` letters at most; later ones carry no weight). hidden: width of a ReLU layer before the output, 0 for none.
    reverse_complement: score both strands with the same weights and combine the pooled features, by maximum below
    max pooling and by mean otherwise.
    """

    encoding: Tensor
    complement: Tensor

    def __init__(
        self,
        alphabet: Alphabet,
        encoding: Tensor,
        *,
        channels: list[int],
        widths: list[int],
        outputs: int,
        length: int,
        activation: str = "relu",
        pooling: str = "max",
        hidden: int = 0,
        dropout: float = 0.0,
        reverse_complement: bool = False,
    ) -> None:
        super().__init__(alphabet)
        self.activation_name, self.pooling, self.reverse_complement = activation, pooling, reverse_complement
        self.activation = ACTIVATIONS[activation]
        self.receptive_field = sum(width - 1 for width in widths) + 1
        self.windows = max(length, self.receptive_field) - self.receptive_field + 1
        self.register_buffer("encoding", torch.as_tensor(encoding, dtype=torch.float32), persistent=False)
        inputs = [encoding.shape[1], *channels]
        self.convs = nn.ModuleList(
            nn.Conv1d(inputs[layer], inputs[layer + 1], width) for layer, width in enumerate(widths)
        )
        features = channels[-1] * (self.windows if pooling == "position" else 1)
        self.dropout = nn.Dropout(dropout)
        self._last_best: tuple[tuple[Tensor, Tensor, Tensor], ...] = ()
        self.hidden = nn.Linear(features, hidden) if hidden else None
        self.output = nn.Linear(hidden or features, outputs)
        if reverse_complement:
            if alphabet.complement is None:
                raise UsageError(
                    f"{option('reverse_complement', True)} needs dna or rna; these sequences are {alphabet.name}"
                )
            complement = torch.as_tensor(alphabet.complement.copy(), dtype=torch.int64)
            self.register_buffer("complement", complement, persistent=False)

    def features(self, ids: Tensor) -> Tensor:
        """Pooled features (N, F) of ids (N, L)."""
        return self._letter_features(self.pad_ids(ids))

    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Pooled features (N, F) at x (N, A, L), which holds the one-hot of ids (N, L): differentiable in x."""
        return self._letter_features(self.pad_ids(ids), self.pad_one_hot(x))

    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Pooled features (N, F) at any x (N, A, L) of sequences of these lengths (N,), full where None."""
        return self._dense_features(self.pad_one_hot(x), self._full_unless_known(x, lengths))

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, K) from pooled features."""
        return super().classify(self.dropout(features))

    def windowed(self) -> "ConvNet | None":
        """This network, unless its class may compute something else."""
        return self if self.proved else None

    @property
    def default_penalty(self) -> tuple[str, ...]:
        """Weight decay where weights belong to positions, else the gradient."""
        return default_penalty(self.pooling)

    # ---- pieces, public for penalties, attacks and certificates

    def first_conv(self) -> nn.Conv1d:
        """The convolution of encoded letters."""
        return _conv(self.convs[0])

    def first_kernel(self) -> Tensor:
        """(C, A, W) first convolution with the encoding folded in: what acts on one-hot letters."""
        return torch.einsum("cdj,ad->caj", self.first_conv().weight, self.encoding)

    def first_bias(self) -> Tensor:
        """(C,) bias of the first convolution."""
        return _bias(self.first_conv())

    def pad_one_hot(self, x: Tensor) -> Tensor:
        """x padded with zeros to one window at least."""
        short = self.receptive_field - x.shape[2]
        return F.pad(x, (0, short)) if short > 0 else x

    def reverse_complement_ids(self, ids: Tensor) -> Tensor:
        """ids of the opposite strand, left-aligned like the input."""
        return self.complement[ids.long().gather(1, self._mirror(self.lengths(ids), ids.shape[1]))].to(ids.dtype)

    def reverse_complement_one_hot(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x of the opposite strand, left-aligned like the input."""
        mirror = self._mirror(lengths, x.shape[2])[:, None].expand(-1, x.shape[1], -1)
        return x[:, self.complement[: x.shape[1]]].gather(2, mirror)

    def activate_first(self, z: Tensor, x: Tensor) -> Tensor:
        """Activations (N, C, T) of the first layer from its scores z (N, C, T) without bias, at input x."""
        return self.activation(z + self.first_bias()[:, None])

    def pool(self, h: Tensor, counts: Tensor | None) -> Tensor:
        """Features (N, C) or (N, C * T) from activations h (N, C, T) of the first `counts` (N,) windows, or all."""
        inside = None if counts is None else torch.arange(h.shape[2], device=h.device) < counts[:, None, None]
        if self.pooling == "max":
            return (h if inside is None else h.masked_fill(~inside, -math.inf)).amax(2)
        if inside is not None:
            h = h * inside
        if self.pooling == "mean":
            return h.sum(2) / h.shape[2] if counts is None else h.sum(2) / counts[:, None]
        return F.pad(h, (0, self.windows - h.shape[2])).flatten(
            1
        )  # a negative pad cuts what lies beyond the trained length

    def deeper(self, h: Tensor) -> Tensor:
        """Activations (N, C, T) of the last convolution from those of the first."""
        for layer in self.deeper_convs():
            h = self.activation(conv(h, layer.weight, layer.bias))
        return h

    def best_windows(self, ids: Tensor) -> Tensor:
        """(N, C) int64 window of ids (N, L) that each filter of the first layer scores highest.

        A loss and its penalties ask for the same batch: the last answer is kept, and given again on a CPU where
        ids and filters are equal, value by value.
        """
        with torch.no_grad():
            table = symbol_table(self.first_kernel(), self.mixtures)
        if ids.device.type != "cpu" or torch.compiler.is_compiling():
            return best_windows(table, ids, self._counts_unless_full(ids))
        for known_ids, known_table, starts in self._last_best:
            if table.dtype == known_table.dtype and torch.equal(ids, known_ids) and torch.equal(table, known_table):
                return starts
        starts = best_windows(table, ids, self._counts_unless_full(ids))
        if not torch.is_inference_mode_enabled():  # what is made there cannot be used where gradients are
            self._last_best = ((ids.clone(), table, starts),)
        return starts

    def join_strands(self, features: Tensor, n: int) -> Tensor:
        """Features of n sequences from those of both strands (2 n, ...); unchanged where only one strand is scored."""
        if not self.reverse_complement:
            return features
        return self.join(features[:n], features[n:])

    # ---- what the scores of all windows are, without gradient

    def first_scores(self, ids: Tensor, table: Tensor | None = None) -> Tensor:
        """(N, T, C) outputs of the first convolution, without bias, for all windows of ids (N, L).

        table (W, V, C): `symbol_table` of the first kernel, where the caller has it.
        """
        table = symbol_table(self.first_kernel(), self.mixtures) if table is None else table
        return lookup_scores(table, window_rows(ids, len(table), table.shape[1]))

    def window_scores(self, first: Tensor, ids: Tensor) -> Tensor:
        """(N, T, C) what `activate` turns into the last layer's activations, from `first_scores` of ids (N, L)."""
        scores = first + self.first_bias()
        for layer in self.deeper_convs():
            h, weight, bias = self.activation(scores), layer.weight, _bias(layer)
            if h.dtype == torch.float32:
                scores = F.conv1d(h.transpose(1, 2), weight, bias).transpose(1, 2)
            else:  # PyTorch's own convolution of doubles is several times slower on CPUs than a product of matrices
                scores = h.unfold(1, weight.shape[2], 1).flatten(2) @ weight.flatten(1).t() + bias
        return scores

    def window_terms(self, ids: Tensor) -> Tensor:
        """(P, ...) what sliding windows pool at each of the P = L - R + 1 places of one sequence, ids (L,).

        The last layer's scores below a maximum, its activations where positions are kept, and below a mean what the
        head's first layer makes of them.
        """
        first = place_scores(symbol_table(self.first_kernel(), self.mixtures), ids)
        scores = self.window_scores(first[None], ids[None])[0]
        if self.pooling == "max":
            return scores
        h = self.activate(scores)
        return F.linear(h, self.head_layer.weight) if self.pooling == "mean" else h

    def score_windows(self, windows: "Windows") -> Tensor:
        """Logits (M, K) of windows that slide over long sequences; what windows share is computed once.

        Windows shorter than the receptive field are padded, and scored alone.
        """
        if self.windowed() is None or self.mixtures.device.type != "cpu":
            return super().score_windows(windows)
        short = np.array([run.length < self.receptive_field for run in windows.runs])
        if not short.any():
            return slid(self, windows)
        logits = self.output.weight.new_empty(len(windows), self.outputs)
        for chosen, score in ((~short, slid), (short, Part.score_windows)):
            if (index := np.flatnonzero(chosen)).size:
                logits[torch.from_numpy(windows.rows_of(index))] = score(self, windows.chosen(index))
        return logits

    def last_scores(self, ids: Tensor) -> Tensor:
        """(N, T, C) what `activate` turns into the last layer's activations."""
        return self.window_scores(self.first_scores(ids), ids)

    # ---- what bounds start from

    @property
    def linear(self) -> bool:
        """Whether logits are affine in x: one convolution, no activation, a linear pooling, no hidden layer."""
        plain = self.activation_name == "identity" and self.hidden is None
        return plain and len(self.convs) == 1 and self.pooling != "max"

    def strands(self, ids: Tensor) -> list[Tensor]:
        """ids (N, L), and those of the opposite strand where both are scored."""
        return [ids, self.reverse_complement_ids(ids)] if self.reverse_complement else [ids]

    def deeper_convs(self) -> list[nn.Conv1d]:
        """The convolutions behind the first."""
        return [_conv(layer) for layer in list(self.convs)[1:]]

    def first_changes(self, old: Tensor, new: Tensor, opposite: bool) -> Tensor:
        """(B, C, W) change of the first convolution's output at each tap where new (B,) replaces old (B,)."""
        if opposite:
            old, new = self.complement[old], self.complement[new]
        table = symbol_table(self.first_kernel(), self.mixtures)
        return (table[:, new] - table[:, old]).permute(1, 2, 0)

    def first_profile(self, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
        """What the first convolution's output does, exactly: `W[c, b, j] - W[c, a, j]` at tap j."""
        change = self.first_changes(old, new, opposite)
        return Profile(F.relu(-change), F.relu(change))

    def first_range(self) -> tuple[Tensor, Tensor] | None:
        """low, high (C,): the first layer's activations over all windows of letters, exactly."""
        low, high = self.first_score_range()
        return self.activation(low + self.first_bias()), self.activation(high + self.first_bias())

    def first_score_range(self) -> tuple[Tensor, Tensor]:
        """low, high (C,): the first convolution's output, without bias, over all windows of letters."""
        table = symbol_table(self.first_kernel(), self.mixtures)[:, : self.alphabet.size]
        return table.amin(1).sum(0), table.amax(1).sum(0)

    def lipschitz(self, length: int | None, direction: Tensor | None) -> Tensor:
        """The first convolution with the encoding folded in, the others, pooling, strands and head.

        Activations have slopes in [0, 1], dropout is the identity: 1. Padded letters are zero in x and x', and the
        windows that pooling leaves out leave a piece of the operator. Pooling over T windows: max 1 (as above, one
        window per channel), position 1 (entries kept or cut), mean 1 / sqrt(T) (Cauchy-Schwarz per channel).
        Strands: reversing and complementing x permutes its entries, so each strand's features move by at most K; their
        mean moves by at most K, their maximum by at most sqrt(2) K, for
        |max(a', b') - max(a, b)|^2 <= |a' - a|^2 + |b' - b|^2.
        """
        norm = self.first_lipschitz()
        for layer in self.deeper_convs():
            norm = norm * conv1d_norm_upper_bound(layer.weight.double())
        if self.pooling == "mean":
            norm = norm / math.sqrt(max(0, (length or 1) - self.receptive_field) + 1)
        if self.reverse_complement and self.pooling == "max":
            norm = norm * math.sqrt(2)
        if self.hidden is not None:
            norm = norm * linear_norm(self.hidden.weight.double())
        return norm * linear_norm(self.output.weight.double(), direction)

    def first_lipschitz(self) -> Tensor:
        """How far the first layer's activations move, at most, in l2 per l2 of one-hot x."""
        return conv1d_norm_upper_bound(self.first_kernel().double())

    @torch.no_grad()
    def fix_filters(self, kernel: Tensor, bias: float) -> None:
        """Set the filters (C, D, W) of a network that only its head is trained of."""
        self.head_only = True
        self.convs.requires_grad_(False)
        self.first_conv().weight.copy_(kernel)
        self.first_bias().fill_(bias)

    # ---- the two ways through the convolutions

    def _letter_features(self, ids: Tensor, x: Tensor | None = None) -> Tensor:
        """Pooled features from letters by look-ups; x, where given, is their one-hot and receives gradients."""
        n = len(ids)
        if self.reverse_complement:
            opposite = self.reverse_complement_ids(ids)
            x = None if x is None else torch.cat([x, self.reverse_complement_one_hot(x, self.lengths(ids))])
            ids = torch.cat([ids, opposite])
        x = self.one_hot(ids) if x is None else x
        counts = self._counts_unless_full(ids)
        kernel = self.first_kernel()
        if len(self.convs) == 1 and self.pooling == "max":
            starts = self.best_windows(ids)
            features = self.activation(window_dot(x, kernel, starts, ids, self.mixtures) + self.first_bias())
        else:
            h = self.activate_first(letter_conv(x, kernel, self.mixtures, ids), x)
            features = self.pool(self.deeper(h), counts)
        return self.join_strands(features, n)

    def _dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Pooled features from any x (N, A, L)."""
        n = x.shape[0]  # not len(x), which would be a constant of the graph when the network is exported
        if self.reverse_complement:
            known = torch.full((n,), x.shape[2], device=x.device) if lengths is None else lengths
            x = torch.cat([x, self.reverse_complement_one_hot(x, known)])
            lengths = None if lengths is None else torch.cat([lengths, lengths])
        counts = None if lengths is None else self.window_counts(lengths)
        kernel = self.first_kernel()
        # The other way through is the same function, of operations that every exporter knows.
        if len(self.convs) == 1 and self.pooling == "max" and not torch.compiler.is_compiling():
            with torch.no_grad():
                starts, best = first_best(F.conv1d(x, kernel), counts)
            features = self.activation(window_dot(x, kernel, starts, known=best) + self.first_bias())
        else:
            features = self.pool(self.deeper(self.activate_first(conv(x, kernel), x)), counts)
        return self.join_strands(features, n)

    def _counts_unless_full(self, ids: Tensor) -> Tensor | None:
        """Window counts, or None where a look at the CPU shows that no sequence is padded (a GPU is never asked)."""
        if ids.device.type == "cpu" and not bool((ids[:, -1] == self.alphabet.pad).any()):
            return None
        return self.window_counts(self.lengths(ids))

    def _full_unless_known(self, x: Tensor, lengths: Tensor | None) -> Tensor | None:
        if (
            lengths is not None
            and lengths.device.type == "cpu"
            and not torch.compiler.is_compiling()  # a graph cannot depend on what is in it
            and bool((lengths >= max(x.shape[2], self.receptive_field)).all())
        ):
            return None
        if lengths is None and x.shape[2] < self.receptive_field:
            return torch.full((len(x),), x.shape[2], device=x.device)
        return lengths

    @staticmethod
    def _mirror(lengths: Tensor, width: int) -> Tensor:
        """(N, L) position that lands at each position when the first `lengths` letters are reversed."""
        positions = torch.arange(width, device=lengths.device)
        return torch.where(positions < lengths[:, None], lengths[:, None] - 1 - positions, positions)


def default_penalty(pooling: str) -> tuple[str, ...]:
    """What a CNN is regularized by where nothing is said."""
    return ("weight-decay:weight=0.01",) if pooling == "position" else DEFAULT_PENALTY


def _conv(layer: nn.Module) -> nn.Conv1d:
    assert isinstance(layer, nn.Conv1d)
    return layer


def _bias(layer: nn.Conv1d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
