"""Scores within the folds of a cross-validation, and how far they spread."""

from typing import Any

import numpy as np

from seqreg.report import figures, words
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card


def section(run: Run) -> dict[str, Any] | None:
    """A row per fold, and the range of the network beside that of the simple model; None for a run with one split."""
    folds = run.metrics.get("folds")
    if not folds:
        return None
    metric = words.headline_metric(run)
    title = words.title(metric)
    rows = []
    values: dict[str, list[float]] = {"this network": [], "simple model": []}
    for each in folds:
        ours, theirs = each["network"].get(metric), (each["baseline"] or {}).get(metric)
        for name, value in zip(values, (ours, theirs), strict=True):
            if value is not None:
                values[name].append(value)
        sizes = (each["repeat"], each["fold"], each["n"], each["trained_on"])
        rows.append([*sizes, words.number(ours), words.number(theirs), each["picked"] or "–"])
    shown = [(name, min(known), float(np.mean(known)), max(known)) for name, known in values.items() if known]
    said = "; ".join(f"{name}: {low:.3f} to {high:.3f}, mean {mean:.3f}" for name, low, mean, high in shown)
    chart = (
        [
            figure_card(
                figures.ranges(shown, name="folds", alt=f"{title} over folds. {said}", x_label=title),
                title,
                "From the worst fold to the best; the dot is the mean.",
            )
        ]
        if shown
        else []
    )
    chart += _curve(run)
    spread = [
        f"{name}: standard deviation {np.std(known, ddof=1):.3f}" for name, known in values.items() if len(known) > 1
    ]
    note = f"{title} within each fold. Simple is what the fold's training part prefers. {'; '.join(spread)}."
    return {"rows": rows, "repeats": run.metrics.get("repeats", 1), "figures": chart, "note": note}


def _curve(run: Run) -> list[dict[str, Any]]:
    """Scores by training sequences, where they were asked for."""
    found = run.metrics.get("learning_curve")
    if not found:
        return []
    title, n = words.title(found["metric"]), int(run.data["n"])
    sizes, values = ([each[name] for each in found["points"]] for name in ("trained_on", "value"))
    more = [(n + each["sequences"], *_low_middle_high(each)) for each in found["more"]]
    said = ", ".join(f"{value:.3f} of {size}" for size, value in zip(sizes, values, strict=True))
    svg = figures.by_size(sizes, values, more, alt=f"{title} by training sequences: {said}", y_label=title)
    return [figure_card(svg, "Would more data help?", found["sentence"].removeprefix("Would more data help? "))]


def _low_middle_high(each: dict[str, Any]) -> tuple[float, float, float]:
    return each["value_interval"][0], each["value"], each["value_interval"][1]
