"""Intervals of values, one per sequence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class PredictionIntervals:
    """N intervals from `low` (N,) to `high` (N,), both ends included, in the unit of the values."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def width(self) -> NDArray[np.float64]:
        """(N,) how far the ends are apart."""
        return self.high - self.low

    def covers(self, y: ArrayLike) -> NDArray[np.bool_]:
        """(N,) whether the true value is inside."""
        y = np.asarray(y, dtype=np.float64)
        return (self.low <= y) & (y <= self.high)
