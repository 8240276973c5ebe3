"""What a suite has shown so far: summary.json and table.md, from the rows alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqreg.benchmark.rows import Row, setting_text
from seqreg.benchmark.statistics import (
    bootstrap_mean,
    cliques,
    holm,
    mean_ranks,
    pairwise,
    signed_rank,
    standard_error,
)
from seqreg.benchmark.suite import ROBUSTNESS, Suite

# Fields in which settings may differ beside the strength of regularization.
FIXED = ("model", "encoding", "start", "epochs", "batch_size", "lr", "class_weight", "reverse_complement")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One method over the units that it has scores on.

    mean (low, high): with the bootstrap interval over units, None for a single one. rank: mean rank among the learners
    that have every unit (a method that is the best of others is none).
    difference (low, high): reference minus this one over the units that both have; p: Wilcoxon's signed-rank test of
    it, adjusted after Holm for all methods of the group. seconds: mean time of a cell, tuning included.
    """

    method: str
    units: int
    mean: float
    low: float | None
    high: float | None
    rank: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Group:
    """Methods compared over units (data sets or tasks) at one size; `describing` several sizes together.

    scores, errors: method -> unit -> mean and standard error over seeds. differences: method -> unit -> reference
    minus method, paired by seed, mean and standard error. cliques: methods that do not differ (none in a group that
    only describes). also: other metric -> method -> unit -> mean over seeds.
    """

    title: str
    size: int
    describing: bool
    units: tuple[str, ...]
    standings: tuple[Standing, ...]
    cliques: tuple[tuple[str, ...], ...]
    scores: dict[str, dict[str, float]]
    errors: dict[str, dict[str, float | None]]
    differences: dict[str, dict[str, tuple[float, float | None]]]
    also: dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, kw_only=True)
