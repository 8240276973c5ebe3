"""Results as frozen records, and the files they are kept in.

A record is a frozen dataclass. `to_plain` turns it into what JSON can hold: arrays become lists, enums and paths
text, and a number that is not finite becomes null, because JSON has no NaN. A record whose file has another shape than
its fields has a method `to_plain` of its own.
"""

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from seqreg.errors import InputError
from seqreg.schemas import VERSION, VERSIONS, Schema
from seqreg.writing import atomic_write


def to_plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if is_dataclass(value) and not isinstance(value, type):
        own_form = getattr(value, "to_plain", None)
        if own_form is not None:
            return own_form()
        return {entry.name: to_plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def write_json(path: str | Path, value: Any, schema: Schema) -> None:
    """Save a record as JSON, atomically. schema: what describes such files."""
    with atomic_write(path) as handle:
        handle.write(dump_json(value, schema) + "\n")


def dump_json(value: Any, schema: Schema | None = None) -> str:
    """A record as indented JSON text without NaN; with the version of the schema that describes it, if one does."""
    plain = to_plain(value) if schema is None else with_version(value, schema)
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)


def with_version(value: Any, schema: Schema) -> dict[str, Any]:
    """A record in JSON's own types, the version of its schema before all else."""
    return {VERSION: VERSIONS[schema], **to_plain(value)}


def read_json(path: str | Path) -> Any:
    """What a JSON file holds, without the version of its schema: what readers take is told by the keys."""
    with open(path, encoding="utf-8") as handle:
        content = json.load(handle)
    if isinstance(content, dict):
        content.pop(VERSION, None)
    return content


def write_tsv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Save a table with a header line, tab-separated, atomically."""
    with atomic_write(path) as handle:
        write_rows(handle, columns, rows)


def write_rows(handle: IO[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header line, tab-separated, into an open file.

    Cells are written as they are, also one that begins with =, +, - or @: a program reads what was meant, and a
    spreadsheet must be told that the column is text.
    """
    writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def read_tsv(path: str | Path) -> list[dict[str, str]]:
    """The rows of a tab-separated table with a header line. Raises InputError for what is none."""
    with open(path, encoding="utf-8", newline="") as handle:
        try:
            rows = [cells for _, _, cells in cells_of(handle, "\t") if cells]
            return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
        except (csv.Error, ValueError) as error:
            raise InputError(f"not a table of tab-separated values: {error}", file=path) from None


def cells_of(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Number of the first and the last line, from 1, and the cells of each row; a cell has any length.

    Raises csv.Error for a quote that is not closed, or closed before its cell ends.
    """
    csv.field_size_limit(sys.maxsize)  # the module's 128 KiB would refuse a long sequence
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    first = 1
    for cells in reader:
        yield first, reader.line_num, cells
        first = reader.line_num + 1
