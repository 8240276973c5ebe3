"""Vectors in one array with their ids beside it: `.npz`, tables of text, Parquet."""

import math
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError, UsageError
from seqreg.sequences.opening import open_text
from seqreg.sequences.tables import table_rows

# What zipfile and numpy raise at archives that are damaged, cut short, or made by something else.
_DAMAGED = (
    *(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error),
    *(MemoryError, OverflowError, TypeError, struct.error),
)


class _Rows(Protocol):
    """An array (N, D) whose rows are read one by one."""

    def __getitem__(self, row: int, /) -> Any: ...


class _Array:
    """What these layouts share: places are numbers of rows. Raises InputError for an id that is there twice."""

    def __init__(self, path: Path, ids: Iterable[str], rows: _Rows) -> None:
        self.path, self._rows = path, rows
        self._row_of: dict[str, int] = {}
        for row, name in enumerate(ids):
            if self._row_of.setdefault(name, row) != row:
                problem = f"a second vector for this id; the first is number {self._row_of[name] + 1}"
                raise InputError(problem, file=path, record=row + 1, record_id=name, remedy="Keep one of them.")

    def first(self) -> int | None:
        return 0 if self._row_of else None

    def find(self, name: str) -> int | None:
        return self._row_of.get(name)

    def find_sequence(self, sequence: str) -> int | None:
        return None

    def read(self, place: int) -> NDArray[Any]:
        return self._rows[place]


class NpzVectors(_Array):
    """`numpy.savez(path, ids=(N,) texts, vectors=(N, D))`; not compressed, rows stay in the file until asked for."""

    def __init__(self, path: Path) -> None:
        remedy = "Write it as numpy.savez(path, ids=ids, vectors=vectors), ids as an array of text."
        try:
            with path.open("rb") as handle, zipfile.ZipFile(handle) as archive:
                if missing := sorted({"ids.npy", "vectors.npy"} - set(archive.namelist())):
                    raise InputError(f"no array {missing[0][:-4]!r}", file=path, remedy=remedy)
                ids = _array_of(archive, "ids.npy")
                rows: Any = _StoredRows.of(path, archive, "vectors.npy")
                if rows is None:
                    rows = _array_of(archive, "vectors.npy")
        except FileNotFoundError:
            raise InputError("no such file", file=path, remedy=remedy) from None
        except _DAMAGED as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"cannot be read: {error}", file=path, remedy=remedy) from None
        if ids.ndim != 1 or ids.dtype.kind not in "US" or len(rows.shape) != 2 or rows.dtype.kind != "f":
            problem = f"ids are {ids.dtype} {ids.shape}, vectors {rows.dtype} {rows.shape}"
            raise InputError(f"{problem}; texts (N,) and floats (N, D) are wanted", file=path, remedy=remedy)
        if len(ids) != len(rows):
            raise InputError(f"{len(ids):,} ids, but {len(rows):,} vectors", file=path, remedy=remedy)
        names = (each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in ids.tolist())
        super().__init__(path, names, rows)


def _array_of(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with archive.open(member) as handle:
        return np.lib.format.read_array(handle, allow_pickle=False)


class _StoredRows:
    """Rows of an array that lies in an archive as it is, read where they lie."""

    def __init__(self, path: Path, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.start, self.shape, self.dtype = path, start, shape, dtype
        self._handle = path.open("rb")
        weakref.finalize(self, self._handle.close)

    @classmethod
    def of(cls, path: Path, archive: zipfile.ZipFile, member: str) -> "_StoredRows | None":
        """None for what is compressed, or does not lie row by row, and where there is no row."""
        about = archive.getinfo(member)
        with archive.open(about) as header:
            version = np.lib.format.read_magic(header)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(header)
            before = header.tell()
        if about.compress_type != zipfile.ZIP_STORED or fortran or dtype.hasobject or not shape or not shape[0]:
            return None
        with path.open("rb") as handle:
            handle.seek(about.header_offset + 26)  # of the header that comes before the member itself
            name, extra = (int.from_bytes(handle.read(2), "little") for _ in range(2))
        start = about.header_offset + 30 + name + extra + before
        if start + math.prod(shape) * dtype.itemsize > path.stat().st_size:
            raise ValueError(f"{member} is cut short")
        return cls(path, start, shape, dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> NDArray[Any]:
        size = self.shape[1] * self.dtype.itemsize
        self._handle.seek(self.start + row * size)
        return np.frombuffer(self._handle.read(size), dtype=self.dtype)


class TextVectors(_Array):
    """CSV or TSV under a header with a column `id` and columns of numbers."""

    def __init__(self, path: Path) -> None:
        ids: list[str] = []
        rows: list[NDArray[np.float32]] = []
        with open_text(path) as (handle, _):
            for number, row in table_rows(handle, str(path)):
                if "id" not in row:
                    raise InputError(f"no column 'id'; the header has {_named(row)}", file=path)
                name = row.pop("id")
                if not name:
                    raise InputError("the id is empty", file=path, record=number)
                ids.append(name)
                rows.append(_numbers(row, path, number, name))
        super().__init__(path, ids, np.stack(rows) if rows else np.empty((0, 0)))


def _numbers(row: dict[str, str], path: Path, number: int, name: str) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # infinite, which whoever takes the vector is told
            return np.array(list(row.values()), dtype=np.float32)
    except ValueError:
        for column, text in row.items():
            try:
                float(text)
            except ValueError:
                problem = f"column {column!r} holds {text!r:.40}, which is no number"
                remedy = "A table of vectors has a column id, and numbers."
                raise InputError(problem, file=path, record=number, record_id=name, remedy=remedy) from None
        raise


def _named(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "") if names else "nothing"


class ParquetVectors(_Array):
    """Parquet with a column `id`, and either columns of numbers or one column of lists of numbers."""

    def __init__(self, path: Path) -> None:
        try:
            arrow: Any = import_module("pyarrow")
            parquet: Any = import_module("pyarrow.parquet")
        except ImportError:
            raise UsageError(
                f"{path} is Parquet, which the package pyarrow reads: install it (the extra parquet of seqreg)"
            ) from None
        try:
            with parquet.ParquetFile(path) as file:
                names = file.schema_arrow.names
                if "id" not in names or len(names) < 2:
                    raise InputError(f"columns id and numbers are wanted; there are {_named(names)}", file=path)
                ids: list[str] = []
                rows: list[NDArray[Any]] = []
                for batch in file.iter_batches():
                    ids += [str(name) for name in batch.column("id").to_pylist()]
                    rows += _of_batch(batch, [name for name in names if name != "id"], path)
        except (arrow.ArrowException, OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"cannot be read: {error}", file=path) from None
        super().__init__(path, ids, rows)


def _of_batch(batch: Any, columns: list[str], path: Path) -> Iterator[NDArray[Any]]:
    """The rows of a batch of records."""
    if len(columns) == 1 and hasattr(batch.column(columns[0]).type, "value_type"):
        values = batch.column(columns[0])
        yield from (np.asarray(value.values.to_numpy(zero_copy_only=False), dtype=np.float32) for value in values)
        return
    for name in columns:
        if not np.issubdtype(batch.column(name).type.to_pandas_dtype(), np.number):
            raise InputError(f"column {name!r} holds {batch.column(name).type}, not numbers", file=path)
    yield from np.stack([batch.column(name).to_numpy(zero_copy_only=False) for name in columns], 1).astype(np.float32)
