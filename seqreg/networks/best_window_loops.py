"""The loops of one-layer networks below a maximum over windows: see `seqreg.networks.window_loops`."""

import numpy as np
from numpy.typing import NDArray

from seqreg.compiling import compiled
from seqreg.networks.window_loops import (
    FOUR,
    Bytes,
    Floats,
    Places,
    add_filter,
    add_letters,
    add_taps,
    add_window,
    along,
    loop,
    mirror,
    place,
    row_of,
    squared_norm,
)

# The sums of so many words stay in the nearer caches.
WORD, MOST_WORDS = 4, 256
Words = NDArray[np.int64]


@compiled
def sum_words(table: Floats, letters: int, words: Floats) -> None:
    """words (A^4, C): what each word of the first four letters of a window says to all filters."""
    for word in range(len(words)):
        one, two = table[0, word // letters**3], table[1, word // letters**2 % letters]
        three, four = table[2, word // letters % letters], table[3, word % letters]
        for c in range(table.shape[2]):
            words[word, c] = ((one[c] + two[c]) + three[c]) + four[c]


@compiled
def read_words(row: Bytes, letters: int, begins: Words) -> None:
    """begins (L,): the word of four letters that begins at each place, -1 where one of them is no letter."""
    word, known = 0, 0
    begins[:] = -1
    for p in range(len(row)):
        known = known + 1 if row[p] < letters else 0
        word = (word * letters + row[p]) % letters**WORD
        if known >= WORD:
            begins[p + 1 - WORD] = word


@compiled
def best_windows(table: Floats, letters: int, rows: Bytes, counts: Places, best: Floats, starts: Places) -> None:
    """The highest score of each filter in each row, (R, C), and the first window that has it.

    Where letters A are few and filters long, words of four letters are summed once and not at every window.
    """
    width, symbols, channels = place(table.shape[0]), place(table.shape[1]), place(table.shape[2])
    flat, scores = table.reshape(-1), np.empty(table.shape[2], table.dtype)
    last = width - FOUR if width >= FOUR else width
    # no mutant: both ways find the same, and which is faster is no matter of tests
    by_words = letters**WORD <= MOST_WORDS and rows.size > MOST_WORDS and width >= FOUR + FOUR + FOUR
    words = np.empty((letters**WORD if by_words else 0, table.shape[2]), table.dtype)
    spelled, begins = words.reshape(-1), np.full(rows.shape[1], -1, np.int64)
    if by_words:
        sum_words(table, letters, words)
    for r in range(len(rows)):
        row, highest, start = rows[r], best[r], starts[r]
        highest[:] = -np.inf
        start[:] = 0
        if by_words:
            read_words(row, letters, begins)
        for t in range(place(counts[r % len(counts)])):
            if begins[t] >= 0:
                word, tap = place(begins[t]) * channels, FOUR + FOUR
                one, two = row_of(row, t, FOUR, symbols, channels), row_of(row, t, place(5), symbols, channels)
                three, four = row_of(row, t, place(6), symbols, channels), row_of(row, t, place(7), symbols, channels)
                for c in range(channels):
                    first = spelled[word + c] + flat[one + c]
                    scores[c] = ((first + flat[two + c]) + flat[three + c]) + flat[four + c]
            else:
                tap = place(0)
                for c in range(channels):
                    scores[c] = 0
            add_taps(flat, row, t, tap, last, symbols, channels, scores)
            window = np.int32(t)
            if last == width:
                for c in range(channels):
                    higher = scores[c] > highest[c]
                    highest[c] = scores[c] if higher else highest[c]
                    start[c] = window if higher else start[c]
                continue
            one, two = row_of(row, t, last, symbols, channels), row_of(row, t, last + place(1), symbols, channels)
            three = row_of(row, t, last + place(2), symbols, channels)
            four = row_of(row, t, last + place(3), symbols, channels)
            for c in range(channels):
                score = (((scores[c] + flat[one + c]) + flat[two + c]) + flat[three + c]) + flat[four + c]
                higher = score > highest[c]
                highest[c] = score if higher else highest[c]
                start[c] = window if higher else start[c]


@loop
def features_of_best(best: Floats, bias: Floats, active: bool, features: Floats, shares: Floats) -> None:
    """features (N, C) from scores (R, C) of best windows, and what each row has of the derivative: shares (R, C).

    active: whether the activation is the identity, rather than a ReLU.
    """
    n, channels = features.shape
    for i in range(n):
        for c in range(channels):
            z = best[i, c]
            share = best.dtype.type(1)
            if len(best) > n:
                other = best[n + i, c]
                share = best.dtype.type(1 if z > other else (0.5 if z == other else 0))
                z = max(z, other)
            z += bias[c]
            if not active and z <= 0:
                z = share = best.dtype.type(0)
                if len(best) > n:
                    shares[n + i, c] = 0
            elif len(best) > n:
                shares[n + i, c] = 1 - share
            features[i, c] = z
            shares[i, c] = share


@loop
def back_from_best(
    slopes: Floats,
    head: Floats,
    features: Floats,
    shares: Floats,
    starts: Places,
    rows: Bytes,
    mixtures: Floats,
    grown: Floats,
    grown_bias: Floats,
    grown_head: Floats,
) -> None:
    """Add to the gradients of filters (C, W, A), bias (C,) and head (K, C) what slopes (N, K) of logits give."""
    n, outputs = slopes.shape
    strands = len(rows) // n
    for c in range(len(grown)):
        for i in range(n):
            slope = slopes.dtype.type(0)
            for k in range(outputs):
                slope += slopes[i, k] * head[k, c]
                grown_head[k, c] += slopes[i, k] * features[i, c]
            for s in range(strands):
                r = s * n + i
                value = slope * shares[r, c]
                if value != 0:
                    grown_bias[c] += value
                    add_letters(grown[c], mixtures, rows[r], starts[r, c], value)


@loop
def _place_best(
    head: Floats, filters: Floats, shares: Floats, starts: Places, i: int, n: int, length: int, complement: Bytes,
    gradient: Floats, opposite: Floats,
) -> float:  # fmt: skip
    """G (L', A) of a logit at sequence i, zero on padding, and its squared norm. head (C,): of that logit."""
    letters = gradient.shape[1]
    gradient[:] = 0
    opposite[:] = 0
    for s in range(len(shares) // n):
        flat = gradient.reshape(-1) if s == 0 else opposite.reshape(-1)
        for c in range(len(filters)):
            factor = head[c] * shares[s * n + i, c]
            if factor != 0:
                add_filter(flat, starts[s * n + i, c] * letters, filters, c, factor)
    gradient[length:] = 0
    if len(complement):
        mirror(opposite, complement, length, gradient)
    return squared_norm(gradient.reshape(-1))


@loop
def penalize_best(
    weight: float,
    mean: bool,
    head: Floats,
    filters: Floats,
    shares: Floats,
    starts: Places,
    lengths: Places,
    longest: int,
    complement: Bytes,
    grown: Floats,
    grown_head: Floats,
) -> float:
    """`weight * sum_k max_i ||G_ik||^2`, or the mean over i, its gradients being added to those of filters and head."""
    n, letters = len(lengths), filters.shape[2]
    filters, grown = filters.reshape(len(filters), -1), grown.reshape(len(filters), -1)
    gradient, opposite = np.empty((longest, letters), head.dtype), np.empty((longest, letters), head.dtype)
    number = head.dtype.type
    total, strength = number(0), number(weight / n if mean else weight)
    for k in range(len(head)):
        winner, largest = 0, number(0)
        if not mean:
            for i in range(n):
                square = _place_best(head[k], filters, shares, starts, i, n, lengths[i], complement, gradient, opposite)
                if square > largest:
                    winner, largest = i, square
        for i in range(0 if mean else winner, n if mean else winner + 1):
            square = _place_best(head[k], filters, shares, starts, i, n, lengths[i], complement, gradient, opposite)
            total += strength * square
            for s in range(len(shares) // n):
                flat = gradient.reshape(-1)
                if s:
                    opposite[:] = 0
                    mirror(gradient, complement, lengths[i], opposite)
                    flat = opposite.reshape(-1)
                for c in range(len(filters)):
                    share = shares[s * n + i, c]
                    if share != 0:
                        at, twice = starts[s * n + i, c] * letters, number(2) * strength * share
                        grown_head[k, c] += twice * along(filters, c, flat, at)
                        add_window(grown, c, flat, at, twice * head[k, c])
    return total
