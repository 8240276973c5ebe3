"""Squared spectral norms of the layers, the upper side of the network's norm."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqreg.errors import UsageError
from seqreg.specs import Spec, hyper
from seqreg.spectral import conv1d_norm_upper_bound, reshaped_norm, symbol_taps


@dataclass(frozen=True, kw_only=True)
class Spectral(Spec):
    """`weight * sum_l sigma(W_l)^2` over trained convolution and linear layers, sigma the largest singular value.

    `mode=reshaped` takes a kernel as a matrix (C_out, C_in W), as in Bietti et al. (2019): a lower bound of the
    convolution's operator norm. `mode=operator` takes the certified upper bound of the operator norm
    (`conv1d_norm_upper_bound` on 8 W frequencies, at least 64); for linear layers both are the same. Exact, with the
    subgradient at the leading singular pair.
    """

    weight: float = hyper(0.01, "strength lambda", low=0)
    mode: str = hyper("reshaped", "which norm of a convolution", choices=("reshaped", "operator"))

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float = 1.0, lengths: Tensor | None = None
    ) -> Tensor:
        """Penalty []; looks at the weights only. Raises UsageError for a model without such layers."""
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv1d | nn.Linear)]
        norms = [self._norm(layer) for layer in layers if layer.weight.requires_grad]
        if not norms:
            raise UsageError(f"{type(model).__name__} has no 1-D convolution or linear layer to take norms of")
        return self.weight * torch.stack(norms).square().sum()

    def _norm(self, layer: nn.Conv1d | nn.Linear) -> Tensor:
        if isinstance(layer, nn.Linear):
            return reshaped_norm(layer.weight)
        if self.mode == "reshaped":
            return reshaped_norm(layer.weight, layer.groups)
        stride, dilation, width = layer.stride[0], layer.dilation[0], layer.kernel_size[0]
        n = max(64, 8 * symbol_taps(width, stride, dilation))
        return conv1d_norm_upper_bound(layer.weight, stride, dilation, layer.groups, n)
