"""Does a model know more than how long a sequence is, or which letters it has?"""

from collections.abc import Callable

import numpy as np

from seqreg.checks.base import Array, Evidence, Found
from seqreg.checks.references import composition, from_learned, held_out, lengths
from seqreg.evaluation.verdict import judge
from seqreg.sequences import SequenceSet

CLOSE = 0.01  # by which a model may be better and still know no more, as far as anyone can tell


def length_only(evidence: Evidence) -> Found | None:
    """Lengths alone; sequences of one length have nothing to tell."""
    if len(np.unique(evidence.data.lengths)) == 1:
        return None
    return _beside(evidence, lengths)


def composition_only(evidence: Evidence) -> Found | None:
    """Letter frequencies alone. They may carry much, and that is biology, as long as the model knows more."""
    return _beside(evidence, composition)


def _beside(evidence: Evidence, rows: Callable[[SequenceSet], Array]) -> Found | None:
    """The model beside logistic regression on the rows; without a model, a simple one out of fold takes its place."""
    data = evidence.data
    tested, p = evidence.tested, evidence.p
    if p is not None and tested is not None and evidence.learned is not None:
        assert evidence.together is not None
        simple = from_learned(evidence.learned, tested, rows(evidence.together), evidence.seed)
    else:
        p = evidence.unseen if p is None else p
        out_of_fold = held_out(data, rows, evidence.seed)
        known = np.flatnonzero(~np.isnan(out_of_fold).any(axis=1) & ~np.isnan(p).any(axis=1))
        tested, p, simple = data.subset(known), p[known], out_of_fold[known]
    if not len(tested):
        return None
    target, y = tested.labelled()
    alone = judge(target, y, simple, None, groups=tested.group, seed=evidence.seed)
    beside = judge(target, y, p, ("shortcut", simple), groups=tested.group, seed=evidence.seed)
    if alone is None or beside is None:
        return None
    metric = target.metrics[alone.metric]
    value = alone.difference + (metric.chance or 0.0)
    words = {
        "metric": metric.title,
        "value": f"{value:.3f}",
        "model": f"{value + beside.difference:.3f}",
        "low": f"{beside.interval[0]:+.3f}",
        "high": f"{beside.interval[1]:+.3f}",
    }
    found = {"metric": alone.metric, "value": value, "model": value + beside.difference, "interval": beside.interval}
    if alone.outcome != "ahead" or beside.outcome == "ahead":
        return "ok", found, words
    return ("warn" if beside.difference <= CLOSE else "note"), found, words
