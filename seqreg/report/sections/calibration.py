"""Whether a stated probability can be taken at its word."""

from typing import Any

import numpy as np

from seqreg.report import figures, words
from seqreg.report.figures import Series
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card


def section(run: Run) -> list[dict[str, Any]]:
    """Reliability, and for binary tasks how scores are spread."""
    shown: list[dict[str, Any]] = []
    bins = run.metrics.get("reliability") or {}
    columns = (bins.get(name) or [] for name in ("forecast", "observed", "count"))
    forecast, observed, count = (np.asarray(column, dtype=np.float64) for column in columns)
    if len(count):
        said = f"probability of “{run.positive}”" if run.binary else "stated probability"
        seen = f"share that are “{run.positive}”" if run.binary else "share that were right"
        alt = "Reliability curve. " + "; ".join(
            f"{words.percent(x)} stated, {words.percent(y)} true, {n:.0f} sequences"
            for x, y, n in zip(forecast, observed, count, strict=True)
        )
        caption = (
            "Of sequences given a probability of 0.8, eight in ten should turn out so: dots on the diagonal. Big dots "
            "are more sequences, whiskers for what chance alone can do (95\N{NO-BREAK SPACE}% intervals)."
        )
        labels = {"x_label": "stated probability", "y_label": "what came true"}
        shown.append(
            figure_card(
                figures.reliability(forecast, observed, count, alt=alt, **labels),
                "Reliability",
                f"{caption} Across: {said}; up: {seen}.{_effect_of_temperature(run)}",
            )
        )
    if run.binary and run.predictions:
        k = run.classes.index(run.positive)
        groups = [
            Series(name=name, note=f"{int(is_in.sum())} sequences", x=(), y=run.probabilities[is_in, k])
            for name, is_in in ((run.positive, run.truth[:, k]), (run.negative, ~run.truth[:, k]))
        ]
        spread = [f"median {np.median(np.asarray(each.y)):.2f} for {each.name}" for each in groups if np.size(each.y)]
        shown.append(
            figure_card(
                figures.histogram(
                    groups,
                    alt=f"Histogram of the probability of {run.positive}: " + ", ".join(spread),
                    x_label="stated probability",
                    y_label="share of the class",
                ),
                "Scores",
                f"Probability of “{run.positive}” given to the test sequences of each class. Where the two overlap, "
                "the model cannot tell.",
                figures.legend(groups, lines=False),
            )
        )
    return shown


def _effect_of_temperature(run: Run) -> str:
    """What dividing logits by a temperature did to the calibration error, in a sentence."""
    effect = run.metrics.get("calibration") or {}
    if effect.get("temperature", 1.0) == 1.0:
        return ""
    before, after = (words.number(effect["ece"][when]) for when in ("before", "after"))
    return f" Logits are divided by {effect['temperature']:.2f}, which took the ECE from {before} to {after}."
