"""The loops of local alignments, compiled by Numba into vector instructions of the processor.

A query is aligned with LANES references abreast: arrays hold LANES numbers for each position of the references, so that
every loop below runs over memory in order. The equations are those of `local_alignment`.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from seqreg.compiling import compiled
from seqreg.networks.alignment_blocks import LANES, Array

# Sums grow beyond what a number holds: where one exceeds LARGE, all of its lane are divided by it. That is looked after
# every EVERY rows: in between, float32 has room for similarities of 40 (letters have 11 at most), float64 of 600.
LARGE, EVERY = 1e16, 2
_LOG_LARGE = np.log(LARGE)


_compiled = partial(compiled, fastmath=True)


@_compiled
def _step(match: Array, start: Array, before: Array, now: Array, opened: float, extended: float) -> None:
    """One row: `before` and `now` are M, X, Y (3, LANES + width), behind a border of zeros."""
    m, x, y = before[0], before[1], before[2]
    new_m, new_x, new_y = now[0], now[1], now[2]
    for j in range(len(match)):
        new_m[j + LANES] = match[j] * (start[j] + m[j] + x[j] + y[j])
    for j in range(len(m)):
        new_x[j] = opened * m[j] + extended * x[j]
    for j in range(len(match)):
        new_y[j + LANES] = opened * (new_m[j] + new_x[j]) + extended * new_y[j]


@_compiled
def _shrink(largest: Array, state: Array, start: Array, total: Array, times: Array) -> None:
    """Divide lanes whose numbers have become large, and count how often."""
    for lane in range(LANES):
        while largest[lane] > LARGE:
            largest[lane] /= LARGE
            times[lane] += 1
            for j in range(lane, state.shape[1], LANES):
                state[0, j] /= LARGE
                state[1, j] /= LARGE
                state[2, j] /= LARGE
            for j in range(lane, len(start), LANES):
                start[j] /= LARGE
            for j in range(lane, len(total), LANES):
                total[j] /= LARGE


@_compiled
def _largest_of(values: Array, largest: Array) -> None:
    largest[:] = 0
    for begin in range(0, len(values), LANES):
        for lane in range(LANES):
            largest[lane] = max(largest[lane], values[begin + lane])


@_compiled
def _forward(
    kinds: NDArray[np.int64],
    table: Array,
    opened: float,
    extended: float,
    matched: Array,
    divided: Array,
    found: Array,
) -> None:
    """found (LANES,): logarithms of the sums over alignments. matched (L, width), where it has rows: M of every row,
    divided by LARGE as often as `divided` (L, LANES) says.
    """
    width = table.shape[1]
    state = np.zeros((2, 3, LANES + width), table.dtype)
    start = np.ones(width, table.dtype)
    total = np.zeros(width, table.dtype)
    largest, times = np.zeros(LANES, table.dtype), np.zeros(LANES, table.dtype)
    for i in range(len(kinds)):
        now = state[1 - i % 2]
        _step(table[kinds[i]], start, state[i % 2], now, opened, extended)
        m = now[0]
        for j in range(width):
            total[j] += m[j + LANES]
        if len(matched):
            matched[i] = m[LANES:]
            divided[i] = times
        if i % EVERY == EVERY - 1:
            _largest_of(total, largest)
            _shrink(largest, now, start, total, times)
    for lane in range(LANES):
        added = 0.0
        for j in range(lane, width, LANES):
            added += total[j]
        found[lane] = np.log1p(added) if times[lane] == 0 else np.log(added) + times[lane] * _LOG_LARGE


@_compiled
def log_sums(kinds: NDArray[np.int64], table: Array, opened: float, extended: float, found: Array) -> None:
    """Fill found (LANES,) with the logarithms of the sums over alignments."""
    none = np.zeros((0, 0), table.dtype)
    _forward(kinds, table, opened, extended, none, none, found)


@_compiled
def passing(
    kinds: NDArray[np.int64],
    table: Array,
    opened: float,
    extended: float,
    letters: NDArray[np.uint8],
    shares: Array,
) -> None:
    """Add to shares (LANES, L, V) what passes through each match, as a share of the sum over alignments."""
    rows, width = len(kinds), table.shape[1]
    matched = np.empty((rows, width), table.dtype)
    divided = np.zeros((rows, LANES), table.dtype)
    logs = np.empty(LANES)
    _forward(kinds, table, opened, extended, matched, divided, logs)

    # From the other end, with the border behind: what may follow a match, a gap in the reference or in the query.
    state = np.zeros((2, 3, LANES + width), table.dtype)
    start = np.ones(width, table.dtype)
    largest, times = np.zeros(LANES, table.dtype), np.zeros(LANES, table.dtype)
    none = np.zeros(0, table.dtype)
    follows = np.zeros(LANES + width, table.dtype)
    factor = np.empty(LANES)  # of products of two large numbers: double precision holds them
    for back in range(rows):
        i = rows - 1 - back
        after, now = state[back % 2], state[1 - back % 2]
        after_m, after_x = after[0], after[1]
        m, x, y = now[0], now[1], now[2]
        if back:
            match = table[kinds[i + 1]]
            for j in range(width - LANES):
                follows[j] = match[j + LANES] * after_m[j + LANES]
        for j in range(width - 1, -1, -1):
            y[j] = follows[j] + extended * y[j + LANES]
        for j in range(width):
            gap = opened * y[j + LANES]
            x[j] = follows[j] + extended * after_x[j] + gap
            m[j] = start[j] + follows[j] + opened * after_x[j] + gap
        for lane in range(LANES):
            factor[lane] = np.exp((divided[i, lane] + times[lane]) * _LOG_LARGE - logs[lane])
        for j in range(0, width, LANES):
            for lane in range(LANES):
                share = np.float64(matched[i, j + lane]) * np.float64(m[j + lane]) * factor[lane]
                shares[lane, i, letters[j + lane]] += share
        if back % EVERY == EVERY - 1:
            _largest_of(m, largest)
            _shrink(largest, now, start, none, times)
