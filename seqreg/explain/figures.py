"""Figures for papers, as SVG files: motif logos, and attributions above the heat map of mutagenesis.

Logos are Logomaker's (Tareen and Kinney, Bioinformatics 2020).
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from seqreg.explain.catalogue import Motif
from seqreg.explain.information import information
from seqreg.sequences import Attribution
from seqreg.writing import atomic_write

_STYLE: Any = {"font.size": 8, "axes.linewidth": 0.6, "svg.fonttype": "none", "text.parse_math": False}
_SPECK = 0.01  # of the tallest letter: what is smaller costs time to draw and is not seen
MOST_LETTERS = 300


def draw_motif(path: Path, motif: Motif) -> None:
    """A motif as a logo, in bits."""
    with mpl.rc_context(_STYLE | {"svg.hashsalt": motif.name}):
        figure = Figure(figsize=(0.6 + 0.25 * len(motif.counts), 1.4), layout="constrained")
        ax = figure.add_subplot()
        _logo(ax, information(motif.counts), motif.letters, first=1)
        ax.set(ylabel="bits", xlabel=motif.name)
        _save(path, figure)


def draw_attribution(path: Path, found: Attribution, letters: str, k: int, target: str) -> None:
    """Integrated gradients as letters, and under them the change of the logit for every substitution.

    k: the logit, which speaks for `target`. Of a long sequence the telling part is drawn.
    """
    part = telling_part(found.integrated_gradients[:, k])
    path_integral = found.integrated_gradients[part, k]
    change = found.mutagenesis[part, :, k].T
    heights = np.zeros((len(path_integral), len(letters)))
    for i, letter in enumerate(found.sequence[part]):
        if letter in letters:
            heights[i, letters.index(letter)] = path_integral[i]
    rows = 0.07 * len(letters) + 0.5
    with mpl.rc_context(_STYLE | {"svg.hashsalt": found.id}):
        figure = Figure(figsize=(1 + 0.12 * len(path_integral), 1.4 + rows), layout="constrained")
        above, below = figure.subplots(2, sharex=True, height_ratios=(1.4, rows))
        _logo(above, heights, letters, first=part.start + 1)
        above.set(ylabel="integrated\ngradients")
        most = float(np.abs(change).max(initial=0)) or 1.0
        edges = (part.start + 0.5, part.stop + 0.5, len(letters) - 0.5, -0.5)
        shown = below.imshow(change, cmap="PuOr", vmin=-most, vmax=most, aspect="auto", extent=edges)
        below.set(yticks=range(len(letters)), yticklabels=list(letters), xlabel=f"position in {found.id}")
        below.tick_params(length=0)
        figure.colorbar(shown, ax=below, label=f"change of the logit\nfor {target}", aspect=8)
        _save(path, figure)


def telling_part(values: NDArray[np.floating], most: int = MOST_LETTERS) -> slice:
    """The `most` neighbouring positions of which |values| (l,) add up to most, or all; begins after a whole ten."""
    if len(values) <= most:
        return slice(0, len(values))
    total = np.concatenate([[0.0], np.cumsum(np.abs(values), dtype=np.float64)])
    starts = np.arange(0, len(values) - most + 10, 10).clip(max=len(values) - most)
    best = int(starts[np.argmax(total[starts + most] - total[starts])])
    return slice(best, best + most)


def _logo(ax: Axes, heights: NDArray[np.floating], letters: str, *, first: int) -> None:
    import logomaker  # it and pandas take longer to import than the rest of this room, which a training needs too
    import pandas as pd

    tallest = float(np.abs(heights).sum(1).max(initial=0))
    heights = np.where(np.abs(heights) < _SPECK * tallest, 0.0, heights)
    table = pd.DataFrame(heights, columns=list(letters), index=np.arange(first, first + len(heights)))
    scheme = "classic" if len(letters) == 4 else "chemistry"
    if tallest > 0:  # Logomaker takes the heights for limits, and from 0 to 0 there is no axis
        logomaker.Logo(table, ax=ax, color_scheme=scheme, font_name="DejaVu Sans")
    ax.set_xlim(first - 0.5, first + len(heights) - 0.5)  # its own include what shared axes had before
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _save(path: Path, figure: Figure) -> None:
    with atomic_write(path, "wb") as handle:
        figure.savefig(handle, format="svg", metadata={"Date": None})
