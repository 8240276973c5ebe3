"""How many edits, insertions and deletions included, a prediction withstands: below mean pooling, by counting windows.

An edit destroys at most R windows (an insertion R - 1) and leaves the others as they are, wherever they move to; mean
pooling does not ask where they are. With i insertions, d deletions and s substitutions, T' = T + i - d windows are
left, of which all but T' - T + r are old ones, r <= (R - 1) i + R (d + s) being destroyed. The margin is smallest if
those with the largest contribution go and the new ones contribute as little as any window of letters can:

    margin' >= (sum_t psi_t - sum of the r largest psi + (T' - T + r) psi_min) / T' + bias,    psi_t = w . h_t.

A hidden layer takes the same bounds filter by filter, and interval arithmetic from there. (Ours; for the bound by the
l2 norms of layers see Abad Rocamora et al., Certified Robustness Under Bounded Levenshtein Distance, 2025.)
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates.batch import CertifiedBatch, certified_parts, in_double
from seqreg.certificates.margins import head_interval, margins, stands
from seqreg.certificates.radius import TOLERANCE
from seqreg.networks import Part, SequenceNetwork


@torch.no_grad()
def edit_certificate(
    model: SequenceNetwork,
    ids: Tensor,
    y: Tensor,
    *,
    most: int,
    singles: list[Tensor] | None = None,
    batch_size: int = 64,
) -> Tensor:
    """(N,) int64 number of edits, up to `most`, that no prediction y of ids (N, L) can be changed with; -1 where wrong.

    singles: float64 logits (N, ..., K) of all single edits, of every kind that counts; they settle one edit exactly.
    Poolings other than the mean have no bound for more than one edit: their radius is 1 at most.
    """
    model = in_double(model)
    radii = []
    for rows in torch.arange(len(ids), device=ids.device).split(batch_size):
        batch = certified_parts(model, ids[rows], y[rows])
        _, offsets = stands(model, y[rows], batch.directions.shape[2])
        radius = torch.where((batch.margins + offsets).amin(1) > TOLERANCE, 0, -1)
        for m in range(1, most + 1):
            if m == 1 and singles is not None:
                each = [margins(scores[rows], y[rows], model).flatten(1).amin(1) for scores in singles]
                worst = torch.stack(each).amin(0)
            elif all(part.model.pooling == "mean" for part in batch.parts):
                worst = (batch.together(lambda part, m=m: edit_bound(part, m)) + offsets).amin(1)
            else:
                break
            radius = torch.where((radius == m - 1) & (worst > TOLERANCE), m, radius)
        radii.append(radius)
    return torch.cat(radii)


def edit_bound(batch: CertifiedBatch, m: int) -> Tensor:
    """(N, P) lower bounds of the margins after at most m edits, for a part below mean pooling.

    -inf where a sequence may lose its last full window, and where the part does not know the range of its windows.
    """
    model, reach = batch.model, batch.model.receptive_field
    assert model.pooling == "mean"
    known = _window_range(model)
    if known is None:
        return torch.full_like(batch.margins, -math.inf)
    low, high = known
    h = batch.activations()  # S, N, T, C
    if len(h) == 2:
        h = torch.stack([h[0], _mirrored(h[1], batch.counts)])
    h = h.mean(0)
    if model.hidden is None:
        w = batch.directions @ model.output.weight  # N, P, C
        value = torch.einsum("npc,ntc->npt", w, h)
        least = F.relu(w) @ low - F.relu(-w) @ high
        if model.one_filter_fires:  # or none
            least = w.amin(-1).clamp(max=0)
        fixed = batch.directions @ model.output.bias

        def bound(grow: int, destroyed: int) -> Tensor:
            return _smallest_mean(value, least[:, :, None], batch.counts, grow, destroyed) + fixed
    else:
        filters = h.transpose(1, 2)

        def bound(grow: int, destroyed: int) -> Tensor:
            bottom = _smallest_mean(filters, low[None, :, None], batch.counts, grow, destroyed)
            top = -_smallest_mean(-filters, -high[None, :, None], batch.counts, grow, destroyed)
            return head_interval(model, bottom, top, batch.directions)

    worst = batch.margins
    for insertions, deletions in itertools.product(range(m + 1), repeat=2):
        if insertions + deletions <= m:
            others = m - insertions
            worst = torch.minimum(worst, bound(insertions - deletions, (reach - 1) * insertions + reach * others))
    plain = (batch.ids < model.alphabet.size) | (batch.ids == model.alphabet.pad)
    possible = model.lengths(batch.ids) - m >= reach
    if model.range_of_letters:
        possible &= plain.all(1)
    return worst.masked_fill(~possible[:, None], -math.inf)


def _smallest_mean(value: Tensor, least: Tensor, counts: Tensor, grow: int, destroyed: int) -> Tensor:
    """(N, Q) smallest mean over T + grow windows of value (N, Q, T), `destroyed` of which may become `least`."""
    exists = torch.arange(value.shape[2], device=value.device) < counts[:, None, None]
    largest = value.masked_fill(~exists, -math.inf).sort(2, descending=True).values
    gone = torch.arange(value.shape[2], device=value.device) < destroyed
    kept = largest.masked_fill(gone | ~exists, 0).sum(2)
    new = grow + counts.clamp(max=destroyed)
    return (kept + new[:, None] * least[:, :, 0]) / (counts + grow)[:, None]


def _mirrored(h: Tensor, counts: Tensor) -> Tensor:
    """h (N, T, C) of the opposite strand's windows, in the order of the windows they lie opposite to."""
    window = torch.arange(h.shape[1], device=h.device)
    opposite = torch.where(window < counts[:, None], counts[:, None] - 1 - window, window)
    return h.gather(1, opposite[:, :, None].expand_as(h))


def _window_range(model: Part) -> tuple[Tensor, Tensor] | None:
    """low, high (C,): activations of the last layer over all windows of letters, by interval arithmetic."""
    known = model.first_range()
    if known is None:
        return None
    low, high = known
    for conv in model.deeper_convs():
        assert conv.bias is not None
        plus = F.relu(conv.weight).sum(2)
        minus = plus - conv.weight.sum(2)
        low, high = plus @ low - minus @ high + conv.bias, plus @ high - minus @ low + conv.bias
        low, high = model.activate(low), model.activate(high)
    return low, high
