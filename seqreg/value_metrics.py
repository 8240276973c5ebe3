"""Metrics of predicted values, by the contract of `seqreg.metrics`: p (N, 1) or (N,) predictions in the unit of y (N,).

`counts` (B, N), how often each sequence occurs in each resample, gives the metric of every resample (B,), NaN where it
is undefined. `positive` means nothing here. Correlations are undefined where the true values, or the predictions, are
all the same.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.metrics import Metric, UndefinedMetricError

Array = NDArray[np.float64]


def spearman(y: ArrayLike, p: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Rank correlation: `pearson` of the ranks, equal values sharing the mean of theirs."""
    return _measured(lambda y, p, n: _correlation(_ranks(y, n), _ranks(p, n), n), y, p, counts)


def pearson(y: ArrayLike, p: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Linear correlation in [-1, 1]."""
    return _measured(lambda y, p, n: _correlation(y[None], p[None], n), y, p, counts)


def r2(y: ArrayLike, p: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """1 - (sum of squared errors) / (sum of squared distances of y from its own mean); below 0 worse than that mean."""

    def measure(y: Array, p: Array, n: Array) -> Array:
        spread = n @ y**2 - (n @ y) ** 2 / n.sum(axis=1)
        floor = 1e-14 * (n @ y**2)  # what rounding leaves of equal values
        return np.where(spread > floor, 1 - (n @ (y - p) ** 2) / np.where(spread > floor, spread, 1), np.nan)

    return _measured(measure, y, p, counts, centred=True)


def rmse(y: ArrayLike, p: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Root of the mean squared error, in the unit of the values."""
    return _measured(lambda y, p, n: np.sqrt(n @ (y - p) ** 2 / n.sum(axis=1)), y, p, counts)


def mae(y: ArrayLike, p: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Mean of |error|, in the unit of the values."""
    return _measured(lambda y, p, n: n @ np.abs(y - p) / n.sum(axis=1), y, p, counts)


def _measured(
    measure: Callable[[Array, Array, Array], Array],
    y: ArrayLike,
    p: ArrayLike,
    counts: ArrayLike | None,
    *,
    centred: bool = False,
) -> Any:
    """measure(y (N,), p (N,), n (B, N)) -> (B,), or its one value as a float, or the reason why there is none."""
    y, p = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    p = p[:, 0] if p.ndim == 2 else p
    if len(y) == 0 and counts is None:
        raise UndefinedMetricError("no sequences")
    n = np.ones((1, len(y))) if counts is None else np.asarray(counts, dtype=np.float64)
    middle = y.mean() if centred and len(y) else 0.0  # keeps digits where values lie far from zero
    values = measure(y - middle, p - middle, n)
    if counts is not None:
        return values
    if np.isfinite(values[0]):
        return float(values[0])
    what = "true values" if (y == y[0]).all() else "predictions"
    raise UndefinedMetricError(f"all {what} are the same")


def _correlation(a: Array, b: Array, n: Array) -> Array:
    """(B,) weighted correlation of a and b (B or 1, N); NaN where either does not vary."""
    total = n.sum(axis=1, keepdims=True)
    a = a - (n * a).sum(axis=1, keepdims=True) / total
    b = b - (n * b).sum(axis=1, keepdims=True) / total
    left, right = ((n * each**2).sum(axis=1) for each in (a, b))
    defined = (left > 1e-20 * total[:, 0]) & (right > 1e-20 * total[:, 0])
    scale = np.sqrt(np.where(defined, left * right, 1))
    return np.where(defined, np.clip((n * a * b).sum(axis=1) / scale, -1, 1), np.nan)


def _ranks(values: Array, n: Array) -> Array:
    """(B, N) ranks, from 1, of values (N,) of which value i occurs n (B, N) times; equal ones share their mean rank."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(group[order]) > 0])) if len(group) else []
    sizes = np.add.reduceat(n[:, order], starts, axis=1)
    return (np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, group]


VALUE_METRICS: dict[str, Metric] = {
    "spearman": Metric(
        function=spearman,
        range=(-1.0, 1.0),
        title="Spearman correlation",
        meaning="agreement of the predicted with the true order; 0 is guessing, 1 perfect",
        needs="ranking",
        chance=0.0,
    ),
    "pearson": Metric(
        function=pearson,
        range=(-1.0, 1.0),
        title="Pearson correlation",
        meaning="how nearly true values are a straight line of predicted ones; 0 is guessing, 1 perfect",
        needs="values",
        chance=0.0,
    ),
    "r2": Metric(
        function=r2,
        range=None,
        title="R²",
        meaning="share of the variance that is explained; 0 is predicting the mean",
        needs="values",
        chance=0.0,
    ),
    "rmse": Metric(
        function=rmse,
        range=None,
        title="RMSE",
        meaning="root of the mean squared error, in the unit of the values",
        needs="values",
        less_is_better=True,
    ),
    "mae": Metric(
        function=mae,
        range=None,
        title="Mean absolute error",
        meaning="in the unit of the values",
        needs="values",
        less_is_better=True,
    ),
}
