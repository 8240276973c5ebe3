"""A genome as a FASTA file of which any region is read at once, by the index (.fai) that samtools made a custom of.

A line of the index: name, number of letters, place of the first letter in bytes, letters and bytes per line. It is only
as good as the lines are regular, so that it is made from the lines themselves, and believed only as long as the file
has the headers where it says. A file without regular lines (gzip, old line ends, ragged) is written out anew to a
temporary place.
"""

import csv
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from seqreg.errors import InputError, SeqregError
from seqreg.records import cells_of
from seqreg.sequences.opening import first_line, name_of, open_text
from seqreg.writing import atomic_write

_LINE_ENDS = (b"\n", b"\r\n")


@dataclass(frozen=True)
class Chromosome:
    """Where the letters of one record are: how many, from which byte, and letters and bytes per line."""

    length: int
    offset: int
    letters: int
    width: int

    def place(self, position: int) -> int:
        """The byte of a letter, counted from 0; of the end of the last line, for the position after the last."""
        return self.offset + position // self.letters * self.width + position % self.letters

    @property
    def end(self) -> int:
        """The byte after the last letter."""
        return self.place(self.length - 1) + 1 if self.length else self.offset


class Genome:
    """Chromosomes by name, and their letters."""

    def __init__(self, handle: BinaryIO, index: dict[str, Chromosome], file: str) -> None:
        self._handle, self._index, self._file = handle, index, file

    def length(self, chrom: str) -> int | None:
        """Letters of a chromosome; None if there is no such one."""
        return self._index[chrom].length if chrom in self._index else None

    def letters(self, chrom: str, start: int, end: int) -> str:
        """Letters start .. end - 1 of a chromosome, counted from 0.

        Raises InputError if that many letters are not where the index says they are.
        """
        about = self._index[chrom]
        first, last = about.place(start), about.place(end - 1) + 1
        self._handle.seek(first)
        raw = self._handle.read(last - first)
        text = raw.replace(b"\n", b"").replace(b"\r", b"")
        if len(text) != end - start or not text.isascii():
            problem = f"{end - start} letters of {chrom} from {start} were asked for, and something else is there"
            raise InputError(problem, file=self._file, remedy="Remove its index (.fai), or mend the lines there.")
        return text.decode("ascii")


@contextmanager
def open_genome(path: str | Path) -> Iterator[Genome]:
    """The genome in a FASTA file. Its index is written beside it where that folder can be written to."""
    file = name_of(path)
    if str(path) == "-":
        raise InputError("a genome cannot be read from standard input", remedy="Give the path of a FASTA file.")
    with open_text(path) as (_, start):
        if not first_line(start).startswith(">"):
            raise InputError("not a FASTA file: it does not begin with '>'", file=file)
    with tempfile.TemporaryDirectory(prefix="seqreg-genome-") as folder:
        index = _index_beside(Path(path))
        if index is None and (index := _index_of(Path(path), file)) is not None:
            _write_index(Path(path), index)
        if index is None:
            path = _rewritten(path, Path(folder, "genome.fa"))
            index = _index_of(path, file) or {}
        with open(path, "rb") as handle:
            yield Genome(handle, index, file)


def _index_of(path: Path, file: str) -> dict[str, Chromosome] | None:
    """The index of a FASTA file, from its lines; None where these are not of one length but for a record's last."""
    index: dict[str, Chromosome] = {}
    name, offset, place = "", 0, 0
    length = letters = width = 0
    ended = False  # a shorter line was there, after which none may follow

    def close() -> None:
        if name:
            if name in index:
                raise InputError(f"two sequences are called {name!r}", file=file)
            index[name] = Chromosome(length, offset, letters or 1, width or 2)

    with open(path, "rb") as handle:
        for line in handle:
            place += len(line)
            if line.startswith(b">"):
                if b"\r" in line.rstrip(b"\r\n"):
                    return None
                close()
                name = _id_of(line)
                if not name:
                    raise InputError("a record has no id", file=file, remedy="Write it after the '>'.")
                offset, length, letters, width, ended = place, 0, 0, 0, False
                continue
            bare = line.rstrip(b"\r\n")
            if not name:
                if bare.strip() and line[:1] not in b";#":
                    return None
                continue
            if not bare:
                ended = True
                continue
            if not bare.isascii():
                raise InputError(
                    "letters that are not ASCII", file=file, record_id=name, remedy="Write A, C, G, T and N."
                )
            ending = line[len(bare) :]
            if ended or (ending and ending not in _LINE_ENDS) or bare.split() != [bare]:
                return None
            if not letters:
                letters, width = len(bare), len(line)
            if len(bare) > letters or (ending and len(line) - len(bare) != width - letters):
                return None
            ended = len(bare) < letters or not ending
            length += len(bare)
    close()
    return index or None


def _index_beside(path: Path) -> dict[str, Chromosome] | None:
    """What the .fai beside a genome says; None if there is none, it is older, or the file is not as it says."""
    beside = Path(f"{path}.fai")
    try:
        if beside.stat().st_mtime_ns < path.stat().st_mtime_ns:
            return None
        with open(beside, encoding="utf-8", newline="") as lines:
            rows = [row for _, _, row in cells_of(lines, "\t") if row]
        index = {row[0]: Chromosome(*map(int, row[1:5])) for row in rows}
        with open(path, "rb") as handle:
            return index if index and len(index) == len(rows) and _fits(handle, index, path.stat().st_size) else None
    except (OSError, ValueError, TypeError, IndexError, csv.Error):
        return None


def _fits(handle: BinaryIO, index: dict[str, Chromosome], size: int) -> bool:
    """Whether, between the records of the index, there is nothing but the headers that it names."""
    end = 0
    for name, about in sorted(index.items(), key=lambda item: item[1].offset):
        if about.length < 0 or not 0 < about.letters < about.width or about.offset < end:
            return False
        handle.seek(end)
        between = handle.read(min(about.offset - end, 1 << 16))
        header = between.lstrip(b"\xef\xbb\xbf\r\n")
        if not header.startswith(b">") or header.count(b"\n") != 1 or not header.endswith(b"\n"):
            return False
        if _id_of(header) != name:
            return False
        end = about.end
    handle.seek(end)
    return end <= size and not handle.read(1 << 16).strip()


def _write_index(path: Path, index: dict[str, Chromosome]) -> None:
    """The index beside the genome, where the folder lets us; else it is made again the next time."""
    if not os.access(path.parent, os.W_OK):
        return
    lines = (f"{name}\t{c.length}\t{c.offset}\t{c.letters}\t{c.width}\n" for name, c in index.items())
    try:
        with atomic_write(Path(f"{path}.fai")) as handle:
            handle.writelines(lines)
    except (OSError, SeqregError):
        pass  # a full disk, say: the index is a convenience


def _rewritten(path: str | Path, plain: Path) -> Path:
    """The genome with a line per record."""
    with open_text(path) as (handle, _), open(plain, "w", encoding="utf-8", newline="") as out:
        begun = False
        for line in handle:
            if line.startswith(">"):
                out.write(("\n" if begun else "") + line.rstrip() + "\n")
                begun = True
            elif begun:
                out.write("".join(line.split()))
        out.write("\n")
    return plain


def _id_of(header: bytes) -> str:
    """The first word of the line of a record that begins with `>`."""
    return (header[1:].split(None, 1) or [b""])[0].decode("utf-8", "replace")
