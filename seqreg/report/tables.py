"""Rows of the page's tables, from the files of a run."""

import json
import re
import shlex
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from seqreg.report.run_folder import Run
from seqreg.report.words import headline_metric, interval, number, title

PARTS = ("train", "valid", "test")
SHOWN_AT_ONCE = 240
GUESSING = ("majority", "mean")  # the baselines that look at no letter: in the table, but no measure of anything


def class_counts(run: Run) -> dict[str, Any]:
    """Sequences per class and part; one with several labels counts for each of them."""
    classes = run.data.get("classes") or {}
    classes = classes if isinstance(classes, dict) else {}
    parts = [part for part in PARTS if any(part in counts for counts in classes.values())]
    rows = [(name, [int(counts.get(part, 0)) for part in parts]) for name, counts in classes.items()]
    totals = [sum(counts[i] for _, counts in rows) for i in range(len(parts))]
    return {"parts": parts, "rows": rows, "totals": totals if run.exclusive else None}


def groups_per_part(run: Run) -> list[tuple[str, int]]:
    """Distinct groups in each part, where there are groups."""
    members = {
        part: {row["group"] for row in run.splits if row["split"] == part and row.get("group")} for part in PARTS
    }
    return [(part, len(groups)) for part, groups in members.items() if groups]


def model_names(run: Run) -> list[str]:
    """What the model is called in tables, and the baselines beside it."""
    return [own_name(run), *(run.metrics.get("baselines") or {})]


def own_name(run: Run) -> str:
    """What the trained model is called beside the baselines."""
    return "this baseline" if run.is_baseline else "this network"


def metric_rows(run: Run) -> list[dict[str, Any]]:
    """One row per metric: name, meaning, and for each model its value, interval, and whether it is the best."""
    models = [run.metrics, *(run.metrics.get("baselines") or {}).values()]
    rows: list[dict[str, Any]] = []
    for metric, about in run.target.metrics.items():
        if not any(metric in each for each in models):
            continue
        values = [each.get(metric) for each in models]
        known = [
            v for v, rival in zip(values, model_names(run), strict=True) if v is not None and rival not in GUESSING
        ]
        best = (min if about.less_is_better else max)(known) if known else None
        cells = [
            {
                "text": number(value),
                "interval": _interval_text(each, metric),
                "best": value == best and known.count(value) == 1 < len(known),
                "reason": (each.get("reason") or {}).get(metric) if value is None else None,
            }
            for each, value in zip(models, values, strict=True)
        ]
        rows.append({"name": about.title, "meaning": about.meaning, "cells": cells})
    return rows


def comparison(run: Run) -> dict[str, Any]:
    """The headline metric of every model as points and intervals on one scale; positions in percent."""
    metric = headline_metric(run)
    named = zip(model_names(run), [run.metrics, *(run.metrics.get("baselines") or {}).values()], strict=True)
    known = [
        (name, each[metric], interval(each, metric))
        for name, each in named
        if each.get(metric) is not None and name not in GUESSING
    ]
    ends = [end for _, value, limits in known for end in (value, *(limits or ()))]
    low, high = float(np.floor(10 * min(ends, default=0) - 0.1)) / 10, 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    rows = [
        {
            "name": name,
            "own": i == 0,
            "text": number(value),
            "interval": f"{number(limits[0])} to {number(limits[1])}" if limits else "",
            "at": place(value),
            "low": place(limits[0] if limits else value),
            "high": place(limits[1] if limits else value),
        }
        for i, (name, value, limits) in enumerate(known)
    ]
    ticks = [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high]
    return {
        "metric": title(metric),
        "rows": [rows[0], *sorted(rows[1:], key=lambda row: -row["at"])] if rows else [],
        "ticks": [{"text": f"{tick:.2g}", "at": place(tick)} for tick in ticks],
    }


def thresholds(run: Run) -> dict[str, Any]:
    """What each threshold on the probability of the positive class gives, and for which share of positives."""
    if not run.thresholds:
        return {}
    names = ("threshold", "sensitivity", "specificity", "precision", "expected_precision", "false_hits")
    rows = [[row[name] or "–" for name in names] for row in run.thresholds]
    return {"rows": rows, "prevalence": float(run.thresholds[0]["prevalence"])}


