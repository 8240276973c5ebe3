"""What each part of the default network adds: held-out weights for every choice of parts, each part trained once.

Writes the section of RESULTS.md, and the picture of docs/default.md. Resumable: each data set, size and draw is one
block of rows of results/default_parts.tsv; `--minutes` ends a sitting. Data sets that are not found (put their
folder on SEQREG_DATA) are left out and named.
"""

import itertools
import time
from dataclasses import replace
from html import escape

import numpy as np
import torch
from cells import Rows, divided, minutes_of_sitting
from numpy.typing import NDArray
from page import HERE, data_sets, markdown_table, write_section

from seqreg.evaluation.scores import evaluate
from seqreg.linear import Array
from seqreg.networks import Sum, SumNet, objective
from seqreg.predictors.network import logits_of
from seqreg.report.figures import SERIES, axes, svg
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, architecture_of, reproducible
from seqreg.training.stacking import FittedParts, fit_parts
from seqreg.training.weighing import stacking_weights

DATA_SETS = ("amp", "signalp5", "coiled-coil", "ecoli-sigma70", "splice", "rbp-qki", "nfe2")
SIZES = (100, 300)
SEEDS = (10, 11)  # the defaults were chosen looking at seeds 10 to 14
MOST_TESTED = 5000
PARTS = {
    "k-mers": ("spectrum",),
    "positions": ("positions",),
    "alignments": ("alignments",),
    "CNNs": ("cnn-max", "cnn-position"),
}
ALONE = {**PARTS, "CNN, anywhere": ("cnn-max",), "CNN, in place": ("cnn-position",)}
ALL, ONE_LENGTH = "all parts", "k-mers of one length"
COLUMNS = ("data_set", "n", "draw", "parts", "auroc", "seconds")
FIGURE = HERE.parent / "docs" / "gallery" / "figures" / "default-parts.html"


def trained(config: TrainConfig, train: SequenceSet, test: SequenceSet) -> tuple[list[str], FittedParts, Array]:
    """Kinds of parts, what they say of what was held out, and their logits (P, n, K) of the test part."""
    with reproducible(config, torch.device("cpu")):
        architecture = architecture_of(config, train)
        model = architecture.build()
        assert isinstance(model, SumNet)
        fitted = fit_parts(model, config, train, None)
    kinds = model.kinds()
    logits = [
        sum(logits_of(model.part(name), test, architecture.outputs) for name in names) for names in kinds.values()
    ]
    return list(kinds), fitted, np.stack(logits)


def measure(data: SequenceSet, n: int, draw: int) -> list[tuple[str, float, float]]:
    """Test auroc of every choice of parts, and the seconds of the processor that training all of them took."""
    config, divided_parts = divided(TrainConfig(train_size=n, seed=draw, threads=1, valid=0.0), data, MOST_TESTED)
    train, test = divided_parts.train, divided_parts.test
    assert test is not None
    assert isinstance(config.model, Sum)
    begun = time.process_time()
    kinds, fitted, logits = trained(config, train, test)
    seconds = time.process_time() - begun
    usual = 2 if train.alphabet.complement is None else 4
    alone = Sum(spectrum=(usual,), positions=False, pooling=("none",))
    _, other, other_logits = trained(replace(config, model=alone), train, test)
    target, _ = train.labelled()
    model = architecture_of(config, train)

    def auroc(scores: Array, of_test: Array) -> float:
        weights, offset = stacking_weights(scores, fitted.y, fitted.weight, objective(target))
        p = model.probabilities(np.tensordot(weights, of_test, 1) + offset)
        found = evaluate(*test.labelled(), p, resamples=0).values["auroc"]
        assert found is not None
        return round(found, 5)

    def of(rows: NDArray[np.bool_]) -> float:
        return auroc(fitted.scores[rows], logits[rows])

    found = {ALL: of(np.ones(len(kinds), bool))}
    first = kinds.index("spectrum")
    swapped, swapped_logits = fitted.scores.copy(), logits.copy()
    swapped[first], swapped_logits[first] = other.scores[0], other_logits[0]
    found[ONE_LENGTH] = auroc(swapped, swapped_logits)
    for name, members in PARTS.items():
        mine = np.isin(kinds, members)
        if mine.any():
            found[f"without {name}"] = of(~mine)
    for name, members in ALONE.items():
        mine = np.isin(kinds, members)
        if mine.any():
            found[f"{name} alone"] = of(mine)
    return [(name, value, round(seconds, 1)) for name, value in found.items()]


