"""Sequences as rows of numbers for linear models: k-mer spectra, position-wise one-hot, composition and length.

One contract: a feature map is a frozen `Spec` with `columns(alphabet) -> int` and `matrix(sequences) -> (N, D)` rows,
sparse but for vectors, which depend on nothing but the sequence itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from seqreg.alphabet import Alphabet
from seqreg.errors import InputError, UsageError, option
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec, hyper


@dataclass(frozen=True, kw_only=True)
class KmerFeatures(Spec):
    """Counts of all k-mers of `shortest` to `longest` letters, each row scaled to length 1.

    A k-mer with an ambiguous letter in it is skipped. With `both_strands` a k-mer and its reverse complement are one
    feature, so that a sequence and its reverse complement have the same row. `scaling` "counts" takes counts as they
    are, "root" their square roots (Hellinger), in which a repeated k-mer weighs less; then the k-mers of each length
    are scaled to Euclidean length 1 by themselves and the whole row by 1 / sqrt(number of lengths).
    A sequence without any k-mer is a row of zeros.
    """

    longest: int = hyper(3, "letters in the longest k-mers", low=1, high=12)
    shortest: int = hyper(1, "letters in the shortest k-mers", low=1, high=12)
    both_strands: bool = hyper(False, "count a k-mer and its reverse complement as one")
    scaling: str = hyper("counts", "what is scaled to length 1", choices=("counts", "root"))

    def columns(self, alphabet: Alphabet) -> int:
        """D, the sum of A^k over the lengths k."""
        return sum(alphabet.size**k for k in self._lengths)

    def matrix(self, sequences: SequenceSet, counts: dict[tuple[int, bool], csr_array] | None = None) -> csr_array:
        """(N, D) float64. `counts` remembers k-mer counts by (k, both_strands) between calls on the same sequences."""
        counts = {} if counts is None else counts
        blocks: list[csr_array] = []
        for k in self._lengths:
            key = (k, self.both_strands)
            if key not in counts:
                counts[key] = count_kmers(sequences, *key)
            blocks.append(scale_rows(counts[key], self.scaling))
        return join_blocks(blocks)

    @property
    def _lengths(self) -> range:
        return range(self.shortest, self.longest + 1)


@dataclass(frozen=True, kw_only=True)
class OneHotFeatures(Spec):
    """The letter at each position, for one length: column p A + a is the share of letter a at position p, over sqrt(L).

    The factor gives rows of length 1, as k-mers have, so that the same strengths serve both.
    """

    length: int = hyper(60, "letters per sequence", low=1)

    def columns(self, alphabet: Alphabet) -> int:
        """D = L A."""
        return self.length * alphabet.size

    def matrix(self, sequences: SequenceSet, counts: object = None) -> csr_array:
        """(N, D) float64; `counts` is not used. Raises InputError for a sequence of another length."""
        other = np.flatnonzero(sequences.lengths != self.length)
        if len(other):
            first = int(other[0])
            raise InputError(
                f"a one-hot baseline takes sequences of {self.length} letters; got {sequences.lengths[first]}",
                file=sequences.source or None,
                record=first + 1,
                record_id=sequences.names[first],
                remedy="Use a k-mer baseline for sequences of different lengths",
            )
        shares = sequences.alphabet.mixtures[sequences.padded()].reshape(len(sequences), -1)
        return csr_array(shares / np.sqrt(self.length))


@dataclass(frozen=True, kw_only=True)
class VectorFeatures(Spec):
    """The vectors that a set carries beside its letters, those of several language models side by side."""

    names: tuple[str, ...] = hyper((), "what the vectors are called")
    sizes: tuple[int, ...] = hyper((), "numbers of dimensions of each", low=1)

    def columns(self, alphabet: Alphabet) -> int:
        """D, the sum of the dimensions."""
        return sum(self.sizes)

    def matrix(self, sequences: SequenceSet, counts: object = None) -> NDArray[np.float64]:
        """(N, D) float64; `counts` is not used. Raises UsageError where the set has no such vectors."""
        for name, size in zip(self.names, self.sizes, strict=True):
            vectors = sequences.vectors.get(name)
            if vectors is None or vectors.shape[1] != size:
                found = "there are none" if vectors is None else f"these have {vectors.shape[1]:,}"
                raise UsageError(
                    f"this baseline reads the vectors {name!r} of {size:,} numbers, and {found}: give the file of the "
                    f"same language model, {option('vectors', f'{name}=FILE')}"
                )
        return np.concatenate([sequences.vectors[name] for name in self.names], 1).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class CompositionFeatures(Spec):
    """The share of each letter, and the logarithm of the length: what says least about a sequence.

    length: letters of the longest training sequence, at which the last column is 1.
    """

    length: int = hyper(60, "letters at which the column of the length is 1", low=1)

    def columns(self, alphabet: Alphabet) -> int:
        """D = A + 1."""
        return alphabet.size + 1

    def matrix(self, sequences: SequenceSet, counts: object = None) -> csr_array:
        """(N, D) float64; `counts` is not used."""
        length = np.log1p(sequences.lengths) / np.log1p(self.length)
        return csr_array(np.column_stack([sequences.letter_shares(), length]).astype(np.float64))


Features = KmerFeatures | OneHotFeatures | CompositionFeatures | VectorFeatures


def count_kmers(sequences: SequenceSet, k: int, both_strands: bool = False) -> csr_array:
    """(N, A^k) how often each k-mer occurs; the k-mer a_1 .. a_k is column sum_i a_i A^(k-i).

    k-mers with an ambiguous letter are skipped. With `both_strands` each occurrence counts for the lesser of the
    column of the k-mer and that of its reverse complement. Raises UsageError where the alphabet has no complement.
    """
    a = sequences.alphabet.size
    codes = sequences.codes
    windows = max(len(codes) - k + 1, 0)
    column = np.zeros(windows, dtype=np.int64)
    plain = np.ones(windows, dtype=bool)
    for i in range(k):
        letter = codes[i : i + windows]
        column = column * a + letter
        plain &= letter < a
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)
    kept = plain & (row[:windows] == row[len(codes) - windows :])
    row, column = row[:windows][kept], column[kept]
    if both_strands:
        column = np.minimum(column, reverse_complement_of(sequences.alphabet, k)[column])
    # scikit-learn's solvers take 32-bit indices only.
    places = (row.astype(np.int32), column.astype(np.int32))
    counts = csr_array((np.ones(len(row)), places), shape=(len(sequences), a**k))
    counts.sum_duplicates()
    return counts


def reverse_complement_of(alphabet: Alphabet, k: int) -> NDArray[np.int64]:
    """(A^k,) the column of the reverse complement of each k-mer. Raises UsageError for an alphabet without one."""
    if alphabet.complement is None:
        raise UsageError(f"{alphabet.name} has no complementary strand; use both_strands=false")
    complement = alphabet.complement[: alphabet.size].astype(np.int64)
    table = np.zeros(1, dtype=np.int64)
    for j in range(k):
        # The letter put last becomes, complemented, the first: the highest digit of the reverse complement.
        table = (table[:, None] + complement * alphabet.size**j).ravel()
    return table


def scale_rows(counts: csr_array, scaling: str) -> csr_array:
    """Rows of Euclidean length 1 (or 0) from counts or their square roots."""
    n = len(counts.indptr) - 1
    values = {"root": np.sqrt, "counts": np.asarray}[scaling](counts.data)
    row = np.repeat(np.arange(n), np.diff(counts.indptr))
    norm = np.sqrt(np.bincount(row, weights=values**2, minlength=n))
    return csr_array((values / norm[row], counts.indices, counts.indptr), shape=counts.shape)


def join_blocks(blocks: list[csr_array]) -> csr_array:
    """The blocks side by side, divided by the square root of their number, so that row length stays 1."""
    return csr_array(hstack(blocks, format="csr") / np.sqrt(len(blocks)))
