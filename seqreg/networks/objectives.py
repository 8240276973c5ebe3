"""What a network does with a target: the loss of its outputs, the link, and when a call stands.

One contract: an `Objective` is a set of functions of outputs (N, K) of a network and y, by the kinds of
`seqreg.targets`. `objective_of` reads off outputs and y which one is meant, for callers who hold nothing else.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.networks.answers import Answers, Exclusive, Independent
from seqreg.targets import Labels, Target


class Objective(Protocol):
    """Functions of outputs (N, K), in any floating-point type, and of y as the target has it, on the same device."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(N,) losses in nats."""
        ...

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, number of names) probabilities: the link."""
        ...

    def call(self, outputs: Tensor) -> Tensor:
        """y that the outputs speak for."""
        ...

    def answers(self, outputs: Tensor) -> Answers:
        """The distribution that the outputs stand for."""
        ...

    def directions(self, y: Tensor, outputs: int) -> Tensor:
        """u (N, P, K), float64: y is called if and only if `u[n, p] . outputs[n] > 0` for all p. K = outputs."""
        ...


class _OneOfTwo:
    """Two classes, y (N,) of 0 and 1, one logit (N, 1): that of the second class."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Binary cross-entropy."""
        return F.binary_cross_entropy_with_logits(outputs[:, 0], y.to(outputs.dtype), reduction="none")

    def predict(self, outputs: Tensor) -> Tensor:
        return torch.softmax(torch.cat([torch.zeros_like(outputs), outputs], 1), 1)

    def call(self, outputs: Tensor) -> Tensor:
        return (outputs[:, 0] > 0).long()

    def answers(self, outputs: Tensor) -> Answers:
        return Independent(outputs)

    def directions(self, y: Tensor, outputs: int) -> Tensor:
        """The signed logit, P = 1."""
        return (2.0 * y.double() - 1)[:, None, None]


class _OneOfMany:
    """K classes, y (N,) their indices, a logit each."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs, y, reduction="none")

    def predict(self, outputs: Tensor) -> Tensor:
        return torch.softmax(outputs, 1)

    def call(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1)

    def answers(self, outputs: Tensor) -> Answers:
        return Exclusive(outputs)

    def directions(self, y: Tensor, outputs: int) -> Tensor:
        """f_y - f_j for the P = K - 1 other classes j."""
        others = torch.arange(outputs - 1, device=y.device)
        others = others + (others >= y[:, None])
        unit = torch.eye(outputs, dtype=torch.float64, device=y.device)
        return unit[y.long()][:, None] - unit[others]


class _EachLabel:
    """K labels, y (N, K) of 0 and 1, a logit each."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Binary cross-entropy, summed over the labels."""
        return F.binary_cross_entropy_with_logits(outputs, y.to(outputs.dtype), reduction="none").sum(1)

    def predict(self, outputs: Tensor) -> Tensor:
        return torch.sigmoid(outputs)

    def call(self, outputs: Tensor) -> Tensor:
        return (outputs > 0).long()

    def answers(self, outputs: Tensor) -> Answers:
        return Independent(outputs)

    def directions(self, y: Tensor, outputs: int) -> Tensor:
        """Every signed logit, P = K."""
        return torch.diag_embed(2.0 * y.double() - 1)


ONE_OF_TWO, ONE_OF_MANY, EACH_LABEL = _OneOfTwo(), _OneOfMany(), _EachLabel()


def objective(target: Target) -> Objective:
    """The objective of a target."""
    if isinstance(target, Labels):
        return EACH_LABEL
    return ONE_OF_TWO if target.outputs == 1 else ONE_OF_MANY


def objective_of(y: Tensor, outputs: int) -> Objective:
    """The objective that y (N,) or (N, K) and the number of outputs can only mean."""
    if y.dim() == 2:
        return EACH_LABEL
    return ONE_OF_TWO if outputs == 1 else ONE_OF_MANY


def per_example_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Losses (N,) in nats of logits (N, K): see `objective_of` for what y may be."""
    return objective_of(y, logits.shape[1]).loss(logits, y)


def refuse_other_targets(logits: Tensor, y: Tensor) -> None:
    """Raises UsageError for y that are not what `per_example_loss` takes beside logits (N, K)."""
    n, classes = logits.shape
    remedy = "For other targets give their loss: loss=f, f(output, y) -> (N,) numbers, one per sequence"
    if y.shape not in ((n,), (n, classes)):
        raise UsageError(f"y has shape {tuple(y.shape)} where logits have {n, classes}: y is (N,) or (N, K). {remedy}")
    indices = y.dim() == 1 and classes > 1
    if indices and y.is_floating_point():
        raise UsageError(f"y holds {str(y.dtype).removeprefix('torch.')}; class indices are int64. {remedy}")
    highest = classes - 1 if indices else 1
    outside = y[~((y >= 0) & (y <= highest))]
    if len(outside):
        allowed = f"class indices of {classes} logits are 0 to {highest}" if indices else "labels are 0 and 1"
        raise UsageError(f"y holds {outside[0].item():g}; {allowed}. {remedy}")


def refuse_unless_per_example(losses: object, n: int) -> None:
    """Raises UsageError for what a caller's loss returned, where that is not one number per sequence."""
    if not isinstance(losses, Tensor) or losses.shape != torch.Size([n]):
        shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise UsageError(
            f"loss= returns {shape} for a batch of N = {n}; it returns one number per sequence, (N,): "
            "reduction='none', and y of the output's shape"
        )
