"""How alike two sequences are when they are aligned: the identity of their best local alignment.

*Identity* is identical columns / max(columns, COVERED x letters of the shorter sequence), in [0, 1]. Columns are those
of the alignment, gaps included; an alignment that covers less than COVERED of the shorter sequence counts as if it were
that long and its missing columns were different. Two letters are identical if they are the same plain letter. Of all
alignments of the best score the shortest counts, and of these the one with most identical columns, so that the number
is one, whatever finds it. DNA is aligned in both directions, and the greater identity counts.

Scores: BLOSUM62 with 11 for the first letter of a gap and 1 for each other, as protein BLAST nearly has them; 1, -1, 5
and 2 for nucleotides, which let an alignment go on through regions of 70 % identity. (Smith and Waterman 1981, gaps
after Gotoh 1982.)

The loop is compiled by Numba, which seqreg has already, and aligns many pairs abreast: it takes a tenth of Biopython's
time, and about that of parasail, which would be one large package more (`benchmarks/homology_identity.py`).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.compiling import compiled
from seqreg.sequences.letter_tables import blosum62
from seqreg.sequences.sequence_set import SequenceSet

COVERED = 0.8
"""Share of the shorter sequence that an alignment covers at least, or is taken to cover."""

GAPS = {"protein": (11, 1), "dna": (5, 2), "rna": (5, 2)}
"""Costs of the first and of every other letter of a gap."""

# Score, columns and identical columns of an alignment in one number, in this order of importance: adding numbers adds
# all three, the larger number is the better alignment, and no tie is left to chance.
_COLUMN, _SCORE = 1 << 20, 1 << 40
_NEVER = -(1 << 61)
_LANES = 32  # pairs that are aligned abreast


def letter_scores(alphabet: Alphabet) -> NDArray[np.int64]:
    """(V, V) score of each pair of symbols, that of mixtures the mean over their letters, rounded."""
    scores = blosum62() if alphabet is PROTEIN else 2 * np.eye(alphabet.size) - 1
    return np.rint(alphabet.mixtures @ scores @ alphabet.mixtures.T).astype(np.int64)


def identities(sequences: SequenceSet, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P,) identity of the sequences at positions left (P,) with those at right (P,)."""
    alphabet, lengths = sequences.alphabet, sequences.lengths
    table = _packed(alphabet)
    first, other = (cost * _SCORE + _COLUMN for cost in GAPS[alphabet.name])
    shorter = np.minimum(lengths[left], lengths[right])
    found = np.zeros(len(left))
    # Pairs of like lengths together, so that few lanes wait for the longest.
    order = np.lexsort((lengths[right], lengths[left] // 16))
    for start in range(0, len(order), _LANES):
        here = order[start : start + _LANES]
        rows, columns = sequences.padded(left[here]), sequences.padded(right[here])
        for turned in (False, True) if alphabet is DNA else (False,):
            if turned:
                rows = _reverse_complements(rows, alphabet)
            best = np.zeros(_LANES, dtype=np.int64)
            _loop()(_abreast(rows, alphabet), _abreast(columns, alphabet), table, first, other, best)
            best = best[: len(here)]
            identical = best % _COLUMN
            length = -(best // _COLUMN) % (_SCORE // _COLUMN)
            share = identical / np.maximum(np.maximum(length, COVERED * shorter[here]), 1)
            found[here] = np.maximum(found[here], share)
    return found


def _reverse_complements(ids: NDArray[np.uint8], alphabet: Alphabet) -> NDArray[np.uint8]:
    """ids (n, L) of the opposite strands: padding comes first, where a local alignment does not mind it."""
    assert alphabet.complement is not None
    return alphabet.complement[ids[:, ::-1]]


def _abreast(ids: NDArray[np.uint8], alphabet: Alphabet) -> NDArray[np.int64]:
    """(L * _LANES,) the symbols of up to _LANES sequences, position by position."""
    letters = np.full((ids.shape[1], _LANES), alphabet.pad, dtype=np.int64)
    letters[:, : len(ids)] = ids.T
    return letters.ravel()


@cache
def _packed(alphabet: Alphabet) -> NDArray[np.int64]:
    """(V * V,) what one column of two symbols adds to the number of an alignment, which none with padding survives."""
    plain = np.arange(len(alphabet.symbols)) < alphabet.size
    table = letter_scores(alphabet) * _SCORE - _COLUMN + np.diag(plain)
    table[alphabet.pad] = table[:, alphabet.pad] = _NEVER
    return table.ravel()


@cache
def _loop() -> Callable[..., None]:
    """The loop over pairs, compiled when it is first asked for: most commands never do, and Numba loads slowly."""
    return compiled(_best_alignments)


def _best_alignments(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    table: NDArray[np.int64],
    first: int,
    other: int,
    best: NDArray[np.int64],
) -> None:
    """Raise best (_LANES,) to the numbers of the best local alignments of rows with columns, lane by lane."""
    width = (len(columns) // _LANES + 1) * _LANES  # said so, the compiler sees that lanes never end early
    symbols = int(np.sqrt(len(table)))
    ends = np.zeros(width, dtype=np.int64)  # best that ends here, behind a border
    down = np.full(width, _NEVER, dtype=np.int64)  # best that ends in a gap down this column
    along = np.empty(_LANES, dtype=np.int64)  # best that ends in a gap along this row
    before, diagonal = np.empty(_LANES, dtype=np.int64), np.empty(_LANES, dtype=np.int64)
    scores, offset = np.empty(_LANES, dtype=np.int64), np.empty(_LANES, dtype=np.int64)
    for i in range(len(rows) // _LANES):
        for lane in range(_LANES):
            diagonal[lane] = 0
            before[lane] = 0
            along[lane] = _NEVER
            offset[lane] = rows[i * _LANES + lane] * symbols
        for j in range(_LANES, width, _LANES):
            for lane in range(_LANES):
                scores[lane] = table[offset[lane] + columns[j - _LANES + lane]]
            for lane in range(_LANES):
                above = ends[j + lane]
                gap_down = max(above - first, down[j + lane] - other)
                gap_along = max(before[lane] - first, along[lane] - other)
                end = max(diagonal[lane] + scores[lane], 0, gap_down, gap_along)
                diagonal[lane] = above
                along[lane] = gap_along
                before[lane] = end
                down[j + lane] = gap_down
                ends[j + lane] = end
                best[lane] = max(best[lane], end)
