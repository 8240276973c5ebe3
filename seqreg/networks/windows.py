"""Scores of all windows of letters: what is looked up, and what is convolved, without gradient."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.errors import UnknownLayerError
from seqreg.networks.alignments import AlignmentNet
from seqreg.networks.convnet import ConvNet
from seqreg.networks.lookup import lookup_scores, symbol_table, window_rows
from seqreg.networks.smooth import SmoothConvNet
from seqreg.networks.sum import Part, SpectrumNet


def first_scores(model: ConvNet, ids: Tensor, table: Tensor | None = None) -> Tensor:
    """(N, T, C) outputs of the first convolution, without bias, for all windows of ids (N, L).

    table (W, V, C): `symbol_table` of the first kernel, where the caller has it.
    """
    table = symbol_table(model.first_kernel(), model.mixtures) if table is None else table
    return lookup_scores(table, window_rows(ids, len(table), table.shape[1]))


def last_scores(model: Part, ids: Tensor) -> Tensor:
    """(N, T, C) what `window_activation` turns into the last layer's activations; of aligned sequences (N, 1, R)."""
    if isinstance(model, AlignmentNet):
        return model.features(ids)[:, None]
    return window_scores(model, first_scores(model, ids), ids)


def window_scores(model: ConvNet, first: Tensor, ids: Tensor) -> Tensor:
    """(N, T, C) what `window_activation` turns into the last layer's activations, from `first_scores` of ids (N, L)."""
    if type(model) is SmoothConvNet:
        return model.activate_first(first.transpose(1, 2), model.one_hot(ids)).transpose(1, 2)
    if type(model) not in (ConvNet, SpectrumNet):
        raise UnknownLayerError(f"what a {type(model).__name__} computes of a window is not known")
    scores = first + model.first_bias()
    for conv in list(model.convs)[1:]:
        weight: Tensor = conv.weight  # pyright: ignore[reportAssignmentType]
        bias: Tensor = conv.bias  # pyright: ignore[reportAssignmentType]
        h = model.activation(scores)
        if h.dtype == torch.float32:
            scores = F.conv1d(h.transpose(1, 2), weight, bias).transpose(1, 2)
        else:  # PyTorch's own convolution of doubles is several times slower on CPUs than a product of matrices
            scores = h.unfold(1, weight.shape[2], 1).flatten(2) @ weight.flatten(1).t() + bias
    return scores


def window_activation(model: Part) -> Callable[[Tensor], Tensor]:
    """Monotone, with slopes in [0, 1]; the identity for smooth-cnn, whose activation depends on the window's norm."""
    return (lambda h: h) if isinstance(model, SmoothConvNet | AlignmentNet) else model.activation
