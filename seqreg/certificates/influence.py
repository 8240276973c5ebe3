"""Influences: how much one substitution at a position can cost a margin, and what they prove for m of them.

If the margin falls by at most I_i whenever position i is substituted, whatever has been substituted elsewhere, then m
substitutions cost at most the sum of the m largest I (change the letters one after the other). Influences are not
effects of single mutants: those depend on the other letters, and adding them up proves nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates.batch import EditableBatch
from seqreg.certificates.margins import head_sensitivity
from seqreg.certificates.profiles import substitution_profiles
from seqreg.networks import ConvNet


def largest_sums(influence: Tensor, m: int) -> Tensor:
    """(...,) sum of the m largest of influences (..., L)."""
    return influence.topk(min(m, influence.shape[-1]), dim=-1).values.sum(-1)


def influences(batch: EditableBatch, borders: bool = True) -> Tensor:
    """I (N, P, L): most that substituting position i costs margin p, in any sequence with this letter at i.

    One maximum over the substitute b of `sum_c alpha_c max_o drop[c, o] + beta_c max_o up[c, o]`, offsets o of the
    position in windows that exist, for max pooling; sums over o weighted as the windows are for mean and position.
    Strands change together: per filter the larger of both below a maximum, their mean below the linear poolings.
    borders: whether to heed that positions near a border lie in fewer windows, below a maximum; without, the bound is
    as true, looser there, and quicker to compute. Differentiable in the weights.
    """
    shape = batch.directions.shape
    directions, which = torch.unique(batch.directions.flatten(0, 1), dim=0, return_inverse=True)
    fall, rise = head_sensitivity(batch.model, directions)
    which = which.view(shape[:2])
    if batch.model.pooling == "max":
        return _below_maximum(batch, fall, rise, which, borders)
    return _below_sum(batch, fall, rise, which)


def _below_maximum(batch: EditableBatch, fall: Tensor, rise: Tensor, which: Tensor, heed_borders: bool) -> Tensor:
    """Positions see the same offsets except near the borders: one table per range of offsets and kind of site."""
    reach = batch.sites.drop.shape[2]
    if heed_borders:
        low = (batch.place - batch.counts[:, None] + 1).clamp(0, reach)  # S, N, L
        high = (batch.place + 1).clamp(0, reach)
        digits = (reach + 1) ** torch.arange(2 * len(low), device=low.device)
        codes, border = torch.unique((torch.cat([low, high]) * digits[:, None, None]).sum(0), return_inverse=True)
        borders = codes[:, None] // digits % (reach + 1)
    else:
        borders = torch.tensor([[0] * len(batch.place) + [reach] * len(batch.place)])
        border = torch.zeros_like(batch.ids, dtype=torch.long)
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


def _below_sum(batch: EditableBatch, fall: Tensor, rise: Tensor, which: Tensor) -> Tensor:
    fall, rise = batch.per_window(fall), batch.per_window(rise)  # D, T or 1, C
    windows = fall.shape[1]
    index = batch.sites.kind
    total = fall.new_zeros(*which.shape, index.shape[1], batch.sites.drop.shape[4])  # N, P, L, A
    for place, drop, up in zip(batch.place, batch.sites.drop, batch.sites.up, strict=True):
        for offset in range(drop.shape[1]):
            cost = torch.einsum("dtc,sca->dtsa", fall, drop[:, offset])
            cost += torch.einsum("dtc,sca->dtsa", rise, up[:, offset])
            window = place - offset
            exists = (window >= 0) & (window < batch.counts[:, None])
            at = window.clamp(0, windows - 1)
            total += cost[which[:, :, None], at[:, None], index[:, None]] * exists[:, None, :, None]
    if batch.model.pooling == "mean":
        total = total / batch.counts[:, None, None, None]
    return total.amax(-1)


def hamming_lipschitz(model: ConvNet, directions: Tensor | None = None, windows: int | Tensor | None = None) -> Tensor:
    """D (Q,): `|u . f(x') - u . f(x)| <= m D` for all x, x' that differ in m letters; differentiable in the weights.

    directions u (Q, K): by default the logit for K = 1, all differences f_j - f_k, j < k, otherwise. windows: T of the
    shortest sequence, by which mean pooling divides; by default that of the longest training sequence.
    One layer below a maximum: `D = max_ab sum_c |w_c| max_j |W[c, b, j] - W[c, a, j]|` or less, signs being kept apart.
    """
    outputs = model.output.out_features
    weight = model.output.weight
    if directions is None:
        unit = torch.eye(outputs, dtype=weight.dtype, device=weight.device)
        first, second = torch.triu_indices(outputs, outputs, 1, device=weight.device)
        directions = unit if outputs == 1 else unit[first] - unit[second]
    fall, rise = head_sensitivity(model, directions)
    old, new = torch.triu_indices(model.alphabet.size, model.alphabet.size, 1, device=weight.device)
    strands = [
        substitution_profiles(model, old, new, opposite=opposite)
        for opposite in (False, True)[: 1 + model.reverse_complement]
    ]
    if model.pooling == "max":
        drop = torch.stack([profile.drop.amax(2) for profile in strands]).amax(0)
        up = torch.stack([profile.up.amax(2) for profile in strands]).amax(0)
        there, back = drop @ fall.t() + up @ rise.t(), up @ fall.t() + drop @ rise.t()
    elif model.pooling == "mean":
        drop = torch.stack([profile.drop.sum(2) for profile in strands]).mean(0)
        up = torch.stack([profile.up.sum(2) for profile in strands]).mean(0)
        there, back = drop @ fall.t() + up @ rise.t(), up @ fall.t() + drop @ rise.t()
        there, back = (cost / (model.windows if windows is None else windows) for cost in (there, back))
    else:
        there = _over_positions(model, fall, rise, [(profile.drop, profile.up) for profile in strands])
        back = _over_positions(model, fall, rise, [(profile.up, profile.drop) for profile in strands])
    return torch.maximum(there, back).amax(0)


def _over_positions(model: ConvNet, fall: Tensor, rise: Tensor, strands: list[tuple[Tensor, Tensor]]) -> Tensor:
    """(B, Q) largest cost over positions i of `sum_o sum_c fall[i - o, c] drop[c, o] + rise[i - o, c] up[c, o]`."""
    shape = (len(fall), -1, model.windows)
    totals = [
        F.conv_transpose1d(fall.view(shape), drop.transpose(0, 1))
        + F.conv_transpose1d(rise.view(shape), up.transpose(0, 1))
        for drop, up in strands
    ]  # Q, B, positions
    total = totals[0] if len(totals) == 1 else (totals[0].amax(2) + totals[1].amax(2))[..., None] / 2
    return total.amax(2).t()
