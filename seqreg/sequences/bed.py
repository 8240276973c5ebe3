"""Regions of a genome: a BED file gives places, strands and labels (its name column), a FASTA file the letters."""

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from Bio.Seq import reverse_complement
from pyfaidx import Fasta, FastaIndexingError

from seqreg.errors import InputError
from seqreg.sequences.opening import open_text, shown
from seqreg.sequences.raw import RawRecord

_NOT_REGIONS = ("#", "track", "browser")


def bed_records(bed: str | Path, genome: str | Path) -> Iterator[RawRecord]:
    """One record per region, in the order of the BED file, read on the strand it names.

    The id is `chrom:start-end`, with the strand in brackets where one is given, in BED's own numbering (from 0, end
    excluded). Raises InputError for a malformed line, an unknown chromosome or a region beyond its end.
    """
    file = shown(bed)
    with _indexed(genome) as letters, open_text(bed) as (handle, _):
        regions = (line for line in handle if line.strip() and not line.startswith(_NOT_REGIONS))
        for number, line in enumerate(regions, start=1):
            fields = line.rstrip("\r\n").split("\t" if "\t" in line else None)
            chrom, start, end = _place(fields, file, number)
            label = fields[3].strip() if len(fields) > 3 and fields[3].strip() != "." else ""
            strand = fields[5].strip() if len(fields) > 5 else "."
            name = f"{chrom}:{start}-{end}" + (f"({strand})" if strand in "+-" else "")
            record = RawRecord(file, number, name, "", label=label)
            if strand not in ("+", "-", "."):
                raise record.error(f"strand {strand!r} is none of '+', '-' and '.'")
            if chrom not in letters:
                raise record.error(f"{shown(genome)} has no sequence {chrom!r}")
            size = len(letters[chrom])
            if end > size:
                raise record.error(f"the region ends at {end}, but {chrom} in {shown(genome)} has {size} letters")
            text = str(letters[chrom][start:end])
            yield record._replace(sequence=reverse_complement(text) if strand == "-" else text)


def _place(fields: list[str], file: str, number: int) -> tuple[str, int, int]:
    try:
        chrom, start, end = fields[0].strip(), int(fields[1]), int(fields[2])
    except (IndexError, ValueError):
        problem = "not a BED line: it needs chromosome, start and end"
        raise InputError(problem, file=file, record=number, remedy="Separate the columns by tabs.") from None
    if not 0 <= start < end:
        raise InputError(f"region {start}-{end} is empty or begins before 0", file=file, record=number)
    return chrom, start, end


@contextmanager
def _indexed(genome: str | Path) -> Iterator[Fasta]:
    """The genome with its .fai index: beside it, as is the custom, if that folder can be written to."""
    if str(genome) == "-":
        raise InputError("a genome cannot be read from standard input", remedy="Give the path of a FASTA file.")
    with tempfile.TemporaryDirectory(prefix="seqreg-genome-") as folder:
        plain = _unpacked(genome, Path(folder))
        beside = Path(f"{plain}.fai")
        usable = beside.exists() or os.access(beside.parent, os.W_OK)
        try:
            index = Fasta(str(plain), indexname=str(beside if usable else Path(folder, "genome.fai")), as_raw=True)
        except (FastaIndexingError, OSError, ValueError) as error:
            raise InputError(f"cannot be indexed: {error}", file=shown(genome)) from None
        with index:
            yield index


def _unpacked(genome: str | Path, folder: Path) -> Path:
    """The genome as plain text: itself, or a temporary copy, because gzip has no random access."""
    with open_text(genome) as (_, start):
        if not start.startswith(">"):
            raise InputError("not a FASTA file: it does not begin with '>'", file=shown(genome))
    with open(genome, "rb") as handle:
        if handle.read(2) != b"\x1f\x8b":
            return Path(genome)
    try:
        with gzip.open(genome) as packed, open(folder / "genome.fa", "wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    except (EOFError, gzip.BadGzipFile):
        raise InputError("truncated or damaged gzip file", file=shown(genome)) from None
    return folder / "genome.fa"
