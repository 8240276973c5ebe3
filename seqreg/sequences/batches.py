"""Sequences that are worked on together, padded to the longest of them: as many as memory has room for."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def padded_batches(lengths: NDArray[np.int64], most: int, letters: int) -> Iterator[NDArray[np.int64]]:
    """Places of consecutive sequences of lengths (N,): at most `most`, of at most `letters` letters when padded.

    One sequence at least, however long it is. Sorted by length they leave little padding to compute.
    """
    start = 0
    while start < len(lengths):
        longest = np.maximum.accumulate(lengths[start : start + most])
        padded = longest * np.arange(1, len(longest) + 1)
        stop = start + max(1, int(np.searchsorted(padded, letters, side="right")))
        yield np.arange(start, stop)
        start = stop
