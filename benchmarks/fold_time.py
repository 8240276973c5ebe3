"""What a cross-validation costs beside a single training: seconds of one core, and of the clock with two processes.

`seqreg train` on 300 sequences: one split (`--folds 0`), five folds once (`--folds 5`), and what small sets get without
any option (five folds twice). Seconds of processors are of the command and all that it started, start-up included; they
hardly depend on what else runs, as seconds of the clock do: the load beside them says how many wanted the processors.
Resumable: a row of results/fold_time.tsv per command.
"""

import tempfile
from pathlib import Path

import numpy as np
from cells import Rows, minutes_of_sitting
from clock import cost
from page import data_sets, markdown_table, write_section

from seqreg.sequences import SequenceSet, train_subset, write_fasta

DATA_SETS, SEQUENCES = ("amp", "splice"), 300
WAYS = {"one split": ["--folds", "0"], "5 folds": ["--folds", "5"], "default": []}
COLUMNS = ("data_set", "way", "workers", "processor_seconds", "seconds", "load")


def row(data: SequenceSet, name: str, way: str, workers: int) -> tuple[object, ...]:
    """One command."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = data.subset(train_subset(data, SEQUENCES, seed=0, by="stratified"))
        write_fasta(Path(folder) / "x.fa", drawn)
        found = cost("train", "x.fa", "-o", "run", *WAYS[way], "--workers", workers, folder=Path(folder))
    return name, way, workers, *(round(each, 1) for each in (found.processor_seconds, found.seconds, found.load))


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    rows = Rows(__file__, COLUMNS, key=3)
    found, _ = data_sets(DATA_SETS)
    cells = [(name, way, workers) for workers in (1, 2) for way in WAYS for name in found]
    wanted = [cell for cell in cells if (cell[1] == "default") == (cell[2] == 2) or cell[1:] == ("5 folds", 2)]
    for name, way, workers in rows.missing(wanted, minutes):
        rows.add([row(found[name], name, way, workers)])
    read = rows.read()
    single = {each["data_set"]: float(each["processor_seconds"]) for each in read if each["way"] == "one split"}
    lines = []
    for each in read:
        ratio = float(each["processor_seconds"]) / single.get(each["data_set"], np.nan)
        cells = [each[column] for column in ("workers", "processor_seconds", "seconds", "load")]
        lines.append([f"{each['data_set']}, {each['way']}", *cells, f"{ratio:.1f}"])
    head = ["command", "processes", "seconds of processors", "of the clock", "load", "times one split"]
    write_section(
        __file__, "The time of a cross-validation", f"{SEQUENCES} sequences.\n\n" + markdown_table(head, lines)
    )


if __name__ == "__main__":
    main()
