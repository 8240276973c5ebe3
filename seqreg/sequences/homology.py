"""Groups of similar sequences: by shared k-mers, counted with an inverted index, or by an installed mmseqs.

The *similarity* of two sequences is the share of distinct k-mers of the one with fewer that the other has too:
|K(a) & K(b)| / min(|K(a)|, |K(b)|), in [0, 1]. k is 5 for protein and 10 for nucleotides; k-mers with ambiguity symbols
do not count; in DNA a k-mer and its reverse complement are one. It is no alignment identity, and lower than one:
without gaps an identity p gives about p^k.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.errors import SeqregError, UsageError
from seqreg.sequences.duplicates import first_equal
from seqreg.sequences.fasta import write_lines
from seqreg.sequences.sequence_set import SequenceSet

_MOST_PAIRS = 1e9  # coincidences of a k-mer in two sequences that are counted at most
_ROWS = 512
_MOST_WAITING = 1 << 23  # pairs
_PROTEIN_K, _NUCLEOTIDE_K = 5, 10


def kmer_length(alphabet: Alphabet) -> int:
    """k, long enough that unrelated sequences of a few hundred letters share almost no k-mer."""
    return _PROTEIN_K if alphabet is PROTEIN else _NUCLEOTIDE_K


def kmer_table(sequences: SequenceSet) -> Any:
    """(N, A^k) sparse matrix of ones, in CSR form: which k-mers each sequence has."""
    from scipy.sparse import csr_array

    alphabet = sequences.alphabet
    k, size = kmer_length(alphabet), alphabet.size
    counts, columns = [], []
    for first in range(0, len(sequences), 4096):
        last = min(first + 4096, len(sequences))
        start = sequences.offsets[first]
        codes = sequences.codes[start : sequences.offsets[last]].astype(np.int64)
        value = _windows(codes, k, size)
        if alphabet is DNA and alphabet.complement is not None:
            mirrored = alphabet.complement[codes].astype(np.int64)[::-1]
            value = np.minimum(value, _windows(mirrored, k, size)[::-1])
        owner = np.repeat(np.arange(first, last), sequences.lengths[first:last])
        begins = owner[: len(value)]
        whole = (begins == owner[k - 1 :]) & (_ambiguous(codes, k, size) == 0)
        distinct = np.unique(begins[whole] * size**k + value[whole])
        counts.append(np.bincount(distinct // size**k - first, minlength=last - first))
        columns.append((distinct % size**k).astype(np.int32))
    column = np.concatenate(columns)
    ends = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return csr_array((np.ones(len(column), dtype=np.int32), column, ends), shape=(len(sequences), size**k))


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


def homology_groups(
    sequences: SequenceSet, *, similarity: float = 0.3, tool: str = "kmers"
) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) numbers of groups, and remarks: sequences at least this similar, directly or by a chain, share a group.

    tool: "kmers" or "mmseqs" (which reads `similarity` as least sequence identity). Identical sequences always share a
    group. For very large sets only every s-th k-mer, chosen by its hash, is looked at; a remark says so.
    Raises UsageError for a similarity outside (0, 1], an unknown tool or one that is not installed.
    """
    if not 0 < similarity <= 1:
        raise UsageError(f"similarity must be above 0 and at most 1; got {similarity}")
    if tool not in ("kmers", "mmseqs"):
        raise UsageError(f"Unknown tool {tool!r}. Choose from: kmers, mmseqs")
    remarks: list[str] = []
    n = len(sequences)
    if tool == "mmseqs":
        pairs = [(np.arange(n), _mmseqs_representatives(sequences, similarity))]
    else:
        table, remarks = _affordable(kmer_table(sequences))
        found = _similarities(table, table)
        pairs = ((row[shared >= similarity], column[shared >= similarity]) for row, column, shared in found)
    groups = _components(first_equal(sequences), pairs)
    largest = int(np.bincount(groups).max())
    if largest > n / 2:
        remarks.append(
            f"one group of similar sequences holds {largest} of {n}; a higher similarity gives smaller groups"
        )
    return groups, remarks


