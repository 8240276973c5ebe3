"""The folder of a suite: one file per finished cell, written whole; a lock per cell while it is computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqreg.benchmark.cells import Cell
from seqreg.records import read_json
from seqreg.workers import Results
from seqreg.writing import refuse_to_replace

SUITE = "suite.json"
RESULTS = (SUITE, "results.tsv", "summary.json", "table.md", "report.html")


@dataclass(frozen=True, kw_only=True)
class SuiteFolder(Results):
    """Where the results of cells are kept."""

    def create(self) -> None:
        """Make the folder. Raises UsageError for a file in its place, or in that of a result, which is not seqreg's."""
        if not self._described():
            refuse_to_replace(self.path, RESULTS)
        super().create()

    def _described(self) -> bool:
        """Whether a suite's description, which is written before all other results, is there."""
        try:
            return "protocol" in read_json(self.path / SUITE)
        except (OSError, ValueError, TypeError):
            return False

    def finished(self, cells: Sequence[Cell]) -> list[tuple[Cell, dict[str, Any]]]:
        """The cells that have a result, with it."""
        there = self.keys()
        pairs = [(cell, self.record(cell.key)) for cell in cells if cell.key in there]
        return [(cell, record) for cell, record in pairs if record is not None]
