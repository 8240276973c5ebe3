"""Copies and near copies: what makes a test part tell less than it seems to."""

import numpy as np
from numpy.typing import NDArray

from seqreg.checks.base import Evidence, Found
from seqreg.sequences import SequenceSet, affordable_table, same_molecule, shared_across, similarities
from seqreg.targets import Classes, Labels

NEAR_COPY = 0.8  # share of k-mers
MANY = 0.1  # of the test sequences


def duplicates(evidence: Evidence) -> Found:
    """Equal sequences, reverse complements of DNA included; conflicting labels, and those on both sides of a split."""
    data = evidence.data
    first = same_molecule(data)
    copies = int((first != np.arange(len(data))).sum())
    conflicting, across = [], []
    if data.y is not None and isinstance(data.target, Classes | Labels):
        labels = np.unique(data.y, axis=0, return_inverse=True)[1].reshape(-1)
        conflicting = shared_across(first, labels)
    if evidence.learned is not None and evidence.together is not None:
        both = same_molecule(evidence.together)
        n = len(evidence.learned)
        across = np.flatnonzero(both[n:] < n)
    value = {"copies": copies, "conflicting": len(conflicting), "across_parts": len(across)}
    status = "warn" if len(across) or len(conflicting) else "note" if copies else "ok"
    named = ", ".join(data.names[int(i)] for i in conflicting[:3])
    words = {**value, "named": f" ({named})" if named else ""}
    return status, value, words


def similarity(evidence: Evidence) -> Found:
    """How much test sequences share with the nearest training sequence; without parts, with the nearest other one."""
    if evidence.learned is not None and evidence.together is not None:
        nearest = nearest_similarity(evidence.together, len(evidence.learned))
        among = "a training sequence"
    elif evidence.fold is not None:
        nearest = nearest_similarity(evidence.data, fold=evidence.fold)
        among = "a sequence of another fold"
    else:
        nearest = nearest_similarity(evidence.data)
        among = "another sequence"
    share = float((nearest >= evidence.similarity).mean()) if len(nearest) else 0.0
    copies = float((nearest >= NEAR_COPY).mean()) if len(nearest) else 0.0
    value = {"largest": float(nearest.max(initial=0.0)), "share": share, "near_copies": copies}
    words = {
        "largest": f"{value['largest']:.2f}",
        "share": f"{share:.0%}",
        "copies": f"{copies:.0%}",
        "threshold": f"{evidence.similarity:g}",
        "among": among,
        "which": "test sequences" if among.startswith("a training") else "sequences",
    }
    status = "warn" if copies > MANY else "note" if share > MANY or copies > 0 else "ok"
    return status, value, words


def nearest_similarity(
    data: SequenceSet, learned: int | None = None, fold: NDArray[np.str_] | None = None
) -> NDArray[np.float64]:
    """(n,) the largest share of k-mers that each has in common with another sequence.

    learned: how many of the first sequences are those that all others, and only these, are compared with. fold (n,):
    only sequences of different folds are compared.
    """
    table, _ = affordable_table(data)
    left, right = (table, table) if learned is None else (table[learned:], table[:learned])
    nearest = np.zeros(left.shape[0])
    for row, column, shared in similarities(left, right):
        if learned is not None:
            other = np.ones(len(row), dtype=bool)
        else:
            other = row != column if fold is None else fold[row] != fold[column]
        np.maximum.at(nearest, row[other], shared[other])
    return nearest
