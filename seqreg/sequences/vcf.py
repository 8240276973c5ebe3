"""VCF: variants by their places in a genome, as edits of the sequences that hold those places."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from Bio.Seq import reverse_complement

from seqreg.errors import InputError
from seqreg.sequences.genome import open_genome
from seqreg.sequences.opening import name_of, open_text
from seqreg.sequences.variants import ListedVariant, begins_vcf

_REGION = re.compile(r"(?P<chrom>.+):(?P<start>\d+)-(?P<end>\d+)(?:\((?P<strand>[+-])\))?(?:#\d+)?")
_LETTERS = re.compile(r"[ACGTUN]+")


@dataclass(frozen=True, kw_only=True)
class Allele:
    """One alternative of one line. position: of its first letter on the chromosome, from 0."""

    file: str
    line: int
    chrom: str
    position: int
    reference: str
    alternative: str

    @property
    def end(self) -> int:
        """The position after the last letter of the reference."""
        return self.position + len(self.reference)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.position + 1}:{self.reference}>{self.alternative}"

    def error(self, problem: str, remedy: str | None = None) -> InputError:
        """An error at this line."""
        return InputError(problem, file=self.file, line=self.line, remedy=remedy)


def is_vcf(path: str | Path) -> bool:
    """Whether a file, plain or gzipped, begins as VCF does. Raises InputError for what is no text."""
    with open_text(path) as (_, start):
        return begins_vcf(start)


def read_vcf(path: str | Path, remarks: Counter[str]) -> list[Allele]:
    """The alleles of a VCF file, one for each alternative, in its order; `remarks` counts those that are no letters.

    Raises InputError for a line that is not VCF, and for a file without any allele.
    """
    alleles: list[Allele] = []
    file = name_of(path)
    with open_text(path) as (handle, _):
        for number, line in enumerate(handle, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) < 5 or not fields[1].strip().isdecimal() or int(fields[1]) < 1:
                problem = "not a line of VCF: it needs CHROM, POS, ID, REF and ALT"
                raise InputError(problem, file=file, line=number, remedy="Separate the columns by tabs.")
            chrom, place, reference = fields[0].strip(), int(fields[1]) - 1, fields[3].strip().upper()
            if not _LETTERS.fullmatch(reference):
                raise InputError(f"REF {reference!r} is not written in A, C, G, T and N", file=file, line=number)
            for alternative in fields[4].strip().upper().split(","):
                if not _LETTERS.fullmatch(alternative):
                    remarks["alleles without letters (., *, <DEL> and the like), not scored"] += alternative != "."
                elif alternative != reference:
                    about = {"file": file, "line": number, "chrom": chrom, "position": place}
                    alleles.append(Allele(**about, reference=reference, alternative=alternative))
    if not alleles:
        raise InputError("no variants", file=file, remedy="Each line needs letters in ALT.")
    return alleles


def in_regions(alleles: Sequence[Allele], names: Iterable[str], remarks: Counter[str]) -> list[ListedVariant]:
    """The alleles as edits of sequences: of every region `chrom:start-end(strand)` that holds them whole, or of the
    sequence that is called like their chromosome. `remarks` counts those that are in none.
    """
    regions: dict[str, list[tuple[str, int, int, bool]]] = {}
    whole: set[str] = set()
    for name in names:
        whole.add(name)
        if found := _REGION.fullmatch(name):
            place = name, int(found["start"]), int(found["end"]), found["strand"] == "-"
            regions.setdefault(found["chrom"], []).append(place)
    listed: list[ListedVariant] = []
    for allele in alleles:
        places = [(allele.chrom, 0, allele.end, False)] if allele.chrom in whole else []
        places += [
            place for place in regions.get(allele.chrom, ()) if place[1] <= allele.position and allele.end <= place[2]
        ]
        remarks["variants in none of the sequences, not scored"] += not places
        listed += [_listed(allele, *place) for place in places]
    return listed


def _listed(allele: Allele, name: str, start: int, end: int, reverse: bool) -> ListedVariant:
    at, reference, alternative = allele.position - start, allele.reference, allele.alternative
    if reverse:
        at = end - allele.end
        reference, alternative = (str(reverse_complement(text)) for text in (reference, alternative))
    return ListedVariant(
        file=allele.file,
        line=allele.line,
        id=name,
        text=_hgvs(at, reference, alternative),
        named=str(allele),
        reference=(at, reference),
    )


def _hgvs(at: int, reference: str, alternative: str) -> str:
    """The edit of the letters from position `at` (from 0), without those that stay at either end."""
    while reference and alternative and reference[-1] == alternative[-1]:
        reference, alternative = reference[:-1], alternative[:-1]
    while reference and alternative and reference[0] == alternative[0]:
        at, reference, alternative = at + 1, reference[1:], alternative[1:]
    if not reference:
        return f"{at}_{at + 1}ins{alternative}"
    if len(reference) == len(alternative):
        changed = [i for i in range(len(reference)) if reference[i] != alternative[i]]
        return ";".join(f"{at + i + 1}{reference[i]}>{alternative[i]}" for i in changed)
    return f"{at + 1}_{at + len(reference)}del{reference}" + (f"ins{alternative}" if alternative else "")


def in_windows(path: Path, alleles: Sequence[Allele], genome: str | Path, length: int) -> list[ListedVariant]:
    """The alleles as edits of windows of this length around them, shorter where a chromosome ends, which are written
    to a BED file, each once.

    Raises InputError for a chromosome that the genome lacks, and for an allele beyond its end or above the length.
    """
    windows: dict[str, str] = {}
    listed: list[ListedVariant] = []
    with open_genome(genome) as chromosomes:
        for allele in alleles:
            size = chromosomes.length(allele.chrom)
            if size is None:
                remedy = "Names of chromosomes must be the same in both: '1' is not 'chr1'."
                raise allele.error(f"{name_of(genome)} has no sequence {allele.chrom!r}", remedy)
            if allele.end > size:
                raise allele.error(f"{allele} is beyond the {size} letters of {allele.chrom} in {name_of(genome)}")
            if len(allele.reference) > length:
                raise allele.error(f"{allele} is longer than a window of {length} letters")
            start = allele.position - (length - len(allele.reference)) // 2
            start = max(0, min(start, size - length))
            end = min(size, start + length)
            name = f"{allele.chrom}:{start}-{end}"
            windows[name] = f"{allele.chrom}\t{start}\t{end}\n"
            listed.append(_listed(allele, name, start, end, reverse=False))
    path.write_text("".join(windows.values()), encoding="utf-8")
    return listed
