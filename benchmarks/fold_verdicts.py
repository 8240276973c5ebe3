"""How often the verdict over folds says ahead or behind of equally good procedures, all of them trained again in every
fold.

A model and three baselines learn from numbers of their own, five for each, whose classes lie equally far apart: linear
discriminants by ridge regression. In each fold the baseline is the rival that does best of the three by leaving one out
in the training part. Five folds, drawn twice; AUROCs of about .7, .8, .9 and .95, and three shares of noise that all
have in common, take turns. Resumable: a row of results/fold_verdicts.tsv per block of pairs.
"""

import itertools

import numpy as np
from cells import Rows, minutes_of_sitting
from numpy.typing import NDArray
from page import write_section
from scipy.stats import norm
from sklearn.model_selection import StratifiedKFold
from verdicts import APART, BLOCKS, PAIRS, area, tables

from seqreg.evaluation.over_folds import judge_folds
from seqreg.targets import Classes

SIZES = (60, 120, 300)
AUROCS, SHARED = (0.7, 0.8, 0.9, 0.95), (0.0, 0.4, 0.8)
FOLDS, REPEATS, NUMBERS, RIDGE = 5, 2, 5, 1.0
COLUMNS = ("sequences", "apart", "block", "pairs", "ahead", "behind", "guessing", "tie")
TARGET = Classes(names=("negative", "positive"), asked_for="positive")
Array = NDArray[np.float64]


def drawn(n: int, aurocs: list[float], shared: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], Array]:
    """y (n,), and x (M, n, NUMBERS) of M models, from which the best linear score has these AUROCs."""
    y = np.arange(n) % 2
    noise = np.sqrt(1 - shared) * rng.normal(size=(len(aurocs), n, NUMBERS))
    noise += np.sqrt(shared) * rng.normal(size=(1, n, NUMBERS))
    apart = np.sqrt(2) * norm.ppf(aurocs) / np.sqrt(NUMBERS)
    return y, noise + apart[:, None, None] * (y[:, None] - 0.5)


def learned(x: Array, y: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Centre and coefficients of a ridge regression on the class, and what it says of each when left out."""
    centre, t = x.mean(axis=0), np.where(y == 1, 0.5, -0.5)
    z = x - centre
    inverse = np.linalg.inv(z.T @ z + RIDGE * np.eye(z.shape[1]))
    coef = inverse @ z.T @ (t - t.mean())
    lever = np.einsum("ij,jk,ik->i", z, inverse, z) + 1 / len(y)
    fitted = z @ coef + t.mean()
    return centre, coef, t - (t - fitted) / (1 - lever)


def outcome(y: NDArray[np.int64], x: Array, seed: int) -> str:
    """The verdict on the first model beside the others."""
    ours, theirs = [], []
    for repeat in range(REPEATS):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed + repeat)
        for kept, held_out in folds.split(x[0], y):
            found = [learned(each[kept], y[kept]) for each in x]
            best = 1 + int(np.argmax([area(y[kept], left_out) for *_, left_out in found[1:]]))
            scores = [area(y[held_out], (x[m][held_out] - found[m][0]) @ found[m][1]) for m in (0, best)]
            ours.append(scores[0])
            theirs.append(scores[1])
    verdict = judge_folds(TARGET, "auroc", ours, theirs, rival="best", folds=FOLDS, n=len(y))
    assert verdict is not None
    return verdict.outcome


def block(n: int, apart: float, number: int) -> dict[str, int]:
    """How many of a block of pairs got which verdict."""
    rng = np.random.default_rng([n, round(100 * apart), number])
    said = dict.fromkeys(COLUMNS[4:], 0)
    turns = itertools.cycle(itertools.product(AUROCS, SHARED))
    for pair, (auroc, shared) in zip(range(PAIRS), turns, strict=False):
        y, x = drawn(n, [auroc, *[auroc - apart] * 3], shared, rng)
        said[outcome(y, x, 1000 * number + pair)] += 1
    return said


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    rows = Rows(__file__, COLUMNS, key=3)
    cells = [(n, apart, number) for n in SIZES for apart in APART for number in range(BLOCKS if apart == 0 else 8)]
    for n, apart, number in rows.missing(cells, minutes):
        rows.add([(n, apart, number, PAIRS, *block(n, apart, number).values())])
    write_section(
        __file__,
        "Verdicts over folds, with training",
        "Five folds, drawn twice: a linear model beside the one of three that each fold's training part prefers, all "
        "trained on every fold.\n\n" + tables(rows.read(), "sequences", {str(n): (n,) for n in SIZES}),
    )


if __name__ == "__main__":
    main()
