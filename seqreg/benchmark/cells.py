"""The cells of a suite: what can be computed by itself, and under which name its result is kept."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from seqreg.benchmark.suite import Method, Suite
from seqreg.benchmark.tasks import halves, task_names
from seqreg.records import to_plain
from seqreg.sequences import find_data_set


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


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a cell learns. chooses: whether this task only serves to choose. sha256: of the data set."""

    data: str
    sha256: str
    task: str
    chooses: bool
    size: int
    seed: int


def cells_of(suite: Suite) -> list[Cell]:
    """All cells, those on which others wait first; seed after seed, so that a part of them is balanced."""
    computed = [method for method in suite.methods if not method.best_of]
    return (_fixed_settings if suite.by_tasks else _own_settings)(suite, computed, list(_places(suite)))


def _places(suite: Suite) -> Iterator[_Place]:
    known = {data: (find_data_set(data).sha256, halves(task_names(suite, data))) for data in suite.data}
    for seed, size, data in itertools.product(suite.seeds, suite.sizes or (0,), suite.data):
        sha256, (choosing, reporting) = known[data]
        for task in (*choosing, *reporting):
            chooses = suite.by_tasks and task in choosing
            yield _Place(data=data, sha256=sha256, task=task, chooses=chooses, size=size, seed=seed)


def _own_settings(suite: Suite, methods: Sequence[Method], places: Sequence[_Place]) -> list[Cell]:
    """Every cell chooses for itself; one that is like another method waits for that method's cell in its place."""
    cells: list[Cell] = []
    for place in places:
        made: dict[str, str] = {}
        for method in methods:
            needs = (made[method.like],) if method.like else ()
            cells.append(_cell(suite, method, place, "report", -1, needs))
            made[method.name] = cells[-1].key
    return cells


def _fixed_settings(suite: Suite, methods: Sequence[Method], places: Sequence[_Place]) -> list[Cell]:
    """Every setting on the tasks that choose, where there are several; then the chosen one on the others."""
    choosing: list[Cell] = []
    reporting: list[Cell] = []
    decides: dict[str, tuple[str, ...]] = {}
    for method in methods:
        earlier = decides[method.like] if method.like else ()
        tried = range(len(method.settings()))
        own = [
            _cell(suite, method, place, "choose", setting, earlier)
            for place in places
            if place.chooses and len(tried) > 1
            for setting in tried
        ]
        decides[method.name] = (*earlier, *(cell.key for cell in own))
        choosing += own
        reporting += [
            _cell(suite, method, place, "report", -1, decides[method.name]) for place in places if not place.chooses
        ]
    return choosing + reporting


def _cell(suite: Suite, method: Method, place: _Place, stage: str, setting: int, needs: Sequence[str]) -> Cell:
    how = {name: getattr(suite, name) for name in ("protocol", "tasks", "metric", "folds", "by", "most_tested")}
    how |= {"vectors": suite.vectors} if suite.vectors else {}
    identity = {**asdict(place), **how, "stage": stage, "setting": setting, "needs": needs, "method": asdict(method)}
    digest = hashlib.sha256(json.dumps(to_plain(identity), sort_keys=True).encode()).hexdigest()[:12]
    size = f"n{place.size}" if place.size else ""
    words = [method.name, place.data, place.task, size, f"s{place.seed}", f"try{setting}" if setting >= 0 else ""]
    slug = re.sub(r"[^a-z0-9.]+", "-", "-".join(filter(None, words)).lower()).strip("-")
    return Cell(
        stage=stage,
        data=place.data,
        task=place.task,
        size=place.size,
        seed=place.seed,
        method=method.name,
        setting=setting,
        needs=tuple(needs),
        key=f"{slug}-{digest}",
    )
