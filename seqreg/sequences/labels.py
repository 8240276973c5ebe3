"""The labels of a set in terms of a target, and what follows from how many sequences there are of each class."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.targets import LabelError, Target, target_of_labels

_MISSING = {
    "nan",
    "na",
    "n/a",
    "#n/a",
    "<na>",
    "nat",
    "null",
    "?",
    "unknown",
}  # what programs write where there is no value


def missing_like(texts: Iterable[str]) -> dict[str, int]:
    """A counted remark on labels that read as if they were missing; they are classes all the same."""
    count = Counter(text for text in texts if text == "None" or text.strip().lower() in _MISSING)
    if not count:
        return {}
    named = ", ".join(map(repr, sorted(count)))
    remark = f"labels that look like missing ones, learned as classes; leave these sequences out if they are ({named})"
    return {remark: count.total()}


def with_labels(
    sequences: SequenceSet, texts: Sequence[str], positive: str | None = None, task: str | None = None
) -> SequenceSet:
    """The sequences with labels as files write them; positive: the class that the data set names as such.

    Raises LabelError for labels of which it is not clear what task they make (see `target_of_labels`).
    """
    target, y = target_of_labels(texts, task)
    if positive in target.names:
        target = target.with_positive(y, positive)
    return replace(sequences, target=target, y=y)


def in_terms_of(sequences: SequenceSet, target: Target) -> SequenceSet:
    """The same sequences, labelled in terms of the target of a model; as they are where they have no labels.

    Raises InputError for the first sequence whose label the model does not know.
    """
    if sequences.target is None or sequences.y is None or sequences.target == target:
        return sequences
    if (differ := target.check_comparable(sequences.target)) is not None:
        raise InputError(differ, file=sequences.source or None)
    try:
        y = target.read(sequences.label_texts())
    except LabelError as error:
        raise InputError(
            error.problem,
            file=sequences.source or None,
            record=error.position + 1,
            record_id=sequences.names[error.position],
            remedy=error.remedy,
        ) from None
    return replace(sequences, target=target, y=y)


def with_positive(sequences: SequenceSet, wanted: str | None = None) -> SequenceSet:
    """The same sequences, the positive class of a binary task settled (see `Target.with_positive`)."""
    if sequences.target is None:
        return sequences
    return replace(sequences, target=sequences.target.with_positive(sequences.y, wanted))


def members_of_classes(sequences: SequenceSet) -> list[NDArray[np.int64]]:
    """Rows of the sequences of each class that has any; of all, where no class has."""
    return [np.flatnonzero(column) for column in sequences.members.T if column.any()] or [np.arange(len(sequences))]


def class_weights(sequences: SequenceSet) -> NDArray[np.float64]:
    """(K,) weights by which all classes count alike: N / (K n_c) for a class of n_c of N sequences, 0 if n_c = 0.

    A sequence with a weight counts as that many.
    """
    weight = np.ones(len(sequences)) if sequences.weight is None else sequences.weight
    counts = weight @ sequences.members
    return np.divide(weight.sum(), len(counts) * counts, out=np.zeros(len(counts)), where=counts > 0)
