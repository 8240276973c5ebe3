"""How good the model is: the headline, the models beside it, every metric, and what it confuses."""

from typing import Any

from seqreg.report import tables, words
from seqreg.report.run_folder import Run


def section(run: Run) -> dict[str, Any] | None:
    """The headline, its meaning and verdict, and tables; None without a test part."""
    if not run.n_test:
        return None
    metric = words.headline_metric(run)
    return {
        "name": words.title(metric),
        "value": words.number(run.metrics.get(metric)),
        "interval": words.interval(run.metrics, metric),
        "meaning": words.meaning(run),
        "verdict": words.verdict(run),
        "next": words.next_command(run),
        "comparison": tables.comparison(run),
        "models": tables.model_names(run),
        "rows": tables.metric_rows(run),
        "classes": tables.class_rows(run),
        "confusion": tables.confusion(run),
    }
