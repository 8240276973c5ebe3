"""Bounded spectral norms, layer by layer."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqreg.errors import UsageError
from seqreg.specs import Spec, hyper
from seqreg.spectral import project_operator, project_reshaped, symbol_taps


@dataclass(frozen=True, kw_only=True)
class SpectralNorm(Spec):
    """Spectral norm of every trained convolution and linear weight at most tau (1 + 4 exp(-epoch / kappa)).

    Singular values above that radius are clipped to it; those below, and whole weights inside the ball, stay as they
    are. `mode=reshaped` clips the kernel as a matrix (C_out, C_in W), as in Bietti et al. (ICML 2019): that norm is a
    lower bound of the convolution's operator norm. `mode=operator` bounds the operator norm itself, with proof
    (`conv1d_norm_upper_bound` on 8 W frequencies, at least 64); for linear layers both modes are the same.
    Biases and normalisation layers are left alone, so with BatchNorm neither mode bounds the network.
    """

    radius: float = hyper(1.0, "tau, the norm allowed in the end", above=0)
    decay: float = hyper(2.0, "kappa, epochs over which the allowance shrinks from five times tau", above=0)
    mode: str = hyper("reshaped", "which norm of a convolution", choices=("reshaped", "operator"))

    def radius_at(self, epoch: int) -> float:
        """The norm allowed after a step of this epoch, counted from 0."""
        return self.radius * (1 + 4 * math.exp(-epoch / self.decay))

    @torch.no_grad()
    def project_(self, model: nn.Module, epoch: int) -> None:
        """Project the weights in place. Raises UsageError for a layer whose weight is not a parameter of its own."""
        radius = self.radius_at(epoch)
        for name, layer in model.named_modules():
            if not isinstance(layer, nn.Conv1d | nn.Linear):
                continue
            if "weight" not in dict(layer.named_parameters(recurse=False)):
                raise UsageError(
                    f"layer {name!r} computes its weight from other tensors; it cannot be projected in place"
                )
            if layer.weight.requires_grad:
                layer.weight.copy_(self._project(layer, radius))

    def _project(self, layer: nn.Conv1d | nn.Linear, radius: float) -> Tensor:
        if isinstance(layer, nn.Linear):
            return project_reshaped(layer.weight, radius)
        if self.mode == "reshaped":
            return project_reshaped(layer.weight, radius, layer.groups)
        stride, dilation, width = layer.stride[0], layer.dilation[0], layer.kernel_size[0]
        n = max(64, 8 * symbol_taps(width, stride, dilation))
        return project_operator(layer.weight, radius, stride, dilation, layer.groups, n)
