"""How a setting is chosen: by cross-validation on training sequences. Test sequences never come in here."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqreg.errors import DivergedError
from seqreg.sequences import SequenceSet
from seqreg.tuning.folds import Predict, inner_splits, score

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
