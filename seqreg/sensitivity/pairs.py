"""Two substitutions, settled by trying those that bounds leave open.

Of two substituted positions one has the larger influence. Substituted first, it leaves an exact margin, from which the
other takes no more than the largest influence after it. Only first substitutions that might not survive that are tried
with every second one, exactly; with most sequences these are few.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates import TOLERANCE, certified_parts, influences, stands
from seqreg.mutagenesis import substitution_scores
from seqreg.networks import SequenceNetwork

AT_ONCE = 32  # no mutant: any number


@torch.no_grad()
def all_pairs_stand(
    model: SequenceNetwork, ids: Tensor, y: Tensor, letters: Tensor, singles: Tensor, *, most: int
) -> Tensor:
    """(N,) bool: whether the predictions y of ids (N, L) stand whatever two letters become.

    False too where more than `most` pairs of a sequence would have to be tried. model: in float64. letters (N, L, A)
    bool: which each position may become. singles (N, L, A, K) float64: logits of all single mutants, which leave the
    predictions standing.
    """
    directions, offsets = stands(model, y, singles.shape[3])
    influence = certified_parts(model, ids, y, letters).added(influences)
    rows = zip(ids, letters, singles, directions, offsets, influence, strict=True)
    return torch.tensor([_stands(model, most, *row) for row in rows], dtype=torch.bool, device=ids.device)


def _stands(
    model: SequenceNetwork,
    most: int,
    ids: Tensor,
    letters: Tensor,
    singles: Tensor,
    directions: Tensor,
    offsets: Tensor,
    influence: Tensor,
) -> bool:
    """The same of one sequence: ids (L,), letters (L, A), singles (L, A, K), directions (P, K), offsets (P,), influence
    (P, L' >= L).
    """
    value, order = influence[:, : len(ids)].sort(dim=1, descending=True)
    later = torch.zeros_like(value).scatter_(1, order, F.pad(value[:, 1:], (0, 1)))  # P, L
    left = (_margins(singles, directions, offsets) - later.t()[:, None]).amin(2)  # L, A
    place, letter = torch.nonzero(letters & (left <= TOLERANCE), as_tuple=True)
    if len(place) * int(letters.sum()) > most:
        return False
    for chunk in left[place, letter].argsort().split(AT_ONCE):  # the worst first: most that fall, fall soon
        variants = ids.repeat(len(chunk), 1)
        variants[torch.arange(len(chunk)), place[chunk]] = letter[chunk].to(ids.dtype)
        margin = _margins(substitution_scores(model, variants), directions, offsets).amin(3)  # n, L, A
        if bool((margin[:, letters] <= TOLERANCE).any()):
            return False
    return True


def _margins(logits: Tensor, directions: Tensor, offsets: Tensor) -> Tensor:
    """(..., P) from logits (..., K)."""
    return logits @ directions.t() + offsets
