"""Columns of one centre and one spread, so that a penalty on coefficients means the same for each of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.linear.solvers import Array

_SAME = 1e-7  # of the largest number of a column: what single precision leaves of one that never changes


def column_standards(rows: NDArray[Any], weight: Array | None = None) -> tuple[Array, Array]:
    """Mean and standard deviation (D,) of the columns of rows (n, D) of weights (n,); 1 where nothing changes."""
    counted = rows if weight is None else rows[weight > 0]
    weight = None if weight is None else weight[weight > 0]
    centre = np.average(counted.astype(np.float64), axis=0, weights=weight)
    spread = np.sqrt(np.average((counted - centre) ** 2, axis=0, weights=weight))
    return centre, np.where(spread > _SAME * np.abs(counted).max(0), spread, 1.0)
