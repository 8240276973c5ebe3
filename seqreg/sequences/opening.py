"""Opening text: plain or gzipped, a file or standard input, with errors that say what was wrong with it."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from seqreg.errors import InputError
from seqreg.sequences.workbook import file_and_sheet, sheet_as_text

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"
_OLD_EXCEL_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BUFFER = 1 << 17  # no mutant: any size


def name_of(path: str | Path) -> str:
    """How a path is called in messages; `-` is standard input."""
    return "standard input" if str(path) == "-" else str(path)


def is_hdf5(path: str | Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    try:
        with open(path, "rb") as handle:
            return handle.read(len(HDF5_MAGIC)) == HDF5_MAGIC
    except OSError:
        return False


def first_line(start: str) -> str:
    """The first line of a text that is neither blank nor a comment (`;` or `#`)."""
    return next((line for line in start.splitlines() if line.strip() and line[0] not in ";#"), "")


@contextmanager
def open_text(path: str | Path) -> Iterator[tuple[TextIO, str]]:
    """Open UTF-8 text and give the handle with a look at how the text begins, blank lines left out.

    Gzip and workbooks are recognised by their first bytes, not by the file's name; of a workbook (`FILE.xlsx`,
    `FILE.xlsx:sheet`) a sheet is read as a table separated by tabs. Raises InputError for what cannot be read as text,
    also while the handle is being read: missing, empty, binary, truncated or damaged.
    """
    file = name_of(path)
    path, sheet = file_and_sheet(path)
    try:
        with _open_binary(path) as raw:
            if raw.peek(len(_ZIP_MAGIC)).startswith(_ZIP_MAGIC):
                with sheet_as_text(io.BytesIO(raw.read()), sheet, file) as text:
                    start = text.read(1 << 17)
                    text.seek(0)
                    yield text, start.lstrip()
                return
            if sheet is not None:
                raise InputError(f"not a workbook of Excel, so that it has no sheet {sheet!r}", file=file)
            packed = raw.peek(2).startswith(_GZIP_MAGIC)
            plain = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 17) if packed else raw
            start = plain.peek(1)
            _check_text(start, file)
            text = io.TextIOWrapper(plain, encoding="utf-8-sig")
            try:
                yield text, start.decode("utf-8-sig", "ignore").lstrip()
            finally:
                text.detach()
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError("truncated or damaged gzip file", file=file, remedy="Copy or download it again.") from None
    except UnicodeDecodeError:
        remedy = "Give FASTA, CSV or TSV, plain or gzipped, saved as UTF-8."
        raise InputError("not UTF-8 text", file=file, line=_undecodable_line(path), remedy=remedy) from None
    except FileNotFoundError:
        raise InputError("no such file", file=file) from None
    except IsADirectoryError:
        raise InputError("is a folder, not a file", file=file) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=file) from None


def _undecodable_line(path: str | Path) -> int | None:
    """Number of the first line that is not UTF-8; None where the input cannot be read again."""
    if not Path(path).is_file():
        return None
    with _open_binary(path) as raw:
        lines = gzip.GzipFile(fileobj=raw) if raw.peek(2).startswith(_GZIP_MAGIC) else raw
        for number, line in enumerate(lines, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


@contextmanager
def _open_binary(path: str | Path) -> "Iterator[io.BufferedReader[Any]]":
    if str(path) == "-":
        raw = io.BufferedReader(sys.stdin.buffer, _BUFFER)  # pyright: ignore[reportArgumentType]  # it has readinto
        try:
            yield raw
        finally:
            raw.detach()  # so that standard input itself stays open
    else:
        with open(path, "rb", 0) as unbuffered, io.BufferedReader(unbuffered, _BUFFER) as handle:
            yield handle


def _check_text(start: bytes, file: str) -> None:
    if not start:
        raise InputError("the file is empty", file=file)
    if start.startswith(HDF5_MAGIC):
        raise InputError("an HDF5 store cannot be read here", file=file, remedy="Give its path as the only input.")
    if start.startswith(_OLD_EXCEL_MAGIC):
        raise InputError("a workbook of old Excel (.xls)", file=file, remedy="Save it as .xlsx or CSV.")
    if b"\0" in start:
        raise InputError("binary data, not text", file=file, remedy="Give FASTA, CSV or TSV, plain or gzipped.")
