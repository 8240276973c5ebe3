"""Margins: what must stay positive for a prediction to stand, as directions in the space of logits."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqreg.networks import Part, objective_for
from seqreg.networks.objectives import ONE_OF_MANY, ONE_OF_TWO


def stands(model: nn.Module | None, y: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
    """u (N, P, K), b (N, P) float64: sequence n is predicted as y says if and only if `u . logits + b > 0` for all p.

    model: whose objective says what y is; where None, or where the network does not know, y says it itself.
    y (N,) of 0 and 1 with K = outputs = 1: the signed logit, P = 1. y (N,) class indices: f_y - f_j for the P = K - 1
    other classes j. y (N, K) of 0 and 1 (multi-label): every signed logit, P = K. In all of these b = 0, and a tie
    counts as not predicted. Values y (N,), as the network's output has them: f - y + t and y - f + t, t the tolerance.
    """
    return objective_for(model, y, outputs).stands(y, outputs)


def margin_directions(y: Tensor, outputs: int, model: nn.Module | None = None) -> Tensor:
    """u (N, P, K) of `stands` alone."""
    return stands(model, y, outputs)[0]


def margins(logits: Tensor, y: Tensor, model: nn.Module | None = None) -> Tensor:
    """(N, ...) smallest margin of logits (N, ..., K): positive where the prediction is y, for any batch of variants."""
    directions, offsets = (each.to(logits.dtype) for each in stands(model, y, logits.shape[-1]))
    found = torch.einsum("n...k,npk->n...p", logits, directions)
    between = [1] * (logits.dim() - 2)
    return (found + offsets.view(len(y), *between, offsets.shape[1])).amin(-1)


def predicted_class(logits: Tensor) -> Tensor:
    """(N,) int64 the class that logits (N, K) speak for; K = 1: whether it is the second of two."""
    return (ONE_OF_TWO if logits.shape[1] == 1 else ONE_OF_MANY).call(logits)


def head_sensitivity(model: Part, directions: Tensor, active: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """alpha, beta (..., F) >= 0: how much the margins `u . f` (..., K) can fall when pooled features fall or rise.

    If every feature phi falls by at most `drop` and rises by at most `up`, then the margin falls by at most
    `alpha . drop + beta . up`. Linear head w: alpha = w+, beta = w-. A hidden layer U with ReLU, which is monotone and
    1-Lipschitz, passes on `U+ drop + U- up` as drop and `U+ up + U- drop` as rise of its units:
    `alpha = w+ U+ + w- U-`, `beta = w+ U- + w- U+`. A unit that is off, `active` (..., H) False, cannot fall.
    """
    w = directions @ model.output.weight
    fall, rise = F.relu(w), F.relu(-w)
    if model.hidden is None:
        return fall, rise
    if active is not None:
        fall = fall * active
    plus, minus = F.relu(model.hidden.weight), F.relu(-model.hidden.weight)
    return fall @ plus + rise @ minus, fall @ minus + rise @ plus


def head_interval(model: Part, low: Tensor, high: Tensor, directions: Tensor) -> Tensor:
    """(..., P) lower bounds of the margins u (..., P, K) over all pooled features between low and high (..., F)."""

    def through(layer: nn.Linear, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        centre, radius = F.linear((low + high) / 2, layer.weight, layer.bias), (high - low) / 2 @ layer.weight.abs().t()
        return centre - radius, centre + radius

    if model.hidden is not None:
        low, high = through(model.hidden, low, high)
        low, high = F.relu(low), F.relu(high)
    w = directions @ model.output.weight
    bottom = (F.relu(w) @ low[..., None] - F.relu(-w) @ high[..., None]).squeeze(-1)
    return bottom + directions @ model.output.bias
