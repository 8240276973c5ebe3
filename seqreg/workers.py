"""Work in pieces that any number of processes may share, that survives being killed, and goes on.

One contract: a piece has a key made of all that decides its result; its result is one file, written whole; whoever
works on a piece holds a lock, which ends with the process. Where a file system has no locks, two processes may do a
piece twice, with the same result.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqreg.errors import SeqregError, UsageError, option
from seqreg.locks import Lock
from seqreg.records import read_json, write_json

PIECES, LOCKS = "cells", "locks"
SECONDS_BETWEEN_LOOKS = 0.5


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


def in_processes(target: Callable[..., None], *arguments: Any, workers: int, tell: Callable[[], None]) -> None:
    """Run `target(*arguments, parent)` in `workers` processes and wait, calling `tell` while they work.

    target: a function of a module, which must end where `os.getppid()` is no longer `parent`. Raises SeqregError if
    processes died on the way.
    """
    start = multiprocessing.get_context("spawn")
    started = [
        start.Process(target=_quietly, args=(target, *arguments, os.getpid()), daemon=True) for _ in range(workers)
    ]
    for process in started:
        process.start()
    try:
        while any(process.is_alive() for process in started):
            tell()
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for process in started:
            process.terminate()
            process.join()
    died = [process.exitcode for process in started if process.exitcode]
    if died:
        raise SeqregError(
            f"{len(died)} of {workers} processes died (exit code {died[0]}), perhaps for lack of memory. "
            f"The same command goes on; try fewer {option('workers')}"
        )


def _quietly(target: Callable[..., None], *arguments: Any) -> None:
    """The target; an interruption is for the parent to report."""
    try:
        target(*arguments)
    except KeyboardInterrupt:
        os._exit(0)
