"""A sequence letter by letter, as inline SVG: its letters as tall as they matter, above a heat map of mutagenesis.

Cells of one shade are one path, so that a protein of 300 residues takes some 60 kB, and the shades are opacities of the
page's two colours, which suits light and dark.
"""

import html

import numpy as np
from numpy.typing import NDArray

from seqreg.explain.logos import COLUMN, RESIDUES, glyph

PER_LINE, FEWEST = 60, 36  # letters in a line, and what takes as much room if there are fewer
SHADES = 8  # of each colour
_LEFT, _UP, _GAP, _BELOW = 30.0, 44.0, 5.0, 13.0


def by_letter(
    sequence: str,
    values: NDArray[np.floating],
    change: NDArray[np.floating],
    letters: str,
    *,
    first: int,
    width: int,
    alt: str,
) -> str:
    """Lines of 60 letters; all lines share one scale.

    values: (l,) a height for each letter of the sequence, in logits. change: (l, A) of the logit, for each letter in
    place of the one that is there. first: number of the first position. width: letters that fill a line of the page.
    """
    up, down = float(max(values.max(), 0)), float(max(-values.min(), 0))
    tallest = max(up, down) or 1.0
    above, below = _UP * up / tallest, _UP * down / tallest
    rows = letters if len(letters) == 4 else RESIDUES
    cell = 9.0 if len(rows) == 4 else 6.0
    heat = above + below + _GAP
    line = heat + cell * len(rows) + _BELOW
    strength = SHADES * change[:, [letters.index(letter) for letter in rows]] / (float(np.abs(change).max()) or 1.0)
    shades = np.rint(strength).astype(int)
    marks: list[str] = []
    for number, begin in enumerate(range(0, len(sequence), PER_LINE)):
        top = number * line + 6
        part = sequence[begin : begin + PER_LINE]
        marks.append(f'<path class="axis" d="M{_LEFT:g} {top + above:.1f}h{COLUMN * len(part):g}"/>')
        if number == 0:
            marks += _scale(top, above, below, up, down)
        for j, letter in enumerate(part):
            tall = _UP * float(values[begin + j]) / tallest
            if abs(tall) >= 0.5 and letter in letters:
                foot = top + above - min(tall, 0)
                marks.append(glyph(letter, letters, x=_LEFT + COLUMN * j, y=foot, width=COLUMN, height=abs(tall)))
        marks += _cells(shades[begin : begin + PER_LINE], top + heat, cell)
        marks += _here(part, rows, top + heat, cell)
        marks += _names(rows, top + heat, cell)
        for j in range(len(part)):
            position = first + begin + j
            if position % 10 == 0 or (number == 0 and j == 0):
                x = _LEFT + COLUMN * (j + 0.5)
                marks.append(f'<text x="{x:g}" y="{top + line - 3:.1f}" text-anchor="middle">{position:,}</text>')
    lines = -(-len(sequence) // PER_LINE)
    view = f"0 0 {_LEFT + COLUMN * width + 2:g} {lines * line + 6:.1f}"
    return f'<svg class="by-letter" viewBox="{view}" role="img" aria-label="{html.escape(alt)}">{"".join(marks)}</svg>'


def width_of(longest: int) -> int:
    """Letters that fill a line where the longest sequence has so many: letters are equally large in all of a page."""
    return min(max(longest, FEWEST), PER_LINE)


def _scale(top: float, above: float, below: float, up: float, down: float) -> list[str]:
    """What the tallest letters stand for; left out where there is no room."""
    marks: list[str] = []
    if above >= 8:
        marks.append(f'<text x="{_LEFT - 3:g}" y="{top + 6:.1f}" text-anchor="end">+{up:.2g}</text>')
    if below >= 8:
        marks.append(f'<text x="{_LEFT - 3:g}" y="{top + above + below:.1f}" text-anchor="end">−{down:.2g}</text>')
    return marks


def _cells(shades: NDArray[np.int_], top: float, cell: float) -> list[str]:
    """One path for each shade that occurs; shade 0 is the page."""
    marks: list[str] = []
    for shade in np.unique(shades[shades != 0]).tolist():
        places = " ".join(
            f"M{_LEFT + COLUMN * j:g} {top + cell * a:.1f}h{COLUMN:g}v{cell:g}h-{COLUMN:g}z"
            for j, a in np.argwhere(shades == shade).tolist()
        )
        kind = "raises" if shade > 0 else "lowers"
        marks.append(f'<path class="{kind}" fill-opacity="{abs(shade) / SHADES:.3g}" d="{places}"/>')
    return marks


def _here(part: str, rows: str, top: float, cell: float) -> list[str]:
    """A dot for the letter that is there."""
    dots = " ".join(
        f"M{_LEFT + COLUMN * (j + 0.5):g} {top + cell * (rows.index(letter) + 0.5):.1f}h.01"
        for j, letter in enumerate(part)
        if letter in rows
    )
    return [f'<path class="here" d="{dots}"/>'] if dots else []


def _names(rows: str, top: float, cell: float) -> list[str]:
    size = min(cell, 7.5)
    return [
        f'<text x="{_LEFT - 4:g}" y="{top + cell * (a + 0.5) + size / 3:.1f}" text-anchor="end" '
        f'style="font-size:{size:g}px">{letter}</text>'
        for a, letter in enumerate(rows)
    ]
