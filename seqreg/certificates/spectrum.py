"""What substitutions do to a linear function of k-mer counts, window by window.

A window of plain letters reads one k-mer v and adds w[v] / T to the margin. Replacing its letter at tap j can cost no
more than `w[v] - min_b w[v with b at j]`, and if up to r of its other letters have been replaced before, no more than
the largest such difference over the k-mers that lie r substitutions or fewer from v at taps other than j. Every filter
firing alone is what makes this tighter, by far, than adding up what each filter can do.
"""

import torch
from torch import Tensor

from seqreg.certificates.batch import EditableBatch
from seqreg.networks import SpectrumNet


def kmer_costs(model: SpectrumNet, directions: Tensor, others: int) -> Tensor:
    """(Q, k, A^k + 1) most that margins u (Q, K) lose, times T, when tap j of a window that reads v is replaced.

    others: how many of the window's other letters may have been replaced before, any number from k - 1 on. The last
    column is for windows that hold a mixture, whose share lies between the extremes of w and 0.
    """
    k, letters = model.receptive_field, model.alphabet.size
    weight = (directions @ model.output.weight).unflatten(-1, [letters] * k)  # Q, A, ..., A
    mixed = _widest(weight)
    costs = []
    for tap in range(1, k + 1):
        cost = weight - weight.amin(tap, keepdim=True)
        for _ in range(min(others, k - 1)):
            near = [cost.amax(axis, keepdim=True) for axis in range(1, k + 1) if axis != tap]
            cost = torch.stack(torch.broadcast_tensors(cost, *near)).amax(0)
        costs.append(torch.cat([cost.flatten(1), mixed[:, None]], 1))
    return torch.stack(costs, 1)


def spectrum_influences(batch: EditableBatch, others: int | None = None) -> Tensor:
    """I (N, P, L): most that substituting position i costs margin p, if `others` letters of any window were replaced.

    None: any number, so that the bound holds for every sequence with this letter at i. Letters that may not come are
    not left out, but a position that may not change costs nothing.
    """
    model = batch.model
    assert isinstance(model, SpectrumNet)
    shape = batch.directions.shape
    distinct, which = torch.unique(batch.directions.flatten(0, 1), dim=0, return_inverse=True)
    k = model.receptive_field
    table = kmer_costs(model, distinct, k - 1 if others is None else others).transpose(0, 1)  # k, D, A^k + 1
    which = which.view(shape[:2])
    total = table.new_zeros(*shape[:2], batch.ids.shape[1])
    for strand, place in enumerate(batch.place):
        ids = batch.ids if strand == 0 else model.reverse_complement_ids(batch.ids)
        kmers = model.kmers(ids)
        for tap in range(k):
            window = place - tap
            exists = (window >= 0) & (window < batch.counts[:, None])
            read = kmers.gather(1, window.clamp(0, kmers.shape[1] - 1))  # N, L
            total += table[tap][which[:, :, None], read[:, None]] * exists[:, None]
    total = total / (batch.counts[:, None, None] * len(batch.place))
    return total * batch.sites.may.any(1)[batch.sites.kind][:, None]


def symbol_costs(model: SpectrumNet, directions: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """(B, Q) most that margins u (Q, K) lose, times T, when letter new (B,) replaces symbol old (B,), wherever."""
    k, letters = model.receptive_field, model.alphabet.size
    weight = (directions @ model.output.weight).unflatten(-1, [letters] * k)
    mixed = _widest(weight)
    total = mixed.new_zeros(len(old), len(directions))
    plain = old < letters
    for tap in range(1, k + 1):
        at = weight.movedim(tap, 0).reshape(letters, len(directions), -1)  # A, Q, A^(k - 1)
        lost = (at[:, None] - at[None]).amax(-1).clamp(min=0)  # A, A, Q; not every tap is there at the borders
        total += torch.where(plain[:, None], lost[old.clamp(max=letters - 1), new], mixed)
    return total


def _widest(weight: Tensor) -> Tensor:
    """(Q,) distance between the extremes of w and 0."""
    flat = weight.flatten(1)
    return flat.amax(1).clamp(min=0) - flat.amin(1).clamp(max=0)
