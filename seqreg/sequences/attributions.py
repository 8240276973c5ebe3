"""What is known letter by letter about the scores of sequences, and the HDF5 file that keeps it.

Layout (schema 1), for N sequences of l_1 .. l_N letters, M letters in all, A letters in the alphabet and K logits:

    ids (N,) text                 letters (M,) one byte each, all sequences end to end
    offsets (N + 1,) int64        sequence i is letters[offsets[i]:offsets[i + 1]], and so in every data set of M rows
    logits (N, K)                 baseline_logits (N, K)
    mutagenesis (M, A, K)         gradient_times_input (M, K)          integrated_gradients (M, K)

All numbers are float32 in logits; `Attribution` says what they are. Attributes of the file: `format`, `schema`,
`alphabet`, `letters` (the A letters, in the order of the axis), `classes`, `logit_of` (the K classes that the logits
speak for: the positive one of two classes, otherwise all), `positive`, `units`, `baseline` (what it is, in words),
`model_sha256` (of the weights, model.safetensors) and `source`. Every chunk carries a Fletcher-32 checksum.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.sequences.hdf5 import opened_hdf5, written_hdf5

FORMAT = "seqreg-attributions"
SCHEMA = 1
_CHUNK = 1 << 18  # bytes
_TOGETHER = 64  # sequences written at a time
PER_SEQUENCE = ("logits", "baseline_logits")
PER_LETTER = ("mutagenesis", "gradient_times_input", "integrated_gradients")


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """What the l letters of one sequence do to its K logits. All numbers are in logits, without temperature.

    id, sequence: as read. logits: (K,) of the sequence. baseline_logits: (K,) of the baseline, which is as long and
    has the unknown letter (N for nucleotides, X for proteins: the mixture of all letters) everywhere.
    mutagenesis: (l, A, K) change of the logits when letter a takes the place of the letter at i, exactly; zero for the
    letter that is there.
    gradient_times_input: (l, K) slope of the logits along the letter that is there. Where the network has kinks it
    says nothing about steps as large as a letter.
    integrated_gradients: (l, K) the same slope averaged over the straight way from the baseline, times the step:
    they add up to logits - baseline_logits, up to what the numerical integral leaves (Sundararajan et al., ICML 2017).
    """

    id: str
    sequence: str
    logits: NDArray[np.float32]
    baseline_logits: NDArray[np.float32]
    mutagenesis: NDArray[np.float32]
    gradient_times_input: NDArray[np.float32]
    integrated_gradients: NDArray[np.float32]


def holds_attributions(path: str | Path) -> bool:
    """Whether there is a file of this format."""
    try:
        with opened_hdf5(path) as file:
            return file.attrs.get("format") == FORMAT
    except OSError:
        return False


def write_attributions(path: str | Path, found: Iterable[Attribution], about: Mapping[str, Any]) -> None:
    """Write attributions as they come, atomically: memory holds a few sequences, whatever their number.

    about: the attributes of the file besides format, schema and units.
    """
    rows = iter(found)
    with written_hdf5(path) as file:
        file.attrs.update({"format": FORMAT, "schema": SCHEMA, "units": "logits"})
        file.attrs.update({name: _attribute(value) for name, value in about.items()})
        _append(file, "offsets", np.zeros(1, dtype=np.int64))
        end = 0
        while some := list(islice(rows, _TOGETHER)):
            _append(file, "ids", np.array([each.id for each in some], dtype=object))
            letters = "".join(each.sequence for each in some)
            _append(file, "letters", np.frombuffer(letters.encode(), dtype="S1"))
            offsets = end + np.cumsum([len(each.sequence) for each in some])
            _append(file, "offsets", offsets.astype(np.int64))
            end = int(offsets[-1])
            for name in PER_SEQUENCE:
                _append(file, name, np.stack([getattr(each, name) for each in some]))
            for name in PER_LETTER:
                _append(file, name, np.concatenate([getattr(each, name) for each in some]))


def read_attributions(path: str | Path, index: Sequence[int] | None = None) -> list[Attribution]:
    """Sequences `index` of a file of attributions, or all. Raises InputError for other files and for damage."""
    try:
        with opened_hdf5(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError("not a file of attributions", file=path, remedy="Run seqreg explain again.")
            offsets = _array(file, "offsets")[:]
            chosen = range(len(offsets) - 1) if index is None else index
            return [_row(file, i, slice(int(offsets[i]), int(offsets[i + 1]))) for i in chosen]
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"damaged: {error}", file=path, remedy="Run seqreg explain again.") from None


def _row(file: h5py.File, i: int, letters: slice) -> Attribution:
    return Attribution(
        id=_array(file, "ids").asstr()[i],
        sequence=_array(file, "letters")[letters].tobytes().decode(),
        **{name: _array(file, name)[i] for name in PER_SEQUENCE},
        **{name: _array(file, name)[letters] for name in PER_LETTER},
    )


def _append(file: h5py.File, name: str, rows: NDArray[Any]) -> None:
    if name not in file:
        kind = h5py.string_dtype() if rows.dtype == object else rows.dtype
        size = max(1, rows.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64)))
        file.create_dataset(
            name,
            shape=(0, *rows.shape[1:]),
            maxshape=(None, *rows.shape[1:]),
            dtype=kind,
            chunks=(max(1, min(1 << 14, _CHUNK // size)), *rows.shape[1:]),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
            fletcher32=rows.dtype != object,
        )
    kept = _array(file, name)
    kept.resize(len(kept) + len(rows), axis=0)
    kept[-len(rows) :] = rows


def _array(file: h5py.File, name: str) -> Any:
    value = file[name]
    if not isinstance(value, h5py.Dataset):
        raise KeyError(f"{name} is not a data set")
    return value


def _attribute(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return list(value) or h5py.Empty("S1")
    return "" if value is None else value
