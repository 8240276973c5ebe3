"""The Hamming radius: how many letters may be substituted, in any places, before the prediction can change."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqreg.certificates.batch import CertifiedParts, certified_parts, in_double
from seqreg.certificates.context import influences_here
from seqreg.certificates.euclidean import euclidean_bound, layerwise_bound, margin_lipschitz
from seqreg.certificates.influence import influences, largest_sums
from seqreg.certificates.intervals import interval_bound
from seqreg.certificates.margins import stands
from seqreg.certificates.tail import single_and_tail_bound, worst_singles
from seqreg.networks import SequenceNetwork, parts_of

TOLERANCE = 1e-6
"""A margin counts as positive only above this: far more than float64 rounding, far less than any margin of interest."""


@dataclass(frozen=True, kw_only=True)
class HammingCertificate:
    """What is proved for each sequence.

    margin (N,) float64: smallest margin of the unchanged sequence. radius (N,) int64: for every way to substitute at
    most that many letters the prediction stays y; -1 where it is not y to begin with; never above the number asked
    about. proof: the bound that settled the last step of the radius, "" where there was none.
    """

    margin: Tensor
    radius: Tensor
    proof: tuple[str, ...]


@torch.no_grad()
def hamming_certificate(
    model: SequenceNetwork,
    ids: Tensor,
    y: Tensor,
    *,
    most: int,
    allowed: Tensor | None = None,
    singles: Tensor | None = None,
    ceiling: Tensor | None = None,
    batch_size: int = 32,  # no mutant: any is as good
) -> HammingCertificate:
    """Certificates of ids (N, L) with targets y, for up to `most` substitutions.

    allowed (N, L, A) bool: letters each position may turn into (all, where None). singles (N, L, A, K) float64: logits
    of all single mutants from the network in float64, which settle one substitution exactly and tighten the rest.
    ceiling (N,): no radius above this is asked for, say because an attack has shown that there is none.
    """
    model = in_double(model)
    shortest = int(model.lengths(ids).min()) if len(ids) else None
    directions, offsets = stands(model, y, parts_of(model)[0].outputs)
    norms = margin_lipschitz(model, directions, shortest)
    parts = [
        _certify(
            certified_parts(model, ids[rows], y[rows], None if allowed is None else allowed[rows]),
            None if singles is None else singles[rows],
            torch.full((len(rows),), most, device=ids.device) if ceiling is None else ceiling[rows].clamp(max=most),
            norms[rows],
            offsets[rows],
        )
        for rows in torch.arange(len(ids), device=ids.device).split(batch_size)
    ]
    return HammingCertificate(
        margin=torch.cat([part.margin for part in parts]),
        radius=torch.cat([part.radius for part in parts]),
        proof=tuple(name for part in parts for name in part.proof),
    )


def _certify(
    batch: CertifiedParts, scores: Tensor | None, ceiling: Tensor, norms: Tensor, offsets: Tensor
) -> HammingCertificate:
    """Certificates of a batch; scores, ceiling as above, norms (n, P) from `margin_lipschitz`, offsets (n, P)."""
    margin = (batch.margins + offsets).amin(1)
    radius = torch.where(margin > TOLERANCE, 0, -1)
    proof = [""] * len(margin)
    anywhere = batch.added(influences)
    singles = None if scores is None else worst_singles(batch.parts[0], scores)
    for m in range(1, int(ceiling.max()) + 1):
        rows = torch.nonzero((radius == m - 1) & (ceiling >= m)).squeeze(1)
        here = None if singles is None else singles[rows]
        bounds = margin_bounds(batch.rows(rows), anywhere[rows], here, norms[rows], m)
        # no mutant: from anything up to TOLERANCE, which proves nothing
        best = batch.margins.new_full((len(rows), batch.margins.shape[1]), -torch.inf)
        for name, bound in bounds:
            open_ = torch.nonzero(best.amin(1) <= TOLERANCE).squeeze(1)
            if not len(open_):
                break
            best[open_] = torch.maximum(best[open_], bound(open_) + offsets[rows[open_]])
            for settled in open_[best[open_].amin(1) > TOLERANCE].tolist():
                radius[rows[settled]] = m
                proof[int(rows[settled])] = name
    return HammingCertificate(margin=margin, radius=radius, proof=tuple(proof))


def margin_bounds(
    batch: CertifiedParts, anywhere: Tensor, singles: Tensor | None, norms: Tensor, m: int
) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """Lower bounds (n, P) of the margins of chosen rows, by name, cheapest first. What is exact stands alone."""
    bounds: list[tuple[str, Callable[[Tensor], Tensor]]] = []
    if singles is not None:
        bounds.append(
            (
                "worst single" if m == 1 else "worst single and influences",
                lambda rows: single_and_tail_bound(batch.margins[rows], singles[rows], anywhere[rows], m),
            )
        )
        if m == 1:
            return bounds
    else:
        bounds.append(("influences", lambda rows: batch.margins[rows] - largest_sums(anywhere[rows], m)))
    bounds.append(("l2", lambda rows: euclidean_bound(batch.margins[rows], norms[rows], m)))
    if any(part.model.deeper_convs() for part in batch.parts):
        bounds.append(
            ("first layer and l2", lambda rows: batch.rows(rows).together(lambda part: layerwise_bound(part, m)))
        )
    bounds.append(("intervals", lambda rows: batch.rows(rows).together(lambda part: interval_bound(part, m))))
    bounds.append(
        (
            "influences here",
            lambda rows: (
                batch.margins[rows] - largest_sums(batch.rows(rows).added(lambda part: influences_here(part, m)), m)
            ),
        )
    )
    return bounds
