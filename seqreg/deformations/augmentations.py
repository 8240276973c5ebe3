"""Random changes of the training sequences, drawn anew in every epoch."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.deformations import moves
from seqreg.deformations.draws import uniform
from seqreg.deformations.similarity import replace_similar, replace_synonymous
from seqreg.specs import Spec, hyper


@dataclass(frozen=True, kw_only=True)
class Noise(Spec):
    """Each letter becomes, with probability `rate`, another letter drawn evenly (Bietti et al., 2019, use 0.1)."""

    rate: float = hyper(0.1, "probability that a letter changes", low=0, high=1)

    def __call__(self, ids: Tensor, generator: torch.Generator, alphabet: Alphabet) -> Tensor:
        """Ids (N, L) of unchanged lengths; padding stays."""
        chosen = (uniform(generator, ids.device, *ids.shape) < self.rate) & (ids != alphabet.pad)
        step = 1 + (uniform(generator, ids.device, *ids.shape) * (alphabet.size - 1)).to(ids.dtype)
        # An ambiguous symbol is taken for some letter first; which one does not matter to an even draw of others.
        return torch.where(chosen, (ids % alphabet.size + step) % alphabet.size, ids)


@dataclass(frozen=True, kw_only=True)
class Shift(Spec):
    """Each sequence is moved by -max to max places, drawn evenly; unknown letters move in, lengths stay."""

    max: int = hyper(3, "largest shift in letters", low=0)

    def __call__(self, ids: Tensor, generator: torch.Generator, alphabet: Alphabet) -> Tensor:
        """Ids (N, L) of unchanged lengths."""
        by = (uniform(generator, ids.device, len(ids)) * (2 * self.max + 1)).long() - self.max
        return moves.shift(ids, by, alphabet)


@dataclass(frozen=True, kw_only=True)
class Indel(Spec):
    """Each letter is lost with probability rate / 2, and preceded by a new random letter with probability rate / 2."""

    rate: float = hyper(0.02, "insertions and deletions per letter", low=0, high=1)

    def __call__(self, ids: Tensor, generator: torch.Generator, alphabet: Alphabet) -> Tensor:
        """Ids (N, L') with room for every sequence; a sequence never vanishes."""
        n, length = ids.shape
        real = ids != alphabet.pad
        draw = uniform(generator, ids.device, n, length)
        stays, new = real & (draw >= self.rate / 2), real & (draw >= 1 - self.rate / 2)
        stays[:, 0] |= ~stays.any(1)
        end = (stays.long() + new).cumsum(1)
        # Nine standard deviations of the growth: a look at the true size would stop a GPU.
        room = length + min(length, math.ceil(9 * math.sqrt(self.rate * length)))
        out = ids.new_full((n, room + 1), alphabet.pad)  # the last column collects what has no place
        letters = (uniform(generator, ids.device, n, length) * alphabet.size).to(ids.dtype)
        out.scatter_(1, torch.where(new, end - 1 - stays.long(), room).clamp(max=room), letters)
        out.scatter_(1, torch.where(stays, end - 1, room).clamp(max=room), ids)
        out = out[:, :room]
        if ids.device.type == "cpu":
            out = out[:, : max(1, int(end[:, -1].max()))]
        return out


@dataclass(frozen=True, kw_only=True)
class Similar(Spec):
    """Each letter becomes, with probability `rate`, a similar one: BLOSUM62 >= threshold, or a transition in DNA."""

    rate: float = hyper(0.1, "probability that a letter changes", low=0, high=1)
    threshold: float = hyper(1.0, "least BLOSUM62 score of a similar amino acid")

    def __call__(self, ids: Tensor, generator: torch.Generator, alphabet: Alphabet) -> Tensor:
        """Ids (N, L) of unchanged lengths; letters without a similar one stay."""
        chosen = uniform(generator, ids.device, *ids.shape) < self.rate
        return replace_similar(ids, chosen, uniform(generator, ids.device, *ids.shape), alphabet, self.threshold)


@dataclass(frozen=True, kw_only=True)
class Synonymous(Spec):
    """Each codon of the first reading frame becomes, with probability `rate`, another one for the same amino acid."""

    rate: float = hyper(0.1, "probability that a codon changes", low=0, high=1)

    def __call__(self, ids: Tensor, generator: torch.Generator, alphabet: Alphabet) -> Tensor:
        """Ids (N, L) of unchanged lengths; codons without a synonym stay. Nucleotides only."""
        n, codons = len(ids), ids.shape[1] // 3
        chosen = uniform(generator, ids.device, n, codons) < self.rate
        return replace_synonymous(ids, chosen, uniform(generator, ids.device, n, codons), alphabet)


@dataclass(frozen=True, kw_only=True)
class ReverseComplement(Spec):
    """Each sequence is, with probability `rate`, replaced by its opposite strand; nucleotides only."""

    rate: float = hyper(0.5, "probability of the opposite strand", low=0, high=1)

    def __call__(self, ids: Tensor, generator: torch.Generator, alphabet: Alphabet) -> Tensor:
        """Ids (N, L) of unchanged lengths."""
        turned = uniform(generator, ids.device, len(ids)) < self.rate
        return torch.where(turned[:, None], moves.reverse_complement(ids, alphabet), ids)
