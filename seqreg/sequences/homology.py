"""Groups of related sequences: clusters of an index of k-mers or of an installed mmseqs, joined by alignments.

A cluster is what a quick tool finds: sequences that share many k-mers (`shared_kmers`), or that mmseqs puts together.
Both miss relatives, as mmseqs compares with representatives only and k-mers do not survive scattered differences. So
sequences of different clusters are aligned (`identity`), and clusters with relatives in each other are joined. Aligned
are pairs that share a k-mer, and of long sequences as many as nearly all that are so identical do (`fewest_shared`):
to align all pairs would take hours.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import PROTEIN
from seqreg.errors import SeqregError, UsageError
from seqreg.sequences.duplicates import first_equal
from seqreg.sequences.fasta import write_lines
from seqreg.sequences.identity import COVERED, identities
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.shared_kmers import affordable_table, fewest_shared, kmer_length, similarities

TOOLS = ("kmers", "mmseqs")
_MOST_WAITING = 1 << 23  # pairs
_ALIGNED = 1 << 12  # pairs at a time

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Homology:
    """Which sequences are related. tool: what finds clusters, "kmers" or "mmseqs".

    similarity: sequences that share at least this share of k-mers are one cluster; the tool mmseqs does without it.
    identity: of the alignment from which on two sequences are relatives, as `sequences.identity` defines it; mmseqs
    makes its clusters by it too. Raises UsageError for one outside (0, 1], and for an unknown tool.
    """

    similarity: float = 0.3
    identity: float = 0.7
    tool: str = "kmers"

    def __post_init__(self) -> None:
        for name in ("similarity", "identity"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise UsageError(f"{name} must be above 0 and at most 1; got {value}")
        if self.tool not in TOOLS:
            raise UsageError(f"Unknown tool {self.tool!r}. Choose from: {', '.join(TOOLS)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Families:
    """The clusters (N,) of a set, and the groups (N,) that those with relatives in each other make.

    table: the k-mers of each sequence by which candidates for an alignment are found, one in `scale` of all k-mers.
    """

    clusters: NDArray[np.int64]
    groups: NDArray[np.int64]
    table: Any
    scale: int

    @property
    def remarks(self) -> list[str]:
        """A remark where not all k-mers were looked at."""
        return [] if self.scale == 1 else [f"one k-mer in {self.scale} is looked at, as the set is large"]


def homology_groups(
    sequences: SequenceSet, *, similarity: float = 0.3, identity: float = 0.7, tool: str = "kmers"
) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) numbers of groups, and remarks: related sequences, directly or by a chain, share a group.

    similarity, identity, tool: as in `Homology`. Identical sequences always share a group. For very large sets only
    every s-th k-mer, chosen by its hash, is looked at; a remark says so.
    Raises UsageError for a number outside (0, 1], an unknown tool or one that is not installed.
    """
    found = families(sequences, Homology(similarity=similarity, identity=identity, tool=tool))
    return found.groups, [*found.remarks, *one_large_group(found.groups)]


def one_large_group(groups: NDArray[np.int64]) -> list[str]:
    """A remark where one group holds more than half of the sequences."""
    largest, n = int(np.bincount(groups).max()), len(groups)
    if largest <= n / 2:
        return []
    return [
        f"one group of similar sequences holds {largest} of {n}; a higher similarity and identity give smaller groups"
    ]


def families(sequences: SequenceSet, homology: Homology) -> Families:
    """The clusters of a set, and those that alignments join. Raises UsageError for a tool that is not installed."""
    n = len(sequences)
    table, scale = affordable_table(sequences)
    if homology.tool == "mmseqs":
        pairs: Iterable[Pairs] = [(np.arange(n), _mmseqs_representatives(sequences, homology.identity))]
    else:
        found, least = similarities(table, table), homology.similarity
        pairs = ((row[shared >= least], column[shared >= least]) for row, column, shared in found)
    clusters = components(first_equal(sequences), pairs)
    _, _, groups = relatives(sequences, table, clusters, homology.identity, scale=scale)
    return Families(clusters=clusters, groups=groups, table=table, scale=scale)


def relatives(
    sequences: SequenceSet,
    table: Any,
    clusters: NDArray[np.int64],
    identity: float,
    *,
    scale: int = 1,
    every: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """(P, 2) positions of relatives of different clusters, their identity (P,), and the groups (N,) that they make.

    every: find all of them, not only enough to join what belongs together. table: (N, A^k) k-mers of the sequences, one
    in `scale` of all there are.
    """
    covered = (COVERED * sequences.lengths).astype(np.int64)
    fewest = fewest_shared(int(covered.max()), identity, kmer_length(sequences.alphabet), scale=scale)[covered]
    kmers = np.diff(table.indptr)
    pairs, alike = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0)]
    group = _first_members(clusters)
    for row, column, shared in similarities(table, table):
        kept = np.flatnonzero((row < column) & (clusters[row] != clusters[column]))
        one, other = row[kept], column[kept]
        times = np.rint(shared[kept] * np.minimum(kmers[one], kmers[other]))
        kept = kept[times >= np.minimum(fewest[one], fewest[other])]
        kept = kept[np.argsort(-shared[kept], kind="stable")]
        for start in range(0, len(kept), _ALIGNED):
            some = kept[start : start + _ALIGNED]
            one, other = row[some], column[some]
            if not every:
                apart = group[one] != group[other]
                one, other = one[apart], other[apart]
            found = identities(sequences, one, other)
            near = found >= identity
            pairs.append(np.stack([one[near], other[near]], axis=1).astype(np.int64))
            alike.append(found[near])
            if near.any():
                group = _merged(group, [(one[near], other[near])])
    return np.concatenate(pairs), np.concatenate(alike), number_groups(group)


def components(parent: NDArray[np.int64], pairs: Iterable[Pairs]) -> NDArray[np.int64]:
    """(N,) numbers of the components that these pairs, and those of each sequence with its parent, connect.

    Pairs are merged whenever many have come together: a set of near copies has more of them than memory holds.
    """
    waiting: list[Pairs] = []
    for pair in pairs:
        waiting.append(pair)
        if sum(len(row) for row, _ in waiting) >= _MOST_WAITING:
            parent, waiting = _merged(parent, waiting), []
    return number_groups(_merged(parent, waiting))


def _first_members(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) the first member of each sequence's group."""
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    return first[number]


def number_groups(group: Any) -> NDArray[np.int64]:
    """(N,) groups, numbers or names, counted from 0 in the order of these."""
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def _merged(parent: NDArray[np.int64], pairs: list[Pairs]) -> NDArray[np.int64]:
    """(N,) the first member of each sequence's component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(parent)
    pairs = [(np.arange(n), parent), *pairs]
    row, column = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(n, n))
    number = connected_components(graph, directed=False)[1]
    return _first_members(number)


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
