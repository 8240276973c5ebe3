"""The symbol of a convolution: its matrix at each frequency, by which its operator norm is known.

A convolution y[t] = sum_j W_j x[t + j] acts on the plane wave v exp(i w t) as the matrix `W(w) = sum_j W_j exp(i w j)`.
On signals of any length, zero-padded in any way, its l2 operator norm is at most `sup_w ||W(w)||_2`, because a padded
convolution is a piece of the convolution on all integers, whose norm the supremum is (Parseval). For circular signals
the operator is block-diagonal in the plane waves of that length, so the same supremum bounds it.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.errors import UsageError


def polyphase(weight: Tensor, stride: int = 1, dilation: int = 1, groups: int = 1) -> Tensor:
    """Kernel (G, O, I, W') of plain stride-1 convolutions with the operator norm of the given one, one per group.

    weight: (C_out, C_in / G, W); O = C_out / G, I = s C_in / G. Groups act on separate channels, so the norm of the
    whole is the maximum over groups. Dilation d alone replaces W(w) by W(d w) and changes no supremum. With stride s,
    `y[t] = sum_m W_m x[s t + m]` is, for m = s a + b, a plain convolution with taps a over the s interleaved signals
    `x_b[u] = x[s u + b]`, which together hold each entry of x once; with dilation its zeros are inserted first.
    """
    if weight.dim() != 3 or min(weight.shape) < 1:
        raise UsageError(
            f"a convolution weight has shape (C_out, C_in / groups, W), none of them 0; got {tuple(weight.shape)}"
        )
    if min(stride, dilation, groups) < 1 or weight.shape[0] % groups:
        raise UsageError(
            f"stride, dilation and groups are whole numbers from 1, and groups divides C_out = {weight.shape[0]}; "
            f"got stride={stride}, dilation={dilation}, groups={groups}"
        )
    kernel = weight.unflatten(0, (groups, -1))
    if stride == 1:
        return kernel
    reach, taps = dilation * (weight.shape[2] - 1) + 1, symbol_taps(weight.shape[2], stride, dilation)
    spread = F.pad(kernel[..., None], (0, dilation - 1)).flatten(3)[..., :reach]
    phases = F.pad(spread, (0, taps * stride - reach)).unflatten(3, (taps, stride))  # (G, O, C_in / G, W', s)
    return phases.movedim(4, 3).flatten(2, 3)


def symbol_taps(width: int, stride: int = 1, dilation: int = 1) -> int:
    """Taps W' of the polyphase kernel of a filter of W letters: W without stride, else ceil((d (W - 1) + 1) / s)."""
    return width if stride == 1 else math.ceil((dilation * (width - 1) + 1) / stride)


def undo_polyphase(kernel: Tensor, width: int, stride: int, dilation: int) -> Tensor:
    """Weight (C_out, C_in / G, W) whose `polyphase` is nearest to a kernel (G, O, I, W'): other taps are dropped."""
    if stride == 1:
        return kernel.flatten(0, 1)
    phases = kernel.unflatten(2, (-1, stride)).movedim(3, 4).flatten(3)  # (G, O, C_in / G, W' s)
    return phases[..., : dilation * (width - 1) + 1 : dilation].flatten(0, 1)


def symbol_on_grid(kernel: Tensor, n: int) -> Tensor:
    """`W(-2 pi f / n)` for f = 0 .. n // 2 as (G, n // 2 + 1, O, I); other frequencies are conjugates of these.

    A kernel of one tap is its own symbol at every frequency, given once and real: (G, 1, O, I).
    """
    if kernel.shape[3] == 1:
        return kernel.movedim(3, 1)
    return torch.fft.rfft(kernel, n=n).movedim(3, 1)


# Of the power by which a GPU bounds eigenvalues: 2^14.
SQUARINGS = 14


def grid_slack(taps: int, n: int) -> float:
    """Factor by which the supremum of `||W(w)||` can exceed its maximum over n equally spaced frequencies.

    `1 / cos(pi (W' - 1) / (2 n))`. Proof: let M be the supremum, attained at w* with unit vectors u and v, and let
    `p(t) = Re(exp(i a(t)) u^H W(w* + t) v)` with the phase a(t), linear in t, that centres the taps about 0 and makes
    p(0) = M. Then p is real, of exponential type h = (W' - 1) / 2, and |p| <= M, so by the Bernstein-Szego inequality
    `p'^2 + h^2 p^2 <= h^2 M^2`, hence p(t) >= M cos(h t) for |t| <= pi / h; and some grid point has |t| <= pi / n.
    """
    if n < taps:
        raise UsageError(f"{n} frequencies are too few for a kernel of {taps} taps; take n = {grid_size(taps)}")
    return 1 / math.cos(math.pi * (taps - 1) / (2 * n))


def grid_size(taps: int) -> int:
    """Frequencies at which the grid certificate of a kernel of that many taps is within .5 % of the supremum."""
    return max(256, 16 * taps)


def eigh(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Ascending eigenvalues (..., m) and eigenvectors (..., m, m) of Hermitian matrices; NaN if not finite.

    What LAPACK does with a matrix that is not finite depends on its size and type: it returns NaN or fails. Here it is
    NaN always, so that a diverged training is noticed by its loss and no value is read back for a check.
    """
    try:
        values, vectors = torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        return torch.full_like(gram[..., 0], math.nan).real, torch.full_like(gram, math.nan)
    return values, vectors


def by_products(gram: Tensor) -> bool:
    """Whether eigenvalues are bounded by products of matrices: on a GPU, which LAPACK's routines would wait for."""
    return gram.is_cuda


def leading_power(gram: Tensor) -> tuple[Tensor, Tensor]:
    """(...) bounds of the largest eigenvalues of Hermitian matrices (..., m, m) >= 0, and their powers (..., m, m).

    Of G = G_0 it squares `G_k+1 = (G_k / tr G_k)^2`, SQUARINGS times: the largest eigenvalue of each is at most its
    trace, so that of G at most the product of `(tr G_k)^(1 / 2^k)`. The bound is `(tr G^N)^(1 / N)`, N = 2^SQUARINGS,
    and too large by the factor m^(1 / N) at most, .02 % for m = 64. The power points along the leading eigenvectors;
    its scale means nothing.
    """
    tiny = torch.finfo(gram.dtype).tiny
    logarithm = torch.zeros_like(gram[..., 0, 0].real)
    for k in range(SQUARINGS + 1):
        trace = gram.diagonal(dim1=-2, dim2=-1).real.sum(-1).clamp(min=tiny)
        logarithm = logarithm + trace.log() / 2**k
        gram = gram / trace[..., None, None]
        gram = gram @ gram
    return logarithm.exp(), gram


def leading_eigenvector(gram: Tensor) -> Tensor:
    """(..., m) unit eigenvectors of the largest eigenvalue of Hermitian matrices (..., m, m); zero or NaN for none."""
    if not by_products(gram):
        return eigh(gram)[1][..., -1]
    power = leading_power(gram)[1]
    longest = torch.linalg.vector_norm(power, dim=-2).argmax(-1)[..., None, None]
    column = power.gather(-1, longest.expand(*power.shape[:-1], 1)).squeeze(-1)
    length = torch.linalg.vector_norm(column, dim=-1, keepdim=True)
    return column / length.clamp(min=torch.finfo(length.dtype).tiny)


def largest_eigenvalue(gram: Tensor) -> Tensor:
    """(...) largest eigenvalue of Hermitian matrices (..., m, m), or a bound close above; NaN as above."""
    if by_products(gram):
        return leading_power(gram)[0]
    try:
        return torch.linalg.eigvalsh(gram)[..., -1]
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        return torch.full_like(gram[..., 0, 0], math.nan).real
