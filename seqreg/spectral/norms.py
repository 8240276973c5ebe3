"""Norms of 1-D convolutions: a certified upper bound, estimates, and the norm of the reshaped kernel.

For every kernel and every length L >= W of the signal,
`reshaped norm <= norm of the zero-padded operator <= sup_w ||W(w)||_2 <= sqrt(W) * reshaped norm`.
All norms are differentiable: the maximising frequency and singular vectors are held fixed, and by Danskin's theorem the
derivative of `Re(u^H W(w*) v)` is then the gradient of the norm where it has one and a subgradient elsewhere.
"""

import math

import torch
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.spectral.symbol import eigh, grid_slack, largest_eigenvalue, polyphase, symbol_on_grid


def conv1d_norm_upper_bound(
    weight: Tensor, stride: int = 1, dilation: int = 1, groups: int = 1, n: int | None = None
) -> Tensor:
    """Certified upper bound of the l2 operator norm of a 1-D convolution, a scalar, whatever the length of its input.

    `max_f ||W(2 pi f / n)||_2 / cos(pi (W' - 1) / (2 n)) >= sup_w ||W(w)||_2 >= operator norm`, W(w) being the symbol
    of the polyphase kernel, of W' = `symbol_taps(W, stride, dilation)` taps (W for stride 1); with an allowance for
    rounding of one machine epsilon per row, column and tap of that kernel.

    weight: (C_out, C_in / groups, W). n: frequencies, at least W'; at n = `grid_size(W')`, which None stands for, the
    bound is within .5 % of the supremum, at n = 6 W' within 3.5 %. For figures to report use float64.
    Holds for zero padding of any width, and for circular padding that repeats no window: stride 1 and no more outputs
    than inputs, or a length that the stride divides. NaN for a weight that is not finite. Raises UsageError for
    impossible shapes or too small an n. It is not the norm at one particular length, which may be smaller.
    Source: symbol and grid certificate proved in `seqreg.spectral.symbol`.
    """
    kernel = polyphase(weight, stride, dilation, groups)
    _, rows, columns, taps = kernel.shape
    n = grid_size(taps) if n is None else n
    rounding = 1 + torch.finfo(weight.dtype).eps * (rows + columns + taps)
    return _largest_on_grid(kernel, n) * (grid_slack(taps, n) * rounding)


def conv1d_norm_estimate(
    weight: Tensor, stride: int = 1, dilation: int = 1, groups: int = 1, n: int = 64, steps: int = 20
) -> Tensor:
    """Estimate of the same operator norm, a scalar: power iteration at each of n frequencies, `steps` times, no slack.

    Matrix products only, for devices on which eigenvalues are slow. In exact arithmetic it never exceeds
    `sup_w ||W(w)||_2`, typically it stays a few per cent below; it may be above or below the norm at one particular
    length, and it proves nothing.
    """
    kernel = polyphase(weight, stride, dilation, groups)
    grid_slack(kernel.shape[3], n)  # raises where n is too small to see every tap
    return _largest_on_grid(kernel, n, steps)


def reshaped_norm(weight: Tensor, groups: int = 1) -> Tensor:
    """Largest singular value of the kernel as a matrix (C_out, C_in W), a scalar; the maximum over groups.

    The "spectral norm" of a convolution in Bietti et al. (ICML 2019) and of a linear layer (C_out, C_in), where it is
    the operator norm. Of a convolution it is a *lower* bound, up to sqrt(W) too small: 2-3 times on trained kernels.
    """
    if weight.dim() < 2 or weight.shape[0] % groups:
        raise UsageError(
            f"a weight has shape (C_out, C_in, ...), groups dividing C_out; got {tuple(weight.shape)}, groups={groups}"
        )
    return _largest_on_grid(weight.flatten(1).unflatten(0, (groups, -1))[..., None], 1)


