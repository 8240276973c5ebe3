"""How good scores are: metrics on arrays.

One contract: `metric(y, probabilities, *, positive=1, counts=None)`.

y: (N,) class indices, or (N, K) of zeros and ones where a sequence may carry several labels.
probabilities: (N, K), a column per class in the order of the indices, two columns for a binary task; (N,) is read as
the scores of the positive class of a binary task. Ranking metrics (`auroc`, `auroc50`, `auprc`) take any real scores.
positive: index of the positive class; used by binary tasks only.
counts: (B, N) how often each sequence occurs in each of B resamples; None is every sequence once.

Returns a float, or (B,) values when `counts` is given, NaN where a resample leaves the metric undefined. Without
`counts` an undefined metric raises `UndefinedMetricError`. Several classes are one binary task each, one against the
rest, several labels one each by themselves; a metric of binary tasks is the plain mean over them (macro).
No metric depends on the order of the sequences.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from seqreg.errors import SeqregError

Array = NDArray[np.float64]
CALIBRATION_BINS = 10


class UndefinedMetricError(SeqregError):
    """A metric has no value on these data. `reason` says why, with {} in the place of the class number `index`."""

    def __init__(self, reason: str, index: int = 0) -> None:
        self.reason = reason
        self.index = index
        super().__init__(reason.format(index))


def accuracy(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Share of right predictions."""
    return _of_confusion(_accuracy, y, probabilities, positive, counts)


def balanced_accuracy(
    y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None
) -> Any:
    """Mean over classes of the share of right predictions among the sequences of that class (recall)."""
    return _of_confusion(_balanced_accuracy, y, probabilities, positive, counts)


