"""What scores on the folds of a repeated cross-validation say: means, and a test of their differences.

Models of different folds share most of what they learned from, so that their scores are not independent and the usual
t-test finds differences where there are none. The corrected resampled t-test takes the variance of a mean over K folds,
R times, as `s^2 (1 / (K R) + 1 / (K - 1))`, with K R - 1 degrees of freedom: 1 / (K - 1) is what is tested for each
that was trained on (Nadeau and Bengio, Machine Learning 2003; Bouckaert and Frank, PAKDD 2004). It speaks of the
procedure, trained on (K - 1) / K of the sequences, and not of one model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from seqreg.evaluation.intervals import LEVEL, Interval, flat_interval
from seqreg.evaluation.verdict import Outcome, Verdict, in_numbers
from seqreg.metrics import Metric
from seqreg.targets import Target

_FLAT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean of scores over folds: its 95 % interval, and p of a test against 0; None where nothing varies."""

    value: float
    interval: Interval | None
    p: float | None


def mean_over_folds(scores: ArrayLike, folds: int) -> Mean:
    """The mean of (K R,) scores of K folds, drawn R times, by the corrected resampled t-test."""
    scores = np.asarray(scores, dtype=np.float64)
    n, value = len(scores), float(scores.mean())
    error = float(np.sqrt(scores.var(ddof=1) * (1 / n + 1 / (folds - 1)))) if n > 1 else 0.0
    if error <= _FLAT:
        return Mean(value=value, interval=None, p=None)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(n - 1, -abs(value) / error))
    return Mean(value=value, interval=(value - half, value + half), p=p)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p: the k-th smallest of m is multiplied by m - k + 1, never below a smaller one's, at most 1.

    Rejecting adjusted p < alpha keeps the chance of any false rejection below alpha. Source: Holm (1979).
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def metric_interval(metric: Metric, scores: ArrayLike, folds: int, n: int) -> Interval | None:
    """The 95 % interval of the mean of a metric over folds, within its range; n: independent sequences behind it."""
    found = mean_over_folds(scores, folds)
    if found.interval is None:
        return flat_interval(metric, found.value, n)
    if metric.range is None:
        return found.interval
    bottom, top = metric.range
    return max(bottom, found.interval[0]), min(top, found.interval[1])


def difference_over_folds(
    metric: Metric, ours: ArrayLike, theirs: ArrayLike, folds: int, n: int
) -> tuple[Mean, Interval]:
    """The mean difference of a metric over (K R,) folds, and its 95 % interval.

    Where no fold differs from another, the intervals of both means are put together as Newcombe does; n: independent
    sequences behind them.
    """
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    found = mean_over_folds(ours - theirs, folds)
    if found.interval is not None:
        return found, found.interval
    means = float(ours.mean()), float(theirs.mean())
    (low, high), (their_low, their_high) = (flat_interval(metric, each, n) or (each, each) for each in means)
    below = float(np.hypot(means[0] - low, their_high - means[1]))
    above = float(np.hypot(high - means[0], means[1] - their_low))
    return found, (found.value - below, found.value + above)


def judge_folds(
    target: Target,
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float] | None,
    *,
    rival: str | None,
    folds: int,
    n: int,
) -> Verdict | None:
    """The verdict on a procedure from its scores on each of K R folds, and those of the baseline that each fold's
    training part preferred.

    name: of the metric. rival: the baseline preferred most often. n: independent sequences, for intervals where no fold
    differs. None where neither a rival nor chance is there to compare with.
    """
    metric, value = target.metrics[name], float(np.mean(ours))
    own = metric_interval(metric, ours, folds, n)
    if own is None or (theirs is None and metric.chance is None):
        return None
    against = np.full(len(ours), metric.chance) if theirs is None else np.asarray(theirs, dtype=np.float64)
    difference, limits = difference_over_folds(metric, ours, against, folds, n)
    outcome: Outcome = "tie"
    if metric.chance is not None and own[0] <= metric.chance <= own[1]:
        outcome = "guessing"
    elif limits[0] > 0 or limits[1] < 0:
        outcome = "ahead" if (limits[0] > 0) != metric.less_is_better else "behind"
    said = in_numbers(outcome, rival, metric, (value, float(against.mean())), limits, own)
    return Verdict(
        outcome=outcome,
        against=rival,
        metric=name,
        difference=difference.value,
        interval=limits,
        sentence=f"{said} (Means over {len(ours)} folds: this speaks of the procedure, not of one model.)",
        next="",
    )
