"""How a command that was killed knows its own work again: where it is kept, and what decides it."""

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqreg.writing import is_stream

if TYPE_CHECKING:
    from seqreg.sequences import InputSpec


def unfinished_file(output: Path | None) -> Path | None:
    """Where the pieces of unfinished work are: beside its output, nowhere if that is no file."""
    return None if output is None or is_stream(output) else output.with_name(f"{output.name}.unfinished")


def remove_unfinished(output: Path) -> None:
    """The output is written: its pieces are needed no more."""
    path = unfinished_file(output)
    if path is not None:
        path.unlink(missing_ok=True)


def model_identity(run: Path, device: str) -> dict[str, Any]:
    """What decides the scores of a model that is loaded."""
    files = (run / "model.json", run / "model.safetensors")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    torch = sys.modules.get("torch")  # baselines do without
    return {"model": digests, "device": device, "threads": torch.get_num_threads() if torch else None}


def input_identity(spec: "InputSpec") -> list[Any] | None:
    """What tells an input from another without reading it; None for standard input, which is read only once."""
    from seqreg.sequences import file_and_sheet

    if spec.data_set is not None:
        return [spec.data_set.name, spec.data_set.sha256]
    paths = [file_and_sheet(path)[0] for path in spec.paths]
    return [file_identity(path) for path in paths] if all(path.is_file() for path in paths) else None


def vectors_identity(named: Iterable[str]) -> list[Any]:
    """What tells files of vectors, NAME=FILE each, from others."""
    return [[name, *file_identity(path)] for name, _, path in (text.partition("=") for text in named)]


def file_identity(path: str | Path) -> list[Any]:
    """Path, size and time of a file."""
    about = os.stat(path)
    return [Path(path).resolve(), about.st_size, about.st_mtime_ns]
