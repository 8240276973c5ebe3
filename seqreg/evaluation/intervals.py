"""How uncertain a metric is because the test part is small: percentile bootstrap intervals."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CELLS_AT_ONCE = 2_000_000


def bootstrap_intervals(
    metrics: Mapping[str, Callable[..., Any]],
    y: ArrayLike,
    probabilities: ArrayLike,
    *,
    strata: ArrayLike | None,
    positive: int = 1,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> dict[str, tuple[float, float] | None]:
    """For each metric the middle `level` of its values over `resamples` draws of N sequences with replacement.

    y (N,) or (N, K), probabilities (N, K), positive: as in `seqreg.metrics`. Draws are made within each of the
    strata (N,), so that every resample has the class sizes of the data; without them over all sequences. A draw which
    leaves a metric undefined is left out. None where no draw gives a value. All metrics see the same draws; the same
    seed gives the same intervals. An interval is widened to hold the metric's own value where resampling moves it one
    way, as it does `ece`. Speaks of sampling error of the test part alone, not of retraining; near-copies among the
    test sequences make it too narrow. Source: Efron and Tibshirani (1993), chapter 13.
    """
    y = np.asarray(y)
    strata = np.zeros(len(y), dtype=np.int64) if strata is None else np.asarray(strata)
    generator = np.random.default_rng(seed)
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in metrics}
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(y)))
    for start in range(0, resamples, at_once):
        counts = draw_counts(strata, min(at_once, resamples - start), generator)
        for name, metric in metrics.items():
            values[name].append(metric(y, probabilities, positive=positive, counts=counts))
    once = np.ones((1, len(y)))
    tails = [(1 - level) / 2, (1 + level) / 2]
    intervals: dict[str, tuple[float, float] | None] = {}
    for name, parts in values.items():
        drawn = np.concatenate(parts) if parts else np.empty(0)
        defined = drawn[~np.isnan(drawn)]
        if not len(defined):
            intervals[name] = None
            continue
        value = metrics[name](y, probabilities, positive=positive, counts=once)[0]
        low, high = np.quantile(defined, tails)
        intervals[name] = (float(np.fmin(low, value)), float(np.fmax(high, value)))
    return intervals


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
