"""The cells of a suite: what can be computed by itself, and under which name its result is kept."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seqreg.benchmark.suite import Method, Suite
from seqreg.benchmark.tasks import task_names
from seqreg.records import to_plain


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training with all that its tuning takes; one row of results.tsv.

    stage: "choose" tries the setting of number `setting` on a task that only serves to choose; "report" counts.
    data, task ("" for none), size (0: all), seed, method: what is learned from what, and how.
    needs: keys of the cells whose results decide this one's setting. key: a name made of all that decides the result.
    """

    stage: str
    data: str
    task: str
    size: int
    seed: int
    method: str
    setting: int
    needs: tuple[str, ...]
    key: str


def cells_of(suite: Suite) -> list[Cell]:
    """All cells, those on which others wait first; seed after seed, so that a part of them is balanced."""
    return _task_cells(suite) if suite.by_tasks else _independent_cells(suite)


def _independent_cells(suite: Suite) -> list[Cell]:
    cells: list[Cell] = []
    for seed in suite.seeds:
        for size in suite.sizes or (0,):
            for data in suite.data:
                for task in task_names(suite, data):
                    made: dict[str, str] = {}
                    for method in _computed(suite):
                        needs = (made[method.like],) if method.like else ()
                        cell = _cell(suite, method, "report", data, task, size, seed, -1, needs)
                        made[method.name] = cell.key
                        cells.append(cell)
    return cells


def _task_cells(suite: Suite) -> list[Cell]:
    choosing: list[Cell] = []
    reporting: list[Cell] = []
    decides: dict[str, tuple[str, ...]] = {}
    for method in _computed(suite):
        like = decides.get(method.like or "", ())
        own: list[Cell] = []
        tried = range(len(method.settings()))
        for seed in suite.seeds:
            for size in suite.sizes:
                for data in suite.data:
                    names = task_names(suite, data)
                    half = len(names) // 2
                    if len(tried) > 1:
                        own += [
                            _cell(suite, method, "choose", data, task, size, seed, setting, like)
                            for task in names[:half]
                            for setting in tried
                        ]
        decides[method.name] = (*like, *(cell.key for cell in own))
        choosing += own
        reporting += [
            _cell(suite, method, "report", data, task, size, seed, -1, decides[method.name])
            for seed in suite.seeds
            for size in suite.sizes
            for data in suite.data
            for task in task_names(suite, data)[len(task_names(suite, data)) // 2 :]
        ]
    return choosing + reporting


def _computed(suite: Suite) -> list[Method]:
    return [method for method in suite.methods if not method.best_of]


def _cell(
    suite: Suite,
    method: Method,
    stage: str,
    data: str,
    task: str,
    size: int,
    seed: int,
    setting: int,
    needs: Sequence[str],
) -> Cell:
    place: dict[str, Any] = {"stage": stage, "data": data, "task": task, "size": size, "seed": seed}
    how = {name: getattr(suite, name) for name in ("protocol", "tasks", "metric", "folds", "by", "most_tested")}
    identity = {**place, **how, "setting": setting, "needs": needs, "method": asdict(method)}
    digest = hashlib.sha256(json.dumps(to_plain(identity), sort_keys=True).encode()).hexdigest()[:12]
    words = [method.name, data, task, f"n{size}" if size else "", f"s{seed}", "" if setting < 0 else f"try{setting}"]
    slug = re.sub(r"[^a-z0-9.]+", "-", "-".join(filter(None, words)).lower()).strip("-")
    return Cell(**place, method=method.name, setting=setting, needs=tuple(needs), key=f"{slug}-{digest}")
