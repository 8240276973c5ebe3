"""Deformations of sequences: what should not change an answer, or not by much.

Two contracts. A member of `DEFORMATIONS` is a function `deform(ids, alphabet, generator, *, size, threshold) -> ids`
that deforms every sequence once. A member of `AUGMENTATIONS` is a spec with `augment(ids, generator, alphabet) -> ids`
for training. Both take and give ids (N, L) uint8 on any device, padded on the right; lengths may change.
"""

from collections.abc import Callable

from torch import Tensor

from seqreg.deformations.augmentations import Indel, Noise, ReverseComplement, Shift, Similar, Synonymous
from seqreg.deformations.draws import (
    opposite_strand,
    random_deletion,
    random_insertion,
    random_shift,
    random_similar,
    random_synonymous,
)
from seqreg.deformations.moves import any_letter, delete, insert, refit, reverse_complement, shift
from seqreg.deformations.similarity import replace_similar, replace_synonymous, similar_letters, synonymous_codons
from seqreg.specs import Spec

__all__ = [
    "AUGMENTATIONS",
    "DEFORMATIONS",
    "Indel",
    "Noise",
    "ReverseComplement",
    "Shift",
    "Similar",
    "Synonymous",
    "any_letter",
    "delete",
    "insert",
    "refit",
    "replace_similar",
    "replace_synonymous",
    "reverse_complement",
    "shift",
    "similar_letters",
    "synonymous_codons",
]

DEFORMATIONS: dict[str, Callable[..., Tensor]] = {
    "shift": random_shift,
    "insertion": random_insertion,
    "deletion": random_deletion,
    "similar": random_similar,
    "synonymous": random_synonymous,
    "reverse-complement": opposite_strand,
}
"""The deformations that penalties try, by the names that make up their `set`."""

AUGMENTATIONS: dict[str, type[Spec]] = {
    "noise": Noise,
    "shift": Shift,
    "indel": Indel,
    "similar": Similar,
    "synonymous": Synonymous,
    "reverse-complement": ReverseComplement,
}
"""The augmentations people choose by name."""
