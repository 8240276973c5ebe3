"""What a threshold on the probability of the positive class gives: found, passed over, and right among the called.

Sensitivity s and specificity t are of the test part. Where positives are a share q of what is looked at, the precision
to expect is `s q / (s q + (1 - t) (1 - q))`, and (1 - t) (1 - q) of all sequences are called wrongly.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.errors import UsageError
from seqreg.targets import Target

FILE = "thresholds.tsv"
COLUMNS = ("threshold", "sensitivity", "specificity", "precision", "prevalence", "expected_precision", "false_hits")
LEVELS = (0.01, 0.05, *(round(0.1 * i, 1) for i in range(1, 10)), 0.95, 0.99)
PER = 1000  # sequences among which false hits are counted


def threshold_rows(
    target: Target, y: ArrayLike, p: ArrayLike, prevalence: float | None = None
) -> Sequence[tuple[Any, ...]]:
    """A row per threshold for the positive class of a binary task, else no row.

    y (N,), p (N, 2). prevalence: the share of positives where the model is going to be used, above 0 and below 1; that
    of the test part without it. expected_precision and false_hits (in 1,000 sequences) are for that share. precision is
    empty where nothing is called.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise UsageError(f"a prevalence lies between 0 and 1; got {prevalence:g}")
    if not target.binary:
        return ()
    positive = np.asarray(y) == target.positive_index
    if positive.all() or not positive.any():
        return ()
    score = np.asarray(p, dtype=np.float64)[:, target.positive_index]
    share = float(positive.mean()) if prevalence is None else prevalence
    return [_row(level, positive, score, share) for level in LEVELS]


def _row(level: float, positive: NDArray[np.bool_], score: NDArray[np.float64], share: float) -> tuple[Any, ...]:
    called = score >= level
    sensitivity, mistaken = float(called[positive].mean()), float(called[~positive].mean())
    hits, misses = sensitivity * share, mistaken * (1 - share)
    precision = f"{positive[called].mean():.4g}" if called.any() else ""
    expected = f"{hits / (hits + misses):.4g}" if hits + misses else ""
    numbers = (f"{each:.4g}" for each in (sensitivity, 1 - mistaken))
    return (f"{level:g}", *numbers, precision, f"{share:.4g}", expected, f"{PER * misses:.4g}")
