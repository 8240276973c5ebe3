"""Influences on one sequence, which knows where it stands: tighter than those for any sequence, for m at a time.

Three facts narrow what a substitution can do. A maximum falls by no more than the window that attains it does, so only
positions inside that window can lower it. A window rises above the maximum only by making up its distance s below it
first, and if at most m letters change, then `(sum_i d_i - s)+ <= sum_i (d_i - s / m)+`, so each letter may be charged
a share of the distance; the same holds for the distance below zero under a ReLU. And no feature leaves the interval in
which m substitutions keep it, so no share of a fall or rise need exceed what is left to its end.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates.batch import CertifiedBatch
from seqreg.certificates.influence import content_influences, influences, site_influences
from seqreg.certificates.intervals import feature_interval
from seqreg.certificates.margins import head_sensitivity

_ELEMENTS = 1 << 21


def influences_here(batch: CertifiedBatch, m: int) -> Tensor:
    """I (N, P, L): the m largest sum to a bound of what at most m substitutions of these sequences cost margin p."""
    known = content_influences(batch, m - 1)
    known = site_influences(batch, m - 1) if known is None else known
    if known is not None:
        return known
    if not batch.model.window_by_window:
        return influences(batch)
    fall, rise = head_sensitivity(batch.model, batch.directions, batch.active)
    row, position = torch.nonzero(batch.sites.may.any(1)[batch.sites.kind], as_tuple=True)
    result = batch.margins.new_zeros(*batch.margins.shape, batch.ids.shape[1])
    charge = (_BelowMaximum if batch.model.pooling == "max" else _BelowSum)(batch, fall, rise, m)
    for chunk in torch.arange(len(row), device=row.device).split(max(1, _ELEMENTS // charge.size)):
        n, i = row[chunk], position[chunk]
        result[n, :, i] = charge(n, i).amax(-1)
    return result


class _BelowMaximum:
    """Cost (M, P, A) of substituting position i (M,) of sequence n (M,) by each letter, below max pooling."""

    def __init__(self, batch: CertifiedBatch, fall: Tensor, rise: Tensor, m: int) -> None:
        self.batch, self.fall, self.rise = batch, fall, rise
        windows, channels = batch.scores.shape[2:]
        self.size = channels * 8
        best, arg = batch.scores.transpose(0, 1).flatten(1, 2).max(1)  # N, C
        self.strand, self.window = arg // windows, arg % windows
        low, high = feature_interval(batch, m)
        now = batch.model.activate(best)
        self.most_drop, self.most_up = now - low, high - now
        if batch.model.activation_name == "relu":
            best = best.clamp(min=0)
        share = (best[:, None] - batch.scores) / m
        reach = batch.sites.drop.shape[2]
        self.share = F.pad(share, (0, 0, reach - 1, reach - 1), value=torch.inf)  # window t at t + R - 1
        self.most_gain = batch.sites.up.amax(-1)  # S, kinds, R, C
        self.rises = rise.amax(1) > 0  # N, C

    def __call__(self, n: Tensor, i: Tensor) -> Tensor:
        letters = self.batch.sites.drop.shape[4]
        cost = self.fall.new_zeros(len(n), self.fall.shape[1], letters)
        for weight, (site, channel, amount) in ((self.fall, self._drops(n, i)), (self.rise, self._ups(n, i))):
            cost.index_add_(0, site, weight[n[site], :, channel][:, :, None] * amount[:, None])
        return cost

    def _drops(self, n: Tensor, i: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        drop = self.batch.sites.drop
        channel = torch.arange(drop.shape[3], device=n.device)
        offset = self.batch.place[self.strand[n], n[:, None], i[:, None]] - self.window[n]  # M, C
        hit = (offset >= 0) & (offset < drop.shape[2]) & (self.most_drop[n] > 0)
        site, channel = torch.nonzero(hit, as_tuple=True)
        at = n[site]
        kind = self.batch.sites.kind[at, i[site]]
        amount = drop[self.strand[at, channel], kind, offset[site, channel], channel]
        return site, channel, torch.minimum(amount, self.most_drop[at, channel, None])

    def _ups(self, n: Tensor, i: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        strands, _, reach, channels, letters = self.batch.sites.up.shape
        kind = self.batch.sites.kind[n, i]
        last = self.batch.place[:, n, i] + reach - 1  # padded index of the window with offset 0
        taps = [(strand, offset) for strand in range(strands) for offset in range(reach)]
        highest = self.share.new_zeros(len(n), channels)
        for strand, offset in taps:
            gain = self.most_gain[strand, :, offset][kind] - self.share[strand, n, last[strand] - offset]
            torch.maximum(highest, gain, out=highest)
        site, channel = torch.nonzero((highest > 0) & self.rises[n] & (self.most_up[n] > 0), as_tuple=True)
        amount = self.share.new_zeros(len(site), letters)
        row, kind = n[site], kind[site]
        for strand, offset in taps:
            share = self.share[strand, row, last[strand, site] - offset, channel]
            gain = self.batch.sites.up[strand, kind, offset, channel] - share[:, None]
            torch.maximum(amount, gain, out=amount)
        return site, channel, torch.minimum(amount, self.most_up[row, channel, None])


class _BelowSum:
    """Cost (M, P, A) of substituting position i (M,) of sequence n (M,) by each letter, below the linear poolings."""

    def __init__(self, batch: CertifiedBatch, fall: Tensor, rise: Tensor, m: int) -> None:
        self.batch = batch
        reach, channels, letters = batch.sites.drop.shape[2:]
        self.size = reach * channels * letters
        self.fall, self.rise = (batch.per_window(weight, batch.counts) for weight in (fall, rise))
        self.linear = batch.model.linear
        margin = (0, 0, reach - 1, reach - 1)  # window t at t + R - 1
        relu = batch.model.activation_name == "relu"
        self.share = F.pad(F.relu(-batch.scores) / m, margin) if relu else None
        self.left = None if batch.model.activation_name == "identity" else F.pad(batch.activations(), margin)

    def __call__(self, n: Tensor, i: Tensor) -> Tensor:
        sites = self.batch.sites
        kind = sites.kind[n, i]
        offset = torch.arange(sites.drop.shape[2], device=n.device)
        cost = torch.zeros((), dtype=self.fall.dtype, device=n.device)
        for strand, place in enumerate(self.batch.place):
            window = place[n, i][:, None] - offset  # M, R
            exists = (window >= 0) & (window < self.batch.counts[n, None])
            padded = window + len(offset) - 1
            drop, up = sites.drop[strand][kind], sites.up[strand][kind]  # M, R, C, A
            if self.left is not None:  # an activation that cannot fall below zero
                drop = torch.minimum(drop, self.left[strand, n[:, None], padded][..., None])
            if self.share is not None:
                up = F.relu(up - self.share[strand, n[:, None], padded][..., None])
            at = window.clamp(0, self.fall.shape[2] - 1)
            charges = ((self.fall - self.rise, drop - up),) if self.linear else ((self.fall, drop), (self.rise, up))
            for weight, amount in charges:
                here = weight[n[:, None], :, at] * exists[:, :, None, None]  # M, R, P, C
                cost = cost + here.transpose(1, 2).flatten(2) @ amount.flatten(1, 2)
        return cost
