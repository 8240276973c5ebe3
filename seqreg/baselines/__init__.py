"""Linear baselines: what a network must beat to be worth its trouble.

One contract: a baseline is a frozen `Spec`; `baseline(train, *, seed=0, strand_free=None)` learns from a labelled
`SequenceSet`, tunes itself by cross-validation within it (groups kept whole, weights used) and returns a
`FittedBaseline`. The same sequences, seed and versions give the same numbers.
strand_free: count both strands of DNA as one (True), one strand only (False), or whichever cross-validation prefers
(None; RNA and proteins have one strand).
"""

from collections.abc import Callable

from threadpoolctl import threadpool_limits

from seqreg.baselines.features import KmerFeatures, OneHotFeatures, VectorFeatures, count_kmers
from seqreg.baselines.fitted import FittedBaseline
from seqreg.baselines.models import KmerLogistic, KmerSvm, Majority, OneHotLogistic, VectorLogistic
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec, resolve
from seqreg.unfinished import Once, afresh

__all__ = [
    "BASELINES",
    "FittedBaseline",
    "KmerFeatures",
    "KmerLogistic",
    "KmerSvm",
    "Majority",
    "OneHotFeatures",
    "OneHotLogistic",
    "VectorFeatures",
    "VectorLogistic",
    "baselines_for",
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
        return resolve("baseline", BASELINES, baseline)(train, seed=seed, strand_free=strand_free, **kept)


def fit_baselines(
    train: SequenceSet,
    *,
    seed: int = 0,
    strand_free: bool | None = None,
    report: Callable[[int, int], None] | None = None,
    once: Once = afresh,
) -> dict[str, FittedBaseline]:
    """Every baseline that can read these sequences, the best by inner cross-validation first.

    Baselines need no validation part: give them training and validation sequences together. Equal or unknown aurocs: in
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
    fitted.sort(key=lambda one: -(one.cv_auroc or 0.0))
    return {one.name: one for one in fitted}


def baselines_for(train: SequenceSet) -> list[str]:
    """Names of those that can read these sequences: one-hot those of one length, `vectors` those that have any."""
    one_length = len(train) > 0 and bool((train.lengths == train.lengths[0]).all())
    unfit = {name for name, fit in (("one-hot-logistic", one_length), ("vectors", bool(train.vectors))) if not fit}
    return [name for name in BASELINES if name not in unfit]


BASELINES: dict[str, type[Spec]] = {
    "kmer-logistic": KmerLogistic,
    "kmer-svm": KmerSvm,
    "one-hot-logistic": OneHotLogistic,
    "vectors": VectorLogistic,
    "majority": Majority,
}
