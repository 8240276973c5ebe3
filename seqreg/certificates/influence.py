"""Influences: how much one substitution at a position can cost a margin, and what they prove for m of them.

If the margin falls by at most I_i whenever position i is substituted, whatever has been substituted elsewhere, then m
substitutions cost at most the sum of the m largest I (change the letters one after the other). Influences are not
effects of single mutants: those depend on the other letters, and adding them up proves nothing.
"""

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates.batch import CertifiedBatch
from seqreg.certificates.margins import head_sensitivity
from seqreg.certificates.profiles import substitution_profiles
from seqreg.networks import Part, SequenceNetwork, added, parts_of


def largest_sums(influence: Tensor, m: int) -> Tensor:
    """(...,) sum of the m largest of influences (..., L)."""
    return influence.topk(min(m, influence.shape[-1]), dim=-1).values.sum(-1)


def influences(batch: CertifiedBatch) -> Tensor:
    """I (N, P, L): most that substituting position i costs margin p, in any sequence with this letter at i.

    One maximum over the substitute b of `sum_c alpha_c max_o drop[c, o] + beta_c max_o up[c, o]`, offsets o of the
    position in windows that exist, for max pooling; sums over o weighted as the windows are for mean and position.
    Strands change together: per filter the larger of both below a maximum, their mean below the linear poolings.
    """
    known = content_influences(batch, batch.model.receptive_field - 1)
    known = site_influences(batch, None) if known is None else known
    if known is not None:
        return known
    shape = batch.directions.shape
    directions, which = torch.unique(batch.directions.flatten(0, 1), dim=0, return_inverse=True)
    fall, rise = head_sensitivity(batch.model, directions)
    which = which.view(shape[:2])
    return (_below_maximum if batch.model.pooling == "max" else _below_sum)(batch, fall, rise, which)


def content_influences(batch: CertifiedBatch, others: int) -> Tensor | None:
    """I (N, P, L), of a part that knows `content_costs`, if `others` letters of any window have been replaced before.

    With receptive_field - 1 of them the bound holds for every sequence with this letter at i. Letters that may not come
    are not left out, but a position that may not change costs nothing.
    """
    model, shape = batch.model, batch.directions.shape
    distinct, which = torch.unique(batch.directions.flatten(0, 1), dim=0, return_inverse=True)
    costs = model.content_costs(distinct, others)  # D, R, V'
    if costs is None:
        return None
    which = which.view(shape[:2])
    total = costs.new_zeros(*shape[:2], batch.ids.shape[1])
    for place, ids in zip(batch.place, model.strands(batch.ids), strict=True):
        contents = model.contents(ids)
        for tap in range(costs.shape[1]):
            window = place - tap
            exists = (window >= 0) & (window < batch.counts[:, None])
            read = contents.gather(1, window.clamp(0, contents.shape[1] - 1))  # N, L
            total += costs[:, tap][which[:, :, None], read[:, None]] * exists[:, None]
    total = total / (batch.counts[:, None, None] * len(batch.place))
    return total * batch.sites.may.any(1)[batch.sites.kind][:, None]


def site_influences(batch: CertifiedBatch, others: int | None) -> Tensor | None:
    """I (N, P, L), of a part that knows `site_costs`, if `others` letters have been replaced before; None: any."""
    shape = batch.directions.shape
    distinct, which = torch.unique(batch.directions.flatten(0, 1), dim=0, return_inverse=True)
    costs = batch.model.site_costs(distinct, batch.ids, others)  # N, D, L, A
    if costs is None:
        return None
    allowed = batch.sites.may[batch.sites.kind][:, None]  # N, 1, L, A
    return costs.masked_fill(~allowed, 0).amax(3)[torch.arange(shape[0])[:, None], which.view(shape[:2])]


