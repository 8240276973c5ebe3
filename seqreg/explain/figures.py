"""Figures for papers, as SVG files that stand by themselves: the drawings of the page, in its colours on paper."""

import html
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqreg.explain.catalogue import Motif
from seqreg.explain.information import information
from seqreg.explain.letters import by_letter, width_of
from seqreg.explain.logos import logo, outlines
from seqreg.sequences import Attribution
from seqreg.writing import atomic_write

MOST_LETTERS = 300
STYLE = """
text { font: 7.5px Helvetica, Arial, sans-serif; fill: #444; }
.axis { fill: none; stroke: #ccc; }
.here { fill: none; stroke: #444; stroke-width: 2.4; stroke-linecap: round; }
.letter-ink { fill: #30383f; } .letter-green { fill: #00855f; } .letter-blue { fill: #0068a8; }
.letter-amber { fill: #bd7d00; } .letter-red { fill: #cc5200; }
.raises { fill: rgb(0, 114, 178); } .lowers { fill: rgb(213, 94, 0); }
"""
"""What `report.css` says of these classes in print."""
_ASIDE, _LINE = 10.0, 11.0  # room for a text beside, and for a line of text below


def draw_motif(path: Path, motif: Motif) -> None:
    """A motif as a logo, in bits."""
    heights = information(motif.counts)
    top = float(heights.sum(1).max(initial=0)) or 1.0
    drawing = logo(heights, motif.letters, top=top, alt=f"Sequence logo of {motif.name}")
    _write(path, drawing, motif.letters, aside="bits", below=[motif.name])


def draw_attribution(path: Path, found: Attribution, letters: str, k: int, target: str) -> None:
    """Integrated gradients as letters, and under them the change of the logit for every substitution.

    k: the logit, which speaks for `target`. Of a long sequence the telling part is drawn.
    """
    values, change = found.integrated_gradients[:, k], found.mutagenesis[:, :, k]
    part = telling_part(values)
    drawing = by_letter(
        found.sequence[part],
        values[part],
        change[part],
        letters,
        first=part.start + 1,
        width=width_of(part.stop - part.start),
        alt=f"Attributions of {found.id} for {target}",
    )
    most = float(np.abs(change[part]).max(initial=0))
    below = [
        found.id,
        f"letters are as tall as what they add to the logit for {target} (integrated gradients)",
        f"squares: what another letter there changes; blue raises it, orange lowers it, by {most:.2g} at most",
    ]
    _write(path, drawing, letters, below=below)


def telling_part(values: NDArray[np.floating], most: int = MOST_LETTERS) -> slice:
    """The `most` neighbouring positions of which |values| (l,) add up to most, or all; begins after a whole ten."""
    if len(values) <= most:
        return slice(0, len(values))
    total = np.concatenate([[0.0], np.cumsum(np.abs(values), dtype=np.float64)])
    starts = np.arange(0, len(values) - most + 10, 10).clip(max=len(values) - most)
    best = int(starts[np.argmax(total[starts + most] - total[starts])])
    return slice(best, best + most)


def _write(path: Path, drawing: str, letters: str, *, below: list[str], aside: str = "") -> None:
    """An SVG of a page, with outlines, colours and texts of its own, one unit of it a point."""
    size = re.search(r'viewBox="0 0 (\S+) (\S+)"', drawing)
    assert size is not None
    width, height = float(size[1]), float(size[2])
    left = _ASIDE if aside else 0.0
    placed = drawing.replace("<svg ", f'<svg x="{left:g}" width="{width:g}" height="{height:g}" ', 1)
    texts = [_text(text, f"{left + width / 2:g} {height + _LINE * (i + 0.7):g}") for i, text in enumerate(below)]
    if aside:
        texts.append(_text(aside, f"8 {height / 2:g}", "rotate(-90)"))
    inner = f"<style>{STYLE}</style>{outlines(letters)}{placed}{''.join(texts)}"
    # Programs for print know the references of SVG 1.1 only.
    inner = inner.replace("<use href=", "<use xlink:href=")
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    across, down = f"{left + width:g}", f"{height + _LINE * len(below):g}"
    with atomic_write(path) as handle:
        handle.write(f'<svg {names} width="{across}pt" height="{down}pt" viewBox="0 0 {across} {down}">{inner}</svg>\n')


def _text(text: str, place: str, turn: str = "") -> str:
    return f'<text transform="translate({place}){turn}" text-anchor="middle">{html.escape(text)}</text>'
