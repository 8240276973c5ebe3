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
No metric depends on the order of the sequences. `METRICS` holds each with what people are told about it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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
    task = _Task.of(y, probabilities, positive, counts)
    forecast, observed = _forecasts(task)
    gaps = _per_bin(forecast, forecast - observed, task.resamples)
    return _returned(np.abs(gaps).sum(axis=1) / (task.resamples.sum(axis=1) * forecast.shape[1]), counts, task)


def log_loss(y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None) -> Any:
    """Mean of -log(probability given to the truth), natural logarithm; probabilities are kept 2.2e-16 off 0 and 1."""
    task = _Task.of(y, probabilities, positive, counts)
    tiny = np.finfo(np.float64).eps
    p = np.clip(task.p, tiny, 1 - tiny)
    of_truth = np.where(task.truth, p, 1 - p) if task.several else p[task.truth][:, None]
    loss = -np.log(of_truth).mean(axis=1)
    return _returned(task.resamples @ loss / task.resamples.sum(axis=1), counts, task)


def confusion(y: ArrayLike, probabilities: ArrayLike) -> NDArray[np.int64]:
    """(K, K) sequences by true class (row) and predicted class (column); (K, 2, 2), one per label, for multi-label."""
    task = _Task.of(y, probabilities, 1, None)
    return np.squeeze(_confusions(task)[0], axis=() if task.several else 0).astype(np.int64)


