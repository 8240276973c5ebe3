"""Everything seqreg raises on purpose.

One line of each error names what was wrong, where, and what to do next. `exit_code` is what the
command line returns: 2 for wrong usage or bad input, 1 for a failure while running.
Wrong usage and bad input are ValueErrors too, which is what Python's and scikit-learn's callers catch.

A message names the parameters of the library by `option`. `str(error)` writes them as Python does (`max_length`,
`gaps="drop"`); the command line makes flags of them by `worded`.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OPTION = re.compile("\x02(\\w+)\x1f([^\x03]*)\x03")  # control characters, which no message holds otherwise


def option(field: str, value: str | float | bool | None = None) -> str:
    """A parameter within the message of an error, with the value that it has or should have, if one is to be named."""
    return f"\x02{field}\x1f{json.dumps(value)}\x03"


def word_options(message: str, write: Callable[[str, Any], str]) -> str:
    """The message, with every option written by `write(field, value)`; the value is None where none is named."""
    return _OPTION.sub(lambda found: write(found[1], json.loads(found[2])), message)


def in_python(message: str) -> str:
    """The message, with every option as Python writes it."""

    def write(field: str, value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
        return field if value is None else f"{field}={text}"

    return word_options(message, write)


class SeqregError(Exception):
    """Base of all errors a user can act on. `args` holds the message with its options still to be written."""

    exit_code = 1

    def __str__(self) -> str:
        return in_python(super().__str__())


class InputError(SeqregError, ValueError):
    """Bad data: names file, record (number and id) or line, the value received and the remedy, as far as known."""

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        record: int | None = None,
        record_id: str | None = None,
        line: int | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = in_python(problem)
        self.file = None if file is None else str(file)
        self.record = record  # counted from 1
        self.record_id = record_id
        self.line = line  # counted from 1, comments and blank lines too
        self.remedy = None if remedy is None else in_python(remedy)
        place = [self.file] if self.file else []
        if line is not None:
            place.append(f"line {line}")
        if record is not None:
            place.append(f"record {record}" + (f" ({record_id})" if record_id else ""))
        elif record_id:
            place.append(f"record {record_id}")
        where = ", ".join(place)
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text.rstrip('.')}. {remedy}" if remedy else text)


class UsageError(SeqregError, ValueError):
    """Options or parameters that do not make sense: unknown names, values out of range, folders in the way."""

    exit_code = 2


class FieldError(UsageError):
    """A value that a field of an object cannot have. owner: the class; field: its name."""

    def __init__(self, owner: str, field: str, problem: str) -> None:
        self.owner, self.field, self.problem = owner, field, problem
        super().__init__(f"{owner}: {field} {problem}")


class ModelError(SeqregError):
    """A folder or file that is not a seqreg model, or a damaged one."""

    exit_code = 2


class UnknownLayerError(SeqregError):
    """A bound was asked for a network with a layer whose rule is not known: a partial product is no bound."""


class DivergedError(SeqregError):
    """Training produced a value that is not finite."""


class DiskFullError(SeqregError):
    """There was no room for a file: what was done is kept, and the same command goes on once there is."""
