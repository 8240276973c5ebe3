"""How far single PyTorch layers can move their output, in l2, when their input moves: a proved factor for each.

Each rule below proves its factor K: for all inputs x, x' of one length, `||layer(x') - layer(x)||_2 <= K ||x' - x||_2`,
norms over channels and positions of one sequence.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqreg.errors import UnknownLayerError, UsageError
from seqreg.spectral import conv1d_norm_upper_bound, grid_size, linear_norm


class Reach(NamedTuple):
    """What a rule returns: the factor of its layer, a scalar, and the number of positions after it (None: unknown)."""

    factor: Tensor | float
    length: int | None


Rule = Callable[[nn.Module, int | None], Reach]


# ---- layers with weights


def conv_norm(weight: Tensor, layer: nn.Conv1d) -> Tensor:
    """Operator norm bound of a weight (C_out, C_in / G, W) used with the stride, dilation and groups of a layer."""
    return conv1d_norm_upper_bound(weight, layer.stride[0], layer.dilation[0], layer.groups)


def conv1d(layer: nn.Module, length: int | None, scale: Tensor | float = 1.0) -> Reach:
    """Certified norm of the zero-padded convolution, times the norm of the padding where that is not zeros.

    Padding other than zeros repeats letters, and a map that repeats each entry at most r times has norm sqrt(r):
    reflection shows a letter three times at most, replication a border letter 1 + left + right times, circular padding
    of no more than the length three times; but with stride 1 and no more outputs than inputs the circular convolution
    repeats no window, and its rows are rows of a circulant operator, which the symbol bounds.
    """
    assert isinstance(layer, nn.Conv1d)
    weight = layer.weight.double()
    norm = conv_norm(weight * (scale[:, None, None] if isinstance(scale, Tensor) else scale), layer)
    spread = layer.dilation[0] * (layer.kernel_size[0] - 1)
    left, right = padding_of(layer)
    if layer.padding_mode == "replicate":
        norm = norm * math.sqrt(1 + left + right)
    elif layer.padding_mode == "reflect" or (layer.padding_mode == "circular" and not is_circulant(layer)):
        norm = norm * math.sqrt(3)
    return Reach(norm, _windows(length, spread + 1, layer.stride[0], left + right))


def is_circulant(layer: nn.Conv1d) -> bool:
    """Whether a circular convolution has no window twice."""
    return layer.stride[0] == 1 and sum(padding_of(layer)) <= layer.dilation[0] * (layer.kernel_size[0] - 1)


def padding_of(layer: nn.Conv1d) -> tuple[int, int]:
    """Letters added on the left and on the right."""
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        both = layer.dilation[0] * (layer.kernel_size[0] - 1)
        return both // 2, both - both // 2
    return int(layer.padding[0]), int(layer.padding[0])


def _windows(length: int | None, width: int, stride: int, padding: int) -> int | None:
    """Outputs of a sliding window; monotone in length, so a shortest length in gives a shortest length out."""
    if length is None:
        return None
    if length + padding < width:
        raise UsageError(f"the network has no output for {length} letters: a layer needs {width - padding} positions")
    return (length + padding - width) // stride + 1


def linear(layer: nn.Module, length: int | None, direction: Tensor | None = None) -> Reach:
    """Largest singular value of W, or the norm of `direction^T W`.

    Applied to each row of (C, L) alike, the norm stays the same. Positions end here.
    """
    assert isinstance(layer, nn.Linear)
    return Reach(linear_norm(layer.weight.double(), direction), None)


def batch_norm_scale(layer: nn.Module) -> Tensor:
    """(C,) slope `gamma / sqrt(var + eps)` per channel, with the recorded variance."""
    assert isinstance(layer, nn.BatchNorm1d)
    if layer.running_var is None:
        raise UnknownLayerError(
            "a BatchNorm1d without recorded statistics normalises by the batch: no bound holds for a single sequence"
        )
    scale = torch.rsqrt(layer.running_var.double() + layer.eps)
    return scale if layer.weight is None else scale * layer.weight.double()


def _batch_norm(layer: nn.Module, length: int | None) -> Reach:
    """max |gamma| / sqrt(var + eps): an affine map per channel. (Behind a convolution it is folded instead.)"""
    return Reach(batch_norm_scale(layer).abs().max(), length)


# ---- pooling, and layers without weights


def _max_pool(layer: nn.Module, length: int | None) -> Reach:
    """sqrt(ceil(p / s)): a maximum changes by at most the largest change in its window, and an
    entry lies in at most ceil(p / s) windows, so the squares sum to at most that many times the whole.
    """
    assert isinstance(layer, nn.MaxPool1d)
    width, stride, padding = _int(layer.kernel_size), _int(layer.stride), _int(layer.padding)
    if _int(layer.dilation) != 1:
        raise UnknownLayerError("no Lipschitz factor is known for a MaxPool1d with dilation")
    return Reach(math.sqrt(math.ceil(width / stride)), _windows(length, width, stride, 2 * padding))


def _avg_pool(layer: nn.Module, length: int | None) -> Reach:
    """A convolution of each channel with p taps 1/p, stride s and zero padding."""
    assert isinstance(layer, nn.AvgPool1d)
    width, stride, padding = (_int(size) for size in (layer.kernel_size, layer.stride, layer.padding))
    if layer.ceil_mode or (padding and not layer.count_include_pad):
        raise UnknownLayerError(
            "no Lipschitz factor is known for an AvgPool1d whose windows at the border divide by fewer than p: set "
            "ceil_mode=False, and count_include_pad=True or padding=0"
        )
    taps = torch.full((1, 1, width), 1 / width, dtype=torch.float64)
    norm = conv1d_norm_upper_bound(taps, stride, n=grid_size(width))
    return Reach(norm, _windows(length, width, stride, 2 * padding))


def _adaptive_avg_pool(layer: nn.Module, length: int | None) -> Reach:
    """1 / sqrt(T) for the mean of T positions (Cauchy-Schwarz), 1 where T is unknown. For k > 1 bins and T >= k,
    Schur's test gives sqrt(row sum * column sum): rows sum to 1, columns to at most 2 / ceil(T / k), as each bin has
    T / k positions or more and a position lies in two bins at most. In any case sqrt(k), each bin being a mean.
    """
    assert isinstance(layer, nn.AdaptiveAvgPool1d)
    bins = _bins(layer)
    if bins == 1:
        return Reach(1 / math.sqrt(length or 1), 1)
    shared = 2 / math.ceil(length / bins) if length is not None and length >= bins else bins
    return Reach(math.sqrt(min(bins, shared)), bins)


def _adaptive_max_pool(layer: nn.Module, length: int | None) -> Reach:
    """sqrt of the number of bins that share a position: 1 for one bin, 2 for k > 1 bins of T >= k positions, else k."""
    assert isinstance(layer, nn.AdaptiveMaxPool1d)
    bins = _bins(layer)
    return Reach(math.sqrt(min(bins, 2) if length is not None and length >= bins else bins), bins)


def _bins(layer: nn.AdaptiveAvgPool1d | nn.AdaptiveMaxPool1d) -> int:
    size = layer.output_size
    bins = size[0] if isinstance(size, tuple) else size
    if bins is None:
        raise UnknownLayerError(f"no Lipschitz factor is known for a {type(layer).__name__} without an output size")
    return int(bins)


def _int(size: int | tuple[int, ...]) -> int:
    return size[0] if isinstance(size, tuple) else size


def _flatten_layer(layer: nn.Module, length: int | None) -> Reach:
    """1: the same entries in one row per sequence."""
    assert isinstance(layer, nn.Flatten)
    if layer.start_dim not in (1, 2, -1):
        raise UnknownLayerError(f"a Flatten(start_dim={layer.start_dim}) may join the sequences of a batch")
    return Reach(1.0, None)


def _slope(largest: float) -> Rule:
    """Entrywise functions: the largest slope, by the mean value theorem."""
    return lambda layer, length: Reach(largest, length)


def _leaky_relu(layer: nn.Module, length: int | None) -> Reach:
    """Slopes 1 and `negative_slope`."""
    assert isinstance(layer, nn.LeakyReLU)
    return Reach(max(1.0, abs(layer.negative_slope)), length)


def _elu(layer: nn.Module, length: int | None) -> Reach:
    """Slopes 1 and alpha exp(u) for u < 0."""
    assert isinstance(layer, nn.ELU)
    return Reach(max(1.0, abs(layer.alpha)), length)


LAYER_RULES: dict[type[nn.Module], Rule] = {
    nn.Conv1d: conv1d,
    nn.Linear: linear,
    nn.BatchNorm1d: _batch_norm,
    nn.MaxPool1d: _max_pool,
    nn.AvgPool1d: _avg_pool,
    nn.AdaptiveMaxPool1d: _adaptive_max_pool,
    nn.AdaptiveAvgPool1d: _adaptive_avg_pool,
    nn.Flatten: _flatten_layer,
    nn.LeakyReLU: _leaky_relu,
    nn.ELU: _elu,
    nn.Sigmoid: _slope(0.25),
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Softplus, nn.Softsign), _slope(1.0)),
}
