"""One random deformation of every sequence: what the deformation and tangent penalties try.

Each function takes ids (N, L) uint8, the alphabet, a generator, `size` (the largest shift, run or number of
replaced letters) and the similarity `threshold`, and gives ids (N, L') whose lengths may differ.
"""

import torch
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.deformations import moves
from seqreg.deformations.similarity import replace_similar, replace_synonymous


def random_shift(ids: Tensor, alphabet: Alphabet, generator: torch.Generator, *, size: int, threshold: float) -> Tensor:
    """Shifted by 1 to `size` places, left or right; unknown letters move in."""
    distance = 1 + _below(size, len(ids), generator, ids.device)
    return moves.shift(ids, torch.where(uniform(generator, ids.device, len(ids)) < 0.5, -distance, distance), alphabet)


def random_insertion(
    ids: Tensor, alphabet: Alphabet, generator: torch.Generator, *, size: int, threshold: float
) -> Tensor:
    """A run of 1 to `size` random letters put in at a random place."""
    at = _below(moves.letter_counts(ids, alphabet) + 1, len(ids), generator, ids.device)
    letters = (uniform(generator, ids.device, len(ids), size) * alphabet.size).to(ids.dtype)
    return moves.insert(ids, at, letters, 1 + _below(size, len(ids), generator, ids.device), alphabet)


def random_deletion(
    ids: Tensor, alphabet: Alphabet, generator: torch.Generator, *, size: int, threshold: float
) -> Tensor:
    """A run of 1 to `size` letters taken out at a random place; one letter at least stays."""
    lengths = moves.letter_counts(ids, alphabet)
    count = torch.minimum(1 + _below(size, len(ids), generator, ids.device), lengths - 1)
    return moves.delete(ids, _below(lengths - count + 1, len(ids), generator, ids.device), count, alphabet)


def random_similar(
    ids: Tensor, alphabet: Alphabet, generator: torch.Generator, *, size: int, threshold: float
) -> Tensor:
    """`size` letters, at random places, replaced by similar ones (transitions, for nucleotides)."""
    chosen = _some_of(moves.letter_counts(ids, alphabet), ids.shape[1], size, generator, ids.device)
    return replace_similar(ids, chosen, uniform(generator, ids.device, *ids.shape), alphabet, threshold)


def random_synonymous(
    ids: Tensor, alphabet: Alphabet, generator: torch.Generator, *, size: int, threshold: float
) -> Tensor:
    """`size` codons of the first reading frame, at random places, replaced by synonymous ones."""
    chosen = _some_of(moves.letter_counts(ids, alphabet) // 3, ids.shape[1] // 3, size, generator, ids.device)
    return replace_synonymous(ids, chosen, uniform(generator, ids.device, *chosen.shape), alphabet)


def opposite_strand(
    ids: Tensor, alphabet: Alphabet, generator: torch.Generator, *, size: int, threshold: float
) -> Tensor:
    """The reverse complement; nothing about it is random."""
    return moves.reverse_complement(ids, alphabet)


def uniform(generator: torch.Generator, device: torch.device, *shape: int) -> Tensor:
    """Draws in [0, 1) from a generator that may live on another device."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device, non_blocking=True)


def _below(bound: Tensor | int, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(N,) whole numbers 0 <= i < bound; 0 where the bound is 0."""
    return (uniform(generator, device, n) * bound).long()


def _some_of(count: Tensor, width: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(N, width) bool, `size` of the first `count` (N,) places chosen, or all where there are not as many."""
    draw = uniform(generator, device, len(count), width)
    draw = draw.masked_fill(torch.arange(width, device=device) >= count[:, None], 2)
    cut = draw.kthvalue(min(size, width), dim=1, keepdim=True).values if width else draw
    return (draw <= cut) & (draw < 2)
