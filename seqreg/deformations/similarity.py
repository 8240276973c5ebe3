"""Letters that may stand in for each other, and substitutions by them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError
from seqreg.sequences import amino_acids, blosum62


def similar_letters(alphabet: Alphabet, threshold: float = 1) -> NDArray[np.bool_]:
    """(A, A) True between different similar letters: BLOSUM62 >= threshold, or transitions for nucleotides."""
    if alphabet.name == "protein":
        similar = threshold <= blosum62()
    else:
        purine = np.array([letter in "AG" for letter in alphabet.letters])
        similar = purine[:, None] == purine
    return similar & ~np.eye(alphabet.size, dtype=bool)


def synonymous_codons(alphabet: Alphabet) -> NDArray[np.bool_]:
    """(64, 64) True between different codons of one amino acid; codon abc has number 16 a + 4 b + c in symbol codes."""
    if alphabet.complement is None:
        raise UsageError(f"synonymous codons need dna or rna; these sequences are {alphabet.name}")
    amino = amino_acids(alphabet)
    return (amino[:, None] == amino) & ~np.eye(64, dtype=bool)


def replace_similar(ids: Tensor, chosen: Tensor, draw: Tensor, alphabet: Alphabet, threshold: float = 1) -> Tensor:
    """ids with each chosen letter (N, L) bool replaced by a similar one, picked by draw (N, L) in [0, 1).

    Letters without a similar one, ambiguous symbols and padding stay.
    """
    allowed = np.zeros((len(alphabet.symbols), alphabet.size), dtype=bool)
    allowed[: alphabet.size] = similar_letters(alphabet, threshold)
    return torch.where(chosen, _pick_allowed(ids.long(), draw, allowed).to(ids.dtype), ids)


def replace_synonymous(ids: Tensor, chosen: Tensor, draw: Tensor, alphabet: Alphabet) -> Tensor:
    """ids with each chosen codon (N, L // 3) bool of the first reading frame replaced by a synonymous one."""
    codons = ids[:, : ids.shape[1] // 3 * 3].long().unflatten(1, (-1, 3))
    unreadable = (codons >= alphabet.size).any(2)
    number = (codons.clamp(max=alphabet.size - 1) * torch.tensor([16, 4, 1], device=ids.device)).sum(2)
    number = _pick_allowed(number, draw, synonymous_codons(alphabet))
    new = torch.stack([number // 16, number // 4 % 4, number % 4], 2).to(ids.dtype)
    kept = (unreadable | ~chosen)[:, :, None]
    coding = torch.where(kept, codons.to(ids.dtype), new).flatten(1)
    return torch.cat([coding, ids[:, coding.shape[1] :]], 1)


def _pick_allowed(codes: Tensor, draw: Tensor, allowed: NDArray[np.bool_]) -> Tensor:
    """The alternative to each code that draw in [0, 1) picks out of a row of `allowed`, or the code if it has none."""
    count = allowed.sum(axis=1)
    order = np.argsort(~allowed, axis=1, kind="stable")
    order = np.where(count[:, None] > 0, order, np.arange(len(allowed))[:, None])
    counts = torch.as_tensor(count, device=codes.device)[codes]
    picked = (draw * counts).long().clamp(max=allowed.shape[1] - 1)
    return torch.as_tensor(order, device=codes.device)[codes, picked]
