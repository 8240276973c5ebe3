"""Prediction sets that hold the truth as often as they were asked to: split conformal prediction.

The nonconformity of a sequence is `1 - p(truth)`, for several labels the largest such number among them. With n
held-out sequences and a coverage c, the threshold q is the k-th smallest of their nonconformities,
`k = ceil((n + 1) c)`, or infinite if k > n. The set of a new sequence holds every answer whose nonconformity is at
most q. If held-out and new sequences are exchangeable, the truth is in the set with probability at least c, and at most
c + 1 / (n + 1) where there are no ties: over both draws, on average over classes and sequences, whatever the model is
worth. It says nothing about sequences of another kind, nor about each class by itself.

Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World* (2005), section 4.2; Angelopoulos and Bates,
*Conformal Prediction: A Gentle Introduction* (2023), section 1.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.errors import ModelError, UsageError
from seqreg.records import read_json

FILE = "calibration.json"
ABSTAIN = "abstain"
_ROUNDING = 9  # decimals at which (n + 1) c counts as whole: 0.55 * 20 is 11


@dataclass(frozen=True, kw_only=True, eq=False)
class Conformal:
    """What a run keeps of its held-out sequences: their part, and their nonconformities, sorted (n,)."""

    part: str
    multi_label: bool
    nonconformity: NDArray[np.float64]

    @classmethod
    def of(cls, y: ArrayLike, p: ArrayLike, part: str) -> "Conformal":
        """From the truth and the probabilities (N, K) of the held-out part."""
        y = np.asarray(y)
        return cls(part=part, multi_label=y.ndim == 2, nonconformity=np.sort(nonconformity(y, p)))

    def threshold(self, coverage: float) -> float:
        """q for a coverage in (0, 1); infinite, so that every set holds everything, where n is too small for it."""
        if not 0 < coverage < 1:
            raise UsageError(f"a coverage lies between 0 and 1; got {coverage:g}")
        rank = math.ceil(round((len(self.nonconformity) + 1) * coverage, _ROUNDING))
        return float(self.nonconformity[rank - 1]) if rank <= len(self.nonconformity) else math.inf

    def to_plain(self) -> dict[str, Any]:
        """What `calibration.json` holds."""
        scores = [float(f"{score:.9g}") for score in self.nonconformity]
        return {"part": self.part, "multi_label": self.multi_label, "n": len(scores), "nonconformity": scores}


def load_conformal(folder: Path) -> Conformal | None:
    """What a run folder holds of it, None where nothing was held out. Raises ModelError for a damaged file."""
    path = folder / FILE
    try:
        stored = read_json(path)
        scores = np.asarray(stored["nonconformity"], dtype=np.float64)
        return Conformal(part=stored["part"], multi_label=stored["multi_label"], nonconformity=scores)
    except FileNotFoundError:
        return None
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}. Train again, or restore the file") from None


def nonconformity(y: NDArray[Any], p: ArrayLike) -> NDArray[np.float64]:
    """(N,) from class indices y (N,), or from labels (N, K) of zeros and ones, and probabilities p (N, K)."""
    p = np.asarray(p, dtype=np.float64)
    if y.ndim == 2:
        return np.where(y == 1, 1 - p, p).max(axis=1)
    return 1 - p[np.arange(len(p)), y]


@dataclass(frozen=True, eq=False)
class PredictionSets:
    """N sets of answers. may (N, K): whether class or label k is possible.

    may_not (N, K), for a multi-label task only, whether its absence is: the set holds all combinations.
    """

    may: NDArray[np.bool_]
    may_not: NDArray[np.bool_] | None = None

    @property
    def single(self) -> NDArray[np.bool_]:
        """(N,) whether the set is one answer."""
        if self.may_not is None:
            return self.may.sum(axis=1) == 1
        return (self.may != self.may_not).all(axis=1)

    def covers(self, y: ArrayLike) -> NDArray[np.bool_]:
        """(N,) whether the truth is in the set."""
        y = np.asarray(y)
        if self.may_not is None:
            return self.may[np.arange(len(y)), y]
        right: NDArray[Any] = np.where(y == 1, self.may, self.may_not)
        return right.sum(axis=1) == right.shape[1]

    def written(self, classes: Sequence[str]) -> list[str]:
        """Possible classes joined by `;`; a label that may be there or not has a `?` behind it."""
        doubt = np.zeros_like(self.may) if self.may_not is None else self.may & self.may_not
        return [
            ";".join(
                f"{name}?" if unsure else name for name, on, unsure in zip(classes, row, doubts, strict=True) if on
            )
            for row, doubts in zip(self.may.tolist(), doubt.tolist(), strict=True)
        ]


def prediction_sets(p: ArrayLike, threshold: float, *, multi_label: bool = False) -> PredictionSets:
    """The sets of sequences with probabilities p (N, K); one is empty if no answer is likely enough."""
    p = np.asarray(p, dtype=np.float64)
    return PredictionSets(1 - p <= threshold, p <= threshold if multi_label else None)
