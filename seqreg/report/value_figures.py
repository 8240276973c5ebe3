"""Charts of predicted values, in the style of `seqreg.report.figures`."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from seqreg.report.figures import MUTED, SERIES, Series, axes, line, svg

_DOTTED = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (2, 2))}
_NEIGHBOURS = 0.15  # share of the dots that a running median is of

Array = NDArray[np.float64]


def against(
    predicted: Array, measured: Array, interval: tuple[Array, Array] | None, *, alt: str, x_label: str, y_label: str
) -> str:
    """Measured against predicted (N,), the diagonal, and intervals (low, high) (N,) around each prediction."""
    with axes(3.9, 3.3) as (figure, ax):
        ends = [min(predicted.min(), measured.min()), max(predicted.max(), measured.max())]
        ax.plot(ends, ends, **_DOTTED)
        if interval is not None:
            ax.vlines(predicted, *interval, color=SERIES[0], linewidth=0.8, alpha=0.18)
        ax.scatter(predicted, measured, s=9, color=SERIES[0], linewidths=0, alpha=0.7, zorder=3)
        ax.set(xlabel=x_label, ylabel=y_label)
        return svg(figure, "against", alt)


def residuals(x: Array, residual: Array, *, name: str, alt: str, x_label: str, y_label: str) -> str:
    """Residuals (N,) against x (N,), with a running median."""
    order = np.argsort(x, kind="stable")
    width = max(1, round(_NEIGHBOURS * len(x)))
    with axes(3.9, 2.7) as (figure, ax):
        ax.axhline(0, **_DOTTED)
        ax.scatter(x, residual, s=9, color=SERIES[0], linewidths=0, alpha=0.55)
        if len(x) > 2 * width:
            ax.plot(x[order], median_filter(residual[order], width, mode="nearest"), color=SERIES[1], linewidth=1.6)
        ax.set(xlabel=x_label, ylabel=y_label)
        return svg(figure, name, alt)


def rank_curve(found: Series, *, alt: str, x_label: str, y_label: str) -> str:
    """What a ranking finds, against how far down it is followed; the diagonal is a random order."""
    with axes(3.5, 3.0) as (figure, ax):
        ax.plot([0, 1], [0, 1], **_DOTTED)
        ax.plot(found.x, found.y, **line(0))
        ax.set(xlim=(0, 1), ylim=(0, 1.005), xlabel=x_label, ylabel=y_label)
        return svg(figure, "ranks", alt)
