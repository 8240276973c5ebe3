"""Whether the learning curve of `train --learning-curve` says what more data give.

Of 125 sequences the curve is measured on five folds (25 to 100 to learn from), and what it says of three times as many
is set beside a training on 375, tested on sequences that neither has seen: of the default network, and of a logistic
regression, which is cheap enough for many draws. The exponents of the power law were chosen with the latter, on draws
10 to 49. Without the luck of a single training (LUCK), whose size is that of the latter, the interval of the gain held
on 7 of 10 draws of the network on `amp`, and on 35 and 36 of 40 of the latter: the intervals here were made from the
same scores once it was in. Resumable: each method, data set and draw is a row of results/learning_curve.tsv.
"""

import itertools
import json
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
from cells import Rows, minutes_of_sitting
from numpy.typing import NDArray
from page import data_sets, markdown_table, write_section
from scipy.sparse import csr_array

from seqreg.checks.references import STRENGTH, kmer_features, positions
from seqreg.evaluation.learning_curve import LearningCurve
from seqreg.linear import fit_logistic
from seqreg.metrics import METRICS
from seqreg.predictors.network import TrainedNetwork, load_trained
from seqreg.records import read_json
from seqreg.sequences import SequenceSet, folds, train_subset
from seqreg.training import CrossValidation, TrainConfig, learn, train
from seqreg.training.folds import SHARES

Positions = NDArray[np.int64]
AUROC = METRICS["auroc"]

DATA_SETS = ("amp", "splice")
SEQUENCES, TIMES = 125, 3
MOST_TESTED = 2000
DRAWS = {"network": range(10), "logistic regression": range(50, 90)}
COLUMNS = ("method", "data_set", "draw", "points", "now", "then", "low", "high", "gain_low", "gain_high", "seconds")


def parts(data: SequenceSet, draw: int) -> tuple[Positions, Positions, Positions]:
    """Positions of the few, of these and others, and of a test part."""
    more = train_subset(data, TIMES * SEQUENCES, seed=draw, by="stratified")
    few = train_subset(data, SEQUENCES, seed=draw, by="stratified")  # nested in the others
    assert set(few) <= set(more)
    rest = np.setdiff1d(np.arange(len(data)), more)
    return few, more, np.sort(np.random.default_rng(draw).permutation(rest)[:MOST_TESTED])


def of_network(data: SequenceSet, draw: int) -> tuple[LearningCurve, float, float]:
    """The curve of one draw, what a training on all of it gives, and on three times as many."""
    few, more, tested = parts(data, draw)
    test = data.subset(tested)
    config = TrainConfig(seed=draw, threads=1, device="cpu", baselines=False, by="stratified")
    target, y = test.labelled()

    def area(network: TrainedNetwork) -> float:
        return float(AUROC(y, network.probabilities(test), positive=target.positive_index))

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(data.subset(few), config, run, folds=CrossValidation(folds=5, learning_curve=True))
        points, now = read_json(run / "metrics.json")["learning_curve"]["points"], area(load_trained(run))
    sizes, scores = ([each[name] for each in points] for name in ("trained_on", "folds"))
    return (
        LearningCurve(metric=AUROC, sizes=np.array(sizes), scores=np.array(scores)),
        now,
        area(learn(data.subset(more), config).network),
    )


@cache
def features(data: SequenceSet) -> csr_array:
    """Short k-mers, or the letter at each position."""
    return (positions if len(np.unique(data.lengths)) == 1 else kmer_features)(data)


def of_regression(data: SequenceSet, draw: int) -> tuple[LearningCurve, float, float]:
    """The same of a logistic regression on short k-mers, or on the letter at each position."""
    few, more, tested = parts(data, draw)
    rows = features(data)
    target, y = data.labelled()

    def area(learned: Positions, test: Positions) -> float:
        coef, intercept = fit_logistic(rows[learned], y[learned], STRENGTH, None, 0)
        p = target.predict(rows[test] @ coef.T + intercept)
        return float(AUROC(y[test], p, positive=target.positive_index))

    chosen = data.subset(few)
    split, scores = folds(chosen, 5, by="stratified", seed=draw), np.zeros((4, 5))
    for fold in range(5):
        kept, held_out = split.fold(fold + 1)
        for place, share in enumerate((*SHARES, 1)):
            some = train_subset(chosen.subset(kept), round(share * len(kept)), seed=draw + fold)
            scores[place, fold] = area(few[kept[some]], few[held_out])
    sizes = np.array([*SHARES, 1]) * 0.8 * SEQUENCES
    return LearningCurve(metric=AUROC, sizes=sizes, scores=scores), area(few, tested), area(more, tested)


def row(data: SequenceSet, method: str, name: str, draw: int) -> tuple[object, ...]:
    """What a curve says, and what is so."""
    begun = time.perf_counter()
    curve, now, then = (of_network if method == "network" else of_regression)(data, draw)
    of_sizes = zip(curve.sizes.tolist(), curve.scores.round(5).tolist(), strict=True)
    points = [[float(size), *values] for size, values in of_sizes]
    (_, score), (_, gain) = curve.score(TIMES * SEQUENCES), curve.gain(SEQUENCES, TIMES * SEQUENCES)
    numbers = (round(each, 5) for each in (now, then, *score, *gain))
    return method, name, draw, json.dumps(points), *numbers, round(time.perf_counter() - begun)


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    rows = Rows(__file__, COLUMNS, key=3)
    found, _ = data_sets(DATA_SETS)
    cells = [(method, name, draw) for method in reversed(DRAWS) for draw in DRAWS[method] for name in found]
    for method, name, draw in rows.missing(cells, minutes):
        rows.add([row(found[name], method, name, draw)])
    lines = []
    read = rows.read()
    for method, name in itertools.product(DRAWS, found):
        mine = [each for each in read if (each["method"], each["data_set"]) == (method, name)]
        if not mine:
            continue
        value = np.array([[float(each[key]) for key in ("now", "then", "low", "high")] for each in mine])
        gain = np.array([[float(each[key]) for key in ("gain_low", "gain_high")] for each in mine])
        rose = value[:, 1] - value[:, 0]
        held = [
            ((low <= truth) & (truth <= high)).sum()
            for truth, low, high in ((value[:, 1], *value[:, 2:].T), (rose, *gain.T))
        ]
        means = [f"{mean:.3f}" for mean in (*value.mean(axis=0), rose.mean(), *gain.mean(axis=0))]
        lines.append([f"{name}, {method}", str(len(mine)), *means[:4], str(held[0]), *means[4:], str(held[1])])
    head = ["data set", "draws", "auroc now", "of 3 times", "low", "high", "draws held"]
    write_section(
        __file__,
        "Would more data help?",
        f"Curves of {SEQUENCES} sequences on five folds, and their 95 % intervals for {TIMES} times as many beside "
        f"what a training on these gives, on up to {MOST_TESTED} other sequences; means over draws. Without the luck "
        "of single trainings, the interval of the gain held on 7 of 10 draws of the network on `amp` and 10 of 10 on "
        "`splice`, and of the logistic regression on 35 and 36 of 40; it was widened after that was seen, by the "
        "spread of the latter.\n\n" + markdown_table([*head, "gain", "gain low", "gain high", "gains held"], lines),
    )


if __name__ == "__main__":
    main()
