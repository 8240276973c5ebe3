"""How far substitutions can move a predicted value: the bounds on margins, asked how much is lost rather than whether.

A value f has two margins, f and -f. Where a bound proves that the first is at least b after m substitutions, the value
falls by no more than f - b; the second says the same of a rise.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from seqreg.certificates.batch import certified_parts, in_double
from seqreg.certificates.euclidean import margin_lipschitz
from seqreg.certificates.influence import influences
from seqreg.certificates.levenshtein import edit_bound
from seqreg.certificates.radius import margin_bounds
from seqreg.certificates.tail import worst_singles
from seqreg.networks import SequenceNetwork, Value


@torch.no_grad()
def certified_shifts(
    model: SequenceNetwork,
    ids: Tensor,
    *,
    most: int,
    allowed: Tensor | None = None,
    singles: Tensor | None = None,
) -> Tensor:
    """(N, most + 1, 2) float64, in outputs: most that the value of ids (N, L) falls, and rises, with up to m edits.

    The edits are substitutions. allowed (N, L, A) bool, singles (N, L, A, 1): as for `hamming_certificate`.
    """
    model, y = _of_values(model, ids)
    batch = certified_parts(model, ids, y, allowed)
    norms = margin_lipschitz(model, batch.directions, int(model.lengths(ids).min()))
    anywhere = batch.added(influences)
    worst = None if singles is None else worst_singles(batch.parts[0], singles)
    rows = torch.arange(len(ids), device=ids.device)
    lost = [torch.zeros_like(batch.margins)]
    for m in range(1, most + 1):
        found = [bound(rows) for _, bound in margin_bounds(batch, anywhere, worst, norms, m)]
        lost.append(batch.margins - torch.stack(found).amax(0))
    return _never_less(torch.stack(lost, 1))


@torch.no_grad()
def certified_edit_shifts(model: SequenceNetwork, ids: Tensor, *, most: int, singles: list[Tensor]) -> Tensor:
    """(N, most + 1, 2) the same for edits of any kind; infinite where nothing is proved, as for more than one edit of a
    part that is not below mean pooling. singles (N, ..., 1): outputs of all single edits of the kinds that count.
    """
    model, y = _of_values(model, ids)
    batch = certified_parts(model, ids, y)
    lost = [torch.zeros_like(batch.margins)]
    for m in range(1, most + 1):
        if m == 1:
            ends = [(scores.flatten(1).amin(1), -scores.flatten(1).amax(1)) for scores in singles]
            least = torch.stack([torch.stack(each, 1) for each in ends]).amin(0)
        elif all(part.model.pooling == "mean" for part in batch.parts):
            least = batch.together(lambda part, m=m: edit_bound(part, m))
        else:
            least = torch.full_like(batch.margins, -math.inf)
        lost.append(batch.margins - least)
    return _never_less(torch.stack(lost, 1))


def _of_values(model: SequenceNetwork, ids: Tensor) -> tuple[SequenceNetwork, Tensor]:
    """The network in float64, and a y for the two directions, which do not depend on it."""
    model = in_double(model)
    own = model.objective if isinstance(model.objective, Value) else Value()
    return model.learns(replace(own, tolerance=0.0)), torch.zeros(len(ids), dtype=torch.float64, device=ids.device)


def _never_less(lost: Tensor) -> Tensor:
    """Bounds (N, M, 2) at 0 or above, each at most that for more edits, which holds for fewer too."""
    return lost.clamp(min=0).flip(1).cummin(1).values.flip(1)
