"""From a cell to its result: choose a setting, train, test."""

import math
import os
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from seqreg import __version__
from seqreg.benchmark.cells import Cell
from seqreg.benchmark.choosing import choose
from seqreg.benchmark.folder import SuiteFolder
from seqreg.benchmark.learners import Fitted, fit, inapplicable
from seqreg.benchmark.suite import Method, Suite
from seqreg.benchmark.tasks import LeftOutError, Library, Task, task_of
from seqreg.errors import SeqregError
from seqreg.evaluation.conformal import COVERAGE
from seqreg.sensitivity import evaluate_robustness
from seqreg.targets import PredictionIntervals
from seqreg.tuning.folds import score, with_groups

MOST_SUBSTITUTIONS = 5
L2_STEPS = 50
ACCURACIES = (
    "attacked_accuracy",
    "certified_accuracy",
    "attacked_balanced_accuracy",
    "certified_balanced_accuracy",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """What every cell is computed with. cells: all of the suite, by key. device: where networks are trained."""

    suite: Suite
    folder: SuiteFolder
    cells: Mapping[str, Cell]
    device: str = "cpu"
    library: Library = field(default_factory=Library)


def attempt(bench: Bench, cell: Cell) -> dict[str, Any]:
    """The result of a cell as a record; `error` or `left_out` say why it has no metrics."""
    begun = time.perf_counter()
    record: dict[str, Any] = {"error": None, "left_out": None, "metrics": {}}
    try:
        with threadpool_limits(limits=1):
            record |= compute(bench, cell)
    except LeftOutError as error:
        record["left_out"] = str(error)
    except Exception as error:  # noqa: BLE001  # one cell must not stop the others
        record["error"] = str(error) if isinstance(error, SeqregError) else f"{type(error).__name__}: {error}"
        record["traceback"] = traceback.format_exc()
    record["seconds"] = round(time.perf_counter() - begun, 3)
    return {**record, "machine": socket.gethostname(), "process": os.getpid(), "seqreg": __version__}


def compute(bench: Bench, cell: Cell) -> dict[str, Any]:
    """Setting, metrics and numbers of a cell. Raises LeftOutError where it has no meaning."""
    suite, method = bench.suite, bench.suite.method(cell.method)
    needed = [(bench.cells[key], record) for key in cell.needs if (record := bench.folder.record(key)) is not None]
    settings = method.settings(_base(suite, method, needed))
    task = task_of(
        suite, bench.library, data=cell.data, task=cell.task, size=cell.size, seed=cell.seed, stage=cell.stage
    )
    # Relatives are groups from here on: what a learner holds out for itself keeps them together too.
    train, by = with_groups(task.train, by=suite.by)
    reason = inapplicable(method.learner, train, task.test)
    if reason is not None:
        raise LeftOutError(reason)

    def learn(setting: Mapping[str, Any], train: Any) -> Fitted:
        return fit(method.learner, setting, train, seed=cell.seed, device=bench.device)

    scores: Sequence[float] = ()
    if suite.by_tasks:
        number = cell.setting if cell.stage == "choose" else best_setting(suite, method.name, needed)
    else:
        choice = choose(
            settings,
            train,
            lambda setting, train: learn(setting, train).predict,
            metric=suite.metric,
            folds=suite.folds,
            by=by,
            seed=cell.seed,
        )
        number, scores = choice.number, choice.scores
    fitted = learn(settings[number], train)
    return {
        "setting": settings[number],
        "number": number,
        "trials": [{"setting": settings[i], "score": value} for i, value in enumerate(scores)],
        "cv_score": max(scores) if scores else fitted.cv_score,
        "settings_tried": max(len(settings), fitted.settings_tried),
        "trained": len(train),
        "tested": len(task.test),
        "metrics": score(fitted.predict, task.test) | intervals_of(fitted, task) | robustness_of(suite, fitted, task),
    }


def intervals_of(fitted: Fitted, task: Task) -> dict[str, float | None]:
    """Of 90 % intervals of values the share that hold the true value of a test sequence, and their mean width."""
    if fitted.conformal is None:
        return {}
    target, y = task.test.labelled()
    found = target.sets(fitted.predict(task.test), fitted.conformal.threshold(COVERAGE))
    width = float(found.width.mean()) if isinstance(found, PredictionIntervals) else math.inf
    return {"coverage": float(found.covers(y).mean()), "mean_width": width if math.isfinite(width) else None}


def robustness_of(suite: Suite, fitted: Fitted, task: Task) -> dict[str, float | None]:
    """What the robustness protocol measures beside the metrics: accuracies at 1 to 5 substitutions, and in l2 balls."""
    if suite.protocol != "robustness" or fitted.network is None:
        return {}
    found = evaluate_robustness(fitted.network, task.test, max_substitutions=MOST_SUBSTITUTIONS, l2_steps=L2_STEPS)
    values: dict[str, float | None] = {}
    for name in ACCURACIES:
        for m, value in zip(found.substitutions, getattr(found, name) or (), strict=False):
            values[f"{name}_{m}"] = value
        for epsilon, value in zip(found.l2["epsilon"], found.l2[name] or (), strict=False):
            values[f"l2_{name}_{epsilon:g}"] = value
    return values


def _base(suite: Suite, method: Method, needed: Sequence[tuple[Cell, dict[str, Any]]]) -> dict[str, Any]:
    """The setting chosen for the method that this one is like."""
    if method.like is None:
        return {}
    if suite.by_tasks:
        other = suite.method(method.like)
        base = _base(suite, other, needed)
        return other.settings(base)[best_setting(suite, other.name, needed)]
    (cell, record) = needed[0]
    if "setting" not in record:
        raise LeftOutError(f"{cell.method}, whose setting it takes over, has no result here")
    return record["setting"]


def best_setting(suite: Suite, method: str, needed: Sequence[tuple[Cell, Mapping[str, Any]]]) -> int:
    """The setting with the best mean over the tasks that serve to choose, the first of equals.

    A task counts if every setting that did not diverge has a score on it; a setting that failed on a task is out.
    """
    tried: dict[int, list[float]] = {}
    failed: set[int] = set()
    for cell, record in needed:
        if cell.method != method or record.get("left_out"):
            continue
        value = record["metrics"].get(suite.metric)
        if value is None:
            failed.add(cell.setting)
        else:
            tried.setdefault(cell.setting, []).append(value)
    means = {number: float(np.mean(values)) for number, values in sorted(tried.items()) if number not in failed}
    return max(means, key=lambda number: means[number], default=0)
