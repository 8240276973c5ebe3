"""Steps and projections in the l2 and linf balls, safe where a gradient vanishes."""

import torch
from torch import Tensor


def lengths_of(delta: Tensor) -> Tensor:
    """l2 norm of each example, (N, 1, ...) for delta (N, ...)."""
    return delta.flatten(1).norm(dim=1).view(-1, *[1] * (delta.dim() - 1))


def unit(direction: Tensor) -> Tensor:
    """`direction / ||direction||_2` of each example; zero stays zero."""
    norm = lengths_of(direction)
    return direction / torch.where(norm > 0, norm, 1)


def steepest(gradient: Tensor, norm: str) -> Tensor:
    """Direction of steepest ascent of size 1 in the norm: the unit gradient for l2, its signs for linf."""
    return unit(gradient) if norm == "l2" else gradient.sign()


def project(delta: Tensor, epsilon: float, norm: str) -> Tensor:
    """Nearest point (in l2) of the ball of radius epsilon around zero."""
    if norm == "linf":
        return delta.clamp(-epsilon, epsilon)
    size = lengths_of(delta)
    return delta * torch.where(size > epsilon, epsilon / torch.where(size > 0, size, 1), 1)
