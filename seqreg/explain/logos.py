"""Sequence logos as SVG: each letter's outline is stored once in the page or file, and placed by reference.

Logomaker draws each letter as a path of its own, in colours that cannot follow the page into the dark. Twenty motifs of
ten letters took it 1.9 s and 370 kB (4.3 s and 990 kB for proteins), against 2 ms and 50 kB (4 ms, 144 kB) here.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
RESIDUES = "".join(_GROUPS["residues"])  # in the order of the groups
RESIDUE_KEY = (("ink", "hydrophobic"), ("green", "polar"), ("blue", "basic"), ("red", "acidic"))


def logo(heights: NDArray[np.float64], letters: str, *, top: float, alt: str, columns: int = 0) -> str:
    """Letters stacked by height, the largest uppermost; `top` is the number of bits that fills the drawing.

    columns: room for so many at least, so that letters are equally wide in all logos of a page.
    """
    width = _LEFT + COLUMN * len(heights)
    marks: list[str] = []
    for j, column in enumerate(heights):
        level, x = 0.0, _LEFT + COLUMN * j
        for a in np.argsort(column, kind="stable"):
            tall = column[a] / top * HEIGHT
            if tall >= 0.8:  # smaller ones are specks
                marks.append(glyph(letters[a], letters, x=x, y=HEIGHT - level, width=COLUMN, height=tall))
            level += tall
        if j == 0 or (j + 1) % 5 == 0:
            marks.append(f'<text x="{x + COLUMN / 2:.1f}" y="{HEIGHT + 9:g}" text-anchor="middle">{j + 1}</text>')
    axis = (
        f'<path d="M{_LEFT - 2:g} 0V{HEIGHT:g}H{width:g}" class="axis"/>'
        f'<text x="{_LEFT - 5:g}" y="7" text-anchor="end">{top:.2g}</text>'
        f'<text x="{_LEFT - 5:g}" y="{HEIGHT:g}" text-anchor="end">0</text>'
    )
    label = html.escape(alt)
    view = f"0 0 {max(width, _LEFT + COLUMN * columns):g} {HEIGHT + _BELOW:g}"
    return f'<svg class="logo" viewBox="{view}" role="img" aria-label="{label}">{axis}{"".join(marks)}</svg>'


def glyph(letter: str, letters: str, *, x: float, y: float, width: float, height: float) -> str:
    """A letter of an alphabet, of some width and height, on (x, y); the outlines must be in the page or file."""
    place = f"translate({x:.1f} {y:.2f}) scale({width:g} {height:.2f})"
    return f'<use href="#glyph-{letter}" class="letter-{color(letter, letters)}" transform="{place}"/>'


def color(letter: str, letters: str) -> str:
    """The colour of a letter of an alphabet, as the page's classes call it."""
    return _GROUPS["nucleotides" if len(letters) == 4 else "residues"][letter]


def glyphs(letters: str) -> str:
    """The outlines for a page, once, as an invisible drawing."""
    return f'<svg class="glyphs" width="0" height="0" aria-hidden="true">{outlines(letters)}</svg>'


def outlines(letters: str) -> str:
    """The outlines that `logo` refers to, each in a unit box that stands on the line y = 0."""
    shapes = "".join(f'<path id="glyph-{letter}" d="{_unit_outline(letter)}"/>' for letter in letters)
    return f"<defs>{shapes}</defs>"


def shared_top(heights: Sequence[NDArray[np.float64]]) -> float:
    """Bits that fill each logo of a page, so that they can be compared: the tallest stack, at least half a bit."""
    return max([0.5, *(float(each.sum(1).max(initial=0)) for each in heights)])


def _unit_outline(letter: str) -> str:
    from matplotlib.font_manager import FontProperties  # only pages with logos wait for it
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import TextPath

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
