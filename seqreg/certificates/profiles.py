"""What one substitution can do to the last layer of a network: by how much its window scores fall and rise.

Replacing letter a by b at position i changes the first layer's score of the window that starts at i - j by
`W[c, b, j] - W[c, a, j]`, whatever the other letters are. Activations are monotone with slopes in [0, 1], so a score's
fall (rise) bounds the fall (rise) of its activation, and the next layer's score of filter d falls by at most
`sum_c,j W+[d, c, j] fall[c] + W-[d, c, j] rise[c]`. The result, a profile over the offset o = i - t of the position in
the receptive field of window t, holds for every sequence, and profiles of several substitutions add up: change the
sequence one letter after the other.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.networks import Part, Profile


def substitution_profiles(model: Part, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
    """Profiles of the substitutions of symbol old (B,) by symbol new (B,); differentiable in the weights.

    opposite: as seen from the opposite strand, where old and new become their complements.
    """
    return _through_convs(model, model.first_profile(old, new, opposite))


def _through_convs(model: Part, profile: Profile) -> Profile:
    drop, up = profile
    for conv in model.deeper_convs():
        plus, minus = F.relu(conv.weight).transpose(0, 1), F.relu(-conv.weight).transpose(0, 1)
        drop, up = (
            F.conv_transpose1d(drop, plus) + F.conv_transpose1d(up, minus),
            F.conv_transpose1d(up, plus) + F.conv_transpose1d(drop, minus),
        )
    return Profile(drop, up)


class Sites(NamedTuple):
    """The kinds of place in a batch: a symbol together with the letters it may be replaced by.

    kind (N, L): which of them each position is. drop, up (strands, S, R, C, A): profiles of replacing the symbol of
    kind s by each letter, zero where that is not allowed. may (S, A): what is allowed; a letter itself is not.
    moved (strands, S): most that one substitution moves the first layer's output in l2.
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
        first = model.first_profile(old, new, opposite)
        change = torch.linalg.vector_norm(torch.maximum(first.drop, first.up), dim=(1, 2))
        moved.append((change.unflatten(0, may.shape) * may).amax(1))
        for kept, values in zip((drops, ups), _through_convs(model, first), strict=True):
            by_kind = values.unflatten(0, (len(symbol), letters)) * may[:, :, None, None]
            kept.append(by_kind.permute(0, 3, 2, 1).contiguous())  # S, R, C, A
    return Sites(kind, torch.stack(drops), torch.stack(ups), may, torch.stack(moved))
