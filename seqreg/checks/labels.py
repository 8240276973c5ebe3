"""Labels that may be none, and labels that what the other sequences say contradicts.

Confident learning (Northcutt, Jiang and Chuang, JAIR 2021), as in cleanlab: of predictions that had not seen the
sequence, the threshold of a class is the mean probability that its own members get; a sequence is suspect if it reaches
the threshold of another class, and most of all that of one which is not its own. As in cleanlab, one whose own class
is the most probable is not, and here only one whose own class is improbable: a model that is wrong of every fifth
sequence contradicts every fifth label, and only those that it is sure of are worth a look. The rule is ten lines here,
and cleanlab would bring pandas with it, so it is no dependency.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.checks.base import Array, Evidence, Found
from seqreg.sequences import missing_like
from seqreg.targets import SEPARATOR, Target

IMPROBABLE = 0.1  # less than this, and the label of the sequence is contradicted
COLUMNS = ("id", "label", "suggested", "p_label", "p_suggested", "sequence")


def missing(evidence: Evidence) -> Found:
    """Labels that read as if there were none."""
    texts = evidence.data.label_texts()
    counted = missing_like(text for label in texts for text in label.split(SEPARATOR))
    n = sum(counted.values())
    return ("warn" if n else "ok"), n, {"n": n}


def issues(evidence: Evidence) -> Found | None:
    """Sequences whose label the others contradict most."""
    target, y = evidence.data.labelled()
    if target.one_class(y) is None:
        return None
    rows = suspects(target, y, evidence.unseen)
    names = ", ".join(evidence.data.names[int(i)] for i in rows[:3])
    words = {"n": len(rows), "of": len(y), "named": names}
    return ("note" if len(rows) else "ok"), len(rows), words


def suspects(target: Target, y: NDArray[Any], p: Array) -> NDArray[np.int64]:
    """Rows of sequences whose label is suspect, the most suspect first: least p of the label less that of the other."""
    classes = target.one_class(y)
    assert classes is not None
    known = np.flatnonzero(~np.isnan(p).any(axis=1))
    own = p[known, classes[known]]
    threshold = np.array(
        [own[classes[known] == k].mean() if (classes[known] == k).any() else np.inf for k in range(p.shape[1])]
    )
    confident = np.where(p[known] >= threshold, p[known], -np.inf)
    likeliest = confident.argmax(axis=1)
    margin = own - p[known].max(axis=1)
    suspect = np.isfinite(confident.max(axis=1)) & (likeliest != classes[known]) & (own < IMPROBABLE) & (margin < 0)
    order = np.argsort(margin, kind="stable")
    return known[order][suspect[order]]


def suspect_rows(evidence: Evidence) -> Sequence[tuple[Any, ...]] | None:
    """Rows of suspects.tsv; None where sequences have not one class each."""
    data = evidence.data
    if "classes" not in evidence.has:
        return None
    target, y = data.labelled()
    classes = target.one_class(y)
    if classes is None:
        return None
    p = evidence.unseen
    return [
        (
            data.names[i],
            target.names[classes[i]],
            target.names[int(p[i].argmax())],
            f"{p[i, classes[i]]:.4g}",
            f"{p[i].max():.4g}",
            data.sequence(int(i)),
        )
        for i in suspects(target, y, p)
    ]
