"""Is the model worth having? One sentence, from the difference to a simple model on the same test sequences.

The rival is the baseline that cross-validation on the training part preferred: to take the best by test score would
call a model worse than its equals far more often than one says. Both are scored on the same resamples of the test
part, and the interval of the difference decides: ahead, behind, or a tie.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from seqreg.evaluation.intervals import LEVEL, Interval, Units, flat_interval, informative, resample
from seqreg.metrics import Metric
from seqreg.records import to_plain
from seqreg.targets import Target

Outcome = Literal["ahead", "tie", "behind", "guessing"]
RESAMPLES = 2000
_FLAT = 1e-9

Rival = tuple[str, ArrayLike]  # name of a baseline, and its p (N, K)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `verdict` in metrics.json holds.

    outcome: `guessing` where the model's own interval holds chance, else what the difference says. against: the
    baseline; None where none was scored, and the difference is to chance. metric: its name in `METRICS`. difference:
    model minus baseline. interval: 95 %, never of width 0. sentence: all of it in words. next: a command.
    """

    outcome: Outcome
    against: str | None
    metric: str
    difference: float
    interval: Interval
    sentence: str
    next: str

    def to_plain(self) -> dict[str, Any]:
        """The same in JSON's own types."""
        return to_plain(vars(self))

    def advising(self, steps: Mapping[str, Sequence[str]]) -> "Verdict":
        """The same, with the command for its outcome."""
        return replace(self, next=shlex.join(steps[self.outcome]))


