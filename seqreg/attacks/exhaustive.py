"""The worst substitutions there are, by trying all of them."""

import torch
from torch import Tensor

from seqreg.attacks.allowed import Allowed
from seqreg.attacks.found import Best, FoundEdits, join_batches
from seqreg.attacks.variant import Variants
from seqreg.certificates import margins
from seqreg.errors import UsageError
from seqreg.mutagenesis import SUBSTITUTION, plain_logits
from seqreg.networks import SequenceNetwork

MOST_VARIANTS = 1_000_000


@torch.no_grad()
def exhaustive_search(
    model: SequenceNetwork, ids: Tensor, y: Tensor, *, budget: int, allowed: Allowed | None = None
) -> FoundEdits:
    """The truly worst substitutions of ids (N, L) with targets y, from a forward pass on every combination of them.

    For small cases: a UsageError where a sequence has more than a million combinations.
    """
    allowed = allowed or Allowed(model.alphabet)
    rows = torch.arange(len(ids), device=ids.device).split(1)
    return join_batches([_one(model, ids[row], y[row], budget, allowed.rows(row)) for row in rows])


def _one(model: SequenceNetwork, ids: Tensor, y: Tensor, budget: int, allowed: Allowed) -> FoundEdits:
    """The same for a single sequence (1, L): all sets of positions in rising order, all letters at them."""
    found = Best(margins(plain_logits(model, ids), y, model), Variants.unedited(ids))
    may = (allowed.ever(ids) & (torch.arange(model.alphabet.size, device=ids.device) != ids[:, :, None]))[0]  # L, A
    _refuse_too_many(may.sum(1).tolist(), budget)
    position = torch.arange(ids.shape[1], device=ids.device)
    variants, last = Variants.unedited(ids), torch.full((1,), -1, device=ids.device)
    for _ in range(budget):
        row, last, letter = torch.nonzero(may & (position > last[:, None])[:, :, None], as_tuple=True)
        variants = variants.rows(row).edited(SUBSTITUTION, last, letter, model.alphabet.pad)
        valid = torch.nonzero(_keeps_to(allowed, ids, variants.ids)).squeeze(1)
        scored = [plain_logits(model, variants.ids[chunk]) for chunk in valid.split(4096)]
        margin = margins(torch.cat(scored), y.expand(len(valid), *y.shape[1:]), model) if scored else torch.empty(0)
        lowest = margin.argmin()[None] if len(margin) else torch.empty(0, dtype=torch.long)
        found.add(variants.rows(valid[lowest]), margin[lowest])
    return found.result()


def _refuse_too_many(choices: list[int], budget: int) -> None:
    """`choices` letters at each position; counts[k] becomes the number of ways to substitute k of them."""
    counts = [1] + [0] * budget
    for letters in choices:
        for k in range(budget, 0, -1):
            counts[k] += letters * counts[k - 1]
    if max(counts) > MOST_VARIANTS:
        raise UsageError(
            f"{max(counts):,} combinations of substitutions are too many: use a beam search or a smaller budget"
        )


def _keeps_to(allowed: Allowed, original: Tensor, variants: Tensor) -> Tensor:
    """(S,) bool: whether letters that were allowed one by one are allowed together, as codons may not be."""
    if not allowed.fixed_frame:
        return torch.ones(len(variants), dtype=torch.bool, device=variants.device)
    original = original.expand(len(variants), -1)
    letter = variants.long().clamp(max=allowed.alphabet.size - 1)
    stands = allowed.now(original, variants).gather(2, letter[:, :, None])[:, :, 0]
    return (stands | (variants == original)).all(1)
