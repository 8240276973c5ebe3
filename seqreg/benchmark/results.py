"""What a suite's folder holds beside its cells, from those that are finished."""

from collections.abc import Mapping, Sequence

from seqreg.benchmark.cells import Cell
from seqreg.benchmark.folder import SUITE, SuiteFolder
from seqreg.benchmark.rows import rows_of, write_rows
from seqreg.benchmark.suite import Suite
from seqreg.benchmark.summary import Summary, summarize
from seqreg.benchmark.tables import markdown
from seqreg.records import write_json
from seqreg.writing import atomic_write


def write_results(
    suite: Suite, folder: SuiteFolder, cells: Sequence[Cell], absent: Mapping[str, str] | None = None
) -> Summary:
    """Write suite.json, results.tsv, summary.json and table.md, each whole, and return the summary.

    absent: methods that cannot be computed, and why.
    """
    rows = rows_of(suite, folder.finished(cells))
    summary = summarize(suite, rows, total=len(cells), absent=absent or {})
    write_json(folder.path / SUITE, suite, "suite")
    write_rows(folder.path / "results.tsv", rows)
    write_json(folder.path / "summary.json", summary, "summary")
    with atomic_write(folder.path / "table.md") as handle:
        handle.write(markdown(summary))
    return summary
