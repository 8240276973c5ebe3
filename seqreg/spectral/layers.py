"""Which weights of PyTorch's layers are linear maps, and their norms and projections as such.

| layer | map |
|---|---|
| Linear, Embedding | the matrix |
| Conv1d, ConvTranspose1d (the adjoint of a convolution with the same weight) | the kernel |
| Conv2d, ConvTranspose2d, of height or width one | the kernel along the other axis |
| Conv2d, Conv3d and their transposes, other | the kernel as a matrix only: mode "reshaped" |
| MultiheadAttention | one matrix each for queries, keys and values |
| RNN, LSTM, GRU and their cells | each stacked matrix as it is stored; nothing follows for the map of sequences |
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqreg.spectral.norms import conv1d_norm_upper_bound, reshaped_norm
from seqreg.spectral.projections import project_operator, project_reshaped
from seqreg.spectral.symbol import symbol_taps

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class LinearMap(NamedTuple):
    """A matrix (M, P), or a kernel (C_out, C_in / groups, W, ...) with how it is applied.

    along: the axis of a kernel's weight that slides, from 2, where it is the only one longer than 1; None for a matrix
    and for a kernel that slides along several, of which the operator norm is not known.
    """

    weight: Tensor
    groups: int = 1
    along: int | None = None
    stride: int = 1
    dilation: int = 1

    def norm(self, mode: str) -> Tensor:
        """[] reshaped norm, or in mode "operator" the certified upper bound of the operator norm.

        The bound is taken on 8 W' frequencies, at least 64, W' the taps of the kernel. In single precision at least.
        """
        weight = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        if mode == "reshaped" or self.along is None:
            return reshaped_norm(weight, self.groups)
        return conv1d_norm_upper_bound(self._sliding(weight), self.stride, self.dilation, self.groups, self._grid)

    def projected(self, radius: float, mode: str) -> Tensor:
        """The weight, or one near it whose `norm(mode)` is at most the radius, in its own type."""
        weight = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        if mode == "reshaped" or self.along is None:
            near = project_reshaped(weight, radius, self.groups)
        else:
            near = project_operator(
                self._sliding(weight), radius, self.stride, self.dilation, self.groups, self._grid
            ).view_as(weight)
        return near.to(self.weight.dtype)

    def known(self, mode: str) -> bool:
        """Whether the norm of that mode is."""
        return mode == "reshaped" or self.weight.dim() == 2 or self.along is not None

    def _sliding(self, weight: Tensor) -> Tensor:
        assert self.along is not None
        return weight.reshape(*weight.shape[:2], weight.shape[self.along])

    @property
    def _grid(self) -> int:
        assert self.along is not None
        return max(64, 8 * symbol_taps(self.weight.shape[self.along], self.stride, self.dilation))


def linear_maps(layer: nn.Module, attribute: str, weight: Tensor) -> list[LinearMap]:
    """The maps that a weight of a layer is made of, one after another along its first axis; [] where none is known."""
    if isinstance(layer, _CONVOLUTIONS) and attribute == "weight":
        sliding = [axis for axis in range(2, weight.dim()) if weight.shape[axis] > 1]
        if len(sliding) > 1:
            return [LinearMap(weight, layer.groups)]
        along = sliding[0] if sliding else weight.dim() - 1
        return [LinearMap(weight, layer.groups, along, layer.stride[along - 2], layer.dilation[along - 2])]
    if isinstance(layer, nn.MultiheadAttention) and attribute == "in_proj_weight":
        return [LinearMap(matrix) for matrix in weight.chunk(3)]
    matrices = isinstance(layer, nn.Linear | nn.Embedding | nn.RNNBase | nn.RNNCellBase) or (
        isinstance(layer, nn.MultiheadAttention) and attribute in ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    )
    return [LinearMap(weight)] if matrices and weight.dim() == 2 else []
