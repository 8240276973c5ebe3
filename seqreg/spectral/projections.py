"""Projections of weights onto balls of bounded norm.

A weight inside its ball comes back unchanged to the last bit; nothing depends on a value read back to the host.
Scaling a whole kernel at every step also bounds its norm, but takes from every direction what only a few have in
excess, and costs accuracy; so only the directions that violate the bound are shortened.
"""

import torch
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.spectral.norms import conv1d_norm_upper_bound
from seqreg.spectral.symbol import (
    by_products,
    eigh,
    grid_slack,
    largest_eigenvalue,
    polyphase,
    symbol_on_grid,
    undo_polyphase,
)

# Of the iterations on a GPU: an eigenvalue's sign is known where it is above 1.5^-SIGN_STEPS of the largest, and where
# it is not, it changes nothing by more; a root of the inverse where eigenvalues differ by less than 2.25^ROOT_STEPS.
SIGN_STEPS, ROOT_STEPS = 32, 24
# By how much less than the radius they clip to, which is more than what bounds their norm exceeds it by.
MARGIN = 3e-4


def clip_singular_values(matrix: Tensor, tau: float | Tensor) -> Tensor:
    """The nearest matrices (..., M, P) in Frobenius norm whose singular values are at most tau: `min(sigma, tau)`.

    `A - U (1 - tau / sigma)_+ U^H A`, U and sigma^2 being eigenvectors and -values of the smaller Gram matrix.
    Only directions with sigma > tau enter, so the small singular values, which a Gram matrix blurs, are left alone.
    """
    wide = matrix.shape[-2] <= matrix.shape[-1]
    if by_products(matrix):
        return _clip_by_products(matrix, tau, wide=wide)
    squares, vectors = eigh(matrix @ matrix.mH if wide else matrix.mH @ matrix)
    sigma = squares.clamp(min=0).sqrt()
    excess = (sigma - tau).clamp(min=0) / sigma.clamp(min=torch.finfo(sigma.dtype).tiny)
    removed = (vectors * excess[..., None, :]) @ vectors.mH
    return matrix - (removed @ matrix if wide else matrix @ removed)


def _clip_by_products(matrix: Tensor, tau: float | Tensor, *, wide: bool) -> Tensor:
    """The same by products of matrices, which no GPU waits for, within MARGIN of tau and never above it.

    With X = A^H A / tau^2 - 1, singular values are clipped by `A (1 + X_+)^(-1/2)`, and `X_+ = (X + sign(X) X) / 2`.
    Sign and root are those of Newton and Schulz (Higham, *Functions of Matrices*, SIAM 2008, chapters 5 and 6). What
    they leave is bounded, and scaled away where it is above tau.
    """

    def norm(matrix: Tensor) -> Tensor:
        return largest_eigenvalue(matrix @ matrix.mH if wide else matrix.mH @ matrix).sqrt()[..., None, None]

    radius = tau * (1 - MARGIN)
    excess = (matrix @ matrix.mH if wide else matrix.mH @ matrix) / radius**2
    one = torch.eye(excess.shape[-1], dtype=excess.dtype, device=excess.device)
    excess = excess - one
    tiny = torch.finfo(excess.dtype).tiny
    sign = excess / torch.linalg.matrix_norm(excess, keepdim=True).clamp(min=tiny)
    for _ in range(SIGN_STEPS):
        sign = 1.5 * sign - 0.5 * sign @ sign @ sign
    grown = one + (excess + sign @ excess) / 2
    size = torch.linalg.matrix_norm(grown, torch.inf, keepdim=True)
    grown, root = grown / size, one.expand_as(grown)
    for _ in range(ROOT_STEPS):
        step = 1.5 * one - 0.5 * root @ grown
        grown, root = grown @ step, step @ root
    root = root / size.sqrt()
    clipped = root @ matrix if wide else matrix @ root
    clipped = clipped * (tau / norm(clipped)).clamp(max=1)
    return torch.where(norm(matrix) <= tau, matrix, clipped)


@torch.no_grad()
def project_reshaped(weight: Tensor, radius: float | Tensor, groups: int = 1) -> Tensor:
    """The nearest weight of reshaped norm at most `radius`: singular values of (C_out, C_in W) clipped, per group."""
    matrix = weight.flatten(1).unflatten(0, (groups, -1))
    return clip_singular_values(matrix, radius).view_as(weight)


@torch.no_grad()
def project_operator(
    weight: Tensor,
    radius: float | Tensor,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    n: int = 256,
    rounds: int = 2,
) -> Tensor:
    """A near weight (C_out, C_in / groups, W) whose `conv1d_norm_upper_bound` on n frequencies is at most `radius`.

    Alternating projections, `rounds` times: clip the singular values of the symbol at every frequency, cut the result
    back to its W taps. The little violation that is left is removed by scaling once. The clip is at radius / slack,
    the slack being that of the grid certificate, so that a clipped kernel is certified as it is. The result always
    obeys; it is near the true projection, not equal to it. A kernel whose bound is within the radius is unchanged.
    """
    if rounds < 0:
        raise UsageError(f"rounds must be at least 0; got {rounds}")
    width = weight.shape[2]
    for _ in range(rounds):
        kernel = polyphase(weight, stride, dilation, groups)
        taps = kernel.shape[3]
        symbol = symbol_on_grid(kernel, n).contiguous()
        excess = symbol - clip_singular_values(symbol, radius / grid_slack(taps, n))
        if taps > 1:
            excess = torch.fft.irfft(excess, n=n, dim=1)[:, :taps]
        weight = weight - undo_polyphase(excess.movedim(1, 3), width, stride, dilation)
    bound = conv1d_norm_upper_bound(weight, stride, dilation, groups, n)
    scale = radius / bound * (1 - MARGIN if by_products(weight) else 1)
    return weight * torch.where(bound <= radius, 1, scale)
