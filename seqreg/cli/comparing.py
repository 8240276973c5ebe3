"""The command that sets runs side by side: compare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqreg.cli.app import command
from seqreg.cli.options import OUTPUT, option
from seqreg.cli.terminal import Terminal

if TYPE_CHECKING:
    from seqreg.evaluation.comparison import Spread

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Folders that train or baseline wrote.", show_default=False)
]
Side = Annotated[
    Path | None, option(OUTPUT, "--output", "FILE", "All figures as JSON; beside it a table and a page.", "-o")
]


@command(panel="Models", example="seqreg compare runs/fold1 runs/fold2 runs/fold3 -o folds.json")
def compare(terminal: Terminal, runs: Runs, output: Side = None) -> None:
    """Set the test metrics of several runs side by side, with their mean: folds, seeds, or rival settings.

    Rivals that were cross-validated on the same folds are tested: one sentence says which is better, if any.
    With -o x.json, x.tsv beside it has a row per run and model, and x.html is a page to read.
    """
    from seqreg.evaluation.comparison import compare_runs
    from seqreg.records import write_json, write_tsv
    from seqreg.report import write_comparison
    from seqreg.writing import is_stream

    found = compare_runs(runs)
    if output is not None:
        if not is_stream(output):
            write_tsv(output.with_suffix(".tsv"), found.columns, found.rows())
            write_comparison(output.with_suffix(".html"), found)
        write_json(output, found, "comparison")
    if terminal.as_json:
        terminal.json(found, "comparison")
    elif output is None or not terminal.quiet:
        rows = [
            (name, *(_with_deviation(of_metric[name]) for of_metric in found.spread.values())) for name in found.metrics
        ]
        terminal.table((f"mean of {len(runs)} runs ± standard deviation", *found.spread), rows)
        if found.tests:
            tested = [(t.first, t.second, t.difference, t.p, t.adjusted, t.outcome) for t in found.tests]
            terminal.table(("first", "second", found.tests[0].metric, "p", "p after Holm", "the first is"), tested)
    if output is not None:
        terminal.note(f"Wrote {output}")
        if not is_stream(output):
            terminal.note(f"Report: {output.with_suffix('.html')}")
    if found.verdict is not None:
        terminal.note(f"Verdict: {found.verdict.sentence}\nNext: {found.verdict.next}")


def _with_deviation(spread: "Spread") -> str:
    if spread.mean is None:
        return "-"
    deviation = spread.standard_deviation
    return f"{spread.mean:.4g}" + ("" if deviation is None else f" ± {deviation:.2g}")
