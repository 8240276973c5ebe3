"""What a setting is judged by: sequences held out from the training part. Test sequences never come in here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.evaluation import evaluate
from seqreg.linear import holds_all_classes
from seqreg.sequences import SequenceSet, homology_groups
from seqreg.sequences import folds as into_folds

Predict = Callable[[SequenceSet], NDArray[np.float64]]
Pair = tuple[SequenceSet, SequenceSet]


def inner_splits(train: SequenceSet, *, folds: int, by: Any = None, seed: int = 0) -> list[Pair]:
    """Pairs of kept and held-out sequences, without the folds whose kept part lacks a class."""
    try:
        split = into_folds(train, folds, by=by, seed=seed)
    except InputError:  # fewer groups than folds
        return []
    pairs = [split.fold(number) for number in range(1, folds + 1)]
    return [(train.subset(kept), train.subset(held_out)) for kept, held_out in pairs if holds_all_classes(train, kept)]


def most_folds(train: SequenceSet, folds: int, by: Any = None, seed: int = 0) -> int:
    """The number of folds, or as many as there can be with two or more of them left.

    Raises InputError where there are too few sequences, or groups, to hold any out.
    """
    for k in range(min(folds, len(train)), 1, -1):
        if len(inner_splits(train, folds=k, by=by, seed=seed)) > 1:
            return k
    raise InputError(
        f"{len(train)} training sequences are too few, or in too few groups, to compare settings on held-out ones",
        file=train.source or None,
        remedy="Give more, or use seqreg train",
    )


def with_groups(
    train: SequenceSet, *, by: Any = None, similarity: float = 0.3, identity: float = 0.7
) -> tuple[SequenceSet, Any]:
    """The sequences with what must stay on one side as their groups, and how they are then to be split."""
    train = replace(train, split=None)
    if by != "homology":
        return train, by
    groups, _ = homology_groups(train, similarity=similarity, identity=identity)
    return replace(train, group=np.array([f"h{number + 1}" for number in groups])), "group"


def score(predict: Predict, sequences: SequenceSet) -> dict[str, float | None]:
    """Every metric on labelled sequences; None where it is undefined."""
    return evaluate(*sequences.labelled(), predict(sequences), resamples=0).values
