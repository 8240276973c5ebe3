"""The baselines of a run, which learn beside its network where there is a second process for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seqreg.baselines import FittedBaseline, baselines_for, best_first, fit_baseline
from seqreg.sequences import SequenceSet
from seqreg.training.checkpoint import of_baseline
from seqreg.training.loop import Progress
from seqreg.unfinished import Unfinished
from seqreg.workers import ahead

_PAYS = 500  # training sequences: with fewer, baselines take less than a process to start


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Every baseline on the same data, what is done of each in a file of its own.

    output: the run folder. about: what decides the pieces in the files.
    """

    output: Path
    data: SequenceSet
    seed: int
    about: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """Of those that can learn from the data."""
        return baselines_for(self.data)

    def learn(self, names: Iterable[str], tell: Callable[[], None] = lambda: None) -> list[FittedBaseline]:
        """Those of `names` that no other process is at; tell: called before each."""
        fitted: list[FittedBaseline] = []
        for name in names:
            tell()
            with Unfinished(self.output / of_baseline(name), config=self.about) as once:
                if once.mine:
                    fitted.append(fit_baseline(name, self.data, seed=self.seed, once=once))
        return fitted


@contextmanager
def baselines_beside(
    baselines: Beside, workers: int, report: Callable[[Progress], None] | None
) -> Iterator[Callable[[], dict[str, FittedBaseline]]]:
    """What gives the baselines, best first. Where that pays, another process begins with the first at once.

    This one begins with the last when it is asked for them, so that they meet. The results are the same.
    """
    pays = workers > 1 and len(baselines.data) >= _PAYS
    with ahead(partial(baselines.learn, baselines.names)) if pays else nullcontext() as arrived:

        def fitted() -> dict[str, FittedBaseline]:
            names = baselines.names
            done = iter(range(len(names) + 1))

            def tell() -> None:
                if report is not None:
                    report(Progress(stage="baselines", epoch=next(done), epochs=len(names), row={}))

            mine = baselines.learn(reversed(names) if pays else names, tell)
            tell()
            if len(mine) < len(names):
                if arrived is not None:
                    arrived()
                mine = baselines.learn(names)
            return best_first(sorted(mine, key=lambda each: names.index(each.name)))

        yield fitted
