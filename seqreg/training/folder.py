"""The run folder: what may be written where, what the test part showed, and what is known about the making of it."""

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
from seqreg.errors import UsageError, option
from seqreg.evaluation.scores import Metrics, evaluate
from seqreg.records import read_json, write_json, write_tsv
from seqreg.sequences import SequenceSet
from seqreg.training.checkpoint import FILE as CHECKPOINT
from seqreg.training.parts import Parts

MARKS_OF_A_RUN = ("run.json", "config.json", "model.safetensors")
OTHER_FILES = (
    *("model.json", "splits.tsv", "history.tsv", "metrics.json", "predictions.tsv", "examples.tsv", "motifs.json"),
    # what was found about the model that is overwritten
    *("calibration.json", "robustness.json", "robustness.tsv", "robustness.svg", "norm.json", "report.html"),
    *("MODEL_CARD.md", "trials.tsv", "tuning.json"),
)
TUNING = "tuning"  # the folder of a search that is not over
WORST_EXAMPLES = 20


def claim_folder(output: Path, resolved: dict[str, Any], *, resume: bool, overwrite: bool) -> bool:
    """Make the folder ready for a run, or say (True) that it holds this very run, finished.

    resolved: the configuration as `config.json` holds it; of a run that `tune` makes, what `tune` was asked decides
    whether it is the same. What an earlier run left is removed. Raises UsageError if the folder holds another run, and
    if a run to resume had another configuration, unless overwriting.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file. Choose a folder as {option('output')}")
    found = [name for name in MARKS_OF_A_RUN if (output / name).exists()]
    if resume and (output / "config.json").exists():
        before, now = (config.get("tune", config) for config in (read_json(output / "config.json"), resolved))
        changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        if changed and not overwrite:
            difference = ", ".join(f"{key} was {before.get(key)!r}, now {now.get(key)!r}" for key in changed[:3])
            raise UsageError(
                f"cannot resume {output}: {difference}. "
                f"Use the same options, or {option('overwrite', True)} to start anew"
            )
        if not changed:
            return (output / "run.json").exists() and bool(read_json(output / "run.json").get("complete"))
    if found and not overwrite:
        ways = f"{option('resume', True)}, {option('overwrite', True)} or another {option('output')}"
        raise UsageError(f"{output} already holds a run ({found[0]}). Use {ways}")
    for name in (*MARKS_OF_A_RUN, *OTHER_FILES):
        (output / name).unlink(missing_ok=True)
    for folder in (CHECKPOINT.parent, TUNING):
        shutil.rmtree(output / folder, ignore_errors=True)
    return False


def write_predictions(output: Path, test: SequenceSet, p: NDArray[np.float64]) -> None:
    """Write predictions.tsv from probabilities p (N, K), and the examples the model is most wrong about."""
    target, truth = test.labelled()
    shown, guesses = target.texts(truth), target.texts(target.call(p))
    columns = ("id", "label", "prediction", *(f"p_{name}" for name in test.classes))
    rows = zip(test.names, shown, guesses, p, strict=True)
    write_tsv(
        output / "predictions.tsv",
        columns,
        ((name, label, guess, *map(_short, row)) for name, label, guess, row in rows),
    )
    right = target.confidence(truth, p)
    worst = np.argsort(right, kind="stable")[:WORST_EXAMPLES]
    write_tsv(
        output / "examples.tsv",
        ("id", "sequence", "label", "prediction", "p"),
        ((test.names[i], test.sequence(int(i)), shown[i], guesses[i], _short(right[i])) for i in worst),
    )


def write_history(output: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write history.tsv: a row for each epoch."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    write_tsv(output / "history.tsv", columns, ([row.get(name, "") for name in columns] for row in history))


def measure(test: SequenceSet, p: NDArray[np.float64], seed: int) -> Metrics:
    """Metrics on the test part from probabilities p (N, K)."""
    return evaluate(*test.labelled(), p, split="test", seed=seed)


def complete(
    output: Path, facts: dict[str, Any], data: SequenceSet, parts: Parts, finish: Callable[[Path], object] | None
) -> None:
    """Write run.json with versions and data, call `finish`, drop the checkpoint, and mark the run complete last."""
    run = {"versions": versions(), **facts, "data": describe(data, parts), "complete": False}
    write_json(output / "run.json", run)
    if finish:
        finish(output)
    shutil.rmtree(output / CHECKPOINT.parent, ignore_errors=True)
    write_json(output / "run.json", {**run, "finished": now(), "complete": True})


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
    return {
        "source": data.source,
        "sha256": data.content_sha256,
        "alphabet": data.alphabet.name,
        "n": sum(map(len, present.values())),
        "lengths": [int(lengths.min()), float(np.median(lengths)), int(lengths.max())],
        "classes": {name: {part: of_class[part][k] for part in present} for k, name in enumerate(data.classes)},
        "warnings": [*data.warnings, *parts.warnings],
    }


def _short(p: Any) -> str:
    return f"{p:.6g}"
