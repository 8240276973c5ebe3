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

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.errors import ModelError, UsageError
from seqreg.records import read_json
from seqreg.targets import Target

FILE = "calibration.json"
COVERAGE = 0.9  # of the intervals of values, where nothing is asked for
FOLDS = "folds"  # the part that is every sequence, predicted by a model of folds that it was in none of
ABSTAIN = "abstain"
_ROUNDING = 9  # decimals at which (n + 1) c counts as whole: 0.55 * 20 is 11


@dataclass(frozen=True, kw_only=True, eq=False)
class Conformal:
    """What a run keeps of its held-out sequences: their part, and their nonconformities, sorted (n,)."""

    part: str
    nonconformity: NDArray[np.float64]

    @classmethod
    def of(cls, target: Target, y: NDArray[Any], p: ArrayLike, part: str) -> "Conformal":
        """From the truth and the probabilities (N, K) of the held-out part."""
        return cls(part=part, nonconformity=np.sort(target.nonconformity(y, p)))

    @classmethod
    def of_errors(cls, errors: NDArray[np.float64], part: str) -> "Conformal":
        """From absolute errors (n,) of predictions for sequences that were not learned from."""
        return cls(part=part, nonconformity=np.sort(errors))

    def threshold(self, coverage: float) -> float:
        """q for a coverage in (0, 1); infinite, so that every set holds everything, where n is too small for it."""
        if not 0 < coverage < 1:
            raise UsageError(f"a coverage lies between 0 and 1; got {coverage:g}")
        rank = math.ceil(round((len(self.nonconformity) + 1) * coverage, _ROUNDING))
        return float(self.nonconformity[rank - 1]) if rank <= len(self.nonconformity) else math.inf

    def to_plain(self) -> dict[str, Any]:
        """What `calibration.json` holds."""
        scores = [float(f"{score:.9g}") for score in self.nonconformity]
        return {"part": self.part, "n": len(scores), "nonconformity": scores}


def load_conformal(folder: Path) -> Conformal | None:
    """What a run folder holds of it, None where nothing was held out. Raises ModelError for a damaged file."""
    path = folder / FILE
    try:
        stored = read_json(path)
        scores = np.asarray(stored["nonconformity"], dtype=np.float64)
        if scores.ndim != 1 or not np.isfinite(scores).all() or not isinstance(stored["part"], str):
            raise ValueError("nonconformity is no list of finite numbers, or part no text")
        return Conformal(part=stored["part"], nonconformity=scores)
    except FileNotFoundError:
        return None
    except (OSError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}. Train again, or restore the file") from None
