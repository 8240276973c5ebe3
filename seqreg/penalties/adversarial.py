"""How far a small perturbation can move a logit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seqreg.attacks import Point, ascend, origin
from seqreg.networks import InputView
from seqreg.penalties.base import Penalty, over_batch
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class Adversarial(Penalty):
    """`weight * sum_k max_i (f_k(x_i + delta_ik) - f_k(x_i))^2`, `||delta_ik||_2 <= epsilon` (Bietti et al., 2019).

    delta_ik climbs the signed difference, whose square has no gradient at zero, in `steps` normalised steps of
    1.5 epsilon / steps, and is held constant when the square is differentiated; a climb that ends below its start
    counts as delta = 0. `signs=2` descends the difference as well and takes the larger square.
    """

    parts_may_follow: ClassVar[bool] = True
    weight: float = hyper(1.0, "strength lambda", low=0)
    epsilon: float = hyper(0.1, "radius of the l2 ball around one-hot x", low=0)
    steps: int = hyper(5, "ascent steps", low=1)
    signs: int = hyper(1, "1: upwards, as in the paper; 2: also downwards", low=1, high=2)
    over: str = hyper("max", "how examples of a batch are joined", choices=("max", "mean"))

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; does not look at y."""
        if self.over == "mean" or not view.separable:
            clean = view.forward(view.x)
            everyone = torch.arange(len(clean), device=clean.device)
            moves = [
                view.forward(view.x.detach() + _steepest(climbs, rise, everyone))[:, k] - clean[:, k]
                for k, rise, climbs in self._ascents(origin(view))
            ]
            return self.weight * over_batch(torch.stack(moves).square(), self.over, dim=1).sum()
        rows, deltas = [], []
        for _, rise, climbs in self._ascents(origin(view)):
            rows.append(rise.amax(0).argmax()[None])
            deltas.append(_steepest(climbs, rise, rows[-1]))
        winners = view.rows(torch.cat(rows))
        moved = winners.forward(winners.x.detach() + torch.cat(deltas)) - winners.forward(winners.x)
        return self.weight * moved.diagonal().square().sum()

    def _ascents(self, start: Point) -> Iterator[tuple[int, Tensor, list[Point]]]:
        """For each class: its number, by how much each sign's climb moves the logit (S, N), and where it ends."""
        step_size = 1.5 * self.epsilon / self.steps
        for k in range(start.logits.shape[1]):
            climbs, rises = [], []
            for sign in (1, -1)[: self.signs]:
                end = ascend(
                    start,
                    lambda logits, k=k, sign=sign: sign * logits[:, k],
                    epsilon=self.epsilon,
                    steps=self.steps,
                    step_size=step_size,
                )
                climbs.append(end)
                rises.append(sign * (end.logits - start.logits)[:, k].detach())
            yield k, torch.stack(rises), climbs


def _steepest(climbs: list[Point], rise: Tensor, rows: Tensor) -> Tensor:
    """Perturbations (n, A, L) of rows (n,): by the climb whose rise (S, N) is largest, or zero if none rises."""
    top, which = rise[:, rows].max(0)
    delta = climbs[0].delta(rows)
    for sign, climb in enumerate(climbs[1:], start=1):
        delta = torch.where((which == sign)[:, None, None], climb.delta(rows), delta)
    return delta * (top > 0)[:, None, None]
