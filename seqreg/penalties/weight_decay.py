"""Squared weights: the baseline of all regularizers."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.networks import InputView, weights_of
from seqreg.penalties.base import Penalty
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class WeightDecay(Penalty):
    """`weight * sum w^2` over all trained weights of layers: matrices, kernels, and other tensors of two or more
    dimensions, each once; no biases and no normalization layers. Coupled: it acts through the optimizer's gradient.
    """

    parts_may_follow: ClassVar[bool] = True
    weight: float = hyper(1e-3, "strength lambda", low=0)

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; looks at the weights only. Raises UsageError for a model without any."""
        model = view.module
        weights = {id(weight.tensor): weight.tensor for weight in [*weights_of(model)]}.values()
        if not weights:
            raise UsageError(f"{type(model).__name__} has no layer whose trained weights could be penalised")
        precise = (tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in weights)
        return self.weight * torch.stack([tensor.square().sum() for tensor in precise]).sum()
