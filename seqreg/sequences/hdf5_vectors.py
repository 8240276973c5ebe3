"""HDF5 files with a data set of numbers for each sequence, as programs that run language models write them.

The key is the id; or the header, `/` and `.` replaced by `_`, as the script of ProtT5 writes it; or anything, with the
id as attribute `original_id`, as bio_embeddings and biotrainer do, whose keys may be a hash of the sequence.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.sequences.hdf5 import opened_hdf5, written_hdf5
from seqreg.sequences.opening import is_hdf5

ID = "original_id"
_DAMAGED = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, MemoryError, OverflowError)


class Hdf5Vectors:
    """The data sets of a file, found by id or by sequence; opened once, and read one by one.

    Raises InputError for what is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file = opened_hdf5(path)
        except OSError as error:
            if not is_hdf5(path):
                raise InputError("not an HDF5 file", file=path) from None
            raise InputError(f"the HDF5 file is damaged: {error}", file=path, remedy="Write it again.") from None

    def first(self) -> str | None:
        """The key of a data set, None in a file without any."""
        with self._reading():
            return next(self._keys(), None)

    def find(self, name: str) -> str | None:
        """The key of the vector of this id. Raises InputError where several data sets carry the id."""
        with self._reading(name):
            for key in (name, key_of_prott5(name)):
                node = self._get(key)
                if node is not None and _id_of(node) in (None, name):
                    return key
            by_id, by_first_word = self._said
        keys = by_id.get(name) or by_first_word.get(name) or by_first_word.get(key_of_prott5(name)) or []
        if len(keys) > 1:
            problem = f"{len(keys)} vectors for this id, {keys[0]!r} and {keys[1]!r}"
            raise InputError(problem, file=self.path, record_id=name, remedy="Keep one of them.")
        return keys[0] if keys else None

    def find_sequence(self, sequence: str) -> str | None:
        """The key that is the hash of these letters, as biotrainer computes it."""
        key = sequence_hash(sequence)
        with self._reading():
            return None if self._get(key) is None else key

    def read(self, key: str) -> NDArray[Any]:
        """The array of a key, (D,) or (residues, D)."""
        with self._reading(key):
            return self._dataset(key)[()]

    @contextmanager
    def _reading(self, name: str | None = None) -> Iterator[None]:
        """Raises InputError for whatever HDF5 says of a damaged file."""
        try:
            yield
        except _DAMAGED as error:
            raise InputError(f"the HDF5 file is damaged: {error}", file=self.path, record_id=name) from None

    def _get(self, key: str) -> h5py.Dataset | None:
        """The data set of exactly this key: HDF5 reads `.`, `//` and a `/` in front as paths of others."""
        node = self._file.get(key) if key.strip("/.") else None
        return node if isinstance(node, h5py.Dataset) and node.name == f"/{key}" else None

    def _dataset(self, key: str) -> h5py.Dataset:
        node = self._file[key]
        if not isinstance(node, h5py.Dataset):
            raise KeyError(f"{key} is not a data set")
        return node

    def _keys(self, group: h5py.Group | None = None) -> Iterator[str]:
        """Keys of all data sets: an id with `/` in it made groups of what stands before."""
        for name, node in (self._file if group is None else group).items():
            if isinstance(node, h5py.Group):
                yield from (f"{name}/{inner}" for inner in self._keys(node))
            elif isinstance(node, h5py.Dataset):
                yield name

    @cached_property
    def _said(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Keys by the attribute `original_id`, and those that are whole headers, or have one there, by its first word;
        asked only where keys say nothing, as it takes a look at them all.
        """
        by_id: dict[str, list[str]] = {}
        by_first_word: dict[str, list[str]] = {}
        for key in self._keys():
            name = _id_of(self._dataset(key))
            if name is not None:
                by_id.setdefault(name, []).append(key)
            word, *more = (name or key).split(None, 1)
            if more:
                by_first_word.setdefault(word, []).append(key)
        return by_id, by_first_word

    def __reduce__(self) -> tuple[Any, ...]:
        return Hdf5Vectors, (self.path,)


def write_hdf5_vectors(path: str | Path, vectors: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Write a data set for each id, called by the id with `/` and `.` replaced, which it has as attribute; atomically.

    Of ids that become equal so, the later are numbered.
    """
    with written_hdf5(path) as file:
        for name, values in vectors:
            key = key_of_prott5(name)
            number = 1
            while key in file:
                number += 1
                key = f"{key_of_prott5(name)}#{number}"
            file.create_dataset(key, data=values).attrs[ID] = name


def key_of_prott5(name: str) -> str:
    """An id as the script of ProtT5 makes a key of it."""
    return name.replace("/", "_").replace(".", "_")


def sequence_hash(sequence: str) -> str:
    """What biotrainer calls a sequence: SHA-256 of its letters, `_` and their number."""
    return hashlib.sha256(f"{sequence}_{len(sequence)}".encode()).hexdigest()


def _id_of(node: h5py.Dataset) -> str | None:
    value = node.attrs.get(ID)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def mean_of_residues(values: NDArray[Any]) -> NDArray[np.float32]:
    """(D,) from (D,), or from (residues, D), in single precision, in which a sum of half ones does not overflow."""
    values = np.asarray(values, dtype=np.float32)
    return values.mean(0) if values.ndim == 2 and len(values) else values
