"""What a share of k-mers is as an identity of alignments, what an alignment costs, and what a split takes.

For sets of peptides, of proteins and of DNA: identities of pairs drawn from each range of similarities, the time of a
pair beside Biopython, and the relatives that remain across parts with the k-mers alone. Takes the data sets that are
found (put their folders on SEQREG_DATA); some minutes.
"""

from dataclasses import replace
from itertools import pairwise
from time import process_time

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices
from numpy.typing import NDArray
from page import data_sets, markdown_table, write_section

from seqreg.alphabet import DNA, PROTEIN
from seqreg.sequences import SequenceSet, holdout, identities
from seqreg.sequences.duplicates import first_equal
from seqreg.sequences.homology import components
from seqreg.sequences.shared_kmers import kmer_table, similarities
from seqreg.sequences.splits import Split

SETS = ("amp", "subloc", "splice")
EDGES = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.01)
DRAWN = 400  # pairs of each range
IDENTITY, SIMILARITY = 0.7, 0.3
TIMED = 200


def pairs_of(sequences: SequenceSet) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(P, 2) pairs of different sequences that share a k-mer, and their similarity (P,)."""
    table, equal = kmer_table(sequences), first_equal(sequences)
    pairs, shares = [], []
    for row, column, shared in similarities(table, table):
        kept = (row < column) & (equal[row] != equal[column])
        pairs.append(np.stack([row[kept], column[kept]], 1))
        shares.append(shared[kept])
    return np.concatenate(pairs), np.concatenate(shares)


def by_similarity(sequences: SequenceSet, name: str) -> list[list[str]]:
    """A line for each range: quartiles of identity, and the share of pairs that are relatives."""
    pairs, shares = pairs_of(sequences)
    generator = np.random.default_rng(0)
    lines = []
    for low, high in pairwise(EDGES):
        inside = np.flatnonzero((shares >= low) & (shares < high))
        if len(inside) < TIMED // 10:
            continue
        drawn = pairs[generator.choice(inside, min(DRAWN, len(inside)), replace=False)]
        found = identities(sequences, drawn[:, 0], drawn[:, 1])
        quartiles = [f"{value:.2f}" for value in np.quantile(found, (0.25, 0.5, 0.75))]
        related = f"{np.mean(found >= IDENTITY):.2f}"
        lines.append([name, f"{low:g} to {min(high, 1):g}", f"{len(inside):,}", *quartiles, related])
    return lines


def across(sequences: SequenceSet, split: Split, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) relatives in different parts, among pairs that share a k-mer as often as SIMILARITY / 10."""
    parted = pairs[split.part[pairs[:, 0]] != split.part[pairs[:, 1]]]
    return parted[identities(sequences, parted[:, 0], parted[:, 1]) >= IDENTITY]


def alone(sequences: SequenceSet) -> Split:
    """A split whose groups are the clusters of k-mers, which nothing joins: as if no alignment were made."""
    table = kmer_table(sequences)
    found = similarities(table, table)
    near = ((row[shared >= SIMILARITY], column[shared >= SIMILARITY]) for row, column, shared in found)
    clusters = components(first_equal(sequences), near)
    return holdout(replace(sequences, split=None, group=clusters.astype(str)), by="group")


def timed(sequences: SequenceSet) -> list[str]:
    """Milliseconds of a pair, by the compiled loop and by Biopython."""
    generator = np.random.default_rng(0)
    left, right = generator.integers(len(sequences), size=(2, TIMED))
    identities(sequences, left[:1], right[:1])
    begin = process_time()
    identities(sequences, left, right)
    ours = process_time() - begin
    costs = {
        "open_gap_score": -11,
        "extend_gap_score": -1,
        "substitution_matrix": substitution_matrices.load("BLOSUM62"),
    }
    if sequences.alphabet is not PROTEIN:
        costs = {"open_gap_score": -5, "extend_gap_score": -2, "match_score": 1, "mismatch_score": -1}
    aligner = PairwiseAligner(mode="local", **costs)
    begin = process_time()
    for i, j in zip(left, right, strict=True):
        for _ in range(2 if sequences.alphabet is DNA else 1):
            next(iter(aligner.align(sequences.sequence(i), sequences.sequence(j)))).counts()
    usual = process_time() - begin
    return [f"{1000 * ours / TIMED:.3f} ms", f"{1000 * usual / TIMED:.2f} ms ({usual / ours:.0f})"]


def split_line(sequences: SequenceSet, name: str) -> list[str]:
    """What remains across parts with k-mers alone, and with alignments; seconds of a split."""
    pairs, shares = pairs_of(sequences)
    pairs = pairs[shares >= SIMILARITY / 10]
    before = across(sequences, alone(sequences), pairs)
    begin = process_time()
    split = holdout(sequences, by="homology", similarity=SIMILARITY, identity=IDENTITY)
    seconds = process_time() - begin
    after = across(sequences, split, pairs)
    return [name, f"{len(sequences):,}", f"{len(before):,}", str(len(after)), f"{seconds:.0f} s", *timed(sequences)]


def main() -> None:
    found, _ = data_sets(SETS)
    lines, costs = [], []
    for name, sequences in found.items():
        kind = f"`{name}`, median length {int(np.median(sequences.lengths))}"
        lines += by_similarity(sequences, kind)
        costs.append(split_line(sequences, name))
        print(*lines, costs[-1], sep="\n", flush=True)
    columns = ["", "similarity", "pairs", "identity, 25 %", "50 %", "75 %", f"share at {IDENTITY:g} or more"]
    text = (
        f"Pairs of different sequences that share a k-mer, up to {DRAWN} drawn from each range. Identity: identical "
        "columns of the best local alignment, of at least 80 % of the shorter sequence.\n\n"
    )
    more = (
        f"\n\nTrain, valid and test parts at a similarity of {SIMILARITY:g} and an identity of {IDENTITY:g}: pairs "
        f"in different parts of this identity or more (among those with a similarity of {SIMILARITY / 10:g}), with "
        "groups of k-mers only and as `seqreg split --by homology` makes them; processor time of that on one core, and "
        "of an alignment of two sequences drawn, in both directions for DNA. In brackets: how many times as long.\n\n"
    )
    heads = ["", "sequences", "k-mers only", "aligned", "split", "a pair", "a pair, by Biopython"]
    body = text + markdown_table(columns, lines) + more + markdown_table(heads, costs)
    write_section(__file__, "Similarity, identity and splits by homology", body)


if __name__ == "__main__":
    main()
