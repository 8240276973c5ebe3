"""Sequences that are studied a batch at a time, each through the network that is asked about it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from seqreg.sequences import SequenceSet
from seqreg.unfinished import Once, Piece
from seqreg.workers import Spread, one_after_another

Mask = Callable[[NDArray[np.int64], int], NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Sequences that are studied together: their places in the data (n,), ids (n, L), y (n,) where they have labels,
    letters (n, L, A) that may be written into them, None for all, and by which of the studies.
    """

    index: NDArray[np.int64]
    ids: NDArray[np.uint8]
    y: NDArray[np.int64] | None
    letters: NDArray[np.bool_] | None
    study: int


@dataclass(frozen=True)
class Studies:
    """One study of each network, as a single function that can be sent to other processes."""

    each: Sequence[Callable[[Batch], Piece]]

    def __call__(self, batch: Batch) -> Piece:
        """What the study of the batch finds."""
        return self.each[batch.study](batch)


def in_batches(
    studies: Sequence[Callable[[Batch], Piece]],
    places: Sequence[NDArray[np.int64]],
    data: SequenceSet,
    *,
    batch_size: int,
    mask: Mask | None,
    once: Once,
    spread: Spread | None,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Piece]:
    """What each study finds of the sequences at its places in the data, short ones first; pieces have their `index`.

    The other arguments are those of `evaluate_robustness`.
    """
    y = None if data.y is None else np.asarray(data.y)
    batches = []
    for number, rows in enumerate(places):
        order = rows[np.argsort(data.lengths[rows], kind="stable")]
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            ids = data.padded(index)
            batches.append(
                Batch(
                    index=index,
                    ids=ids,
                    y=None if y is None else y[index].astype(np.int64),
                    letters=None if mask is None else mask(index, ids.shape[1]),
                    study=number,
                )
            )
    done = 0
    for piece in (spread or partial(one_after_another, once=once))(Studies(studies), batches):
        yield piece
        done += len(piece["index"])
        if progress is not None:
            progress(done, sum(map(len, places)))
