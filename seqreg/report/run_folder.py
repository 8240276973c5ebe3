"""The files of a run folder as a report needs them; all but run.json may be missing."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import ModelError
from seqreg.model_files import is_baseline
from seqreg.records import read_json, read_tsv
from seqreg.targets import Classes, Target, from_plain

Rows = list[dict[str, str]]
OBJECTS = ("run", "config", "model", "metrics", "robustness", "norm", "tuning", "calibration")
TABLES = ("splits", "history", "predictions", "examples", "trials", "thresholds")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder says; an empty dict or list stands for a file that is not there."""

    folder: Path
    run: dict[str, Any]
    config: dict[str, Any]
    model: dict[str, Any]
    metrics: dict[str, Any]
    robustness: dict[str, Any]
    norm: dict[str, Any]
    tuning: dict[str, Any]
    calibration: dict[str, Any]
    motifs: list[dict[str, Any]]
    splits: Rows
    history: Rows
    predictions: Rows
    examples: Rows
    trials: Rows
    thresholds: Rows
    worst_edits: Rows

    @property
    def classes(self) -> list[str]:
        """Class names in the order of indices."""
        return list(self.metrics.get("classes") or self.model.get("classes") or self.data.get("classes") or [])

    @property
    def is_baseline(self) -> bool:
        """Whether the model is a baseline, and no network."""
        return is_baseline(self.model)

    @property
    def data(self) -> dict[str, Any]:
        """What run.json says of the input."""
        return self.run.get("data") or {}

    @cached_property
    def target(self) -> Target:
        """What the model has learned; classes where there is no model. Raises ModelError for a damaged model.json."""
        about = {"classes": self.classes, "positive": self.metrics.get("positive"), "multi_label": False}
        try:
            return from_plain({**about, **self.model})
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.folder / 'model.json'} does not say what was learned ({error})") from None

    @property
    def exclusive(self) -> bool:
        """Whether a sequence belongs to one class only."""
        return isinstance(self.target, Classes)

    @property
    def binary(self) -> bool:
        """Whether there is a positive class."""
        return self.target.binary

    @property
    def positive(self) -> str:
        """The positive class of a binary task."""
        return self.classes[self.target.positive_index]

    @property
    def negative(self) -> str:
        """The other class of a binary task."""
        return next(name for name in self.classes if name != self.positive)

    @property
    def n_test(self) -> int:
        """Test sequences that were scored."""
        return int(self.metrics.get("n") or 0)

    @property
    def measured(self) -> NDArray[np.float64]:
        """(N,) the true values of the test part, where values were predicted."""
        return np.array([float(row["value"]) for row in self.predictions])

    @property
    def predicted(self) -> NDArray[np.float64]:
        """(N,) their predictions."""
        return np.array([float(row["prediction"]) for row in self.predictions])

    @property
    def intervals(self) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """low, high (N,) of their intervals; None where there are none."""
        if not all(row.get("low") and row.get("high") for row in self.predictions):
            return None, None
        low, high = (np.array([float(row[name]) for row in self.predictions]) for name in ("low", "high"))
        return low, high

    @property
    def lengths_of_predictions(self) -> NDArray[np.float64] | None:
        """(N,) letters of the test sequences; None in folders where predictions.tsv does not say."""
        if not all(row.get("length") for row in self.predictions):
            return None
        return np.array([float(row["length"]) for row in self.predictions])

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """(N, K) whether each test sequence carries each class."""
        return self.target.members(self.target.read([row["label"] for row in self.predictions]))

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K) what the model gave to each class."""
        return np.array([[float(row[f"p_{name}"]) for name in self.classes] for row in self.predictions])


def read_run(folder: Path) -> Run:
    """Read a run folder. Raises ModelError where there is no run, and for files that cannot be read."""
    if not (folder / "run.json").is_file():
        raise ModelError(f"{folder} is not a run folder: it has no run.json. Give a folder that `seqreg train` wrote")
    objects: dict[str, Any] = {name: _json(folder / f"{name}.json", {}) for name in OBJECTS}
    tables: dict[str, Any] = {name: _tsv(folder / f"{name}.tsv") for name in TABLES}
    tables["worst_edits"] = _tsv(folder / "robustness.tsv")
    return Run(folder=folder, motifs=_motifs(folder / "motifs.json"), **objects, **tables)


def _motifs(path: Path) -> list[dict[str, Any]]:
    """What is listed there; files of versions that gave JSON no schema are the list itself."""
    try:
        return _json(path, [])
    except ModelError:
        return _json(path, {}).get("motifs", [])


def _json(path: Path, absent: Any) -> Any:
    if not path.is_file():
        return absent
    try:
        value = read_json(path)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}. Train again, or restore the file") from None
    if type(value) is not type(absent):
        raise ModelError(f"{path} does not hold what a run writes there. Train again, or restore the file")
    return value


def _tsv(path: Path) -> Rows:
    if not path.is_file():
        return []
    try:
        return read_tsv(path)
    except ValueError as error:
        raise ModelError(f"{path} cannot be read: {error}. Train again, or restore the file") from None
