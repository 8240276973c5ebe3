"""What one substitution can do to the last layer of a network: by how much its window scores fall and rise.

Replacing letter a by b at position i changes the first layer's score of the window that starts at i - j by
`W[c, b, j] - W[c, a, j]`, whatever the other letters are. Activations are monotone with slopes in [0, 1], so a score's
fall (rise) bounds the fall (rise) of its activation, and the next layer's score of filter d falls by at most
`sum_c,j W+[d, c, j] fall[c] + W-[d, c, j] rise[c]`. The result, a profile over the offset o = i - t of the position in
the receptive field of window t, holds for every sequence, and profiles of several substitutions add up: change the
sequence one letter after the other.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.networks import AlignmentNet, ConvNet, Part, SmoothConvNet
from seqreg.networks.lookup import symbol_table


class Profile(NamedTuple):
    """drop, up (B, C, R) >= 0: most that the score at window t of filter c falls or rises, offset o = i - t."""

    drop: Tensor
    up: Tensor


def substitution_profiles(model: Part, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
    """Profiles of the substitutions of symbol old (B,) by symbol new (B,); differentiable in the weights.

    opposite: as seen from the opposite strand, where old and new become their complements.
    """
    if isinstance(model, AlignmentNet):
        return _alignment_profiles(model, old, new)
    change = _first_changes(model, old, new, opposite)
    if type(model) is SmoothConvNet:
        return _smooth_profiles(model, change, old, new)
    drop, up = F.relu(-change), F.relu(change)
    for conv in list(model.convs)[1:]:
        weight: Tensor = conv.weight  # pyright: ignore[reportAssignmentType]
        plus, minus = F.relu(weight).transpose(0, 1), F.relu(-weight).transpose(0, 1)
        drop, up = (
            F.conv_transpose1d(drop, plus) + F.conv_transpose1d(up, minus),
            F.conv_transpose1d(up, plus) + F.conv_transpose1d(drop, minus),
        )
    return Profile(drop, up)


def _first_changes(model: ConvNet, old: Tensor, new: Tensor, opposite: bool) -> Tensor:
    """(B, C, W) change of the first convolution's output at each tap."""
    if opposite:
        old, new = model.complement[old], model.complement[new]
    table = symbol_table(model.first_kernel(), model.mixtures)
    return (table[:, new] - table[:, old]).permute(1, 2, 0)


def _smooth_profiles(model: SmoothConvNet, change: Tensor, old: Tensor, new: Tensor) -> Profile:
    """Profiles of the activations of smooth-cnn, `r sigma(z / (r sqrt(W)))` at a window of norm r, slope 1 / sqrt(W).

    Where a mixture becomes a letter, r grows too, by at most the root of what its square gains; the derivative in r,
    `sigma(u) - u sigma'(u) = s phi(u / s)`, lies between 0 and s / sqrt(2 pi), so this is a rise.
    """
    scale = model.receptive_field**-0.5
    squares = model.mixtures.square().sum(1)
    growth = (squares[new] - squares[old]).clamp(min=0).sqrt() * scale * model.smoothing / math.sqrt(2 * math.pi)
    return Profile(F.relu(-change) * scale, F.relu(change) * scale + growth[:, None, None])


def _alignment_profiles(model: AlignmentNet, old: Tensor, new: Tensor) -> Profile:
    """Profiles of alignment scores, over the one offset there is.

    Every alignment matches the position with one symbol v of the reference, and its score changes by
    `s(new, v) - s(old, v)`, or leaves it out, and the score stays; a logarithm of a sum of exponentials moves by no
    more than the least and the most that its exponents do.
    """
    change = model.similarity[new, : model.alphabet.pad] - model.similarity[old, : model.alphabet.pad]  # B, v
    shape = (len(old), len(model.references), 1)
    drop, up = F.relu(-change.amin(1)), F.relu(change.amax(1))
    return Profile(drop[:, None, None].expand(shape), up[:, None, None].expand(shape))


def _moved(model: Part, old: Tensor, new: Tensor, opposite: bool) -> Tensor:
    """(B,) most that one substitution moves the first layer's output in l2; the largest score, of alignments."""
    if isinstance(model, AlignmentNet):
        profile = _alignment_profiles(model, old, new)
        return torch.maximum(profile.drop, profile.up).amax((1, 2))
    return torch.linalg.vector_norm(_first_changes(model, old, new, opposite), dim=(1, 2))


class Sites(NamedTuple):
    """The kinds of place in a batch: a symbol together with the letters it may be replaced by.

    kind (N, L): which of them each position is. drop, up (strands, S, R, C, A): profiles of replacing the symbol of
    kind s by each letter, zero where that is not allowed. may (S, A): what is allowed; a letter itself is not.
    moved (strands, S): most that one substitution moves the first layer's output in l2, or any alignment score.
    """

    kind: Tensor
    drop: Tensor
    up: Tensor
    may: Tensor
    moved: Tensor


def sites(model: Part, ids: Tensor, allowed: Tensor | None = None) -> Sites:
    """The kinds of place in ids (N, L), where letter a may come at position i if allowed[n, i, a] (N, L, A)."""
    letters = model.alphabet.size
    if allowed is None:
        kinds, kind = torch.arange(len(model.alphabet.symbols), device=ids.device), ids.long()
    else:
        packed = (allowed.long() << torch.arange(letters, device=ids.device)).sum(-1)
        kinds, kind = torch.unique((packed << 8) + ids.long(), return_inverse=True)
    symbol = kinds & 255
    letter = torch.arange(letters, device=ids.device)
    may = (symbol[:, None] != letter) & (symbol != model.alphabet.pad)[:, None]
    if allowed is not None:
        may &= ((kinds >> 8)[:, None] >> letter & 1).bool()
    drops, ups, moved = [], [], []
    old, new = symbol.repeat_interleave(letters), letter.repeat(len(symbol))
    for opposite in (False, True)[: 1 + model.reverse_complement]:
        change = _moved(model, old, new, opposite)
        moved.append((change.unflatten(0, may.shape) * may).amax(1))
        profile = substitution_profiles(model, old, new, opposite)
        for kept, values in zip((drops, ups), profile, strict=True):
            by_kind = values.unflatten(0, (len(symbol), letters)) * may[:, :, None, None]
            kept.append(by_kind.permute(0, 3, 2, 1).contiguous())  # S, R, C, A
    return Sites(kind, torch.stack(drops), torch.stack(ups), may, torch.stack(moved))
