"""What every regressor has in common: predictions and their intervals, in the unit of y."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from seqreg.errors import ModelError, UsageError
from seqreg.estimator.base import SequenceEstimator
from seqreg.estimator.inputs import NumberValues
from seqreg.evaluation.conformal import COVERAGE, FILE, Conformal, load_conformal
from seqreg.records import write_json
from seqreg.targets import Target, Values


class NumberEstimator(RegressorMixin, SequenceEstimator):
    """A regressor of sequences. Its score is R2, as that of scikit-learn's regressors."""

    conformal_: Conformal | None

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Values (N,), in the unit of y."""
        sequences = self._read(X)
        return self._values.call(self._predictor().probabilities(sequences))

    def predict_interval(self, X: Any, coverage: float = COVERAGE) -> NDArray[np.float64]:
        """Intervals (N, 2), low and high, in the unit of y; the same width for every sequence.

        A new sequence of the same kind has its value inside with a probability of at least `coverage`, above 0 and
        below 1: split conformal prediction from the errors of predictions for sequences that were held out in `fit`.
        The ends are infinite where too few were held out for the coverage. Raises UsageError where there were none.
        """
        sequences = self._read(X)
        if self.conformal_ is None:
            raise UsageError("no intervals are known: fit held no sequence out to learn errors from")
        p = self._predictor().probabilities(sequences)
        found = self._values.sets(p, self.conformal_.threshold(coverage))
        return np.stack([found.low, found.high], axis=1)

    @property
    def _values(self) -> Values:
        assert isinstance(self._known, NumberValues)
        return self._known.target

    def _known_from(self, y: Any) -> NumberValues:
        return NumberValues.of(y)

    def _known_again(self, about: Mapping[str, Any], target: Target) -> NumberValues:
        if not isinstance(target, Values):
            raise ModelError("this is a model of classes: SequenceClassifier and KmerClassifier load them")
        return NumberValues(target=target)

    def _save_more(self, folder: Path) -> None:
        if self.conformal_ is not None:
            write_json(folder / FILE, self.conformal_, "calibration")

    def _load_more(self, folder: Path) -> None:
        self.conformal_ = load_conformal(folder)
