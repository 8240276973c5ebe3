"""What every estimator has in common: reading X and y, parameters in files, and a folder to save in."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from seqreg.estimator.inputs import Known, read_labelled, read_sequences, sample_weights
from seqreg.estimator.parameters import SpecParameters, plain
from seqreg.predictors import Predictor
from seqreg.records import read_json
from seqreg.sequences import SequenceSet
from seqreg.targets import Target
from seqreg.training.claim import claim_folder, hold_folder, settle
from seqreg.vectors import VectorTable


class SequenceEstimator(SpecParameters):
    """Learns from sequences. Those derived from it say what y is (`classes`, `numbers`), and how to fit (`network`,
    `kmers`).
    """

    alphabet: str | None
    random_state: Any
    vectors: Any
    _known: Known

    @abstractmethod
    def _known_from(self, y: Any) -> Known:
        """What y is about. Raises ValueError for a y that nothing can be learned from."""

    @abstractmethod
    def _known_again(self, about: Mapping[str, Any], target: Target) -> Known:
        """The same from what config.json says and the target of a saved model. Raises ModelError for another kind."""

    @abstractmethod
    def _predictor(self) -> Predictor:
        """What was fitted."""

    def _weights(self, sample_weight: Any, y: Any) -> Any:
        """(N,) weights of the sequences, None for equal ones."""
        return sample_weights(sample_weight, None, y)

    def _positive(self) -> str | None:
        """The positive class, where one is asked for."""
        return None

    def _learn_from(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> SequenceSet:
        """The training sequences, having kept what y is about and said what is noteworthy about the data."""
        y = list(y) if isinstance(y, Iterator) else y
        known = self._known_from(y)
        weights = self._weights(sample_weight, y)
        data = read_labelled(X, y, known, self.alphabet, weights=weights, groups=groups, vectors=self.vectors)
        known.check_learnable(data.y)
        self._known = known
        self._warn(data)
        return data

    def _warn(self, data: SequenceSet) -> None:
        for text in data.warnings:
            warnings.warn(text, UserWarning, stacklevel=4)

    def _read(self, X: Any) -> SequenceSet:
        check_is_fitted(self)
        return read_sequences(X, self._predictor().alphabet.name, vectors=self.vectors)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _described(self) -> dict[str, Any]:
        """What config.json says about the estimator: its parameters as given, and more where a kind of y needs it."""
        families: Mapping[str, Any] = self.families
        params = {name: plain(value, families.get(name, {})) for name, value in self.get_params(deep=False).items()}
        params["vectors"] = paths_of(self.vectors)
        return {"class": type(self).__name__, "params": params}

    def _restore(self, about: Mapping[str, Any], target: Target) -> None:
        """Set parameters and what y was about again from what config.json says."""
        self._known = self._known_again(about, target)
        given = about.get("params", {})
        params = {name: value for name, value in given.items() if name in self.get_params(deep=False)}
        self.set_params(**self._as_given(params))

    def _as_given(self, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters of config.json as they were given."""
        return params

    def _save_more(self, folder: Path) -> None:
        """Write what this kind of y asks for beside the model."""

    def _load_more(self, folder: Path) -> None:
        """Read it again."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
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
    with hold_folder(folder):
        claim_folder(folder, {}, overwrite=overwrite)
        yield folder
        settle(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a run folder, empty where there is none."""
    path = folder / "config.json"
    return read_json(path) if path.is_file() else {}
