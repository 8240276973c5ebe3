"""Projections of weights onto balls of bounded norm.

A weight inside its ball comes back unchanged to the last bit; nothing depends on a value read back to the host.
Scaling a whole kernel at every step also bounds its norm, but takes from every direction what only a few have in
excess, and costs accuracy; so only the directions that violate the bound are shortened.
"""

import torch
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.spectral.norms import conv1d_norm_upper_bound
from seqreg.spectral.symbol import eigh, grid_slack, polyphase, symbol_on_grid, undo_polyphase


def clip_singular_values(matrix: Tensor, tau: float | Tensor) -> Tensor:
    """The nearest matrices (..., M, P) in Frobenius norm whose singular values are at most tau: `min(sigma, tau)`.

    `A - U (1 - tau / sigma)_+ U^H A`, U and sigma^2 being eigenvectors and -values of the smaller Gram matrix.
    Only directions with sigma > tau enter, so the small singular values, which a Gram matrix blurs, are left alone.
    """
    wide = matrix.shape[-2] <= matrix.shape[-1]
    squares, vectors = eigh(matrix @ matrix.mH if wide else matrix.mH @ matrix)
    sigma = squares.clamp(min=0).sqrt()
    excess = (sigma - tau).clamp(min=0) / sigma.clamp(min=torch.finfo(sigma.dtype).tiny)
    removed = (vectors * excess[..., None, :]) @ vectors.mH
    return matrix - (removed @ matrix if wide else matrix @ removed)


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
    return weight * (radius / bound).clamp(max=1)
