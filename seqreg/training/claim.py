"""Whose a folder is: what seqreg wrote there and may remove again, and which process writes there now.

A run keeps a list of its files (`files.json`), made before the first of them and cut down, when the run is complete, to
those that are there. Runs of versions that kept no list are known by their files, and by the names they gave them.
"""

import functools
import inspect
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from seqreg.errors import ModelError, UsageError, option
from seqreg.locks import Lock
from seqreg.records import read_json, write_json
from seqreg.training.checkpoint import FILE as CHECKPOINT
from seqreg.writing import refuse_to_replace

LIST = "files.json"
LOCK = ".lock"
TUNING = "tuning"  # the folder of a search that is not over
BASELINE = "baseline"  # the folder of the model that the verdict of a run is about
KEPT, WORK = "folds", "cross-validation"  # networks of the folds, and what is done of folds that are not over
FOLDERS = (CHECKPOINT.parent.name, TUNING, BASELINE, KEPT, WORK)
OF_TRAINING = (
    *("config.json", "run.json", "model.json", "model.safetensors", "splits.tsv", "history.tsv", "metrics.json"),
    *("predictions.tsv", "examples.tsv", "motifs.json", "calibration.json", "report.html", "MODEL_CARD.md"),
    *("suspects.tsv", "thresholds.tsv", "seen.txt"),
    *(CHECKPOINT.parent.name, BASELINE, KEPT, WORK),
)
OF_TUNING = ("trials.tsv", "tuning.json", TUNING)
OF_STUDY = ("robustness.json", "robustness.tsv", "robustness.svg", "norm.json")  # found about the model, for its report
NAMES = (*OF_TRAINING, *OF_TUNING, *OF_STUDY)

P = ParamSpec("P")
T = TypeVar("T")

_held: ContextVar[frozenset[Path]] = ContextVar("_held", default=frozenset())


def alone(function: Callable[P, T]) -> Callable[P, T]:
    """Let no other process write into the folder `output` of the function while it runs: see `held`."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def within(*args: P.args, **kwargs: P.kwargs) -> T:
        with hold_folder(signature.bind(*args, **kwargs).arguments["output"]):
            return function(*args, **kwargs)

    return within


@contextmanager
def hold_folder(output: Path) -> Iterator[None]:
    """Hold a folder, which is made if need be, and removed again if nothing was put into it.

    The lock ends with the process, however that ends. Raises UsageError where another process has it, and for what
    cannot be a folder.
    """
    place = output.resolve()
    if place in _held.get():
        yield
        return
    made = _made(output)
    lock = Lock(output / LOCK)
    if not lock.take():
        raise UsageError(f"another process is writing into {output}. Wait for it, or choose another {option('output')}")
    token = _held.set(_held.get() | {place})
    try:
        yield
    finally:
        _held.reset(token)
        lock.give_back(remove=True)
        with suppress(OSError):  # not empty
            for folder in made:
                folder.rmdir()


def claim_folder(output: Path, resolved: dict[str, Any], *, resume: bool = False, overwrite: bool = False) -> bool:
    """Make the folder ready for a run, or say (True) that it holds this very run, finished.

    resolved: the configuration as `config.json` holds it; of a run that `tune` makes, what `tune` was asked decides
    whether it is the same. What seqreg wrote in an earlier run is removed, and nothing else. Raises UsageError if the
    folder holds another run, unless overwriting; if a run to resume had another configuration; and, whatever was
    asked, if it holds what seqreg would replace and did not write.
    """
    own = written_files(output)
    planned = (*OF_TRAINING, *(OF_TUNING if "tune" in resolved else ()))
    if own is not None and resume and (output / "config.json").exists():
        before = _object(output / "config.json")
        before, now = (config.get("tune", config) for config in (before, resolved))
        changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        if changed and not overwrite:
            difference = ", ".join(f"{key} was {before.get(key)!r}, now {now.get(key)!r}" for key in changed[:3])
            raise UsageError(
                f"cannot resume {output}: {difference}. "
                f"Use the same options, or {option('overwrite', True)} to start anew"
            )
        if not changed:
            finished = bool(_object(output / "run.json").get("complete"))
            if not finished:
                _save(output, (*own, *planned))
            return finished
    there = [name for name in own or () if os.path.lexists(output / name)]
    if there and not overwrite:
        ways = f"{option('resume', True)}, {option('overwrite', True)} or another {option('output')}"
        raise UsageError(f"{output} already holds a run ({there[0]}). Use {ways}")
    others = [name for name in (*NAMES, *(() if own is not None else (LIST,))) if name not in there]
    refuse_to_replace(output, others, "what a run would replace")
    for name in there:
        _remove(output / name)
    _save(output, planned)
    for name in NAMES:  # left by a process that was killed while it wrote them
        for temporary in output.glob(f".{name}.*"):
            temporary.unlink(missing_ok=True)
    return False


def written_files(output: Path) -> tuple[str, ...] | None:
    """Names of what seqreg has written, or may have, into a run folder; None for what is none.

    Raises ModelError for a list that cannot be read.
    """
    if (output / LIST).is_file():
        names = _object(output / LIST).get("files")
        if not isinstance(names, list) or not all(isinstance(name, str) and _plain(name) for name in names):
            raise ModelError(f"{output / LIST} is no list of the files of a run. Choose another {option('output')}")
        return tuple(names)
    config, run, model = (_object_or_empty(output / f"{name}.json") for name in ("config", "run", "model"))
    known = bool({"tune", "estimator", "input_sha256"} & config.keys()) or {"classes", "alphabet"} <= model.keys()
    known = known or isinstance(run.get("versions"), dict)
    return NAMES if known else None


def note_written(output: Path, names: Iterable[str]) -> None:
    """Add to the list of a run what is going to be written there; nothing happens to what is no run with a list."""
    if (output / LIST).is_file():
        _save(output, (*(written_files(output) or ()), *names))


def settle(output: Path) -> None:
    """The run is complete: its list is what is there."""
    _save(output, [name for name in written_files(output) or () if os.path.lexists(output / name)])


def _save(output: Path, names: Iterable[str]) -> None:
    write_json(output / LIST, {"files": sorted(set(names))}, "files")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        if path.name in FOLDERS:
            shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _plain(name: str) -> bool:
    return name not in ("", ".", "..", LIST) and "/" not in name and "\0" not in name


def _made(output: Path) -> list[Path]:
    """Make a folder; those that were made, the innermost first. Raises UsageError for what cannot be a folder."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file. Choose a folder as {option('output')}")
    missing = [folder for folder in (output, *output.parents) if not folder.exists()]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {output}: {error.strerror}. Choose another {option('output')}") from None
    return missing


def _object(path: Path) -> dict[str, Any]:
    """What a JSON file of a run holds, empty where there is none. Raises ModelError for a damaged one."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}. Restore it, or choose another {option('output')}") from None
    if not isinstance(content, dict):
        raise ModelError(
            f"{path} does not hold what a run writes there. Restore it, or choose another {option('output')}"
        )
    return content


def _object_or_empty(path: Path) -> dict[str, Any]:
    try:
        return _object(path)
    except (ModelError, OSError):
        return {}
