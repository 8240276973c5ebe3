"""Workbooks of Excel: read like tables wherever tables are read, and what Excel does to names is noticed."""

import io
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import openpyxl
import pytest

from seqreg.errors import InputError
from seqreg.sequences import InputSpec, read_input, read_split, read_variants
from seqreg.sequences.opening import open_text

Rows = list[list[Any]]
ROWS: Rows = [["id", "sequence", "label"], ["a", "ACGT", "x"], ["b", "CCGT", "y"], ["c", "GGTT", "x"]]


def workbook(path: Path, sheets: dict[str, Rows], forms: dict[str, str] | None = None) -> Path:
    """Writes rows into sheets; forms: cell -> how the first sheet shows it."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    for cell, form in (forms or {}).items():
        book.worksheets[0][cell].number_format = form
    book.save(path)
    return path


def read(path: Path | str) -> list[tuple[str, str, str]]:
    found = read_input(InputSpec(input=path))
    return [(name, found.sequence(i), found.label(i)) for i, name in enumerate(found.names)]


def test_the_first_sheet_or_the_one_that_is_named_is_a_table(tmp_path: Path) -> None:
    other = [["Sequence", "Label"], ["TTTT", "p"], ["AAAA", "q"]]
    path = workbook(tmp_path / "x.xlsx", {"Data": ROWS, "other sheet": other})
    expected = [tuple(row) for row in ROWS[1:]]
    assert read(path) == read(f"{path}:Data") == expected
    assert read(f"{path}:other sheet") == [("seq1", "TTTT", "p"), ("seq2", "AAAA", "q")]
    path.rename(tmp_path / "named otherwise")
    assert read(tmp_path / "named otherwise") == expected
    (tmp_path / "y.xlsx:Data").write_text("sequence,label\nAC,x\nCA,y\n")
    assert read(tmp_path / "y.xlsx:Data") == [("seq1", "AC", "x"), ("seq2", "CA", "y")]


def test_every_reader_of_tables_reads_it(tmp_path: Path, call: Callable[..., CompletedProcess[str]]) -> None:
    (tmp_path / "x.fa").write_text(">a\nACGT\n>b\nCCGT\n>c\nGGTT\n")
    labels = workbook(tmp_path / "y.xlsx", {"s": [[row[0], row[2]] for row in ROWS]})
    found = read_input(InputSpec(fasta=tmp_path / "x.fa", labels=f"{labels}:s"))
    assert [found.label(i) for i in range(3)] == ["x", "y", "x"]
    parts = workbook(tmp_path / "p.xlsx", {"s": [["id", "split", "group"], *([name, "train", None] for name in "abc")]})
    assert read_split(parts, found).part.tolist() == ["train"] * 3
    variants = workbook(tmp_path / "v.xlsx", {"s": [["Variant", "ID"], ["2C>G", "a"], ["1del", "b"]]})
    assert [(one.id, one.text, one.line) for one in read_variants(variants)] == [("a", "2C>G", 2), ("b", "1del", 3)]
    done = call("encode", workbook(tmp_path / "x.xlsx", {"s": ROWS}), "-o", tmp_path / "x.h5")
    assert done.returncode == 0, done.stderr


def test_cells_are_what_they_show(tmp_path: Path) -> None:
    rows: Rows = [
        [None, None],
        ["# made by hand"],
        [],
        ["id", "sequence", "label", "weight", "group", None],
        [1, "ACGT", True, 2.0, datetime(2024, 5, 1, 12, 30)],
        [2.5, " CCGT ", False, 0.5, date(2024, 5, 1)],
        [123456789012345, "GGTT", True, None, '5\' "end"'],
    ]
    found = read_input(InputSpec(input=workbook(tmp_path / "x.xlsx", {"s": rows})))
    assert list(found.names) == ["1", "2.5", "123456789012345"]
    assert [found.sequence(i) for i in range(3)] == ["ACGT", "CCGT", "GGTT"]
    assert [found.label(i) for i in range(3)] == ["TRUE", "FALSE", "TRUE"]
    assert found.weight is not None
    assert found.weight.tolist() == [2, 0.5, 1]
    assert found.group is not None
    assert found.group.tolist() == ["2024-05-01 12:30:00", "2024-05-01", '5\' "end"']
    assert found.warnings == ()


def test_names_that_excel_has_changed_are_counted(tmp_path: Path) -> None:
    rows: Rows = [
        ["id", "sequence", "label", "group"],
        [datetime(2024, 3, 1), "ACGT", "x", datetime(2024, 9, 2)],
        [2310009000000000000000.0, "CCGT", "y", "g"],
        ["c", "GGTT", "x", datetime(2001, 12, 1)],
    ]
    path = workbook(tmp_path / "x.xlsx", {"s": rows}, {"A2": "d-mmm", "D2": "[$-409]d\\-mmm;@", "D4": "mmm-yy"})
    found = read_input(InputSpec(input=path))
    assert list(found.names) == ["1-Mar", "2.310009E+21", "c"]
    changed = "ids, labels or groups that a spreadsheet seems to have made of names, mend them"
    assert found.warnings == (f"{changed} ('1-Mar', '2.310009E+21', '2-Sep'): 4",)
    (tmp_path / "x.csv").write_text("sequence,label\nAC,1-Mar\nCA,SEPT2\nCC,MARCH1\nGG,2-Sep\n")
    assert read_input(InputSpec(input=tmp_path / "x.csv")).warnings == (f"{changed} ('1-Mar', '2-Sep'): 2",)


def put(rows: Rows, cell: str, value: Any) -> dict[str, Rows]:
    changed = [list(row) for row in rows]
    changed[int(cell[1:]) - 1]["ABC".index(cell[0])] = value
    return {"s": changed}


REFUSED: dict[str, tuple[dict[str, Rows], str, str]] = {
    "a sheet that is not there": ({"s": ROWS, "t": ROWS}, ":u", "no sheet 'u'; the sheets are 's', 't'"),
    "a formula without a value": (put(ROWS, "B3", '="AC"&"GT"'), "", "cell B3 holds a formula without a value"),
    "a text that was cut": (put(ROWS, "B2", "A" * 32_767), "", "cell B2 has 32,767 characters"),
    "a line break": (put(ROWS, "C4", "x\ny"), "", "cell C4 holds a line break"),
    "an error": (put(ROWS, "C2", "#NAME?"), "", r"the label is '#NAME\?', an error of a spreadsheet"),
    "no rows": ({"s": []}, "", "x.xlsx"),
    "no sequence": (put(ROWS, "B4", None), "", "record 3 \\(c\\): the sequence is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused(case: str, tmp_path: Path) -> None:
    sheets, sheet, problem = REFUSED[case]
    with pytest.raises(InputError, match=problem) as refused:
        read_input(InputSpec(input=f"{workbook(tmp_path / 'x.xlsx', sheets)}{sheet}"))
    assert "x.xlsx" in str(refused.value)


def archive(**entries: str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return raw.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (archive(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "a zip archive, or a spreadsheet in an"),
        (b"PK\x03\x04 rest", "a damaged workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 rest", "a workbook of old Excel"),
    ],
)
def test_other_spreadsheets_are_named(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_bytes(content)
    with pytest.raises(InputError, match=f"x.xlsx: {problem}"):
        read_input(InputSpec(input=tmp_path / "x.xlsx"))


def test_a_sheet_of_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_text("sequence,label\nAC,x\n")
    assert read(tmp_path / "x.xlsx") == [("seq1", "AC", "x")]
    with pytest.raises(InputError, match=r"x\.xlsx:s: not a workbook of Excel"):
        read_input(InputSpec(input=f"{tmp_path / 'x.xlsx'}:s"))


def test_a_wrong_size_in_the_file_loses_no_row(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", {"s": ROWS})
    with zipfile.ZipFile(path) as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    entries[sheet] = entries[sheet].replace(b'ref="A1:C4"', b'ref="A1"')
    with zipfile.ZipFile(path, "w") as made:
        for name, content in entries.items():
            made.writestr(name, content)
    assert read(path) == [tuple(row) for row in ROWS[1:]]


def test_without_openpyxl_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "x.xlsx", {"s": ROWS})
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"reading \.xlsx needs openpyxl"), open_text(path):
        pass