def linear_norm(weight: Tensor, direction: Tensor | None = None) -> Tensor:
    """Largest singular value of a weight (K, F), or the norm of `direction^T W`, direction (K,); a scalar."""
    return reshaped_norm(weight) if direction is None else torch.linalg.vector_norm(direction.to(weight) @ weight)


def power_iteration(matrix: Tensor, v: Tensor | None = None, steps: int = 1) -> tuple[Tensor, Tensor]:
    """Estimate from below of the largest singular value of matrices (..., M, P), and the vector v (..., P) behind it.

    `steps` times `v <- A^H A v / ||A^H A v||`, then `||A v||`, differentiable in the matrix with v and u held fixed.
    Give v back at the next call, when the matrix has changed a little, and one step suffices (a warm start). Without v
    the start is a fixed random vector, so that equal calls give equal results. Miyato et al. (ICLR 2018).
    """
    with torch.no_grad():
        fixed = matrix.detach()
        if v is None:
            generator = torch.Generator(matrix.device).manual_seed(0)
            shape = (*matrix.shape[:-2], matrix.shape[-1])
            v = _unit(torch.randn(shape, generator=generator, dtype=matrix.dtype, device=matrix.device))
        for _ in range(steps):
            v = _unit(_apply(fixed.mH, _apply(fixed, v)))
        u = _unit(_apply(fixed, v))
    return (u.conj() * _apply(matrix, v)).sum(-1).real, v


def grid_size(taps: int) -> int:
    """Frequencies at which the grid certificate of a kernel of that many taps is within .5 % of the supremum."""
    return max(256, 16 * taps)


def _largest_on_grid(kernel: Tensor, n: int, steps: int | None = None) -> Tensor:
    """`max ||W(2 pi f / n)||` of a kernel (G, O, I, W) over groups and f: by eigenvalues, or by so many power steps."""
    if kernel.shape[1] < kernel.shape[2]:  # the transposed symbol has the same norm and the smaller Gram matrix
        kernel = kernel.transpose(1, 2)
    with torch.no_grad():
        subgradient = _norm_subgradient(kernel.detach(), n, steps)
    return (subgradient * kernel).sum()


def _norm_subgradient(kernel: Tensor, n: int, steps: int | None) -> Tensor:
    """(G, O, I, W) derivative of `Re(u^H W(w*) v)` at the maximising group, w*, u and v.

    Everything is picked by index_select: indexing with a scalar tensor would wait for the device.
    """
    symbol = symbol_on_grid(kernel, n).contiguous()
    gram = symbol.mH @ symbol
    if steps is None:
        worst = largest_eigenvalue(gram).flatten().argmax()[None]
        v = eigh(gram.flatten(0, 1).index_select(0, worst))[1][0, :, -1]
    else:
        squares, vectors = power_iteration(gram, steps=math.ceil(steps / 2))  # of the Gram matrix: each counts twice
        worst = squares.flatten().argmax()[None]
        v = vectors.flatten(0, 1).index_select(0, worst)[0]
    frequencies = symbol.shape[1]
    group, angle = worst // frequencies, (worst % frequencies).to(kernel.dtype) * (2 * math.pi / n)
    picked = kernel.index_select(0, group)[0].to(symbol.dtype)
    wave = torch.ones_like(v[:1])
    if kernel.shape[3] > 1:
        wave = torch.exp(-1j * angle * torch.arange(kernel.shape[3], device=kernel.device))
    u = _unit(torch.einsum("oiw,i,w->o", picked, v, wave))
    outer = torch.einsum("o,i,w->oiw", u.conj(), v, wave).real
    here = torch.arange(len(kernel), device=kernel.device) == group
    return here[:, None, None, None] * outer


def _apply(matrix: Tensor, v: Tensor) -> Tensor:
    return (matrix @ v[..., None])[..., 0]


def _unit(v: Tensor) -> Tensor:
    """v scaled to norm 1; zero stays zero."""
    norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return v / norm.clamp(min=torch.finfo(norm.dtype).tiny)
