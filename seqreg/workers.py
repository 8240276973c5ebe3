"""Work in pieces that any number of processes may share, that survives being killed, and goes on.

One contract: a piece has a key made of all that decides its result; its result is one file, written whole; whoever
works on a piece holds a lock, which ends with the process. Where a file system has no locks, two processes may do a
piece twice, with the same result.
"""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, TypeVar

from seqreg.errors import SeqregError, UsageError, option
from seqreg.locks import Lock
from seqreg.records import read_json, write_json
from seqreg.unfinished import Once, Piece, afresh

PIECES, LOCKS = "cells", "locks"
SECONDS_BETWEEN_LOOKS = 0.5
AHEAD = 2  # arguments for each process that are read before they are needed

T = TypeVar("T")


def usual_processes(workers: int | None, *, alone: bool) -> int:
    """`workers`, or where that is None one per core that this process may use; alone: just one.

    Raises UsageError for less than one.
    """
    from joblib import cpu_count  # takes a while to load

    if workers is not None and workers < 1:
        raise UsageError(f"{option('workers')} must be at least 1; got {workers}")
    return workers or (1 if alone else cpu_count())


@dataclass(frozen=True, kw_only=True)
class Results:
    """A folder with the result of each finished piece. Records are read once; a finished piece never changes."""

    path: Path
    known: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False)

    def create(self) -> None:
        """Make the folder. Raises UsageError if there is a file in the way."""
        for name in (PIECES, LOCKS):
            try:
                (self.path / name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"cannot make {self.path / name}: {error.strerror}") from None

    def record(self, key: str) -> dict[str, Any] | None:
        """The result of a piece, None while it has none; a damaged file counts as none."""
        if key not in self.known:
            try:
                self.known[key] = read_json(self._file(key))
            except (FileNotFoundError, json.JSONDecodeError):
                return None
        return self.known[key]

    def done(self, key: str) -> bool:
        """Whether a piece has a result, be it a failure."""
        return self.record(key) is not None

    def keys(self) -> set[str]:
        """The pieces that have a result, by one look at the folder."""
        return {name.removesuffix(".json") for name in os.listdir(self.path / PIECES) if name.endswith(".json")}

    def save(self, key: str, record: dict[str, Any]) -> None:
        """Keep the result of a piece."""
        write_json(self._file(key), record, "piece")

    def forget(self, key: str) -> None:
        """Remove the result of a piece, so that it is computed again."""
        self._file(key).unlink(missing_ok=True)
        self.known.pop(key, None)

    @contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """Hold a piece: False while another process does, or if it has a result."""
        lock = Lock(self.path / LOCKS / key)
        mine = lock.take()
        try:
            yield mine and not self.done(key)
        finally:
            if mine:
                lock.give_back(remove=self.done(key))

    def _file(self, key: str) -> Path:
        return self.path / PIECES / f"{key}.json"


Spread = Callable[[Callable[[Any], Piece], Sequence[Any]], Iterable[Piece]]
"""(function, arguments) -> what the function gives of each, in their order."""


