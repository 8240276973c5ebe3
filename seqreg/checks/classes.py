"""How sequences of the classes differ in length and in the share of G and C."""

import numpy as np
from numpy.typing import NDArray

from seqreg.checks.base import Evidence, Found
from seqreg.metrics import auroc
from seqreg.sequences import SequenceSet

APART = 0.75  # AUROC of length from which on it is worth saying


def length_by_class(evidence: Evidence) -> Found:
    """Quartiles of length and, of nucleotides, the mean share of G and C, for each class."""
    data = evidence.data
    nucleotides = data.alphabet.complement is not None
    gc = _share_of(data, "GC") if nucleotides else None
    value: dict[str, dict[str, float]] = {}
    largest = 0.5
    for name, members in zip(data.classes, data.members.T, strict=True):
        if not members.any():
            continue
        low, median, high = np.quantile(data.lengths[members], [0.25, 0.5, 0.75])
        value[name] = {"n": int(members.sum()), "low": float(low), "median": float(median), "high": float(high)}
        if gc is not None:
            value[name]["gc"] = float(gc[members].mean())
        if not members.all():
            area = float(auroc(members.astype(int), _column(data.lengths)))
            largest = max(largest, area, 1 - area)
    said = ", ".join(f"{name} {each['median']:g} ({each['low']:g} to {each['high']:g})" for name, each in value.items())
    return ("note" if largest >= APART else "ok"), value, {"said": said, "area": f"{largest:.2f}"}


def _column(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores as the second of two columns."""
    scores = values.astype(np.float64)
    return np.stack([-scores, scores], axis=1)


def _share_of(data: SequenceSet, letters: str) -> NDArray[np.float64]:
    """(N,) share of these letters in each sequence."""
    return data.letter_shares()[:, [data.alphabet.letters.index(letter) for letter in letters]].sum(axis=1)
