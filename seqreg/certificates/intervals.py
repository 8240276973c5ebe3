"""Interval bounds: between which values every pooled feature stays while any m letters are substituted."""

import torch
from torch import Tensor

from seqreg.certificates.batch import CertifiedBatch
from seqreg.certificates.influence import largest_sums
from seqreg.certificates.margins import head_interval


def interval_bound(batch: CertifiedBatch, m: int) -> Tensor:
    """(N, P) lower bounds of the margins after at most m substitutions, by interval arithmetic through the head."""
    return head_interval(batch.model, *feature_interval(batch, m), batch.directions)


def feature_interval(batch: CertifiedBatch, m: int) -> tuple[Tensor, Tensor]:
    """low, high (N, F): a window's score falls (rises) by at most the m largest of its positions' profiles.

    Exact for one window of one layer; taken for all windows at once, though the same m letters cannot serve them all.
    The score of a part that does not tell windows apart falls (rises) by those of any positions.
    """
    lows, highs = [], []
    for strand in range(len(batch.scores)):
        outside = batch.scores[strand] == -torch.inf
        scores = batch.scores[strand].masked_fill(outside, 0)
        kind = _kinds_along(batch, strand)
        for kept, profiles, sign in ((lows, batch.sites.drop, -1), (highs, batch.sites.up, 1)):
            gain = profiles[strand].amax(-1)  # kinds, R, C
            if batch.model.window_by_window:
                moved = _largest_in_window(gain, kind, m)
            else:
                moved = largest_sums(gain.amax(1)[kind].transpose(1, 2), m)[:, None]
            h = batch.model.activate(scores + sign * moved)
            kept.append(batch.model.pool(h.transpose(1, 2), batch.counts))
    if batch.model.pooling == "max":
        return torch.stack(lows).amax(0), torch.stack(highs).amax(0)
    return torch.stack(lows).mean(0), torch.stack(highs).mean(0)


def _kinds_along(batch: CertifiedBatch, strand: int) -> Tensor:
    """(N, L) kind of site at each position of a strand."""
    place = batch.place[strand]  # mirroring twice gives the position back
    return torch.where(place >= 0, batch.sites.kind.gather(1, place.clamp(min=0)), batch.sites.kind)


def _largest_in_window(gain: Tensor, kind: Tensor, m: int) -> Tensor:
    """(N, T, C) sum of the m largest of `gain[kind[t + o], o]`, gain (S, R, C) >= 0, over the R offsets o."""
    reach = gain.shape[1]
    windows = kind.shape[1] - reach + 1
    largest: list[Tensor] = []
    for offset in range(reach):
        value = gain[:, offset][kind[:, offset : offset + windows]]
        for rank, held in enumerate(largest):  # insertion into a sorted list, for all windows and filters at once
            largest[rank], value = torch.maximum(held, value), torch.minimum(held, value)
        if len(largest) < m:
            largest.append(value)
    return torch.stack(largest).sum(0)
