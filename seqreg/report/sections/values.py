"""Predicted values beside measured ones: along the diagonal, what is left over, and how the best are found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.report import value_figures, words
from seqreg.report.figures import Series, legend
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card
from seqreg.targets import Values

MOST_POINTS = 600  # are drawn
BEST = 0.1  # share of the sequences that one would follow up
LENGTHS = 3  # different lengths, at least, for residuals to be drawn by length


def section(run: Run) -> list[dict[str, Any]]:
    """Nothing where classes were predicted, or nothing was."""
    if not isinstance(run.target, Values) or not run.predictions:
        return []
    measured, predicted = run.measured, run.predicted
    low, high = run.intervals
    drawn = _evenly(np.argsort(predicted, kind="stable"), MOST_POINTS)
    unit = run.target.title_with_unit
    rows = run.metrics.get("spearman")
    some = f" {len(drawn)} of {len(measured):,} are drawn." if len(drawn) < len(measured) else ""
    cards = [
        figure_card(
            value_figures.against(
                predicted[drawn],
                measured[drawn],
                None if low is None or high is None else (low[drawn], high[drawn]),
                alt=f"Measured against predicted values of {len(drawn)} sequences; Spearman {words.number(rows)}.",
                x_label=f"predicted {unit}",
                y_label=f"measured {unit}",
            ),
            "Predicted and measured",
            f"A dot per test sequence; on the dotted diagonal the prediction is right.{_of_intervals(run)}{some}",
        )
    ]
    residual = measured - predicted
    cards.append(_residuals(predicted[drawn], residual[drawn], "prediction", f"predicted {unit}", unit))
    lengths = run.lengths_of_predictions
    if lengths is not None and len(np.unique(lengths)) >= LENGTHS:
        cards.append(_residuals(lengths[drawn], residual[drawn], "length", "letters of the sequence", unit))
    cards.append(_rank_curve(measured, predicted))
    return cards


def _of_intervals(run: Run) -> str:
    coverage = run.metrics.get("coverage")
    if coverage is None:
        return ""
    return (
        f" Bars are 90\N{NO-BREAK SPACE}% intervals around the prediction; {words.percent(coverage, 1)} of the "
        "measured values lie inside."
    )


def _residuals(x: NDArray[np.float64], residual: NDArray[np.float64], by: str, label: str, unit: str) -> dict[str, Any]:
    """What is left over against one quantity, with its running median."""
    alt = f"Residuals by {by}: standard deviation {residual.std():.3g}."
    drawn = value_figures.residuals(x, residual, name=f"residuals-{by}", alt=alt, x_label=label, y_label=unit)
    caption = (
        "Measured minus predicted. The line is the median of neighbouring dots: where it leaves zero, the model is off "
        f"systematically for sequences of that {by}."
    )
    return figure_card(drawn, f"Residuals by {by}", caption)


def _rank_curve(measured: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, Any]:
    """How many of the truly highest tenth are among the sequences predicted highest."""
    from scipy.stats import rankdata  # takes a while to load

    n = len(measured)
    best = rankdata(-measured, method="ordinal") <= max(1, round(BEST * n))
    order = np.argsort(-predicted, kind="stable")
    found = np.cumsum(best[order]) / best.sum()
    share = np.arange(1, n + 1) / n
    at = max(1, round(BEST * n))
    lines = [
        Series(
            name="by prediction",
            note=f"{words.percent(found[at - 1])} in the first tenth",
            x=np.concatenate([[0], share]),
            y=np.concatenate([[0], found]),
        )
    ]
    drawn = value_figures.rank_curve(
        lines[0],
        alt=f"Of the highest tenth, {words.percent(found[at - 1])} are in the predicted highest tenth.",
        x_label="share of sequences, highest prediction first",
        y_label="of the true highest tenth",
    )
    caption = (
        f"Of the {words.percent(BEST)} with the highest measured values, the share found among the sequences with the "
        "highest predictions. The dotted diagonal is a random order. Where low values are wanted, read from the right."
    )
    return figure_card(drawn, "Finding the highest", caption, legend(lines))


def _evenly(index: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).astype(np.int64)]
