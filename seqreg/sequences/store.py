"""The HDF5 store: a checked set of sequences as chunked, compressed symbol codes, read back whole or piece by piece.

Layout (schema 1): attributes `format`, `schema`, `alphabet`, `symbols`, `classes`, `positive`, `warnings`, `source`,
`sha256`; data sets `codes` (uint8) and `lengths` (int64), and where known `y` and `weight`; texts `names`, `split`
and `group`, each a group of `bytes` (UTF-8, end to end) and `ends`. Where there are vectors, or y are values, the
schema is 2: the group `vectors` holds a data set (N, D) float32 for each name, y is float64, and the attributes
`target` and `unit` say of what. Every chunk carries a Fletcher-32 checksum, and `sha256` is `SequenceSet.sha256`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import ALPHABETS, Alphabet
from seqreg.errors import InputError
from seqreg.sequences.hdf5 import opened_hdf5, written_hdf5
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.targets import Target, Values, from_plain

FORMAT = "seqreg-sequences"
SCHEMA = 1
NEWER = 2  # with vectors or values: no older version reads such a store and takes its checksum for wrong
_CHUNK = 1 << 18  # bytes


def write_store(path: str | Path, sequences: SequenceSet) -> None:
    """Save a set as an HDF5 store, atomically."""
    measured = isinstance(sequences.target, Values)
    with written_hdf5(path) as file:
        if isinstance(sequences.target, Values):
            file.attrs.update({"target": sequences.target.title, "unit": sequences.target.unit})
        file.attrs.update(
            {
                "format": FORMAT,
                "schema": NEWER if sequences.vectors or measured else SCHEMA,
                "alphabet": sequences.alphabet.name,
                "symbols": sequences.alphabet.symbols,
                "classes": list(sequences.classes) or h5py.Empty("S1"),
                "positive": "" if sequences.target is None else sequences.target.positive or "",
                "warnings": list(sequences.warnings) or h5py.Empty("S1"),
                "source": sequences.source,
                "sha256": sequences.sha256,
            }
        )
        if sequences.both_strands:
            file.attrs["both_strands"] = True
        _write(file, "codes", sequences.codes)
        _write(file, "lengths", sequences.lengths)
        _write_text(file, "names", sequences.names)
        for name in ("y", "weight"):
            if (value := getattr(sequences, name)) is not None:
                _write(file, name, value)
        for name in ("split", "group"):
            if (texts := getattr(sequences, name)) is not None:
                _write_text(file, name, texts)
        for name, vectors in sequences.vectors.items():
            _write(file.require_group("vectors"), name, vectors)


def read_store(path: str | Path) -> SequenceSet:
    """The whole set in a store. Raises InputError for other HDF5 files and for damage."""
    with _opened(path) as file:
        sequences = _slice(file, _offsets(file), 0, len(_array(file, "lengths")), _alphabet(file))
        sequences = replace(
            sequences,
            both_strands=bool(file.attrs.get("both_strands", False)),
            warnings=_texts(file.attrs["warnings"]),
            source=str(file.attrs["source"]),
        )
        if sequences.sha256 != file.attrs["sha256"]:
            raise InputError("the store is damaged: its checksum does not fit", file=path, remedy="Encode it again.")
        return sequences


def stream_store(path: str | Path, batch: int, most_letters: int) -> Iterator[SequenceSet]:
    """The set in a store, at most `batch` sequences and about `most_letters` letters at a time, without labels."""
    with _opened(path) as file:
        offsets, alphabet = _offsets(file), _alphabet(file)
        start = 0
        while start < len(offsets) - 1:
            full = int(np.searchsorted(offsets, offsets[start] + most_letters, side="right")) - 1
            stop = min(start + batch, max(full, start + 1), len(offsets) - 1)
            yield replace(_slice(file, offsets, start, stop, alphabet), target=None, y=None)
            start = stop


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    try:
        with opened_hdf5(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError(
                    "an HDF5 file of another program", file=path, remedy="Give a store written by seqreg encode."
                )
            if file.attrs.get("schema") not in (SCHEMA, NEWER):
                raise InputError(
                    f"a store of schema {file.attrs.get('schema')}; this version of seqreg reads schemas {SCHEMA} and "
                    f"{NEWER}",
                    file=path,
                    remedy="Encode the sequences again, or use the version that wrote it.",
                )
            yield file
    except InputError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, UnicodeDecodeError) as error:
        problem = "the store is damaged" if Path(path).is_file() else "no such file"
        raise InputError(f"{problem}: {error}", file=path, remedy="Encode the sequences again.") from None


def _alphabet(file: h5py.File) -> Alphabet:
    alphabet = ALPHABETS[str(file.attrs["alphabet"])]
    if alphabet.symbols != file.attrs["symbols"]:
        raise ValueError(f"symbols {file.attrs['symbols']} are not those of {alphabet.name}")
    return alphabet


def _offsets(file: h5py.File) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = _array(file, "lengths")[:]
    if not len(lengths) or lengths.min() < 1 or lengths.sum() != len(_array(file, "codes")):
        raise ValueError("lengths and letters do not fit")
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _slice(file: h5py.File, offsets: NDArray[np.int64], start: int, stop: int, alphabet: Alphabet) -> SequenceSet:
    """Sequences start .. stop - 1 of the store."""
    codes = _array(file, "codes")[offsets[start] : offsets[stop]]
    if codes.max(initial=0) >= alphabet.pad:
        raise ValueError("a code outside the alphabet")
    y = _array(file, "y")[start:stop] if "y" in file else None
    return SequenceSet(
        alphabet=alphabet,
        names=_read_text(file, "names", start, stop),
        codes=codes,
        offsets=offsets[start : stop + 1] - offsets[start],
        target=None if y is None else _target(file, y),
        y=y,
        split=np.array(_read_text(file, "split", start, stop)) if "split" in file else None,
        group=np.array(_read_text(file, "group", start, stop)) if "group" in file else None,
        weight=_array(file, "weight")[start:stop] if "weight" in file else None,
        vectors=_vectors(file, start, stop),
    )


def _vectors(file: h5py.File, start: int, stop: int) -> dict[str, NDArray[np.float32]]:
    group = file.get("vectors")
    return {str(name): _array(group, str(name))[start:stop] for name in group} if isinstance(group, h5py.Group) else {}


def _target(file: h5py.File, y: NDArray[Any]) -> Target:
    """What y means; a store says it by the shape of y, and by its type."""
    if y.dtype.kind == "f":
        return Values(title=str(file.attrs["target"]), unit=str(file.attrs["unit"]))
    about = {"classes": _texts(file.attrs["classes"]), "positive": str(file.attrs["positive"]) or None}
    return from_plain({**about, "multi_label": y.ndim == 2})


def _array(node: h5py.Group, name: str) -> Any:
    value = node[name]
    if not isinstance(value, h5py.Dataset):
        raise KeyError(f"{name} is not a data set")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    """A list of texts among the attributes; an empty one is stored as h5py.Empty."""
    return () if isinstance(value, h5py.Empty) else tuple(str(entry) for entry in value)


def _write(node: h5py.Group, name: str, value: NDArray[Any]) -> None:
    row = max(1, value.itemsize * int(np.prod(value.shape[1:], dtype=np.int64)))
    chunk = (max(1, min(len(value), _CHUNK // row)), *value.shape[1:])
    node.create_dataset(name, data=value, chunks=chunk, compression="gzip", compression_opts=4, fletcher32=True)


def _write_text(node: h5py.Group, name: str, texts: Sequence[str] | NDArray[np.str_]) -> None:
    raw = [str(text).encode() for text in texts]
    group = node.create_group(name)
    _write(group, "bytes", np.frombuffer(b"".join(raw) or b"\0", dtype=np.uint8))
    ends = np.cumsum(np.fromiter(map(len, raw), np.int64, len(raw)))
    _write(group, "ends", ends)


def _read_text(node: h5py.File, name: str, start: int, stop: int) -> list[str]:
    group = node[name]
    if not isinstance(group, h5py.Group):
        raise KeyError(f"{name} is not a text")
    first = int(_array(group, "ends")[start - 1]) if start else 0
    ends = (_array(group, "ends")[start:stop] - first).tolist()
    raw = _array(group, "bytes")[first : first + ends[-1]].tobytes()
    return [raw[begin:end].decode() for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
