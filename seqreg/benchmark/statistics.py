"""Comparing methods over data sets or tasks, each of them one unit: seeds are averaged before anything else.

scores: (U, M) mean score of each of M methods on each of U units; more is better.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, wilcoxon

from seqreg.evaluation.over_folds import holm

Array = NDArray[np.float64]


def bootstrap_mean(values: ArrayLike, *, resamples: int = 10_000, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the means of U units drawn with replacement; for one unit its value twice.

    Speaks of other units like these, not of other seeds. Source: Efron and Tibshirani (1993), chapter 13.
    """
    values = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_ranks(scores: ArrayLike) -> Array:
    """(M,) mean over units of each method's rank, 1 for the best, equals sharing the mean of their ranks."""
    return rankdata(-np.asarray(scores, dtype=np.float64), axis=1).mean(axis=0)


def signed_rank(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided p of Wilcoxon's signed-rank test over units; units without a difference count half to either side.

    With U units no p is below 2 / 2^U. Sources: Wilcoxon (1945); for comparing classifiers Demsar (2006).
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if not difference.any():
        return 1.0
    return float(wilcoxon(difference, zero_method="zsplit").pvalue)  # pyright: ignore[reportAttributeAccessIssue]


def pairwise(scores: ArrayLike) -> tuple[Array, Array]:
    """(M, M) p of every pair and the same adjusted for all pairs together; 1 on the diagonal."""
    scores = np.asarray(scores, dtype=np.float64)
    m = scores.shape[1]
    upper = np.triu_indices(m, 1)
    p, adjusted = np.ones((m, m)), np.ones((m, m))
    values = np.array([signed_rank(scores[:, i], scores[:, j]) for i, j in zip(*upper, strict=True)])
    for table, entries in ((p, values), (adjusted, holm(values))):
        table[upper] = entries
        table.T[upper] = entries
    return p, adjusted


def cliques(ranks: ArrayLike, adjusted: ArrayLike, *, alpha: float = 0.05) -> list[list[int]]:
    """Largest runs of methods, neighbours by mean rank, of which no two differ.

    They are the bars of a critical-difference diagram; methods that stand alone are no run. Source: Demsar (2006), with
    Wilcoxon-Holm in place of Nemenyi (Benavoli et al., 2016).
    """
    adjusted = np.asarray(adjusted)
    order = np.argsort(ranks, kind="stable")
    runs: list[list[int]] = []
    reached = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and (adjusted[order[end], order[start:end]] >= alpha).all():
            end += 1
        if end > max(reached, start + 1):
            runs.append(order[start:end].tolist())
            reached = end
    return runs


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of a mean over seeds; None for a single one."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
