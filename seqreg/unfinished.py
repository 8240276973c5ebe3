"""What is done of work that is not over: a file beside the output, so that a killed command goes on where it was.

Long work is a sequence of pieces, each a record of arrays and of what JSON can hold, computed one after the other and
in the same order every time. It asks for each by `once(compute)`: a piece that an earlier attempt has done is read from
the file, the next ones are computed and added. The file only ever grows. A piece that was cut off by a kill has a wrong
checksum, and is computed again; pieces of other work (other options, data or versions) are dropped as a whole. What is
computed from pieces that were read is what would have been computed without a kill, bit for bit.

`seqreg.workers` is for the other kind of work: pieces that need nothing of each other, each a file with a name of its
own, which many processes compute in any order.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from safetensors.numpy import load, save

from seqreg import __version__
from seqreg.errors import DiskFullError, SeqregError, UsageError, option
from seqreg.locks import Lock
from seqreg.records import to_plain
from seqreg.writing import atomic_write, naming

Piece = Mapping[str, Any]
Once = Callable[[Callable[[], Piece]], Piece]

SECONDS_BETWEEN_SYNCS = 5.0
_LENGTH, _CHECKSUM = 8, 16  # bytes before each piece
_PLAIN = "plain"


def afresh(compute: Callable[[], Piece]) -> Piece:
    """A piece, computed: the `once` of work that leaves no file."""
    return compute()


def unfinished(path: Path | None, **about: Any) -> AbstractContextManager[Once]:
    """The `once` of work whose pieces are kept in a file, or of none; about: all that decides what they are."""
    return nullcontext(afresh) if path is None else Unfinished(path, **about)


def named(about: Mapping[str, Any]) -> str:
    """A name made of all that decides a result, as JSON can hold it, and of the versions that compute it."""
    versions = {"seqreg": __version__, **{name: version(name) for name in ("torch", "numpy")}}
    text = json.dumps(to_plain({**about, "versions": versions}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_piece(file: Path, piece: Piece) -> None:
    """One piece as a file of its own, written whole or not at all."""
    content = _packed(piece)
    with atomic_write(file, "wb") as handle:
        handle.write(_checksum(content) + content)


def read_piece(file: Path) -> Piece | None:
    """The piece in a file of its own; None where there is none, or a damaged one."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    checksum, content = content[:_CHECKSUM], content[_CHECKSUM:]
    return _unpacked(content) if content and checksum == _checksum(content) else None


class Unfinished:
    """The file of pieces of one work; itself the function `once`. As a context it closes the file when left.

    about: all that decides the pieces, as JSON can hold it. The versions of seqreg, PyTorch and NumPy count too. While
    another process holds its lock, nothing is read from it or kept. After an error that the same command would meet
    again, the file is removed.
    """

    def __init__(self, path: Path, **about: Any) -> None:
        self.path = path
        self._head = named(about).encode() + b"\n"
        self._file: IO[bytes] | None = None
        self._lock = Lock(path.with_name(f"{path.name}.lock"))
        self._reading = True
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = open(self.path, "r+b", opener=_made_if_missing)  # closed by __exit__
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}. Choose another {option('output')}") from None
        if not self._lock.take():
            handle.close()
            return self
        self._file = handle
        if handle.read(len(self._head)) != self._head:
            self._cut(0)
            self._write(self._head)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._file is not None:
            try:
                with naming(self.path):  # of a full disk, closing tells a second time
                    self._file.close()
            finally:
                self._file = None
                self._lock.give_back(remove=True)
        if isinstance(error, SeqregError) and not isinstance(error, DiskFullError):
            self.path.unlink(missing_ok=True)

    @property
    def mine(self) -> bool:
        """Whether this process holds the file, and no other does."""
        return self._file is not None

    def __call__(self, compute: Callable[[], Piece]) -> Piece:
        """The next piece, as an earlier attempt left it or else as it is computed now."""
        if self._file is None:
            return compute()
        content = self._next() if self._reading else None
        if content is None:
            content = _packed(compute())
            self._write(len(content).to_bytes(_LENGTH, "big") + _checksum(content) + content)
        return _unpacked(content)

    def _next(self) -> bytes | None:
        """The next whole piece in the file; None, and from here on writing, where there is none."""
        assert self._file is not None
        place = self._file.tell()
        start = self._file.read(_LENGTH + _CHECKSUM)
        content = self._file.read(int.from_bytes(start[:_LENGTH], "big")) if len(start) == _LENGTH + _CHECKSUM else b""
        if content and start[_LENGTH:] == _checksum(content):
            return content
        self._cut(place)
        return None

    def _cut(self, place: int) -> None:
        assert self._file is not None
        self._file.seek(place)
        self._file.truncate()
        self._reading = False

    def _write(self, content: bytes) -> None:
        assert self._file is not None
        with naming(self.path):
            self._file.write(content)
            self._file.flush()
            if time.monotonic() - self._synced > SECONDS_BETWEEN_SYNCS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()


def _made_if_missing(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)


def _packed(piece: Piece) -> bytes:
    arrays = {name: np.ascontiguousarray(value) for name, value in piece.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in piece.items() if name not in arrays}
    return save(arrays, {_PLAIN: json.dumps(plain)})


def _unpacked(content: bytes) -> Piece:
    length = int.from_bytes(content[:8], "little")  # of the JSON at the head of safetensors
    plain = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_PLAIN])
    return {**load(content), **plain}


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM).digest()
