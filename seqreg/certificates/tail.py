"""The worst single substitution exactly, and influences for the others."""

import torch
from torch import Tensor

from seqreg.certificates.batch import CertifiedBatch


def worst_singles(batch: CertifiedBatch, scores: Tensor) -> Tensor:
    """(N, P, L) smallest margin over the letters allowed at each position, from logits of all single mutants.

    scores (N, L, A, K) float64, as `seqreg.mutagenesis.substitution_scores` gives them.
    """
    margins = torch.einsum("nlak,npk->npla", scores, batch.directions)
    may = batch.sites.may[batch.sites.kind[:, : margins.shape[2]]]
    return margins.masked_fill(~may[:, None], torch.inf).amin(-1)


def single_and_tail_bound(margins: Tensor, singles: Tensor, influence: Tensor, m: int) -> Tensor:
    """(N, P) lower bounds of the margins after at most m substitutions, for m = 1 the exact worst case.

    margins (N, P) now. singles (N, P, L) from `worst_singles`. influence (N, P, L) from `influences`, which hold for
    any sequence and hence also for the mutant. Among the substituted positions one has the largest influence;
    substitute it first, exactly, and charge the others, which all come after it in the order of influence: the next
    m - 1 in that order at most.
    """
    influence = influence[..., : singles.shape[2]]
    value, order = influence.sort(dim=-1, descending=True)
    sums = torch.nn.functional.pad(value.cumsum(-1), (1, 0))
    rank = torch.arange(value.shape[-1], device=value.device)
    last = (rank + m).clamp(max=value.shape[-1])
    tail = sums[..., last] - sums[..., rank + 1]
    worst = (singles.gather(2, order) - tail).amin(-1)
    return torch.minimum(worst, margins)
