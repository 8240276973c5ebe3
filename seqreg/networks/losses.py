"""The classification loss, one number per example."""

import torch.nn.functional as F
from torch import Tensor


def per_example_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Losses (N,) in nats.

    logits (N, 1) with y (N,) of 0 and 1: binary cross-entropy of the second class.
    logits (N, K) with y (N,) class indices: cross-entropy.
    logits (N, K) with y (N, K) of 0 and 1: binary cross-entropy summed over the labels.
    """
    if y.dim() == 2:
        return F.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction="none").sum(1)
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], y.to(logits.dtype), reduction="none")
    return F.cross_entropy(logits, y, reduction="none")
