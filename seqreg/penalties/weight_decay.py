"""Squared weights: the baseline of all regularizers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqreg.errors import UsageError
from seqreg.specs import Spec, hyper

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)


def weights(model: nn.Module) -> list[Tensor]:
    """Weights of all convolution and linear layers that are trained, no biases and no normalisation layers.

    Raises UsageError if there are none.
    """
    found = [layer.weight for layer in model.modules() if isinstance(layer, _LAYERS) and layer.weight.requires_grad]
    if not found:
        raise UsageError(f"{type(model).__name__} has no convolution or linear layer whose weights could be penalised")
    return found


@dataclass(frozen=True, kw_only=True)
class WeightDecay(Spec):
    """`weight * sum w^2` over convolution and linear weights; coupled: it acts through the optimizer's gradient."""

    weight: float = hyper(1e-3, "strength lambda", low=0)

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float = 1.0, lengths: Tensor | None = None
    ) -> Tensor:
        """Penalty []; looks at the weights only."""
        return self.weight * torch.stack([weight.square().sum() for weight in weights(model)]).sum()
