"""`--config FILE.toml`: the options of a command, written down once; flags on the command line win."""

import tomllib
from pathlib import Path
from typing import Any

import typer

from seqreg.errors import InputError, UsageError
from seqreg.specs import unknown_name

NOT_IN_A_FILE = {"config", "help", "debug"}


def apply_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the file's values the defaults of the command being parsed.

    Keys are the names of options without the dashes, or of arguments (`input`). Raises InputError for what is not
    TOML, UsageError for an unknown key or a value of a wrong kind.
    """
    if path is None or context.resilient_parsing:
        return path
    known = {
        name.lstrip("-"): entry
        for entry in context.command.params
        for name in ([entry.name or ""] if entry.param_type_name == "argument" else entry.opts)
        if name.startswith("--") or entry.param_type_name == "argument"
    }
    known = {name: entry for name, entry in known.items() if name not in NOT_IN_A_FILE}
    values: dict[str, Any] = {}
    for key, value in _read(path).items():
        name = key.replace("_", "-")
        if name not in known:
            problem = unknown_name("key", key, sorted(known))
            raise UsageError(f"{path}: {problem}")
        entry = known[name]
        several = getattr(entry, "multiple", False) or entry.nargs == -1
        if isinstance(value, dict) or (isinstance(value, list) and not several):
            raise UsageError(f"{path}: {key} takes one value; got {value!r}")
        values[entry.name or name] = _as_text(value) if not several else [_as_text(item) for item in _listed(value)]
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_text(value: Any) -> Any:
    """Numbers as they would be typed, because every option reads text; switches stay switches."""
    return value if isinstance(value, bool) else str(value)


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as handle:
            return tomllib.load(handle)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a TOML file: {error}", file=path) from None
