"""Bounded spectral norms, layer by layer."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from seqreg.errors import UsageError
from seqreg.networks import linear_maps_of
from seqreg.specs import Spec, hyper


@dataclass(frozen=True, kw_only=True)
class SpectralNorm(Spec):
    """Spectral norm of every trained weight that is a linear map at most tau (1 + 4 exp(-epoch / kappa)).

    Singular values above that radius are clipped to it; those below, and whole weights inside the ball, stay as they
    are. `mode=reshaped` clips the kernel as a matrix (C_out, C_in W), as in Bietti et al. (ICML 2019): that norm is a
    lower bound of the convolution's operator norm. `mode=operator` bounds the operator norm itself, with proof
    (`conv1d_norm_upper_bound` on 8 W frequencies, at least 64); for matrices both modes are the same. Which layers have
    such weights: `seqreg.spectral.layers`. Biases and normalization layers are left alone, so with BatchNorm neither
    mode bounds the network; nor does a bound on a recurrent layer's matrices bound its map of sequences.
    """

    radius: float = hyper(1.0, "tau, the norm allowed in the end", above=0)
    decay: float = hyper(2.0, "kappa, epochs over which the allowance shrinks from five times tau", above=0)
    mode: str = hyper("reshaped", "which norm of a convolution", choices=("reshaped", "operator"))

    def radius_at(self, epoch: int) -> float:
        """The norm allowed after a step of this epoch, counted from 0."""
        return self.radius * (1 + 4 * math.exp(-epoch / self.decay))

    @torch.no_grad()
    def project_(self, model: nn.Module, epoch: int) -> None:
        """Project the weights in place; a warning names those that are left out.

        Raises UsageError for a layer whose weight is not a parameter of its own, and if no layer has such weights.
        """
        radius = self.radius_at(epoch)
        for weight, maps in linear_maps_of(model, self.mode, "constraint spectral-norm"):
            if weight.computed:
                raise UsageError(
                    f"weight {weight.name!r} is computed from other tensors; it cannot be projected in place"
                )
            device = weight.tensor.device.type
            with torch.autocast(device, enabled=False):
                near = [each.projected(radius, self.mode) for each in maps]
            weight.tensor.copy_(near[0] if len(near) == 1 else torch.cat(near))