def class_rows(run: Run) -> list[dict[str, Any]]:
    """Precision, recall and the rest of each class against the others."""
    columns = ("precision", "recall", "f1", "auroc", "auprc")
    return [
        {"name": name, "support": entry.get("support"), "cells": [number(entry.get(column)) for column in columns]}
        for name, entry in (run.metrics.get("per_class") or {}).items()
    ]


def confusion(run: Run) -> dict[str, Any]:
    """The confusion table: one square for classes, one row of four counts per label for multi-label tasks."""
    table = run.metrics.get("confusion") or []
    if not table:
        return {}
    if np.ndim(table) == 3:
        rows = [
            {"name": name, "cells": [each[1][1], each[1][0], each[0][1], each[0][0]]}
            for name, each in zip(run.classes, table, strict=True)
        ]
        return {"labels": rows}
    rows = [
        {
            "name": name,
            "cells": [
                {"count": n, "share": n / sum(row) if sum(row) else 0.0, "right": i == j} for j, n in enumerate(row)
            ],
        }
        for i, (name, row) in enumerate(zip(run.classes, table, strict=True))
    ]
    return {"square": rows}


def examples(run: Run) -> list[dict[str, Any]]:
    """What the model is most wrong about; long sequences in two pieces, the second folded away."""
    return [
        {
            "id": row["id"],
            "label": row[run.target.field] or "none",
            "prediction": row["prediction"] or "none",
            "wrong": row[run.target.field] != row["prediction"],
            "p": float(row[run.target.confidence_name]),
            "length": len(row["sequence"]),
            "head": _tens(row["sequence"][:SHOWN_AT_ONCE]),
            "tail": _tens(row["sequence"][SHOWN_AT_ONCE:]),
        }
        for row in run.examples
    ]


def norms(run: Run) -> list[tuple[str, str]]:
    """The figures of norm.json that are there, bounds from above first."""
    norm = run.norm
    rows: list[tuple[str, Any]] = [("Lipschitz constant, upper bound", norm.get("lipschitz_upper_bound"))]
    rows.append(("RKHS norm, upper bound", (norm.get("rkhs") or {}).get("upper_bound")))
    rows += [(f"{name}, lower bound", value) for name, value in (norm.get("lower_bounds") or {}).items()]
    for layer in norm.get("layers") or []:
        rows.append((f"operator norm of {layer['name']}, upper bound", layer.get("operator_norm_upper_bound")))
    return [(name, f"{value:.4g}") for name, value in rows if isinstance(value, int | float)]


def configuration(run: Run) -> list[tuple[str, str]]:
    """Every setting with its value as text."""
    effort = {key: value for key, value in (run.config.get("tune") or {}).items() if key not in run.config}
    settings = {**run.config, **effort}
    settings.pop("tune", None)
    return [(key.replace("_", "-"), _value(value)) for key, value in settings.items()]


def facts(run: Run) -> list[tuple[str, str]]:
    """Where, when and with what the run was made."""
    rows = [
        (name, moment(str(run.run[key])))
        for name, key in (("Started", "started"), ("Finished", "finished"), ("Seed", "seed"), ("Device", "device"))
        if run.run.get(key) is not None
    ]
    if run.run.get("threads") is not None:
        rows.append(("CPU threads", str(run.run["threads"])))
    rows += [("Decided", str(sentence)) for sentence in run.config.get("decided") or ()]
    rows += [(f"Time for {name.replace('_', ' ')}", _duration(t)) for name, t in (run.run.get("timings") or {}).items()]
    return rows + [(name, str(version)) for name, version in (run.run.get("versions") or {}).items()]


def moment(written: str) -> str:
    """A time stamp as people write it; anything else as it is."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:[\d.]+)?\+00:00$", r"\1 \2 UTC", written)


def command(run: Run) -> str:
    """The command that was typed, ready for a shell; empty where the run came from Python."""
    words = run.run.get("command") or []
    return words if isinstance(words, str) else shlex.join(map(str, words))


def _interval_text(metrics: dict[str, Any], metric: str) -> str:
    limits = interval(metrics, metric)
    return f"{number(limits[0])} to {number(limits[1])}" if limits else ""


def _tens(sequence: str) -> list[str]:
    return [sequence[start : start + 10] for start in range(0, len(sequence), 10)]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
