"""HDF5 files written whole or not at all, on a disk that may be full, and read only if they are what was written.

The library crashes the process at some files with a few wrong bytes. So what seqreg writes ends with a checksum of all
before it, which HDF5 passes over, and which is looked at before the library is.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py

from seqreg.writing import atomic_write, naming

_SEAL = b"\nseqreg crc32 %08x\n"
_MARK = len(b"\nseqreg crc32 ")
_AT_ONCE = 1 << 20  # bytes


@contextmanager
def written_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """An HDF5 file to fill, which becomes `path` at the end. Raises as `atomic_write` does."""
    with atomic_write(path, "w+b") as handle:
        patient = _Patient(handle)
        with h5py.File(patient, "w") as file:
            yield file
        with naming(path):
            if patient.error is not None:
                raise patient.error
            handle.write(_SEAL % _checksum(handle, handle.seek(0, os.SEEK_END)))


def opened_hdf5(path: str | Path) -> h5py.File:
    """An HDF5 file to read, of whatever program. Raises OSError for what is none, and where its checksum, if it has
    one, does not fit.
    """
    with open(path, "rb") as handle:
        size = handle.seek(0, os.SEEK_END) - len(_SEAL % 0)
        handle.seek(max(size, 0))
        end = handle.read()
        if size >= 0 and end.startswith(_SEAL[:_MARK]) and end != _SEAL % _checksum(handle, size):
            raise OSError("its checksum does not fit")
    return h5py.File(path, "r")


def _checksum(handle: IO[Any], size: int) -> int:
    """CRC-32 of the first `size` bytes, after which the file is then read or written."""
    handle.seek(0)
    found = 0
    while piece := handle.read(min(_AT_ONCE, size - handle.tell())):
        found = zlib.crc32(piece, found)
    return found


class _Patient:
    """A file whose failures wait until HDF5 has closed it: the library crashes where a write fails under it."""

    def __init__(self, handle: IO[Any]) -> None:
        self._handle = handle
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        return self._unless_failed(self._handle.write, data, otherwise=len(data))

    def flush(self) -> None:
        self._unless_failed(self._handle.flush, otherwise=None)

    def truncate(self, size: int | None = None) -> int:
        return self._unless_failed(self._handle.truncate, size, otherwise=size or 0)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._unless_failed(self._handle.seek, offset, whence, otherwise=offset)

    def tell(self) -> int:
        return self._unless_failed(self._handle.tell, otherwise=0)

    def read(self, size: int = -1) -> bytes:
        return self._unless_failed(self._handle.read, size, otherwise=bytes(max(size, 0)))

    def readinto(self, buffer: Any) -> int:
        return self._unless_failed(self._handle.readinto, buffer, otherwise=len(buffer))  # pyright: ignore[reportAttributeAccessIssue]  # of binary files

    def _unless_failed(self, call: Any, *arguments: Any, otherwise: Any) -> Any:
        if self.error is None:
            try:
                return call(*arguments)
            except OSError as error:
                self.error = error
        return otherwise
