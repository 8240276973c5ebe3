"""Vectors of the sequences of an input, by a language model, into a file that `VectorTable` reads."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqreg.sequences import SequenceSet
from seqreg.sequences.hdf5_vectors import write_hdf5_vectors
from seqreg.unfinished import Once, Piece, afresh

AT_ONCE = 256  # sequences, of like length within, that are kept together when a command is killed


class Model(Protocol):
    """What computes vectors: see `seqreg.vectors.language_model`."""

    def __call__(self, sequences: list[str]) -> NDArray[np.float32]:
        """(n, D)."""
        ...

    def residues(self, sequences: list[str]) -> Iterable[NDArray[np.float32]]:
        """(residues, D) of each."""
        ...


def embed(
    pieces: Iterable[SequenceSet],
    model: Model,
    output: str | Path,
    *,
    per_residue: bool = False,
    once: Once = afresh,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """Write the vectors, float16, of all sequences by their ids; how many there are, and D.

    per_residue: (residues, D) for each instead of their mean. once: keeps what is done of it (see `seqreg.unfinished`).
    progress: told how many are done. The file is written whole or not at all.
    """
    done = dimension = 0

    def found() -> Iterator[tuple[str, NDArray[np.float16]]]:
        nonlocal done, dimension
        for piece in pieces:
            for start in range(0, len(piece), AT_ONCE):
                rows = np.arange(start, min(start + AT_ONCE, len(piece)))
                texts = [piece.sequence(int(row)) for row in rows]
                kept = once(lambda texts=texts: _vectors(model, texts, per_residue))
                ends = np.cumsum(kept["rows"])
                for row, first, last in zip(rows.tolist(), [0, *ends[:-1]], ends, strict=True):
                    values = kept["x"][first:last]
                    dimension = values.shape[1]
                    yield piece.names[row], values if per_residue else values[0]
                done += len(rows)
                if progress is not None:
                    progress(done)

    write_hdf5_vectors(output, found())
    return done, dimension


def _vectors(model: Model, texts: list[str], per_residue: bool) -> Piece:
    parts: list[NDArray[Any]]
    if per_residue:
        parts = [states for text in texts for states in model.residues([text])]
    else:
        parts = [row[None] for row in model(texts)]
    return {"x": np.concatenate(parts).astype(np.float16), "rows": np.array([len(part) for part in parts])}
