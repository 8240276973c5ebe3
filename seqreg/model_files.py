"""The two files of a model: `model.json`, which says what it is, and `model.safetensors`, its weights.

`model.json` holds the SHA-256 of the weights: files of two models that got mixed do not pass for one.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seqreg.errors import ModelError
from seqreg.records import read_json, write_json
from seqreg.writing import atomic_write

DESCRIPTION, WEIGHTS = "model.json", "model.safetensors"
KIND_OF_BASELINE = "baseline"  # what `kind` says there; a network says nothing
_CHECKSUM = "weights_sha256"


def write_model(folder: Path, about: Mapping[str, Any], weights: bytes) -> None:
    """Write both files, each whole or not at all, the weights last."""
    write_json(folder / DESCRIPTION, with_checksum(about, weights), "model")
    with atomic_write(folder / WEIGHTS, "wb") as handle:
        handle.write(weights)


def with_checksum(about: Mapping[str, Any], weights: bytes) -> dict[str, Any]:
    """The description with the checksum of the weights that it belongs to."""
    return {**about, _CHECKSUM: hashlib.sha256(weights).hexdigest()}


def read_model(folder: Path) -> tuple[dict[str, Any], bytes]:
    """What the two files hold. Raises ModelError where one is missing or damaged, or the weights are another model's.

    Folders of versions that kept no checksum are read without.
    """
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"{folder} is not a seqreg model: it has no {name}. Give the folder `train` wrote")
    about, weights = read_description(folder), (folder / WEIGHTS).read_bytes()
    checksum = about.pop(_CHECKSUM, None)
    if checksum is not None and checksum != hashlib.sha256(weights).hexdigest():
        raise ModelError(
            f"{folder / WEIGHTS} is damaged or belongs to another model: its checksum is not the {_CHECKSUM} of "
            f"{DESCRIPTION}. Copy both files again, or train the model again"
        )
    return about, weights


def read_description(folder: Path) -> dict[str, Any]:
    """What `model.json` says. Raises ModelError for anything but a JSON object."""
    path = folder / DESCRIPTION
    try:
        about = read_json(path)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a model description of seqreg ({error}). Train the model again") from None
    if not isinstance(about, dict):
        raise ModelError(f"{path} is not a model description of seqreg (no object). Train the model again")
    return about


def is_baseline(about: Mapping[str, Any]) -> bool:
    """Whether a description is a baseline's."""
    return about.get("kind") == KIND_OF_BASELINE


def check_format(folder: Path, found: Any, newest: int) -> None:
    """Raises ModelError for a format that is none of 1 to `newest`."""
    if found not in range(1, newest + 1):
        raise ModelError(f"{folder / DESCRIPTION} has format {found!r}; this seqreg reads {newest} and older")


def check_description(folder: Path, about: Mapping[str, Any], kinds: Mapping[str, Callable[[Any], bool]]) -> None:
    """Raises ModelError that names the file, the first field whose value its test refuses, and the value."""
    named = about.get("classes")
    if named == [] and about.get("task") == "regression":
        kinds = {name: holds for name, holds in kinds.items() if name != "classes"}
    positive = {"positive": lambda value: value is None or (isinstance(named, list) and value in named)}
    for name, holds in {**kinds, **positive}.items():
        if name in about and not holds(about[name]):
            raise ModelError(
                f"{folder / DESCRIPTION}: {name} cannot be {_short(about[name])}. Restore the file, or train the model "
                "again"
            )


def check_weights(folder: Path, name: str, shape: tuple[int, ...], wanted: tuple[int, ...], *, finite: bool) -> None:
    """Raises ModelError for weights of another shape than the description makes them, and for NaN and infinities."""
    problem = None
    if shape != wanted:
        problem = f"has shape {shape} where {DESCRIPTION} makes it {wanted}"
    elif not finite:
        problem = "holds values that are not finite"
    if problem:
        raise ModelError(
            f"{folder / WEIGHTS} is damaged or belongs to another model: {name} {problem}. Train the model again"
        )


def is_text(value: Any) -> bool:
    """Whether it is text, and not empty."""
    return isinstance(value, str) and value != ""


def is_names(value: Any) -> bool:
    """Whether it lists the names of at least two classes, all of them different."""
    return isinstance(value, list) and len(value) > 1 and all(map(is_text, value)) and len(set(value)) == len(value)


def is_count(value: Any) -> bool:
    """Whether it is a whole number, 1 or more, that a computer could have counted to."""
    return type(value) is int and 0 < value < 1 << 62


def is_positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return type(value) in (int, float) and 0 < value <= sys.float_info.max


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
