"""The folder of a suite: one file per finished cell, written whole; a lock per cell while it is computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqreg.benchmark.cells import Cell
from seqreg.workers import Results


@dataclass(frozen=True, kw_only=True)
class SuiteFolder(Results):
    """Where the results of cells are kept."""

    def finished(self, cells: Sequence[Cell]) -> list[tuple[Cell, dict[str, Any]]]:
        """The cells that have a result, with it."""
        there = self.keys()
        pairs = [(cell, self.record(cell.key)) for cell in cells if cell.key in there]
        return [(cell, record) for cell, record in pairs if record is not None]
