"""Which file of a run, and which field of it, keeps its report from being made."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from jinja2 import TemplateError

from seqreg.errors import ModelError, SeqregError
from seqreg.report.run_folder import TABLES, Run

# What code that trusts a file raises where the file does not hold what a run writes.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SeqregError,
    TemplateError,
    TypeError,
    ValueError,
)
_NAMES = {"worst_edits": "robustness.tsv"}


def make_or_blame(run: Run, make: Callable[[Run], str]) -> str:
    """What `make` makes of a run. Raises ModelError that names file and field where it cannot.

    A file is to blame if the report can be made without it, and a field if it can be made without the field.
    """
    try:
        return _encodable(make(run))
    except DAMAGE as error:
        file = next((name for name, without in _without_one(run) if _works(make, without)), "run")
        content = getattr(run, file)
        keys = content if isinstance(content, dict) else {}
        field = next(
            (
                key
                for key in reversed(keys)  # the first ones say what there is at all
                if _works(make, replace(run, **{file: {name: content[name] for name in keys if name != key}}))
            ),
            None,
        )
        path = run.folder / _NAMES.get(file, f"{file}.{'tsv' if file in TABLES else 'json'}")
        where = f"{path}: {field} is" if field else f"{path} is"
        raise ModelError(
            f"{where} not what a run writes there ({type(error).__name__}: {error}). Restore the file, or train again"
        ) from None


def _without_one(run: Run) -> Iterator[tuple[str, Run]]:
    for entry in fields(run):
        content: Any = getattr(run, entry.name)
        if entry.name not in ("folder", "run") and content:
            yield entry.name, replace(run, **{entry.name: type(content)()})


def _works(make: Callable[[Run], str], run: Run) -> bool:
    try:
        _encodable(make(run))
    except DAMAGE:
        return False
    return True


def _encodable(text: str) -> str:
    text.encode("utf-8")  # a lone surrogate is a letter in JSON, and in no file
    return text
