"""Any bytes, and valid files with a few changes: the same sequences as an independent reader finds, or a sentence."""

import csv
import io
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openpyxl
import pytest
from Bio import SeqIO
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqreg.errors import InputError, SeqregError
from seqreg.sequences import InputSpec, SequenceSet, read_input, read_store, read_strings, read_variants, write_store
from seqreg.sequences.fasta import fields_of
from seqreg.sequences.hdf5_vectors import write_hdf5_vectors
from seqreg.sequences.vcf import is_vcf, read_vcf
from seqreg.vectors import VectorTable

FEW, MANY = 200, 10_000
SECONDS = 5.0  # of processor time that reading one file may take

FASTA = b">a label=x\nACGT\nACG\n>b label=y split=test\nCCGT\n>c label=x weight=2\nGGT\n>d label=y\nTTTT\n"
TABLE = b'id,sequence,label\na,ACGTACG,x\n"b",CCGT,"y, ""z"""\nc,GGT,x\nd,TTTT,y\n'
BED = b"c1\t2\t6\tx\nc1\t0\t4\ty\t0\t-\nc2\t1\t3\tx\t0\t+\n"
GENOME = b">c1 first\nACGTAC\nGGTACC\nAT\n>c2\nTTGGCC\nAA\n"
HEADER = b'label=x split=test group="a ""b"" c" weight=2 VALIDATION=False'
VCF = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nc1\t3\trs1\tG\tA,T\nc1\t5\t.\tAC\tA\n"
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


def check_headers(raw: bytes, _: Path) -> None:
    text = " ".join(plain(raw).split("\n"))
    assert fields_of(text) == oracle_fields(text)


def oracle_fields(text: str) -> dict[str, str] | None:
    """Letter by letter: `key=value key="a value"`, each key once, none but those that are known."""
    names = {name: name for name in ("label", "split", "group", "weight", "validation")}
    names |= {"target": "label", "set": "split"}
    fields: dict[str, str] = {}
    rest = text.strip()
    while rest:
        key, equals, rest = rest.partition("=")
        name, value = names.get(key.lower()), ""
        if not equals or name is None or name in fields or not rest or rest[0].isspace():
            return None
        if rest[0] == '"':
            rest = rest[1:]
            while '"' in rest and rest.split('"', 1)[1].startswith('"'):
                before, rest = rest.split('""', 1)
                value += f'{before}"'
            before, closed, rest = rest.partition('"')
            value += before
            if not closed:
                return None
        else:
            value = rest.split()[0]
            rest = rest[len(value) :]
        if rest and not rest[0].isspace():
            return None
        fields[name], rest = value.strip(), rest.strip()
    validation = fields.pop("validation", "false").lower()
    if validation not in ("true", "false"):
        return None
    if validation == "true":
        if fields.get("split", "train").lower() not in ("train", "training", "valid", "validation", "val", "dev"):
            return None
        fields["split"] = "valid"
    return fields


def check_vcf(raw: bytes, folder: Path) -> None:
    (folder / "x.vcf").write_bytes(raw)
    try:
        if not is_vcf(folder / "x.vcf"):
            return
        found = read_vcf(folder / "x.vcf", Counter())
    except InputError as error:
        named(error, "x.vcf")
        return
    lines = plain(raw).split("\n")
    for allele in found:
        chrom, position, _, reference, alternatives = lines[allele.line - 1].split("\t")[:5]
        assert (allele.chrom, allele.position) == (chrom.strip(), int(position) - 1)
        assert allele.reference == reference.strip().upper()
        assert allele.alternative in alternatives.strip().upper().split(",")


def check_workbook(raw: bytes, folder: Path) -> None:
    (folder / "x.xlsx").write_bytes(raw)
    try:
        found = read_input(InputSpec(input=folder / "x.xlsx"))
    except SeqregError as error:
        named(error, "x.xlsx")
        return
    assert found_in(found) == [("a", "ACGT"), ("b", "CCG"), ("c", "GG")]


def check_cells(rows: list[list[str | int | None]], folder: Path) -> None:
    """A workbook is read as the CSV of its cells is, or refused as that is."""
    path = folder / "x.xlsx"
    save_workbook(path, [["id", "sequence", "label"], *rows])
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([["id", "sequence", "label"], *rows])
    (folder / "x.csv").write_text(text.getvalue(), newline="")
    told = []
    for file in (path, folder / "x.csv"):
        try:
            found = read_input(InputSpec(input=file))
            told.append((found_in(found), [found.label(i) for i in range(len(found))]))
        except InputError as error:
            named(error, file.name)
            told.append(str(error).replace(".xlsx", ".csv"))
    assert told[0] == told[1]


VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)
IDS = ["a", "b", "c"]


def check_vectors(raw: bytes, folder: Path, suffix: str, oracle: Callable[[Path], dict[str, Any]]) -> None:
    """What another reader of such files finds under the ids, or a sentence; nothing where that one finds nothing."""
    path = folder / f"v{suffix}"
    path.write_bytes(raw)
    try:
        table = VectorTable(path)
        found = table.take(IDS, ["ACGT", "CCG", "GG"])
    except SeqregError as error:
        named(error, path.name)
        return
    assert found.shape == (3, table.dimension)
    assert np.isfinite(found).all()
    try:
        wanted = oracle(path)
    except Exception:  # noqa: BLE001  # checksums of what was not asked for, for one
        return
    for name, row in zip(IDS, found, strict=True):
        np.testing.assert_array_equal(row, np.asarray(wanted[name], dtype=np.float32))


