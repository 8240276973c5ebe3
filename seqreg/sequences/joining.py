"""Several inputs as one set: training, validation and test sequences that were given apart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.sequences.duplicates import duplicate_remarks
from seqreg.sequences.labels import carried_classes
from seqreg.sequences.sequence_set import SequenceSet


def joined(parts: Mapping[str, SequenceSet]) -> SequenceSet:
    """One set whose split says which part ("train", "valid", "test") each sequence came from.

    Classes are those of all parts together; the positive class is the first part's. An id that occurs twice is
    written `part:id` where it occurs again. Raises InputError for different alphabets or a part without labels.
    """
    sets = list(parts.values())
    first = sets[0]
    for title, other in parts.items():
        if other.alphabet is not first.alphabet:
            raise InputError(
                f"the {title} part is {other.alphabet.name}, the others are {first.alphabet.name}",
                file=other.source or None,
                remedy="Name the alphabet with --alphabet.",
            )
        if (other.y is None) != (first.y is None):
            unlabelled = other if other.y is None else first
            raise InputError("sequences without labels, while other parts have some", file=unlabelled.source or None)
    multi_label = any(one.multi_label for one in sets)
    classes = tuple(sorted({name for one in sets for name in one.classes}))
    carried = np.concatenate([_columns(one, classes) for one in sets])
    y = None if first.y is None else carried if multi_label else carried.argmax(axis=1).astype(np.int64)
    bounds = np.cumsum([0, *(len(one.codes) for one in sets)])
    together = SequenceSet(
        alphabet=first.alphabet,
        names=_unique_names(parts),
        codes=np.concatenate([one.codes for one in sets]),
        offsets=np.concatenate([[0], *(one.offsets[1:] + start for one, start in zip(sets, bounds, strict=False))]),
        classes=classes,
        y=y,
        positive=first.positive,
        split=np.repeat(list(parts), [len(one) for one in sets]),
        group=_filled([one.group for one in sets], sets, ""),
        weight=_filled([one.weight for one in sets], sets, 1.0),
        source=", ".join(dict.fromkeys(one.source for one in sets)),
    )
    remarks = [warning for one in sets for warning in one.warnings]
    remarks += [f"{what}: {count}" for what, count in duplicate_remarks(together).items()]
    return replace(together, warnings=tuple(dict.fromkeys(remarks)))


def _columns(sequences: SequenceSet, classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """(N, K) of zeros and ones in terms of more classes."""
    columns = np.zeros((len(sequences), len(classes)), dtype=np.uint8)
    columns[:, [classes.index(name) for name in sequences.classes]] = carried_classes(sequences)
    return columns


def _unique_names(parts: Mapping[str, SequenceSet]) -> list[str]:
    names: list[str] = []
    seen: set[str] = set()
    for title, sequences in parts.items():
        names += [f"{title}:{name}" if name in seen else name for name in sequences.names]
        seen.update(sequences.names)
    return names


def _filled(columns: Sequence[NDArray[Any] | None], sets: Sequence[SequenceSet], default: Any) -> NDArray[Any] | None:
    """The column end to end, with a default where a set has none; None if no set has it."""
    if all(column is None for column in columns):
        return None
    whole = [
        np.full(len(one), default) if column is None else column for one, column in zip(sets, columns, strict=True)
    ]
    return np.concatenate(whole)
