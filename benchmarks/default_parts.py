"""What each part of the default network adds: held-out weights for every choice of parts, each part trained once.

Resumable: each data set, size and seed is one block of rows of results/default_parts.tsv; `--minutes` ends a sitting.
Data sets that are not found (put their folder on SEQREG_DATA) are left out and named.
"""

import itertools
import time

import numpy as np
import torch
from cells import Rows, divided, minutes_of_sitting
from page import data_sets, markdown_table, write_section

from seqreg.evaluation.scores import evaluate
from seqreg.networks import SumNet, parts_of
from seqreg.predictors.network import logits_of
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, architecture_of, reproducible
from seqreg.training.stacking import fit_parts
from seqreg.training.weighing import stacking_weights

DATA_SETS = ("amp", "signalp5", "coiled-coil", "ecoli-sigma70", "splice", "rbp-qki")
SIZES = (100, 300)
SEEDS = (10, 11, 12, 13, 14)  # the defaults were chosen looking at other seeds
MOST_TESTED = 5000
CHOICES = {
    "all parts": ("spectrum", "positions", "cnn-max", "cnn-position"),
    "without k-mers": ("positions", "cnn-max", "cnn-position"),
    "without positions": ("spectrum", "cnn-max", "cnn-position"),
    "without CNNs": ("spectrum", "positions"),
    "k-mers": ("spectrum",),
    "positions": ("positions",),
    "CNN, anywhere": ("cnn-max",),
    "CNN, in place": ("cnn-position",),
}
COLUMNS = ("data_set", "n", "seed", "parts", "auroc", "seconds")


def measure(data: SequenceSet, n: int, seed: int) -> list[tuple[str, float, float]]:
    """Test auroc of every choice of parts, and the seconds that training all of them took."""
    config, parts = divided(TrainConfig(train_size=n, seed=seed, threads=1), data, MOST_TESTED)
    test = parts.test
    assert test is not None
    begun = time.perf_counter()
    with reproducible(config, torch.device("cpu")):
        architecture = architecture_of(config, parts.train)
        model = architecture.build()
        assert isinstance(model, SumNet)
        fitted = fit_parts(model, config, parts.train, parts.valid)
    seconds = time.perf_counter() - begun
    logits = np.stack([logits_of(part, test, architecture.outputs) for part in parts_of(model)])
    rows = []
    for choice, names in CHOICES.items():
        chosen = [k for k, name in enumerate(model.parts) if name in names]
        if chosen:
            weights, offset = stacking_weights(fitted.scores[chosen], fitted.y, fitted.weight)
            p = architecture.probabilities(np.tensordot(weights, logits[chosen], 1) + offset)
            auroc = evaluate(*test.labelled(), p, resamples=0).values["auroc"]
            assert auroc is not None
            rows.append((choice, round(auroc, 5), round(seconds, 1)))
    return rows


def table(rows: list[dict[str, str]], n: str) -> str:
    """Mean over seeds for every data set (columns) and choice of parts (rows)."""
    here = [row for row in rows if row["n"] == n]
    names = list(dict.fromkeys(row["data_set"] for row in here))
    lines = []
    for choice in CHOICES:
        means = []
        for name in names:
            scores = [float(row["auroc"]) for row in here if (row["data_set"], row["parts"]) == (name, choice)]
            means.append(f"{np.mean(scores):.3f}" if scores else "-")
        lines.append([choice, *means])
    return markdown_table([f"auroc, n = {n}", *names], lines)


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    torch.set_num_threads(1)
    rows = Rows(__file__, COLUMNS, key=3)
    found, missing = data_sets(DATA_SETS)
    # by size and seed first, so that every set has some rows soon
    cells = ((name, n, seed) for n, seed, name in itertools.product(SIZES, SEEDS, found))
    for name, n, seed in rows.missing(cells, minutes):
        rows.add((name, n, seed, *row) for row in measure(found[name], n, seed))
    measured = rows.read()
    left_out = f"\n\nNot found and left out: {', '.join(missing)}." if missing else ""
    write_section(
        __file__,
        "What each part of the default network adds",
        f"Test auroc (macro one-vs-rest for `splice`), means over up to {len(SEEDS)} seeds, as far as measured, on up "
        f"to {MOST_TESTED} test sequences. Every part is trained once; for each choice of parts, weights are fitted "
        "anew to the scores of sequences held out.\n\n"
        + "\n\n".join(table(measured, n) for n in dict.fromkeys(row["n"] for row in measured))
        + left_out,
    )


if __name__ == "__main__":
    main()
