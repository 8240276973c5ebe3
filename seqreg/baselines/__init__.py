"""Linear baselines: what a network must beat to be worth its trouble.

One contract: a baseline is a frozen `Spec`; `baseline(train, *, seed=0, strand_free=None)` learns from a labelled
`SequenceSet`, tunes itself by cross-validation within it (groups kept whole, weights used) and returns a
`FittedBaseline`. The same sequences, seed and versions give the same numbers.
strand_free: count both strands of DNA as one (True), one strand only (False), or whichever cross-validation prefers
(None; RNA and proteins have one strand).
"""

from collections.abc import Callable, Sequence

from threadpoolctl import threadpool_limits

from seqreg.baselines.features import CompositionFeatures, KmerFeatures, OneHotFeatures, VectorFeatures, count_kmers
from seqreg.baselines.fitted import FittedBaseline
from seqreg.baselines.models import KmerLogistic, KmerSvm, Majority, OneHotLogistic, VectorLogistic
from seqreg.baselines.values import CompositionRidge, KmerRidge, KmerSvr, Mean, OneHotRidge, VectorRidge
from seqreg.errors import UsageError
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec, name_of, resolve
from seqreg.targets import Target, Values
from seqreg.unfinished import Once, afresh

__all__ = [
    "BASELINES",
    "GUESSING",
    "OF_CLASSES",
    "OF_VALUES",
    "CompositionFeatures",
    "CompositionRidge",
    "FittedBaseline",
    "KmerFeatures",
    "KmerLogistic",
    "KmerRidge",
    "KmerSvm",
    "KmerSvr",
    "Majority",
    "Mean",
    "OneHotFeatures",
    "OneHotLogistic",
    "OneHotRidge",
    "VectorFeatures",
    "VectorLogistic",
    "VectorRidge",
    "baselines_for",
    "best_first",
    "count_kmers",
    "fit_baseline",
    "fit_baselines",
]


def fit_baseline(
    baseline: str | Spec | Callable[..., FittedBaseline],
    train: SequenceSet,
    *,
    seed: int = 0,
    strand_free: bool | None = None,
    once: Once = afresh,
) -> FittedBaseline:
    """A baseline by its name (`kmer-svm`, `kmer-logistic:k=3`) or as an object, tuned and trained on `train`.

    once: keeps what is done of it (see `seqreg.unfinished`).
    """
    kept = {} if once is afresh else {"once": once}  # any callable like a baseline does, and need not know of it
    # The vectors are small: more BLAS threads only wait for each other, on a busy machine for minutes.
    with threadpool_limits(limits=1):
        chosen = resolve("baseline", BASELINES, baseline)
        _refuse_another_kind(chosen, train)
        return chosen(train, seed=seed, strand_free=strand_free, **kept)


def fit_baselines(
    train: SequenceSet,
    *,
    seed: int = 0,
    strand_free: bool | None = None,
    report: Callable[[int, int], None] | None = None,
    once: Once = afresh,
) -> dict[str, FittedBaseline]:
    """Every baseline that can read these sequences, the best by inner cross-validation first.

    Baselines need no validation part: give them training and validation sequences together. Equal or unknown scores: in
    the order of `BASELINES`. report: told before each how many of how many are done, and at the end.
    """
    names = baselines_for(train)
    fitted: list[FittedBaseline] = []
    for name in names:
        if report is not None:
            report(len(fitted), len(names))
        fitted.append(fit_baseline(name, train, seed=seed, strand_free=strand_free, once=once))
    if report is not None:
        report(len(names), len(names))
    return best_first(fitted)


def best_first(fitted: Sequence[FittedBaseline]) -> dict[str, FittedBaseline]:
    """By name, the best by inner cross-validation first; equal or unknown scores keep their order."""
    return {one.name: one for one in sorted(fitted, key=lambda one: -(one.cv_score or 0.0))}


OF_CLASSES: dict[str, type[Spec]] = {
    "kmer-logistic": KmerLogistic,
    "kmer-svm": KmerSvm,
    "one-hot-logistic": OneHotLogistic,
    "vectors": VectorLogistic,
    "majority": Majority,
}
OF_VALUES: dict[str, type[Spec]] = {
    "kmer-ridge": KmerRidge,
    "kmer-svr": KmerSvr,
    "one-hot-ridge": OneHotRidge,
    "composition-ridge": CompositionRidge,
    "vector-ridge": VectorRidge,
    "mean": Mean,
}
BASELINES: dict[str, type[Spec]] = {**OF_CLASSES, **OF_VALUES}
GUESSING = ("majority", "mean")
"""Those that look at no letter."""
_OF_ONE_LENGTH = ("one-hot-logistic", "one-hot-ridge")
_OF_VECTORS = ("vectors", "vector-ridge")


def baselines_for(train: SequenceSet) -> list[str]:
    """Names of those that can learn from these sequences: of values or classes, of one length, with vectors."""
    one_length = len(train) > 0 and bool((train.lengths == train.lengths[0]).all())
    unfit = (() if one_length else _OF_ONE_LENGTH) + (() if train.vectors else _OF_VECTORS)
    return [name for name in baselines_of(train.target) if name not in unfit]


def baselines_of(target: Target | None) -> dict[str, type[Spec]]:
    """Those that learn values where the target is of values, and those of classes and labels otherwise."""
    return OF_VALUES if target is not None and target.task == Values.task else OF_CLASSES


def _refuse_another_kind(baseline: object, train: SequenceSet) -> None:
    """Raises UsageError for a baseline of classes where there are values, and the other way round."""
    known = baselines_of(train.target)
    name = name_of(BASELINES, baseline) if isinstance(baseline, Spec) else None
    if train.target is not None and name is not None and name not in known:
        others = ", ".join(each for each in BASELINES if each in known)
        raise UsageError(f"baseline {name} does not learn {train.target.noun}. Choose from: {others}")
