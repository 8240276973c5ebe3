"""The training step of a one-layer network in closed form: the default networks take theirs by compiled loops.

What autograd would find for the loss of a network of one convolution, its gradient penalty and weight decay is known in
closed form (see `seqreg.networks.window_loops`), and takes a fraction of the time that some eighty small tensor
operations do. The tensor way remains for every other network, penalty, attack and device, and is what this one is
tested against; sums are taken in another order, so that they agree to rounding and not to the bit.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.networks import ConvNet, SequenceNetwork
from seqreg.penalties import Gradient, WeightDecay
from seqreg.spectral import conv1d_norm_upper_bound
from seqreg.training.config import Regularizers

Array = NDArray[Any]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
ACTIVATIONS = ("relu", "identity")
# A bound of filters is renewed where they have moved by this share of it; sums of float32 are this close.
MOVED, ROUNDED = 0.2, 1.001


def closed_form(model: SequenceNetwork, regularizers: Regularizers, loss: Loss) -> "ClosedForm | None":
    """The step in closed form of a network and what regularizes it; None where there is none.

    Made once the parameters are where they stay during training, with gradients (`FlatAdamW`). loss: `loss(outputs, y,
    weights) -> []`, any, for its derivative in the outputs (N, K) is left to autograd.
    """
    net = model.windowed()
    if net is not model or type(net) is not ConvNet or not _plain(net):
        return None
    penalties = [each for each in regularizers.penalties.values() if isinstance(each, Gradient | WeightDecay)]
    if regularizers.attack is not None or len(penalties) < len(regularizers.penalties):
        return None
    return (Maximum if net.pooling == "max" else Windows)(net, penalties, loss)


class Letters(NamedTuple):
    """A batch as the loops read it: rows (R, L), lengths and counts of windows (N,)."""

    rows: NDArray[np.uint8]
    lengths: NDArray[np.int32]
    counts: NDArray[np.int32]


class ClosedForm(ABC):
    """`step(ids, y, weights)` adds the gradients of the loss and of penalties to `.grad` of the network's parameters.

    Arrays are named as in `window_loops`; those that begin with `grown` are gradients.
    """

    def __init__(self, net: ConvNet, penalties: Sequence[Gradient | WeightDecay], loss: Loss) -> None:
        from seqreg.networks import window_loops  # Numba takes a while to load

        self._common, self._penalties, self._loss = window_loops, penalties, loss
        self._weight, self._grown_weight = _with_gradient(net.first_conv().weight)
        self._encoding = None if _one_hot(net.encoding) else net.encoding.numpy()
        self.bias, self.grown_bias = _with_gradient(net.first_bias())
        self.output, self.grown_output = _with_gradient(net.output.weight)
        self.output_bias, self._grown_output_bias = _with_gradient(net.output.bias)
        self.identity = net.activation_name == "identity"
        self._pad, self.strands = net.alphabet.pad, 1 + net.reverse_complement
        self.complement = net.complement.numpy().astype(np.uint8) if net.reverse_complement else np.empty(0, np.uint8)
        channels, _, width = self._weight.shape
        self.mixtures = net.mixtures.numpy()
        self.filters = np.empty((channels, width, net.alphabet.size), self.dtype)
        self.grown = np.empty_like(self.filters)
        self.table = np.empty((width, len(self.mixtures), channels), self.dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the weights."""
        return self._weight.dtype

    @np.errstate(all="ignore")  # what is not finite is seen in the values
    def step(self, ids: Tensor, y: Tensor, weights: Tensor) -> Tensor:
        """Values (1 + penalties,) of the loss and of penalties at ids (N, L) and y, weights (N,)."""
        kernel = self._weight if self._encoding is None else np.einsum("cdj,ad->caj", self._weight, self._encoding)
        self._common.lay_out(kernel, self.mixtures, self.filters, self.table)
        self.grown[:] = 0
        letters = self._read(ids.numpy())

        outputs = torch.from_numpy(self.forward(letters)).requires_grad_()
        loss = self._loss(outputs, y, weights)
        (slopes,) = torch.autograd.grad(loss, outputs)
        self._grown_output_bias += slopes.numpy().sum(0)
        self.back(letters, slopes.numpy())
        values = [loss.item()]
        for penalty in self._penalties:
            weight = self.dtype.type(penalty.weight)
            if isinstance(penalty, Gradient):
                values.append(self.penalize(letters, weight, penalty.over == "mean"))
            else:
                values.append(self._decay(weight))

        self.finish()
        grown = self.grown if self._encoding is None else self.grown @ self._encoding  # C, W, D
        self._grown_weight += grown.transpose(0, 2, 1)
        return torch.tensor(values, dtype=weights.dtype)

    @abstractmethod
    def forward(self, letters: Letters) -> Array:
        """Logits (N, K)."""

    @abstractmethod
    def back(self, letters: Letters, slopes: Array) -> None:
        """Add what slopes (N, K) of the logits give to the gradients of filters, their bias, and the head."""

    @abstractmethod
    def penalize(self, letters: Letters, weight: float, mean: bool) -> float:
        """The value of a gradient penalty, its gradients being added to those of filters and head."""

    @abstractmethod
    def finish(self) -> None:
        """Bring the gradient of the head where it belongs."""

    def _read(self, ids: NDArray[np.uint8]) -> Letters:
        n, longest = ids.shape
        width = len(self.table)
        rows = np.full((self.strands * n, max(longest, width)), self._pad, np.uint8)
        lengths = np.empty(n, np.int32)
        self._common.read_strands(ids, self.complement, self._pad, rows, lengths)
        return Letters(rows, lengths, np.maximum(lengths, width) - np.int32(width - 1))

    def _decay(self, weight: float) -> float:
        """`weight * sum w^2` of filters and head."""
        total = 0.0
        for values, gradient in ((self._weight, self._grown_weight), (self.output, self.grown_output)):
            gradient += (2 * weight) * values
            total += float(np.vdot(values, values))
        return float(weight) * total


