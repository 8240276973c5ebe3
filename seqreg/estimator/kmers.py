"""The linear baselines as scikit-learn classifiers and regressors."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from seqreg.baselines import OF_CLASSES, OF_VALUES, FittedBaseline, fit_baseline
from seqreg.errors import UsageError
from seqreg.estimator.base import SequenceEstimator, folder_to_save, read_config
from seqreg.estimator.classes import ClassEstimator
from seqreg.estimator.numbers import NumberEstimator
from seqreg.evaluation.conformal import FOLDS, Conformal
from seqreg.records import write_json
from seqreg.sequences import SequenceSet, class_weights, with_positive
from seqreg.specs import Spec


class KmerEstimator(SequenceEstimator):
    """A linear model on k-mers, whatever it learns."""

    baseline: Any
    reverse_complement: bool | None
    baseline_: FittedBaseline

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Tune and train on sequences X and labels or values y; groups (N,) stay on one side of every inner fold.

        Raises ValueError for X or y that cannot be learned from.
        """
        data = self._learn_from(X, y, sample_weight, groups)
        data = with_positive(self._weighed(data), self._positive())
        self.baseline_ = fit_baseline(self.baseline, data, seed=self._seed(), strand_free=self.reverse_complement)
        return self

    def _weighed(self, data: SequenceSet) -> SequenceSet:
        """The training sequences with the weights that they are to have."""
        return data

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a folder as `seqreg baseline` does. Raises UsageError if something is in the way.

        overwrite: a model that is there is replaced, with all that seqreg wrote about it.
        """
        check_is_fitted(self)
        with folder_to_save(folder, overwrite=overwrite) as place:
            write_json(place / "config.json", {"estimator": self._described()}, "config")
            self._save_more(place)
            self.baseline_.save(place)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The estimator saved in a folder. Raises ModelError for a folder without a baseline, and for damaged files."""
        fitted = FittedBaseline.load(folder)
        loaded = cls()
        params = {"baseline": fitted.name, "alphabet": fitted.alphabet.name, "positive": fitted.target.positive}
        about = read_config(Path(folder)).get("estimator", {"params": params})
        loaded._restore(about, fitted.target)
        loaded.baseline_ = fitted
        loaded._load_more(Path(folder))
        return loaded

    def _predictor(self) -> FittedBaseline:
        return self.baseline_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "baseline_")


class KmerClassifier(ClassEstimator, KmerEstimator):
    """A linear model on k-mers: what a network must beat. It tunes its k-mers and strength itself, within `fit`.

    baseline: a member of the family that `seqreg baseline` trains, as `NAME:key=value,...` or object; its fields are
    parameters too, `baseline__k` for example. alphabet, positive, random_state: as in `SequenceClassifier`.
    class_weight: "balanced", a dict of weights or None; where sequences may carry several labels, None.
    reverse_complement: count both strands of DNA as one; None lets cross-validation choose. vectors: for the baseline
    "vectors", as `SequenceClassifier` takes them.

    After `fit`: classes_; baseline_, the fitted model.
    """

    families: ClassVar[Mapping[str, Mapping[str, type[Spec]]]] = {"baseline": OF_CLASSES}

    def __init__(
        self,
        baseline: Any = "kmer-logistic",
        *,
        alphabet: str | None = None,
        positive: Any = None,
        class_weight: Any = None,
        reverse_complement: bool | None = None,
        vectors: Any = None,
        random_state: Any = None,
    ) -> None:
        self.baseline = baseline
        self.alphabet = alphabet
        self.positive = positive
        self.class_weight = class_weight
        self.reverse_complement = reverse_complement
        self.vectors = vectors
        self.random_state = random_state

    def _weights(self, sample_weight: Any, y: Any) -> Any:
        if self.class_weight not in (None, "balanced") and not isinstance(self.class_weight, dict):
            raise UsageError(f"class_weight={self.class_weight!r}: not 'balanced', a dict of weights or None")
        return super()._weights(sample_weight, y)

    def _weighed(self, data: SequenceSet) -> SequenceSet:
        if self.class_weight != "balanced":
            return data
        target, y = data.labelled()
        classes = target.one_class(y)
        if classes is None:
            raise UsageError("class_weight='balanced': these sequences may carry several labels each")
        weight = np.ones(len(data)) if data.weight is None else data.weight
        return replace(data, weight=weight * class_weights(data)[classes])


class KmerRegressor(NumberEstimator, KmerEstimator):
    """A linear regression on k-mers: what a network of values must beat. It tunes its k-mers and strength itself.

    baseline: a member of the family that `seqreg baseline` trains on values, as `NAME:key=value,...` or object; its
    fields are parameters too, `baseline__k` for example. alphabet, reverse_complement, random_state: as in
    `KmerClassifier`. vectors: for the baseline "vector-ridge", as `SequenceRegressor` takes them.

    After `fit`: baseline_, the fitted model; conformal_, the errors that intervals are made from.
    """

    families: ClassVar[Mapping[str, Mapping[str, type[Spec]]]] = {"baseline": OF_VALUES}

    def __init__(
        self,
        baseline: Any = "kmer-ridge",
        *,
        alphabet: str | None = None,
        reverse_complement: bool | None = None,
        vectors: Any = None,
        random_state: Any = None,
    ) -> None:
        self.baseline = baseline
        self.alphabet = alphabet
        self.reverse_complement = reverse_complement
        self.vectors = vectors
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Tune and train on sequences X and values y (N,); groups (N,) stay on one side of every inner fold.

        Raises ValueError for X or y that cannot be learned from.
        """
        super().fit(X, y, sample_weight, groups)
        errors = self.baseline_.errors
        self.conformal_ = None if errors is None else Conformal.of_errors(errors, FOLDS)
        return self
