"""`seqreg train` with its defaults against every tuned baseline at 300 training sequences.

Resumable: each data set and seed is a row of results/default_small.tsv, computed once. Data sets that are not found
(put their folder on SEQREG_DATA) are left out and named.
"""

import csv
import time
from dataclasses import replace

import numpy as np
import torch
from page import SECTIONS, data_sets, markdown_table, write_section

from seqreg.evaluation.scores import evaluate
from seqreg.networks.trained import TrainedNetwork
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, architecture_of, fit, reproducible, with_defaults
from seqreg.training.parts import split_parts
from seqreg.training.run import baseline_probabilities

DATA_SETS = ("amp", "signalp5", "ecoli-sigma70", "splice")
TRAINING_SEQUENCES = 300
SEEDS = (10, 11, 12, 13, 14)  # the defaults were chosen looking at seeds 0 to 2
MOST_TESTED = 5000
ROWS = SECTIONS / "default_small.tsv"
COLUMNS = ("data_set", "seed", "method", "auroc", "seconds")


def measure(data: SequenceSet, name: str, seed: int) -> list[tuple[str, int, str, float, float]]:
    """Rows of auroc and seconds of the default network and every baseline."""
    config = TrainConfig(train_size=TRAINING_SEQUENCES, seed=seed, threads=1)
    parts = split_parts(data, config)
    assert parts.test is not None
    tested = np.sort(np.random.default_rng(seed).permutation(len(parts.test))[:MOST_TESTED])
    test = parts.test.subset(tested)
    config = replace(with_defaults(config, parts.train, parts.valid), device="cpu")
    rows = []

    def row(method: str, probabilities: np.ndarray, begun: float) -> None:
        metrics = evaluate(test.y, probabilities, test.classes, config.positive, resamples=0)
        auroc = metrics.values["auroc"]
        assert auroc is not None
        rows.append((name, seed, method, round(auroc, 5), round(time.perf_counter() - begun, 2)))

    begun = time.perf_counter()
    with reproducible(config, torch.device("cpu")):
        architecture = architecture_of(config, parts.train)
        module = architecture.build()
        fit(module, config, parts.train, parts.valid)
    row("seqreg train", TrainedNetwork(architecture=architecture, module=module).probabilities(test), begun)
    begun = time.perf_counter()
    for method, probabilities in baseline_probabilities(parts.train_and_valid, test, seed).items():
        row(method, probabilities, begun)
    return rows


def table(rows: list[dict[str, str]]) -> str:
    """Mean and standard deviation over seeds for every data set (rows) and method (columns)."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    methods = [each for each in methods if each != "majority"]
    lines = []
    for name in dict.fromkeys(row["data_set"] for row in rows):
        cells = []
        for method in methods:
            scores = [float(row["auroc"]) for row in rows if row["data_set"] == name and row["method"] == method]
            cells.append(f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}" if len(scores) > 1 else "-")
        lines.append([name, *cells])
    return markdown_table(["auroc", *methods], lines)


def main() -> None:
    done = list(csv.DictReader(ROWS.open(), delimiter="\t")) if ROWS.exists() else []
    known = {(row["data_set"], int(row["seed"])) for row in done}
    found, missing = data_sets(DATA_SETS)
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        if not done:
            writer.writerow(COLUMNS)
        for name, data in found.items():
            for seed in SEEDS:
                if (name, seed) not in known:
                    for row in measure(data, name, seed):
                        writer.writerow(row)
                        print(*row)
                    handle.flush()
    rows = list(csv.DictReader(ROWS.open(), delimiter="\t"))
    left_out = f"\n\nNot found and left out: {', '.join(missing)}." if missing else ""
    write_section(
        __file__,
        f"The defaults at {TRAINING_SEQUENCES} training sequences",
        f"Test auroc (macro one-vs-rest for `splice`), mean ± standard deviation over {len(SEEDS)} seeds, up to "
        f"{MOST_TESTED} test sequences. Baselines are tuned by inner cross-validation on the same sequences; the "
        "network runs with its defaults, which were chosen on these data sets with other seeds.\n\n"
        + table(rows)
        + left_out,
    )


if __name__ == "__main__":
    main()
