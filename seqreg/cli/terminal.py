"""What people and programs see: results on standard output, everything said along the way on standard error."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SECONDS_BETWEEN_LINES = 5.0


class Terminal:
    """Where a command prints. `quiet` leaves out all but results and errors; `as_json` gives results as JSON."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json

    def note(self, text: str) -> None:
        """Say something along the way."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def warn(self, texts: Iterable[str]) -> None:
        """Say what deserves attention but does not stop the work."""
        for text in texts:
            self.note(f"Warning: {text}")

    def json(self, value: Any) -> None:
        """Print a record as JSON on standard output."""
        from seqreg.records import dump_json

        print(dump_json(value))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table on standard output: drawn on a terminal, tab-separated into a pipe or file."""
        cells = [[_written(value) for value in row] for row in rows]
        if not sys.stdout.isatty():
            for row in [list(columns), *cells]:
                print("\t".join(row))
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*columns, box=box.SIMPLE_HEAD)
        for row in cells:
            drawn.add_row(*map(Text, row))
        Console().print(drawn)

    @contextmanager
    def progress(self, title: str, total: float | None = None) -> Iterator[Callable[[float, str], None]]:
        """Give a function `(done, remark)`: a bar on a terminal, a line every few seconds otherwise."""
        if self.quiet:
            yield lambda done, remark: None
        elif sys.stderr.isatty():
            with _bar(title, total) as moved:
                yield moved
        else:
            yield _lines(title, total)


def _written(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def _bar(title: str, total: float | None) -> Iterator[Callable[[float, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[remark]}", markup=False))
    times = (TimeElapsedColumn(), TimeRemainingColumn()) if total else (TimeElapsedColumn(),)
    with Progress(*columns, *times, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=total, remark="")
        yield lambda done, remark: shown.update(task, completed=done, remark=remark)


def _lines(title: str, total: float | None) -> Callable[[float, str], None]:
    last = time.monotonic()

    def moved(done: float, remark: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or (total and done >= total):
            last = now
            place = f"{done:,.0f}" + (f"/{total:,.0f}" if total else "")
            print(f"{title} {place}{': ' if remark else ''}{remark}", file=sys.stderr, flush=True)

    return moved
