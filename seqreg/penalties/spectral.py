"""Squared spectral norms of the layers, the upper side of the network's norm."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqreg.networks import InputView, linear_maps_of
from seqreg.penalties.base import Penalty
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class Spectral(Penalty):
    """`weight * sum_l sigma(W_l)^2` over trained weights that are linear maps, sigma the largest singular value.

    `mode=reshaped` takes a kernel as a matrix (C_out, C_in W), as in Bietti et al. (2019): a lower bound of the
    convolution's operator norm. `mode=operator` takes the certified upper bound of the operator norm
    (`conv1d_norm_upper_bound` on 8 W frequencies, at least 64); for matrices both are the same. Exact, with the
    subgradient at the leading singular pair. Which layers have such weights: `seqreg.spectral.layers`; a weight that
    layers share counts once. Of recurrent layers the matrices are penalised; that bounds no map of sequences.
    """

    weight: float = hyper(0.01, "strength lambda", low=0)
    mode: str = hyper("reshaped", "which norm of a convolution", choices=("reshaped", "operator"))

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; looks at the weights only. A warning names those that are left out.

        Raises UsageError for a model without such layers.
        """
        found = {id(weight.tensor): maps for weight, maps in linear_maps_of(view.module, self.mode, "penalty spectral")}
        norms = [each.norm(self.mode) for maps in found.values() for each in maps]
        return self.weight * torch.stack(norms).square().sum()
