"""Would more data help? Scores at several numbers of training sequences, and what a power law makes of them.

The error of a score is its distance from the best there is. It is taken to fall as `E (r + (1 - r) (n / N)^-c)`: E at
the largest number N, of which the share r stays however many sequences there are. All r and c of a grid are weighed by
how well they agree with the scores, which were measured on the same held-out sequences at every n, so that what these
have in common hardly counts; what remains open makes the interval wide. E is known as well as the mean over folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from seqreg.evaluation.intervals import LEVEL, Interval
from seqreg.metrics import Metric
from seqreg.records import to_plain

Array = NDArray[np.float64]
SHARES = np.linspace(0.0, 1.0, 11)  # of the error at N that stays
EXPONENTS = np.linspace(0.1, 1.0, 10)
MOST_SHARED = 0.95  # correlation of the scores at two sizes on one fold
LEAST_SPREAD = 0.005  # of scores over folds: a few held-out sequences may agree by chance
LEVELS = 41  # quantiles at which E is looked at
# Trainings on other sequences of the same number differ by so much of their error: `logistic regression` in
# benchmarks/results/learning_curve.tsv, .08 of amp, .13 of splice.
LUCK, LUCKS = 0.1, 15  # as a standard deviation, and quantiles at which it is looked at


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningCurve:
    """metric: what was measured. sizes (S,), rising: sequences learned from. scores (S, K): on K folds, K >= 2."""

    metric: Metric
    sizes: Array
    scores: Array

    @property
    def means(self) -> Array:
        """(S,) over folds."""
        return self.scores.mean(axis=1)

    @property
    def best(self) -> float:
        """The score without error."""
        if self.metric.range is None:
            return 0.0
        return self.metric.range[0 if self.metric.less_is_better else 1]

    @cached_property
    def _fitted(self) -> tuple[Array, Array, Array, Array]:
        """r, c, E and weight of every law that is looked at, each (G LEVELS,)."""
        r, c = (each.ravel() for each in np.meshgrid(SHARES, EXPONENTS, indexing="ij"))
        shapes = _shape(r[:, None], c[:, None], self.sizes / self.sizes[-1])
        error, folds = np.abs(self.best - self.means), self.scores.shape[1]
        inverse = np.linalg.inv(_covariance(self.scores))
        precision = np.einsum("gs,st,gt->g", shapes, inverse, shapes)
        level = shapes @ inverse @ error / precision
        misfit = error - level[:, None] * shapes
        distance = np.einsum("gs,st,gt->g", misfit, inverse, misfit)
        freedom = folds - 1
        weight = (1 + distance / freedom) ** (-(freedom + len(self.sizes)) / 2) / np.sqrt(precision)
        quantiles = stdtrit(freedom, (np.arange(LEVELS) + 0.5) / LEVELS)
        errors = np.maximum(level[:, None] + quantiles / np.sqrt(precision)[:, None], 0.0)
        r, c, weight = (np.repeat(each, LEVELS) for each in (r, c, weight / weight.sum() / LEVELS))
        return r, c, errors.ravel(), weight

    def score(self, n: int) -> tuple[float, Interval]:
        """What n sequences would give: median and 95 % interval."""
        r, c, level, weight = self._fitted
        error = level * _shape(r, c, np.array(n / self.sizes[-1]))
        return self._summed(self.best + (error if self.metric.less_is_better else -error), weight)

    def gain(self, now: int, n: int) -> tuple[float, Interval]:
        """By how much n sequences would change the score that `now` give: median and 95 % interval.

        The interval is for two trainings, each with its luck in what it learns from. More is taken never to harm.
        """
        r, c, level, weight = self._fitted
        errors = [level * _shape(r, c, np.array(each / self.sizes[-1])) for each in (now, n)]
        luck = LUCK * np.hypot(*errors)[:, None] * ndtri((np.arange(LUCKS) + 0.5) / LUCKS)
        fall = np.maximum((errors[0] - errors[1])[:, None] + luck, 0.0).ravel()
        return self._summed(-fall if self.metric.less_is_better else fall, np.repeat(weight / LUCKS, LUCKS))

    @staticmethod
    def _summed(values: Array, weight: Array) -> tuple[float, Interval]:
        order = np.argsort(values, kind="stable")
        below = np.cumsum(weight[order]) - weight[order] / 2
        low, middle, high = np.interp([(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], below, values[order])
        return float(middle), (float(low), float(high))

    def to_plain(self, name: str, now: int) -> dict[str, Any]:
        """What metrics.json holds. name: of the metric. now: sequences that there are to learn from."""
        points = [
            {"trained_on": round(size), "value": mean, "folds": of_folds}
            for size, mean, of_folds in zip(self.sizes.tolist(), self.means, self.scores.tolist(), strict=True)
        ]
        more = []
        for times in (1, 2):
            extra = _round(times * now)
            (gain, of_gain), (score, of_score) = self.gain(now, now + extra), self.score(now + extra)
            more.append(
                {"sequences": extra, "gain": gain, "interval": of_gain, "value": score, "value_interval": of_score}
            )
        sentence = said(self.metric, more[0]["sequences"], more[0]["gain"], more[0]["interval"])
        return to_plain({"metric": name, "points": points, "more": more, "sentence": sentence})


def learning_curve(metric: Metric, sizes: ArrayLike, scores: Sequence[Sequence[float | None]]) -> LearningCurve | None:
    """The curve through scores (S, K) at sizes (S,), without the folds in which one of them is undefined.

    None where fewer than two folds or sizes are left, and for a metric of which nobody knows what is best.
    """
    values = np.array([[np.nan if each is None else each for each in row] for row in scores], dtype=np.float64)
    values = values[:, ~np.isnan(values).any(axis=0)]
    if min(values.shape) < 2 or (metric.range is None and not metric.less_is_better):
        return None
    return LearningCurve(metric=metric, sizes=np.asarray(sizes, dtype=np.float64), scores=values)


def said(metric: Metric, extra: int, gain: float, interval: Interval) -> str:
    """The answer, in one sentence."""
    low, high = sorted(abs(each) for each in interval)
    does = "lower" if metric.less_is_better else "add"
    by = (
        f"the {metric.title} by about {abs(gain):.3f}" if does == "lower" else f"about {gain:.3f} to the {metric.title}"
    )
    return (
        f"Would more data help? {extra:,} more sequences like these would {does} {by} (95 % interval {low:.3f} to "
        f"{high:.3f}, by a power law through a quarter, half, three quarters and all of them)."
    )


def _shape(r: Array, c: Array, share: Array) -> Array:
    """r + (1 - r) share^-c, the error relative to that at share 1."""
    return r + (1 - r) * share**-c


def _covariance(scores: Array) -> Array:
    """(S, S) of means over folds: the same variance and correlation for all sizes, as few folds cannot say more.

    Its factor is that of the corrected resampled t-test, as training parts overlap.
    """
    folds = scores.shape[1]
    apart = scores - scores.mean(axis=1, keepdims=True)
    found = apart @ apart.T / (folds - 1)
    variance = max(float(np.trace(found)) / len(found), LEAST_SPREAD**2)
    shared = (found.sum() - np.trace(found)) / (len(found) * (len(found) - 1) * variance)
    shared = float(np.clip(shared, 0.0, MOST_SHARED))
    both = variance * ((1 - shared) * np.eye(len(found)) + shared)
    return both * (1 / folds + 1 / (folds - 1))


def _round(n: int) -> int:
    """To two digits."""
    unit = 10 ** max(0, len(str(n)) - 2)
    return max(1, round(n / unit)) * unit
