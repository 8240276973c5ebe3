"""Deformations that move letters: shifts, insertions, deletions, the opposite strand.

All take ids (N, L) uint8 padded on the right and give such ids back; amounts and places are one per sequence, (N,)
int64 on the device of the ids. What moves in from outside a sequence is its alphabet's symbol for "any letter"
(N or X). Nothing asks the device for a number.
"""

import torch
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError


def letter_counts(ids: Tensor, alphabet: Alphabet) -> Tensor:
    """(N,) letters before the padding."""
    return (ids != alphabet.pad).sum(1)


def any_letter(alphabet: Alphabet) -> int:
    """Code of the symbol that mixes all letters: N for nucleotides, X for proteins."""
    return int((alphabet.mixtures > 0).sum(axis=1).argmax())


def shift(ids: Tensor, by: Tensor, alphabet: Alphabet) -> Tensor:
    """Every letter `by` places to the right (left where negative), lengths unchanged."""
    lengths = letter_counts(ids, alphabet)[:, None]
    source = _places(ids) - by[:, None]
    moved = _pick(ids, source).masked_fill((source < 0) | (source >= lengths), any_letter(alphabet))
    return moved.masked_fill(_places(ids) >= lengths, alphabet.pad)


def insert(ids: Tensor, at: Tensor, letters: Tensor, count: Tensor, alphabet: Alphabet) -> Tensor:
    """ids (N, L + S) with the first `count` of letters (N, S) put before place `at`, 0 <= at <= length."""
    widened = torch.nn.functional.pad(ids, (0, letters.shape[1]), value=alphabet.pad)
    place, at, count = _places(widened), at[:, None], count[:, None]
    new = (place >= at) & (place < at + count)
    return torch.where(new, _pick(letters, place - at), _pick(widened, place - count * (place >= at + count)))


def delete(ids: Tensor, at: Tensor, count: Tensor, alphabet: Alphabet) -> Tensor:
    """ids (N, L) without the `count` letters from place `at` on, padded on the right."""
    place, count = _places(ids), count[:, None]
    source = place + count * (place >= at[:, None])
    return _pick(ids, source).masked_fill(source >= ids.shape[1], alphabet.pad)


def reverse_complement(ids: Tensor, alphabet: Alphabet) -> Tensor:
    """The opposite strand, aligned on the left; nucleotides only."""
    if alphabet.complement is None:
        raise UsageError(f"reverse-complement needs dna or rna; these sequences are {alphabet.name}")
    complement = torch.as_tensor(alphabet.complement.copy(), device=ids.device)
    source = letter_counts(ids, alphabet)[:, None] - 1 - _places(ids)
    return complement[_pick(ids, source).long()].masked_fill(source < 0, alphabet.pad)


def refit(ids: Tensor, lengths: Tensor, width: int, alphabet: Alphabet) -> Tensor:
    """ids (N, width) cut, or filled up with the symbol for any letter, to the given lengths (N,)."""
    fitted = torch.nn.functional.pad(ids, (0, width - ids.shape[1]), value=alphabet.pad)
    fitted = torch.where(fitted == alphabet.pad, any_letter(alphabet), fitted)
    return fitted.masked_fill(_places(fitted) >= lengths[:, None], alphabet.pad)


def _places(ids: Tensor) -> Tensor:
    return torch.arange(ids.shape[1], device=ids.device)


def _pick(ids: Tensor, source: Tensor) -> Tensor:
    """ids[n, source[n, t]], places outside replaced by the nearest inside."""
    return ids.gather(1, source.clamp(0, ids.shape[1] - 1))