def _components(
    parent: NDArray[np.int64], pairs: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> NDArray[np.int64]:
    """(N,) numbers of the components that these pairs, and those of each sequence with its parent, connect.

    Pairs are merged whenever many have come together: a set of near copies has more of them than memory holds.
    """
    waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for pair in pairs:
        waiting.append(pair)
        if sum(len(row) for row, _ in waiting) >= _MOST_WAITING:
            parent, waiting = _merged(parent, waiting), []
    return np.unique(_merged(parent, waiting), return_inverse=True)[1].astype(np.int64)


def _merged(parent: NDArray[np.int64], pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> NDArray[np.int64]:
    """(N,) the first member of each sequence's component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(parent)
    pairs = [(np.arange(n), parent), *pairs]
    row, column = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(n, n))
    number = connected_components(graph, directed=False)[1]
    return np.unique(number, return_index=True)[1][number]


def largest_similarity(sequences: SequenceSet, parts: Sequence[NDArray[np.int64]]) -> float:
    """The largest similarity between sequences of different parts, each given by positions; 0 if none is similar."""
    table, _ = _affordable(kmer_table(sequences))
    best = 0.0
    for place, part in enumerate(parts[:-1], start=1):
        for _, _, shared in _similarities(table[part], table[np.concatenate(parts[place:])]):
            best = max(best, float(shared.max(initial=0)))
    return best


def _similarities(left: Any, right: Any) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Row of `left`, row of `right` and similarity for all pairs that share a k-mer, some rows at a time."""
    sizes = [np.maximum(np.diff(table.indptr), 1) for table in (left, right)]
    turned = right.T.tocsr()
    for start in range(0, left.shape[0], _ROWS):
        shared = (left[start : start + _ROWS] @ turned).tocoo()
        row, column = shared.coords[0] + start, shared.coords[1]
        yield row, column, shared.data / np.minimum(sizes[0][row], sizes[1][column])


def _affordable(table: Any) -> tuple[Any, list[str]]:
    """The table, with k-mers left out by hash until counting the pairs that share one is quick enough."""
    carriers = np.bincount(table.indices, minlength=table.shape[1]).astype(np.float64)
    scale = int(np.ceil((carriers**2).sum() / _MOST_PAIRS))
    if scale <= 1:
        return table, []
    scrambled = (np.arange(table.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    kept = table[:, np.flatnonzero(scrambled % np.uint64(scale) == 0)]
    return kept.tocsr(), [f"similarities are estimated from one k-mer in {scale}, as the set is large"]


def _mmseqs_representatives(sequences: SequenceSet, identity: float) -> NDArray[np.int64]:
    """(N,) position of the representative of each sequence's cluster, by `mmseqs easy-cluster`."""
    program = shutil.which("mmseqs")
    if program is None:
        raise UsageError("mmseqs is not installed. Install it, or group by shared k-mers")
    with tempfile.TemporaryDirectory(prefix="seqreg-mmseqs-") as folder:
        fasta, out = Path(folder, "in.fa"), Path(folder, "out")
        write_lines(fasta, (line for i in range(len(sequences)) for line in (f">{i}", sequences.sequence(i))))
        kind = "1" if sequences.alphabet is PROTEIN else "2"
        command = [program, "easy-cluster", fasta, out, Path(folder, "tmp"), "--min-seq-id", f"{identity:g}"]
        done = subprocess.run([*command, "--dbtype", kind, "-v", "1"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise SeqregError(f"mmseqs failed: {lines[-1] if lines else done.returncode}")
        representative = np.arange(len(sequences))
        for line in Path(f"{out}_cluster.tsv").read_text(encoding="utf-8").splitlines():
            head, member = line.split("\t")
            representative[int(member)] = int(head)
    return representative
