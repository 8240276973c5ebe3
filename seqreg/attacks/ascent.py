"""Projected gradient ascent around the sequences of a batch.

A point is a batch with one perturbation delta per sequence, `||delta|| <= epsilon`, zero on padding; points are
values, `climb` makes the next one. The network is called as it is: in training mode seqreg's draw dropout anew at
every point, others keep one draw. Nothing is written to any `.grad`, and no random number is drawn here.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from seqreg.attacks.ball import project, steepest
from seqreg.networks import InputView, input_gradient
from seqreg.networks.best_windows import BestWindows
from seqreg.networks.lookup import Cover, first_argmax


class Point(Protocol):
    """What an ascent needs of where it stands."""

    @property
    def logits(self) -> Tensor:
        """Logits (N, K) at x + delta, to compute an objective from."""
        ...

    def climb(self, values: Tensor, step: float, epsilon: float) -> "Point":
        """The point one step up the gradient of values (N,), which are computed from `logits`, and into the ball."""
        ...

    def delta(self, rows: Tensor | None = None) -> Tensor:
        """Perturbations (N, A, L), or those of rows (n,) int64."""
        ...


def origin(view: InputView, norm: str = "l2") -> Point:
    """The point delta = 0, from which any number of ascents can start: its scores are computed once."""
    windows = view.best_windows if norm == "l2" else None
    if windows is None:
        return _DensePoint(view, norm, None)
    return _Joined([_WindowPoint.at_zero(piece) for piece in windows.pieces()])


def ascend(
    start: Point, objective: Callable[[Tensor], Tensor], *, epsilon: float, steps: int, step_size: float
) -> Point:
    """Projected ascent on `objective(logits) -> (N,)`, by normalised (l2) or signed (linf) gradients."""
    point = start
    for _ in range(steps):
        point = point.climb(objective(point.logits), step_size, epsilon)
    return point


class _DensePoint:
    """A perturbation (N, A, L) held as it is; None is zero, where networks of seqreg look the scores up."""

    def __init__(self, view: InputView, norm: str, delta: Tensor | None) -> None:
        self._view, self._norm, self._delta = view, norm, delta
        self._leaf = view.x if delta is None else (view.x.detach() + delta).requires_grad_()
        self.logits = view.forward(self._leaf)

    def climb(self, values: Tensor, step: float, epsilon: float) -> "_DensePoint":
        shared = (
            self._delta is None
        )  # any number of ascents start at zero; elsewhere memory is freed for the next point
        gradient = input_gradient(values.sum(), self._leaf, retain_graph=shared)
        move = step * steepest(self._view.masked(gradient), self._norm)
        moved = move if self._delta is None else self._delta + move
        return _DensePoint(self._view, self._norm, project(moved, epsilon, self._norm))

    def delta(self, rows: Tensor | None = None) -> Tensor:
        whole = torch.zeros_like(self._view.x) if self._delta is None else self._delta
        return whole if rows is None else whole[rows]


class _WindowPoint:
    """A perturbation known as the filters it is made of, beside the score of every window: l2 only.

    The gradient u, filters placed at the best windows with strengths g, is never formed either: its inner product
    with any perturbation v is `sum_c g_c (what v adds to the score of filter c at its window)`.
    """

    def __init__(self, windows: BestWindows, scores: Tensor, starts: Tensor, strengths: Tensor, square: Tensor) -> None:
        self._windows, self._scores = windows, scores
        self._placed = starts, strengths  # windows and strengths (N, S C) of the filters of S steps
        self._square = square  # ||delta||^2 (N, 1)
        self._starts = first_argmax(scores)
        self._best = self._at_starts(scores).requires_grad_()
        self.logits = windows.logits(self._best)

    @staticmethod
    def at_zero(windows: BestWindows) -> "_WindowPoint":
        none = windows.scores[:, 0, :0]
        return _WindowPoint(windows, windows.scores, none.long(), none, windows.scores.new_zeros(len(none), 1))

    @cached_property
    def _cover(self) -> Cover:
        return self._windows.windows_covered(self._starts)

    def climb(self, values: Tensor, step: float, epsilon: float) -> "_WindowPoint":
        (g,) = torch.autograd.grad(values.sum(), self._best, retain_graph=True)
        with torch.no_grad():
            clean = self._windows.scores
            effect = self._cover.add(self._windows.filters.correlations, g)
            norm = (g * self._at_starts(effect)).sum(1, keepdim=True).clamp(min=0).sqrt()
            size = step / torch.where(norm > 0, norm, torch.inf)
            inner = (g * (self._best - self._at_starts(clean))).sum(1, keepdim=True)
            square = self._square + 2 * size * inner + (size * norm).square()
            scores = torch.addcmul(self._scores, effect, size[:, :, None], out=effect)  # fresh memory is slow memory
            starts = torch.cat([self._placed[0], self._starts], 1)
            strengths = torch.cat([self._placed[1], size * g], 1)
            shrink = torch.where(square > epsilon**2, epsilon / square.clamp(min=0).sqrt(), 1)
            if bool((shrink < 1).any()):
                torch.lerp(clean, scores, shrink[:, :, None], out=scores)
                strengths, square = strengths * shrink, square * shrink.square()
        return _WindowPoint(self._windows, scores, starts, strengths, square)

    def delta(self, rows: Tensor | None = None) -> Tensor:
        starts, strengths = self._placed if rows is None else (self._placed[0][rows], self._placed[1][rows])
        return self._windows.place(starts, strengths)

    def _at_starts(self, scores: Tensor) -> Tensor:
        return scores.gather(1, self._starts[:, None]).squeeze(1)


class _Joined:
    """Points of the parts of a batch, as one."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self.logits = torch.cat([point.logits for point in points])

    def climb(self, values: Tensor, step: float, epsilon: float) -> "_Joined":
        return _Joined([point.climb(values, step, epsilon) for point in self._points])

    def delta(self, rows: Tensor | None = None) -> Tensor:
        if rows is None:
            return torch.cat([point.delta() for point in self._points])
        deltas, places, first = [], [], 0
        for point in self._points:
            mine = torch.nonzero((rows >= first) & (rows < first + len(point.logits))).flatten()
            deltas.append(point.delta(rows[mine] - first))
            places.append(mine)
            first += len(point.logits)
        return torch.cat(deltas)[torch.cat(places).argsort()]
