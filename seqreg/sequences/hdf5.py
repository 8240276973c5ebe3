"""HDF5 files written whole or not at all, on a disk that may be full."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py

from seqreg.writing import atomic_write, naming


@contextmanager
def written_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """An HDF5 file to fill, which becomes `path` at the end. Raises as `atomic_write` does."""
    with atomic_write(path, "w+b") as handle:
        patient = _Patient(handle)
        with h5py.File(patient, "w") as file:
            yield file
        if patient.error is not None:
            with naming(path):
                raise patient.error


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
