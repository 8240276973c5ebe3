"""Sums over all local alignments of two sequences, gaps included: the dynamic programs of the local alignment kernel.

With e[i, j] = exp(beta s[i, j]) for a match of positions i and j, the sum over alignments of exp(beta score), 1 for the
empty one, is 1 + sum_ij M[i, j], where

    M[i, j] = e[i, j] (1 + M[i-1, j-1] + X[i-1, j-1] + Y[i-1, j-1])
    X[i, j] = exp(-beta OPEN) M[i-1, j] + exp(-beta EXTEND) X[i-1, j]
    Y[i, j] = exp(-beta OPEN) (M[i, j-1] + X[i, j-1]) + exp(-beta EXTEND) Y[i, j-1]

(Saigo, Vert, Ueda and Akutsu, *Bioinformatics* 2004). The same from the other end gives the share of the sum that
passes through a match of i and j, which is all that derivatives and single substitutions ask for.

A query is aligned with many references at a time, in threads, by compiled loops (`alignment_loops`): all alignments of
a pair take a seventh of the time in which Biopython finds the best (`benchmarks/alignments.py`).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqreg.networks.alignment_blocks import LANES, Array, Block

BETA = 0.5
OPEN, EXTEND = 11.0, 1.0
"""Costs of the first and of every other letter of a gap: those of protein BLAST, for BLOSUM62 in half bits."""

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, eq=False)
class Queries:
    """Sequences to align: match (U, V) = exp(beta s) of each kind of position with each symbol of a reference.

    kinds: for each sequence, which of the U kinds its positions are. Letters of all sequences share kinds; positions of
    one-hot input that may lie anywhere are a kind each. match is 0 for the padding symbol.
    """

    match: Array
    kinds: list[NDArray[np.int64]]

    def against(self, block: Block) -> Iterator[tuple[int, Array, NDArray[np.int64]]]:
        """For each sequence that has letters: its number, a table (U', T * LANES) of matches, and rows of the table."""
        shared = self.match[:, block.letters] if len(self.match) <= self.match.shape[1] else None
        for number, kinds in enumerate(self.kinds):
            if len(kinds) and shared is not None:
                yield number, shared, kinds
            elif len(kinds):
                yield number, self.match[kinds][:, block.letters], np.arange(len(kinds))


def log_sums(queries: Queries, blocks: list[Block], references: int, threads: int) -> Array:
    """(N, R) 1 / beta times the logarithm of the sum over all local alignments; 0 where there is no letter."""
    from seqreg.networks.alignment_loops import log_sums as forward  # Numba takes a while to load

    dtype = queries.match.dtype
    found = np.zeros((len(queries.kinds), references), dtype)

    def align(block: Block) -> None:
        lanes = np.empty(LANES)
        for number, table, kinds in queries.against(block):
            forward(kinds, table, *_gaps(dtype), lanes)
            found[number, block.rows] = lanes[: len(block.rows)] / BETA

    for _ in _on_threads(align, blocks, threads):
        pass
    return found


def passing(match: Array, kinds: NDArray[np.int64], blocks: list[Block], threads: int) -> Iterator[tuple[Block, Array]]:
    """Block by block, (r, L, V) the share of the sum that matches position i of a query with symbol v of a reference.

    match (U, V) and kinds (L,) as those of `Queries`; the query has letters.
    """
    from seqreg.networks.alignment_loops import passing as both_ways

    query = Queries(match=match, kinds=[kinds])

    def align(block: Block) -> tuple[Block, Array]:
        shares = np.zeros((LANES, len(kinds), match.shape[1]), match.dtype)
        for _, table, rows in query.against(block):
            both_ways(rows, table, *_gaps(match.dtype), block.letters, shares)
        return block, shares[: len(block.rows)]

    yield from _on_threads(align, blocks, threads)


def _gaps(dtype: np.dtype[Any]) -> Array:
    return np.exp(-BETA * np.array([OPEN, EXTEND])).astype(dtype)


def _on_threads(work: Callable[[Block], Result], blocks: list[Block], threads: int) -> Iterator[Result]:
    if threads == 1 or len(blocks) < 2:
        yield from map(work, blocks)
    else:
        with ThreadPoolExecutor(threads) as pool:  # the compiled loops leave the interpreter to others
            yield from pool.map(work, blocks)
