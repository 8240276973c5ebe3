"""How uncertain a metric is because the test part is small: percentile bootstrap intervals.

What is drawn are units: sequences, or the groups that they come in, as members of a group tell less than as many
strangers. No interval has width 0: where no resample differs, the metric's range and the number of units give one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from seqreg.metrics import Metric

Interval = tuple[float, float]
LEVEL = 0.95
_CELLS_AT_ONCE = 2_000_000
_FLAT = 1e-9  # width below which an interval has none but rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """What a bootstrap draws: unit (N,) number of each sequence's unit, stratum (U,) of each unit.

    Draws are made within each stratum, so that every resample has the sizes of the data.
    """

    unit: NDArray[np.int64]
    stratum: NDArray[np.int64]

    @classmethod
    def of(cls, n: int, strata: ArrayLike | None, groups: ArrayLike | None = None) -> "Units":
        """n sequences of strata (N,), in groups (N,) by name, "" for one of its own; a group's stratum is its most
        frequent one.
        """
        within = np.zeros(n, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
        if groups is None:
            return cls(unit=np.arange(n), stratum=within)
        unit = units_of_groups(groups)
        counts = np.zeros((int(unit.max(initial=-1)) + 1, int(within.max(initial=0)) + 1))
        np.add.at(counts, (unit, within), 1)
        return cls(unit=unit, stratum=counts.argmax(axis=1))

    @property
    def fewest(self) -> int:
        """Units of the smallest stratum."""
        return int(np.unique(self.stratum, return_counts=True)[1].min(initial=len(self.stratum)))

    def draw(self, resamples: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """(B, N) how often each sequence is drawn."""
        return draw_counts(self.stratum, resamples, generator)[:, self.unit]


def units_of_groups(groups: ArrayLike) -> NDArray[np.int64]:
    """(N,) numbers of groups (N,) by name; a sequence without a name is a group of its own."""
    groups = np.asarray(groups, dtype=np.str_)
    alone = np.array([f"\0{i}" for i in range(len(groups))])
    return np.unique(np.where(groups == "", alone, groups), return_inverse=True)[1]


def bootstrap_intervals(
    metrics: Mapping[str, Callable[..., Any]],
    y: ArrayLike,
    probabilities: ArrayLike,
    *,
    strata: ArrayLike | None,
    groups: ArrayLike | None = None,
    positive: int = 1,
    seed: int = 0,
    resamples: int = 1000,
    level: float = LEVEL,
) -> dict[str, Interval | None]:
    """For each metric the middle `level` of its values over `resamples` draws with replacement.

    y (N,) or (N, K), probabilities (N, K), positive: as in `seqreg.metrics`. Drawn are sequences, or whole groups (N,)
    where there are groups, within each of the strata (N,); without strata among all. A draw which leaves a metric
    undefined is left out. None where no draw gives a value, or where none differs and the metric has no range. All
    metrics see the same draws; the same seed gives the same intervals. An interval is widened to hold the metric's own
    value where resampling moves it one way, as it does `ece`, and to `flat_interval` where it has no width. Speaks of
    sampling error of the test part alone, not of retraining. Source: Efron and Tibshirani (1993), chapter 13.
    """
    y = np.asarray(y)
    units = Units.of(len(y), strata, groups)
    values = resample(metrics, y, [probabilities], units, positive=positive, seed=seed, resamples=resamples)
    once = np.ones((1, len(y)))
    tails = [(1 - level) / 2, (1 + level) / 2]
    intervals: dict[str, Interval | None] = {}
    for name, metric in metrics.items():
        drawn = values[name][0]
        defined = drawn[~np.isnan(drawn)]
        if not len(defined):
            intervals[name] = None
            continue
        value = float(metric(y, probabilities, positive=positive, counts=once)[0])
        low, high = np.quantile(defined, tails)
        found = (float(np.fmin(low, value)), float(np.fmax(high, value)))
        flat = found[1] - found[0] < _FLAT
        intervals[name] = flat_interval(metric, value, informative(metric, units, y), level) if flat else found
    return intervals


def resample(
    metrics: Mapping[str, Callable[..., Any]],
    y: NDArray[Any],
    models: Sequence[ArrayLike],
    units: Units,
    *,
    positive: int,
    seed: int,
    resamples: int,
) -> dict[str, NDArray[np.float64]]:
    """(M, B) each metric of each of M models (N, K) on the same resamples; NaN where it is undefined."""
    generator = np.random.default_rng(seed)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [np.empty((len(models), 0))] for name in metrics}
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(y)))
    for start in range(0, resamples, at_once):
        counts = units.draw(min(at_once, resamples - start), generator)
        for name, metric in metrics.items():
            parts[name].append(np.stack([metric(y, p, positive=positive, counts=counts) for p in models]))
    return {name: np.concatenate(of_metric, axis=1) for name, of_metric in parts.items()}


def draw_counts(strata: NDArray[np.int64], resamples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(B, N) how often each sequence is drawn when each stratum is drawn from as often as it has sequences."""
    counts = np.zeros((resamples, len(strata)))
    rows = np.arange(resamples)[:, None]
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        draws = generator.integers(len(members), size=(resamples, len(members)))
        drawn = np.bincount((rows * len(members) + draws).ravel(), minlength=resamples * len(members))
        counts[:, members] = drawn.reshape(resamples, len(members))
    return counts


def informative(metric: Callable[..., Any], units: Units, y: NDArray[Any]) -> int:
    """How many units a metric rests on: all, or for a ranking as many as the rarer side of the rarest class has."""
    if not isinstance(metric, Metric) or metric.needs != "ranking":
        return len(units.stratum)
    if y.dtype.kind == "f":  # values, of which every one is ranked
        return len(units.stratum)
    sides = [side for label in (y.T if y.ndim == 2 else [y]) for side in (label == each for each in np.unique(label))]
    return min((len(np.unique(units.unit[side])) for side in sides), default=0)


def flat_interval(metric: Callable[..., Any], value: float, n: int, level: float = LEVEL) -> Interval | None:
    """Wilson's interval of a share, laid over the range of a metric; None for a metric without one.

    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), p = value as a share of the range, n independent units.
    For an AUROC of 1 this is the bound of Newcombe (Statistics in Medicine 2006) with the smaller class as n.
    """
    within = metric.range if isinstance(metric, Metric) else (0.0, 1.0)
    if within is None or n < 1:
        return None
    bottom, width = within[0], within[1] - within[0]
    p, z = min(max((value - bottom) / width, 0.0), 1.0), float(ndtri((1 + level) / 2))
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = ((centre + side * half) / (1 + z**2 / n) for side in (-1, 1))
    return float(min(bottom + width * low, value)), float(max(bottom + width * high, value))
