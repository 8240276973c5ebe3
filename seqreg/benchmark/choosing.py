"""How a setting is chosen: by cross-validation on training sequences. Test sequences never come in here."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import DivergedError, InputError
from seqreg.evaluation import evaluate
from seqreg.sequences import SequenceSet
from seqreg.sequences import folds as into_folds

Predict = Callable[[SequenceSet], NDArray[np.float64]]
# A learner: a setting and training sequences in, class probabilities of any sequences out.
Learn = Callable[[Mapping[str, Any], SequenceSet], Predict]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """number: which of the settings. scores: mean over folds for each setting, -inf where training diverged; empty
    where there was nothing to choose.
    """

    number: int
    scores: tuple[float, ...] = ()


def choose(
    settings: Sequence[Mapping[str, Any]],
    train: SequenceSet,
    learn: Learn,
    *,
    metric: str = "auroc",
    folds: int = 3,
    by: Any = None,
    seed: int = 0,
) -> Choice:
    """The setting with the best mean score on the held-out folds of `train`, the first of equals."""
    if len(settings) == 1:
        return Choice(number=0)
    splits = inner_splits(train, folds=folds, by=by, seed=seed)
    scores = tuple(_mean_score(setting, splits, learn, metric) for setting in settings)
    return Choice(number=int(np.argmax(scores)), scores=scores)


def inner_splits(
    train: SequenceSet, *, folds: int, by: Any = None, seed: int = 0
) -> list[tuple[SequenceSet, SequenceSet]]:
    """Pairs of kept and held-out sequences, without the folds whose kept part lacks a class."""
    try:
        split = into_folds(train, folds, by=by, seed=seed)
    except InputError:  # fewer groups than folds
        return []
    pairs = [split.fold(number) for number in range(1, folds + 1)]
    classes = len(train.classes)
    return [
        (train.subset(kept), train.subset(held_out))
        for kept, held_out in pairs
        if train.multi_label or len(np.unique(train.y[kept])) == classes  # pyright: ignore[reportOptionalSubscript]
    ]


def score(predict: Predict, sequences: SequenceSet) -> dict[str, float | None]:
    """Every metric on labelled sequences; None where it is undefined."""
    p = predict(sequences)
    assert sequences.y is not None
    multi = sequences.multi_label
    return evaluate(
        sequences.y, p, sequences.classes, sequences.positive if not multi else None, multi_label=multi, resamples=0
    ).values


def _mean_score(
    setting: Mapping[str, Any], splits: Sequence[tuple[SequenceSet, SequenceSet]], learn: Learn, metric: str
) -> float:
    """Mean over folds that define the metric; 0 where none does, -inf where training diverged."""
    values: list[float] = []
    for kept, held_out in splits:
        try:
            value = score(learn(setting, kept), held_out)[metric]
        except DivergedError:
            return -math.inf
        if value is not None:
            values.append(value)
    return float(np.mean(values)) if values else 0.0
