"""Several runs on one page: means over them, and every run by itself."""

from pathlib import Path
from typing import Any

from seqreg import __version__
from seqreg.evaluation import Comparison
from seqreg.report.pages import environment
from seqreg.report.tables import GUESSING
from seqreg.targets import EVERY_METRIC
from seqreg.writing import atomic_write


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page."""
    text = (
        environment()
        .get_template("comparison.html.j2")
        .render(
            version=__version__,
            comparison=comparison,
            headings={"verdict": "Which is better?", "means": "Means", "runs": "Run by run"},
            metrics=[_metric(comparison, name) for name in comparison.metrics],
        )
    )
    with atomic_write(path) as handle:
        handle.write(text)


def _metric(comparison: Comparison, metric: str) -> dict[str, Any]:
    """A metric of every model: its mean, whether that is the best, its deviation, and the values run by run."""
    about = EVERY_METRIC[metric]
    spread = {model: of_metric[metric] for model, of_metric in comparison.spread.items()}
    rivals = {model: each.mean for model, each in spread.items() if each.mean is not None and model not in GUESSING}
    extreme = (min if about.less_is_better else max)(rivals.values(), default=None)
    winners = [model for model, mean in rivals.items() if mean == extreme]
    cells = [
        {
            "mean": each.mean,
            "deviation": each.standard_deviation,
            "best": winners == [model] and len(rivals) > 1,
            "runs": "" if each.runs == len(comparison.runs) else f"in {each.runs} of {len(comparison.runs)} runs",
            "values": comparison.values[model][metric],
        }
        for model, each in spread.items()
    ]
    return {"name": about.title, "meaning": about.meaning, "cells": cells}
