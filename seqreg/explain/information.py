"""How much the columns of a counted motif say."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Outer columns that say less than this share of a sure letter are flanks: 0.3 bits for nucleotides.
FLANK = 0.15


def information(counts: ArrayLike) -> NDArray[np.float64]:
    """(W, A) letter heights in bits: share x (log2 A - entropy - e), e = (A - 1) / (2 n ln 2), never below zero.

    counts: (W, A) letters seen at each position; n is their sum there. e corrects for the information that few
    sites seem to have by chance. Source: Schneider and Stephens (1990).
    """
    counts = np.asarray(counts, dtype=np.float64)
    n = counts.sum(1, keepdims=True)
    share = np.divide(counts, n, out=np.zeros_like(counts), where=n > 0)
    logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
    letters = counts.shape[1]
    small = np.divide(letters - 1, 2 * math.log(2) * n, out=np.full_like(n, math.inf), where=n > 0)
    return share * np.maximum(math.log2(letters) + (share * logs).sum(1, keepdims=True) - small, 0)


def consensus(counts: ArrayLike, letters: str) -> str:
    """The most frequent letter of each position; lower case where it holds less than half."""
    counts = np.asarray(counts, dtype=np.float64)
    best = counts.argmax(1)
    strong = counts.max(1) >= 0.5 * counts.sum(1)
    return "".join(letters[a] if sure else letters[a].lower() for a, sure in zip(best, strong, strict=True))


def core(counts: ArrayLike) -> slice:
    """The columns of a motif from the first to the last that says something; empty where none does."""
    heights = information(counts).sum(1)
    telling = np.flatnonzero(heights >= FLANK * math.log2(np.shape(counts)[1]))
    return slice(int(telling[0]), int(telling[-1]) + 1) if len(telling) else slice(0, 0)
