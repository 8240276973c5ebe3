"""Charts as inline SVG. Colours are CSS variables of the page; names of series stand in its legends, not in the SVG."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from seqreg.report.robustness_figure import draw_positions

# Matplotlib knows no CSS variables: these colours stand for them while drawing, and `svg` puts the variables in.
_VARIABLE = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    **{f"#0404{i:02x}": f"var(--series-{i})" for i in range(1, 9)},
}
INK, MUTED, LINE, *SERIES = _VARIABLE
# Dashes in units of line width, so that series differ without colour.
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.6), (1.2, 1.4), (6, 1.4, 1.2, 1.4))
_STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "text.color": INK,
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
}


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart: its name and note for the legend, and its points."""

    name: str
    note: str = ""
    x: ArrayLike
    y: ArrayLike


def curves(
    series: Sequence[Series],
    *,
    name: str,
    alt: str,
    x_label: str,
    y_label: str,
    chance: Sequence[float] = (),
    steps: bool = False,
) -> str:
    """ROC or precision-recall curves on the unit square; `chance` is the diagonal or horizontal line of no skill."""
    with axes(3.5, 3.0) as (figure, ax):
        if len(chance) == 2:
            ax.plot([0, 1], chance, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        for i, each in enumerate(series):
            ax.plot(each.x, each.y, **line(i), drawstyle="steps-post" if steps else "default")
        _unit_square(ax)
        ax.set(xlabel=x_label, ylabel=y_label)
        return svg(figure, name, alt)


def ranges(rows: Sequence[tuple[str, float, float, float]], *, alt: str, x_label: str, name: str = "ranges") -> str:
    """A line from low to high for each name, low, middle and high, with a dot in the middle."""
    with axes(3.9, 0.7 + 0.32 * len(rows)) as (figure, ax):
        for i, (_, low, middle, high) in enumerate(rows):
            ax.plot([low, high], [-i, -i], **{**line(i), "linewidth": 5, "linestyle": "-", "alpha": 0.45})
            ax.plot([middle], [-i], marker="o", markersize=6, color=line(i)["color"])
        ax.set_yticks([-i for i in range(len(rows))], [text for text, *_ in rows])
        ax.set_ylim(0.6 - len(rows), 0.4)
        ax.xaxis.set_major_locator(MaxNLocator(6))
        ax.set(xlabel=x_label)
        return svg(figure, name, alt)


def by_size(
    sizes: ArrayLike, values: ArrayLike, more: Sequence[tuple[float, float, float, float]], *, alt: str, y_label: str
) -> str:
    """Scores by training sequences, and what is expected of more: size, low, middle, high of each."""
    with axes(3.9, 2.7) as (figure, ax):
        ax.plot(sizes, values, **line(0), marker="o", markersize=4)
        for size, low, middle, high in more:
            ax.plot([size, size], [low, high], **{**line(1), "linewidth": 5, "linestyle": "-", "alpha": 0.45})
            ax.plot([size], [middle], marker="o", markersize=5, color=line(1)["color"])
        ax.set_xlim(left=0)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set(xlabel="training sequences", ylabel=y_label)
        return svg(figure, "by-size", alt)


def learning(
    series: Sequence[Series], *, name: str, alt: str, y_label: str, best: float | None = None, log: bool = False
) -> str:
    """Values per epoch, with a vertical line at the epoch that was kept."""
    with axes(3.9, 2.7) as (figure, ax):
        if best is not None:
            ax.axvline(best, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        for i, each in enumerate(series):
            alone = "o" if np.size(each.x) == 1 else None
            ax.plot(each.x, each.y, **line(i), marker=alone, markersize=3.5)
        if log:
            ax.set_yscale("log")
            ax.minorticks_off()
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
            ax.yaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set(xlabel="epoch", ylabel=y_label)
        return svg(figure, name, alt)


def reliability(
    forecast: ArrayLike, observed: ArrayLike, count: ArrayLike, *, alt: str, x_label: str, y_label: str
) -> str:
    """What was promised against what came true; area of a dot ~ sequences, whiskers a 95 % interval (Wilson)."""
    x, y, n = (np.asarray(values) for values in (forecast, observed, count))
    low, high = np.transpose([wilson(float(share), int(cases)) for share, cases in zip(y, n, strict=True)])
    with axes(3.5, 3.0) as (figure, ax):
        ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        ax.vlines(x, low, high, color=SERIES[0], linewidth=1.1, alpha=0.55)
        ax.plot(x, y, color=SERIES[0], linewidth=1, alpha=0.55)
        ax.scatter(x, y, s=12 + 90 * n / n.max(), color=SERIES[0], linewidths=0, clip_on=False, zorder=3)
        _unit_square(ax)
        ax.set(xlabel=x_label, ylabel=y_label)
        return svg(figure, "reliability", alt)


def histogram(groups: Sequence[Series], *, alt: str, x_label: str, y_label: str) -> str:
    """Share of each group's sequences (its `y` are their scores) per tenth of [0, 1], groups side by side."""
    edges = np.linspace(0, 1, 11)
    width = 0.084 / len(groups)
    with axes(3.5, 3.0) as (figure, ax):
        for i, each in enumerate(groups):
            counts, _ = np.histogram(each.y, edges)
            shares = counts / max(1, counts.sum())
            ax.bar(edges[:-1] + 0.008 + (i + 0.5) * width, shares, width * 0.94, color=SERIES[i], linewidth=0)
        ax.set(xlim=(0, 1), xlabel=x_label, ylabel=y_label)
        ax.xaxis.set_major_formatter("{x:.2g}")
        ax.grid(visible=False, axis="x")
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\N{NO-BREAK SPACE}%"))
        return svg(figure, "scores", alt)


def per_budget(series: Sequence[Series], *, name: str, alt: str, x_label: str, y_label: str, whole: bool) -> str:
    """Accuracy against the size of a perturbation; a dot per budget, whole numbers of edits or a radius."""
    with axes(3.9, 2.7) as (figure, ax):
        for i, each in enumerate(series):
            ax.plot(each.x, each.y, **line(i), marker="o", markersize=3.5)
        ax.set(xlabel=x_label, ylabel=y_label, ylim=(0, 1.02))
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        return svg(figure, name, alt)


def positions(share: NDArray[np.float64], *, alt: str) -> str:
    """How often each position is edited, from `damaging_positions`."""
    with axes(3.9, 2.7) as (figure, ax):
        draw_positions(ax, share, SERIES[0])
        ax.grid(visible=False, axis="x")
        return svg(figure, "positions", alt)


def by_strength(
    own: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    *,
    chosen: Mapping[str, Any] | None,
    name: str,
    alt: str,
) -> str:
    """What trials (`at` an index of labels, `gain`, `error`) gain, those of one path joined; steps are drawn equal."""
    with axes(3.5, 2.6) as (figure, ax):
        ax.axhline(0, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        for points, color, linestyle in ((others, SERIES[6], "none"), (own, SERIES[0], "-")):
            x, y, error = (
                np.array([each[key] or 0.0 for each in points], dtype=np.float64) for key in ("at", "gain", "error")
            )
            if points is others:
                x = _side_by_side(x)
            ax.vlines(x, y - error, y + error, color=color, linewidth=1, alpha=0.5)
            ax.plot(x, y, color=color, marker="o", markersize=3.5, linestyle=linestyle, clip_on=False)
        if chosen is not None:
            ax.plot([chosen["at"]], [chosen["gain"]], color=SERIES[0], marker="o", markersize=8, clip_on=False)
        ax.set_xticks(range(len(labels)), labels, fontsize=9 if len(labels) < 7 else 7.5)
        ax.set(xlim=(-0.4, len(labels) - 0.6), xlabel="strength", ylabel="AUROC gained")
        return svg(figure, name, alt)


def _side_by_side(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those at one place spread over two thirds of a step, in their order."""
    spread = places.copy()
    for place in np.unique(places):
        same = np.flatnonzero(places == place)
        spread[same] += (np.arange(len(same)) + 0.5) / len(same) * 0.66 - 0.33
    return spread


def wilson(share: float, n: int) -> tuple[float, float]:
    """Lower and upper 95 % limits of a binomial share observed in n cases (Wilson 1927)."""
    from scipy.stats import binomtest  # takes a while to load

    low, high = binomtest(round(share * n), n).proportion_ci(0.95, method="wilson")
    return low, high


def legend(series: Sequence[Series], *, lines: bool = True) -> list[dict[str, str | None]]:
    """What the page's legend shows: colour, dashes (None for areas), name and note of each series."""
    return [
        {
            "color": f"var(--series-{i % len(SERIES) + 1})",
            "dashes": " ".join(f"{1.8 * dash:.1f}" for dash in dashes(i)) if lines else None,
            "name": each.name,
            "note": each.note,
        }
        for i, each in enumerate(series)
    ]


@contextmanager
def axes(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of one chart, in the page's style; sizes in inches."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def line(i: int) -> dict[str, Any]:
    """How series i is drawn; colour and dashes together differ for the first 32."""
    return {"color": SERIES[i % len(SERIES)], "linestyle": (0, dashes(i)) if dashes(i) else "-", "clip_on": False}


def dashes(i: int) -> tuple[float, ...]:
    """Dashes of series i, none for a solid line."""
    return DASHES[(i + i // len(SERIES)) % len(DASHES)]


def _unit_square(ax: Axes) -> None:
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    ax.set(xlim=(0, 1), ylim=(0, 1.005), xticks=ticks, yticks=ticks)
    ax.xaxis.set_major_formatter("{x:.2g}")
    ax.yaxis.set_major_formatter("{x:.2g}")


def svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an SVG element; `name` keeps its ids apart from those of other figures."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.id": name}):
        figure.savefig(text, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    drawn = text.getvalue()
    view = re.search(r'viewBox="[^"]*"', drawn)
    assert view
    body = drawn[drawn.index(">", view.end()) + 1 :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body).replace("xlink:href", "href")
    body = re.sub(r"#0[0-9a-f]{5}\b", lambda found: _VARIABLE.get(found[0], found[0]), body)
    body = re.sub(r"\s*\n\s*", " ", body)
    return f'<svg {view[0]} role="img" aria-label="{_attribute(alt)}">{body.strip()}'


def _attribute(text: str) -> str:
    for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(plain, escaped)
    return text
