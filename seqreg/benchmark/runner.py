"""Computing what is missing of a suite, by several processes on one folder."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqreg.benchmark.cells import Cell, cells_of
from seqreg.benchmark.compute import Bench, attempt
from seqreg.benchmark.folder import SuiteFolder
from seqreg.benchmark.learners import unavailable
from seqreg.benchmark.suite import Suite
from seqreg.benchmark.tasks import Library
from seqreg.workers import SECONDS_BETWEEN_LOOKS, in_processes

SECONDS_BETWEEN_TELLING = 1.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a suite has come. seconds_left: an estimate, None before the first result of this sitting."""

    done: int
    total: int
    failed: int
    seconds_left: float | None


Report = Callable[[Progress], None]


def available_cells(suite: Suite) -> tuple[list[Cell], dict[str, str]]:
    """The cells that this machine can compute, and the methods that it cannot, with the reason."""
    reasons = {method.name: unavailable(method.learner) for method in suite.methods}
    absent = {name: reason for name, reason in reasons.items() if reason is not None}
    return [cell for cell in cells_of(suite) if cell.method not in absent], absent


def run_cells(
    suite: Suite,
    folder: SuiteFolder,
    cells: Sequence[Cell],
    *,
    workers: int = 1,
    device: str = "cpu",
    minutes: float | None = None,
    retry: bool = False,
    report: Report | None = None,
) -> None:
    """Compute the cells that have no result, until all have one or no cell may be begun any more.

    workers: processes of one thread each. minutes: no cell is begun after these. retry: failed cells once more.
    Safe beside other processes on the same folder: each cell is computed by one of them.
    Raises SeqregError if processes died on the way.
    """
    folder.create()
    for cell, record in folder.finished(cells) if retry else ():
        if record["error"]:
            folder.forget(cell.key)
    until = None if minutes is None else time.time() + 60 * minutes

    told = 0.0

    def tell(*, now: bool = False) -> None:
        nonlocal told
        if report and (now or time.monotonic() - told > SECONDS_BETWEEN_TELLING):
            report(progress_of(folder, cells, workers))
            told = time.monotonic()

    if workers == 1:
        work(suite, folder, cells, device=device, until=until, tell=tell)
        tell(now=True)
        return
    in_processes(_work_apart, suite, folder.path, list(cells), device, until, workers=workers, tell=tell)
    tell(now=True)


def work(
    suite: Suite,
    folder: SuiteFolder,
    cells: Sequence[Cell],
    *,
    device: str = "cpu",
    until: float | None = None,
    tell: Callable[[], None] = lambda: None,
    parent: int | None = None,
) -> None:
    """Compute one missing cell after another, waiting for those that others compute.

    until: the time after which no cell is begun. parent: the process without which this one stops too.
    """
    known = {cell.key: cell for cell in cells}
    library = Library(vectors=suite.vectors)
    bench = Bench(suite=suite, folder=folder, cells=known, device=device, library=library)
    left = list(cells)
    while left := _without(left, folder.keys()):
        moved = False
        for cell in left:
            if (until is not None and time.time() > until) or (parent is not None and os.getppid() != parent):
                return
            if not all(folder.done(key) for key in cell.needs):
                continue
            with folder.claimed(cell.key) as mine:
                if mine:
                    folder.save(cell.key, attempt(bench, cell))
                    moved = True
            if mine:
                tell()
        if not moved:
            tell()
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _without(cells: Sequence[Cell], keys: set[str]) -> list[Cell]:
    return [cell for cell in cells if cell.key not in keys]


def _work_apart(suite: Suite, path: Path, cells: list[Cell], device: str, until: float | None, parent: int) -> None:
    """`work` in a process of its own."""
    work(suite, SuiteFolder(path=path), cells, device=device, until=until, parent=parent)


def progress_of(folder: SuiteFolder, cells: Sequence[Cell], workers: int = 1) -> Progress:
    """Results so far, and the time left by what cells of the same method and size have taken."""
    finished = folder.finished(cells)
    taken: dict[tuple[str, int], list[float]] = {}
    for cell, record in finished:
        taken.setdefault((cell.method, cell.size), []).append(record["seconds"])
    usual = float(np.mean([record["seconds"] for _, record in finished])) if finished else 0.0
    expected = {key: float(np.mean(seconds)) for key, seconds in taken.items()}
    left = _without(cells, {cell.key for cell, _ in finished})
    waiting = [expected.get((cell.method, cell.size), usual) for cell in left]
    return Progress(
        done=len(finished),
        total=len(cells),
        failed=sum(1 for _, record in finished if record["error"]),
        seconds_left=sum(waiting) / workers if finished else None,
    )
