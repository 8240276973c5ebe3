"""What must stay on one side of every split: members of a group, and sequences that are the same molecule."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import DNA
from seqreg.sequences.duplicates import first_equal
from seqreg.sequences.sequence_set import SequenceSet


def kept_together(sequences: SequenceSet) -> NDArray[np.int64] | None:
    """(N,) numbers of what stays together; None where every sequence is on its own.

    Together are the members of a group, equal sequences, and of DNA those that are each other's reverse complement: a
    molecule has both strands, and whether a model reads them as one is decided later. Chains of these count too.
    """
    equal = same_molecule(sequences)
    alone = bool((equal == np.arange(len(sequences))).all())
    if sequences.group is None:
        return None if alone else np.unique(equal, return_inverse=True)[1]
    groups = group_numbers(sequences)
    if alone:
        return groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = np.unique(groups, return_index=True)[1][groups]
    n, rows = len(groups), np.arange(len(groups))
    links = coo_array((np.ones(2 * n), (np.tile(rows, 2), np.concatenate([equal, first]))), shape=(n, n))
    return connected_components(links, directed=False)[1].astype(np.int64)


def group_numbers(sequences: SequenceSet) -> NDArray[np.int64]:
    """(N,) numbers of the groups, in the order of their names; a sequence without a group is one of its own."""
    assert sequences.group is not None
    numbers = np.unique(sequences.group, return_inverse=True)[1]
    alone = np.flatnonzero(sequences.group == "")
    numbers[alone] = numbers.max(initial=0) + 1 + np.arange(len(alone))
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def same_molecule(sequences: SequenceSet) -> NDArray[np.int64]:
    """(N,) position of the first sequence with the same letters, of DNA on either strand."""
    equal = first_equal(sequences)
    if sequences.alphabet is not DNA or DNA.complement is None or not len(sequences):
        return equal
    turned = replace(
        sequences,
        codes=np.concatenate([DNA.complement[sequences.codes][::-1], sequences.codes]),
        offsets=np.concatenate([_turned(sequences.offsets), sequences.offsets[1:] + sequences.offsets[-1]]),
        names=(),
        vectors={},
    )
    of_both = first_equal(turned)  # reverse complements in reverse order, then the sequences as they are
    n = len(sequences)
    # Of a sequence: whether its own letters occur among the reverse complements, and of which sequence.
    other = n - 1 - of_both[n:]
    found = of_both[n:] < n
    first = np.where(found, np.minimum(equal, equal[np.where(found, other, 0)]), equal)
    return np.minimum(first, first[first])


def _turned(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    return offsets[-1] - offsets[::-1]


def joined_to_sources(sequences: SequenceSet) -> SequenceSet:
    """A sequence without a group joins the group that has its id for a name: shuffles carry the id of their source."""
    if sequences.group is None or not (sequences.group == "").any():
        return sequences
    known = set(sequences.group.tolist())
    own = np.array([name if name in known else "" for name in sequences.names], dtype=np.str_)
    return replace(sequences, group=np.where(sequences.group == "", own, sequences.group))
