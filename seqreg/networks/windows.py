"""Scores of windows of letters, layer by layer: what is looked up, and what is convolved."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.networks.convnet import ConvNet
from seqreg.networks.lookup import lookup_scores, symbol_table, window_rows


def first_scores(model: ConvNet, ids: Tensor, table: Tensor | None = None) -> Tensor:
    """(N, T, C) outputs of the first convolution, bias included, for all windows of ids (N, L), without gradient.

    table (W, V, C): `symbol_table` of the first kernel, where the caller has it.
    """
    table = symbol_table(model.first_kernel(), model.mixtures) if table is None else table
    bias: Tensor = model.convs[0].bias  # pyright: ignore[reportAssignmentType]
    return lookup_scores(table, window_rows(ids, len(table), table.shape[1])) + bias


def last_scores(model: ConvNet, first: Tensor) -> Tensor:
    """(N, T, C) outputs of the last convolution, before its activation, from those of the first one."""
    scores = first
    for conv in list(model.convs)[1:]:
        weight: Tensor = conv.weight  # pyright: ignore[reportAssignmentType]
        bias: Tensor = conv.bias  # pyright: ignore[reportAssignmentType]
        h = model.activation(scores)
        if h.dtype == torch.float32:
            scores = F.conv1d(h.transpose(1, 2), weight, bias).transpose(1, 2)
        else:  # PyTorch's own convolution of doubles is several times slower on CPUs than a product of matrices
            scores = h.unfold(1, weight.shape[2], 1).flatten(2) @ weight.flatten(1).t() + bias
    return scores
