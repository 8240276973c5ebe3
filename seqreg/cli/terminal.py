"""What people and programs see: results on standard output, everything said along the way on standard error."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from seqreg.schemas import Schema

SECONDS_BETWEEN_LINES = 5.0


class Moved(Protocol):
    """Told how far work has come: how much of how much is done, a remark, and of what, where the work has changed."""

    def __call__(self, done: float, total: float | None = None, remark: str = "", what: str | None = None) -> None:
        """Show it."""


class Terminal:
    """Where a command prints. `quiet` leaves out all but results and errors; `as_json` gives results as JSON.

    command: the words of the command line, for the record.
    """

    def __init__(self, *, command: Sequence[str] = (), quiet: bool = False, as_json: bool = False) -> None:
        self.command = tuple(command)
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

    def json(self, value: Any, schema: "Schema | None" = None) -> None:
        """Print a record as JSON on standard output; with the version of the schema that describes it, if one does."""
        from seqreg.records import dump_json

        print(dump_json(value, schema))

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

    def wrote(self, path: Path, about: Mapping[str, Any] | None = None) -> None:
        """Say that a file or folder is there; with `--json`, as a record with what else is known about it."""
        if self.as_json:
            self.json({"output": path, **(about or {})}, "printed")
        else:
            self.note(f"Wrote {path}")

    @contextmanager
    def progress(self, title: str) -> Iterator[Moved]:
        """Give a function to call as work goes on: a bar on a terminal, a line every few seconds otherwise."""
        if self.quiet:
            yield lambda done, total=None, remark="", what=None: None
        elif sys.stderr.isatty():
            with _bar(title) as moved:
                yield moved
        else:
            yield _lines(title)


def _written(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def _bar(title: str) -> Iterator[Moved]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    place = TextColumn("{task.description}", table_column=Column(no_wrap=True))
    remark = TextColumn("{task.fields[remark]}", markup=False, table_column=Column(ratio=1, no_wrap=True))
    columns = (place, BarColumn(bar_width=20), TimeRemainingColumn(), remark)
    with Progress(*columns, console=Console(stderr=True), expand=True) as shown:
        task = shown.add_task(title, total=None, remark="")

        def moved(done: float, total: float | None = None, remark: str = "", what: str | None = None) -> None:
            place = f"{what or title} {_place(done, total)}"
            shown.update(task, description=place, completed=done, total=total, remark=remark)

        yield moved


def _lines(title: str) -> Moved:
    last = time.monotonic()

    def moved(done: float, total: float | None = None, remark: str = "", what: str | None = None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == total:
            last = now
            print(f"{what or title} {_place(done, total)}{': ' if remark else ''}{remark}", file=sys.stderr, flush=True)

    return moved


def _place(done: float, total: float | None) -> str:
    return f"{done:,.0f}" + (f" of {total:,.0f}" if total else "")
