"""CSV and TSV: sequences with labels, or labels for the sequences of a FASTA file."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from seqreg.errors import InputError
from seqreg.sequences.fasta import read_fasta
from seqreg.sequences.opening import open_text, shown
from seqreg.sequences.raw import RawRecord

_OPTIONAL = ("label", "split", "group", "weight")


def table_rows(handle: TextIO, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and fields of each row under a header line, separated by tabs, commas or semicolons as the header is.

    Column names are read without regard to case. Raises InputError for a row that does not fit the header.
    """
    csv.field_size_limit(sys.maxsize)  # the module's 128 KiB would refuse a long sequence
    header = ""
    while not header and (line := handle.readline()):
        header = line.strip()
    delimiter = next((mark for mark in "\t,;" if mark in header), ",")
    columns = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    repeated = next((name for name in columns if columns.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"the header names the column {repeated!r} twice", file=file)
    try:
        rows = (row for row in csv.reader(handle, delimiter=delimiter) if row)
        for number, row in enumerate(rows, start=1):
            if len(row) != len(columns):
                raise InputError(f"the row has {len(row)} fields, the header {len(columns)}", file=file, record=number)
            yield number, {name: value.strip() for name, value in zip(columns, row, strict=True)}
    except csv.Error as error:
        raise InputError(f"not a table: {error}", file=file) from None


def table_records(handle: TextIO, file: str) -> Iterator[RawRecord]:
    """The records of an open table with a `sequence` column; without an `id` column they are called seq1, seq2, ..."""
    for number, row in table_rows(handle, file):
        _require(row, ("sequence",), file)
        if "id" in row and not row["id"]:
            raise InputError("the id is empty", file=file, record=number)
        optional = {name: row[name] for name in _OPTIONAL if name in row}
        yield RawRecord(file, number, row.get("id", f"seq{number}"), row["sequence"], **optional)


def fasta_with_table(fasta: str | Path, labels: str | Path, *, require_labels: bool) -> Iterator[RawRecord]:
    """The records of a FASTA file with what a table with columns `id`, `label`, ... says about them.

    Raises InputError for a sequence without a row (if labels are required) and for a row without a sequence.
    """
    rows: dict[str, RawRecord] = {}
    file = shown(labels)
    kept: dict[str, str] = {}  # equal texts are kept once
    with open_text(labels) as (handle, _):
        for number, row in table_rows(handle, file):
            _require(row, ("id", "label"), file)
            optional = {name: kept.setdefault(row[name], row[name]) for name in _OPTIONAL if name in row}
            said = RawRecord(file, number, row["id"], "", **optional)
            if said.name in rows:
                raise said.error(f"a second row for this id; the first is row {rows[said.name].number}")
            rows[said.name] = said
    seen: set[str] = set()
    for record in read_fasta(fasta):
        said = rows.get(record.name)
        if said is not None:
            seen.add(said.name)
            record = record._replace(label=said.label, split=said.split, group=said.group, weight=said.weight)
        elif require_labels:
            raise record.error(
                f"a sequence without a label: {file} has no row for it", "Add one, or remove the sequence."
            )
        yield record
    if len(seen) < len(rows):
        unknown = next(said for name, said in rows.items() if name not in seen)
        raise unknown.error(
            f"a label for an unknown id: {shown(fasta)} has no such sequence", "Correct or remove the row."
        )


def _require(row: dict[str, str], wanted: tuple[str, ...], file: str) -> None:
    missing = next((name for name in wanted if name not in row), None)
    if missing:
        raise InputError(
            f"no column {missing!r}; the header has {', '.join(map(repr, row)) or 'nothing'}",
            file=file,
            remedy="A table needs a header line: sequence, label [, id, split, group, weight]."
            if wanted == ("sequence",)
            else "A table of labels needs a header line: id, label [, split, group, weight].",
        )
