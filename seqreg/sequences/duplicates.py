"""Equal sequences: where they disagree in label, and where they lie on both sides of a split."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seqreg.sequences.sequence_set import SequenceSet


def first_equal(sequences: SequenceSet) -> NDArray[np.int64]:
    """(N,) position of the first sequence with the same letters as each sequence; its own where it is the first."""
    offsets = sequences.offsets.tolist()
    codes = np.ascontiguousarray(sequences.codes).data
    hashes = np.fromiter(
        (hash(codes[start:end].tobytes()) for start, end in pairwise(offsets)),
        np.int64,
        len(sequences),
    )
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return first[inverse]


def shared_across(key: NDArray[np.int64], value: NDArray[np.int64]) -> NDArray[np.int64]:
    """The keys (sorted) that occur with more than one value."""
    pairs = np.unique(np.stack([key, value], axis=1), axis=0)
    keys, times = np.unique(pairs[:, 0], return_counts=True)
    return keys[times > 1]


def duplicate_remarks(sequences: SequenceSet) -> dict[str, int]:
    """Counted remarks on equal sequences with different labels, and on those in different parts of the split."""
    if sequences.y is None and sequences.split is None:
        return {}
    equal = first_equal(sequences)
    remarks: dict[str, int] = {}
    if sequences.y is not None:
        labels = np.unique(sequences.y, axis=0, return_inverse=True)[1].reshape(-1)
        what = "labels" if sequences.target is None or sequences.target.probabilistic else "values"
        remarks |= _counted(f"sequences that occur with conflicting {what}", sequences, shared_across(equal, labels))
    if sequences.split is not None:
        remarks |= across_parts(sequences, sequences.split, equal)
    return remarks


def across_parts(sequences: SequenceSet, part: NDArray[np.str_], equal: NDArray[np.int64]) -> dict[str, int]:
    """A counted remark on equal sequences that lie in different parts; sequences in no part do not count."""
    used = np.flatnonzero(part != "")
    crossing = shared_across(equal[used], np.unique(part[used], return_inverse=True)[1].reshape(-1))
    return _counted("sequences that occur in more than one part of the split", sequences, crossing)


def _counted(what: str, sequences: SequenceSet, positions: NDArray[np.int64]) -> dict[str, int]:
    return {f"{what} ({first_three(sequences, positions)})": len(positions)} if len(positions) else {}


def first_three(sequences: SequenceSet, positions: Iterable[int]) -> str:
    """Up to three ids, and dots if there are more."""
    names = [sequences.names[position] for position in positions]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
