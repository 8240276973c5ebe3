"""From label texts to class indices, and what follows from them: the positive class and class weights."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.specs import unknown_name

_POSITIVE_NAMES = ("positive", "pos", "1", "true", "yes")


def targets(labels: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64] | NDArray[np.uint8]]:
    """Sorted class names and y: (N,) class indices, or (N, K) of zeros and ones if any label joins several by `;`.

    In a multi-label task a lone `;` means that a sequence belongs to none of the classes.
    """
    distinct = sorted(set(labels))
    parts = {label: {part.strip() for part in label.split(";")} - {""} for label in distinct}
    classes = tuple(sorted(set().union(*parts.values())))
    if not any(";" in label for label in distinct):
        number = {label: classes.index(label) for label in distinct}
        return classes, np.fromiter((number[label] for label in labels), np.int64, len(labels))
    row_of = {label: row for row, label in enumerate(distinct)}
    rows = np.array([[name in parts[label] for name in classes] for label in distinct], dtype=np.uint8)
    return classes, rows[np.fromiter((row_of[label] for label in labels), np.int64, len(labels))]


def label_texts(y: NDArray[np.int64] | NDArray[np.uint8], classes: Sequence[str]) -> list[str]:
    """The label of each sequence, from y as `targets` gives it; several joined by `;`, empty where there is none."""
    if y.ndim == 1:
        return [classes[int(k)] for k in y]
    return [";".join(name for name, carried in zip(classes, row, strict=True) if carried) for row in y.tolist()]


def with_classes(sequences: SequenceSet, classes: Sequence[str], *, multi_label: bool = False) -> SequenceSet:
    """The same sequences, labelled in terms of the classes of a model.

    Raises InputError for the first sequence whose label the model does not know.
    """
    if sequences.y is None:
        return sequences
    number = {name: position for position, name in enumerate(classes)}
    unknown = [name for name in sequences.classes if name not in number]
    carried = carried_classes(sequences)
    if unknown:
        columns = [sequences.classes.index(name) for name in unknown]
        wrong = np.flatnonzero(carried[:, columns].any(axis=1))
        if len(wrong):
            first = int(wrong[0])
            raise InputError(
                f"label {sequences.label(first)!r} is not a class of the model",
                file=sequences.source or None,
                record=first + 1,
                record_id=sequences.names[first],
                remedy=f"Its classes are {', '.join(classes)}.",
            )
    if sequences.multi_label and not multi_label:
        several = np.flatnonzero(carried.sum(axis=1) != 1)
        if len(several):
            first = int(several[0])
            raise InputError(
                f"label {sequences.label(first)!r}: the model gives every sequence exactly one class",
                file=sequences.source or None,
                record=first + 1,
                record_id=sequences.names[first],
            )
    y = np.zeros((len(sequences), len(classes)), dtype=np.uint8)
    for position, name in enumerate(sequences.classes):
        if name in number:
            y[:, number[name]] = carried[:, position]
    return replace(sequences, classes=tuple(classes), y=y if multi_label else y.argmax(axis=1).astype(np.int64))


def carried_classes(sequences: SequenceSet) -> NDArray[np.uint8]:
    """(N, K) of zeros and ones: which classes each sequence carries."""
    if sequences.y is None:
        return np.zeros((len(sequences), 0), dtype=np.uint8)
    if sequences.multi_label:
        return np.asarray(sequences.y, dtype=np.uint8)
    return (sequences.y[:, None] == np.arange(len(sequences.classes))).astype(np.uint8)


def members_of_classes(sequences: SequenceSet) -> list[NDArray[np.int64]]:
    """Rows of the sequences of each class that has any; of all, where no class has."""
    carried = carried_classes(sequences)
    return [np.flatnonzero(column) for column in carried.T if column.any()] or [np.arange(len(sequences))]


def choose_positive(sequences: SequenceSet, wanted: str | None = None) -> str | None:
    """The positive class of a binary task, None for any other task.

    In this order: the one asked for, the one the data set names, one called positive, pos, 1, true or yes, the rarer
    one (the last by name if both are equally frequent).
    """
    if wanted is not None and wanted not in sequences.classes:
        raise unknown_name("class", wanted, list(sequences.classes))
    if len(sequences.classes) != 2 or sequences.multi_label:
        return None
    if wanted or sequences.positive:
        return wanted or sequences.positive
    named = next((name for name in sequences.classes if name.lower() in _POSITIVE_NAMES), None)
    first, last = carried_classes(sequences).sum(axis=0)
    return named or sequences.classes[0 if first < last else 1]


def class_weights(sequences: SequenceSet) -> NDArray[np.float64]:
    """(K,) weights by which all classes count alike: N / (K n_c) for a class of n_c of N sequences, 0 if n_c = 0.

    A sequence with a weight counts as that many.
    """
    weight = np.ones(len(sequences)) if sequences.weight is None else sequences.weight
    counts = weight @ carried_classes(sequences)
    return np.divide(weight.sum(), len(counts) * counts, out=np.zeros(len(counts)), where=counts > 0)
