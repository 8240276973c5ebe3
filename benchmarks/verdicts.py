"""How often the verdict says ahead or behind of equals, and how often of models that are .05 apart.

Scores are simulated: for a model and three baselines, normal in each class, correlated within it, all as far apart as
an AUROC asks. A training part three times as large gives every baseline a score of its own; the best of these is the
rival, as inner cross-validation picks it. Four AUROCs and three correlations take turns.

Resumable: a row of results/verdicts.tsv per block of pairs.
"""

import itertools

import numpy as np
from cells import Rows, minutes_of_sitting
from numpy.typing import NDArray
from page import markdown_table, write_section
from scipy.stats import binom, norm

from seqreg.evaluation.verdict import judge
from seqreg.targets import Classes

SIZES = ((18, 18), (10, 66), (150, 150))  # positives, negatives
AUROCS, CORRELATIONS = (0.7, 0.8, 0.9, 0.95), (0.3, 0.6, 0.9)
BLOCKS, PAIRS = 20, 250
APART = (0.0, 0.05)
RESAMPLES = 1000
COLUMNS = ("positives", "negatives", "apart", "block", "pairs", "ahead", "behind", "guessing", "tie")
TARGET = Classes(names=("negative", "positive"), asked_for="positive")


def scores(
    n: tuple[int, int], shifts: NDArray[np.float64], correlation: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """y (N,) and the scores (N, M) of M models whose classes lie `shifts` (M,) apart."""
    y = np.repeat([1, 0], n)
    own, shared = rng.normal(size=(len(y), len(shifts))), rng.normal(size=(len(y), 1))
    return y, y[:, None] * shifts + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


def area(y: NDArray[np.int64], score: NDArray[np.float64]) -> float:
    """The AUROC of scores without ties, by ranks."""
    rank, positives = score.argsort().argsort() + 1, int(y.sum())
    return float((rank[y == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(y) - positives)))


def block(n: tuple[int, int], apart: float, number: int) -> dict[str, int]:
    """How many of a block of pairs got which verdict."""
    rng = np.random.default_rng([*n, round(100 * apart), number])
    turns = itertools.cycle(itertools.product(AUROCS, CORRELATIONS))
    said = dict.fromkeys(COLUMNS[5:], 0)
    for (auroc, correlation), _ in zip(turns, range(PAIRS), strict=False):
        distance = np.sqrt(2) * norm.ppf([auroc, *[auroc - apart] * 3])
        y, seen = scores((3 * n[0], 3 * n[1]), distance, correlation, rng)
        best = 1 + int(np.argmax([area(y, each) for each in seen.T[1:]]))
        y, tested = scores(n, distance, correlation, rng)
        p = [np.stack([1 - each, each], axis=1) for each in norm.cdf(tested.T)]
        found = judge(TARGET, y, p[0], ("rival", p[best]), seed=number, resamples=RESAMPLES)
        assert found is not None
        said[found.outcome] += 1
    return said


def tables(rows: list[dict[str, str]], title: str, sizes: dict[str, tuple[int, ...]]) -> str:
    """Rates by size, all blocks together, of models as good and of better ones; sizes: what a row begins with."""
    return (
        "All equally good:\n\n"
        + _rates(rows, title, sizes, APART[0])
        + "\n\nThe model .05 better than every baseline (ahead is the power):\n\n"
        + _rates(rows, title, sizes, APART[1])
    )


def _rates(rows: list[dict[str, str]], title: str, sizes: dict[str, tuple[int, ...]], apart: float) -> str:
    lines = []
    for name, size in sizes.items():
        key = tuple(map(str, (*size, apart)))
        of_size = [row for row in rows if tuple(row.values())[: len(key)] == key]
        total = sum(int(row["pairs"]) for row in of_size)
        if not total:
            continue
        ahead, behind, guessing = (sum(int(row[name]) for row in of_size) for name in ("ahead", "behind", "guessing"))
        shares = [f"{count / total:.3f}" for count in (ahead, behind, ahead + behind, guessing)]
        p = binom.sf(ahead + behind - 1, total, 0.05)
        lines.append([name, f"{total:,}", *shares, f"{p:.2g}" if apart == 0 else "-"])
    head = [title, "pairs", "ahead", "behind", "either", "guessing", "p that either > .05"]
    return markdown_table(head, lines)


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    rows = Rows(__file__, COLUMNS, key=4)
    cells = [(*n, apart, number) for n in SIZES for apart in APART for number in range(BLOCKS if apart == 0 else 8)]
    for positives, negatives, apart, number in rows.missing(cells, minutes):
        said = block((positives, negatives), apart, number)
        rows.add([(positives, negatives, apart, number, PAIRS, *said.values())])
    write_section(
        __file__,
        "Verdicts on simulated models",
        "A model against the one of three baselines that a training part three times the size prefers. AUROCs of .7, "
        ".8, .9 and .95, correlations within a class of .3, .6 and .9, in turn.\n\n"
        + tables(rows.read(), "test sequences", {" + ".join(map(str, size)): size for size in SIZES}),
    )


if __name__ == "__main__":
    main()
