"""The small suites of `seqreg benchmark`, over as many sittings as it takes.

python benchmarks/suites.py p1-small --minutes 60 --workers 2

Finished cells are kept in results/NAME.jsonl.gz, from which any checkout goes on, and how long each sitting computed in
results/sittings.tsv. Data sets that are not found (put their folder on SEQREG_DATA) stop a suite.
"""

import argparse
import gzip
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

from cells import Rows, sitting
from page import SECTIONS, commit, device, markdown_table, write_section

from seqreg.benchmark import SuiteFolder, available_cells, read_suite, run_cells, write_results
from seqreg.benchmark.tables import markdown
from seqreg.records import to_plain
from seqreg.report import write_suite_report
from seqreg.writing import atomic_write

SUITES = ("p1-small", "p2-small", "p3-small", "p4-small", "p5")
SITTINGS = Rows("sittings", ("suite", "date", "device", "commit", "cells", "hours_of_one_core"), key=0)


def unpacked(packed: Path) -> dict[str, dict[str, Any]]:
    """The cells of earlier sittings, by key."""
    if not packed.exists():
        return {}
    return dict(map(json.loads, gzip.decompress(packed.read_bytes()).decode().splitlines()))


def pack(packed: Path, folder: SuiteFolder, keys: list[str]) -> None:
    """The finished cells among these, into one file."""
    lines = [json.dumps([key, to_plain(folder.record(key))]) for key in sorted(keys) if folder.done(key)]
    with atomic_write(packed, "wb") as handle:
        handle.write(gzip.compress("\n".join(lines).encode(), mtime=0))


def sit(name: str, folder: SuiteFolder, *, methods: list[str], minutes: float, workers: int) -> None:
    """Compute what is missing of a suite, or of these methods only, for so many minutes, and write its section."""
    suite = read_suite(name)
    cells, absent = available_cells(suite)
    folder.create()
    packed = SECTIONS / f"{name}.jsonl.gz"
    kept = unpacked(packed)
    for key, record in kept.items():
        if not folder.done(key):
            folder.save(key, record)
    try:
        wanted = [cell for cell in cells if not methods or cell.method in methods]
        run_cells(suite, folder, wanted, minutes=minutes, workers=workers)
    finally:
        keys = [cell.key for cell in cells]
        pack(packed, folder, keys)
        new = [record for key in keys if key not in kept and (record := folder.record(key))]
        seconds = sum(record["seconds"] for record in new)
        if new:
            today = date.today().isoformat()
            SITTINGS.add([(name, today, device(), commit(), len(new), f"{seconds / 3600:.2f}")])
        summary = write_results(suite, folder, cells, absent)
        write_suite_report(folder.path)
        title, _, body = markdown(summary).removeprefix("# ").partition("\n")
        sittings = [row for row in SITTINGS.read() if row["suite"] == name]
        log = markdown_table(list(SITTINGS.columns[1:]), [list(row.values())[1:] for row in sittings])
        body = re.sub(r"^(#+) ", r"#\1 ", body, flags=re.MULTILINE)
        write_section(__file__, title, f"{body}\n\nSittings:\n\n{log}", arguments=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    parser.add_argument("--methods", nargs="+", default=[], help="of the suite, these only, by name")
    sitting(parser)
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--folder", type=Path, default=Path("runs") / "benchmark", help="where cells lie meanwhile")
    asked = parser.parse_args()
    for name in asked.suites:
        sit(
            name,
            SuiteFolder(path=asked.folder / name),
            methods=asked.methods,
            minutes=asked.minutes,
            workers=asked.workers,
        )


if __name__ == "__main__":
    main()
