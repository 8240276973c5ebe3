"""The baselines of a run, which learn beside its network where there is a second process for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from seqreg.baselines import FittedBaseline, best_first
from seqreg.baselines.beside import Beside
from seqreg.training.loop import Progress
from seqreg.workers import ahead

_PAYS = 500  # training sequences: with fewer, baselines take less than a process to start


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
