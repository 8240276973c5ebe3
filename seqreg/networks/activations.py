"""Activations, all monotone with slopes in [0, 1]: certificates and the maximum-first order of pooling rely on it."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_SQRT_2PI = math.sqrt(2 * math.pi)


def smoothed_relu(u: Tensor, smoothing: float = 1.0) -> Tensor:
    """`u Phi(u / s) + s phi(u / s)`: ReLU averaged over Gaussian noise of standard deviation s; slope within (0, 1)."""
    scaled = u / smoothing
    return u * torch.special.ndtr(scaled) + (smoothing / _SQRT_2PI) * torch.exp(-scaled * scaled / 2)


def identity(u: Tensor) -> Tensor:
    """u; a function with a name, which can be sent to other processes."""
    return u


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "smoothed-relu": smoothed_relu,
    "identity": identity,
}
