"""Any bytes, and valid files with a few changes: the same sequences as an independent reader finds, or a sentence."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from Bio import SeqIO
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqreg.errors import InputError, SeqregError
from seqreg.sequences import InputSpec, SequenceSet, read_input, read_store, read_strings, read_variants, write_store

FEW, MANY = 200, 10_000

FASTA = b">a label=x\nACGT\nACG\n>b label=y split=test\nCCGT\n>c label=x weight=2\nGGT\n>d label=y\nTTTT\n"
TABLE = b'id,sequence,label\na,ACGTACG,x\n"b",CCGT,"y, ""z"""\nc,GGT,x\nd,TTTT,y\n'
BED = b"c1\t2\t6\tx\nc1\t0\t4\ty\t0\t-\nc2\t1\t3\tx\t0\t+\n"
GENOME = b">c1 first\nACGTAC\nGGTACC\nAT\n>c2\nTTGGCC\nAA\n"
VARIANTS = b"id\tvariant\na\t2C>G\nb\t3_4insA;1del\n"
PIECES = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\t",
    b",",
    b";",
    b'"',
    b">",
    b"#",
    b" ",
    b"=",
    b"-",
    b"label=",
    b"weight=",
    b"\0",
    b"\xff",
]
PIECES += [
    b"\xc3\xa4",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\x1f\x8b",
    b"\x7f",
    b"U",
    b"acgt",
    b"split=test",
    b"1e9",
    b"NA",
]


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """The seed with up to four pieces cut out, put in or written over; or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=80))
    raw = seed
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 12)))
        raw = raw[:start] + draw(st.sampled_from([b"", *PIECES])) + raw[end:]
    return raw


def found_in(sequences: SequenceSet) -> list[tuple[str, str]]:
    return [(name, sequences.sequence(i)) for i, name in enumerate(sequences.names)]


def plain(raw: bytes) -> str:
    """The text, a line end for each of those there are."""
    return re.sub(r"\r\n?", "\n", raw.decode("utf-8-sig", "replace"))


def same_letters(text: str) -> str:
    return re.sub(r"\s", "", text).upper()


def oracle_fasta(text: str) -> list[tuple[str, str]]:
    start = re.search(r"^>", text, re.MULTILINE)
    assert start is not None
    lines = [line if line.startswith(">") else "".join(line.split()) for line in text[start.start() :].split("\n")]
    records = SeqIO.parse(io.StringIO("\n".join(lines)), "fasta")
    return [(record.id, same_letters(str(record.seq))) for record in records]


def oracle_table(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.split("\n") if line.strip()]
    while lines[0].startswith("sep=") or (
        lines[0].startswith("#") and not re.search(r"(?i)[#\s,;](id|sequence)\s*([,;\t]|$)", lines[0])
    ):
        lines = lines[1:]
    mark = next((mark for mark in "\t,;" if mark in lines[0]), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark)]
    header = [cell.removeprefix("#").strip().lower() for cell in rows[0]]
    body = [row for row in rows[1:] if any(row)]
    names = [row[header.index("id")] for row in body] if "id" in header else [f"seq{i + 1}" for i in range(len(body))]
    return list(zip(names, (row[header.index("sequence")].upper() for row in body), strict=True))


def named(error: SeqregError, *files: str) -> None:
    """The error says which file is wrong."""
    assert any(file in str(error) for file in files), error


def check_text(raw: bytes, folder: Path) -> None:
    path = folder / "x.txt"
    path.write_bytes(raw)
    try:
        found = read_input(InputSpec(input=path))
    except InputError as error:
        named(error, "x.txt")
        return
    text = plain(raw)
    is_fasta = re.match(r"(\s*[;#].*\n|\s*\n)*\s*>", text) is not None
    expected = oracle_fasta(text) if is_fasta else oracle_table(text)
    read_as = found.alphabet.read_as
    assert found_in(found) == [(name, "".join(read_as.get(letter, letter) for letter in s)) for name, s in expected]


def check_regions(bed: bytes, genome: bytes, folder: Path) -> None:
    (folder / "x.bed").write_bytes(bed)
    (folder / "x.fa").write_bytes(genome)
    Path(f"{folder / 'x.fa'}.fai").unlink(missing_ok=True)
    try:
        found = read_input(InputSpec(bed=folder / "x.bed", genome=folder / "x.fa"))
    except InputError as error:
        named(error, "x.bed", "x.fa")
        return
    known = dict(oracle_fasta(plain(genome)))
    lines = [line for line in plain(bed).split("\n") if line.strip() and not re.match("#|track|browser", line)]
    for line, (_, sequence) in zip(lines, found_in(found), strict=True):
        cells = line.split("\t") if "\t" in line else line.split()
        region = known[cells[0].strip()][int(cells[1]) : int(cells[2])]
        if len(cells) > 5 and cells[5].strip() == "-":
            region = region.translate(str.maketrans("ACGTURYKMBVDH", "TGCAAYRMKVBHD"))[::-1]
        assert sequence == region.replace("U", "T")


def check_store(raw: bytes, folder: Path) -> None:
    (folder / "x.h5").write_bytes(raw)
    try:
        found = read_store(folder / "x.h5")
    except SeqregError as error:
        named(error, "x.h5")
        return
    assert (found_in(found), found.y.tolist() if found.y is not None else None) == (
        [("a", "ACGT"), ("b", "CCG"), ("c", "GG")],
        [0, 1, 0],
    )


def check_variants(raw: bytes, folder: Path) -> None:
    (folder / "x.list").write_bytes(raw)
    try:
        found = read_variants(folder / "x.list")
    except InputError as error:
        named(error, "x.list")
        return
    for one in found:
        line = plain(raw).split("\n")[one.line - 1]
        assert one.id in line
        assert one.text in line


CHECKS: dict[str, tuple[st.SearchStrategy[Any], Callable[..., None]]] = {
    "fasta": (mutated(FASTA).map(lambda raw: (raw,)), check_text),
    "table": (mutated(TABLE).map(lambda raw: (raw,)), check_text),
    "semicolons": (mutated(TABLE.replace(b",", b";")).map(lambda raw: (raw,)), check_text),
    "bed": (st.tuples(mutated(BED), st.just(GENOME)), check_regions),
    "genome": (st.tuples(st.just(BED), mutated(GENOME)), check_regions),
    "variants": (mutated(VARIANTS).map(lambda raw: (raw,)), check_variants),
}


def examine(reader: str, folder: Path, examples: int) -> None:
    strategy, check = CHECKS[reader]
    examples //= 2 if check is check_regions else 1  # two files and an index each

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(files=strategy)
    def holds(files: tuple[bytes, ...]) -> None:
        check(*files, folder)

    holds()


@pytest.mark.parametrize("reader", CHECKS)
def test_mutated_files_are_read_rightly_or_refused(reader: str, tmp_path: Path) -> None:
    examine(reader, tmp_path, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("reader", CHECKS)
def test_many_mutated_files_are_read_rightly_or_refused(reader: str, tmp_path: Path) -> None:
    examine(reader, tmp_path, MANY)


def examine_store(folder: Path, examples: int) -> None:
    write_store(folder / "whole.h5", read_strings(["ACGT", "CCG", "GG"], list("xyx"), names=list("abc")))
    whole = (folder / "whole.h5").read_bytes()

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(place=st.integers(0, len(whole) - 1), put=st.binary(min_size=1, max_size=8), cut=st.booleans())
    def holds(place: int, put: bytes, cut: bool) -> None:
        check_store(whole[:place] if cut else whole[:place] + put + whole[place + len(put) :], folder)

    holds()


def test_mutated_stores_are_read_rightly_or_refused(tmp_path: Path) -> None:
    examine_store(tmp_path, FEW)


@pytest.mark.slow
def test_many_mutated_stores_are_read_rightly_or_refused(tmp_path: Path) -> None:
    examine_store(tmp_path, MANY)
