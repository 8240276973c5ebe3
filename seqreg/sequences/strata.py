"""Parts of a set that keep the shares of its classes, sequence by sequence or group by group."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqreg.sequences.sequence_set import SequenceSet


def strata(sequences: SequenceSet) -> NDArray[np.int64]:
    """(N,) by which to stratify, as the target says; all alike without labels."""
    if sequences.target is None or sequences.y is None:
        return np.zeros(len(sequences), dtype=np.int64)
    return sequences.target.strata(sequences.y)


def stratified_order(
    classes: NDArray[np.int64], generator: np.random.Generator, *, every_class_first: bool = False
) -> NDArray[np.int64]:
    """A random order (N,) of which every beginning holds each class in its share, to within one.

    Member r of a class of size n is placed at the quantile (r + 1/2) / n, or r / n so that all classes come first.
    """
    order = generator.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    sizes = np.bincount(classes)
    begins = np.cumsum(sizes) - sizes
    rank = np.arange(len(classes)) - np.repeat(begins, sizes)
    quantile = (rank + (0 if every_class_first else 0.5)) / np.repeat(sizes, sizes)
    ties = generator.permutation(len(classes))
    return order[np.lexsort((ties, quantile))]


def stratified_parts(
    classes: NDArray[np.int64], shares: Sequence[float], generator: np.random.Generator
) -> NDArray[np.int64]:
    """(N,) part numbers: each part in turn takes the beginning of a stratified order, the last one the rest."""
    number = np.full(len(classes), len(shares) - 1)
    rest = np.arange(len(classes))
    for part, share in enumerate(shares[:-1]):
        order = rest[stratified_order(classes[rest], generator)]
        wanted = round(share / sum(shares[part:]) * len(rest))
        number[order[:wanted]] = part
        rest = np.sort(order[wanted:])
    return number


def class_counts(sequences: SequenceSet, groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """(G, K) sequences of each class in each group."""
    classes = strata(sequences)
    counts = np.zeros((int(groups.max()) + 1, int(classes.max()) + 1))
    np.add.at(counts, (groups, classes), 1)
    return counts


def grouped_parts(
    sequences: SequenceSet, groups: NDArray[np.int64], shares: Sequence[float], generator: np.random.Generator
) -> NDArray[np.int64]:
    """(N,) part numbers; each group, the large ones first, goes where it brings all classes nearest to their shares.

    The distance that is made smaller is sum_{p,c} (n_pc / n_c - share_p)^2 / share_p, as in stratified group k-fold.
    """
    counts = class_counts(sequences, groups)
    total = np.maximum(counts.sum(axis=0), 1)
    wanted = np.array(shares)[:, None]
    order = generator.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled = np.zeros((len(shares), counts.shape[1]))
    part_of = np.empty(len(counts), dtype=np.int64)
    for group in order:
        added = counts[group] / total
        growth = (added * (added + 2 * (filled - wanted)) / wanted).sum(axis=1)
        part_of[group] = part = int(growth.argmin())
        filled[part] += added
    return part_of[groups]
