"""Norms of 1-D convolutions: a certified upper bound, and the norm of the reshaped kernel.

For every kernel and every length L >= W of the signal,
`reshaped norm <= norm of the zero-padded operator <= sup_w ||W(w)||_2 <= sqrt(W) * reshaped norm`.
All norms are differentiable: the maximising frequency and singular vectors are held fixed, and by Danskin's theorem the
derivative of `Re(u^H W(w*) v)` is then the gradient of the norm where it has one and a subgradient elsewhere.
"""

import math

import torch
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.spectral.symbol import (
    by_products,
    grid_size,
    grid_slack,
    largest_eigenvalue,
    leading_eigenvector,
    polyphase,
    symbol_on_grid,
)


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
    """Largest singular value of a weight (K, F), or (...) the norm of `direction^T W`, direction (..., K)."""
    if direction is None:
        return reshaped_norm(weight)
    return torch.linalg.vector_norm(direction.to(weight) @ weight, dim=-1)


def _largest_on_grid(kernel: Tensor, n: int) -> Tensor:
    """`max ||W(2 pi f / n)||` of a kernel (G, O, I, W) over groups and f; on a GPU a bound, .02 % above at most."""
    if kernel.shape[1] < kernel.shape[2]:  # the transposed symbol has the same norm and the smaller Gram matrix
        kernel = kernel.transpose(1, 2)
    with torch.no_grad():
        subgradient, bound = _norm_subgradient(kernel.detach(), n)
    value = (subgradient * kernel).sum()
    if bound is None:
        return value
    return value + (bound - value).detach()


def _norm_subgradient(kernel: Tensor, n: int) -> tuple[Tensor, Tensor | None]:
    """(G, O, I, W) derivative of `Re(u^H W(w*) v)` at the maximising group, w*, u and v, and what bounds it, if known.

    v is only near the eigenvector on a GPU, so that its value may be a little too small.
    Everything is picked by index_select: indexing with a scalar tensor would wait for the device.
    """
    symbol = symbol_on_grid(kernel, n).contiguous()
    gram = symbol.mH @ symbol
    squares = largest_eigenvalue(gram).flatten()
    worst = squares.argmax()[None]
    v = leading_eigenvector(gram.flatten(0, 1).index_select(0, worst))[0]
    frequencies = symbol.shape[1]
    group, angle = worst // frequencies, (worst % frequencies).to(kernel.dtype) * (2 * math.pi / n)
    picked = kernel.index_select(0, group)[0].to(symbol.dtype)
    wave = torch.ones_like(v[:1])
    if kernel.shape[3] > 1:
        wave = torch.exp(-1j * angle * torch.arange(kernel.shape[3], device=kernel.device))
    u = _unit(torch.einsum("oiw,i,w->o", picked, v, wave))
    outer = torch.einsum("o,i,w->oiw", u.conj(), v, wave).real
    here = torch.arange(len(kernel), device=kernel.device) == group
    return here[:, None, None, None] * outer, squares.amax().sqrt() if by_products(gram) else None


def _unit(v: Tensor) -> Tensor:
    """v scaled to norm 1; zero stays zero."""
    norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return v / norm.clamp(min=torch.finfo(norm.dtype).tiny)
