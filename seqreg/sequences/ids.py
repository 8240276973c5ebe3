"""Ids that are in two files: `class/id` among the sequences, and the id itself in tables about them."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqreg.sequences.fasta import read_fasta
from seqreg.sequences.raw import RawRecord
from seqreg.sequences.sequence_set import SequenceSet


def with_class(name: str, label: str) -> str:
    """How a sequence is called whose id another class has too."""
    return f"{label}/{name}"


def id_in_file(name: str, label: str = "") -> str | None:
    """The id that a sequence has in its own file, if its name may be `class/id`. label: its class, where known."""
    if label:
        return name.removeprefix(f"{label}/") if name.startswith(f"{label}/") else None
    return name.partition("/")[2] or None


def keys_in(known: Container[str], sequences: SequenceSet) -> list[str]:
    """(N,) under which id a table speaks of each sequence: its name, else the id in its own file.

    The name where the table knows neither. What a table says of an id holds for all sequences that have it.
    """
    keys = list(sequences.names)
    for i, name in enumerate(keys):
        if name not in known:
            own = id_in_file(name, sequences.label(i))
            if own is not None and own in known:
                keys[i] = own
    return keys


def class_records(classes: Sequence[tuple[str, str | Path]], remarks: Counter[str]) -> Iterator[RawRecord]:
    """The records of one FASTA file per class, labelled by it; ids that are in several files get their class before.

    The files are read twice to know those; from standard input, which is read once, an id that is there again stays,
    and is an error further on.
    """
    shared = _shared([path for _, path in classes])
    for label, path in classes:
        for record in read_fasta(path):
            remarks["labels in FASTA headers ignored, as the file names the class"] += bool(record.label)
            if hash(record.name) in shared:
                remarks["ids that are in the files of several classes, written as class/id"] += 1
                record = record._replace(name=with_class(record.name, label))
            yield record._replace(
                label=label, from_header=tuple(field for field in record.from_header if field != "label")
            )


def _shared(paths: Sequence[str | Path]) -> set[int]:
    """Hashes of the ids that are in more than one of the files, in eight bytes per id of memory."""
    if len(paths) < 2 or any(str(path) == "-" for path in paths):
        return set()
    of_files: list[NDArray[np.int64]] = [
        np.unique(np.fromiter((hash(record.name) for record in read_fasta(path)), np.int64)) for path in paths
    ]
    hashes, counts = np.unique(np.concatenate(of_files), return_counts=True)
    return set(hashes[counts > 1].tolist())
