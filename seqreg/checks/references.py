"""Small models that a network must be ahead of to have learned more than they: lengths, letters, k-mers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from seqreg.alphabet import PROTEIN
from seqreg.baselines import KmerFeatures
from seqreg.baselines.features import OneHotFeatures
from seqreg.linear import Rows, fit_logistic, inner_folds, short_views
from seqreg.metrics import METRICS
from seqreg.sequences import SequenceSet

Array = NDArray[np.float64]
STRENGTH = 30.0  # inverse regularization for rows of length 1; what is best lies around it
FOLDS = 5
MOST = 4000  # sequences, above which a draw of them tells as much


def lengths(data: SequenceSet) -> Array:
    """(N, 3) length, its square and its logarithm, each of mean 0 and variance 1; so a range of lengths is learned."""
    length = data.lengths.astype(np.float64)
    return _standardized(np.stack([length, length**2, np.log(np.maximum(length, 1))], axis=1))


def composition(data: SequenceSet) -> Array:
    """(N, A) share of each letter, standardized."""
    return _standardized(data.letter_shares())


def kmer_features(data: SequenceSet) -> csr_array:
    """(N, D) spectra of short k-mers, without tuning: 1- and 2-mers of proteins, 1- to 4-mers of nucleotides."""
    protein = data.alphabet is PROTEIN
    chosen = KmerFeatures(shortest=1, longest=2 if protein else 4, both_strands=False, scaling="root")
    return chosen.matrix(data)


def positions(data: SequenceSet) -> csr_array:
    """(N, D) the letter at each position, of sequences of one length."""
    return OneHotFeatures(length=int(data.lengths[0])).matrix(data)


def stand_in(data: SequenceSet, seed: int) -> Array:
    """(N, K) what a simple model says of sequences that it had not seen, NaN where none did: on short k-mers or, where
    all lengths are equal, on the letter at each position, whichever has the smaller log-loss.
    """
    target, y = data.labelled()
    equal = len(np.unique(data.lengths)) == 1
    found = [held_out(data, rows, seed) for rows in ((kmer_features, positions) if equal else (kmer_features,))]

    def loss(p: Array) -> float:
        known = ~np.isnan(p).any(axis=1)
        return float(METRICS["log_loss"](y[known], p[known], positive=target.positive_index)) if known.any() else np.inf

    return min(found, key=loss)


def held_out(data: SequenceSet, features: Callable[[SequenceSet], Rows], seed: int) -> Array:
    """(N, K) probabilities of a logistic regression on these features that had not seen the sequence; NaN where none
    did.

    Of more than `MOST` sequences a draw is looked at.
    """
    if len(data) > MOST:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(data))[:MOST])
        p = np.full((len(data), len(data.classes)), np.nan)
        p[drawn] = held_out(data.subset(drawn), features, seed)
        return p
    target, y = data.labelled()
    rows, splits = features(data), inner_folds(data, FOLDS, seed)
    p = np.full((len(data), len(target.names)), np.nan)
    wide = not isinstance(rows, np.ndarray)
    for (inner, outer), (kept, left_out) in zip(splits, short_views(rows, splits, wide=wide), strict=True):
        weight = None if data.weight is None else data.weight[inner]
        coef, intercept = fit_logistic(kept, y[inner], STRENGTH if wide else 1.0, weight, seed)
        p[outer] = target.predict(left_out @ coef.T + intercept)
    return p


def from_learned(learned: SequenceSet, tested: SequenceSet, rows: Array, seed: int) -> Array:
    """(n, K) what a logistic regression on the rows of `learned` says of `tested`, whose rows come after them."""
    target, y = learned.labelled()
    n = len(learned)
    coef, intercept = fit_logistic(rows[:n], y, 1.0, learned.weight, seed)
    return target.predict(rows[n:] @ coef.T + intercept)


def _standardized(rows: Array) -> Array:
    spread = rows.std(axis=0)
    return (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