def of_npz(path: Path) -> dict[str, Any]:
    with np.load(path) as stored:
        names = [
            each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in stored["ids"].tolist()
        ]
        return dict(zip(names, stored["vectors"], strict=True))


def of_hdf5(path: Path) -> dict[str, Any]:
    with h5py.File(path) as stored:
        return {name: stored[name][()] for name in IDS}


def of_table(path: Path) -> dict[str, Any]:
    lines = [line for line in plain(path.read_bytes()).split("\n") if line.strip()]
    mark = next((mark for mark in "\t,;" if mark in lines[0]), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark)]
    where = [cell.removeprefix("#").lower() for cell in rows[0]].index("id")
    return {row[where]: [float(cell) for i, cell in enumerate(row[: len(rows[0])]) if i != where] for row in rows[1:]}


def npz_bytes(folder: Path) -> bytes:
    np.savez(folder / "whole.npz", ids=np.array(IDS), vectors=VECTORS)
    return (folder / "whole.npz").read_bytes()


def hdf5_bytes(folder: Path) -> bytes:
    write_hdf5_vectors(folder / "whole.hdf5", zip(IDS, VECTORS, strict=True))
    return (folder / "whole.hdf5").read_bytes()


def save_workbook(path: Path, rows: list[Any]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for i, row in enumerate(rows, start=1):
        for j, value in enumerate(row, start=1):
            sheet.cell(i, j, value).data_type = "s" if isinstance(value, str) else "n"  # "=a" is a text here
    book.save(path)


def store_bytes(folder: Path) -> bytes:
    write_store(folder / "whole.h5", read_strings(["ACGT", "CCG", "GG"], list("xyx"), names=list("abc")))
    return (folder / "whole.h5").read_bytes()


def workbook_bytes(folder: Path) -> bytes:
    rows = [["id", "sequence", "label"], ["a", "ACGT", "x"], ["b", "CCG", "y"], ["c", "GG", "x"]]
    save_workbook(folder / "whole.xlsx", rows)
    return (folder / "whole.xlsx").read_bytes()


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The file cut short, or with up to eight bytes written over."""
    place, put = draw(st.integers(0, len(whole) - 1)), draw(st.binary(min_size=1, max_size=8))
    return whole[:place] if draw(st.booleans()) else whole[:place] + put + whole[place + len(put) :]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """files: what the check is called with, before a folder for them. share: of the examples, where one takes long."""

    files: Callable[[Path], st.SearchStrategy[Any]]
    check: Callable[..., None]
    share: float = 1.0


def text_reader(seed: bytes, check: Callable[..., None]) -> Reader:
    return Reader(files=lambda _: st.tuples(mutated(seed)), check=check)


CELLS = st.one_of(
    st.none(), st.integers(0, 10**15), st.sampled_from(["ACGT", "=a", "-b", '5" end', "x, y", "a\tb", "#N/A"])
)
ROWS = st.lists(
    st.tuples(CELLS, st.sampled_from(["ACGT", "CCG", None, "AXZ1"]), CELLS).map(list), min_size=1, max_size=4
)
READERS: dict[str, Reader] = {
    "fasta": text_reader(FASTA, check_text),
    "headers": text_reader(HEADER, check_headers),
    "table": text_reader(TABLE, check_text),
    "semicolons": text_reader(TABLE.replace(b",", b";"), check_text),
    "bed": Reader(files=lambda _: st.tuples(mutated(BED), st.just(GENOME)), check=check_regions, share=0.5),
    "genome": Reader(files=lambda _: st.tuples(st.just(BED), mutated(GENOME)), check=check_regions, share=0.5),
    "variants": text_reader(VARIANTS, check_variants),
    "vcf": text_reader(VCF, check_vcf),
    "store": Reader(files=lambda folder: st.tuples(damaged(store_bytes(folder))), check=check_store),
    "workbook": Reader(
        files=lambda folder: st.tuples(damaged(workbook_bytes(folder))), check=check_workbook, share=0.5
    ),
    "vectors-table": text_reader(
        b"id,d0,d1\na,0.5,1\nb,-2,3e-1\nc,4,5\n", partial(check_vectors, suffix=".csv", oracle=of_table)
    ),
    "vectors-npz": Reader(
        files=lambda folder: st.tuples(damaged(npz_bytes(folder))),
        check=partial(check_vectors, suffix=".npz", oracle=of_npz),
        share=0.5,
    ),
    "vectors-hdf5": Reader(
        files=lambda folder: st.tuples(damaged(hdf5_bytes(folder))),
        check=partial(check_vectors, suffix=".h5", oracle=of_hdf5),
        share=0.5,
    ),
    "cells": Reader(files=lambda _: st.tuples(ROWS), check=check_cells, share=0.25),
}


def examine(reader: Reader, folder: Path, examples: int) -> None:
    @settings(max_examples=round(examples * reader.share), suppress_health_check=list(HealthCheck))
    @given(files=reader.files(folder))
    def holds(files: tuple[Any, ...]) -> None:
        begun = time.process_time()
        reader.check(*files, folder)
        assert time.process_time() - begun < SECONDS

    holds()


@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_read_rightly_or_refused(name: str, tmp_path: Path) -> None:
    examine(READERS[name], tmp_path, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_mutated_files_are_read_rightly_or_refused(name: str, tmp_path: Path) -> None:
    examine(replace(READERS[name], share=1.0), tmp_path, MANY)