class Path:
    """Score against the strength of regularization: what choosing saw. points: (strength, group, score)."""

    method: str
    parameter: str
    points: tuple[tuple[float, str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All that table.md and the page show."""

    name: str
    title: str
    protocol: str
    metric: str
    reference: str
    seeds: int
    done: int
    total: int
    hours: float
    groups: tuple[Group, ...]
    also: tuple[str, ...]
    paths: tuple[Path, ...]
    chosen: dict[str, dict[str, int]]
    left_out: dict[str, int]
    failed: tuple[str, ...]
    absent: dict[str, str]


def summarize(suite: Suite, rows: Sequence[Row], *, total: int, absent: Mapping[str, str]) -> Summary:
    """The summary of the rows there are; `total` cells are to be computed, `absent` methods cannot be."""
    counted = [row for row in rows if row["stage"] == "report" and row["metrics"].get(suite.metric) is not None]
    sizes = sorted({row["size"] for row in counted})
    groups = [_group(suite, [row for row in counted if row["size"] == size], _title(size), size) for size in sizes]
    if len(sizes) > 1:
        groups.append(_group(suite, counted, "all sizes together (description only)", 0, describing=True))
    computed = {method.name for method in suite.methods if not method.best_of}
    own = [row for row in rows if row["method"] in computed]
    return Summary(
        name=suite.name,
        title=suite.title,
        protocol=suite.protocol,
        metric=suite.metric,
        reference=suite.reference,
        seeds=len(suite.seeds),
        done=len(own),
        total=total,
        hours=sum(row["seconds"] for row in own) / 3600,
        groups=tuple(groups),
        also=suite.also,
        paths=tuple(_paths(suite, own)),
        chosen=_counts((row["method"], _chosen(row)) for row in counted),
        left_out=_counted(f"{row['method']} on {row['data']}: {row['left_out']}" for row in own if row["left_out"]),
        failed=tuple(f"{_place(row)}: {row['error']}" for row in own if row["error"]),
        absent=dict(absent),
    )


def _title(size: int) -> str:
    return f"{size} training sequences" if size else "all training sequences"


def _place(row: Row) -> str:
    words = (row["method"], row["data"], row["task"], f"n {row['size']}" if row["size"] else "", f"seed {row['seed']}")
    return ", ".join(filter(None, words))


def _group(suite: Suite, rows: Sequence[Row], title: str, size: int, *, describing: bool = False) -> Group:
    values: dict[str, dict[str, dict[int, float]]] = {}
    seconds: dict[str, list[float]] = {}
    for row in rows:
        unit = "/".join(filter(None, (row["data"], row["task"], f"n{row['size']}" if describing else "")))
        value = float(row["metrics"][suite.metric])
        values.setdefault(row["method"], {}).setdefault(unit, {})[row["seed"]] = value
        seconds.setdefault(row["method"], []).append(row["seconds"])
    names = [method.name for method in suite.methods if method.name in values]
    units = tuple(dict.fromkeys(unit for name in names for unit in values[name]))
    scores = {name: {unit: float(np.mean(list(per.values()))) for unit, per in values[name].items()} for name in names}
    whole = [name for name in names if len(scores[name]) == len(units) and not suite.method(name).best_of]
    table = np.array([[scores[name][unit] for name in whole] for unit in units])
    ranks = dict(zip(whole, mean_ranks(table).tolist(), strict=True)) if whole else {}
    runs: list[list[int]] = []
    if len(whole) > 1 and not describing:
        runs = cliques(list(ranks.values()), pairwise(table)[1])
    differences = _differences(values, names, suite.reference)
    p = {} if describing else _p_values(scores, names, suite.reference)
    standings = [
        _standing(name, scores, differences, ranks.get(name), p.get(name), float(np.mean(seconds[name])))
        for name in names
    ]
    return Group(
        title=title,
        size=size,
        describing=describing,
        units=units,
        standings=tuple(standings),
        cliques=tuple(tuple(whole[i] for i in run) for run in runs),
        scores=scores,
        errors={
            name: {unit: standard_error(list(per.values())) for unit, per in values[name].items()} for name in names
        },
        differences=differences,
        also=_also(suite, rows),
    )


def _also(suite: Suite, rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """Means over seeds of further metrics: those the suite names, and accuracies under attack."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        for metric, value in row["metrics"].items():
            if value is not None and (metric in suite.also or ROBUSTNESS.fullmatch(metric)):
                unit = "/".join(filter(None, (row["data"], row["task"])))
                found.setdefault(metric, {}).setdefault(row["method"], {}).setdefault(unit, []).append(value)
    return {
        metric: {
            method: {unit: float(np.mean(values)) for unit, values in units.items()}
            for method, units in methods.items()
        }
        for metric, methods in found.items()
    }


def _differences(
    values: Mapping[str, Mapping[str, Mapping[int, float]]], names: Sequence[str], reference: str
) -> dict[str, dict[str, tuple[float, float | None]]]:
    """method -> unit -> mean and standard error over seeds of the reference's score minus the method's."""
    differences: dict[str, dict[str, tuple[float, float | None]]] = {}
    for name in names:
        if name == reference or reference not in values:
            continue
        for unit, own in values[name].items():
            other = values[reference].get(unit, {})
            paired = [other[seed] - own[seed] for seed in own if seed in other]
            if paired:
                differences.setdefault(name, {})[unit] = (float(np.mean(paired)), standard_error(paired))
    return differences


def _p_values(scores: Mapping[str, Mapping[str, float]], names: Sequence[str], reference: str) -> dict[str, float]:
    """Adjusted p of every method against the reference, over the units that both have."""
    shared = {
        name: [unit for unit in scores[name] if unit in scores.get(reference, {})]
        for name in names
        if name != reference
    }
    tested = {
        name: signed_rank([scores[reference][unit] for unit in units], [scores[name][unit] for unit in units])
        for name, units in shared.items()
        if units
    }
    return dict(zip(tested, holm(list(tested.values())).tolist(), strict=True))


def _standing(
    name: str,
    scores: Mapping[str, Mapping[str, float]],
    differences: Mapping[str, Mapping[str, tuple[float, float | None]]],
    rank: float | None,
    p: float | None,
    seconds: float,
) -> Standing:
    own = list(scores[name].values())
    gaps = [mean for mean, _ in differences.get(name, {}).values()]
    low, high = _interval(own)
    gap_low, gap_high = _interval(gaps)
    return Standing(
        method=name,
        units=len(own),
        mean=float(np.mean(own)),
        low=low,
        high=high,
        rank=rank,
        difference=float(np.mean(gaps)) if gaps else None,
        difference_low=gap_low,
        difference_high=gap_high,
        p=p,
        seconds=seconds,
    )


def _interval(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    return bootstrap_mean(values) if len(values) > 1 else (None, None)


def _paths(suite: Suite, rows: Sequence[Row]) -> list[Path]:
    """Paths of the methods whose settings differ in one strength, a line for each size and rest of the setting."""
    paths: list[Path] = []
    for method in suite.methods:
        seen = sorted(_tried(suite, [row for row in rows if row["method"] == method.name]), key=lambda each: each[0])
        numbers = [_numbers(setting) for _, setting, _ in seen]
        varying = {key for entry in numbers for key in entry if len({each.get(key) for each in numbers}) > 1}
        if len(varying) != 1:
            continue
        parameter = varying.pop()
        rest = [setting_text({key: value for key, value in setting.items() if key in FIXED}) for _, setting, _ in seen]
        points: dict[tuple[str, float], list[float]] = {}
        for (size, _, score), entry, other in zip(seen, numbers, rest, strict=True):
            label = ", ".join([_title(size), *([other] if len(set(rest)) > 1 else [])])
            if parameter in entry:
                points.setdefault((label, entry[parameter]), []).append(score)
        means = [(strength, label, float(np.mean(scores))) for (label, strength), scores in points.items()]
        paths.append(Path(method=method.name, parameter=parameter, points=tuple(means)))
    return paths


def _tried(suite: Suite, rows: Sequence[Row]) -> list[tuple[int, Mapping[str, Any], float]]:
    """Size, setting and score of all that was tried to choose a setting."""
    tried: list[tuple[int, Mapping[str, Any], float]] = []
    for row in rows:
        score = row["metrics"].get(suite.metric)
        if row["stage"] == "choose" and score is not None:
            tried.append((row["size"], row["setting"], float(score)))
        tried += [
            (row["size"], trial["setting"], trial["score"]) for trial in row["trials"] if trial["score"] is not None
        ]
    return tried


def _numbers(setting: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a setting that are strengths, by name: those of its own fields, and those written in specs."""
    found: dict[str, float] = {}
    for field, value in setting.items():
        if field in FIXED:
            continue
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, int | float) and not isinstance(text, bool):
                found[field.replace("_", "-")] = float(text)
            elif isinstance(text, str):
                name, _, rest = text.partition(":")
                for item in filter(None, rest.split(",")):
                    key, _, number = item.partition("=")
                    try:
                        found[f"{name}:{key}"] = float(number)
                    except ValueError:
                        continue
    return found


def _chosen(row: Row) -> str:
    return setting_text(row["setting"] or {}) or "as it is"


def _counts(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for method, setting in pairs:
        entry = counts.setdefault(method, {})
        entry[setting] = entry.get(setting, 0) + 1
    return counts


def _counted(texts: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return counts
