"""The one-hot fast path: convolutions of letters as table look-ups, and windows picked by a maximum.

Exact, not an approximation. A kernel W (C, A, W) applied to symbol codes is a sum of table rows,
`z[n, t, c] = sum_j table[j, ids[n, t + j], c]`, and below a global maximum only one window per sequence and
filter carries gradient. The three functions `window_dot`, `window_place` and `window_outer` are the partial
derivatives of the one trilinear form

    F(x, W, g) = sum_{n, c, a, j} g[n, c] x[n, a, t[n, c] + j] W[c, a, j]

so each one's backward pass consists of the other two, and derivatives of every order exist.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.networks.convolution import conv_outer, conv_place, with_gradients

CACHED = 2**20
"""Numbers that a processor's cache holds: passes over more of them wait for memory."""


def cached_few(numbers: int) -> int:
    """How many sequences to take at a time, each with so many numbers."""
    return max(1, CACHED // numbers)


def symbol_table(kernel: Tensor, mixtures: Tensor) -> Tensor:
    """(W, V, C) contribution of each symbol at each tap, from a kernel (C, A, W) and symbol mixtures (V, A)."""
    return torch.einsum("caj,va->jvc", kernel, mixtures)


def window_rows(ids: Tensor, width: int, symbols: int) -> Tensor:
    """(N, T, W) rows of the flattened table (W * V, C) that each window of ids (N, L) adds up."""
    offsets = torch.arange(width, device=ids.device, dtype=torch.int32) * symbols
    return ids.int().unfold(1, width, 1) + offsets


def lookup_scores(table: Tensor, rows: Tensor) -> Tensor:
    """Scores z (N, T, C) of every window, without gradient: `sum_j table[j, ids[t + j]]`."""
    width, symbols, channels = table.shape
    n, windows, _ = rows.shape
    flat = F.embedding_bag(rows.reshape(-1, width), table.detach().reshape(width * symbols, channels), mode="sum")
    return flat.view(n, windows, channels)


def place_scores(table: Tensor, ids: Tensor) -> Tensor:
    """The same (P, C) of every place of one sequence, ids (L,), on a CPU."""
    from seqreg.networks.sliding_loops import first_scores  # Numba loads slowly

    width, _, channels = table.shape
    scores = table.new_empty(len(ids) - width + 1, channels)
    first_scores(ids.numpy(), table.detach().numpy(), scores.numpy())
    return scores


def first_argmax(scores: Tensor, block: int = 16) -> Tensor:
    """(N, C) int64 first window at which scores (N, T, C) are largest.

    Block maxima first, then a search inside the winning block: PyTorch's own argmax over a middle axis is not
    vectorised on CPUs and takes several times as long as computing the scores. Where windows are adjacent in
    memory, as a convolution leaves them, it is the faster of the two.
    """
    windows = scores.shape[1]
    if scores.stride(1) == 1 or windows < 2 * block:
        return scores.max(1).indices
    whole = windows // block * block
    maxima = scores[:, :whole].unflatten(1, (-1, block)).amax(2)
    if whole < windows:
        maxima = torch.cat([maxima, scores[:, whole:].amax(1, keepdim=True)], 1)
    begin = maxima.max(1).indices * block
    inside = (begin[:, None] + torch.arange(block, device=scores.device)[:, None]).clamp_(max=windows - 1)
    return begin + scores.gather(1, inside).max(1).indices


def first_best(scores: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor]:
    """(N, C) int64 first of the first counts (N,) windows, or all, at which scores (N, C, T) are largest; and those."""
    n, channels, windows = scores.shape
    if not in_loops(scores):
        if counts is not None:
            outside = torch.arange(windows, device=scores.device) >= counts[:, None]
            scores = scores.masked_fill(outside[:, None], -torch.inf)
        starts = first_argmax(scores.transpose(1, 2))
        return starts, scores.gather(2, starts[:, :, None]).squeeze(2)
    from seqreg.networks import chosen_window_loops as loops  # Numba loads slowly

    counts = torch.full((n,), windows) if counts is None else counts
    starts, best = torch.empty(n, channels, dtype=torch.int64), scores.new_empty(n, channels)
    found = counts.numpy(), starts.numpy(), best.numpy()
    if scores.stride(1) == 1:  # as a convolution leaves them whose input has its letters side by side
        loops.choose_by_window(scores.transpose(1, 2).contiguous().numpy(), *found)
    else:
        loops.choose_by_filter(scores.contiguous().numpy(), *found)
    return starts, best


def in_loops(numbers: Tensor) -> bool:
    """Whether compiled loops take them."""
    return numbers.device.type == "cpu" and numbers.dtype in (torch.float32, torch.float64)


def best_windows(table: Tensor, ids: Tensor, counts: Tensor | None) -> Tensor:
    """(N, C) int64 first window of the highest score, among the first `counts` (N,) windows of ids (N, L), or all.

    On a CPU, sequences are taken by the few whose scores stay in its cache.
    """
    width, symbols, channels = table.shape
    rows = window_rows(ids, width, symbols)
    # no mutant: any number of them
    few = cached_few(rows.shape[1] * channels) if ids.device.type == "cpu" else max(1, len(ids))
    starts = []
    for begin in range(0, max(1, len(ids)), few):
        scores = lookup_scores(table, rows[begin : begin + few])
        if counts is not None:
            outside = torch.arange(scores.shape[1], device=ids.device) >= counts[begin : begin + few, None]
            scores.masked_fill_(outside[:, :, None], -torch.inf)
        starts.append(first_argmax(scores))
    return torch.cat(starts)


def letter_conv(x: Tensor, kernel: Tensor, mixtures: Tensor, ids: Tensor) -> Tensor:
    """Convolution (N, C, T) of x (N, A, L) with a kernel (C, A, W), x being the one-hot of ids (N, L)."""

    def value() -> Tensor:
        table = symbol_table(kernel, mixtures)
        return lookup_scores(table, window_rows(ids, kernel.shape[2], len(mixtures))).transpose(1, 2).contiguous()

    return with_gradients(value, (x, lambda g: conv_place(g, kernel)), (kernel, lambda g: conv_outer(g, x)))


def window_dot(
    x: Tensor,
    kernel: Tensor,
    starts: Tensor,
    ids: Tensor | None = None,
    mixtures: Tensor | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Scores (N, C) of one window per sequence and filter, `sum_{a, j} x[n, a, starts[n, c] + j] W[c, a, j]`.

    x (N, A, L), kernel (C, A, W), starts (N, C) int64. With ids (N, L), whose one-hot by mixtures (V, A) x is known
    to be, the value and the kernel's gradient come from look-ups; gradients with respect to x exist all the same.
    known: the scores, where they have been computed.
    """
    return _WindowDot.apply(x, kernel, starts, ids, mixtures, known)


def window_place(g: Tensor, kernel: Tensor, starts: Tensor, length: int) -> Tensor:
    """Input gradient (N, A, L): every filter W_c, times g[n, c], added at its window `starts[n, c]`."""
    return _WindowPlace.apply(g, kernel, starts, length)


class Cover:
    """Which of the windows chosen for a batch cover which position: a plan for adding up their contents.

    first (N, C) int64: where each window begins, from -(width - 1) to length - 1; width: positions it spans, of
    which those within 0 .. length - 1 count. Windows sorted by their beginning cover a position in one unbroken
    run, so that a sum over windows becomes a sum of table rows. Asks the device for a size: for CPUs.
    """

    def __init__(self, first: Tensor, width: int, length: int) -> None:
        n, channels = first.shape
        self.shape = (n, length)
        begin, self._order = first.sort(1)
        starting = begin.new_zeros(n, width + length)
        starting.scatter_add_(1, begin + width, torch.ones_like(begin))
        started = starting.cumsum(1)  # at w + p: windows that begin at or before position p
        lowest, count = started[:, :length], (started[:, width:] - started[:, :length]).flatten()
        ends = count.cumsum(0)
        self._offsets = ends - count
        sequence = torch.arange(n, device=first.device)[:, None]
        position = torch.arange(n * length, device=first.device).repeat_interleave(count)
        run = (lowest + sequence * channels).flatten() - self._offsets
        self._window = run.index_select(0, position).add_(torch.arange(len(position), device=first.device))
        tap = (self._order * width - begin - sequence * length).flatten()
        self._rows = tap.index_select(0, self._window).add_(position)

    def add(self, table: Tensor, g: Tensor) -> Tensor:
        """(N, length, D) `out[n, p] = sum_c g[n, c] table[c, p - first[n, c]]`, table (C, width, D); no gradient."""
        weights = g.gather(1, self._order).flatten().index_select(0, self._window)
        flat = table.reshape(-1, table.shape[2])
        summed = F.embedding_bag(self._rows, flat, self._offsets, mode="sum", per_sample_weights=weights)
        return summed.view(*self.shape, table.shape[2])


def filter_correlations(kernel: Tensor) -> Tensor:
    """(C, 2 W - 1, C) `sum_{a, j} W[c, a, s + j - (W - 1)] W[d, a, j]`: how filter c scores under filter d.

    Placing filter c at window t adds `table[c, u - t + W - 1, d]` to the score of filter d at window u, so a
    perturbation made of filters moves the scores without a convolution.
    """
    reach = kernel.shape[2] - 1
    return F.conv1d(F.pad(kernel, (reach, reach)), kernel).transpose(1, 2).contiguous()


def window_outer(
    g: Tensor, x: Tensor, starts: Tensor, width: int, ids: Tensor | None = None, mixtures: Tensor | None = None
) -> Tensor:
    """Kernel gradient (C, A, W): the chosen windows of x, times g[n, c], added up over sequences."""
    return _WindowOuter.apply(g, x, starts, width, ids, mixtures)


def _positions(starts: Tensor, width: int) -> Tensor:
    """(N, C, W) positions of the letters in each chosen window."""
    return starts.unsqueeze(-1) + torch.arange(width, device=starts.device)


def _patches(x: Tensor, starts: Tensor, width: int) -> Tensor:
    """(C, N, W * A) chosen windows of x (N, A, L), filters first: the order in which batched products need no copy."""
    n, letters, length = x.shape
    first = starts.t() + torch.arange(n, device=x.device) * length
    rows = first.unsqueeze(-1) + torch.arange(width, device=x.device)
    picked = x.transpose(1, 2).reshape(n * length, letters).index_select(0, rows.reshape(-1))
    return picked.view(*first.shape, width * letters)


def _patch_dot(patches: Tensor, kernel: Tensor) -> Tensor:
    """(N, C) inner product of each chosen window with its filter."""
    columns = kernel.transpose(1, 2).reshape(len(kernel), -1, 1)
    return torch.bmm(patches, columns).squeeze(-1).t()


def _patch_outer(g: Tensor, patches: Tensor, width: int) -> Tensor:
    """(C, A, W) chosen windows times g (N, C), added up over sequences."""
    return torch.bmm(g.t().unsqueeze(1), patches).view(g.shape[1], width, -1).transpose(1, 2)


def _letters(ids: Tensor, starts: Tensor, width: int) -> Tensor:
    """(N, C, W) symbol codes in each chosen window."""
    at = _positions(starts, width)
    return ids.long().gather(1, at.flatten(1)).view(at.shape)


class _WindowDot(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        kernel: Tensor,
        starts: Tensor,
        ids: Tensor | None,
        mixtures: Tensor | None,
        known: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(x, kernel, starts, ids, mixtures)
        channels, _, width = kernel.shape
        if known is not None:
            return known.clone()
        if ids is None or mixtures is None:
            return _patch_dot(_patches(x, starts, width), kernel)
        table = symbol_table(kernel, mixtures).permute(2, 0, 1).reshape(-1)  # C * W * V
        symbols = len(mixtures)
        tap = torch.arange(channels * width, device=ids.device).view(channels, width) * symbols
        return table.take(_letters(ids, starts, width) + tap).sum(-1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, kernel, starts, ids, mixtures = ctx.saved_tensors
        grad_x = window_place(grad, kernel, starts, x.shape[2]) if ctx.needs_input_grad[0] else None
        grad_kernel = window_outer(grad, x, starts, kernel.shape[2], ids, mixtures) if ctx.needs_input_grad[1] else None
        return grad_x, grad_kernel, None, None, None, None


class _WindowPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, kernel: Tensor, starts: Tensor, length: int) -> Tensor:
        ctx.save_for_backward(g, kernel, starts)
        n = len(g)
        _, letters, width = kernel.shape
        if in_loops(g):
            from seqreg.networks.chosen_window_loops import place_filters  # Numba loads slowly

            out = g.new_zeros(n, length * letters)
            filters = kernel.detach().transpose(1, 2).reshape(len(kernel), -1)
            place_filters(g.detach().contiguous().numpy(), filters.numpy(), starts.numpy(), letters, out.numpy())
            return out.view(n, length, letters).transpose(1, 2)
        values = g[:, :, None, None] * kernel.transpose(1, 2)  # N, C, W, A
        rows = _positions(starts, width) + (torch.arange(n, device=g.device) * length)[:, None, None]
        placed = torch.zeros(n * length, letters, dtype=values.dtype, device=values.device)
        placed.index_add_(0, rows.reshape(-1), values.reshape(-1, letters))
        return placed.view(n, length, letters).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        g, kernel, starts = ctx.saved_tensors
        if not torch.is_grad_enabled() and all(ctx.needs_input_grad[:2]):
            patches = _patches(grad, starts, kernel.shape[2])
            return _patch_dot(patches, kernel), _patch_outer(g, patches, kernel.shape[2]), None, None
        grad_g = window_dot(grad, kernel, starts) if ctx.needs_input_grad[0] else None
        grad_kernel = window_outer(g, grad, starts, kernel.shape[2]) if ctx.needs_input_grad[1] else None
        return grad_g, grad_kernel, None, None


class _WindowOuter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, g: Tensor, x: Tensor, starts: Tensor, width: int, ids: Tensor | None, mixtures: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(g, x, starts)
        ctx.width, ctx.ids, ctx.mixtures = width, ids, mixtures
        if ids is None or mixtures is None:
            return _patch_outer(g, _patches(x, starts, width), width)
        channels, symbols = g.shape[1], len(mixtures)
        tap = torch.arange(channels * width, device=ids.device).view(channels, width) * symbols
        counts = torch.zeros(channels * width * symbols, dtype=g.dtype, device=g.device)
        rows = _letters(ids, starts, width) + tap
        counts.index_add_(0, rows.reshape(-1), g.unsqueeze(-1).expand(-1, -1, width).reshape(-1))
        return torch.einsum("cjv,va->caj", counts.view(channels, width, symbols), mixtures)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        g, x, starts = ctx.saved_tensors
        grad_g = window_dot(x, grad, starts, ctx.ids, ctx.mixtures) if ctx.needs_input_grad[0] else None
        grad_x = window_place(g, grad, starts, x.shape[2]) if ctx.needs_input_grad[1] else None
        return grad_g, grad_x, None, None, None, None
