"""The loops of one-layer networks below a mean over windows, or with windows kept apart: see `window_loops`."""

import numpy as np

from seqreg.networks.window_loops import (
    Bytes,
    Floats,
    Places,
    add_filter,
    add_taps,
    add_window,
    along,
    loop,
    mirror,
    place,
    row_of,
    squared_norm,
)


@loop
def activations(table: Floats, bias: Floats, rows: Bytes, counts: Places, active: bool, h: Floats) -> None:
    """h (R, T, C) of the first counts (N,) windows, those beyond being left as they are."""
    width, symbols, channels = place(table.shape[0]), place(table.shape[1]), place(table.shape[2])
    flat, lowest = table.reshape(-1), h.dtype.type(-np.inf if active else 0)
    for r in range(len(rows)):
        for t in range(place(counts[r % len(counts)])):
            scores = h[r, t]
            scores[:] = 0
            add_taps(flat, rows[r], t, place(0), width, symbols, channels, scores)
            for c in range(channels):
                z = scores[c] + bias[c]
                scores[c] = lowest if z < lowest else z


@loop
def _product(left: Floats, right: Floats) -> float:
    total = left[0] * right[0]
    for i in range(1, len(left)):
        total += left[i] * right[i]
    return total


@loop
def logits_of_windows(h: Floats, head: Floats, bias: Floats, counts: Places, strands: int, logits: Floats) -> None:
    """logits (N, K) from h (R, T, C) and a head (P, K, C): of each place, or P = 1 of the mean over windows."""
    n, outputs = logits.shape
    by_place = len(head) > 1
    for i in range(n):
        windows = min(counts[i], len(head)) if by_place else counts[i]
        scale = h.dtype.type(1 / strands if by_place else 1 / (strands * counts[i]))
        for k in range(outputs):
            total = h.dtype.type(0)
            for s in range(strands):
                for t in range(windows):
                    total += _product(h[s * n + i, t], head[t if by_place else 0, k])
            logits[i, k] = total * scale + bias[k]


@loop
def back_from_windows(
    slopes: Floats,
    head: Floats,
    h: Floats,
    active: bool,
    counts: Places,
    rows: Bytes,
    scores: Floats,
    grown_bias: Floats,
    grown_head: Floats,
) -> None:
    """As `back_from_best`; what filters have of it is added to scores (W, V, C), by symbol."""
    n, outputs = slopes.shape
    width, channels = scores.shape[0], scores.shape[2]
    flat, symbols = scores.reshape(-1), place(scores.shape[1])
    by_place, strands = len(head) > 1, len(rows) // n
    back, zero = np.empty(channels, h.dtype), h.dtype.type(0)
    filters = place(channels)
    for r in range(len(rows)):
        i, row = r % n, rows[r]
        windows = min(counts[i], len(head)) if by_place else counts[i]
        scale = h.dtype.type(1 / strands if by_place else 1 / (strands * counts[i]))
        for t in range(windows):
            at_place, one = t if by_place else 0, h[r, t]
            back[:] = 0
            for k in range(outputs):
                slope, of_head, grown = slopes[i, k] * scale, head[at_place, k], grown_head[at_place, k]
                for c in range(channels):
                    back[c] += slope * of_head[c]
                    grown[c] += slope * one[c]
            if not active:
                for c in range(channels):
                    back[c] = back[c] if one[c] > zero else zero
            for c in range(channels):
                grown_bias[c] += back[c]
            for j in range(place(width)):
                at = row_of(row, place(t), j, symbols, filters)
                for c in range(filters):
                    flat[at + c] += back[c]


@loop
def gather_symbols(scores: Floats, mixtures: Floats, grown: Floats) -> None:
    """Add to the gradient of filters (C, W, A) what symbols have of it: scores (W, V, C)."""
    channels, width, letters = grown.shape
    for j in range(width):
        for v in range(letters, len(mixtures)):
            for a in range(letters):
                share = mixtures[v, a]
                if share != 0:
                    for c in range(channels):
                        scores[j, a, c] += share * scores[j, v, c]
        for c in range(channels):
            for a in range(letters):
                grown[c, j, a] += scores[j, a, c]


