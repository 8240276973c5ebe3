"""Everything seqreg raises on purpose.

One line of each error names what was wrong, where, and what to do next. `exit_code` is what the
command line returns: 2 for wrong usage or bad input, 1 for a failure while running.
Wrong usage and bad input are ValueErrors too, which is what Python's and scikit-learn's callers catch.
"""

from pathlib import Path


class SeqregError(Exception):
    """Base of all errors a user can act on."""

    exit_code = 1


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
        self.problem = problem
        self.file = None if file is None else str(file)
        self.record = record  # counted from 1
        self.record_id = record_id
        self.line = line  # counted from 1, comments and blank lines too
        self.remedy = remedy
        super().__init__(problem)

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.line is not None:
            place.append(f"line {self.line}")
        if self.record is not None:
            place.append(f"record {self.record}" + (f" ({self.record_id})" if self.record_id else ""))
        elif self.record_id:
            place.append(f"record {self.record_id}")
        where = ", ".join(place)
        text = f"{where}: {self.problem}" if where else self.problem
        return f"{text.rstrip('.')}. {self.remedy}" if self.remedy else text


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
