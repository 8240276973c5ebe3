"""Which letters may be written where: protected regions and allowed letters, read from files, as masks."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import INVALID
from seqreg.errors import InputError
from seqreg.sequences.fasta import fasta_records
from seqreg.sequences.opening import name_of, open_text
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.tables import table_rows

EVERY = "*"
Mask = Callable[[NDArray[np.int64], int], NDArray[np.bool_]]


def editable(sequences: SequenceSet, *, protect: str | Path | None = None, allowed: str | Path | None = None) -> Mask:
    """mask(index, length): (n, length, A) bool, the letters that may be written in the chosen sequences.

    protect: regions in which nothing changes. BED names id, start and end (from 0, end excluded); a table with columns
    id and start, end (from 1, end included) or position says the same; of a FASTA file, letters in lower case count.
    allowed: a table with columns `position` (from 1), `letters` and, unless it speaks of all sequences, `id`; positions
    that it does not name stay free. The id `*` stands for all sequences. Raises InputError for an unknown id, a
    position beyond the end and a letter outside the alphabet.
    """
    size = sequences.alphabet.size
    rules: dict[int, list[tuple[slice, NDArray[np.bool_]]]] = defaultdict(list)
    number = {name: row for row, name in enumerate(sequences.names)}

    def add(name: str, start: int, end: int, letters: NDArray[np.bool_], error: Callable[[str], InputError]) -> None:
        if name != EVERY and name not in number:
            raise error(f"{sequences.source or 'the input'} has no sequence {name!r}")
        for row in range(len(sequences)) if name == EVERY else [number[name]]:
            if name != EVERY and end > sequences.lengths[row]:
                raise error(f"position {end} is beyond the {sequences.lengths[row]} letters of {name}")
            rules[row].append((slice(start, end), letters))

    if protect is not None:
        for name, start, end, error in _regions(protect):
            add(name, start, end, np.zeros(size, dtype=bool), error)
    if allowed is not None:
        for name, position, text, error in _allowed_letters(allowed):
            codes = sequences.alphabet.encode(text)
            if (codes >= size).any() or INVALID in codes:
                raise error(f"{text!r} is not a list of letters of {sequences.alphabet.name}")
            add(name, position - 1, position, np.isin(np.arange(size), codes), error)

    def mask(index: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        may = np.ones((len(index), length, size), dtype=bool)
        for row, sequence in enumerate(index.tolist()):
            for place, letters in rules.get(sequence, ()):
                may[row, place] &= letters
        return may

    return mask


Error = Callable[[str], InputError]


def _regions(path: str | Path) -> Iterable[tuple[str, int, int, Error]]:
    """Id, start and end (from 0, end excluded) of the regions in a file of any of the three forms."""
    with open_text(path) as (handle, beginning):
        if beginning.startswith(">"):
            for record in fasta_records(handle, name_of(path)):
                for run in re.finditer("[a-z]+", record.sequence):
                    yield record.name, *run.span(), record.error
            return
        if "id" in re.split(r"[\t,;]", beginning.partition("\n")[0].strip().lower()):
            regions = ((record, _columns(row)) for record, row in table_rows(handle, name_of(path)))
        else:
            lines = (line for line in handle if line.strip() and not line.startswith(("#", "track", "browser")))
            regions = ((record, line.split()[:3]) for record, line in enumerate(lines, start=1))
        for record, fields in regions:
            error = _error_at(path, record)
            try:
                name, start, end = fields[0], int(fields[1]), int(fields[2])
            except (IndexError, ValueError):
                raise error("not a region: it needs id, start and end, or in a table id and position") from None
            if not 0 <= start < end:
                raise error(f"region {start}-{end} is empty or begins before 0")
            yield name, start, end, error


def _columns(row: dict[str, str]) -> list[str]:
    """A row of a table, which counts from 1 and includes the end, as the fields of a BED line."""
    first, last = (row["position"],) * 2 if "position" in row else (row.get("start", ""), row.get("end", ""))
    return [row["id"], str(int(first) - 1) if first.isdigit() else first, last]


def _allowed_letters(path: str | Path) -> Iterable[tuple[str, int, str, Error]]:
    with open_text(path) as (handle, _):
        for record, row in table_rows(handle, name_of(path)):
            error = _error_at(path, record)
            if not {"position", "letters"} <= row.keys():
                raise error("the header needs the columns position and letters [, id]")
            if not row["position"].isdigit() or row["position"] == "0":
                raise error(f"position {row['position']!r} is not a whole number of at least 1")
            yield row.get("id", EVERY), int(row["position"]), row["letters"], error


def _error_at(path: str | Path, record: int) -> Error:
    return lambda problem: InputError(problem, file=name_of(path), record=record)
