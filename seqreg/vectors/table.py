"""A file of vectors, whatever its layout, and sequences with what it says of them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError, UsageError, option
from seqreg.sequences import SequenceSet, keys_in
from seqreg.sequences.fasta import read_fasta
from seqreg.sequences.hdf5_vectors import Hdf5Vectors, mean_of_residues
from seqreg.sequences.opening import is_hdf5
from seqreg.vectors.arrays import NpzVectors, ParquetVectors, TextVectors

NAME = re.compile(r"\w[\w+-]*")
_COMPUTED = "Compute it with the same language model (seqreg embed), or leave the sequence out."


class Layout(Protocol):
    """See the contract of the room."""

    def first(self) -> Any | None:
        """Any place."""
        ...

    def find(self, name: str) -> Any | None:
        """The place of the vector of an id."""
        ...

    def find_sequence(self, sequence: str) -> Any | None:
        """The place of the vector of these letters, where the file knows sequences."""
        ...

    def read(self, place: Any, /) -> NDArray[Any]:
        """(D,) or (residues, D)."""
        ...


class VectorTable:
    """Vectors of D numbers by id: a file that is looked up, and never read as a whole if its layout allows.

    path: HDF5 with a data set per sequence, a folder of `.pt` files, `.npz` with `ids` and `vectors`, CSV or TSV with a
    column `id`, or Parquet. sequences: a FASTA file whose ids are those of the table, by which sequences in memory,
    which have no id, are found by their letters. A table is copied and pickled by its path.
    """

    def __init__(self, path: str | Path, *, sequences: str | Path | None = None) -> None:
        self.path = Path(path)
        self.sequences = sequences
        self._layout = _layout_of(self.path)
        place = self._layout.first()
        if place is None:
            raise InputError("no vectors", file=self.path)
        first = self._vector(place)
        if first.ndim != 1 or not len(first):
            raise InputError(_shape(first), file=self.path, record_id=str(place))
        self.dimension = len(first)
        self._name_of = {} if sequences is None else _names_by_letters(sequences)

    @classmethod
    def open(cls, path: str | Path, *, sequences: str | Path | None = None) -> Self:
        """The table of a file or folder. Raises InputError for what is none."""
        return cls(path, sequences=sequences)

    def take(self, names: Sequence[str | None], sequences: Sequence[str]) -> NDArray[np.float32]:
        """(n, D) vectors of sequences by their ids, exactly as they are, or by their letters where the file knows them.

        Raises InputError that names file and id where one is missing, is there twice, has another number of dimensions,
        or holds a value that is not finite.
        """
        places = [self._place(name, letters) for name, letters in zip(names, sequences, strict=True)]
        missing = [_called(names, sequences, i) for i, place in enumerate(places) if place is None]
        if missing:
            many = f" ({len(missing):,} of {len(places):,} sequences have none)" if len(missing) > 1 else ""
            raise InputError(
                f"no vector for this sequence{many}", file=self.path, record_id=missing[0], remedy=_COMPUTED
            )
        self._refuse_one_for_two(names, sequences, places)
        rows = np.empty((len(places), self.dimension), dtype=np.float32)
        for i, place in enumerate(places):
            vector = self._vector(place)
            if vector.shape != (self.dimension,):
                problem = f"{_shape(vector)}; the others of the file have {self.dimension:,} numbers"
                raise InputError(problem, file=self.path, record_id=_called(names, sequences, i))
            rows[i] = vector
        bad = np.flatnonzero(~np.isfinite(rows).all(1))
        if len(bad):
            value = rows[bad[0]][~np.isfinite(rows[bad[0]])][0]
            problem = f"the vector holds {value}, which is not finite"
            raise InputError(problem, file=self.path, record_id=_called(names, sequences, bad[0]), remedy=_COMPUTED)
        return rows

    def __contains__(self, name: str) -> bool:
        return self._layout.find(name) is not None

    def __call__(self, sequences: Sequence[str]) -> NDArray[np.float32]:
        """(n, D) vectors of letters alone, without ids."""
        return self.take([None] * len(sequences), sequences)

    def _place(self, name: str | None, letters: str) -> Any | None:
        place = None if name is None else self._layout.find(name)
        if place is None:
            place = self._layout.find_sequence(letters)
        if place is None and (known := self._name_of.get(letters.upper())) is not None:
            place = self._layout.find(known)
        return place

    def _vector(self, place: Any) -> NDArray[np.float32]:
        try:
            return mean_of_residues(self._layout.read(place))
        except (ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not numbers: {error}", file=self.path, record_id=str(place)) from None

    def _refuse_one_for_two(self, names: Sequence[str | None], sequences: Sequence[str], places: list[Any]) -> None:
        """Raises InputError where a file calls two sequences alike: `a/b` and `a.b` are both `a_b` for ProtT5."""
        owner: dict[Any, int] = {}
        for i, place in enumerate(places):
            first = owner.setdefault(place, i)
            if sequences[first] != sequences[i]:
                problem = f"one vector for two sequences: {_called(names, sequences, first)!r} has the same, {place!r}"
                remedy = "Write the vectors by ids that stay different."
                raise InputError(problem, file=self.path, record_id=_called(names, sequences, i), remedy=remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        sequences = None if self.sequences is None else Path(self.sequences).absolute()
        return _reopened, (type(self), self.path.absolute(), sequences)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # it never changes; scikit-learn copies the parameters of what it clones

    def __repr__(self) -> str:
        more = "" if self.sequences is None else f", sequences={str(self.sequences)!r}"
        return f"VectorTable({str(self.path)!r}{more})"


Vectors = VectorTable | Callable[[list[str]], Any]
"""What gives the vectors of sequences: a table, or a function of a list of n texts that gives (n, D) numbers."""


def named_tables(texts: Iterable[str]) -> dict[str, VectorTable]:
    """The tables of options `NAME=FILE`, open. Raises UsageError for a name that is none or is there twice."""
    tables: dict[str, VectorTable] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not path or not NAME.fullmatch(name):
            raise UsageError(
                f"{option('vectors')} takes NAME=FILE, as in esm2=vectors.h5, the name of letters, digits, _, + and -; "
                f"got {text!r}"
            )
        if name in tables:
            raise UsageError(f"{option('vectors')}: {name!r} is named twice")
        tables[name] = VectorTable.open(path)
    return tables


def with_vectors(
    data: SequenceSet,
    tables: Mapping[str, Vectors],
    texts: Sequence[str] | None = None,
    names: Sequence[str | None] | None = None,
) -> SequenceSet:
    """The set with its vectors by name. texts: the sequences as they were written, where letters were read as others.

    names: ids, where those of the set mean nothing to a table; None for a sequence without one. Raises InputError as
    `take` does, and UsageError for a function that does not give a finite row of numbers for each sequence.
    """
    if not tables:
        return data
    texts = [data.sequence(i) for i in range(len(data))] if texts is None else texts
    found = {
        name: table.take(_ids_for(table, data) if names is None else names, texts)
        if isinstance(table, VectorTable)
        else _called_for(name, table, texts)
        for name, table in tables.items()
    }
    return replace(data, vectors={**data.vectors, **found})


def _ids_for(table: VectorTable, data: SequenceSet) -> Sequence[str]:
    """The ids by which a table knows the sequences: of `class/id` the id in the file of its class, if need be."""
    return keys_in(table, data) if any("/" in name for name in data.names) else data.names


def as_tables(given: "Vectors | str | Path | Mapping[str, Vectors | str | Path] | None") -> dict[str, Vectors]:
    """Vectors by name, those without a name being called "vectors"; paths are opened.

    Raises UsageError for what gives no vectors.
    """
    if given is None:
        return {}
    named = given if isinstance(given, Mapping) else {"vectors": given}
    tables: dict[str, Vectors] = {}
    for name, one in named.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UsageError(f"{option('vectors')}: {name!r} is no name; take letters, digits, _, + and -")
        if isinstance(one, str | Path):
            one = VectorTable.open(one)
        if not callable(one):
            raise UsageError(
                f"{option('vectors')} takes a VectorTable, the path of one, a function of a list of sequences, or a "
                f"dict of them by name; got {type(one).__name__}"
            )
        tables[name] = one
    return tables


def _called_for(name: str, function: Callable[[list[str]], Any], texts: Sequence[str]) -> NDArray[np.float32]:
    rows = np.asarray(function(list(texts)), dtype=np.float32)
    if rows.ndim != 2 or len(rows) != len(texts) or not rows.shape[1]:
        raise UsageError(
            f"{option('vectors')}: {name!r} gave an array of shape {rows.shape} for {len(texts)} sequences; "
            f"({len(texts)}, D) is wanted"
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        raise UsageError(f"{option('vectors')}: what {name!r} gave for sequence {bad[0] + 1} is not finite")
    return rows


def _layout_of(path: Path) -> Layout:
    if path.is_dir():
        from seqreg.vectors.pt_folder import PtFolder  # PyTorch is loaded for its own files only

        return PtFolder(path)
    if is_hdf5(path):
        return Hdf5Vectors(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return NpzVectors(path)
    if suffix in (".parquet", ".pq"):
        return ParquetVectors(path)
    if suffix in (".h5", ".hdf5", ".pt", ".npy", ".pkl", ".pickle") and path.is_file():
        forms = "HDF5 with a data set per sequence, a folder of .pt files, .npz with ids and vectors, CSV, TSV, Parquet"
        raise InputError(f"not a file of vectors that is read: {forms} are", file=path)
    return TextVectors(path)


def _names_by_letters(path: str | Path) -> dict[str, str]:
    """Ids of a FASTA file by the letters of its sequences: of equal ones the first, as they have one vector."""
    found: dict[str, str] = {}
    for record in read_fasta(path):
        found.setdefault(record.sequence.upper(), record.name)
    return found


def _reopened(cls: type[VectorTable], path: Path, sequences: str | Path | None) -> VectorTable:
    return cls(path, sequences=sequences)


def _called(names: Sequence[str | None], sequences: Sequence[str], index: int) -> str:
    name = names[index]
    if name is not None:
        return name
    text = sequences[index]
    return f"{index + 1}, {text if len(text) < 30 else text[:27] + '...'}"  # no mutant: short enough


def _shape(values: NDArray[Any]) -> str:
    return f"an array of shape {tuple(values.shape)} is no vector" if values.ndim != 1 else f"{len(values):,} numbers"
