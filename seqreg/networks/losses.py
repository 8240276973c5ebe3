"""The classification loss, one number per example."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.errors import UsageError


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


def refuse_other_targets(logits: Tensor, y: Tensor) -> None:
    """Raises UsageError for y that are not what `per_example_loss` takes beside logits (N, K)."""
    n, classes = logits.shape
    remedy = "For other targets give their loss: loss=f, f(output, y) -> (N,) numbers, one per sequence"
    if y.shape not in ((n,), (n, classes)):
        raise UsageError(f"y has shape {tuple(y.shape)} where logits have {n, classes}: y is (N,) or (N, K). {remedy}")
    indices = y.dim() == 1 and classes > 1
    if indices and y.is_floating_point():
        raise UsageError(f"y holds {str(y.dtype).removeprefix('torch.')}; class indices are int64. {remedy}")
    highest = classes - 1 if indices else 1
    outside = y[~((y >= 0) & (y <= highest))]
    if len(outside):
        allowed = f"class indices of {classes} logits are 0 to {highest}" if indices else "labels are 0 and 1"
        raise UsageError(f"y holds {outside[0].item():g}; {allowed}. {remedy}")


def refuse_unless_per_example(losses: object, n: int) -> None:
    """Raises UsageError for what a caller's loss returned, where that is not one number per sequence."""
    if not isinstance(losses, Tensor) or losses.shape != torch.Size([n]):
        shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise UsageError(
            f"loss= returns {shape} for a batch of N = {n}; it returns one number per sequence, (N,): "
            "reduction='none', and y of the output's shape"
        )
