"""What a temperature does to the probabilities of a CNN, by where its held-out predictions come from.

Resumable: each data set, size and seed is some rows of results/calibration.tsv, computed once.
"""

import itertools
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from cells import Rows, divided, minutes_of_sitting, trained
from page import data_sets, markdown_table, write_section

from seqreg.evaluation.conformal import Conformal
from seqreg.metrics import ece, log_loss
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig
from seqreg.training.calibration import calibrated

DATA_SETS = {"amp": "cnn:filters=128,width=8,pooling=max", "splice": "cnn:filters=32,width=12,pooling=position"}
SIZES = (200, 300)
SEEDS = range(5)
COVERAGE = 0.9
COLUMNS = ("data_set", "n", "seed", "method", "temperature", "ece", "log_loss", "covered", "seconds")
ENOUGH = {"none": None, "validation part": 0, "cross-fitted": 10**9}  # validation sequences that suffice


def measure(
    data: SequenceSet, name: str, n: int, seed: int
) -> list[tuple[str, int, int, str, float, float, float, float, float]]:
    """Rows of one network at each of its temperatures, on the test part."""
    config, parts = divided(TrainConfig(model=DATA_SETS[name], train_size=n, seed=seed, threads=1), data)
    test = parts.test
    assert test is not None
    network = trained(config, parts.train, parts.valid)
    target, y = test.labelled()
    rows = []
    for method, enough in ENOUGH.items():
        if method == "validation part" and parts.valid is None:
            continue
        begun = time.perf_counter()
        with patch("seqreg.training.calibration.ENOUGH_TO_CALIBRATE", enough):
            found = calibrated(network, parts, replace(config, calibration="none" if enough is None else "temperature"))
        seconds, p, covered = time.perf_counter() - begun, found.probabilities(test), float("nan")
        if parts.valid is not None:
            conformal = Conformal.of(*parts.valid.labelled(), found.probabilities(parts.valid), "valid")
            covered = target.sets(p, conformal.threshold(COVERAGE)).covers(y).mean()
        scores = [ece(y, p, positive=target.positive_index), log_loss(y, p), covered, seconds]
        temperature = found.architecture.temperature
        rows.append((name, n, seed, method, *(round(float(value), 5) for value in (temperature, *scores))))
    return rows


def table(rows: list[dict[str, str]]) -> str:
    """Means over seeds, and in how many of them the log loss is below that at temperature 1."""
    lines = []
    for name, n in dict.fromkeys((row["data_set"], row["n"]) for row in rows):
        here = [row for row in rows if (row["data_set"], row["n"]) == (name, n)]
        plain = {row["seed"]: float(row["log_loss"]) for row in here if row["method"] == "none"}
        for method in dict.fromkeys(row["method"] for row in here):
            chosen = [row for row in here if row["method"] == method]
            means = [np.mean([float(row[column]) for row in chosen]) for column in COLUMNS[4:]]
            better = sum(float(row["log_loss"]) < plain[row["seed"]] for row in chosen)
            shown = [f"{value:.3f}" if np.isfinite(value) else "-" for value in means[:-1]]
            count = "-" if method == "none" else f"{better} of {len(chosen)}"
            lines.append([f"{name}, {n}: {method}", *shown, count, f"{means[-1]:.1f}"])
    columns = ["", "temperature", "ECE", "log loss", f"covered at {COVERAGE}", "log loss better", "seconds more"]
    return markdown_table(columns, lines)


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    rows = Rows(__file__, COLUMNS, key=3)
    found, _ = data_sets(DATA_SETS)
    for name, n, seed in rows.missing(itertools.product(found, SIZES, SEEDS), minutes):
        rows.add(measure(found[name], name, n, seed))
    write_section(
        __file__,
        "Calibration by a temperature",
        f"A CNN on the test part ({', '.join(f'{name}: `{model}`' for name, model in DATA_SETS.items())}), means over "
        f"{len(SEEDS)} seeds. Of 300 sequences 45 are the validation part; of 200 none. Prediction sets come from the "
        "validation part. Sums of networks are not in it: their weights are fitted to held-out predictions.\n\n"
        + table(rows.read()),
    )


if __name__ == "__main__":
    main()