def mcc(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Matthews correlation in [-1, 1] (Gorodkin's R_K for several classes); 0 where all predictions are the same."""
    return _of_confusion(_mcc, y, probabilities, positive, counts)


def auroc(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting one half."""
    return _of_ranking(_auroc, y, probabilities, positive, counts)


def auroc50(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Area under true positives against false positives, up to 50 false positives, over (50 x positives).

    Equal scores are one straight segment of the curve, so their order does not matter. With m < 50 negatives the area
    goes up to m and is divided by (m x positives): then it is `auroc`. Source: Gribskov and Robinson (1996).
    """
    return _of_ranking(_auroc50, y, probabilities, positive, counts)


def auprc(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Average precision: sum over thresholds of (step in recall) x precision; a constant score gives the prevalence."""
    return _of_ranking(_auprc, y, probabilities, positive, counts)


def ece(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Expected calibration error: mean over `reliability` bins, weighted by size, of |mean forecast - observed share|.

    Not an unbiased quantity: with few sequences per bin even perfectly calibrated forecasts give a value above 0.
    """
    y, probabilities, resamples = _prepared(y, probabilities, positive, counts)
    forecast, observed = _forecasts(y, probabilities, positive)
    gaps = _per_bin(forecast, forecast - observed, resamples)
    return _returned(np.abs(gaps).sum(axis=1) / (resamples.sum(axis=1) * forecast.shape[1]), counts, y, probabilities)


def log_loss(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Mean of -log(probability given to the truth), natural logarithm; probabilities are kept 2.2e-16 off 0 and 1."""
    y, probabilities, resamples = _prepared(y, probabilities, positive, counts)
    tiny = np.finfo(np.float64).eps
    p = np.clip(probabilities, tiny, 1 - tiny)
    of_truth = np.where(y == 1, p, 1 - p) if y.ndim == 2 else p[np.arange(len(y)), y][:, None]
    loss = -np.log(of_truth).mean(axis=1)
    return _returned(resamples @ loss / resamples.sum(axis=1), counts, y, probabilities)


def predicted(probabilities: ArrayLike) -> NDArray[np.int64]:
    """(N,) the most probable class of each row of (N, K), the first of equals."""
    return np.argmax(np.asarray(probabilities), axis=1)


def predicted_labels(probabilities: ArrayLike) -> NDArray[np.uint8]:
    """(N, K) labels of a multi-label task: 1 where the probability is at least one half."""
    return (np.asarray(probabilities) >= 0.5).astype(np.uint8)


def called(probabilities: ArrayLike, *, multi_label: bool) -> NDArray[np.int64] | NDArray[np.uint8]:
    """What probabilities (N, K) call each sequence: `predicted_labels` of a multi-label task, else `predicted`."""
    return predicted_labels(probabilities) if multi_label else predicted(probabilities)


def confusion(y: ArrayLike, probabilities: ArrayLike) -> NDArray[np.int64]:
    """(K, K) sequences by true class (row) and predicted class (column); (K, 2, 2), one per label, for multi-label."""
    y, p, ones = _prepared(y, probabilities, 1, None)
    return np.squeeze(_confusions(y, p, ones)[0], axis=() if y.ndim == 2 else 0).astype(np.int64)


def reliability(
    y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, bins: int = CALIBRATION_BINS
) -> dict[str, NDArray[Any]]:
    """The reliability curve: forecasts in `bins` equal parts of [0, 1] against what was observed, empty bins left out.

    Binary: forecast is the probability of the positive class, observed whether it is that class. Several classes:
    probability of the predicted class, and whether it is right. Multi-label: all N x K probabilities together.
    Returns `low`, `high` (bin limits), `count`, `forecast` (mean), `observed` (share), one entry per bin.
    """
    y, probabilities, ones = _prepared(y, probabilities, positive, None)
    forecast, observed = _forecasts(y, probabilities, positive)
    count, forecast_sum, observed_sum = (
        _per_bin(forecast, values, ones, bins)[0] for values in (np.ones_like(forecast), forecast, observed)
    )
    filled = np.flatnonzero(count)
    return {
        "low": filled / bins,
        "high": (filled + 1) / bins,
        "count": count[filled].astype(np.int64),
        "forecast": forecast_sum[filled] / count[filled],
        "observed": observed_sum[filled] / count[filled],
    }


def _prepared(
    y: ArrayLike, probabilities: ArrayLike, positive: int, counts: ArrayLike | None
) -> tuple[NDArray[np.int64], Array, Array]:
    """y, probabilities (N, K) and counts (B, N) as arrays."""
    y = np.asarray(y).astype(np.int64)
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim == 1:
        p = np.stack([1 - p, p] if positive == 1 else [p, 1 - p], axis=1)
    if len(y) == 0 and counts is None:
        raise UndefinedMetricError("no sequences")
    resamples = np.ones((1, len(y))) if counts is None else np.asarray(counts, dtype=np.float64)
    return y, p, resamples


def _returned(values: Array, counts: ArrayLike | None, y: NDArray[np.int64], probabilities: Array) -> float | Array:
    """The values of resamples as they are, the one value of the data as a float, or the reason why there is none."""
    if counts is not None:
        return values
    if not np.isnan(values[0]):
        return float(values[0])
    classes = range(probabilities.shape[1])
    sizes = y.sum(axis=0) if y.ndim == 2 else np.bincount(y, minlength=len(classes))
    for reason, size in (("no sequence of class {}", 0), ("every sequence is of class {}", len(y))):
        for index in classes:
            if sizes[index] == size:
                raise UndefinedMetricError(reason, index)
    raise UndefinedMetricError("probabilities that are not numbers")


# Ranking metrics: binary tasks on positives and negatives in groups of equal scores, best group first.


def _of_ranking(
    measure: Callable[[Array, Array], Array],
    y: ArrayLike,
    probabilities: ArrayLike,
    positive: int,
    counts: ArrayLike | None,
) -> Any:
    """Mean over binary tasks of measure(positives (B, G), negatives (B, G)) -> (B,)."""
    y, p, resamples = _prepared(y, probabilities, positive, counts)
    columns = [positive] if y.ndim == 1 and p.shape[1] == 2 else range(p.shape[1])
    values = np.zeros(len(resamples))
    for column in columns:
        truth = y[:, column] == 1 if y.ndim == 2 else y == column
        positives, negatives = _groups_of_equals(truth, p[:, column], resamples)
        with np.errstate(invalid="ignore"):
            values += measure(positives, negatives)
    return _returned(values / len(columns), counts, y, p)


def _groups_of_equals(truth: NDArray[np.bool_], scores: Array, counts: Array) -> tuple[Array, Array]:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    occurrences = counts[:, order]
    positives = np.add.reduceat(occurrences * truth[order], starts, axis=1)
    return positives, np.add.reduceat(occurrences, starts, axis=1) - positives


def _auroc(positives: Array, negatives: Array) -> Array:
    n = negatives.sum(axis=1)
    beaten = n[:, None] - np.cumsum(negatives, axis=1) + negatives / 2
    return (positives * beaten).sum(axis=1) / (positives.sum(axis=1) * n)


def _auroc50(positives: Array, negatives: Array) -> Array:
    true, false = np.cumsum(positives, axis=1), np.cumsum(negatives, axis=1)
    limit = np.minimum(50, false[:, -1:])
    width = np.minimum(false, limit) - np.minimum(false - negatives, limit)
    # Within a group the curve is straight, so the mean height of the part up to the limit lies at half its width.
    rise = np.divide(positives, negatives, out=np.zeros_like(positives), where=negatives > 0)
    area = (width * (true - positives + rise * width / 2)).sum(axis=1)
    return area / (limit[:, 0] * true[:, -1])


def _auprc(positives: Array, negatives: Array) -> Array:
    true = np.cumsum(positives, axis=1)
    called = true + np.cumsum(negatives, axis=1)
    precision = np.divide(true, called, out=np.zeros_like(true), where=called > 0)
    return (positives * precision).sum(axis=1) / true[:, -1]


# Metrics of decisions: functions of confusion matrices (B, K, K), or of one 2 x 2 matrix per label.


def _of_confusion(
    measure: Callable[[Array], Array],
    y: ArrayLike,
    probabilities: ArrayLike,
    positive: int,
    counts: ArrayLike | None,
) -> Any:
    y, p, resamples = _prepared(y, probabilities, positive, counts)
    tables = _confusions(y, p, resamples)
    with np.errstate(invalid="ignore"):
        values = measure(tables).mean(axis=1)
    return _returned(values, counts, y, p)


def _confusions(y: NDArray[np.int64], probabilities: Array, counts: Array) -> Array:
    """(B, T, K, K) true by predicted class: T = 1 table over all classes, or a 2 x 2 table for each of T labels."""
    n, k = probabilities.shape
    if y.ndim == 2:
        cells = 4 * np.arange(k) + 2 * y + predicted_labels(probabilities)
        shape = (k, 2, 2)
    else:
        cells = (y * k + predicted(probabilities))[:, None]
        shape = (1, k, k)
    pointer = np.arange(n + 1) * cells.shape[1]
    where = csr_array((np.ones(cells.size), cells.ravel(), pointer), shape=(n, int(np.prod(shape))))
    return (where.T @ counts.T).T.reshape(-1, *shape)


def _accuracy(tables: Array) -> Array:
    return np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))


def _balanced_accuracy(tables: Array) -> Array:
    return (np.diagonal(tables, axis1=-2, axis2=-1) / tables.sum(axis=-1)).mean(axis=-1)


def _mcc(tables: Array) -> Array:
    total = tables.sum(axis=(-2, -1))
    truth, called = tables.sum(axis=-1), tables.sum(axis=-2)
    covariance = np.trace(tables, axis1=-2, axis2=-1) * total - (truth * called).sum(axis=-1)
    spread_of_truth = total**2 - (truth**2).sum(axis=-1)
    spread_of_calls = total**2 - (called**2).sum(axis=-1)
    correlation = covariance / np.sqrt(spread_of_truth * spread_of_calls)
    return np.where((spread_of_truth > 0) & (spread_of_calls == 0), 0.0, correlation)


# Calibration.


def _forecasts(y: NDArray[np.int64], probabilities: Array, positive: int) -> tuple[Array, Array]:
    """Forecasts (N, J) in [0, 1] and whether what they forecast was observed (N, J); J is 1, or K for multi-label."""
    if y.ndim == 2:
        return probabilities, y.astype(np.float64)
    if probabilities.shape[1] == 2:
        return probabilities[:, [positive]], (y == positive).astype(np.float64)[:, None]
    right = predicted(probabilities) == y
    return probabilities.max(axis=1, keepdims=True), right.astype(np.float64)[:, None]


def _per_bin(forecast: Array, values: Array, counts: Array, bins: int = CALIBRATION_BINS) -> Array:
    """(B, bins) sum of values over the forecasts in each bin."""
    n, j = forecast.shape
    column = np.minimum((forecast * bins).astype(np.int64), bins - 1)
    table = csr_array((values.ravel(), column.ravel(), np.arange(n + 1) * j), shape=(n, bins))
    return (table.T @ counts.T).T


METRICS: dict[str, Callable[..., Any]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "auroc": auroc,
    "auroc50": auroc50,
    "auprc": auprc,
    "mcc": mcc,
    "ece": ece,
    "log_loss": log_loss,
}
