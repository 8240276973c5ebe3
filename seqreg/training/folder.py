"""What a run folder says of the test part, of the training, and of how it was made."""

import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg import __version__
from seqreg.evaluation.conformal import COVERAGE, Conformal
from seqreg.evaluation.scores import Metrics, evaluate
from seqreg.records import write_json, write_tsv
from seqreg.sequences import SequenceSet
from seqreg.training.checkpoint import FILE as CHECKPOINT
from seqreg.training.claim import settle
from seqreg.training.parts import Parts

WORST_EXAMPLES = 20  # no mutant: a choice


def write_predictions(output: Path, test: SequenceSet, p: NDArray[np.float64], conformal: Conformal | None) -> None:
    """Write predictions.tsv from p (N, K), and the examples the model is most wrong about."""
    target, truth = test.labelled()
    shown, guesses = target.texts(truth), target.texts(target.call(p))
    threshold = None if conformal is None else conformal.threshold(COVERAGE)
    lengths = [] if target.probabilistic else ["length"]  # by which residuals are drawn
    columns = ("id", target.field, *target.prediction_columns, *lengths)
    rows = zip(test.names, shown, target.prediction_rows(p, threshold), test.lengths.tolist(), strict=True)
    write_tsv(
        output / "predictions.tsv",
        columns,
        ((name, label, *row, *([length] if lengths else [])) for name, label, row, length in rows),
    )
    right = target.confidence(truth, p)
    worst = np.argsort(right, kind="stable")[:WORST_EXAMPLES]
    write_tsv(
        output / "examples.tsv",
        ("id", "sequence", target.field, "prediction", target.confidence_name),
        ((test.names[i], test.sequence(int(i)), shown[i], guesses[i], _short(abs(right[i]))) for i in worst),
    )


def write_history(output: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write history.tsv: a row for each epoch."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    write_tsv(output / "history.tsv", columns, ([row.get(name, "") for name in columns] for row in history))


def measure(test: SequenceSet, p: NDArray[np.float64], seed: int) -> Metrics:
    """Metrics on the test part from probabilities p (N, K)."""
    return evaluate(*test.labelled(), p, groups=test.group, split="test", seed=seed)


def complete(
    output: Path, facts: dict[str, Any], data: SequenceSet, parts: Parts, finish: Callable[[Path], object] | None
) -> None:
    """Write run.json with versions and data, call `finish`, drop the checkpoint, and mark the run complete last."""
    run = {"versions": versions(), **facts, "data": describe(data, parts), "complete": False}
    write_json(output / "run.json", run, "run")
    if finish:
        finish(output)
    shutil.rmtree(output / CHECKPOINT.parent, ignore_errors=True)
    settle(output)
    write_json(output / "run.json", {**run, "finished": now(), "complete": True}, "run")


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of seqreg and of what its results depend on."""
    names = ("torch", "numpy", "scipy", "scikit-learn", "biopython", "safetensors")
    return {"seqreg": __version__, "python": platform.python_version(), "platform": sys.platform} | {
        name: version(name) for name in names
    }


def describe(data: SequenceSet, parts: Parts) -> dict[str, Any]:
    """What the run was trained on, for run.json and the report."""
    present = {
        name: part for name, part in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)) if part
    }
    of_class = {name: part.members.sum(axis=0).tolist() for name, part in present.items()}
    lengths = np.concatenate([each.lengths for each in present.values()])
    summed = {name: part.labelled()[0].figures(part.labelled()[1]) for name, part in present.items()}
    return {
        "source": data.source,
        "sha256": data.content_sha256,
        "alphabet": data.alphabet.name,
        "n": sum(map(len, present.values())),
        "lengths": [int(lengths.min()), float(np.median(lengths)), int(lengths.max())],
        "classes": {name: {part: of_class[part][k] for part in present} for k, name in enumerate(data.classes)},
        **({"values": summed} if any(summed.values()) else {}),
        "warnings": [*data.warnings, *parts.warnings],
    }


def _short(p: Any) -> str:
    return f"{p:.6g}"
