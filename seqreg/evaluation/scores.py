"""From class probabilities to the record that becomes `metrics.json`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg import metrics
from seqreg.errors import UsageError
from seqreg.evaluation.intervals import bootstrap_intervals
from seqreg.metrics import METRICS, UndefinedMetricError
from seqreg.records import to_plain


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What is known about a model from n labelled sequences.

    classes: sorted names. positive: the positive class of a binary task, else None. split: which part was scored.
    values: every metric of `METRICS`, None where it is undefined; `reason` then says why, by the same name.
    intervals: bootstrap 95 % interval of each metric, None where there is none.
    per_class: for each class, against the rest: precision, recall, f1, support (sequences), auroc, auprc [, reason].
    confusion: sequences by true class (row) and predicted class (column); for multi-label one 2 x 2 table per label.
    reliability: the curve behind `ece`: `low`, `high`, `count`, `forecast`, `observed` of each bin that is not empty.
    """

    n: int
    classes: tuple[str, ...]
    positive: str | None
    split: str
    values: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]
    per_class: dict[str, dict[str, Any]]
    confusion: list[Any]
    reliability: dict[str, list[Any]]
    reason: dict[str, str]

    def to_plain(self) -> dict[str, Any]:
        """What `metrics.json` holds: the metrics stand beside `n`, `classes`, `positive` and `split`."""
        head = {"n": self.n, "classes": self.classes, "positive": self.positive, "split": self.split}
        tail = {name: getattr(self, name) for name in ("intervals", "per_class", "confusion", "reliability", "reason")}
        return to_plain({**head, **self.values, **tail})


def evaluate(
    y: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    positive: str | None = None,
    *,
    multi_label: bool = False,
    split: str = "test",
    seed: int = 0,
    resamples: int = 1000,
) -> Metrics:
    """Every metric of `METRICS` with its bootstrap interval, numbers per class, confusion and calibration.

    y: (N,) class indices, or (N, K) zeros and ones for `multi_label`. probabilities: (N, K), one column per class in
    the order of `classes` (two for a binary task), rows summing to 1 unless `multi_label`.
    positive: the positive class of a binary task (default: the second); ignored with more classes.
    split: name of the part these sequences are. seed, resamples: of the bootstrap; 0 resamples gives no intervals.
    The record is the same whatever the order of the sequences. Raises UsageError for arrays that do not fit together
    and for probabilities that are none.
    """
    y, p = _checked(np.asarray(y), np.asarray(probabilities, dtype=np.float64), classes, multi_label=multi_label)
    binary = not multi_label and len(classes) == 2
    positive = (positive or classes[1]) if binary else None
    if positive is not None and positive not in classes:
        raise UsageError(f"positive class {positive!r} is not one of the classes {', '.join(classes)}")
    index = list(classes).index(positive) if positive is not None else 1
    # Resamples are drawn by row, and sums of floats depend on their order; a fixed order of rows settles both.
    order = np.lexsort((*p.T, *np.atleast_2d(y.T)))
    y, p = y[order], p[order]

    values, reason = {}, {}
    for name, metric in METRICS.items():
        values[name] = _value_or_reason(name, reason, classes, metric, y, p, positive=index)
    defined = {name: metric for name, metric in METRICS.items() if values[name] is not None}
    intervals = bootstrap_intervals(defined, y, p, positive=index, seed=seed, resamples=resamples)
    return Metrics(
        n=len(y),
        classes=tuple(classes),
        positive=positive,
        split=split,
        values=values,
        intervals={name: intervals.get(name) for name in METRICS},
        per_class=_per_class(y, p, classes, multi_label=multi_label),
        confusion=metrics.confusion(y, p).tolist() if len(y) else [],
        reliability={k: v.tolist() for k, v in metrics.reliability(y, p, positive=index).items()} if len(y) else {},
        reason=reason,
    )


def _checked(
    y: NDArray[Any], p: NDArray[np.float64], classes: Sequence[str], *, multi_label: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    k = len(classes)
    wanted = (len(y), k)
    if p.shape != wanted:
        raise UsageError(f"probabilities must be (N, K) = {wanted}, a column per class; got {p.shape}")
    if y.shape != (wanted if multi_label else wanted[:1]):
        raise UsageError(f"y must be {'(N, K) zeros and ones' if multi_label else '(N,) class indices'}; got {y.shape}")
    if y.size and not (np.isin(y, (0, 1)).all() if multi_label else (y.min() >= 0 and y.max() < k)):
        raise UsageError(f"y must hold {'zeros and ones' if multi_label else f'class indices 0 to {k - 1}'}")
    wrong = ~((p >= 0) & (p <= 1)).all(axis=1)
    if not multi_label:
        wrong |= np.abs(p.sum(axis=1) - 1) > 1e-3
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UsageError(
            f"{wrong.sum()} rows are no probabilities (numbers in [0, 1]{'' if multi_label else ' that sum to 1'}); "
            f"the first is row {row}: {p[row].tolist()}"
        )
    return y.astype(np.int64), p


def _value_or_reason(
    name: str, reason: dict[str, str], classes: Sequence[str], metric: Any, *arrays: Any, **options: Any
) -> float | None:
    """The metric's value; where it is undefined None, with an entry in `reason`."""
    try:
        return metric(*arrays, **options)
    except UndefinedMetricError as undefined:
        reason[name] = undefined.reason.format(classes[undefined.index])
        return None


def _per_class(
    y: NDArray[np.int64], p: NDArray[np.float64], classes: Sequence[str], *, multi_label: bool
) -> dict[str, dict[str, Any]]:
    called = metrics.called(p, multi_label=multi_label)
    rows: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(classes):
        truth = y[:, k] == 1 if multi_label else y == k
        chosen = called[:, k] == 1 if multi_label else called == k
        hits, calls, support = int((truth & chosen).sum()), int(chosen.sum()), int(truth.sum())
        reason: dict[str, str] = {}
        row: dict[str, Any] = {
            "precision": hits / calls if calls else None,
            "recall": hits / support if support else None,
            "f1": 2 * hits / (calls + support) if calls + support else None,
            "support": support,
        }
        if not calls:
            reason["precision"] = f"no sequence is predicted as {name}"
        if not support:
            reason["recall"] = f"no sequence of class {name}"
        if not calls + support:
            reason["f1"] = f"no sequence of class {name}, and none predicted as such"
        for metric in ("auroc", "auprc"):
            row[metric] = _value_or_reason(metric, reason, (name,), METRICS[metric], truth[:, None], p[:, [k]])
        rows[name] = {**row, "reason": reason} if reason else row
    return rows
