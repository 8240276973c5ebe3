"""Features and strength of a linear baseline by cross-validation within the training part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_array
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from seqreg.baselines.features import KmerFeatures, OneHotFeatures
from seqreg.baselines.linear import Array, Fit, Labels
from seqreg.errors import UsageError
from seqreg.metrics import auroc
from seqreg.sequences import SequenceSet
from seqreg.targets import Target
from seqreg.unfinished import Once, Piece, afresh

Features = KmerFeatures | OneHotFeatures
Rows = csr_array | Array
Split = tuple[NDArray[np.int64], NDArray[np.int64]]

# Screening every feature map costs most on the longest k-mers, and its ranking is settled by then; strength is settled
# a little later. Above these many training sequences a stratified draw stands for all; the final fit is always on all.
_SCREENED_ON = 1000
_TUNED_ON = 4000
_FINALISTS = 3
# The luck of the draw is large with few sequences: folds are drawn twice.
_REPEATED_UP_TO = 500
# Dense rows of n columns pay up to about here.
_SHORTENED_UP_TO = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One choice of features and c, and what cross-validation says of it.

    auroc: mean over folds (macro for several classes). held_out (n, J): scores of the n sequences it was tuned on from
    a fit that had not seen them, NaN for those never held out; y (n,) or (n, K), weight (n,): their labels and weights.
    """

    features: Features
    c: float
    auroc: float
    held_out: Array
    y: Labels
    weight: Array | None


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
    every strength. Equal aurocs: the earlier candidate, then the smaller strength. Groups stay on one side of a fold.
    """
    screened = (strengths[len(strengths) // 4], strengths[3 * len(strengths) // 4])
    first = _trials(candidates, screened, fit, drawn(train, _SCREENED_ON, seed), folds, [seed], once)
    best_first = sorted(first, key=lambda trial: -trial.auroc)
    finalists = list(dict.fromkeys(trial.features for trial in best_first))[:_FINALISTS]
    finalists.sort(key=candidates.index)
    seeds = [seed, seed + 1] if len(train) <= _REPEATED_UP_TO else [seed]
    second = _trials(finalists, strengths, fit, drawn(train, _TUNED_ON, seed), folds, seeds, once)
    return sorted(second, key=lambda trial: -trial.auroc)


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
    splits = [split for seed in seeds for split in inner_folds(train, folds, seed)]
    counts: dict[tuple[int, bool], csr_array] = {}
    trials: list[Trial] = []

    def read(features: Features) -> list[tuple[Rows, Rows]]:
        return short_views(features.matrix(train, counts), splits, wide=features.columns(train.alphabet) > len(y))

    def measured(views: Callable[[], list[tuple[Rows, Rows]]], c: float) -> Piece:
        held_out = np.full((len(y), target.outputs), np.nan)
        values: list[float] = []
        for (inner, outer), (kept, left_out) in zip(splits, views(), strict=True):
            weight = None if train.weight is None else train.weight[inner]
            coef, intercept = fit(kept, y[inner], c, weight, seeds[0])
            held_out[outer] = left_out @ coef.T + intercept
            weight = None if train.weight is None else train.weight[outer]
            values += _auroc(target, y[outer], held_out[outer], weight)
        return {"auroc": float(np.mean(values)) if values else None, "held_out": held_out}

    for features in candidates:
        views = cache(partial(read, features))
        for c in strengths:
            piece = once(partial(measured, views, c))
            if piece["auroc"] is not None:
                trials.append(Trial(features=features, c=c, **piece, y=y, weight=train.weight))
    return trials


def short_views(rows: Rows, splits: Sequence[Split], *, wide: bool) -> list[tuple[Rows, Rows]]:
    """Rows kept and rows held out of each split, short where they may be.

    A penalized linear fit never leaves the span of its n rows. In an orthonormal basis of the span the kept rows are a
    Cholesky factor of their Gram matrix: n columns in place of D, and the same scores in a fraction of the time.
    """
    if isinstance(rows, np.ndarray) or len(rows.indptr) - 1 > _SHORTENED_UP_TO or not wide:
        return [(rows[inner], rows[outer]) for inner, outer in splits]
    n = len(rows.indptr) - 1
    gram = (rows @ rows.T).toarray()
    # Equal sequences make it singular.
    gram[np.diag_indices(n)] += 1e-9
    views: list[tuple[Rows, Rows]] = []
    for inner, outer in splits:
        factor = cholesky(gram[np.ix_(inner, inner)], lower=True)
        views.append((factor, solve_triangular(factor, gram[np.ix_(inner, outer)], lower=True).T))
    return views


def _auroc(target: Target, y: Labels, scores: Array, weight: Array | None) -> list[float]:
    """The area under the ROC curve in a list, or nothing where the fold leaves it undefined.

    Of logarithms: probabilities that round to 1 would be ties.
    """
    (area,) = auroc(y, target.log_odds(scores), counts=np.ones((1, len(y))) if weight is None else weight[None])
    return [] if np.isnan(area) else [float(area)]


def inner_folds(train: SequenceSet, folds: int, seed: int) -> list[Split]:
    """(kept, held out) row numbers of up to `folds` folds, stratified by class, groups whole; [] where there are none.

    Folds whose kept part lacks a class are left out. An empty group name is a group of its own.
    """
    target, y = train.labelled()
    n, classes, together = len(y), target.one_class(y), None
    if train.group is not None:
        alone = np.array([f"\0{i}" for i in range(n)])
        together = np.unique(np.where(train.group == "", alone, train.group), return_inverse=True)[1]
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
    """Target and labels of a training set. Raises UsageError where there are none, and for a class without sequence."""
    if train.target is None or train.y is None:
        raise UsageError("a baseline learns from labelled sequences; these have no labels")
    classes = train.target.one_class(train.y)
    if classes is not None:
        sizes = np.bincount(classes, minlength=len(train.classes))
        if (sizes == 0).any():
            raise UsageError(f"class {train.classes[int(np.argmin(sizes))]!r} has no sequence to learn from")
    return train.target, train.y


def drawn(sequences: SequenceSet, most: int, seed: int) -> SequenceSet:
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
