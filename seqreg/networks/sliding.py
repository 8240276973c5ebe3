"""Scores of windows that slide over long sequences: each place is computed once, whatever number of windows share it.

Exactly what the network computes of each window alone, up to the order of sums. Convolutions are valid, so that the
score of a place depends on the letters there and on nothing else; what a window adds is which places are pooled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from seqreg.networks.lookup import CACHED

if TYPE_CHECKING:
    from seqreg.networks.convnet import ConvNet
    from seqreg.sequences import Windows

MOST_SHARED = 3  # windows that a block of places has room for, at least: few places are computed twice


@dataclass(frozen=True)
class _Block:
    """Windows that are worked on together: `count` of them every step from each place of `first`, `places` each."""

    codes: NDArray[np.uint8]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    places: NDArray[np.int64]


def slid(model: "ConvNet", windows: "Windows") -> Tensor:
    """Logits (M, K) of windows no shorter than the receptive field, on a CPU, without gradient."""
    pooled = [_pooled(model, block, windows) for block in _blocks(model, windows)]
    return torch.cat([_finished(model, *strands) for strands in pooled])


def _blocks(model: "ConvNet", windows: "Windows") -> Iterator[_Block]:
    """The windows by as many places as stay in a processor's cache, or hold a few windows."""
    field, step = model.receptive_field, windows.step
    channels = max(parameter.shape[0] for parameter in model.convs.parameters())
    codes: list[NDArray[np.uint8]] = []
    rows: list[tuple[int, int, int]] = []
    held = 0
    for run in windows.runs:
        places = run.length - field + 1
        most = max(CACHED // channels, MOST_SHARED * places)
        few = (most - places) // step + 1
        for begin in range(0, run.number, few):
            count = min(few, run.number - begin)
            span = (count - 1) * step + run.length
            if codes and held + span > most:  # no mutant: blocks of any size
                yield _block(codes, rows)
                codes, rows, held = [], [], 0
            codes.append(run.codes[begin * step : begin * step + span])
            rows.append((held, count, places))
            held += span
    yield _block(codes, rows)


def _block(codes: list[NDArray[np.uint8]], rows: list[tuple[int, int, int]]) -> _Block:
    first, count, places = np.array(rows, dtype=np.int64).T.copy()
    return _Block(np.concatenate(codes), first, count, places)


def _pooled(model: "ConvNet", block: _Block, windows: "Windows") -> tuple[Tensor, Tensor | None, bool]:
    """Pooled features of each strand that counts, (m, F) each; those of the opposite one are None where none does.

    And whether both have rows of their own. For position and mean, F are the units of the head's first layer, without
    its bias.
    """
    codes = torch.from_numpy(block.codes)
    forward = _of_strand(model, model.window_terms(codes), block, windows.step, mirrored=False)
    if not (model.reverse_complement or windows.both_strands):
        return forward, None, False
    complement = windows.alphabet.complement
    assert complement is not None
    opposite = torch.from_numpy(complement[block.codes[::-1]])
    # Place p of the opposite strand, read backwards, is the place whose window covers the same letters.
    backward = model.window_terms(opposite).flip(0)
    return forward, _of_strand(model, backward, block, windows.step, mirrored=True), windows.both_strands


def _of_strand(model: "ConvNet", rows: Tensor, block: _Block, step: int, *, mirrored: bool) -> Tensor:
    from seqreg.networks import sliding_loops as loops  # Numba loads slowly, and only here

    values = rows.contiguous().numpy()
    about = values, block.first, block.count, block.places, step
    total = int(block.count.sum())
    if model.pooling == "position":
        weight = model.head_layer.weight.unflatten(1, (-1, model.windows)).transpose(1, 2)  # H, T', C
        weight = (weight.flip(1) if mirrored else weight).contiguous().numpy()
        out = np.empty((total, len(weight)), dtype=values.dtype)
        loops.slide_dot(*about, weight, mirrored, out)
        return torch.from_numpy(out)
    out = np.empty((total, values.shape[1]), dtype=values.dtype)
    loops.slide_over(*about, model.pooling == "max", out)
    pooled = torch.from_numpy(out)
    if model.pooling == "max":
        return model.activate(pooled)
    return pooled / torch.from_numpy(np.repeat(block.places, block.count))[:, None].to(pooled.dtype)


def _finished(model: "ConvNet", forward: Tensor, backward: Tensor | None, own_rows: bool) -> Tensor:
    """Logits of the windows, or of both strands in turn."""
    strands = [forward] if backward is None else [forward, backward]
    if model.reverse_complement:
        joined = model.join_strands(torch.cat(strands), len(forward))
        strands = [joined, joined] if own_rows else [joined]
    layer = model.head_layer
    logits = []
    for pooled in strands:
        units = F.linear(pooled, layer.weight, layer.bias) if model.pooling == "max" else pooled + layer.bias
        logits.append(units if model.hidden is None else model.output(F.relu(units)))
    return torch.stack(logits, 1).flatten(0, 1)
