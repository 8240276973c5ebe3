"""Robustness as a picture of its own: accuracy against edits, and where the edits that change predictions lie."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from seqreg.writing import atomic_write

_COLORS = {"attacked": "#b45309", "certified": "#0f766e"}


def damaging_positions(edits: Sequence[str]) -> NDArray[np.float64]:
    """(L,) share of sequences that are edited at position 1 .. L to change their prediction.

    edits: for each sequence what changes it, joined by `;`, in the notation of `seqreg robustness` (`p.A12V`, `12A>G`,
    `12_13insA`); "" where nothing was found. L is the last position edited in any of them.
    """
    found = [{int(re.findall(r"\d+", edit)[0]) for edit in each.split(";") if edit} for each in edits]
    touched = np.zeros(max((max(places) for places in found if places), default=0))
    for places in found:
        touched[[place - 1 for place in places]] += 1
    return touched / max(1, len(edits))


def draw_positions(ax: Axes, share: NDArray[np.float64], color: str) -> None:
    """Bars of `damaging_positions` on an axis of positions."""
    ax.bar(np.arange(len(share)) + 1.0, share, width=1.0, color=color)
    ax.set(xlabel="position", ylabel="sequences edited here", xlim=(0.5, len(share) + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%"))


def _heights(robustness: Mapping[str, Any], kind: str) -> list[float]:
    """What is drawn for "attacked" or "certified": accuracies, or medians of shifts, NaN where nothing is proved."""
    shift = robustness.get(f"{kind}_shift")
    known = robustness[f"{kind}_accuracy"] if shift is None else shift["median"]
    return [np.nan if value is None else value for value in known]


def write_robustness_figure(robustness: Mapping[str, Any], edits: Sequence[str], target: Path) -> None:
    """Write an SVG of the content of robustness.json and the column `edits` of the table beside it."""
    share = damaging_positions(edits)
    style: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "robustness"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.6, 2.9) if len(share) else (3.8, 2.9), layout="constrained")
        first, *others = figure.subplots(1, 2 if len(share) else 1, squeeze=False)[0]
        for name, color in _COLORS.items():
            y = _heights(robustness, name)
            first.plot(robustness["substitutions"], y, marker="o", markersize=4, color=color, label=name)
        if "attacked_shift" in robustness:
            unit = f" ({robustness['unit']})" if robustness["unit"] else ""
            first.axhline(robustness["tolerance"], color="0.6", linewidth=0.9, linestyle=(0, (2, 2)))
            first.set(xlabel="edits", ylabel=f"median shift{unit}")
            first.set_ylim(bottom=0)
        else:
            first.set(xlabel="edits", ylabel="accuracy", ylim=(0, 1.02))
        first.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        first.legend(frameon=False)
        for ax in others:
            draw_positions(ax, share, _COLORS["attacked"])
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    with atomic_write(target) as handle:
        handle.write(text.getvalue())
