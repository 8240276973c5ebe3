"""CSV and TSV: sequences with labels, or labels for the sequences of a FASTA file."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from seqreg.errors import InputError, option
from seqreg.records import cells_of
from seqreg.sequences.fasta import read_fasta
from seqreg.sequences.opening import name_of, open_text
from seqreg.sequences.raw import FIELDS, RawRecord


def table_rows(handle: TextIO, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and fields of each row under a header line, separated by tabs, commas or semicolons as the header is.

    Column names are read without regard to case. Passed over are `#` comments above the header, the line `sep=;` of
    Excel, empty rows, and empty columns at the right, which spreadsheets leave behind. Raises InputError for a row that
    does not fit the header, for a quote that is not closed or not where its cell ends, and for a row that is not one
    line: each row is, so that none can vanish in another.
    """
    header, above, delimiter = _header(handle)
    delimiter = delimiter or next((mark for mark in "\t,;" if mark in header), ",")
    line = above
    try:
        columns = next((_without_empty_end(cells) for *_, cells in cells_of([header], delimiter)), [])
        columns = [name.strip().lower() for name in columns]
        repeated = next((name for name in columns if columns.count(name) > 1), None)
        if repeated is not None:
            raise InputError(f"the header names the column {repeated!r} twice", file=file)
        number, line = 0, above + 1
        for first, last, row in cells_of(handle, delimiter):
            line = above + last + 1  # where a row begins that cannot be read
            if not any(cell.strip() for cell in row):
                continue
            number += 1
            if first != last:
                problem = f"the row goes on to line {above + last}: a quote is not closed, or a cell holds a line break"
                raise InputError(
                    problem, file=file, record=number, line=above + first, remedy="Write a row as one line."
                )
            if len(row) > len(columns):
                row = [*row[: len(columns)], *_without_empty_end(row[len(columns) :])]
            if len(row) != len(columns):
                raise InputError(f"the row has {len(row)} fields, the header {len(columns)}", file=file, record=number)
            yield number, {name: value.strip() for name, value in zip(columns, row, strict=True)}
    except csv.Error as error:
        problem = f"a quote is not closed, or not where its cell ends ({error})"
        raise InputError(problem, file=file, line=line, remedy="Write a quote within quotes twice.") from None


def _header(handle: TextIO) -> tuple[str, int, str | None]:
    """The header line, its number, and the separator where the line above it names one."""
    delimiter = None
    number = 0
    for number, line in enumerate(iter(handle.readline, ""), start=1):
        if said := re.fullmatch(r"sep=(.)", line.strip("\r\n"), re.IGNORECASE):
            delimiter = said[1]
        elif line.startswith("#") and not {"id", "sequence"} & set(re.split(r"[\t,;]", line[1:].strip().lower())):
            continue
        elif line.strip():
            return line.removeprefix("#").strip("\r\n "), number, delimiter
    return "", number, delimiter


def _without_empty_end(cells: list[str]) -> list[str]:
    last = max((place for place, cell in enumerate(cells, start=1) if cell.strip()), default=0)
    return cells[:last]


def table_records(handle: TextIO, file: str, column: str | None = None) -> Iterator[RawRecord]:
    """The records of an open table with a `sequence` column; without an `id` column they are called seq1, seq2, ...

    column: the one that holds the labels or values, whatever its name.
    """
    number = 0
    for number, row in table_rows(handle, file):
        _require(row, ("sequence",), file)
        if "id" in row and not row["id"]:
            raise InputError("the id is empty", file=file, record=number)
        optional = _said(row, column, file)
        yield RawRecord(file, number, row.get("id", f"seq{number}"), row["sequence"]).saying(**optional)
    if not number:
        problem = "no sequences: a table has a header line and a row for each, FASTA headers that begin with '>'"
        raise InputError(problem, file=file)


def fasta_with_table(
    fasta: str | Path, labels: str | Path, *, require_labels: bool, column: str | None = None
) -> Iterator[RawRecord]:
    """The records of a FASTA file with what a table with columns `id`, `label` (or `value`, or `column`) says of them.

    Raises InputError for a sequence without a row (if labels are required) and for a row without a sequence.
    """
    rows: dict[str, RawRecord] = {}
    file = name_of(labels)
    kept: dict[str, str] = {}  # equal texts are kept once
    with open_text(labels) as (handle, _):
        for number, row in table_rows(handle, file):
            _require(row, ("id", "label" if "value" not in row and column is None else "id"), file)
            optional = {name: kept.setdefault(text, text) for name, text in _said(row, column, file).items()}
            said = RawRecord(file, number, row["id"], "").saying(**optional)
            if said.name in rows:
                raise said.error(f"a second row for this id; the first is row {rows[said.name].number}")
            rows[said.name] = said
    seen: set[str] = set()
    for record in read_fasta(fasta):
        said = rows.get(record.name)
        if said is not None:
            seen.add(said.name)
            record = record.saying(**{name: getattr(said, name) for name in FIELDS})
        elif require_labels:
            raise record.error(
                f"a sequence without a label: {file} has no row for it", "Add one, or remove the sequence."
            )
        else:
            record = record.saying()
        yield record
    if len(seen) < len(rows):
        unknown = next(said for name, said in rows.items() if name not in seen)
        raise unknown.error(
            f"a label for an unknown id: {name_of(fasta)} has no such sequence", "Correct or remove the row."
        )


def _said(row: dict[str, str], column: str | None, file: str) -> dict[str, str]:
    """What a row says of its sequence, by FIELDS; the text of the column as its label."""
    said = {name: row[name] for name in FIELDS if name in row}
    if column is None:
        return said
    wanted = column.strip().lower()
    if wanted not in row:
        raise InputError(
            f"no column {column!r}; the header has {', '.join(map(repr, row)) or 'nothing'}",
            file=file,
            remedy=f"Name with {option('target')} the column that holds what is to be learned.",
        )
    return {**said, "label": row[wanted], "value": ""}


def _require(row: dict[str, str], wanted: tuple[str, ...], file: str) -> None:
    missing = next((name for name in wanted if name not in row), None)
    if missing:
        raise InputError(
            f"no column {missing!r}; the header has {', '.join(map(repr, row)) or 'nothing'}",
            file=file,
            remedy="A table needs a header line: sequence, label or value [, id, split, group, weight, sd]."
            if wanted == ("sequence",)
            else "A table of labels needs a header line: id, label or value [, split, group, weight, sd].",
        )
