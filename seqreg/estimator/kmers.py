"""The linear baselines as scikit-learn classifiers."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from seqreg.baselines import BASELINES, FittedBaseline, fit_baseline
from seqreg.errors import UsageError
from seqreg.estimator.base import SequenceEstimator, folder_to_save, read_config
from seqreg.records import write_json
from seqreg.sequences import class_weights, with_positive
from seqreg.specs import Spec


class KmerClassifier(SequenceEstimator):
    """A linear model on k-mers: what a network must beat. It tunes its k-mers and strength itself, within `fit`.

    baseline: a member of the family that `seqreg baseline` trains, as `NAME:key=value,...` or object; its fields are
    parameters too, `baseline__k` for example. alphabet, positive, random_state: as in `SequenceClassifier`.
    class_weight: "balanced", a dict of weights or None; where sequences may carry several labels, None.
    reverse_complement: count both strands of DNA as one; None lets cross-validation choose. vectors: for the baseline
    "vectors", as `SequenceClassifier` takes them.

    After `fit`: classes_; baseline_, the fitted model.
    """

    families: ClassVar[Mapping[str, Mapping[str, type[Spec]]]] = {"baseline": BASELINES}
    baseline_: FittedBaseline

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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Tune and train on sequences X and labels y; groups (N,) stay on one side of every inner fold.

        Raises ValueError for X or y that cannot be learned from.
        """
        if self.class_weight not in (None, "balanced") and not isinstance(self.class_weight, dict):
            raise UsageError(f"class_weight={self.class_weight!r}: not 'balanced', a dict of weights or None")
        data = self._learn_from(X, y, sample_weight, groups)
        if self.class_weight == "balanced":
            target, y = data.labelled()
            classes = target.one_class(y)
            if classes is None:
                raise UsageError("class_weight='balanced': these sequences may carry several labels each")
            weight = np.ones(len(data)) if data.weight is None else data.weight
            data = replace(data, weight=weight * class_weights(data)[classes])
        data = with_positive(data, self._positive())
        self.baseline_ = fit_baseline(self.baseline, data, seed=self._seed(), strand_free=self.reverse_complement)
        return self

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a folder as `seqreg baseline` does. Raises UsageError if something is in the way.

        overwrite: a model that is there is replaced, with all that seqreg wrote about it.
        """
        check_is_fitted(self)
        with folder_to_save(folder, overwrite=overwrite) as place:
            write_json(place / "config.json", {"estimator": self._described()}, "config")
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
        return loaded

    def _predictor(self) -> FittedBaseline:
        return self.baseline_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "baseline_")
