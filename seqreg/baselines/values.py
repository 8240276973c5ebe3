"""The baselines of values."""

from dataclasses import dataclass

import numpy as np

from seqreg.baselines.features import CompositionFeatures, OneHotFeatures
from seqreg.baselines.fitted import FittedBaseline
from seqreg.baselines.models import kmer_candidates, tuned, tuned_on_vectors
from seqreg.linear import fit_ridge, fit_svr, labels_of
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec, hyper
from seqreg.unfinished import Once, afresh

# Strengths for rows of length 1 and values of standard deviation 1.
_RIDGE_STRENGTHS = tuple(np.geomspace(0.03, 10_000, 12).tolist())
_SVR_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True, kw_only=True)
class KmerRidge(Spec):
    """Ridge regression on k-mer spectra; k, scaling, strands and strength by cross-validation."""

    k: int | None = hyper(None, "letters in the longest k-mers; none: by cross-validation", low=1, high=8)
    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Solved to its optimum."""
        candidates = kmer_candidates(train.alphabet, self.k, strand_free)
        return tuned("kmer-ridge", candidates, _RIDGE_STRENGTHS, fit_ridge, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class KmerSvr(Spec):
    """Linear support vector regression on k-mer spectra, blind to errors below 0.1 deviations, tuned likewise."""

    k: int | None = hyper(None, "letters in the longest k-mers; none: by cross-validation", low=1, high=8)
    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Of a fit cut short cross-validation judges what it is."""
        candidates = kmer_candidates(train.alphabet, self.k, strand_free)
        return tuned("kmer-svr", candidates, _SVR_STRENGTHS, fit_svr, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class OneHotRidge(Spec):
    """Ridge regression on the letter at each position, for sequences of one length."""

    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Positions are of one strand, whatever `strand_free`. Raises InputError for sequences of several lengths."""
        candidates = [OneHotFeatures(length=int(train.lengths[0]))] if len(train) else []
        return tuned("one-hot-ridge", candidates, _RIDGE_STRENGTHS, fit_ridge, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class CompositionRidge(Spec):
    """Ridge regression on the share of each letter and on the length."""

    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Of one strand, whatever `strand_free`."""
        candidates = [CompositionFeatures(length=int(train.lengths.max()))]
        return tuned("composition-ridge", candidates, _RIDGE_STRENGTHS, fit_ridge, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class VectorRidge(Spec):
    """Ridge regression on vectors of language models, for sequences that come with them."""

    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Vectors are standardised as for `VectorLogistic`. Raises UsageError for sequences without vectors."""
        return tuned_on_vectors("vector-ridge", _RIDGE_STRENGTHS, fit_ridge, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class Mean(Spec):
    """The mean of the training values, whatever the sequence."""

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Nothing is random, nothing is tuned."""
        target, _ = labels_of(train)
        return FittedBaseline(
            name="mean",
            features=None,
            coef=np.zeros((1, 0)),
            intercept=np.zeros(1),
            target=target,
            alphabet=train.alphabet,
            trained_on=len(train),
            longest=int(train.lengths.max()),
            cv_score=0.0,
        )