def _below_maximum(batch: CertifiedBatch, fall: Tensor, rise: Tensor, which: Tensor) -> Tensor:
    """Positions see the same offsets except near the borders: one table per range of offsets and kind of site."""
    reach = batch.sites.drop.shape[2]
    low = (batch.place - batch.counts[:, None] + 1).clamp(0, reach)  # S, N, L
    high = (batch.place + 1).clamp(0, reach)
    digits = (reach + 1) ** torch.arange(2 * len(low), device=low.device)
    codes, border = torch.unique((torch.cat([low, high]) * digits[:, None, None]).sum(0), return_inverse=True)
    borders = codes[:, None] // digits % (reach + 1)
    tables = []
    for ranges in borders.tolist():
        pairs = list(zip(ranges[: len(batch.place)], ranges[len(batch.place) :], strict=True))

        def largest(profiles: Tensor, pairs: list[tuple[int, int]] = pairs) -> Tensor:
            found = [profile[:, a:b].amax(1) for profile, (a, b) in zip(profiles, pairs, strict=True) if a < b]
            return torch.stack(found).amax(0) if found else torch.zeros_like(profiles[0, :, 0])

        cost = fall @ largest(batch.sites.drop) + rise @ largest(batch.sites.up)  # kinds, D, A
        tables.append(cost.amax(-1))
    table = torch.stack(tables)  # borders, kinds, D
    per_site = table[border, batch.sites.kind]  # N, L, D
    return per_site.gather(2, which[:, None].expand(-1, per_site.shape[1], -1)).transpose(1, 2)


def _below_sum(batch: CertifiedBatch, fall: Tensor, rise: Tensor, which: Tensor) -> Tensor:
    fall, rise = batch.per_window(fall), batch.per_window(rise)  # D, T or 1, C
    windows = fall.shape[1]
    index = batch.sites.kind
    total = fall.new_zeros(*which.shape, index.shape[1], batch.sites.drop.shape[4])  # N, P, L, A
    for place, drop, up in zip(batch.place, batch.sites.drop, batch.sites.up, strict=True):
        for offset in range(drop.shape[1]):
            if batch.model.linear:  # what falls and what rises make up for each other
                cost = torch.einsum("dtc,sca->dtsa", fall - rise, drop[:, offset] - up[:, offset])
            else:
                cost = torch.einsum("dtc,sca->dtsa", fall, drop[:, offset])
                cost += torch.einsum("dtc,sca->dtsa", rise, up[:, offset])
            window = place - offset
            exists = (window >= 0) & (window < batch.counts[:, None])
            at = window.clamp(0, windows - 1)
            total += cost[which[:, :, None], at[:, None], index[:, None]] * exists[:, None, :, None]
    if batch.model.pooling == "mean":
        total = total / batch.counts[:, None, None, None]
    return total.amax(-1)


def symbol_influences(model: Part, directions: Tensor) -> Tensor:
    """I (Q, V), or (Q, V, L + 1) below position pooling: most that replacing symbol v (at i) costs the margin u . f.

    L: positions that windows see on one strand; the last entry is for all later ones, which the other strand may see.
    Wherever the position lies and whatever the other letters are; below mean pooling divide by the number of windows.
    directions u (Q, K). Looser than `influences` near borders, quick, and differentiable in the weights.
    """
    model.demand("bounds")
    symbols, letters = len(model.alphabet.symbols), model.alphabet.size
    old = torch.arange(symbols, device=directions.device).repeat_interleave(letters)
    new = torch.arange(letters, device=directions.device).repeat(symbols)
    there, _ = _costs(model, directions, old, new)
    cost = there.unflatten(0, (symbols, letters)).amax(1).clamp(min=0).transpose(0, 1)  # Q, V, ...
    known = torch.arange(symbols, device=cost.device) != model.alphabet.pad
    return cost * known.view(-1, *[1] * (cost.dim() - 2))


