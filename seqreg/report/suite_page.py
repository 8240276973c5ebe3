"""From the folder of a benchmark to its report.html, by summary.json alone."""

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from seqreg import __version__
from seqreg.errors import ModelError
from seqreg.records import read_json
from seqreg.report import figures, suite_figures, words
from seqreg.report.damage import DAMAGE
from seqreg.report.figures import Series
from seqreg.report.pages import environment
from seqreg.writing import atomic_write

MOST_LINES = 10
# Columns of the robustness protocol -> what they mean, and against what they are drawn.
UNDER_ATTACK = {
    "attacked_balanced_accuracy": ("attacked", "substituted letters"),
    "certified_balanced_accuracy": ("certified", "substituted letters"),
    "l2_attacked_balanced_accuracy": ("attacked", "l2 radius"),
}
MOST_SCATTERS = 6


def write_suite_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a benchmark and return its path.

    Raises ModelError where there is no summary.json, or a damaged one.
    """
    source = Path(folder) / "summary.json"
    try:
        summary: dict[str, Any] = read_json(source)
        text = _render(summary)
    except FileNotFoundError:
        raise ModelError(f"{folder} holds no benchmark: it has no summary.json. Run `seqreg benchmark` first") from None
    except DAMAGE as error:
        raise ModelError(f"{source} cannot be read ({error}). Run `seqreg benchmark` again") from None
    target = Path(folder) / "report.html"
    with atomic_write(target) as handle:
        handle.write(text)
    return target


def _render(summary: dict[str, Any]) -> str:
    units = "tasks" if summary["protocol"].startswith("homology") else "data sets"
    parts = {
        "groups": [_group(summary, group, i) for i, group in enumerate(summary["groups"])],
        "curves": _curves(summary),
        "robustness": _robustness(summary),
        "scatters": _scatters(summary),
        "paths": _paths(summary),
    }
    headings = {
        **{group["anchor"]: group["title"] for group in parts["groups"]},
        **({"curves": "More training sequences"} if parts["curves"] else {}),
        **({"robustness": "Under attack"} if parts["robustness"] else {}),
        **({"scatters": f"Which {units}"} if parts["scatters"] else {}),
        **({"paths": "How much regularization"} if parts["paths"] else {}),
        **({"chosen": "What was chosen"} if summary["chosen"] else {}),
        "coverage": "What is missing",
    }
    return (
        environment()
        .get_template("suite.html.j2")
        .render(
            summary=summary,
            also=[words.title(name) for name in summary["also"]],
            version=__version__,
            metric=words.title(summary["metric"]),
            units=units,
            headings=headings,
            **parts,
        )
    )


def _group(summary: dict[str, Any], group: dict[str, Any], number: int) -> dict[str, Any]:
    standings = sorted(group["standings"], key=lambda each: -each["mean"])
    ranks = {each["method"]: each["rank"] for each in standings if each["rank"] is not None}
    diagram = None
    if len(ranks) > 1:
        spoken = ", ".join(f"{name} {rank:.2f}" for name, rank in sorted(ranks.items(), key=lambda item: item[1]))
        drawn = suite_figures.critical_difference(
            ranks, group["cliques"], name=f"ranks-{number}", alt=f"Mean ranks: {spoken}", own=summary["reference"]
        )
        diagram = Markup(drawn)
    return {
        **group,
        "anchor": f"group-{number}",
        "title": group["title"][0].upper() + group["title"][1:],
        "standings": [
            {**each, "also": [_mean(group["also"].get(name, {}).get(each["method"], {})) for name in summary["also"]]}
            for each in standings
        ],
        "tracks": _tracks(standings, summary["reference"]),
        "diagram": diagram,
        # Of Wilcoxon's test where all differences have one sign, after Holm.
        "least_p": min(1.0, 2.0 ** (1 - len(group["units"])) * max(1, len(standings) - 1)),
        "cells": _cells(group) if not group["describing"] and len(group["units"]) <= MOST_LINES else None,
    }


def _tracks(standings: list[dict[str, Any]], own: str) -> dict[str, Any]:
    """Means with their intervals on one scale; positions in percent."""
    ends = [each[end] for each in standings for end in ("mean", "low", "high") if each[end] is not None]
    low = float(np.floor(20 * min(ends, default=0) - 0.1)) / 20
    high = min(1.0, float(np.ceil(20 * max(ends, default=1) + 0.1)) / 20)

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    rows = [
        {
            "name": each["method"],
            "own": each["method"] == own,
            "text": words.number(each["mean"]),
            "interval": "" if each["low"] is None else f"{words.number(each['low'])} to {words.number(each['high'])}",
            "at": place(each["mean"]),
            "low": place(each["mean"] if each["low"] is None else each["low"]),
            "high": place(each["mean"] if each["high"] is None else each["high"]),
        }
        for each in standings
    ]
    ticks = [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    return {"rows": rows, "ticks": [{"text": f"{tick:.2g}", "at": place(tick)} for tick in ticks]}


def _cells(group: dict[str, Any]) -> list[dict[str, Any]]:
    """On every unit the score of every method, whether it is the best there, and how far the reference is ahead."""
    best = {unit: max(s[unit] for s in group["scores"].values() if unit in s) for unit in group["units"]}
    rows: list[dict[str, Any]] = []
    for method, scores in group["scores"].items():
        cells: list[dict[str, Any]] = []
        for unit in group["units"]:
            gap, gap_error = group["differences"].get(method, {}).get(unit, (None, None))
            cells.append(
                {
                    "text": words.number(scores.get(unit)),
                    "error": _plus_minus(group["errors"][method].get(unit)),
                    "best": scores.get(unit) == best[unit],
                    "gap": "–" if gap is None else f"{gap:+.3f}".replace("-", "−"),
                    "gap_error": _plus_minus(gap_error),
                }
            )
        rows.append({"method": method, "cells": cells})
    return rows


def _mean(values: dict[str, float]) -> float | None:
    return sum(values.values()) / len(values) if values else None


def _plus_minus(error: float | None) -> str:
    return "" if error is None else f"± {words.number(error)}"


def _curves(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """A learning curve per unit, where there are several sizes."""
    groups = [group for group in summary["groups"] if group["size"]]
    if len(groups) < 2:
        return []
    methods = _foremost(summary, groups[-1])
    shown: list[dict[str, Any]] = []
    for number, unit in enumerate(dict.fromkeys(unit for group in groups for unit in group["units"])):
        lines: list[Series] = []
        errors: list[list[float]] = []
        for method in methods:
            points = [
                (group["size"], group["scores"][method][unit], group["errors"][method][unit] or 0.0)
                for group in groups
                if unit in group["scores"].get(method, {})
            ]
            if points:
                sizes, scores, spread = zip(*points, strict=True)
                lines.append(Series(name=method, note=f"{words.number(scores[-1])} at {sizes[-1]}", x=sizes, y=scores))
                errors.append(list(spread))
        drawn = suite_figures.by_size(
            lines,
            errors,
            name=f"curve-{number}",
            alt=f"{unit}: {_spoken(lines)}",
            y_label=words.title(summary["metric"]),
        )
        shown.append(_figure(drawn, unit, figures.legend(lines)))
    return shown


def _robustness(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy, every class counting equally, against the size of a perturbation: a figure per unit and kind."""
    shown: list[dict[str, Any]] = []
    for group in summary["groups"]:
        for unit in group["units"] if group["size"] else ():
            for column, (kind, label) in UNDER_ATTACK.items():
                sizes = sorted(
                    float(name.removeprefix(f"{column}_")) for name in group["also"] if name.startswith(f"{column}_")
                )
                lines: list[Series] = []
                for method in _foremost(summary, group):
                    values = [group["also"][f"{column}_{size:g}"].get(method, {}).get(unit) for size in sizes]
                    if values and None not in values:
                        note = f"{words.percent(values[0])} to {words.percent(values[-1])}"
                        lines.append(Series(name=method, note=note, x=sizes, y=values))
                if lines:
                    title = f"{unit}, {kind}, {label}"
                    drawn = figures.per_budget(
                        lines,
                        name=f"robustness-{len(shown)}",
                        alt=f"{title}: {_spoken(lines)}",
                        x_label=label,
                        y_label="balanced accuracy",
                        whole=label != "l2 radius",
                    )
                    shown.append(_figure(drawn, title, figures.legend(lines)))
    return shown


