"""What whole commands take, beside an earlier commit.

    git worktree add ../before a6061ef
    OMP_NUM_THREADS=1 python benchmarks/commands.py ../before        # resumes; --minutes ends it before all is done

The two commits take turns at the same command, one thread and one process each; what asks a network asks the same one,
which the earlier commit has trained. Seconds are of the processor, of a command with its start, and peak memory of its
largest process; the clock and the load are beside them in results/commands.tsv. Needs amp and ecoli-sigma70 (a folder
on SEQREG_DATA), which are not embedded.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cells import Rows, sitting
from clock import Cost, cost
from page import markdown_table, write_section
from predict_memory import write_chromosome

COLUMNS = ("command", "turn", "commit", "processor_seconds", "seconds", "mebibytes", "load")
TURNS = range(5)
# As they are typed, and how often; RUN is a run of the data set, trained by the earlier commit. A genome of 5 million
# letters is scanned by this commit alone, for its time as it is.
COMMANDS = {
    "train splice --seed 0": TURNS,
    "robustness RUN splice --part test --max-substitutions 3 --sample 100": TURNS,
    "norm RUN splice --sample 100": TURNS,
    "norm RUN amp --sample 100": TURNS,
    "predict RUN genome-0.5.fa --scan 10 --window 81": TURNS,
    "tune amp --trials 30 --train-size 500": range(1),
    "predict RUN genome-5.fa --scan 10 --window 81": range(1),
}
ALONE = "genome-5.fa"


def data_set(command: str) -> str:
    """What the network was trained on that a command asks; genomes are scanned for promoters."""
    return command.split()[2] if ".fa" not in command else "ecoli-sigma70"


@contextmanager
def place(before: Path) -> Iterator[Path]:
    """A folder with genomes, and the runs that are asked, each made once."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for millions in (0.5, 5):
            write_chromosome(folder / f"genome-{millions:g}.fa", millions)
        for name in ("splice", "ecoli-sigma70", "amp"):
            few = ["--train-size", 300, "--no-baselines"]
            cost("train", name, "-o", f"run-{name}", *few, folder=folder, tree=before)
        yield folder


def measured(tree: Path, command: str, folder: Path) -> Cost:
    """A command by the code of a tree."""
    words = [f"run-{data_set(command)}" if word == "RUN" else word for word in command.split()]
    out = "out" if words[0] in ("train", "tune") else "out.json"
    words += ["--overwrite"] if out == "out" else []
    known = subprocess.run(
        [sys.executable, "-m", "seqreg", words[0], "--help"], cwd=tree, capture_output=True, text=True, check=True
    ).stdout
    words += ["--workers", "1"] if "--workers" in known else []
    return cost(*words, "-o", out, folder=folder, tree=tree)


def table(rows: Rows) -> str:
    """Medians over turns as Markdown."""
    lines = []
    for command in COMMANDS:
        of: dict[str, list[list[float]]] = {"before": [], "after": []}
        for row in rows.read():
            if row["command"] == command:
                of[row["commit"]].append([float(row[name]) for name in ("processor_seconds", "mebibytes")])
        if not of["after"]:
            continue
        (after, memory), turns = (map(statistics.median, zip(*of["after"], strict=True)), len(of["after"]))
        before = statistics.median(seconds for seconds, _ in of["before"]) if of["before"] else None
        ratio = ["", ""] if before is None else [f"{before:.1f}", f"{after / before:.2f}"]
        lines.append([f"`{command}`", ratio[0], f"{after:.1f}", ratio[1], f"{memory:,.0f}", str(turns)])
    return markdown_table(["", "before, s", "after, s", "ratio", "peak after, MiB", "turns"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a tree of the commit to compare with")
    sitting(parser)
    options = parser.parse_args()
    trees = {"before": options.before.resolve(), "after": Path(__file__).resolve().parents[1]}
    rows = Rows(__file__, COLUMNS, key=3)
    cells = [
        (command, turn, commit)
        for turn in TURNS
        for command, turns in COMMANDS.items()
        if turn in turns
        for commit in (("before", "after") if turn % 2 else ("after", "before"))
        if ALONE not in command or commit == "after"
    ]
    with place(trees["before"]) as folder:
        for command, turn, commit in rows.missing(cells, options.minutes):
            found = measured(trees[commit], command, folder)
            rows.add([(command, turn, commit, *(round(value, 1) for value in found))])
    name = subprocess.run(
        ["git", "-C", str(trees["before"]), "describe", "--always"], capture_output=True, text=True, check=True
    ).stdout.strip()
    said = f"Seconds of the processor, of commands with their start, medians; *before* is commit {name}. The networks "
    said += "that are asked (RUN) learned from 300 sequences, by the earlier commit; genomes are random."
    write_section(__file__, "The time of commands", f"{said}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
