"""Charts of a benchmark: ranks, learning curves, one method against another, paths of regularization."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import NullLocator

from seqreg.report.figures import INK, LINE, MUTED, SERIES, Series, axes, line, svg

# Inches in a critical-difference diagram: a line of names, a letter of a name, the line of ranks.
_ROW, _LETTER, _RANKS = 0.19, 0.072, 2.6


def critical_difference(
    ranks: Mapping[str, float], cliques: Sequence[Sequence[str]], *, name: str, alt: str, own: str = ""
) -> str:
    """Methods on a line of mean ranks, 1 to the right; a bar joins those that no test tells apart (Demsar, 2006).

    The better half is named on the right, the rest on the left; `own` is drawn in the first colour. Not the diagram of
    scikit-posthocs: it finds cliques by itself, and draws bars past methods between their ends that do differ; and it
    needs statsmodels, seaborn and pandas, without which the page of a suite would have no ranks.
    """
    ordered = sorted(ranks, key=lambda method: ranks[method])
    right = ordered[: (len(ordered) + 1) // 2]
    left = ordered[len(right) :][::-1]
    worst = max(2, int(np.ceil(max(ranks.values()))))
    bars = 0.12 * len(cliques)
    depth = bars + _ROW * (max(len(left), len(right)) + 0.5)
    room = [_LETTER * (max(map(len, side), default=0) + 7) for side in (left, right)]
    width, height = sum(room) + _RANKS, depth + 0.32
    with axes(width, height) as (figure, ax):
        figure.set_layout_engine("none")
        ax.set_position((room[0] / width, 0, _RANKS / width, 1))
        ax.set(xlim=(worst, 1), ylim=(depth, -0.32))
        ax.axis("off")
        ax.plot([1, worst], [0, 0], color=MUTED, linewidth=0.9)
        step = 1 if worst <= 12 else 5
        for tick in [1, *range(step if step > 1 else 2, worst + 1, step)]:
            ax.plot([tick, tick], [0, -0.06], color=MUTED, linewidth=0.9)
            ax.text(tick, -0.1, f"{tick}", ha="center", va="bottom", color=MUTED, fontsize=8)
        for side, edge, align in ((right, 1.0, "left"), (left, float(worst), "right")):
            for row, method in enumerate(side):
                color = SERIES[0] if method == own else INK
                level = bars + _ROW * (row + 1)
                ax.plot([ranks[method], ranks[method], edge], [0, level, level], color=LINE, linewidth=0.9)
                ax.plot([ranks[method]], [0], marker="o", markersize=4, color=color, clip_on=False)
                words = (f"{ranks[method]:.2f}", method) if align == "left" else (method, f"{ranks[method]:.2f}")
                ax.annotate(
                    "  ".join(words),
                    (edge, level),
                    xytext=(4 if align == "left" else -4, 0),
                    textcoords="offset points",
                    ha=align,
                    va="center",
                    color=color,
                    fontsize=8.5,
                )
        for i, clique in enumerate(cliques):
            ends = [ranks[method] for method in clique]
            level = 0.07 + 0.12 * i
            ax.plot([min(ends), max(ends)], [level, level], color=MUTED, linewidth=3.2, solid_capstyle="round")
        return svg(figure, name, alt)


def by_size(series: Sequence[Series], errors: Sequence[Sequence[float]], *, name: str, alt: str, y_label: str) -> str:
    """Scores against the number of training sequences (logarithmic), whiskers one standard error over seeds."""
    with axes(3.5, 2.7) as (figure, ax):
        for i, (each, error) in enumerate(zip(series, errors, strict=True)):
            style = line(i)
            ax.plot(each.x, each.y, **style, marker="o", markersize=3.5)
            low, high = np.asarray(each.y) - error, np.asarray(each.y) + error
            ax.vlines(np.asarray(each.x), low, high, color=style["color"], linewidth=1, alpha=0.6)
        sizes = sorted({float(x) for each in series for x in np.asarray(each.x)})
        ax.set_xscale("log")
        ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel="training sequences", ylabel=y_label)
        return svg(figure, name, alt)


def against(x: Sequence[float], y: Sequence[float], *, name: str, alt: str, x_label: str, y_label: str) -> str:
    """A dot per unit: the score of one method across, of the other up; on the diagonal they are equal."""
    low, high = min(*x, *y), max(*x, *y)
    margin = 0.04 * (high - low or 1)
    limits = (low - margin, high + margin)
    with axes(3.5, 3.1) as (figure, ax):
        ax.plot(limits, limits, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        ax.scatter(x, y, s=22, color=SERIES[0], alpha=0.8, linewidths=0, zorder=3)
        ax.set(xlim=limits, ylim=limits, xlabel=x_label, ylabel=y_label, aspect="equal")
        return svg(figure, name, alt)


def path(series: Sequence[Series], *, name: str, alt: str, x_label: str, y_label: str) -> str:
    """Scores against the strength of regularization, a line per number of training sequences."""
    strengths = np.concatenate([np.asarray(each.x, dtype=np.float64) for each in series])
    with axes(3.5, 2.5) as (figure, ax):
        for i, each in enumerate(series):
            ax.plot(each.x, each.y, **line(i), marker="o", markersize=3.5)
        if strengths.min() > 0 and strengths.max() > 5 * strengths.min():
            shown = np.unique(strengths)
            shown = shown[:: -(-len(shown) // 6)]
            ax.set_xscale("log")
            ax.set_xticks(shown, [f"{strength:g}" for strength in shown])
            ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel=x_label, ylabel=y_label)
        return svg(figure, name, alt)