def hamming_lipschitz(
    model: SequenceNetwork, directions: Tensor | None = None, windows: int | Tensor | None = None
) -> Tensor:
    """D (Q,): `|u . f(x') - u . f(x)| <= m D` for all x, x' that differ in m letters; differentiable in the weights.

    Sequences are of plain letters: where an ambiguous one becomes a letter, smooth-cnn and spectra may move by more.
    directions u (Q, K): by default the logit for K = 1, all differences f_j - f_k, j < k, otherwise. windows: T of the
    shortest sequence, by which mean pooling divides; by default that of the longest training sequence.
    One layer below a maximum: `D = max_ab sum_c |w_c| max_j |W[c, b, j] - W[c, a, j]|` or less, signs being kept apart.
    A sum of networks: the sum over its parts, the T given being that of every part.
    """
    parts = parts_of(model)
    if directions is None:
        outputs, weight = parts[0].outputs, parts[0].output.weight
        unit = torch.eye(outputs, dtype=weight.dtype, device=weight.device)
        first, second = torch.triu_indices(outputs, outputs, 1, device=weight.device)
        directions = unit if outputs == 1 else unit[first] - unit[second]
    return added(_constant(part, directions, windows) for part in parts)


def _constant(model: Part, directions: Tensor, windows: int | Tensor | None) -> Tensor:
    """D (Q,) of a part."""
    model.demand("bounds")
    old, new = torch.triu_indices(model.alphabet.size, model.alphabet.size, 1, device=directions.device)
    worst = torch.maximum(*_costs(model, directions, old, new))
    if model.pooling == "position":
        worst = worst.amax(2)
    if model.pooling == "mean":
        worst = worst / (model.windows if windows is None else windows)
    return worst.amax(0)


def _costs(model: Part, directions: Tensor, old: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """(B, Q) or (B, Q, L + 1): most that replacing old (B,) by new (B,), and new by old, costs margins u (Q, K)."""
    known = [model.symbol_costs(sign * directions, old, new) for sign in (1, -1)]
    there, back = known
    if there is not None and back is not None:
        return there, back
    fall, rise = head_sensitivity(model, directions)
    linear = model.linear and model.receptive_field == 1  # wider filters lose a part of their sum at the borders
    strands = [
        substitution_profiles(model, old, new, opposite=opposite)
        for opposite in (False, True)[: 1 + model.reverse_complement]
    ]
    if model.pooling == "position":
        shape = (len(fall), -1, model.windows)
        fall, rise = fall.reshape(shape), rise.reshape(shape)  # Q, C, T

        def over_windows(drop: Tensor, up: Tensor) -> Tensor:
            if linear:
                return F.conv_transpose1d(fall - rise, (drop - up).transpose(0, 1)).transpose(0, 1)
            cost = F.conv_transpose1d(fall, drop.transpose(0, 1)) + F.conv_transpose1d(rise, up.transpose(0, 1))
            return cost.transpose(0, 1)

        # The last entry is any later position, whose letters no window of the strand sees.
        there = [F.pad(over_windows(profile.drop, profile.up), (0, 1)) for profile in strands]
        back = [F.pad(over_windows(profile.up, profile.drop), (0, 1)) for profile in strands]
        if len(strands) == 1:
            return there[0], back[0]
        # Where a position lies on the opposite strand depends on the length: take the worst place there, or none.
        ahead, behind = ((one + other.amax(2, keepdim=True)) / 2 for one, other in (there, back))
        return ahead, behind
    if linear:
        net = reduce(model.join, [(profile.drop - profile.up).sum(2) for profile in strands]) @ (fall - rise).t()
        return net, -net
    over_taps = torch.amax if model.pooling == "max" else torch.sum
    drop = reduce(model.join, [over_taps(profile.drop, 2) for profile in strands])
    up = reduce(model.join, [over_taps(profile.up, 2) for profile in strands])
    return drop @ fall.t() + up @ rise.t(), up @ fall.t() + drop @ rise.t()
