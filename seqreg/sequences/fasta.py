"""FASTA in and out, with labels, splits, groups and weights in the headers: `>id label=ei split=train group=BRCA1`."""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from Bio.SeqIO.FastaIO import SimpleFastaParser

from seqreg.errors import InputError
from seqreg.sequences.opening import open_text, shown
from seqreg.sequences.raw import RawRecord
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.writing import atomic_write

_TOKEN = re.compile(r"""(?<!\S)(label|target|split|set|group|weight)=("[^"]*"|\S+)""", re.IGNORECASE)
_FIELD = {name: name for name in ("label", "split", "group", "weight")} | {"target": "label", "set": "split"}


def fasta_records(handle: TextIO, file: str) -> Iterator[RawRecord]:
    """The records of an open FASTA text, one at a time."""
    for number, (title, sequence) in enumerate(SimpleFastaParser(handle), start=1):
        name = title.split(None, 1)[0] if title.strip() else ""
        if not name:
            raise InputError("the record has no id", file=file, record=number, remedy="Write it after the '>'.")
        if "=" in title:
            fields: dict[str, str] = {}
            for key, value in _TOKEN.findall(title):
                fields[_FIELD[key.lower()]] = value.strip('"')
            yield RawRecord(file, number, name, sequence, **fields)
        else:
            yield RawRecord(file, number, name, sequence)


def read_fasta(path: str | Path) -> Iterator[RawRecord]:
    """The records of a FASTA file, plain or gzipped, `-` for standard input; the sequences are not checked."""
    with open_text(path) as (handle, start):
        if not start.startswith(">"):
            raise InputError("not a FASTA file: it does not begin with '>'", file=shown(path))
        yield from fasta_records(handle, shown(path))


def write_fasta(path: str | Path, sequences: SequenceSet, *, width: int = 60) -> None:
    """Save a set as FASTA, atomically and gzipped if the name ends in .gz; headers carry what the set knows."""
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
        "label": sequences.label(index),
        "split": "" if sequences.split is None else sequences.split[index],
        "group": "" if sequences.group is None else sequences.group[index],
        "weight": "" if sequences.weight is None else repr(float(sequences.weight[index])),
    }
    written = [
        f'{key}="{value}"' if re.search(r"\s", value) else f"{key}={value}" for key, value in fields.items() if value
    ]
    yield " ".join([f">{sequences.names[index]}", *written])
    text = sequences.sequence(index)
    yield from (text[start : start + width] for start in range(0, len(text), width))