def _foremost(summary: dict[str, Any], group: dict[str, Any]) -> list[str]:
    """As many methods as lines can be told apart: the reference, and those with the best means."""
    means = {each["method"]: each["mean"] for each in group["standings"]}
    ordered = sorted(means, key=lambda name: (name != summary["reference"], -means[name]))
    return ordered[:MOST_LINES]


def _scatters(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The reference against the best other methods, unit by unit: in the group of all sizes where there is one."""
    if not summary["groups"]:
        return []
    group, own = summary["groups"][-1], summary["reference"]
    shown: list[dict[str, Any]] = []
    for other in [name for name in _foremost(summary, group) if name != own][:MOST_SCATTERS]:
        pairs = [
            (score, group["scores"][own][unit])
            for unit, score in group["scores"][other].items()
            if unit in group["scores"].get(own, {})
        ]
        if len(pairs) < 2:
            continue
        x, y = zip(*pairs, strict=True)
        wins = sum(b > a for a, b in pairs)
        drawn = suite_figures.against(
            x,
            y,
            name=f"against-{len(shown)}",
            alt=f"{own} is better than {other} on {wins} of {len(pairs)}",
            x_label=other,
            y_label=own,
        )
        caption = f"{own} is better on {wins} of {len(pairs)} (above the diagonal)."
        shown.append({**_figure(drawn, f"Against {other}"), "caption": caption})
    return shown


def _paths(summary: dict[str, Any]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for number, each in enumerate(summary["paths"]):
        lines: list[Series] = []
        for group in dict.fromkeys(group for _, group, _ in each["points"]):
            points = sorted((x, y) for x, name, y in each["points"] if name == group and y is not None)
            if points:
                x, y = zip(*points, strict=True)
                best = x[int(np.argmax(y))]
                lines.append(Series(name=group, note=f"best at {best:g}", x=x, y=y))
        if lines:
            drawn = suite_figures.path(
                lines,
                name=f"path-{number}",
                alt=f"{each['method']}: {_spoken(lines)}",
                x_label=each["parameter"],
                y_label=words.title(summary["metric"]),
            )
            shown.append(_figure(drawn, each["method"], figures.legend(lines)))
    return shown


def _figure(drawn: str, title: str, legend: list[dict[str, str | None]] | None = None) -> dict[str, Any]:
    return {"svg": Markup(drawn), "title": title, "caption": "", "legend": legend or []}


def _spoken(series: list[Series]) -> str:
    return ", ".join(f"{each.name}: {each.note}" for each in series)
