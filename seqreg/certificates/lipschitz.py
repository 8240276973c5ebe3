"""How far the output of a network can move, in l2, when its one-hot input moves: a proved upper bound.

The bound is the product of one factor per layer. Each rule below proves its factor K: for all inputs x, x' of one
length, `||layer(x') - layer(x)||_2 <= K ||x' - x||_2`, norms over channels and positions of one sequence.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from seqreg.errors import UnknownLayerError, UsageError
from seqreg.networks import ConvNet, Residual, SmoothConvNet, SpectrumNet, SumNet, added, parts_of
from seqreg.spectral import conv1d_norm_upper_bound, grid_size, reshaped_norm, symbol_taps


class LayerNorms(NamedTuple):
    """Both norms of one convolution or linear layer, as floats; for linear layers they agree but for rounding."""

    name: str
    reshaped_norm: float
    operator_norm_upper_bound: float


class Reach(NamedTuple):
    """What a rule returns: the factor of its layer, a scalar, and the number of positions after it (None: unknown)."""

    factor: Tensor | float
    length: int | None


Rule = Callable[[nn.Module, int | None], Reach]
Named = tuple[str, nn.Module]


def lipschitz_upper_bound(model: nn.Module, length: int | None = None, direction: Tensor | None = None) -> Tensor:
    """Certified upper bound of the l2 Lipschitz constant of a network in evaluation mode, a float64 scalar.

    `||f(x') - f(x)||_2 <= bound * ||x' - x||_2` for all x, x' (A, L) of equal length: logits per l2 of one-hot; one
    substitution moves x by sqrt(2). Differentiable in the weights.

    length: the fewest positions (letters) an input has; mean pooling gains from it, and without it the bound holds for
    every length. direction: (K,) weights of the logits; the bound is then that of the scalar `sum_k direction_k f_k`,
    e.g. a unit vector for one class or `e_y - e_j` for a margin.

    Known are seqreg's ConvNet and sequences (nn.Sequential, Residual) of the layers in `LIPSCHITZ_RULES`; any other
    layer raises UnknownLayerError with its name, for a product with a missing factor is no bound. A rule for a layer of
    your own can be added to that table. The bound is often far above the true constant; it is no estimate of it.
    """
    if length is not None and length < 1:
        raise UsageError(f"length is the number of letters of the shortest input, at least 1; got {length}")
    return torch.as_tensor(_chain([("", model)], length, direction).factor, dtype=torch.float64)


def layer_norms(model: nn.Module) -> list[LayerNorms]:
    """Both norms of each convolution and linear layer of any network, in order; float64, 256 frequencies or more."""
    rows: list[LayerNorms] = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            groups = layer.groups if isinstance(layer, nn.Conv1d) else 1
            weight = layer.weight.detach().double()
            bound = _conv_norm(weight, layer) if isinstance(layer, nn.Conv1d) else reshaped_norm(weight)
            rows.append(LayerNorms(name, reshaped_norm(weight, groups).item(), bound.item()))
    return rows


def deeper_norms(model: ConvNet, directions: Tensor) -> Tensor:
    """(N, P) how far the margins move, at most, per l2 of the first layer's output, for T = 1 window.

    The product of the operator norms of the other convolutions, of the hidden layer, and of u . W_out.
    """
    norm = torch.linalg.vector_norm(directions @ model.output.weight, dim=-1)
    for conv in list(model.convs)[1:]:
        assert isinstance(conv, nn.Conv1d)
        norm = norm * _conv_norm(conv.weight, conv)
    return norm if model.hidden is None else norm * _linear_norm(model.hidden)


# ---- composition


def _chain(layers: list[Named], length: int | None, direction: Tensor | None = None) -> Reach:
    """Product over layers one after another; batch normalisation is folded into the convolution before it.

    The Lipschitz constant of a composition is at most the product. Folding is exact: `diag(s) (W x + b)` is a
    convolution with rows scaled by s, whose norm is at most max |s| ||W|| and often smaller. A direction is folded into
    the last linear layer, `direction^T (W h + b)`, or else costs ||direction||_2 (Cauchy-Schwarz).
    """
    flat = list(_flatten(layers))
    factor: Tensor | float = 1.0
    for place, (name, layer) in enumerate(flat):
        before = _type(flat[place - 1][1]) if place else None
        after = flat[place + 1][1] if place + 1 < len(flat) else None
        try:
            if _type(layer) is nn.BatchNorm1d and before is nn.Conv1d:
                continue
            if _type(layer) is nn.Conv1d and after is not None and _type(after) is nn.BatchNorm1d:
                reach = _conv1d(layer, length, _batch_norm_scale(after))
            elif after is None and direction is not None and _type(layer) is nn.Linear:
                reach, direction = Reach(_linear_norm(layer, direction), None), None
            elif after is None and direction is not None and _type(layer) in _NETWORKS:
                reach, direction = _NETWORKS[_type(layer)](layer, length, direction), None
            else:
                reach = _rule(layer)(layer, length)
        except UnknownLayerError as error:
            raise UnknownLayerError(f"layer {name!r}: {error}" if name else str(error)) from error
        factor, length = factor * reach.factor, reach.length
    if direction is not None:
        factor = factor * torch.linalg.vector_norm(direction.double())
    return Reach(factor, length)


def _flatten(layers: list[Named]) -> Iterator[Named]:
    for name, layer in layers:
        if _type(layer) is nn.Sequential:
            prefix = f"{name}." if name else ""
            yield from _flatten([(prefix + key, inner) for key, inner in layer.named_children()])
        elif _type(layer) not in (nn.Identity, nn.Dropout, nn.Dropout1d):  # the identity in evaluation mode
            yield name, layer


def _rule(layer: nn.Module) -> Rule:
    rule = LIPSCHITZ_RULES.get(_type(layer))
    if rule is None:
        known = ", ".join(sorted(known.__name__ for known in LIPSCHITZ_RULES))
        raise UnknownLayerError(
            f"no Lipschitz factor is known for a {type(layer).__name__}, so the network has no proved bound. "
            f"Known: nn.Sequential of {known}; seqreg.certificates.LIPSCHITZ_RULES takes rules for others"
        )
    return rule


def _type(layer: nn.Module) -> type[nn.Module]:
    """The exact class: a subclass may compute anything. Parametrized layers count as what they were."""
    return type_before_parametrizations(layer)


# ---- layers with weights


def _conv_norm(weight: Tensor, layer: nn.Conv1d) -> Tensor:
    """Operator norm bound of a weight (C_out, C_in / G, W) used with the stride, dilation and groups of a layer."""
    stride, dilation = layer.stride[0], layer.dilation[0]
    n = grid_size(symbol_taps(weight.shape[2], stride, dilation))
    return conv1d_norm_upper_bound(weight, stride, dilation, layer.groups, n)


def _conv1d(layer: nn.Module, length: int | None, scale: Tensor | float = 1.0) -> Reach:
    """Certified norm of the zero-padded convolution, times the norm of the padding where that is not zeros.

    Padding other than zeros repeats letters, and a map that repeats each entry at most r times has norm sqrt(r):
    reflection shows a letter three times at most, replication a border letter 1 + left + right times, circular padding
    of no more than the length three times; but with stride 1 and no more outputs than inputs the circular convolution
    repeats no window, and its rows are rows of a circulant operator, which the symbol bounds.
    """
    assert isinstance(layer, nn.Conv1d)
    weight = layer.weight.double()
    norm = _conv_norm(weight * (scale[:, None, None] if isinstance(scale, Tensor) else scale), layer)
    spread = layer.dilation[0] * (layer.kernel_size[0] - 1)
    left, right = _padding(layer)
    if layer.padding_mode == "replicate":
        norm = norm * math.sqrt(1 + left + right)
    elif layer.padding_mode == "reflect" or (layer.padding_mode == "circular" and not _is_circulant(layer)):
        norm = norm * math.sqrt(3)
    return Reach(norm, _windows(length, spread + 1, layer.stride[0], left + right))


def _is_circulant(layer: nn.Conv1d) -> bool:
    """Whether a circular convolution has no window twice."""
    return layer.stride[0] == 1 and sum(_padding(layer)) <= layer.dilation[0] * (layer.kernel_size[0] - 1)


def _padding(layer: nn.Conv1d) -> tuple[int, int]:
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


def _linear_norm(layer: nn.Module, direction: Tensor | None = None) -> Tensor:
    """Largest singular value of W, or the norm of `direction^T W`."""
    assert isinstance(layer, nn.Linear)
    weight = layer.weight.double()
    return reshaped_norm(weight) if direction is None else torch.linalg.vector_norm(direction.to(weight) @ weight)


def _linear(layer: nn.Module, length: int | None) -> Reach:
    """Largest singular value; applied to each row of (C, L) alike, the norm stays the same. Positions end here."""
    return Reach(_linear_norm(layer), None)


def _batch_norm_scale(layer: nn.Module) -> Tensor:
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
    return Reach(_batch_norm_scale(layer).abs().max(), length)


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
    bins = _bins(layer, length)
    if bins == 1:
        return Reach(1 / math.sqrt(length or 1), 1)
    shared = 2 / math.ceil(length / bins) if length is not None and length >= bins else bins
    return Reach(math.sqrt(min(bins, shared)), bins)


def _adaptive_max_pool(layer: nn.Module, length: int | None) -> Reach:
    """sqrt of the number of bins that share a position: 1 for one bin, 2 for k > 1 bins of T >= k positions, else k."""
    assert isinstance(layer, nn.AdaptiveMaxPool1d)
    bins = _bins(layer, length)
    return Reach(math.sqrt(min(bins, 2) if length is not None and length >= bins else bins), bins)


def _bins(layer: nn.AdaptiveAvgPool1d | nn.AdaptiveMaxPool1d, length: int | None) -> int:
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


# ---- blocks


def _residual(layer: nn.Module, length: int | None) -> Reach:
    """`x + h(x)`: 1 + K_h by the triangle inequality. Around a single convolution whose padding puts a tap on each
    position the block is itself one convolution, with the identity added at that tap, and that one's norm is taken.
    """
    inner = list(_flatten(list(layer.named_children())))
    if len(inner) == 1 and _type(inner[0][1]) is nn.Conv1d:
        conv = inner[0][1]
        assert isinstance(conv, nn.Conv1d)
        tap, between = divmod(_padding(conv)[0], conv.dilation[0])
        if between == 0 and _is_circulant(conv) and conv.padding_mode in ("zeros", "circular"):
            weight = conv.weight.double()
            channels = torch.arange(len(weight), device=weight.device)
            identity = torch.zeros_like(weight)
            identity[channels, channels % weight.shape[1], tap] = 1
            return Reach(_conv_norm(weight + identity, conv), length)
    reach = _chain(inner, length)
    return Reach(1 + reach.factor, length)


def _convnet(model: nn.Module, length: int | None, direction: Tensor | None = None) -> Reach:
    """The first convolution with the encoding folded in, the others, pooling, strands and head.

    Activations have slopes in [0, 1], dropout is the identity: 1. Padded letters are zero in x and x', and the windows
    that pooling leaves out leave a piece of the operator. Pooling over T windows: max 1 (as above, one window per
    channel), position 1 (entries kept or cut), mean 1 / sqrt(T) (Cauchy-Schwarz per channel).
    Strands: reversing and complementing x permutes its entries, so each strand's features move by at most K; their mean
    moves by at most K, their maximum by at most sqrt(2) K, for |max(a', b') - max(a, b)|^2 <= |a' - a|^2 + |b' - b|^2.
    """
    assert isinstance(model, ConvNet)
    first, *others = (conv for conv in model.convs if isinstance(conv, nn.Conv1d))
    norm = _conv_norm(model.first_kernel().double(), first)
    if isinstance(model, SmoothConvNet):
        norm = _on_scaled_windows(norm, model)
    for conv in others:
        norm = norm * _conv_norm(conv.weight.double(), conv)
    if model.pooling == "mean":
        norm = norm / math.sqrt(max(0, (length or 1) - model.receptive_field) + 1)
    if model.reverse_complement and model.pooling == "max":
        norm = norm * math.sqrt(2)
    if model.hidden is not None:
        norm = norm * _linear_norm(model.hidden)
    return Reach(norm * _linear_norm(model.output, direction), None)


def _sum(model: nn.Module, length: int | None, direction: Tensor | None = None) -> Reach:
    """The sum over parts, by the triangle inequality."""
    assert isinstance(model, SumNet)
    return Reach(added(torch.as_tensor(_convnet(part, length, direction).factor) for part in parts_of(model)), None)


def _on_scaled_windows(norm: Tensor, model: SmoothConvNet) -> Tensor:
    """`||W|| / sqrt(W) + s sqrt(C / 2 pi)` for `h_c(p) = ||p|| sigma(<W_c, p> / ||p||)` on windows p of x over sqrt(W).

    With a = <W_c, p> / ||p|| and u = p / ||p||, `grad h_c = sigma'(a) W_c + (sigma(a) - a sigma'(a)) u` with the
    bracket `s phi(a / s) <= s / sqrt(2 pi)`. The first terms are the scaled convolution with slopes in [0, 1]. The
    second terms move the C outputs of a window by at most s sqrt(C / 2 pi) ||p' - p||, and over all windows
    `sum ||p' - p||^2 <= ||x' - x||^2`, each letter being in at most W windows of weight 1 / W.
    """
    filters = len(model.first_kernel())
    return norm / math.sqrt(model.receptive_field) + model.smoothing * math.sqrt(filters / (2 * math.pi))


_NETWORKS: dict[type[nn.Module], Callable[[nn.Module, int | None, Tensor | None], Reach]] = {
    **dict.fromkeys((ConvNet, SmoothConvNet, SpectrumNet), _convnet),
    SumNet: _sum,
}

LIPSCHITZ_RULES: dict[type[nn.Module], Rule] = {
    **_NETWORKS,  # pyright: ignore[reportAssignmentType]  # the direction has a default
    Residual: _residual,
    nn.Conv1d: _conv1d,
    nn.Linear: _linear,
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
