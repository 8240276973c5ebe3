"""What every classifier has in common: the faces of a score, and labels as y writes them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags

from seqreg.errors import ModelError
from seqreg.estimator.base import SequenceEstimator
from seqreg.estimator.inputs import LabelValues, sample_weights
from seqreg.targets import Target


class ClassEstimator(ClassifierMixin, SequenceEstimator):
    """A classifier of sequences, whose model gives logits and probabilities."""

    positive: Any
    class_weight: Any

    @property
    def classes_(self) -> NDArray[Any]:
        """(K,) labels, sorted; a column of a (N, K) result belongs to each."""
        return self._labels.values

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Scores before they become probabilities: (N,) for the second of two classes, otherwise (N, K)."""
        sequences = self._read(X)
        scores = self._predictor().outputs(sequences).astype(np.float64)
        if not self._labels.target.binary:
            return scores[:, self._labels.columns]
        return scores[:, 0] if self._labels.columns[1] == 1 else -scores[:, 0]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (N, K); rows sum to 1 unless a sequence may carry several labels."""
        sequences = self._read(X)
        return self._predictor().probabilities(sequences)[:, self._labels.columns]

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each sequence (N,); with several labels (N, K) zeros and ones, 1 from p = 0.5."""
        p = self.predict_proba(X)
        y = self._labels.target.call(p)
        return np.take(self.classes_, y) if self._one_each(y) else y.astype(np.int64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of sequences whose label, or whose whole set of labels, is predicted."""
        predicted = self.predict(X)
        if not self._one_each(predicted):
            y = self._labels.read(y)[:, self._labels.columns]
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    @property
    def _labels(self) -> LabelValues:
        assert isinstance(self._known, LabelValues)
        return self._known

    def _known_from(self, y: Any) -> LabelValues:
        return LabelValues.of(y)

    def _known_again(self, about: Mapping[str, Any], target: Target) -> LabelValues:
        if not target.probabilistic:
            raise ModelError("this is a model of values: SequenceRegressor and KmerRegressor load them")
        return LabelValues.restored(about.get("classes", target.names), about.get("labels", "str"), target)

    def _weights(self, sample_weight: Any, y: Any) -> NDArray[np.float64] | None:
        return sample_weights(sample_weight, self.class_weight, y)

    def _one_each(self, y: NDArray[Any]) -> bool:
        """Whether y gives every sequence exactly one class."""
        return self._labels.target.one_class(y) is not None

    def _positive(self) -> str | None:
        return None if self.positive is None else str(self.positive)

    def _described(self) -> dict[str, Any]:
        """How to read class names too."""
        about = super()._described()
        if isinstance(self.class_weight, dict):
            weights = {str(label): float(weight) for label, weight in self.class_weight.items()}
            about["params"]["class_weight"] = weights
        names = [str(value) for value in self.classes_]
        return {"class": about["class"], "classes": names, "labels": self._labels.kind, "params": about["params"]}

    def _as_given(self, params: dict[str, Any]) -> dict[str, Any]:
        value_of = {str(value): value for value in self._labels.values.tolist()}
        if isinstance(params.get("class_weight"), dict):
            params["class_weight"] = {value_of[name]: weight for name, weight in params["class_weight"].items()}
        if params.get("positive") is not None:
            params["positive"] = value_of[str(params["positive"])]
        return params

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        assert tags.classifier_tags is not None
        tags.classifier_tags.multi_label = True
        return tags