def one_after_another(
    function: Callable[[Any], Piece], arguments: Sequence[Any], once: Once = afresh
) -> Iterator[Piece]:
    """The `Spread` over this process alone. once: see `seqreg.unfinished`."""
    return (once(partial(function, argument)) for argument in arguments)


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """The `Spread` over `workers` processes, with the same results for any number of them.

    The first piece is done here. Processes take seconds to start: they are, where what is left would take longer than
    `pays` seconds for each of them. prepare: called in each process first. estimate(seconds): told once how long what
    is left will take. once: see `seqreg.unfinished`. function, arguments and prepare are sent to the processes.
    """

    workers: int
    pays: float = 10.0
    prepare: Callable[[], None] | None = None
    once: Once = afresh
    estimate: Callable[[float], None] = lambda _: None

    def __call__(self, function: Callable[[Any], Piece], arguments: Sequence[Any]) -> Iterator[Piece]:
        """The pieces in order, each as soon as all before it are there."""
        begun, computed, others = time.perf_counter(), 0, None
        waiting: dict[int, Future[Piece]] = {}

        def piece(i: int) -> Piece:
            nonlocal computed, others
            if computed == 1 and others is None:
                left = (time.perf_counter() - begun) * (len(arguments) - i)
                few = min(self.workers, len(arguments) - i, int(left / self.pays))
                self.estimate(left / max(1, few))
                if few > 1:
                    others = started.enter_context(self._processes(few, function))
                    waiting.update({j: others.submit(_served, arguments[j]) for j in range(i, len(arguments))})
            computed += 1
            return waiting.pop(i).result() if i in waiting else function(arguments[i])

        with ExitStack() as started:
            for i in range(len(arguments)):
                if not computed:
                    begun = time.perf_counter()
                yield self.once(partial(piece, i))

    def stream(self, function: Callable[[Any], Piece], arguments: Iterable[T]) -> Iterator[tuple[T, Piece]]:
        """Each argument with its piece, in order, of arguments that come one by one; a few are read ahead.

        Nobody knows how many will come: processes are started once this one has worked for `pays` seconds.
        """
        source, worked, others = iter(arguments), 0.0, None
        ahead: deque[tuple[T, Callable[[], Piece]]] = deque()
        with ExitStack() as started:
            while True:
                if others is None and self.workers > 1 and worked >= self.pays:
                    others = started.enter_context(self._processes(self.workers, function))
                for argument in islice(source, 1 if others is None else AHEAD * self.workers - len(ahead)):
                    compute = partial(function, argument) if others is None else others.submit(_served, argument).result
                    ahead.append((argument, compute))
                if not ahead:
                    return
                argument, compute = ahead.popleft()
                begun = time.perf_counter()
                piece = self.once(compute)
                worked += time.perf_counter() - begun
                yield argument, piece

    @contextmanager
    def _processes(self, few: int, function: Callable[[Any], Piece]) -> Iterator[ProcessPoolExecutor]:
        others = ProcessPoolExecutor(
            few,
            multiprocessing.get_context("spawn"),
            initializer=_serve,
            initargs=(function, self.prepare, os.getpid()),
        )
        try:
            yield others
        except BrokenProcessPool:
            raise SeqregError(
                f"a process died, perhaps for lack of memory. The same command goes on; try fewer {option('workers')}"
            ) from None
        finally:
            others.shutdown(wait=True, cancel_futures=True)


_SERVED: list[Callable[[Any], Piece]] = []  # what a process was started for


def _serve(function: Callable[[Any], Piece], prepare: Callable[[], None] | None, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is for the parent to report
    if prepare is not None:
        prepare()
    _SERVED[:] = [function]
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def _served(argument: Any) -> Piece:
    return _SERVED[0](argument)


@contextmanager
def ahead(function: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Call a function in a process of its own, which ends with the block; gives what waits until it is through.

    For work whose pieces are kept in a file: whoever does it afterwards finds them there, computes those that are
    missing, and meets an error again.
    """
    process = multiprocessing.get_context("spawn").Process(target=_alone, args=(function, os.getpid()), daemon=True)
    process.start()
    try:
        yield process.join
    finally:
        process.terminate()
        process.join()


def _alone(function: Callable[[], object], parent: int) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with suppress(SeqregError):
        _quietly(function)


def in_processes(target: Callable[..., None], *arguments: Any, workers: int, tell: Callable[[], None]) -> None:
    """Run `target(*arguments, parent)` in `workers` processes and wait, calling `tell` while they work.

    target: a function of a module, which must end where `os.getppid()` is no longer `parent`. Raises the SeqregError
    that a process met, which ends the others, and one if processes died on the way.
    """
    start = multiprocessing.get_context("spawn")
    met = start.SimpleQueue()
    started = [
        start.Process(target=_telling, args=(met, target, *arguments, os.getpid()), daemon=True) for _ in range(workers)
    ]
    for process in started:
        process.start()
    try:
        while met.empty() and any(process.is_alive() for process in started):
            tell()
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for process in started:
            process.terminate()
            process.join()
    if not met.empty():
        raise met.get()
    died = [process.exitcode for process in started if process.exitcode]
    if died:
        raise SeqregError(
            f"{len(died)} of {workers} processes died (exit code {died[0]}), perhaps for lack of memory. "
            f"The same command goes on; try fewer {option('workers')}"
        )


def _telling(met: "SimpleQueue[SeqregError]", target: Callable[..., None], *arguments: Any) -> None:
    """The target; an error that is a sentence is for the parent to report."""
    try:
        _quietly(target, *arguments)
    except SeqregError as error:
        met.put(error)


def _quietly(target: Callable[..., object], *arguments: Any) -> None:
    """The target; an interruption is for the parent to report."""
    try:
        target(*arguments)
    except KeyboardInterrupt:
        os._exit(0)
