"""The loops of k-mers that fire on one-hot input that may have moved off its letters, compiled by Numba.

The filter of a k-mer fires in a window where the k entries of x that it reads add up to more than k - 1. On letters one
of A^k does, and near them few others, so that they are looked for letter by letter: a beginning is given up as soon as
the largest entries that may follow it are not enough.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.compiling import compiled

Array = NDArray[np.floating[Any]]
Places = NDArray[np.int64]


@compiled
def find_firing(x: Array, counts: Places, k: int, rows: Places, windows: Places, kmers: Places) -> int:
    """How many k-mers fire in the first counts[n] windows of x (N, A, L); as many as fit are written down one by one.

    rows, windows, kmers (E,): the sequence, the window, and the number of the k-mer, its letters being the digits.
    """
    letters, found = x.shape[1], 0
    letter, so_far = np.zeros(k, np.int64), np.zeros(k + 1, x.dtype)
    still, largest = np.zeros(k + 1, x.dtype), np.empty(x.shape[2], x.dtype)
    for n in range(len(x)):
        largest[:] = x[n, 0]
        for a in range(1, letters):
            for i in range(len(largest)):
                largest[i] = max(largest[i], x[n, a, i])
        for t in range(counts[n]):
            for tap in range(k - 1, -1, -1):
                still[tap] = still[tap + 1] + largest[t + tap]
            tap, letter[0] = 0, 0
            while tap >= 0:
                if letter[tap] == letters:
                    tap -= 1
                    if tap >= 0:
                        letter[tap] += 1
                    continue
                so_far[tap + 1] = so_far[tap] + x[n, letter[tap], t + tap]
                if so_far[tap + 1] + still[tap + 1] <= k - 1:
                    letter[tap] += 1
                elif tap + 1 < k:
                    tap += 1
                    letter[tap] = 0
                else:
                    if found < len(rows):
                        number = 0
                        for digit in letter:
                            number = number * letters + digit
                        rows[found], windows[found], kmers[found] = n, t, number
                    found += 1
                    letter[tap] += 1
    return found


@compiled
def take_entries(x: Array, rows: Places, windows: Places, kmers: Places, k: int, less: float, out: Array) -> None:
    """Add to out (N, A^k) the k entries of x (N, A, L) that each k-mer which fires (E,) reads, all but `less`."""
    letters = x.shape[1]
    for e in range(len(rows)):
        n, number = rows[e], kmers[e]
        total = out[n, number] - less
        for tap in range(k - 1, -1, -1):
            total += x[n, number % letters, windows[e] + tap]
            number //= letters
        out[n, kmers[e]] = total


@compiled
def place_entries(g: Array, rows: Places, windows: Places, kmers: Places, k: int, out: Array) -> None:
    """Add to those entries of out (N, A, L) the g (N, A^k) of the k-mer: what turns `take_entries` around."""
    letters = out.shape[1]
    for e in range(len(rows)):
        n, number = rows[e], kmers[e]
        value = g[n, number]
        for tap in range(k - 1, -1, -1):
            out[n, number % letters, windows[e] + tap] += value
            number //= letters
