"""Whatever form a genome has and whatever lies beside it, a region is the letters that Biopython reads there."""

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from Bio import bgzf
from Bio.Seq import reverse_complement
from Bio.SeqIO.FastaIO import SimpleFastaParser

from seqreg.errors import InputError
from seqreg.sequences import InputSpec, read_input
from seqreg.sequences.genome import Chromosome


def letters(rng: np.random.Generator) -> dict[str, str]:
    return {f"chr{n}": "".join(rng.choice(list("ACGT"), size=n)) for n in (1, 59, 60, 61, 120, 137)}


def lines(genome: dict[str, str], width: int = 20, end: str = "\n", last: str = "\n") -> bytes:
    rows = []
    for name, text in genome.items():
        rows += [f">{name} of length {len(text)}", *(text[i : i + width] for i in range(0, len(text), width))]
    return (end.join(rows) + last).encode()


def blocks(genome: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with bgzf.BgzfWriter(fileobj=out) as packed:
        packed.write(lines(genome))
        packed.flush()
        return out.getvalue() + bgzf._bgzf_eof  # pyright: ignore[reportPrivateUsage]


def longer_last(genome: dict[str, str]) -> bytes:
    return b"".join(
        f">{name}\n{text[: len(text) // 3]}\n{text[len(text) // 3 :]}\n".encode() for name, text in genome.items()
    )


FORMS: dict[str, Callable[[dict[str, str]], bytes]] = {
    "plain": lines,
    "one line": lambda genome: lines(genome, width=1000),
    "no last line end": lambda genome: lines(genome, last=""),
    "DOS": lambda genome: lines(genome, end="\r\n", last="\r\n"),
    "classic": lambda genome: lines(genome, end="\r", last="\r"),
    "byte-order mark": lambda genome: b"\xef\xbb\xbf" + lines(genome),
    "gzip": lambda genome: gzip.compress(lines(genome)),
    "bgzip": blocks,
    "last line longer than the first": longer_last,
    "ragged": lambda genome: lines(genome).replace(b"A", b"A\n", 5),
    "blank lines": lambda genome: b"\n" + lines(genome).replace(b"\n>", b"\n\n\n>"),
    "blank lines within": lambda genome: lines(genome).replace(b"\n", b"\n\n"),
    "comments": lambda genome: b"; an assembly\n# 2\n" + lines(genome),
    "spaces": lambda genome: lines(genome).replace(b"CG", b"CG "),
    "lower case": lambda genome: lines({name: text.lower() for name, text in genome.items()}),
}

FAI = "".join(f"chr{n}\t{n}\t{n}\t20\t21\n" for n in (1, 59, 60, 61, 120, 137))
INDICES: dict[str, str] = {
    "none": "",
    "of another genome": FAI,
    "half": "chr1\t1\t18\t20\t21\nchr59\t59\t",
    "of the first chromosome": "chr1\t1\t18\t20\t21\n",
    "not an index": "ACGT\n\0\n",
    "negative": "chr1\t-1\t18\t20\t0\n",
}


def expected(path: Path, regions: list[tuple[str, int, int, str]]) -> list[str]:
    text = path.read_bytes()
    plain = (gzip.decompress(text) if text.startswith(b"\x1f\x8b") else text).decode("utf-8-sig")
    handle = io.StringIO(plain.replace("\r\n", "\n").replace("\r", "\n"))
    while (place := handle.tell()) >= 0 and not handle.readline().startswith(">"):
        pass
    handle.seek(place)
    known = {title.split()[0]: sequence.upper() for title, sequence in SimpleFastaParser(handle)}
    found = [known[chrom][start:end] for chrom, start, end, _ in regions]
    return [reverse_complement(s) if strand == "-" else s for s, (*_, strand) in zip(found, regions, strict=True)]


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("form", FORMS)
def test_a_region_is_what_is_there(form: str, index: str, tmp_path: Path, rng: np.random.Generator) -> None:
    genome = letters(rng)
    path = tmp_path / "g.fa"
    path.write_bytes(FORMS[form](genome))
    if INDICES[index]:
        Path(f"{path}.fai").write_text(INDICES[index])
    regions = [(name, 0, len(text), "+") for name, text in genome.items()]
    for _ in range(40):
        name = str(rng.choice(list(genome)))
        start, end = sorted(rng.choice(len(genome[name]) + 1, size=2, replace=False).tolist())
        regions.append((name, start, end, str(rng.choice(["+", "-"]))))
    bed = tmp_path / "r.bed"
    bed.write_text("".join(f"{c}\t{s}\t{e}\t.\t0\t{strand}\n" for c, s, e, strand in regions))
    for _ in range(2):  # the second time by the index that was written
        found = read_input(InputSpec(bed=bed, genome=path))
        assert [found.sequence(i) for i in range(len(found))] == expected(path, regions)
    if form == "plain":
        rows = [line.split("\t") for line in Path(f"{path}.fai").read_text().splitlines()]
        assert [(row[0], int(row[1])) for row in rows] == [(name, len(text)) for name, text in genome.items()]


def test_an_older_index_is_made_again(tmp_path: Path) -> None:
    path, bed = tmp_path / "g.fa", tmp_path / "r.bed"
    path.write_text(">c\nACGT\n")
    bed.write_text("c\t0\t4\n")
    read_input(InputSpec(bed=bed, genome=path))
    path.write_text(">c\nAC\nGT\n")
    os.utime(f"{path}.fai", (1, 1))
    assert read_input(InputSpec(bed=bed, genome=path)).sequence(0) == "ACGT"


def test_the_same_region_twice_is_two_records(tmp_path: Path) -> None:
    path, bed = tmp_path / "g.fa", tmp_path / "r.bed"
    path.write_text(">c\nACGT\n")
    bed.write_text("c\t0\t3\tx\nc\t0\t3\ty\nc\t0\t3\tx\t0\t+\nc\t0\t3\tx\n")
    found = read_input(InputSpec(bed=bed, genome=path))
    assert list(found.names) == ["c:0-3", "c:0-3#2", "c:0-3(+)", "c:0-3#3"]
    assert [found.label(i) for i in range(4)] == ["x", "y", "x", "x"]


BAD = {
    "beyond ASCII": (">c\nACGTÄ\n", "g.fa, record c: letters that are not ASCII"),
    "beyond ASCII, ragged": (">c\nAC\nGTÄ\n", "g.fa, record c: letters that are not ASCII"),
    "two of one name": (">c\nACGT\n>c\nACGT\n", "g.fa: two sequences are called 'c'"),
    "no name": (">\nACGT\n", "g.fa: a record has no id"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_genome_is_named(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    (tmp_path / "g.fa").write_text(text)
    (tmp_path / "r.bed").write_text("c\t0\t4\n")
    with pytest.raises(InputError, match=message):
        read_input(InputSpec(bed=tmp_path / "r.bed", genome=tmp_path / "g.fa"))


@pytest.mark.parametrize(("length", "end"), [(0, 5), (1, 6), (4, 9), (8, 14), (10, 17)])
def test_a_chromosome_ends_with_its_last_letter(length: int, end: int) -> None:
    assert Chromosome(length=length, offset=5, letters=4, width=5).end == end
