"""Sequence logos as inline SVG: each letter's outline is stored once in the page and placed by reference."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from numpy.typing import ArrayLike, NDArray

COLUMN, HEIGHT = 14.0, 60.0
_LEFT, _BELOW = 17.0, 11.0
# Nucleotides one by one, amino acids by what their side chains do.
_GROUPS = {
    "nucleotides": {"A": "green", "C": "blue", "G": "amber", "T": "red", "U": "red"},
    "residues": {
        **dict.fromkeys("AVLIMFWPC", "ink"),
        **dict.fromkeys("GSTYNQ", "green"),
        **dict.fromkeys("KRH", "blue"),
        **dict.fromkeys("DE", "red"),
    },
}
RESIDUE_KEY = (("ink", "hydrophobic"), ("green", "polar"), ("blue", "basic"), ("red", "acidic"))


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


def logo(heights: NDArray[np.float64], letters: str, *, top: float, alt: str) -> str:
    """Letters stacked by height, the largest uppermost; `top` is the number of bits that fills the drawing."""
    colors = _GROUPS["nucleotides" if len(letters) == 4 else "residues"]
    width = _LEFT + COLUMN * len(heights)
    marks: list[str] = []
    for j, column in enumerate(heights):
        level = 0.0
        for a in np.argsort(column, kind="stable"):
            tall = column[a] / top * HEIGHT
            if tall >= 0.8:  # smaller ones are specks
                place = f"translate({_LEFT + COLUMN * j:.1f} {HEIGHT - level:.2f}) scale({COLUMN:g} {tall:.2f})"
                marks.append(
                    f'<use href="#glyph-{letters[a]}" class="letter-{colors[letters[a]]}" transform="{place}"/>'
                )
            level += tall
        if j == 0 or (j + 1) % 5 == 0:
            centre = _LEFT + COLUMN * (j + 0.5)
            marks.append(f'<text x="{centre:.1f}" y="{HEIGHT + 9:g}" text-anchor="middle">{j + 1}</text>')
    axis = (
        f'<path d="M{_LEFT - 2:g} 0V{HEIGHT:g}H{width:g}" class="axis"/>'
        f'<text x="{_LEFT - 5:g}" y="7" text-anchor="end">{top:.2g}</text>'
        f'<text x="{_LEFT - 5:g}" y="{HEIGHT:g}" text-anchor="end">0</text>'
    )
    label = html.escape(alt)
    view = f"0 0 {width:g} {HEIGHT + _BELOW:g}"
    return f'<svg class="logo" viewBox="{view}" role="img" aria-label="{label}">{axis}{"".join(marks)}</svg>'


def glyphs(letters: str) -> str:
    """The outlines that `logo` refers to, each in a unit box that stands on the line y = 0; once per page."""
    shapes = "".join(f'<path id="glyph-{letter}" d="{_unit_outline(letter)}"/>' for letter in letters)
    return f'<svg class="glyphs" width="0" height="0" aria-hidden="true"><defs>{shapes}</defs></svg>'


def shared_top(heights: Sequence[NDArray[np.float64]]) -> float:
    """Bits that fill each logo of a page, so that they can be compared: the tallest stack, at least half a bit."""
    return max([0.5, *(float(each.sum(1).max(initial=0)) for each in heights)])


def _unit_outline(letter: str) -> str:
    shape: Any = TextPath((0, 0), letter, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    (left, bottom), (right, top) = shape.vertices.min(0), shape.vertices.max(0)
    wide = 0.36 if letter == "I" else 0.92  # an I as wide as other letters would be a block
    points = (shape.vertices - (left, bottom)) / (right - left, top - bottom) * (wide, -0.99) + ((1 - wide) / 2, 0)
    name = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}
    parts: list[str] = []
    for vertices, code in Outline(points, shape.codes).iter_segments(curves=True, simplify=False):
        pairs = " ".join(f"{value:.3f}" for value in vertices)
        parts.append("Z" if code == Outline.CLOSEPOLY else f"{name[code]}{pairs}")
    return "".join(parts)
