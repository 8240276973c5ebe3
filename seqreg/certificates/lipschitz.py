"""How far the output of a network can move, in l2, when its one-hot input moves: a proved upper bound.

The bound is the product of one factor per layer, by the rule of that layer.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from seqreg.certificates.layers import (
    LAYER_RULES,
    Reach,
    Rule,
    batch_norm_scale,
    conv1d,
    conv_norm,
    is_circulant,
    linear,
    padding_of,
)
from seqreg.errors import UnknownLayerError, UsageError
from seqreg.networks import Part, Residual, SequenceNetwork, added, parts_of
from seqreg.spectral import linear_norm, reshaped_norm


class LayerNorms(NamedTuple):
    """Both norms of one convolution or linear layer, as floats; for linear layers they agree but for rounding."""

    name: str
    reshaped_norm: float
    operator_norm_upper_bound: float


Named = tuple[str, nn.Module]


def lipschitz_upper_bound(model: nn.Module, length: int | None = None, direction: Tensor | None = None) -> Tensor:
    """Certified upper bound of the l2 Lipschitz constant of a network in evaluation mode, float64: a scalar, or (...).

    `||f(x') - f(x)||_2 <= bound * ||x' - x||_2` for all x, x' (A, L) of equal length: logits per l2 of one-hot; one
    substitution moves x by sqrt(2). Differentiable in the weights.

    length: the fewest positions (letters) an input has; mean pooling gains from it, and without it the bound holds for
    every length. direction: (..., K) weights of the logits; the bound is then that of each scalar
    `sum_k direction_k f_k`, e.g. a unit vector for one class or `e_y - e_j` for a margin.

    Known are seqreg's networks and sequences (nn.Sequential, Residual) of the layers in `LIPSCHITZ_RULES`; any other
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
            bound = conv_norm(weight, layer) if isinstance(layer, nn.Conv1d) else reshaped_norm(weight)
            rows.append(LayerNorms(name, reshaped_norm(weight, groups).item(), bound.item()))
    return rows


def deeper_norms(model: Part, directions: Tensor) -> Tensor:
    """(N, P) how far the margins move, at most, per l2 of the first layer's output, for T = 1 window.

    The product of the operator norms of the other convolutions, of the hidden layer, and of u . W_out.
    """
    norm = torch.linalg.vector_norm(directions @ model.output.weight, dim=-1)
    for conv in model.deeper_convs():
        norm = norm * conv_norm(conv.weight, conv)
    return norm if model.hidden is None else norm * linear_norm(model.hidden.weight)


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
                reach = conv1d(layer, length, batch_norm_scale(after))
            elif after is None and direction is not None and _type(layer) is nn.Linear:
                reach, direction = linear(layer, length, direction), None
            elif after is None and direction is not None and isinstance(layer, SequenceNetwork):
                reach, direction = _network(layer, length, direction), None
            else:
                reach = _rule(layer)(layer, length)
        except UnknownLayerError as error:
            raise UnknownLayerError(f"layer {name!r}: {error}" if name else str(error)) from error
        factor, length = factor * reach.factor, reach.length
    if direction is not None:
        factor = factor * torch.linalg.vector_norm(direction.double(), dim=-1)
    return Reach(factor, length)


def _flatten(layers: list[Named]) -> Iterator[Named]:
    for name, layer in layers:
        if _type(layer) is nn.Sequential:
            prefix = f"{name}." if name else ""
            yield from _flatten([(prefix + key, inner) for key, inner in layer.named_children()])
        elif _type(layer) not in (nn.Identity, nn.Dropout, nn.Dropout1d):  # the identity in evaluation mode
            yield name, layer


def _rule(layer: nn.Module) -> Rule:
    rule = _network if isinstance(layer, SequenceNetwork) else LIPSCHITZ_RULES.get(_type(layer))
    if rule is None:
        known = ", ".join(sorted(known.__name__ for known in LIPSCHITZ_RULES))
        raise UnknownLayerError(
            f"no Lipschitz factor is known for a {type(layer).__name__}, so the network has no proved bound. "
            f"Known: seqreg's own networks, and nn.Sequential of {known}; "
            "seqreg.certificates.LIPSCHITZ_RULES takes rules for others"
        )
    return rule


def _type(layer: nn.Module) -> type[nn.Module]:
    """The exact class: a subclass may compute anything. Parametrized layers count as what they were."""
    return type_before_parametrizations(layer)


# ---- blocks


def _residual(layer: nn.Module, length: int | None) -> Reach:
    """`x + h(x)`: 1 + K_h by the triangle inequality. Around a single convolution whose padding puts a tap on each
    position the block is itself one convolution, with the identity added at that tap, and that one's norm is taken.
    """
    inner = list(_flatten(list(layer.named_children())))
    if len(inner) == 1 and _type(inner[0][1]) is nn.Conv1d:
        conv = inner[0][1]
        assert isinstance(conv, nn.Conv1d)
        tap, between = divmod(padding_of(conv)[0], conv.dilation[0])
        if between == 0 and is_circulant(conv) and conv.padding_mode in ("zeros", "circular"):
            weight = conv.weight.double()
            channels = torch.arange(len(weight), device=weight.device)
            identity = torch.zeros_like(weight)
            identity[channels, channels % weight.shape[1], tap] = 1
            return Reach(conv_norm(weight + identity, conv), length)
    reach = _chain(inner, length)
    return Reach(1 + reach.factor, length)


def _network(model: nn.Module, length: int | None, direction: Tensor | None = None) -> Reach:
    """The sum over the parts of one of seqreg's networks, by the triangle inequality."""
    assert isinstance(model, SequenceNetwork)
    factors = []
    for part in parts_of(model):
        part.demand("bounds")
        factors.append(part.lipschitz(length, direction))
    return Reach(added(factors), None)


LIPSCHITZ_RULES: dict[type[nn.Module], Rule] = {Residual: _residual, **LAYER_RULES}
