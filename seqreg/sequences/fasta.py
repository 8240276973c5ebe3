"""FASTA in and out, with labels, splits, groups and weights in the headers: `>id label=ei split=train group=BRCA1`."""

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import dropwhile
from pathlib import Path
from typing import TextIO

from Bio.SeqIO.FastaIO import SimpleFastaParser

from seqreg.errors import InputError
from seqreg.sequences.opening import first_line, name_of, open_text
from seqreg.sequences.raw import FIELDS, SPLITS, RawRecord
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.writing import atomic_write

_WORD = re.compile(r"""([^\s=]+)=("(?:[^"]|"")*"|[^\s"]\S*)(?=\s|$)""")  # a quote within quotes is doubled
_FIELD = {name: name for name in FIELDS} | {"target": "label", "set": "split", "validation": "validation"}
_TRUTH = {"true": True, "false": False}


def fasta_records(handle: TextIO, file: str) -> Iterator[RawRecord]:
    """The records of an open FASTA text, one at a time; comments above the first are passed over."""
    records = dropwhile(lambda line: not line.startswith(">"), handle)
    for number, (title, sequence) in enumerate(SimpleFastaParser(records), start=1):
        name, description = (*title.split(None, 1), "", "")[:2]
        if not name:
            raise InputError("the record has no id", file=file, record=number, remedy="Write it after the '>'.")
        if "=" not in description:
            yield RawRecord(file, number, name, sequence)
        elif (fields := fields_of(description)) is None:
            yield RawRecord(file, number, name, sequence, unread=_looks_like_fields(description))
        else:
            yield RawRecord(file, number, name, sequence).saying(**fields)._replace(from_header=tuple(fields))


def fields_of(description: str) -> dict[str, str] | None:
    """The fields that a description consists of, in the form `key=value key="a value"` with keys seqreg knows.

    None where anything else stands in it, or a key twice: `kinase weight=17000 Da` describes a protein. A protein set
    of biotrainer says `TARGET=x SET=train VALIDATION=True` of what it validates on.
    """
    fields: dict[str, str] = {}
    for key, value in _WORD.findall(description):
        name = _FIELD.get(key.lower())
        if name is None or name in fields:
            return None
        fields[name] = value[1:-1].replace('""', '"').strip() if value.startswith('"') else value
    if _WORD.sub("", description).strip():
        return None
    validation = fields.pop("validation", "false").lower()
    if validation not in _TRUTH:
        return None
    if _TRUTH[validation]:
        if SPLITS.get(fields.get("split", "train").lower()) not in ("train", "valid"):
            return None
        fields["split"] = "valid"
    return fields


def _looks_like_fields(description: str) -> bool:
    return any(key.lower() in _FIELD for key, _ in _WORD.findall(description))


def read_fasta(path: str | Path) -> Iterator[RawRecord]:
    """The records of a FASTA file, plain or gzipped, `-` for standard input; the sequences are not checked."""
    with open_text(path) as (handle, start):
        if not first_line(start).startswith(">"):
            raise InputError("not a FASTA file: it does not begin with '>'", file=name_of(path))
        yield from fasta_records(handle, name_of(path))


def write_fasta(path: str | Path, sequences: SequenceSet, *, width: int = 60) -> None:
    """Save a set as FASTA, atomically and gzipped if the name ends in .gz; headers carry what the set knows.

    An id ends at the first space there, so that spaces become `_`. Raises InputError where that makes two ids equal.
    """
    names = ["_".join(name.split()) for name in sequences.names]
    if len(set(names)) < len(names):
        name = next(name for name, count in Counter(names).items() if count > 1)
        raise InputError(f"two ids are {name!r} without spaces, as FASTA has them", file=sequences.source or None)
    sequences = replace(sequences, names=names)
    lines = (line for index in range(len(sequences)) for line in _lines(sequences, index, width))
    write_lines(path, lines)


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Save lines of text, atomically and gzipped if the name ends in .gz."""
    if str(path).endswith(".gz"):
        with atomic_write(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
            packed.writelines(f"{line}\n".encode() for line in lines)
    else:
        with atomic_write(path) as handle:
            handle.writelines(f"{line}\n" for line in lines)


def _lines(sequences: SequenceSet, index: int, width: int) -> Iterator[str]:
    fields = {
        "label" if sequences.target is None else sequences.target.field: sequences.label(index),
        "split": "" if sequences.split is None else sequences.split[index],
        "group": "" if sequences.group is None else sequences.group[index],
        "weight": "" if sequences.weight is None else repr(float(sequences.weight[index])),
    }
    written = [f"{key}={_quoted(value)}" for key, value in fields.items() if value]
    yield " ".join([f">{sequences.names[index]}", *written])
    text = sequences.sequence(index)
    yield from (text[start : start + width] for start in range(0, len(text), width))


def _quoted(value: str) -> str:
    plain = not value.startswith('"') and not re.search(r"\s", value)
    return value if plain else '"' + value.replace('"', '""') + '"'
