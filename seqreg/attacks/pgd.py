"""The loss's worst case in a ball around each sequence, by projected gradient ascent."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqreg.attacks.ascent import ascend, origin
from seqreg.attacks.ball import project
from seqreg.attacks.base import Attack
from seqreg.networks import InputView
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class PGD(Attack):
    """x + delta that ascends the loss, `||delta|| <= epsilon` in l2 or linf (Madry et al., ICLR 2018).

    Steps follow the normalised gradient (l2) or its signs (linf) from delta = 0, each of size `step_size`, by default
    1.5 epsilon / steps. A sequence whose loss did not rise keeps delta = 0, so no loss is below the clean one
    (seqreg's networks in training mode with dropout are compared under two draws, others under one).
    """

    epsilon: float = hyper(1.0, "radius of the ball around one-hot x", low=0)
    norm: str = hyper("l2", "norm of the ball", choices=("l2", "linf"))
    steps: int = hyper(5, "ascent steps", low=1)
    step_size: float | None = hyper(None, "size of a step; none for 1.5 epsilon / steps", above=0)

    def worst(self, view: InputView, y: Tensor) -> Tensor:
        """x_adv (N, A, L), one-hot plus delta."""
        step_size = 1.5 * self.epsilon / self.steps if self.step_size is None else self.step_size

        def loss(logits: Tensor) -> Tensor:
            return view.losses(logits, y)

        clean = origin(view, self.norm)
        point = ascend(clean, loss, epsilon=self.epsilon, steps=self.steps, step_size=step_size)
        with torch.no_grad():
            rose = loss(point.logits) > loss(clean.logits)
            delta = project(point.delta(), self.epsilon, self.norm)
            return view.x + delta * rose[:, None, None]
