"""The command that measures: suites of data sets, methods, sizes and seeds."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqreg.cli.app import command
from seqreg.cli.options import FITTING, MACHINE, OUTPUT, SEQUENCES, Device, option
from seqreg.cli.terminal import Terminal
from seqreg.errors import SeqregError, UsageError

if TYPE_CHECKING:
    from seqreg.benchmark import Progress, Suite, Summary

PANEL = "Benchmarks"
SECONDS_BETWEEN_REPORTS = 120.0


@command(panel=PANEL, example="seqreg benchmark tiny -o out --workers 2")
def benchmark(
    terminal: Terminal,
    suite: Annotated[
        str | None,
        typer.Argument(
            metavar="[SUITE]", help="A suite by name or as a TOML file; none: list them.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None, option(OUTPUT, "--output", "DIR", "Where results go and are found again.", "-o")
    ] = None,
    workers: Annotated[int, option(MACHINE, "--workers", "N", "Processes of one thread each.", default=True)] = 1,
    device: Device = "auto",
    minutes: Annotated[
        float | None, option(MACHINE, "--minutes", "M", "Begin nothing after M minutes; the same command goes on.")
    ] = None,
    retry: Annotated[bool, option(FITTING, "--retry", "", "Try failed cells once more.")] = False,
    skip_missing: Annotated[
        bool, option(SEQUENCES, "--skip-missing", "", "Leave out data sets that are not there.")
    ] = False,
) -> None:
    """Compute what is missing of a suite and compare its methods; any number of processes may share a folder."""
    from seqreg.benchmark import SuiteFolder, available_cells, read_suite, run_cells, write_results
    from seqreg.report import write_suite_report
    from seqreg.training import choose_device

    if suite is None:
        _list(terminal)
        return
    if output is None:
        raise UsageError("no folder for the results. Give --output DIR")
    if workers < 1:
        raise UsageError(f"--workers must be at least 1; got {workers}")
    plan = _with_data_there(terminal, read_suite(suite), skip=skip_missing)
    where = str(choose_device(device))
    cells, absent = available_cells(plan)
    terminal.warn(f"{name} is left out: {reason}" for name, reason in absent.items())
    folder = SuiteFolder(path=output)
    folder.create()
    begun = len(folder.finished(cells))
    terminal.note(f"{plan.title}: {len(cells):,} cells, {begun:,} of them finished; device {where}")
    written = time.monotonic()

    def results() -> "Summary":
        nonlocal written
        summary = write_results(plan, folder, cells, absent)
        write_suite_report(output)
        written = time.monotonic()
        return summary

    try:
        with terminal.progress("Cell") as moved:

            def report(progress: "Progress") -> None:
                moved(progress.done, progress.total, _remark(progress))
                if time.monotonic() - written > SECONDS_BETWEEN_REPORTS:
                    results()

            run_cells(plan, folder, cells, workers=workers, device=where, minutes=minutes, retry=retry, report=report)
    finally:
        summary = results()
    _show(terminal, output, summary)


def _with_data_there(terminal: Terminal, suite: "Suite", *, skip: bool) -> "Suite":
    """The suite, without missing data sets if they are to be skipped."""
    from seqreg.benchmark import missing_data, without_data

    missing = missing_data(suite)
    if missing and not skip:
        raise UsageError(
            f"{len(missing)} of {len(suite.data)} data sets are not there: {', '.join(missing)}. "
            "Put their folders on the path SEQREG_DATA, or leave them out with --skip-missing"
        )
    terminal.warn(f"data set {name} is left out: it is not there" for name in missing)
    return without_data(suite, missing)


def _remark(progress: "Progress") -> str:
    words = [f"{progress.failed} failed"] if progress.failed else []
    if progress.seconds_left:
        words.append(f"about {_duration(progress.seconds_left)} left")
    return ", ".join(words)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _show(terminal: Terminal, output: Path, summary: "Summary") -> None:
    """The comparison, and exit code 1 where cells failed."""
    if terminal.as_json:
        terminal.json(
            {"output": output, **{name: getattr(summary, name) for name in ("done", "total", "failed", "groups")}},
            "printed",
        )
    elif not terminal.quiet:
        rows = [
            (group.title, each.method, each.units, each.mean, each.rank, each.difference, each.p)
            for group in summary.groups
            for each in group.standings
        ]
        difference = f"{summary.reference} minus it"
        terminal.table(("group", "method", "units", summary.metric, "mean rank", difference, "p (Holm)"), rows)
    terminal.note(f"Wrote {output}\nReport: {output / 'report.html'}")
    if summary.done < summary.total:
        terminal.note(f"{summary.total - summary.done:,} cells are left: the same command goes on")
    if summary.failed:
        raise SeqregError(
            f"{len(summary.failed)} of {summary.total} cells failed ({summary.failed[0]}). "
            f"{output / 'table.md'} lists them; --retry tries them again"
        )


def _list(terminal: Terminal) -> None:
    from seqreg.benchmark import packaged, read_suite

    suites = [read_suite(name) for name in packaged()]
    if terminal.as_json:
        listed = [{"name": each.name, "title": each.title, "protocol": each.protocol} for each in suites]
        terminal.json({"suites": listed}, "printed")
        return
    rows = [(each.name, each.protocol, ", ".join(each.data), len(each.methods), each.title) for each in suites]
    terminal.table(("suite", "protocol", "data", "methods", "title"), rows)
