"""The loops of one-layer networks over letters, forward and backward, compiled by Numba.

A row is a sequence read on one strand: R = N rows, or 2 N where both strands are scored, the opposite ones last.
Filters come twice: `table` (W, V, C) is read by letters, so that all filters score a window together; `filters`
(C, W, A) is placed on the input, so that a filter is one run of numbers. What these loops compute is what `ConvNet`
computes by tensors, and its derivatives by autograd, which is what they are tested against.

G (N, L, A), the gradient in one-hot x of a logit, is linear in the filters and in the head, and depends on letters only
by which windows are best and which are active. So its squared norm has a derivative in closed form: at the window t of
filter c, `2 <G[t : t + W], W_c>` in the factor of the filter, and 2 times the factor times `G[t : t + W]` in W_c.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.compiling import compiled

Floats = NDArray[Any]
Bytes = NDArray[np.uint8]
Places = NDArray[np.int32]

# Sums may be reordered, for vector instructions; numbers that are not finite stay what they are.
loop = partial(compiled, fastmath={"reassoc", "contract", "arcp", "nsz"})
# Places in flat arrays are unsigned: of a signed one Numba asks whether it counts from the end, which is no vector
# instruction.
place = np.uint64
FOUR = place(4)


# ---- letters and filters


@loop
def read_strands(ids: Bytes, complement: Bytes, pad: int, rows: Bytes, lengths: Places) -> None:
    """Copy ids (N, L) to rows (R, L' >= L), which hold padding, and write their lengths (N,).

    complement (V,) is empty where one strand is scored.
    """
    n, longest = ids.shape
    for i in range(n):
        length = longest
        while length > 0 and ids[i, length - 1] == pad:
            length -= 1
        lengths[i] = length
        for p in range(length):
            rows[i, p] = ids[i, p]
        if len(complement):
            for p in range(length):
                rows[n + i, p] = complement[ids[i, length - 1 - p]]


@loop
def lay_out(kernel: Floats, mixtures: Floats, filters: Floats, table: Floats) -> None:
    """From a kernel (C, A, W) and symbols' shares of letters (V, A): filters (C, W, A) and table (W, V, C)."""
    channels, letters, width = kernel.shape
    for c in range(channels):
        for a in range(letters):
            for j in range(width):
                filters[c, j, a] = kernel[c, a, j]
    for j in range(width):
        for a in range(letters):
            for c in range(channels):
                table[j, a, c] = kernel[c, a, j]
        for v in range(letters, len(mixtures)):
            table[j, v] = 0
            for a in range(letters):
                share = mixtures[v, a]
                if share != 0:
                    for c in range(channels):
                        table[j, v, c] += share * table[j, a, c]


@loop
def row_of(row: Bytes, at: int, tap: int, symbols: int, channels: int) -> int:
    """Where the flat table (W * V * C) holds what the symbol at a tap of the window at `at` says to all filters."""
    return int(tap * symbols + place(row[at + tap])) * channels


@compiled
def add_taps(
    flat: Floats, row: Bytes, at: int, tap: int, taps: int, symbols: int, channels: int, scores: Floats
) -> None:
    """Add to scores (C,), one after another, what letters `tap` to `taps - 1` of the window at `at` say.

    The order is kept, without which a score would depend on how many letters are summed at a time.
    """
    begin = place(tap)
    while (taps - begin) % FOUR != place(0):
        one = row_of(row, at, begin, symbols, channels)
        for c in range(channels):
            scores[c] += flat[one + c]
        begin += place(1)
    while begin < taps:
        one, two = row_of(row, at, begin, symbols, channels), row_of(row, at, begin + place(1), symbols, channels)
        three = row_of(row, at, begin + place(2), symbols, channels)
        four = row_of(row, at, begin + place(3), symbols, channels)
        for c in range(channels):
            scores[c] = (((scores[c] + flat[one + c]) + flat[two + c]) + flat[three + c]) + flat[four + c]
        begin += FOUR


@loop
def add_letters(grown: Floats, mixtures: Floats, row: Bytes, t: int, value: float) -> None:
    """Add to the gradient of a filter (W, A) the window of a row that begins at t, times a value."""
    letters = grown.shape[1]
    for j in range(len(grown)):
        symbol = row[t + j]
        if symbol < letters:
            grown[j, symbol] += value
        else:
            for a in range(letters):
                grown[j, a] += value * mixtures[symbol, a]


@loop
def squared_norm(values: Floats) -> float:
    """Of all numbers of a flat gradient."""
    total = values[0] * 0
    for i in range(len(values)):
        total += values[i] * values[i]
    return total


@loop
def add_filter(gradient: Floats, at: int, filters: Floats, c: int, factor: float) -> None:
    """Add filter c, of filters (C, W * A), times a factor, to a flat gradient from `at` on."""
    begin = place(at)
    for m in range(place(filters.shape[1])):
        gradient[begin + m] += factor * filters[c, m]


@loop
def add_window(grown: Floats, c: int, gradient: Floats, at: int, factor: float) -> None:
    """Add to the gradient of filter c, of (C, W * A), what stands in a flat gradient from `at` on."""
    begin = place(at)
    for m in range(place(grown.shape[1])):
        grown[c, m] += factor * gradient[begin + m]


@loop
def along(filters: Floats, c: int, gradient: Floats, at: int) -> float:
    """Inner product of filter c, of (C, W * A), and a flat gradient from `at` on."""
    begin, total = place(at), filters[c, 0] * 0
    for m in range(place(filters.shape[1])):
        total += filters[c, m] * gradient[begin + m]
    return total


@loop
def mirror(gradient: Floats, complement: Bytes, length: int, mirrored: Floats) -> None:
    """The gradient (L, A) as seen from the opposite strand of a sequence of this length, added to `mirrored`."""
    for p in range(length):
        for a in range(gradient.shape[1]):
            mirrored[length - 1 - p, complement[a]] += gradient[p, a]
