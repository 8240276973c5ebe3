"""References side by side in memory, as the loops of local alignments read them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LANES = 16
"""References that are aligned abreast."""

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Up to LANES references: rows, which of all they are; letters (T * LANES,), position by position, T the most."""

    rows: NDArray[np.int64]
    letters: NDArray[np.uint8]


def blocks_of(references: NDArray[np.uint8], pad: int) -> list[Block]:
    """References (R, L) in blocks of like length; those without letters are in none."""
    lengths = (references != pad).sum(1)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    blocks: list[Block] = []
    for start in range(0, len(order), LANES):
        rows = order[start : start + LANES]
        letters = np.full((int(lengths[rows].max()), LANES), pad, dtype=np.uint8)
        letters[:, : len(rows)] = references[rows, : len(letters)].T
        blocks.append(Block(rows=rows, letters=letters.ravel()))
    return blocks
