"""Features and strength of a linear baseline by cross-validation within the training part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from seqreg.baselines.features import OneHotFeatures, KmerFeatures
from seqreg.baselines.linear import Array, Fit, Labels, probabilities
from seqreg.metrics import UndefinedMetricError, auroc
from seqreg.sequences import SequenceSet

Features = KmerFeatures | OneHotFeatures
Split = tuple[NDArray[np.int64], NDArray[np.int64]]

# Screening every feature map costs most on the longest k-mers, and its ranking is settled by then; strength is settled
# a little later. Above these many training sequences a stratified draw stands for all; the final fit is always on all.
_SCREENED_ON = 1000
_TUNED_ON = 4000
_FINALISTS = 3
_REPEATED_BELOW = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One choice of features and c: mean auroc over folds; scores (n, J) of the sequences when they were held out."""

    features: Features
    c: float
    auroc: float
    held_out: Array
    y: Labels


def tune(
    candidates: Sequence[Features],
    strengths: Sequence[float],
    fit: Fit,
    train: SequenceSet,
    *,
    folds: int,
    seed: int,
) -> list[Trial]:
    """All trials, best first; empty where there are too few sequences to hold any out.

    Every candidate is screened at two strengths, a quarter and three quarters up the list; the best three then meet
    every strength. Equal aurocs: the earlier candidate, then the smaller strength. Groups stay on one side of a fold.
    """
    screened = [strengths[len(strengths) // 4], strengths[3 * len(strengths) // 4]]
    trials = _trials(candidates, screened, fit, drawn(train, _SCREENED_ON, seed), folds=folds, seed=seed)
    best_first = sorted(trials, key=lambda trial: -trial.auroc)
    finalists = list(dict.fromkeys(trial.features for trial in best_first))[:_FINALISTS]
    finalists.sort(key=candidates.index)
    final = _trials(finalists, strengths, fit, drawn(train, _TUNED_ON, seed), folds=folds, seed=seed)
    return sorted(final, key=lambda trial: -trial.auroc)
