"""How often a check warns on data with nothing wrong in them, and how many labels it calls contradicted.

`seqreg train` with its defaults and one split of 441 sequences: 300 to train, 53 to stop on, 88 to test. Resumable:
each data set and seed is a row of results/clean_checks.tsv.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np
from cells import Rows, minutes_of_sitting
from page import data_sets, markdown_table, write_section

from seqreg.checks import Evidence, suspect_rows
from seqreg.records import read_json
from seqreg.sequences import SequenceSet, train_subset
from seqreg.training import TrainConfig, train

DATA_SETS = ("splice", "amp", "signalp5", "ecoli-sigma70")
SEQUENCES = 441
SEEDS = (0, 1, 2, 3, 4)
COLUMNS = ("data_set", "seed", "warned", "noted", "auroc", "outcome")


def drawn_from(data: SequenceSet, seed: int) -> SequenceSet:
    """The sequences of a seed."""
    return data.subset(train_subset(data, SEQUENCES, seed=seed, by="stratified"))


def row(data: SequenceSet, name: str, seed: int) -> tuple[object, ...]:
    """What the checks of one training say."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(drawn_from(data, seed), TrainConfig(seed=seed, threads=1, device="cpu"), run)
        metrics = read_json(run / "metrics.json")
    said = {
        status: "+".join(each["name"] for each in metrics["checks"] if each["status"] == status) or "-"
        for status in ("warn", "note")
    }
    outcome = metrics["verdict"]["outcome"]
    return name, seed, said["warn"], said["note"], round(metrics["auroc"], 4), outcome


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    rows = Rows(__file__, COLUMNS, key=2)
    found, missing = data_sets(DATA_SETS)
    for name, seed in rows.missing(itertools.product(found, SEEDS), minutes):
        rows.add([row(found[name], name, seed)])
    read = [each for each in rows.read() if each["data_set"] in found]
    lines = []
    for name in found:
        mine = [each for each in read if each["data_set"] == name]
        warned = [each["warned"] for each in mine if each["warned"] != "-"]
        sets = [drawn_from(found[name], int(each["seed"])) for each in mine]
        labels = np.mean([len(suspect_rows(Evidence(data=each)) or ()) for each in sets])
        words = ", ".join(f"{each} ({warned.count(each)})" for each in dict.fromkeys(warned)) or "-"
        lines.append([name, str(len(mine)), str(len(warned)), words, f"{labels:.1f}"])
    left_out = f"\n\nNot found and left out: {', '.join(missing)}." if missing else ""
    write_section(
        __file__,
        "Checks on clean data",
        f"Runs in which any check warns, of {SEQUENCES} sequences (300 to train), and the mean number of labels that "
        "`suspects.tsv` lists of these. Nothing is known to be wrong with these sets.\n\n"
        + markdown_table(["data set", "runs", "with a warning", "of what", "suspects"], lines)
        + left_out,
    )


if __name__ == "__main__":
    main()
