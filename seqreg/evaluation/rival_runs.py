"""Cross-validated runs as rivals: the corrected resampled t-test of every two, and Holm's correction for their number.

It is the test of `seqreg.evaluation.over_folds`, on the differences fold by fold, and so needs runs that held out the
same sequences in the same folds. As the verdict of a cross-validation, it speaks of procedures.
"""

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqreg.evaluation.intervals import Interval
from seqreg.evaluation.over_folds import difference_over_folds, holm
from seqreg.evaluation.verdict import Verdict, with_sign
from seqreg.metrics import Metric
from seqreg.records import read_tsv

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class PairTest:
    """first and second: folders. difference: of the metric, first less second, mean over folds, with its 95 % interval.

    p: that of the test, 1 where no fold differs from another. adjusted: after Holm, over all pairs. outcome: of the
    first, `tie` where adjusted is not below .05.
    """

    first: str
    second: str
    metric: str
    difference: float
    interval: Interval
    p: float
    adjusted: float
    outcome: Literal["ahead", "tie", "behind"]


def same_folds(folders: Sequence[Path], metrics: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the runs, of these metrics.json, are cross-validations that held out the same sequences together."""
    if not all(each.get("folds") for each in metrics):
        return False
    held_out = [
        {(row["repeat"], row["fold"], row["id"]) for row in read_tsv(folder / "predictions.tsv")} for folder in folders
    ]
    return all(each == held_out[0] for each in held_out)


def pair_tests(
    names: Sequence[str], metrics: Sequence[Mapping[str, Any]], headline: Mapping[str, Metric]
) -> tuple[PairTest, ...]:
    """Every pair of runs with the same folds. headline: the metrics that may decide, the first that all folds have."""
    folds = max(each["fold"] for each in metrics[0]["folds"])
    scores, name = {}, ""
    for name in headline:
        scores = {
            run: [fold["network"].get(name) for fold in each["folds"]] for run, each in zip(names, metrics, strict=True)
        }
        if not any(None in values for values in scores.values()):
            break
    else:
        return ()
    found = []
    for first, second in itertools.combinations(names, 2):
        mean, limits = difference_over_folds(headline[name], scores[first], scores[second], folds, metrics[0]["n"])
        found.append((first, second, mean, limits))
    adjusted = holm([1.0 if mean.p is None else mean.p for _, _, mean, _ in found]).tolist()
    return tuple(
        PairTest(
            first=first,
            second=second,
            metric=name,
            difference=mean.value,
            interval=limits,
            p=1.0 if mean.p is None else mean.p,
            adjusted=p,
            outcome=_outcome(mean.value, p, headline[name]),
        )
        for (first, second, mean, limits), p in zip(found, adjusted, strict=True)
    )


def _outcome(difference: float, adjusted: float, metric: Metric) -> Literal["ahead", "tie", "behind"]:
    if adjusted >= ALPHA:
        return "tie"
    return "ahead" if (difference > 0) != metric.less_is_better else "behind"


def judge_runs(tests: Sequence[PairTest], means: Mapping[str, float], metric: Metric) -> Verdict:
    """The verdict on the run that is best on average, beside the next best. means: of the metric, by run."""
    order = sorted(means, key=lambda run: means[run], reverse=not metric.less_is_better)
    best: dict[str, tuple[PairTest, int]] = {}
    against = order[1]
    for each in tests:
        if order[0] in (each.first, each.second):
            own = each.first == order[0]
            best[each.second if own else each.first] = (each, 1 if own else -1)
    parts = []
    for other in order[1:]:
        each, sign = best[other]
        low, high = sorted(sign * end for end in each.interval)
        limits = f", 95 % interval {with_sign(low)} to {with_sign(high)}"
        said = "a tie with" if each.outcome == "tie" else "ahead of"
        parts.append(f"{said} {other} ({with_sign(sign * each.difference)}{limits}, p = {each.adjusted:.2g})")
    each, sign = best[against]
    low, high = sorted(sign * end for end in each.interval)
    correction = f", p after Holm for {len(tests)} pairs" if len(tests) > 1 else ""
    return Verdict(
        outcome="tie" if each.outcome == "tie" else "ahead",
        against=against,
        metric=each.metric,
        difference=sign * each.difference,
        interval=(low, high),
        sentence=f"Best on average is {order[0]} ({metric.title} {means[order[0]]:.3f}): {', '.join(parts)}. (Means "
        f"over the same folds{correction}: this speaks of the procedures.)",
        next=shlex.join(["seqreg", "predict", order[0], "INPUT", "-o", "predictions.tsv"]),
    )
