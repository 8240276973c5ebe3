"""Features and strength of a linear baseline by cross-validation within the training part."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from seqreg.baselines.features import Features
from seqreg.linear import Array, Fit, Labels, Rows, draw, fit_each, inner_folds, labels_of, short_views
from seqreg.sequences import SequenceSet
from seqreg.targets import Target
from seqreg.unfinished import Once, Piece, afresh

# Screening every feature map costs most on the longest k-mers, and its ranking is settled by then; strength is settled
# a little later. Above these many training sequences a stratified draw stands for all; the final fit is always on all.
_SCREENED_ON = 1000
_TUNED_ON = 4000
_FINALISTS = 3
# The luck of the draw is large with few sequences: folds are drawn twice. With many, few folds tell as much.
_REPEATED_UP_TO = 500
_FEW_FOLDS, _FEW_FROM = 3, 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One choice of features and c, and what cross-validation says of it.

    score: mean over folds of the metric that decides, auroc (macro for several classes) or spearman. held_out (n, J):
    scores of the n sequences it was tuned on from a fit that had not seen them, NaN for those never held out; y, weight
    (n,): their labels and weights. base (n,): of values, the mean of what that fit had learned from, else 0.
    """

    features: Features
    c: float
    score: float
    held_out: Array
    y: Labels
    weight: Array | None
    base: Array


def tune(
    candidates: Sequence[Features],
    strengths: Sequence[float],
    fit: Fit,
    train: SequenceSet,
    *,
    folds: int,
    seed: int,
    once: Once = afresh,
) -> list[Trial]:
    """Trials of the finalists, best first; none where there are too few sequences to hold any out.

    Every candidate is screened at two strengths, a quarter and three quarters up the list; the best three then meet
    every strength. Equal scores: the earlier candidate, then the smaller strength. Groups stay on one side of a fold.
    """
    screened = (strengths[len(strengths) // 4], strengths[3 * len(strengths) // 4])
    first = _trials(candidates, screened, fit, draw(train, _SCREENED_ON, seed), folds, [seed], once)
    best_first = sorted(first, key=lambda trial: -trial.score)
    finalists = list(dict.fromkeys(trial.features for trial in best_first))[:_FINALISTS]
    finalists.sort(key=candidates.index)
    seeds = [seed, seed + 1] if len(train) <= _REPEATED_UP_TO else [seed]
    folds = min(folds, _FEW_FOLDS) if len(train) > _FEW_FROM else folds
    second = _trials(finalists, strengths, fit, draw(train, _TUNED_ON, seed), folds, seeds, once)
    return sorted(second, key=lambda trial: -trial.score)


def _trials(
    candidates: Sequence[Features],
    strengths: Sequence[float],
    fit: Fit,
    train: SequenceSet,
    folds: int,
    seeds: Sequence[int],
    once: Once,
) -> list[Trial]:
    """Every candidate at every strength, on folds drawn once with each seed."""
    target, y = labels_of(train)
    learned = target.learned(y)
    splits = [split for seed in seeds for split in inner_folds(train, folds, seed)]
    counts: dict[tuple[int, bool], csr_array] = {}
    trials: list[Trial] = []

    def read(features: Features) -> list[tuple[Rows, Rows]]:
        return short_views(features.matrix(train, counts), splits, wide=features.columns(train.alphabet) > len(y))

    def measured(features: Features) -> Piece:
        held_out, base = np.full((len(strengths), len(y), target.outputs), np.nan), np.zeros(len(y))
        values: list[list[float]] = [[] for _ in strengths]
        for (inner, outer), (kept, left_out) in zip(splits, read(features), strict=True):
            weight = None if train.weight is None else train.weight[inner]
            weight_outer = None if train.weight is None else train.weight[outer]
            base[outer] = 0.0 if target.probabilistic else np.average(learned[inner], weights=weight)
            for i, (coef, intercept) in enumerate(fit_each(fit, kept, learned[inner], strengths, weight, seeds[0])):
                held_out[i, outer] = left_out @ coef.T + intercept
                values[i] += _score(target, y[outer], held_out[i, outer], weight_outer)
        scores = [float(np.mean(of_folds)) if of_folds else None for of_folds in values]
        return {"scores": scores, "held_out": held_out, "base": base}

    for features in candidates:
        piece = once(partial(measured, features))
        found = zip(strengths, piece["scores"], piece["held_out"], strict=True)
        shared = {"features": features, "base": piece["base"], "y": y, "weight": train.weight}
        trials += [Trial(c=c, score=score, held_out=out, **shared) for c, score, out in found if score is not None]
    return trials


def _score(target: Target, y: Labels, scores: Array, weight: Array | None) -> list[float]:
    """The metric that decides in a list, or nothing where the fold leaves it undefined.

    Of logarithms: probabilities that round to 1 would be ties.
    """
    metric = target.metrics[target.headline[0]]
    (found,) = metric(y, target.log_odds(scores), counts=np.ones((1, len(y))) if weight is None else weight[None])
    return [] if np.isnan(found) else [float(found)]
