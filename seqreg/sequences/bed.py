"""Regions of a genome: a BED file gives places, strands and labels (its name column), a FASTA file the letters."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from Bio.Seq import reverse_complement

from seqreg.errors import InputError
from seqreg.sequences.genome import open_genome
from seqreg.sequences.opening import name_of, open_text
from seqreg.sequences.raw import RawRecord

_NOT_REGIONS = ("#", "track", "browser")


def bed_records(bed: str | Path, genome: str | Path) -> Iterator[RawRecord]:
    """One record per region, in the order of the BED file, read on the strand it names.

    The id is `chrom:start-end`, with the strand in brackets where one is given, in BED's own numbering (from 0, end
    excluded); a region that is there again has `#2` and so on behind it. Raises InputError for a malformed line, an
    unknown chromosome, a region beyond its end, and a strand where the name belongs.
    """
    file = name_of(bed)
    times: Counter[str] = Counter()
    with open_genome(genome) as chromosomes, open_text(bed) as (handle, _):
        regions = (line for line in handle if line.strip() and not line.startswith(_NOT_REGIONS))
        for number, line in enumerate(regions, start=1):
            fields = line.rstrip("\r\n").split("\t" if "\t" in line else None)
            chrom, start, end = _place(fields, file, number)
            label = fields[3].strip() if len(fields) > 3 and fields[3].strip() != "." else ""
            strand = fields[5].strip() if len(fields) > 5 else "."
            name = f"{chrom}:{start}-{end}" + (f"({strand})" if strand in ("+", "-") else "")
            times[name] += 1
            name += f"#{times[name]}" if times[name] > 1 else ""
            record = RawRecord(file, number, name, "", label=label)
            if label in ("+", "-"):
                problem = f"{label!r} stands in column 4, which holds the name, that is the label"
                raise record.error(problem, "BED has name, score, strand in columns 4 to 6; write '.' for no name.")
            if strand not in ("+", "-", "."):
                raise record.error(f"strand {strand!r} is none of '+', '-' and '.'")
            size = chromosomes.length(chrom)
            if size is None:
                raise record.error(f"{name_of(genome)} has no sequence {chrom!r}")
            if end > size:
                raise record.error(f"the region ends at {end}, but {chrom} in {name_of(genome)} has {size} letters")
            text = chromosomes.letters(chrom, start, end)
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