def judge(
    target: Target,
    y: ArrayLike,
    p: ArrayLike,
    rival: Rival | None,
    *,
    groups: ArrayLike | None = None,
    own: Interval | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Verdict | None:
    """The verdict on a model's p (N, K) for sequences of labels y; None where no metric that decides is defined.

    rival: the baseline by name and its p (N, K); None for none. groups (N,): what is drawn as a whole. own: the
    interval of the model's own metric, by which it is told from guessing. `next` is left empty (see `advising`).
    """
    y, p = np.asarray(y), np.asarray(p, dtype=np.float64)
    other = None if rival is None else np.asarray(rival[1], dtype=np.float64)
    keys = [each for each in (groups if groups is None else np.asarray(groups, dtype=np.str_),) if each is not None]
    order = np.lexsort((*keys, *(() if other is None else other.T), *p.T, *np.atleast_2d(y.T)))
    y, p = y[order], p[order]
    units = Units.of(len(y), target.one_class(y), None if groups is None else np.asarray(groups, dtype=np.str_)[order])
    once = {"positive": target.positive_index, "counts": np.ones((1, len(y)))}
    values = {name: float(target.metrics[name](y, p, **once)[0]) for name in target.headline if len(y)}
    name = next((name for name, value in values.items() if not np.isnan(value)), None)
    if name is None:
        return None
    metric, value = target.metrics[name], values[name]
    how: dict[str, Any] = {"positive": target.positive_index, "seed": seed, "resamples": resamples}
    models = [p] if other is None else [p, other[order]]
    drawn = resample({name: metric}, y, models, units, **how)[name]
    n = informative(metric, units, y)
    own = own or _interval(metric, drawn[0], value, units, n)
    if other is None:
        return _alone(metric, name, value, own)
    assert rival is not None
    theirs = float(metric(y, models[1], **once)[0])
    limits = difference_interval(metric, drawn[0] - drawn[1], (value, theirs), units, n)
    if limits is None:
        return None
    outcome: Outcome = "tie"
    if metric.chance is not None and own[0] <= metric.chance <= own[1]:
        outcome = "guessing"
    elif limits[0] > 0 or limits[1] < 0:
        outcome = "ahead" if (limits[0] > 0) != metric.less_is_better else "behind"
    said = in_numbers(outcome, rival[0], metric, (value, theirs), limits, own)
    difference = value - theirs
    return Verdict(
        outcome=outcome,
        against=rival[0],
        metric=name,
        difference=difference,
        interval=limits,
        sentence=said,
        next="",
    )


def difference_interval(
    metric: Metric, drawn: NDArray[np.float64], values: tuple[float, float], units: Units, n: int
) -> Interval | None:
    """The 95 % interval of values[0] - values[1] from its resamples (B,), of n informative units.

    Percentiles of the bootstrap are too narrow by sqrt((m - 1) / m), and by the normal distribution in place of
    Student's, m being the units of the smallest stratum. They are taken further out, at Phi(-t_{m-1} sqrt(m / (m - 1)))
    (the expanded percentile interval: Hesterberg, The American Statistician 2015); benchmarks/verdicts.py has the rates
    at which it errs. Where no resample differs, both values' Wilson intervals are put together as Newcombe does
    (Statistics in Medicine 1998, method 10); None for a metric without a range.
    """
    difference = values[0] - values[1]
    m = max(2, units.fewest)
    tail = ndtr(-np.sqrt(m / (m - 1)) * stdtrit(m - 1, (1 + LEVEL) / 2))
    defined = drawn[~np.isnan(drawn)]
    if len(defined):
        low, high = np.quantile(defined, [tail, 1 - tail])
        if high - low > _FLAT:
            return float(min(low, difference)), float(max(high, difference))
    both = [flat_interval(metric, value, n) for value in values]
    (a, b), ours, theirs = values, *both
    if ours is None or theirs is None:
        return None
    below = float(np.hypot(a - ours[0], theirs[1] - b))
    above = float(np.hypot(ours[1] - a, b - theirs[0]))
    return difference - below, difference + above


def _interval(metric: Metric, drawn: NDArray[np.float64], value: float, units: Units, n: int) -> Interval:
    """The percentile interval of the model alone; the value twice where nothing else can be said."""
    defined = drawn[~np.isnan(drawn)]
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(defined) else (value, value)
    if high - low <= _FLAT:
        return flat_interval(metric, value, n) or (value, value)
    return float(min(low, value)), float(max(high, value))


def _alone(metric: Metric, name: str, value: float, own: Interval) -> Verdict | None:
    """The verdict where no baseline was scored: the model against chance."""
    if metric.chance is None:
        return None
    guessing = own[0] <= metric.chance <= own[1]
    better = (value > metric.chance) != metric.less_is_better
    outcome: Outcome = "guessing" if guessing else "ahead" if better else "behind"
    said = _against_chance(outcome, metric, value, own)
    interval = own[0] - metric.chance, own[1] - metric.chance
    return Verdict(
        outcome=outcome,
        against=None,
        metric=name,
        difference=value - metric.chance,
        interval=interval,
        sentence=said,
        next="",
    )


def in_numbers(
    outcome: Outcome, rival: str | None, metric: Metric, values: tuple[float, float], limits: Interval, own: Interval
) -> str:
    """The sentence, from the values of both, the interval of their difference and that of the model's own."""
    if rival is None:
        return _against_chance(outcome, metric, values[0], own)
    pair = f"{metric.title} {_number(values[0])} against {_number(values[1])}"
    interval = f"95 % interval {with_sign(limits[0])} to {with_sign(limits[1])}"
    apart = f"a difference of {with_sign(values[0] - values[1])}, {interval}"
    if outcome == "guessing":
        return (
            f"No better than guessing: the 95 % interval of its {metric.title}, {_number(own[0])} to "
            f"{_number(own[1])}, holds {metric.chance:g} (simple model “{rival}”: {_number(values[1])})."
        )
    if outcome == "ahead":
        return f"Ahead of the best simple model, “{rival}”: {pair}, {apart}."
    if outcome == "behind":
        return f"Behind the simple model “{rival}”: {pair}, {apart}."
    return f"A tie with the best simple model, “{rival}”: {pair}, {apart}, so these sequences cannot tell them apart."


def _against_chance(outcome: Outcome, metric: Metric, value: float, own: Interval) -> str:
    head = {"guessing": "No better than guessing", "behind": "Worse than guessing"}.get(outcome, "Better than guessing")
    return (
        f"{head}: {metric.title} {_number(value)} (95 % interval {_number(own[0])} to {_number(own[1])}, guessing "
        f"gives {metric.chance:g}); no other model was scored beside it."
    )


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def with_sign(value: float) -> str:
    """With a sign and as many decimals as it needs not to be 0."""
    digits = next((d for d in (3, 4, 5, 6) if round(abs(value), d) > 0), 3)
    return f"{value:+.{digits}f}".replace("-", "−")
