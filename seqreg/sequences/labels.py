"""The labels of a set in terms of a target, and what follows from how many sequences there are of each class."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.targets import LabelError, Target, target_of_labels


def with_labels(sequences: SequenceSet, texts: Sequence[str], positive: str | None = None) -> SequenceSet:
    """The sequences with labels as files write them; positive: the class that the data set names as such."""
    target, y = target_of_labels(texts)
    if positive in target.names:
        target = target.with_positive(y, positive)
    return replace(sequences, target=target, y=y)


def in_terms_of(sequences: SequenceSet, target: Target) -> SequenceSet:
    """The same sequences, labelled in terms of the target of a model; as they are where they have no labels.

    Raises InputError for the first sequence whose label the model does not know.
    """
    if sequences.target is None or sequences.y is None or sequences.target == target:
        return sequences
    try:
        y = target.read([text or ";" for text in sequences.target.texts(sequences.y)])
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
