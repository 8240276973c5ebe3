"""The sequences that a linear classifier learns from, and the folds that judge it: by class, with groups kept whole."""

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import UsageError
from seqreg.sequences import SequenceSet, kept_together
from seqreg.targets import Target

Labels = NDArray[np.int64] | NDArray[np.uint8] | NDArray[np.float64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def inner_folds(train: SequenceSet, folds: int, seed: int) -> list[Split]:
    """(kept, held out) row numbers of up to `folds` folds, stratified as the target balances them, groups whole.

    [] where there are none. Folds whose kept part lacks a class are left out. Equal sequences stay together as groups
    do.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    target, y = train.labelled()
    n, classes, together = len(y), target.balance(y), kept_together(train)
    if together is not None:
        folds = min(folds, int(together.max(initial=-1)) + 1)
    folds = min(folds, n if classes is None else int(np.bincount(classes).min()))
    if folds < 2:
        return []
    if classes is None:
        plan = KFold if together is None else GroupKFold
    else:
        plan = StratifiedKFold if together is None else StratifiedGroupKFold
    splits = plan(folds, shuffle=True, random_state=seed).split(np.zeros(n), classes, together)
    return [(inner, outer) for inner, outer in splits if len(outer) and holds_all_classes(train, inner)]


def holds_all_classes(train: SequenceSet, rows: NDArray[np.int64]) -> bool:
    """Whether these rows hold a sequence of every class that occurs; of labels, each is learned by itself."""
    target, y = train.labelled()
    classes = target.one_class(y)
    return classes is None or len(np.unique(classes[rows])) == len(np.unique(classes))


def labels_of(train: SequenceSet) -> tuple[Target, Labels]:
    """Target and labels of a training set, the target having seen them.

    Raises UsageError where there are none, and for a class without sequence.
    """
    if train.target is None or train.y is None:
        raise UsageError("a baseline learns from labelled sequences; these have no labels")
    classes = train.target.one_class(train.y)
    if classes is not None:
        sizes = np.bincount(classes, minlength=len(train.classes))
        if (sizes == 0).any():
            raise UsageError(f"class {train.classes[int(np.argmin(sizes))]!r} has no sequence to learn from")
    return train.target.learned_from(train.y, train.weight), train.y


def draw(sequences: SequenceSet, most: int, seed: int) -> SequenceSet:
    """The sequences, or `most` of them drawn at random in the shares of the classes, but at least 10 of each."""
    n = len(sequences)
    if n <= most:
        return sequences
    order = np.random.default_rng(seed).permutation(n)
    target, y = labels_of(sequences)
    classes = target.one_class(y)
    if classes is not None:
        turn = np.empty(n)
        for k in range(len(sequences.classes)):
            members = np.flatnonzero(classes[order] == k)
            place = np.arange(len(members))
            turn[members] = np.where(place < 10, -1, place / len(members))
        order = order[np.argsort(turn, kind="stable")]
    return sequences.subset(np.sort(order[:most]))