class Maximum(ClosedForm):
    """Below a maximum over windows."""

    def __init__(self, net: ConvNet, penalties: Sequence[Gradient | WeightDecay], loss: Loss) -> None:
        from seqreg.networks import best_window_loops

        super().__init__(net, penalties, loss)
        self.loops = best_window_loops

    def forward(self, letters: Letters) -> Array:
        """Logits (N, K), by the best windows."""
        rows, channels = len(letters.rows), len(self.bias)
        best, self._starts = np.empty((rows, channels), self.dtype), np.empty((rows, channels), np.int32)
        alphabet = self.filters.shape[2]
        self.loops.best_windows(self.table, alphabet, letters.rows, letters.counts, best, self._starts)
        self._features, self._shares = np.empty((rows // self.strands, channels), self.dtype), np.empty_like(best)
        self.loops.features_of_best(best, self.bias, self.identity, self._features, self._shares)
        return self._features @ self.output.T + self.output_bias

    def back(self, letters: Letters, slopes: Array) -> None:
        """Through the best windows."""
        windows = (self._features, self._shares, self._starts, letters.rows, self.mixtures)
        self.loops.back_from_best(slopes, self.output, *windows, self.grown, self.grown_bias, self.grown_output)

    def penalize(self, letters: Letters, weight: float, mean: bool) -> float:
        """Of filters at their best windows."""
        at = (self.output, self.filters, self._shares, self._starts, letters.lengths, letters.rows.shape[1])
        return self.loops.penalize_best(weight, mean, *at, self.complement, self.grown, self.grown_output)

    def finish(self) -> None:
        """It is there already."""


class Windows(ClosedForm):
    """Below a mean over windows, or with windows kept apart: all of them carry gradients."""

    def __init__(self, net: ConvNet, penalties: Sequence[Gradient | WeightDecay], loss: Loss) -> None:
        from seqreg.networks import all_window_loops

        super().__init__(net, penalties, loss)
        self.loops = all_window_loops
        self._places = net.windows if net.pooling == "position" else 1
        self._known: tuple[float, Array] | None = None

    def forward(self, letters: Letters) -> Array:
        """Logits (N, K), by the activations of all windows."""
        rows, longest = letters.rows.shape
        channels, outputs = len(self.bias), len(self.output)
        self._head = self.output.reshape(outputs, channels, self._places).transpose(2, 0, 1).copy()  # P, K, C
        self._grown_head = np.zeros_like(self._head)
        self._h = np.empty((rows, longest - len(self.table) + 1, channels), self.dtype)
        self.loops.activations(self.table, self.bias, letters.rows, letters.counts, self.identity, self._h)
        logits = np.empty((rows // self.strands, outputs), self.dtype)
        head = (self._head, self.output_bias)
        self.loops.logits_of_windows(self._h, *head, letters.counts, self.strands, logits)
        return logits

    def back(self, letters: Letters, slopes: Array) -> None:
        """Through all windows."""
        scores = np.zeros_like(self.table)
        windows = (self._h, self.identity, letters.counts, letters.rows)
        self.loops.back_from_windows(slopes, self._head, *windows, scores, self.grown_bias, self._grown_head)
        self.loops.gather_symbols(scores, self.mixtures, self.grown)

    def penalize(self, letters: Letters, weight: float, mean: bool) -> float:
        """Of filters at all windows."""
        at = (self._head, self.filters, self._h, self.identity, letters.counts, letters.lengths, letters.rows.shape[1])
        norm = self.dtype.type(0 if mean else self._norm())
        return self.loops.penalize_windows(weight, mean, norm, *at, self.complement, self.grown, self._grown_head)

    def _norm(self) -> float:
        """At least the operator norm of the convolution.

        The certified bound of filters some steps ago, and what they have moved since: a convolution's norm is at most
        the root of its width times the norm of its kernel.
        """
        if self._known is not None:
            bound, filters = self._known
            moved = math.sqrt(len(self.table)) * float(np.linalg.norm(self.filters - filters))
            if moved < MOVED * bound:
                return (bound + moved) * ROUNDED
        kernel = torch.from_numpy(self.filters).transpose(1, 2)
        self._known = float(conv1d_norm_upper_bound(kernel.double())), self.filters.copy()
        return self._known[0] * ROUNDED

    def finish(self) -> None:
        """The head as the parameter has it, (K, C * P)."""
        self.grown_output += self._grown_head.transpose(1, 2, 0).reshape(len(self.output), -1)


def _plain(net: ConvNet) -> bool:
    """Whether the loops know all that the network does, where it is."""
    known = len(net.convs) == 1 and net.hidden is None and net.dropout.p == 0 and net.activation_name in ACTIVATIONS
    weight = net.output.weight
    trained = all(each.requires_grad for each in net.parameters())
    return known and trained and weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)


def _one_hot(encoding: Tensor) -> bool:
    return encoding.shape[0] == encoding.shape[1] and torch.equal(encoding, torch.eye(len(encoding)).to(encoding))


def _with_gradient(parameter: Tensor) -> tuple[Array, Array]:
    """A parameter and its gradient, as arrays that share their memory."""
    assert parameter.grad is not None
    return parameter.detach().numpy(), parameter.grad.numpy()
