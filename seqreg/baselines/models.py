"""The baselines of classes and labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seqreg.alphabet import Alphabet
from seqreg.baselines.features import Features, KmerFeatures, OneHotFeatures, VectorFeatures
from seqreg.baselines.fitted import FittedBaseline
from seqreg.baselines.probabilities import LEAST_SLOPE, sigmoid_of_scores, temperature_of_scores
from seqreg.baselines.tuning import Trial, tune
from seqreg.errors import UsageError, option
from seqreg.linear import Array, Fit, as_piece, column_standards, fit_logistic, fit_svm, labels_of, log_odds
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec, hyper
from seqreg.targets import Target
from seqreg.unfinished import Once, afresh

# Strengths for rows of length 1. What is best lies inside on every data set looked at, from 50 sequences up.
_LOGISTIC_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_SVM_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
# Used where nothing can be held out.
_USUAL_STRENGTH = 1.0

# Shortest and longest k-mers, and what is scaled. Square roots are as good or better on nucleotides wherever looked.
_PROTEIN_LENGTHS = ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3))  # no mutant: a choice
_NUCLEOTIDE_LENGTHS = ((1, 2), (3, 3), (1, 3), (4, 4), (1, 4), (5, 5), (6, 6), (4, 6), (1, 6))  # no mutant: a choice


@dataclass(frozen=True, kw_only=True)
class KmerLogistic(Spec):
    """L2-regularized logistic regression on k-mer spectra; k, scaling, strands and strength by cross-validation."""

    k: int | None = hyper(None, "letters in the longest k-mers; none: by cross-validation", low=1, high=8)
    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """The scale of its scores, to which auroc is blind, is fitted to held-out scores."""
        candidates = kmer_candidates(train.alphabet, self.k, strand_free)
        return tuned("kmer-logistic", candidates, _LOGISTIC_STRENGTHS, fit_logistic, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class KmerSvm(Spec):
    """Linear SVM (squared hinge) on k-mer spectra, tuned likewise; probabilities from held-out scores."""

    k: int | None = hyper(None, "letters in the longest k-mers; none: by cross-validation", low=1, high=8)
    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Where nothing can be held out, the link of the scores as they are stands in for probabilities."""
        candidates = kmer_candidates(train.alphabet, self.k, strand_free)
        return tuned("kmer-svm", candidates, _SVM_STRENGTHS, fit_svm, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class OneHotLogistic(Spec):
    """L2-regularized logistic regression on the letter at each position, for sequences of one length."""

    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Positions are of one strand, whatever `strand_free`. Raises InputError for sequences of several lengths."""
        candidates = [OneHotFeatures(length=int(train.lengths[0]))] if len(train) else []
        return tuned("one-hot-logistic", candidates, _LOGISTIC_STRENGTHS, fit_logistic, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class VectorLogistic(Spec):
    """L2-regularized logistic regression on vectors of language models, for sequences that come with them."""

    folds: int = hyper(5, "folds of the inner cross-validation; above 1,000 sequences at most 3", low=2)

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Vectors have no strands, whatever `strand_free`. Each number is standardised on `train`, and rows are scaled
        to a mean square length of 1; the classifier that comes of it is one on the vectors as they are. Raises
        UsageError for sequences without vectors.
        """
        return tuned_on_vectors("vectors", _LOGISTIC_STRENGTHS, fit_logistic, train, self.folds, seed, once)


@dataclass(frozen=True, kw_only=True)
class Majority(Spec):
    """The shares of the classes, whatever the sequence."""

    def __call__(
        self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None, once: Once = afresh
    ) -> FittedBaseline:
        """Nothing is random, nothing is tuned."""
        target, y = labels_of(train)
        classes = target.one_class(y)
        if classes is None:
            intercept = np.concatenate([log_odds(label, train.weight) for label in y.T])
        else:
            sizes = np.bincount(classes, weights=train.weight, minlength=len(train.classes))
            intercept = np.log(sizes[1:] / sizes[0]) if target.outputs == 1 else np.log(sizes / sizes.sum())
        return FittedBaseline(
            name="majority",
            features=None,
            coef=np.zeros((len(intercept), 0)),
            intercept=intercept,
            target=target,
            alphabet=train.alphabet,
            trained_on=len(train),
            longest=int(train.lengths.max()),
            cv_score=0.5,
        )


def kmer_candidates(alphabet: Alphabet, k: int | None = None, strand_free: bool | None = None) -> list[KmerFeatures]:
    """The k-mer features to choose from, one strand and short k-mers first.

    With `k`, the k-mers of k letters alone and those of 1 to k letters. Raises UsageError where both strands are asked
    of an alphabet without complement.
    """
    if strand_free and alphabet.complement is None:
        raise UsageError(f"strand_free: {alphabet.name} has no complementary strand")
    strands = ((False, True) if alphabet.name == "dna" else (False,)) if strand_free is None else (strand_free,)
    protein = alphabet.name == "protein"
    lengths = _PROTEIN_LENGTHS if protein else _NUCLEOTIDE_LENGTHS
    if k is not None:
        lengths = tuple(dict.fromkeys([(k, k), (1, k)]))
    return [
        KmerFeatures(shortest=shortest, longest=longest, both_strands=both, scaling=scaling)
        for both in strands
        for scaling in (("counts", "root") if protein else ("root",))
        for shortest, longest in lengths
    ]


def tuned_on_vectors(
    name: str, strengths: Sequence[float], fit: Fit, train: SequenceSet, folds: int, seed: int, once: Once
) -> FittedBaseline:
    """The best strength on the vectors that sequences carry, as `VectorLogistic` says it."""
    if not train.vectors:
        raise UsageError(
            f"these sequences have no vectors. Give a file of them, {option('vectors', 'NAME=FILE')}, or choose "
            "another baseline"
        )
    features = VectorFeatures(names=tuple(train.vectors), sizes=tuple(each.shape[1] for each in train.vectors.values()))
    rows = features.matrix(train)
    centre, spread = column_standards(rows, train.weight)
    scale = spread * np.sqrt(rows.shape[1])
    parts = np.split((rows - centre) / scale, np.cumsum(features.sizes)[:-1], axis=1)
    standard = replace(train, vectors=dict(zip(features.names, parts, strict=True)))
    fitted = tuned(name, [features], strengths, fit, standard, folds, seed, once)
    coef = fitted.coef / scale
    return replace(fitted, coef=coef, intercept=fitted.intercept - coef @ centre)


def tuned(
    name: str,
    candidates: Sequence[Features],
    strengths: Sequence[float],
    fit: Fit,
    train: SequenceSet,
    folds: int,
    seed: int,
    once: Once,
) -> FittedBaseline:
    """The best features and strength by inner cross-validation, fitted to all of `train`."""
    target, y = labels_of(train)
    trials = tune(candidates, strengths, fit, train, folds=folds, seed=seed, once=once)
    best = trials[0] if trials else None
    features, c = (best.features, best.c) if best else (candidates[-1], _USUAL_STRENGTH)
    learned = target.learned(y)
    solved = once(lambda: as_piece(*fit(features.matrix(train), learned, c, train.weight, seed)))
    coef, intercept = solved["coef"], solved["intercept"]
    errors = None
    if best is not None:
        coef, intercept = (_calibrated if target.probabilistic else _to_scale)(target, coef, intercept, best)
        errors = None if target.probabilistic else _errors(target, best)
    return FittedBaseline(
        name=name,
        features=features,
        coef=coef,
        intercept=intercept,
        target=target,
        alphabet=train.alphabet,
        trained_on=len(train),
        longest=int(train.lengths.max()),
        c=c,
        cv_score=best.score if best else None,
        errors=errors,
        trials=tuple(
            to_plain({**t.features.get_params(), "c": t.c, f"cv_{target.headline[0]}": t.score}) for t in trials
        ),
    )


def _calibrated(target: Target, coef: Array, intercept: Array, trial: Trial) -> tuple[Array, Array]:
    """Scores of held-out sequences turned into calibrated ones: a factor, and where each has its own link an offset.

    That stays linear in the features, and leaves the order of sequences as it was.
    """
    known = ~np.isnan(trial.held_out[:, 0])
    scores, y = trial.held_out[known], trial.y[known]
    weight = None if trial.weight is None else trial.weight[known]
    classes = target.one_class(y)
    if classes is not None and target.outputs > 1:
        factor = temperature_of_scores(scores, classes, weight)
        return coef * factor, intercept * factor
    slopes, offsets = np.ones(len(intercept)), np.zeros(len(intercept))
    for j, truth in enumerate(target.members(y)[:, -len(intercept) :].T):  # the second of two classes, or every label
        if truth.any() and not truth.all():
            slopes[j], offsets[j] = sigmoid_of_scores(scores[:, j], truth, weight)
    return coef * slopes[:, None], intercept * slopes + offsets


def _to_scale(target: Target, coef: Array, intercept: Array, trial: Trial) -> tuple[Array, Array]:
    """Scores of values, which are around 0, times the factor by which held-out ones come nearest to the truth.

    The metric that decides looks at ranks, and may prefer a fit that is shrunk too much.
    """
    factor = _factor(target, trial)
    return coef * factor, intercept * factor


def _errors(target: Target, trial: Trial) -> Array:
    """(n,) absolute errors, in the unit, of predictions for sequences held out."""
    known = ~np.isnan(trial.held_out[:, 0])
    base = trial.base[known, None]
    outputs = base + _factor(target, trial) * (trial.held_out[known] - base)
    return target.nonconformity(trial.y[known], target.predict(outputs))


def _factor(target: Target, trial: Trial) -> float:
    """Least squares, above 0, from held-out scores to what was to be learned, both less the mean of their fold's fit.

    That mean falls where the values held out are high: left in, it would turn the sign of a fit that is shrunk much.
    """
    known = ~np.isnan(trial.held_out[:, 0])
    scores = trial.held_out[known, 0] - trial.base[known]
    wanted = target.learned(trial.y[known]) - trial.base[known]
    weight = np.ones(len(scores)) if trial.weight is None else trial.weight[known]
    square = float(weight @ scores**2)
    return max(LEAST_SLOPE, float(weight @ (scores * wanted)) / square) if square > 0 else 1.0
