"""What all penalties have in common: how they are called, on seqreg's networks and on anybody's."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqreg.networks import InputView, Loss, open_batch
from seqreg.specs import Spec


@dataclass(frozen=True, kw_only=True)
class Penalty(Spec, ABC):
    """A term added to the loss, differentiable in the weights of a network; its fields are hyperparameters.

    parts_may_follow: whether parts of a sum that are too dear to be looked at anew in each step may be left out, and be
    shrunk with the others: where it asks how far logits move, not what they are, and nothing is to be proved.
    """

    parts_may_follow: ClassVar[bool] = False

    def __call__(
        self,
        model: Callable[..., Any],
        x: Tensor,
        y: Tensor,
        *,
        progress: float = 1.0,
        lengths: Tensor | None = None,
        inputs: Tensor | Sequence[Tensor] = (),
        output: Callable[[Any], Tensor] | None = None,
        loss: Loss | None = None,
    ) -> Tensor:
        """Penalty [], without graph where the caller has switched gradients off.

        model: one of seqreg's networks, or any that maps one-hot x to logits (N, K), or (N,) for one logit. x: one-hot
        (N, A, L), or ids (N, L) uint8 for seqreg's networks. y: targets. progress: in [0, 1], how far training has
        come. lengths: (N,) letters of each sequence; without them all have L.
        inputs: what the network takes beside x, `model(x, *inputs)`: tensors whose first axis is N. output: from what
        it returns to its logits, if it does not return them. loss: `f(output, y) -> (N,)` in the place of the
        classification loss.
        Raises UsageError where x, y or what the network returns are not as said here.
        """
        with open_batch(model, x, y, lengths, inputs=inputs, output=output, loss=loss) as (view, y):
            value = self.value(view, y, progress)
        return value if torch.is_grad_enabled() else value.detach()

    @abstractmethod
    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty [] of a batch."""


def over_batch(values: Tensor, over: str, dim: int = 0) -> Tensor:
    """(K,) the largest or the mean of values of a batch, N along `dim`."""
    return values.mean(dim) if over == "mean" else values.amax(dim)