@loop
def _place_windows(
    head: Floats, filters: Floats, h: Floats, active: bool, counts: Places, i: int, length: int, complement: Bytes,
    k: int, gradient: Floats, opposite: Floats,
) -> float:  # fmt: skip
    """As `_place_best`, of logit k by head (P, K, C)."""
    n, letters = len(counts), gradient.shape[1]
    by_place, strands = len(head) > 1, len(h) // len(counts)
    windows = min(counts[i], len(head)) if by_place else counts[i]
    scale = h.dtype.type(1 / strands if by_place else 1 / (strands * counts[i]))
    gradient[:] = 0
    opposite[:] = 0
    for s in range(strands):
        flat = gradient.reshape(-1) if s == 0 else opposite.reshape(-1)
        for t in range(windows):
            of_head, one = head[t if by_place else 0, k], h[s * n + i, t]
            for c in range(len(filters)):
                if active or one[c] > 0:
                    add_filter(flat, t * letters, filters, c, scale * of_head[c])
    gradient[length:] = 0
    if len(complement):
        mirror(opposite, complement, length, gradient)
    return squared_norm(gradient.reshape(-1))


@loop
def _most(head: Floats, h: Floats, active: bool, counts: Places, k: int, norm: float, bounds: Floats) -> None:
    """bounds (N,) that no ||G|| of logit k exceeds: the norm of the convolution times that of what it is applied to."""
    n, zero = len(counts), h.dtype.type(0)
    by_place, strands = len(head) > 1, len(h) // len(counts)
    for i in range(n):
        windows = min(counts[i], len(head)) if by_place else counts[i]
        bounds[i] = 0
        for s in range(strands):
            total = zero
            for t in range(windows):
                of_head, one = head[t if by_place else 0, k], h[s * n + i, t]
                for c in range(len(of_head)):
                    total += of_head[c] * of_head[c] if active or one[c] > zero else zero
            bounds[i] += np.sqrt(total)
        bounds[i] *= norm / (strands if by_place else strands * counts[i])


@loop
def penalize_windows(
    weight: float,
    mean: bool,
    norm: float,
    head: Floats,
    filters: Floats,
    h: Floats,
    active: bool,
    counts: Places,
    lengths: Places,
    longest: int,
    complement: Bytes,
    grown: Floats,
    grown_head: Floats,
) -> float:
    """As `penalize_best`, head and its gradient being (P, K, C).

    norm: at least that of the convolution, by which most sequences are ruled out whose gradient is not the largest.
    """
    n, letters = len(lengths), filters.shape[2]
    filters, grown = filters.reshape(len(filters), -1), grown.reshape(len(filters), -1)
    by_place, strands = len(head) > 1, len(h) // len(counts)
    gradient, opposite = np.empty((longest, letters), head.dtype), np.empty((longest, letters), head.dtype)
    number, bounds = head.dtype.type, np.empty(n, head.dtype)
    total, strength = number(0), number(weight / n if mean else weight)
    for k in range(head.shape[1]):
        winner, largest = 0, number(0)
        if not mean:
            _most(head, h, active, counts, k, norm, bounds)
            for _ in range(n):
                i = np.argmax(bounds)
                if not bounds[i] * bounds[i] >= largest:
                    break
                square = _place_windows(
                    head, filters, h, active, counts, i, lengths[i], complement, k, gradient, opposite
                )
                bounds[i] = -1
                if square > largest or (square == largest and i < winner):
                    winner, largest = i, square
        for i in range(0 if mean else winner, n if mean else winner + 1):
            square = _place_windows(head, filters, h, active, counts, i, lengths[i], complement, k, gradient, opposite)
            total += strength * square
            windows = min(counts[i], len(head)) if by_place else counts[i]
            twice = number(2 * strength * (1 / strands if by_place else 1 / (strands * counts[i])))
            for s in range(strands):
                flat = gradient.reshape(-1)
                if s:
                    opposite[:] = 0
                    mirror(gradient, complement, lengths[i], opposite)
                    flat = opposite.reshape(-1)
                for t in range(windows):
                    at_place, one = t if by_place else 0, h[s * n + i, t]
                    for c in range(len(filters)):
                        if active or one[c] > 0:
                            grown_head[at_place, k, c] += twice * along(filters, c, flat, t * letters)
                            add_window(grown, c, flat, t * letters, twice * head[at_place, k, c])
    return total
