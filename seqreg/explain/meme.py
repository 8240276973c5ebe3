"""Motifs as text in the minimal MEME 4 format, which the MEME Suite and most motif tools read."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqreg.explain.catalogue import Motif


def meme(motifs: Sequence[Motif], letters: str, background: NDArray[np.float64], *, both_strands: bool) -> str:
    """The text of a motif file. background: (A,) shares of the letters. E is the least q of a motif's enrichments.

    Format: https://meme-suite.org/meme/doc/meme-format.html. Of proteins the MEME Suite reads
    them; Biopython, memelite and tangermeme read the nucleotide alphabets only.
    """
    strands = [f"strands: {'+ -' if both_strands else '+'}", ""] if len(letters) == 4 else []
    shares = " ".join(f"{letter} {share:.5f}" for letter, share in zip(letters, background, strict=True))
    head = ["MEME version 4", "", f"ALPHABET= {letters}", "", *strands, "Background letter frequencies", shares, ""]
    blocks = [block for motif in motifs for block in (*_block(motif), "")]
    return "\n".join([*head, *blocks])


def _block(motif: Motif) -> list[str]:
    share = motif.counts / motif.counts.sum(1, keepdims=True)
    evalue = min((test.q for test in motif.enriched.values()), default=1.0)
    width, size = share.shape
    return [
        f"MOTIF {motif.name} {motif.consensus}",
        f"letter-probability matrix: alength= {size} w= {width} nsites= {motif.sites} E= {evalue:.3g}",
        *(" " + "  ".join(f"{value:.6f}" for value in row) for row in share),
    ]
