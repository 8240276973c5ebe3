"""What both classifiers have in common: reading X and y, and the faces of a score."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from seqreg.errors import UsageError
from seqreg.estimator.inputs import LabelValues, read_labelled, read_sequences, sample_weights
from seqreg.estimator.parameters import SpecParameters, plain
from seqreg.predictors import Predictor
from seqreg.records import read_json
from seqreg.sequences import SequenceSet
from seqreg.targets import Target
from seqreg.training.claim import claim_folder, held, settle
from seqreg.vectors import VectorTable


class SequenceEstimator(ClassifierMixin, SpecParameters):
    """A classifier of sequences. Those derived from it say how to fit, and give logits and probabilities."""

    alphabet: str | None
    positive: Any
    class_weight: Any
    random_state: Any
    vectors: Any
    _labels: LabelValues

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

    def _learn_from(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> SequenceSet:
        """The training sequences, having set the classes and said what is noteworthy about the data."""
        y = list(y) if isinstance(y, Iterator) else y
        known = LabelValues.of(y)
        weights = sample_weights(sample_weight, self.class_weight, y)
        data = read_labelled(X, y, known, self.alphabet, weights=weights, groups=groups, vectors=self.vectors)
        names = known.target.names
        if len(names) < 2:
            found = f"one class, {names[0]!r}" if names else "no class"
            raise UsageError(f"a classifier needs sequences of at least two classes; y has {found}")
        self._labels = known
        self._warn(data)
        return data

    def _warn(self, data: SequenceSet) -> None:
        for text in data.warnings:
            warnings.warn(text, UserWarning, stacklevel=4)

    def _read(self, X: Any) -> SequenceSet:
        check_is_fitted(self)
        return read_sequences(X, self._predictor().alphabet.name, vectors=self.vectors)

    def _one_each(self, y: NDArray[Any]) -> bool:
        """Whether y gives every sequence exactly one class."""
        return self._labels.target.one_class(y) is not None

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _positive(self) -> str | None:
        return None if self.positive is None else str(self.positive)

    @abstractmethod
    def _predictor(self) -> Predictor:
        """What was fitted."""

    def _described(self) -> dict[str, Any]:
        """What config.json says about the estimator: its parameters as given, and how to read class names."""
        families: Mapping[str, Any] = self.families
        params = {name: plain(value, families.get(name, {})) for name, value in self.get_params(deep=False).items()}
        params["vectors"] = paths_of(self.vectors)
        if isinstance(self.class_weight, dict):
            params["class_weight"] = {str(label): float(weight) for label, weight in self.class_weight.items()}
        names = [str(value) for value in self.classes_]
        return {"class": type(self).__name__, "classes": names, "labels": self._labels.kind, "params": params}

    def _restore(self, about: dict[str, Any], target: Target) -> None:
        """Set parameters and classes again from what config.json says."""
        self._labels = LabelValues.restored(about.get("classes", target.names), about.get("labels", "str"), target)
        params = {name: value for name, value in about.get("params", {}).items() if name in self.get_params(deep=False)}
        value_of = {str(value): value for value in self._labels.values.tolist()}
        if isinstance(params.get("class_weight"), dict):
            params["class_weight"] = {value_of[name]: weight for name, weight in params["class_weight"].items()}
        if params.get("positive") is not None:
            params["positive"] = value_of[str(params["positive"])]
        self.set_params(**params)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        assert tags.classifier_tags is not None
        tags.classifier_tags.multi_label = True
        return tags


def paths_of(vectors: Any) -> Any:
    """What gives vectors as text: the paths of tables; None for functions, which have none."""
    if isinstance(vectors, Mapping):
        return {name: paths_of(one) for name, one in vectors.items()}
    if isinstance(vectors, VectorTable):
        return str(vectors.path.absolute())
    return str(vectors) if isinstance(vectors, str | Path) else None


@contextmanager
def folder_to_save(folder: str | Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder made ready for a model, which no other process writes to. Raises UsageError if something is in the way.

    overwrite: a model that is there is removed.
    """
    folder = Path(folder)
    with held(folder):
        claim_folder(folder, {}, overwrite=overwrite)
        yield folder
        settle(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a run folder, empty where there is none."""
    path = folder / "config.json"
    return read_json(path) if path.is_file() else {}
