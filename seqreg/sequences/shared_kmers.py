"""How many k-mers two sequences share, for all pairs of a set at once, by an inverted index.

The *similarity* of two sequences is the share of distinct k-mers of the one with fewer that the other has too:
|K(a) & K(b)| / min(|K(a)|, |K(b)|), in [0, 1]. k is 5 for protein and 10 for nucleotides; k-mers with ambiguity symbols
do not count; in DNA a k-mer and its reverse complement are one. It is no alignment identity, and lower than one:
without gaps an identity p gives about p^k.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.sequences.sequence_set import SequenceSet

_MOST_PAIRS = 1e9  # coincidences of a k-mer in two sequences that are counted at most
_ROWS = 512
_MISSED = 1e-3  # share of pairs of the identity asked for that may share fewer k-mers
_MOST_ASKED = 64
_PROTEIN_K, _NUCLEOTIDE_K = 5, 10

Carried = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Of some sequences: how many k-mers each has, and which, each once and in order."""


def kmer_length(alphabet: Alphabet) -> int:
    """k, long enough that unrelated sequences of a few hundred letters share almost no k-mer."""
    return _PROTEIN_K if alphabet is PROTEIN else _NUCLEOTIDE_K


def kmer_table(sequences: SequenceSet) -> Any:
    """(N, A^k) sparse matrix of ones, in CSR form: which k-mers each sequence has."""
    return _as_table(list(_carried(sequences)), sequences.alphabet)


def affordable_table(sequences: SequenceSet) -> tuple[Any, int]:
    """`kmer_table`, and s: where counting the pairs that share a k-mer would take too long, of one k-mer in s, by hash.

    Chosen before the table is made, which with many sequences would not fit in memory.
    """
    blocks = list(_carried(sequences))
    carriers = np.zeros(sequences.alphabet.size ** kmer_length(sequences.alphabet))
    for _, columns in blocks:
        carriers += np.bincount(columns, minlength=len(carriers))
    scale = max(1, int(np.ceil((carriers**2).sum() / _MOST_PAIRS)))  # no mutant: about so many
    if scale > 1:
        blocks = [_thinned(*block, scale) for block in blocks]
    return _as_table(blocks, sequences.alphabet), scale


def _as_table(blocks: Sequence[Carried], alphabet: Alphabet) -> Any:
    from scipy.sparse import csr_array

    columns = np.concatenate([np.zeros(0, dtype=np.int32), *(columns for _, columns in blocks)])
    ends = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *(counts for counts, _ in blocks)]))
    shape = (len(ends) - 1, alphabet.size ** kmer_length(alphabet))
    return csr_array((np.ones(len(columns), dtype=np.int32), columns, ends), shape=shape)


def _thinned(counts: NDArray[np.int64], columns: NDArray[np.int32], every: int) -> Carried:
    """One k-mer in so many, by a hash of its number."""
    scrambled = (columns.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    kept = scrambled % np.uint64(every) == 0
    owner = np.repeat(np.arange(len(counts)), counts)
    return np.bincount(owner[kept], minlength=len(counts)), columns[kept]


def _carried(sequences: SequenceSet) -> Iterator[Carried]:
    alphabet = sequences.alphabet
    k, size = kmer_length(alphabet), alphabet.size
    for first in range(0, len(sequences), 4096):
        last = min(first + 4096, len(sequences))
        start = sequences.offsets[first]
        codes = sequences.codes[start : sequences.offsets[last]].astype(np.int64)
        value = _windows(codes, k, size)
        if alphabet is DNA and alphabet.complement is not None:
            mirrored = alphabet.complement[codes].astype(np.int64)[::-1]
            value = np.minimum(value, _windows(mirrored, k, size)[::-1])
        owner = np.repeat(np.arange(last - first), sequences.lengths[first:last])
        begins = owner[: len(value)]
        whole = (begins == owner[k - 1 :]) & (_ambiguous(codes, k, size) == 0)
        distinct = np.unique(begins[whole] * size**k + value[whole])
        yield np.bincount(distinct // size**k, minlength=last - first), (distinct % size**k).astype(np.int32)


def _windows(codes: NDArray[np.int64], k: int, size: int) -> NDArray[np.int64]:
    """The number, in base `size`, that each window of k codes spells."""
    count = max(len(codes) - k + 1, 0)
    value = np.zeros(count, dtype=np.int64)
    for place in range(k):
        value = value * size + codes[place : place + count]
    return value


def _ambiguous(codes: NDArray[np.int64], k: int, size: int) -> NDArray[np.int64]:
    """How many of the k codes of each window are not plain letters."""
    total = np.concatenate([[0], np.cumsum(codes >= size)])
    return total[k:] - total[:-k] if len(codes) >= k else total[:0]


def largest_similarity(sequences: SequenceSet, parts: Sequence[NDArray[np.int64]]) -> float:
    """The largest similarity between sequences of different parts, each given by positions; 0 if none is similar."""
    table, _ = affordable_table(sequences)
    best = 0.0
    for place, part in enumerate(parts[:-1], start=1):
        for _, _, shared in similarities(table[part], table[np.concatenate(parts[place:])]):
            best = max(best, float(shared.max(initial=0)))
    return best


def similarities(left: Any, right: Any) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Row of `left`, row of `right` and similarity for all pairs that share a k-mer, some rows at a time."""
    sizes = [np.maximum(np.diff(table.indptr), 1) for table in (left, right)]
    turned = right.T.tocsr()
    for start in range(0, left.shape[0], _ROWS):
        shared = (left[start : start + _ROWS] @ turned).tocoo()
        row, column = shared.coords[0] + start, shared.coords[1]
        yield row, column, shared.data / np.minimum(sizes[0][row], sizes[1][column])


def fewest_shared(columns: int, identity: float, k: int, *, scale: int = 1) -> NDArray[np.int64]:
    """(columns + 1,) k-mers that relatives share at least, by the number of columns of their alignment.

    Each column is taken to be identical with probability `identity`, whatever the others are; then fewer are shared in
    less than one case in a thousand. Real differences lie together and leave more. At most _MOST_ASKED are asked for.
    scale: one k-mer in so many is looked at.
    """
    run = np.zeros((k + 1, _MOST_ASKED + 1))  # probability of so many identical columns in the end, and k-mers so far
    run[0, 0] = 1
    fewest = np.zeros(columns + 1, dtype=np.int64)
    for column in range(1, columns + 1):
        whole = identity * (run[k - 1] + run[k])
        run = np.concatenate([(1 - identity) * run.sum(axis=0, keepdims=True), identity * run[: k - 1], whole[None]])
        run[k] *= 1 - 1 / scale
        run[k, 1:] += whole[:-1] / scale
        run[k, -1] += whole[-1] / scale
        fewest[column] = np.searchsorted(np.cumsum(run.sum(axis=0))[:-1], _MISSED, side="right")
    return fewest
