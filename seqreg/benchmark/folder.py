"""The folder of a suite: one file per finished cell, written whole; a lock per cell while it is computed.

Locks are the kernel's (`flock`): they end with the process that holds them, however it ends, so nothing goes stale.
Where a file system has none, two processes may compute a cell twice, and write the same result.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqreg.benchmark.cells import Cell
from seqreg.errors import UsageError
from seqreg.records import read_json, write_json

CELLS, LOCKS = "cells", "locks"


@dataclass(frozen=True, kw_only=True)
class SuiteFolder:
    """Where results are kept. Records are read once; a finished cell never changes."""

    path: Path
    known: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False)

    def create(self) -> None:
        """Make the folder. Raises UsageError if there is a file in the way."""
        for name in (CELLS, LOCKS):
            try:
                (self.path / name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"cannot make {self.path / name}: {error.strerror}") from None

    def record(self, key: str) -> dict[str, Any] | None:
        """The result of a cell, None while it has none; a damaged file counts as none."""
        if key not in self.known:
            try:
                self.known[key] = read_json(self._file(key))
            except (FileNotFoundError, json.JSONDecodeError):
                return None
        return self.known[key]

    def done(self, key: str) -> bool:
        """Whether a cell has a result, be it a failure."""
        return self.record(key) is not None

    def keys(self) -> set[str]:
        """The cells that have a result, by one look at the folder."""
        return {name.removesuffix(".json") for name in os.listdir(self.path / CELLS) if name.endswith(".json")}

    def save(self, key: str, record: dict[str, Any]) -> None:
        """Keep the result of a cell."""
        write_json(self._file(key), record)

    def forget(self, key: str) -> None:
        """Remove the result of a cell, so that it is computed again."""
        self._file(key).unlink(missing_ok=True)
        self.known.pop(key, None)

    @contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """Hold a cell: False while another process does, or if it has a result."""
        handle = os.open(self.path / LOCKS / key, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            mine = True
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                mine = False
            except OSError:  # no locks on this file system
                mine = True
            yield mine and not self.done(key)
        finally:
            if self.done(key):
                (self.path / LOCKS / key).unlink(missing_ok=True)
            os.close(handle)

    def finished(self, cells: Sequence[Cell]) -> list[tuple[Cell, dict[str, Any]]]:
        """The cells that have a result, with it."""
        there = self.keys()
        pairs = [(cell, self.record(cell.key)) for cell in cells if cell.key in there]
        return [(cell, record) for cell, record in pairs if record is not None]

    def _file(self, key: str) -> Path:
        return self.path / CELLS / f"{key}.json"
