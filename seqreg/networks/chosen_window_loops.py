"""The loops of one window per sequence and filter, in scores of any input, compiled by Numba."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.compiling import compiled

Array = NDArray[np.floating[Any]]
Places = NDArray[np.int64]


@compiled
def choose_by_window(scores: Array, counts: Places, starts: Places, best: Array) -> None:
    """Write down where the first counts (N,) windows of scores (N, T, C) are first largest, and how large.

    starts, best (N, C).
    """
    for n in range(len(scores)):
        starts[n] = 0
        best[n] = scores[n, 0]
        for t in range(1, counts[n]):
            for c in range(scores.shape[2]):
                if scores[n, t, c] > best[n, c]:
                    best[n, c], starts[n, c] = scores[n, t, c], t


@compiled
def choose_by_filter(scores: Array, counts: Places, starts: Places, best: Array) -> None:
    """The same of scores (N, C, T)."""
    for n in range(len(scores)):
        for c in range(scores.shape[1]):
            largest, where = scores[n, c, 0], 0
            for t in range(1, counts[n]):
                if scores[n, c, t] > largest:
                    largest, where = scores[n, c, t], t
            starts[n, c], best[n, c] = where, largest


@compiled
def place_filters(g: Array, filters: Array, starts: Places, letters: int, out: Array) -> None:
    """Add to out (N, L * A) each filter, (C, W * A), times g (N, C), from its start (N, C) among the positions on."""
    for n in range(len(g)):
        for c in range(g.shape[1]):
            share = g[n, c]
            if share != 0:
                first = starts[n, c] * letters
                for i in range(filters.shape[1]):
                    out[n, first + i] += share * filters[c, i]
