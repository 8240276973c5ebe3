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

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"


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

    Gzip is recognised by its first bytes, not by the file's name. Raises InputError for what cannot be read as
    text, also while the handle is being read: missing, empty, binary, truncated or damaged.
    """
    file = name_of(path)
    try:
        with _open_binary(path) as raw:
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
        raw = io.BufferedReader(sys.stdin.buffer, 1 << 17)  # pyright: ignore[reportArgumentType]  # it has readinto
        try:
            yield raw
        finally:
            raw.detach()  # so that standard input itself stays open
    else:
        with open(path, "rb", 0) as unbuffered, io.BufferedReader(unbuffered, 1 << 17) as handle:
            yield handle


def _check_text(start: bytes, file: str) -> None:
    if not start:
        raise InputError("the file is empty", file=file)
    if start.startswith(HDF5_MAGIC):
        raise InputError("an HDF5 store cannot be read here", file=file, remedy="Give its path as the only input.")
    if start.startswith(_ZIP_MAGIC):
        raise InputError("a zip archive or spreadsheet", file=file, remedy="Save it as CSV, or unpack it first.")
    if b"\0" in start:
        raise InputError("binary data, not text", file=file, remedy="Give FASTA, CSV or TSV, plain or gzipped.")
