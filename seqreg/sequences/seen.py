"""What a model has learned from, as digests of the sequences: enough to know one again, and no more than that."""

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqreg.sequences.fasta import write_lines
from seqreg.sequences.sequence_set import SequenceSet

FILE = "seen.txt"
_BYTES = 8


def write_seen(folder: Path, learned: SequenceSet) -> None:
    """Write seen.txt, a digest of each distinct sequence, sorted."""
    write_lines(folder / FILE, sorted(set(_digests(learned))))


def read_seen(folder: Path) -> frozenset[str]:
    """The digests that a folder keeps; none where it keeps none."""
    path = folder / FILE
    return frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else frozenset()


def are_seen(sequences: SequenceSet, seen: frozenset[str]) -> NDArray[np.bool_]:
    """(N,) whether each was learned from."""
    return np.fromiter((digest in seen for digest in _digests(sequences)), np.bool_, len(sequences))


def _digests(sequences: SequenceSet) -> Iterable[str]:
    """Of the symbol codes, so that U and T, and small letters, make no difference."""
    codes = np.ascontiguousarray(sequences.codes, dtype=np.uint8).data
    for start, end in pairwise(sequences.offsets.tolist()):
        yield hashlib.blake2b(codes[start:end], digest_size=_BYTES).hexdigest()
