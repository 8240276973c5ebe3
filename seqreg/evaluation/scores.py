"""From predictions to the record that becomes `metrics.json`."""

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
from seqreg.targets import Target


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What is known about a model from n labelled sequences.

    classes: sorted names. positive: the positive class of a binary task, else None. split: which part was scored.
    about: what the target says of itself, the two among it. values: every metric of the target, None where it is
    undefined; `reason` then says why, by the same name.
    intervals: bootstrap 95 % interval of each metric, None where there is none.
    per_class: for each class, against the rest: precision, recall, f1, support (sequences), auroc, auprc [, reason].
    confusion: sequences by true class (row) and predicted class (column); for multi-label one 2 x 2 table per label.
    reliability: the curve behind `ece`: `low`, `high`, `count`, `forecast`, `observed` of each bin that is not empty.
    The last three are empty where values were predicted.
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
    about: dict[str, Any]

    def to_plain(self) -> dict[str, Any]:
        """What `metrics.json` holds: the metrics stand beside `n`, `about` (`classes`, `positive`) and `split`."""
        head = {"n": self.n, **self.about, "split": self.split}
        of_classes = ("per_class", "confusion", "reliability") if self.classes else ()
        tail = {name: getattr(self, name) for name in ("intervals", *of_classes, "reason")}
        return to_plain({**head, **self.values, **tail})


def evaluate(
    target: Target,
    y: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    split: str = "test",
    seed: int = 0,
    resamples: int = 1000,
) -> Metrics:
    """Every metric of the target with its bootstrap interval, numbers per class, confusion and calibration.

    y: as the target has it. probabilities: (N, K), one column per name (two for a binary task).
    groups: (N,) names of what is drawn as a whole by the bootstrap, "" for a sequence of its own.
    split: name of the part these sequences are. seed, resamples: of the bootstrap; 0 resamples gives no intervals.
    Of a binary task whose target has settled on no positive class, metrics take the second.
    The record is the same whatever the order of the sequences. Raises UsageError for arrays that do not fit together
    and for probabilities that are none.
    """
    y, p = _checked(target, np.asarray(y), np.asarray(probabilities, dtype=np.float64))
    index = target.positive_index
    # Resamples are drawn by row, and sums of floats depend on their order; a fixed order of rows settles both.
    groups = None if groups is None else np.asarray(groups, dtype=np.str_)
    order = np.lexsort((*(() if groups is None else (groups,)), *p.T, *np.atleast_2d(y.T)))
    y, p, groups = y[order], p[order], None if groups is None else groups[order]

    classified = target.probabilistic and len(y) > 0
    values, reason = {}, {}
    for name, metric in target.metrics.items():
        values[name] = _value_or_reason(name, reason, target.names or ("",), metric, y, p, positive=index)
    defined = {name: metric for name, metric in target.metrics.items() if values[name] is not None}
    intervals = bootstrap_intervals(
        defined, y, p, strata=target.one_class(y), groups=groups, positive=index, seed=seed, resamples=resamples
    )
    return Metrics(
        n=len(y),
        classes=target.names,
        positive=target.positive,
        split=split,
        values=values,
        intervals={name: intervals.get(name) for name in target.metrics},
        per_class=_per_class(target, y, p),
        confusion=metrics.confusion(y, p).tolist() if classified else [],
        reliability={k: v.tolist() for k, v in metrics.reliability(y, p, positive=index).items()} if classified else {},
        reason=reason,
        about=target.described(),
    )


def _checked(target: Target, y: NDArray[Any], p: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    wanted = (len(y), target.columns)
    if p.shape != wanted:
        what = "probabilities must be (N, K)" if target.probabilistic else "predicted values must be (N, 1)"
        raise UsageError(f"{what} = {wanted}{', a column per class' * target.probabilistic}; got {p.shape}")
    target.check(y)
    wrong = target.check_probabilities(p)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = "probabilities" if target.probabilistic else "predicted values"
        raise UsageError(
            f"{wrong.sum()} rows are no {what} ({target.range}); the first is row {row}: {p[row].tolist()}"
        )
    return y.astype(np.int64 if target.probabilistic else np.float64), p


def _value_or_reason(
    name: str, reason: dict[str, str], classes: Sequence[str], metric: Any, *arrays: Any, **options: Any
) -> float | None:
    """The metric's value; where it is undefined None, with an entry in `reason`."""
    try:
        return metric(*arrays, **options)
    except UndefinedMetricError as undefined:
        reason[name] = undefined.reason.format(classes[undefined.index])
        return None


def _per_class(target: Target, y: NDArray[np.int64], p: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
    members, called = target.members(y), target.members(target.call(p))
    rows: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(target.names):
        truth, chosen = members[:, k], called[:, k]
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
