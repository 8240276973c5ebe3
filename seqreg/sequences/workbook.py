"""Workbooks of Excel (.xlsx) as the text of a table: one sheet, a line per row, cells separated by tabs."""

import csv
import re
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, TextIO
from xml.etree.ElementTree import ParseError

from seqreg.errors import InputError

MOST_LETTERS = 32_767  # that a cell of Excel holds: it cuts what is longer, without a word
MOST_BYTES = 4 << 30  # of a workbook, unpacked
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EXACT = 10**15  # up to which Excel keeps every digit of a number
_NAMED = re.compile(r"(.+\.xls[xm]):(.+)", re.IGNORECASE | re.DOTALL)
_CHANGED = re.compile(rf"\d{{1,2}}-({'|'.join(MONTHS)})|({'|'.join(MONTHS)})-\d\d|\d(\.\d+)?E\+\d\d", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}")
_ERRORS = {"#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"}
# What openpyxl raises for files that are no workbooks, or not any more.
_DAMAGE = (
    *(AttributeError, ArithmeticError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError, TypeError),
    *(ValueError, ParseError, struct.error, zipfile.BadZipFile, zlib.error, AssertionError),
)


def file_and_sheet(path: str | Path) -> tuple[Path, str | None]:
    """The file, and the sheet where one is named as in `FILE.xlsx:sheet`; a file of that very name comes first."""
    named = _NAMED.fullmatch(str(path))
    if named is None or Path(path).is_file():
        return Path(path), None
    return Path(named[1]), named[2]


def changed_by_spreadsheet(text: str, *, dates: bool) -> bool:
    """Whether a name looks like one that a spreadsheet took for a date or a number, as MARCH1 becomes 1-Mar.

    dates: whether plain dates count too.
    """
    return _CHANGED.fullmatch(text) is not None or (dates and _DATE.fullmatch(text) is not None)


def is_spreadsheet_error(text: str) -> bool:
    """Whether a spreadsheet writes this where a formula failed; a name that begins with = or - gets `#NAME?`."""
    return text in _ERRORS


def sheet_as_text(raw: IO[bytes], sheet: str | None, file: str) -> TextIO:
    """The sheet of this name, or the first, as an open text. Raises InputError for what is no workbook, a sheet that
    is not there, and cells whose content is not known: formulas without a value, and texts that Excel may have cut.
    """
    try:
        import openpyxl
    except ImportError:
        remedy = "Install it (pip install openpyxl), or save the sheet as CSV."
        raise InputError("reading .xlsx needs openpyxl", file=file, remedy=remedy) from None
    try:
        _check_archive(raw, file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and the like
            values = openpyxl.load_workbook(raw, read_only=True, data_only=True)
            formulas = openpyxl.load_workbook(raw, read_only=True)
            names = [each.title for each in values.worksheets]
            if sheet is not None and sheet not in names:
                raise InputError(f"no sheet {sheet!r}; the sheets are {', '.join(map(repr, names))}", file=file)
            if not names:
                raise InputError("the workbook has no sheet with cells", file=file)
            chosen = names.index(sheet) if sheet is not None else 0
            pair = values.worksheets[chosen], formulas.worksheets[chosen]
            for each in pair:
                each.reset_dimensions()  # what the file says of its size may be wrong
            return _written(zip(*(each.iter_rows() for each in pair), strict=True), file)
    except InputError:
        raise
    except _DAMAGE as error:
        remedy = "Open it in a spreadsheet program and save it again, or save the sheet as CSV."
        raise InputError(
            f"a damaged workbook ({type(error).__name__}: {error})"[:200], file=file, remedy=remedy
        ) from None


def _check_archive(raw: IO[bytes], file: str) -> None:
    with zipfile.ZipFile(raw) as archive:
        entries = archive.infolist()
        if not any(entry.filename.endswith("workbook.xml") for entry in entries):
            problem = "a zip archive, or a spreadsheet in another form than .xlsx"
            raise InputError(problem, file=file, remedy="Save it as .xlsx or CSV, or unpack it first.")
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise InputError("a workbook of more than 4 GiB, unpacked", file=file, remedy="Save the sheet as CSV.")
    raw.seek(0)


def _written(rows: Iterable[tuple[tuple[Any, ...], tuple[Any, ...]]], file: str) -> TextIO:
    text = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115  # the caller closes it
    try:
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        width = 0
        for number, pair in enumerate(rows, start=1):
            cells = [
                _text(value, formula, f"{_column(place)}{number}", file)
                for place, (value, formula) in enumerate(zip(*pair, strict=True))
            ]
            width = width or len(cells)
            writer.writerow(cells + [""] * (width - len(cells)) if any(cells) else [])
        text.seek(0)
    except BaseException:
        text.close()
        raise
    return text


def _text(cell: Any, formula: Any, place: str, file: str) -> str:
    """What a cell shows."""
    value = cell.value
    if value is None:
        if formula.value is not None:
            problem = f"cell {place} holds a formula without a value"
            remedy = "Open the file in a spreadsheet program and save it, or save the sheet as CSV."
            raise InputError(problem, file=file, remedy=remedy)
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < _EXACT else f"{value:.15G}"
    if isinstance(value, date):
        return _shown(value, str(cell.number_format).lower())
    text = str(value)
    if len(text) == MOST_LETTERS:
        problem = f"cell {place} has {MOST_LETTERS:,} characters, the most that Excel keeps: the rest may be lost"
        raise InputError(problem, file=file, remedy="Give such sequences as FASTA or CSV.")
    if "\n" in text.strip() or "\r" in text.strip():
        raise InputError(f"cell {place} holds a line break", file=file, remedy="Remove it.")
    return text.strip()


def _shown(value: date, form: str) -> str:
    """A date as its cell shows it, where that is a day and a month, or a month and a year; else as ISO has it."""
    form = re.sub(r"\[[^\]]*\]|\"[^\"]*\"", "", form)
    if "mmm" in form and "d" in form and "y" not in form:
        return f"{value.day}-{MONTHS[value.month - 1]}"
    if "mmm" in form and "y" in form and "d" not in form:
        return f"{MONTHS[value.month - 1]}-{value.year % 100:02}"
    midnight = not isinstance(value, datetime) or value.time() == datetime.min.time()
    return value.strftime("%Y-%m-%d") if midnight else str(value)


def _column(place: int) -> str:
    """A, B, ..., Z, AA, ... for 0, 1, ..."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
