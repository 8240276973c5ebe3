"""The loops of a scan, compiled by Numba: scores of every place once, and what windows that slide over them pool.

A window pools T places, the next one those a step further. Places are taken in chunks of T: a window that begins in one
chunk ends in the next, or fills the first. So it pools a run up to the end of a chunk and a run from the beginning of
one, and both are known for all windows after one pass back and one pass forth: two operations per place, whatever T is.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.compiling import compiled

Array = NDArray[np.floating[Any]]
Codes = NDArray[np.uint8]
Places = NDArray[np.int64]


@compiled
def first_scores(codes: Codes, table: Array, out: Array) -> None:
    """out (P, C) = sum_j table[j, codes[p + j]], of codes (P + R - 1,) and table (R, V, C)."""
    taps = len(table)
    for p in range(len(out)):
        row = out[p]
        begin = table[0, codes[p]]
        for c in range(len(row)):
            row[c] = begin[c]
        j = 1
        while j + 3 < taps:  # by fours: the sum is fetched and put back less often
            one, two = table[j, codes[p + j]], table[j + 1, codes[p + j + 1]]
            three, four = table[j + 2, codes[p + j + 2]], table[j + 3, codes[p + j + 3]]
            for c in range(len(row)):
                row[c] = row[c] + one[c] + two[c] + three[c] + four[c]
            j += 4
        while j < taps:
            one = table[j, codes[p + j]]
            for c in range(len(row)):
                row[c] += one[c]
            j += 1


@compiled
def _merge(into: Array, row: Array, largest: bool) -> None:
    if largest:
        for c in range(len(into)):
            into[c] = np.maximum(row[c], into[c])  # Python's own max becomes no vector instruction
    else:
        for c in range(len(into)):
            into[c] += row[c]


@compiled
def slide_over(rows: Array, first: Places, count: Places, places: Places, step: int, largest: bool, out: Array) -> None:
    """out (M, C): rows (P, C) pooled over windows of places[i] rows, count[i] of them from first[i] on, every step.

    By the maximum, or else by the sum, of which nothing is ever subtracted, so that nothing cancels. The windows of all
    i follow each other in out.
    """
    nothing = -np.inf if largest else 0.0
    pooled = np.empty(rows.shape[1], rows.dtype)
    done = 0
    for i in range(len(first)):
        t = places[i]
        for chunk in range(0, (count[i] - 1) * step + t, t):
            pooled[:] = nothing
            p = chunk + t - 1
            k = min(count[i] - 1, p // step)
            while k >= 0 and k * step >= chunk:
                while p >= k * step:
                    _merge(pooled, rows[first[i] + p], largest)
                    p -= 1
                out[done + k] = pooled
                k -= 1
            pooled[:] = nothing
            p = chunk
            k = (chunk - t) // step + 1 if chunk else count[i]
            while k < count[i] and k * step < chunk:
                while p < k * step + t:
                    _merge(pooled, rows[first[i] + p], largest)
                    p += 1
                _merge(out[done + k], pooled, largest)
                k += 1
        done += count[i]


@partial(compiled, fastmath=True)
def slide_dot(
    rows: Array, first: Places, count: Places, places: Places, step: int, weight: Array, mirrored: bool, out: Array
) -> None:
    """out (M, H) = sum_{t, c} weight[h, t, c] rows[first + t, c] over these windows, as far as weight (H, T', C) goes.

    mirrored: rows are read from the last of a window to the first, against weights that are in that order already.
    """
    done = 0
    for i in range(len(first)):
        t = min(places[i], weight.shape[1])
        begin = places[i] - t if mirrored else 0
        skip = weight.shape[1] - t if mirrored else 0
        for k in range(count[i]):
            window = rows[first[i] + k * step + begin : first[i] + k * step + begin + t].ravel()
            for h in range(len(weight)):
                against = weight[h, skip : skip + t].ravel()
                total = rows.dtype.type(0)
                for c in range(len(window)):
                    total += window[c] * against[c]
                out[done + k, h] = total
        done += count[i]
