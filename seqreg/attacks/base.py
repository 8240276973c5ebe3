"""What all attacks have in common: how they are called, on seqreg's networks and on anybody's."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from seqreg.networks import InputView, Loss, open_batch
from seqreg.specs import Spec


@dataclass(frozen=True, kw_only=True)
class Attack(Spec, ABC):
    """A maker of worst-case inputs; its fields are hyperparameters."""

    def __call__(
        self,
        model: Callable[..., Any],
        x: Tensor,
        y: Tensor,
        *,
        lengths: Tensor | None = None,
        inputs: Tensor | Sequence[Tensor] = (),
        output: Callable[[Any], Tensor] | None = None,
        loss: Loss | None = None,
    ) -> Tensor:
        """x_adv, without graph: one-hot plus a perturbation (N, A, L), or letters in the form of x.

        model: one of seqreg's networks, or any that maps one-hot x to logits (N, K), or (N,) for one logit. x: one-hot
        (N, A, L), or ids (N, L) uint8 for seqreg's networks. y: targets. lengths: (N,) letters of each sequence;
        without them all have L; score x_adv together with them, for padding is never changed.
        inputs: what the network takes beside x, `model(x, *inputs)`: tensors whose first axis is N. output: from what
        it returns to its logits, if it does not return them. loss: `f(output, y) -> (N,)` in the place of the
        classification loss.
        Raises UsageError where x, y or what the network returns are not as said here.
        """
        with open_batch(model, x, y, lengths, inputs=inputs, output=output, loss=loss) as (view, y):
            found = self.worst(view, y).detach()
        return found.to(x.dtype) if x.dim() == 3 else found

    @abstractmethod
    def worst(self, view: InputView, y: Tensor) -> Tensor:
        """x_adv of a batch."""