def reliability(
    y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, bins: int = CALIBRATION_BINS
) -> dict[str, NDArray[Any]]:
    """The reliability curve: forecasts in `bins` equal parts of [0, 1] against what was observed, empty bins left out.

    Binary: forecast is the probability of the positive class, observed whether it is that class. Several classes:
    probability of the predicted class, and whether it is right. Multi-label: all N x K probabilities together.
    Returns `low`, `high` (bin limits), `count`, `forecast` (mean), `observed` (share), one entry per bin.
    """
    task = _Task.of(y, probabilities, positive, None)
    forecast, observed = _forecasts(task)
    count, forecast_sum, observed_sum = (
        _per_bin(forecast, values, task.resamples, bins)[0] for values in (np.ones_like(forecast), forecast, observed)
    )
    filled = np.flatnonzero(count)
    return {
        "low": filled / bins,
        "high": (filled + 1) / bins,
        "count": count[filled].astype(np.int64),
        "forecast": forecast_sum[filled] / count[filled],
        "observed": observed_sum[filled] / count[filled],
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """y and probabilities understood once.

    several: whether a sequence may carry several labels. truth (N, K): whether it carries each class or label.
    resamples (B, N): how often each sequence occurs in each resample.
    """

    several: bool
    truth: NDArray[np.bool_]
    p: Array
    positive: int
    resamples: Array

    @classmethod
    def of(cls, y: ArrayLike, probabilities: ArrayLike, positive: int, counts: ArrayLike | None) -> "_Task":
        y = np.asarray(y).astype(np.int64)
        p = np.asarray(probabilities, dtype=np.float64)
        if p.ndim == 1:
            p = np.stack([1 - p, p] if positive == 1 else [p, 1 - p], axis=1)
        if len(y) == 0 and counts is None:
            raise UndefinedMetricError("no sequences")
        several = y.ndim == 2
        return cls(
            several=several,
            truth=y == 1 if several else y[:, None] == np.arange(p.shape[1]),
            p=p,
            positive=positive,
            resamples=np.ones((1, len(y))) if counts is None else np.asarray(counts, dtype=np.float64),
        )

    @property
    def binary(self) -> bool:
        """Whether there are two classes, of which one is the positive one."""
        return not self.several and self.p.shape[1] == 2


def _returned(values: Array, counts: ArrayLike | None, task: _Task) -> float | Array:
    """The values of resamples as they are, the one value of the data as a float, or the reason why there is none."""
    if counts is not None:
        return values
    if not np.isnan(values[0]):
        return float(values[0])
    sizes = task.truth.sum(axis=0)
    for reason, size in (("no sequence of class {}", 0), ("every sequence is of class {}", len(task.truth))):
        for index in range(len(sizes)):
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
    task = _Task.of(y, probabilities, positive, counts)
    columns = [positive] if task.binary else range(task.p.shape[1])
    values = np.zeros(len(task.resamples))
    for column in columns:
        positives, negatives = _groups_of_equals(task.truth[:, column], task.p[:, column], task.resamples)
        with np.errstate(invalid="ignore"):
            values += measure(positives, negatives)
    return _returned(values / len(columns), counts, task)


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
    task = _Task.of(y, probabilities, positive, counts)
    tables = _confusions(task)
    with np.errstate(invalid="ignore"):
        values = measure(tables).mean(axis=1)
    return _returned(values, counts, task)


def _confusions(task: _Task) -> Array:
    """(B, T, K, K) true by predicted class: T = 1 table over all classes, or a 2 x 2 table for each of T labels."""
    n, k = task.p.shape
    if task.several:
        cells = 4 * np.arange(k) + 2 * task.truth + (task.p >= 0.5)
        shape = (k, 2, 2)
    else:
        cells = (task.truth.argmax(axis=1) * k + task.p.argmax(axis=1))[:, None]
        shape = (1, k, k)
    pointer = np.arange(n + 1) * cells.shape[1]
    where = csr_array((np.ones(cells.size), cells.ravel(), pointer), shape=(n, int(np.prod(shape))))
    return (where.T @ task.resamples.T).T.reshape(-1, *shape)


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


def _forecasts(task: _Task) -> tuple[Array, Array]:
    """Forecasts (N, J) in [0, 1] and whether what they forecast was observed (N, J); J is 1, or K for multi-label."""
    if task.several:
        return task.p, task.truth.astype(np.float64)
    if task.binary:
        return task.p[:, [task.positive]], task.truth[:, [task.positive]].astype(np.float64)
    likeliest = task.p.argmax(axis=1)[:, None]
    right = np.take_along_axis(task.truth, likeliest, axis=1)
    return np.take_along_axis(task.p, likeliest, axis=1), right.astype(np.float64)


def _per_bin(forecast: Array, values: Array, counts: Array, bins: int = CALIBRATION_BINS) -> Array:
    """(B, bins) sum of values over the forecasts in each bin."""
    n, j = forecast.shape
    column = np.minimum((forecast * bins).astype(np.int64), bins - 1)
    table = csr_array((values.ravel(), column.ravel(), np.arange(n + 1) * j), shape=(n, bins))
    return (table.T @ counts.T).T


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric and what people are told about it.

    title: its name in sentences. meaning: what it says, its value for guessing included. less_is_better: its direction.
    needs: what it looks at of p: `ranking` (any real scores do), `calls`, `probabilities` that mean what they say, or
    `values` in the unit of the truth.
    chance: its value for a model that knows nothing, whatever the data; None where that depends on them.
    range: its least and its greatest value; None where it has no end.
    """

    function: Callable[..., Any]
    title: str
    meaning: str
    needs: Literal["ranking", "calls", "probabilities", "values"]
    less_is_better: bool = False
    chance: float | None = None
    range: tuple[float, float] | None = (0.0, 1.0)

    def __call__(
        self, y: ArrayLike, probabilities: ArrayLike, *, positive: int = 1, counts: ArrayLike | None = None
    ) -> Any:
        """The metric, by the contract of this module."""
        return self.function(y, probabilities, positive=positive, counts=counts)


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        function=accuracy, title="Accuracy", meaning="share of sequences classified right", needs="calls"
    ),
    "balanced_accuracy": Metric(
        function=balanced_accuracy,
        title="Balanced accuracy",
        meaning="the same, every class counting equally",
        needs="calls",
    ),
    "auroc": Metric(
        function=auroc,
        title="AUROC",
        meaning="chance that a positive sequence scores above a negative one; 0.5 is guessing",
        needs="ranking",
        chance=0.5,
    ),
    "auroc50": Metric(
        function=auroc50,
        title="AUROC50",
        meaning="the same, judged on the 50 best-scoring negatives only",
        needs="ranking",
    ),
    "auprc": Metric(
        function=auprc,
        title="AUPRC",
        meaning="average precision; guessing gives the share of positives",
        needs="ranking",
    ),
    "mcc": Metric(
        function=mcc,
        title="MCC",
        meaning="agreement of prediction and truth; 0 is guessing, 1 perfect",
        needs="calls",
        chance=0.0,
        range=(-1.0, 1.0),
    ),
    "ece": Metric(
        function=ece,
        title="ECE",
        meaning="how far stated probabilities are from what comes true; 0 is best",
        needs="probabilities",
        less_is_better=True,
    ),
    "log_loss": Metric(
        function=log_loss,
        title="Log loss",
        meaning="surprise per sequence at the truth; 0 is best",
        needs="probabilities",
        less_is_better=True,
        range=None,
    ),
}