def means(rows: list[dict[str, str]], n: str) -> dict[str, dict[str, float]]:
    """Mean auroc over draws at one size, by data set and choice of parts."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["n"] == n:
            found.setdefault(row["data_set"], {}).setdefault(row["parts"], []).append(float(row["auroc"]))
    return {name: {choice: float(np.mean(each)) for choice, each in by.items()} for name, by in found.items()}


def table(rows: list[dict[str, str]], n: str) -> str:
    """Mean over draws for every data set (columns) and choice of parts (rows)."""
    by_set = means(rows, n)
    choices = [ALL, ONE_LENGTH, *(f"without {name}" for name in PARTS), *(f"{name} alone" for name in ALONE)]
    lines = [
        [choice, *(f"{each[choice]:.3f}" if choice in each else "-" for each in by_set.values())] for choice in choices
    ]
    return markdown_table([f"auroc, n = {n}", *by_set], lines)


def figure(rows: list[dict[str, str]]) -> str:
    """Of each data set, how much auroc is lost without each part; full dots 100 sequences, rings 300."""
    by_size = [means(rows, str(n)) for n in SIZES]
    names = list(by_size[0])
    alt = "auroc that the default network loses without each of its parts, by data set"
    with axes(6.4, 0.8 + 0.42 * len(names)) as (drawing, ax):
        ax.axvline(0, color="#020202", linewidth=0.8)
        for (i, part), (size, by_set) in itertools.product(enumerate(PARTS), enumerate(by_size)):
            lost = {
                k: by_set[name][ALL] - by_set[name][f"without {part}"]
                for k, name in enumerate(names)
                if f"without {part}" in by_set.get(name, {})
            }
            at = [-k + 0.27 - 0.18 * i for k in lost]
            fill = {"facecolors": SERIES[i] if size == 0 else "none", "edgecolors": SERIES[i]}
            ax.scatter(list(lost.values()), at, s=26, linewidths=1.3, clip_on=False, **fill)
        ax.set_yticks([-k for k in range(len(names))], names)
        ax.set_ylim(0.6 - len(names), 0.5)
        ax.set(xlabel="auroc lost without the part")
        drawn = svg(drawing, "default-parts", alt)
    legend = "".join(
        f'<li><span class="swatch" style="background:var(--series-{i + 1})"></span><span>{escape(name)}</span></li>'
        for i, name in enumerate(PARTS)
    )
    told = "Full dots: 100 training sequences; rings: 300. What other parts also know is not lost without a part."
    return (
        f'<figure class="card wide"> <h3>What the default loses without a part</h3> <ul class="legend">{legend}</ul> '
        f"{drawn} <figcaption>{told}</figcaption></figure>\n"
    )


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    torch.set_num_threads(1)
    rows = Rows(__file__, COLUMNS, key=3)
    found, missing = data_sets(DATA_SETS)
    # by size and draw first, so that every set has some rows soon
    cells = ((name, n, draw) for draw, n, name in itertools.product(SEEDS, SIZES, found))
    for name, n, draw in rows.missing(cells, minutes):
        rows.add((name, n, draw, *row) for row in measure(found[name], n, draw))
    measured = rows.read()
    draws = ", ".join(f"{n}: {len({(r['data_set'], r['draw']) for r in measured if r['n'] == str(n)})}" for n in SIZES)
    left_out = f"\n\nNot found and left out: {', '.join(missing)}." if missing else ""
    write_section(
        __file__,
        "What each part of the default network adds",
        f"Test auroc (macro one-vs-rest for `splice`), means over draws {' and '.join(map(str, SEEDS))} as far as "
        f"measured (cells of n = {draws}), on up to {MOST_TESTED} test sequences. Every part is trained once; for each "
        "choice of parts, weights are fitted anew to the scores of sequences held out. *k-mers of one length* counts "
        "4-mers, of proteins 2-mers, in the place of all lengths.\n\n"
        + "\n\n".join(table(measured, n) for n in dict.fromkeys(row["n"] for row in measured))
        + left_out,
    )
    FIGURE.write_text(figure(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
