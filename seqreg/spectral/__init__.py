"""Operator norms of 1-D convolution kernels, and projections onto their balls.

One contract: pure functions on a weight, (C_out, C_in / groups, W) of a convolution or (C_out, C_in) of a linear layer,
that know layers of PyTorch but no network, keep dtype and device, and never read a value back to the host themselves.
Two words are kept apart: `..._upper_bound` is proved, and the `reshaped` norm is exact for what it names, the kernel as
a matrix (C_out, C_in W), but only a lower bound of the operator norm.
"""

from seqreg.spectral.layers import LinearMap, linear_maps
from seqreg.spectral.norms import (
    conv1d_norm_upper_bound,
    linear_norm,
    reshaped_norm,
)
from seqreg.spectral.projections import clip_singular_values, project_operator, project_reshaped
from seqreg.spectral.symbol import grid_size, symbol_taps

__all__ = [
    "LinearMap",
    "clip_singular_values",
    "conv1d_norm_upper_bound",
    "grid_size",
    "linear_maps",
    "linear_norm",
    "project_operator",
    "project_reshaped",
    "reshaped_norm",
    "symbol_taps",
]
