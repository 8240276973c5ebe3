"""What a network does with a target: the loss of its outputs, the link, and when a call stands.

One contract: an `Objective` is a set of functions of outputs (N, K) of a network and y, by the kinds of
`seqreg.targets`; y is what `Target.learned` gives. A network that seqreg builds carries the objective of what it learns
(`objective_for`); `objective_of` reads off outputs and y which one is meant, for callers who hold nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.networks.answers import Answers, Exclusive, Independent, Measured
from seqreg.targets import Labels, Target, Values

TOLERANCE = 0.5
"""Standard deviations of the training values within which a predicted value counts as the same."""


class Objective(Protocol):
    """Functions of outputs (N, K), in any floating-point type, and of y as the target has it, on the same device.

    term: what the loss is called in the history of a training. slack: how far margins are above 0 where all is well.
    """

    @property
    def term(self) -> str: ...  # noqa: D102

    @property
    def slack(self) -> float: ...  # noqa: D102

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(N,) losses, of classes in nats."""
        ...

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, columns) probabilities, or values in their unit: the link."""
        ...

    def call(self, outputs: Tensor) -> Tensor:
        """y that the outputs speak for."""
        ...

    def answers(self, outputs: Tensor) -> Answers:
        """The distribution that the outputs stand for."""
        ...

    def stands(self, y: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
        """u (N, P, K) and b (N, P), float64: y is called if and only if `u[n, p] . outputs[n] + b[n, p] > 0` for all p.

        K = outputs. A value is called if the output is within the tolerance of it.
        """
        ...


class _Certain:
    """What calls of classes and labels have in common: they stand where directions alone are above 0."""

    term, slack = "classification", 1.0

    def directions(self, y: Tensor, outputs: int) -> Tensor:
        """u (N, P, K)."""
        raise NotImplementedError

    def stands(self, y: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
        """The directions, and offsets of 0."""
        directions = self.directions(y, outputs)
        return directions, directions.new_zeros(directions.shape[:2])


class _OneOfTwo(_Certain):
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


class _OneOfMany(_Certain):
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


class _EachLabel(_Certain):
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


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value, y (N,) in standard deviations of the training values from their mean, as the one output (N, 1) is.

    The link is `centre + scale * output`. tolerance: how far an output may be from y and still be y, in the same.
    only: 1 where nothing but falling below it counts, -1 where nothing but rising above it does.
    """

    centre: float = 0.0
    scale: float = 1.0
    kind: str = "squared"
    tolerance: float = TOLERANCE
    slack: float = 0.0
    only: int = 0

    @property
    def term(self) -> str:
        """What the loss is called."""
        return f"{self.kind} error"

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(f - y)^2; Huber's is that up to an error of 1, and goes on as a straight line from there."""
        y = y.to(outputs.dtype)
        if self.kind == "huber":
            return 2 * F.huber_loss(outputs[:, 0], y, reduction="none")
        return (outputs[:, 0] - y).square()

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, 1) values in their unit."""
        return self.centre + self.scale * outputs

    def call(self, outputs: Tensor) -> Tensor:
        """(N,) the outputs themselves."""
        return outputs[:, 0]

    def answers(self, outputs: Tensor) -> Answers:
        """Values with an error of one size."""
        return Measured(outputs)

    def stands(self, y: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
        """f - y + t and y - f + t, P = 2; one of them where only one way counts."""
        y = y.double()
        if self.only:
            return torch.full((len(y), 1, 1), float(self.only), dtype=torch.float64, device=y.device), (
                self.tolerance - self.only * y[:, None]
            )
        directions = torch.tensor([[1.0], [-1.0]], dtype=torch.float64, device=y.device).expand(len(y), 2, 1)
        return directions, self.tolerance + torch.stack([-y, y], 1)


ONE_OF_TWO, ONE_OF_MANY, EACH_LABEL = _OneOfTwo(), _OneOfMany(), _EachLabel()


def objective(target: Target) -> Objective:
    """The objective of a target."""
    if isinstance(target, Values):
        return Value(centre=target.centre, scale=target.scale, kind=target.loss)
    if isinstance(target, Labels):
        return EACH_LABEL
    return ONE_OF_TWO if target.outputs == 1 else ONE_OF_MANY


def objective_of(y: Tensor, outputs: int) -> Objective:
    """The objective that y (N,) or (N, K) and the number of outputs can only mean."""
    if y.dim() == 2:
        return EACH_LABEL
    return ONE_OF_TWO if outputs == 1 else ONE_OF_MANY


def objective_for(model: Callable[..., Any] | None, y: Tensor, outputs: int) -> Objective:
    """The objective of what a network learns, or, where it does not know, what y and the outputs can only mean."""
    own = getattr(model, "objective", None)
    return objective_of(y, outputs) if own is None else own


def per_example_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Losses (N,) in nats of logits (N, K): see `objective_of` for what y may be."""
    return objective_of(y, logits.shape[1]).loss(logits, y)


def refuse_other_targets(logits: Tensor, y: Tensor, objective: Objective) -> None:
    """Raises UsageError for y that are not what the loss of the objective takes beside logits (N, K)."""
    n, classes = logits.shape
    if isinstance(objective, Value):
        if y.shape != (n,) or not bool(y.isfinite().all()):
            raise UsageError(f"y has shape {tuple(y.shape)}; the values that this network learns are (N,) and finite")
        return
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
