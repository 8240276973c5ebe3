"""What penalties that act on the whole of the default network cost, and what they prove.

    python benchmarks/regularized_sum.py --minutes 60

Resumable: each data set, size, draw and method is a row of results/regularized_sum.tsv, computed once. Everything was
chosen on draws 10 to 14; draws 0 to 4 are looked at once. Sets that are not found (put their folder on SEQREG_DATA) are
left out and named. Size 0 is all of the training part; smaller tasks are those of the protocol `small-data`.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from cells import Rows, asked_for
from default_against import P3, T_OF_FIVE
from page import data_sets, markdown_table, write_section

from seqreg.benchmark.tasks import drawn_task
from seqreg.certificates import hamming_certificate
from seqreg.evaluation.scores import evaluate
from seqreg.predictors.network import TrainedNetwork
from seqreg.sensitivity import evaluate_robustness
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, learn
from seqreg.training.parts import split_parts

PLAIN, UNALIGNED = "plain", "plain, without alignments"
ALIGNED = ("amp", "signalp5", "coiled-coil")
OF_P3 = ("gradient", "weight-decay", "adversarial")
WEAKER = tuple(f"hamming:weight={weight}" for weight in (0.02, 0.05))
# Where certificates are asked for, which takes a while: set, training sequences, methods.
PROVED = {
    ("ecoli-sigma70", 0): (PLAIN, "hamming", "hamming, balanced"),
    ("amp", 300): (PLAIN, UNALIGNED, "hamming"),
    ("splice", 300): (PLAIN, *WEAKER, "hamming", "hamming:weight=0.25"),
}
SIZES = (100, 300, 0)
MOST_TESTED, MOST_PROVED, EDITS, PAIRS = 2000, 300, 2, 200_000
MEASURED = ("auroc", "balanced_accuracy", "proved", "by_pairs", "log_loss", "temperature", "seconds")
COLUMNS = ("data_set", "n", "draw", "method", *MEASURED)


def settings(method: str) -> dict[str, Any]:
    """What the configuration says of a method: nothing, or one penalty and whether classes are balanced."""
    penalty, _, balanced = method.partition(", ")
    if penalty == PLAIN:
        return {}
    return {"penalty": (penalty,), **({"class_weight": "balanced"} if balanced else {})}


def task(data: SequenceSet, n: int, draw: int) -> tuple[SequenceSet, SequenceSet | None, SequenceSet]:
    """What is learned from, the validation part, if any, and up to MOST_TESTED sequences to test on."""
    if n:
        drawn = drawn_task(data, size=n, most_tested=MOST_TESTED, seed=draw)
        return drawn.train, None, drawn.test
    parts = split_parts(data, TrainConfig(seed=draw))
    assert parts.test is not None
    return parts.train, parts.valid, parts.test


def measure(data: SequenceSet, n: int, draw: int, method: str, *, certified: bool) -> list[str]:
    """`MEASURED` of one training; what is proved is empty where it was not asked for."""
    train, valid, test = task(data, n, draw)
    config = TrainConfig(seed=draw, threads=1, device="cpu", **settings(method))
    alone = patch("seqreg.training.defaults.references", lambda _: 0) if method == UNALIGNED else nullcontext()
    begun = time.process_time()
    with alone:
        network = learn(train, config, valid=valid).network
    seconds = time.process_time() - begun
    found = evaluate(*test.labelled(), network.probabilities(test), resamples=0).values
    proved = proved_balanced_accuracies(network, test, draw) if certified else ("", "")
    scores = [f"{found[name]:.5f}" for name in ("auroc", "balanced_accuracy", "log_loss")]
    return [*scores[:2], *proved, scores[2], f"{network.temperature:.4f}", f"{seconds:.2f}"]


def proved_balanced_accuracies(network: TrainedNetwork, test: SequenceSet, draw: int) -> tuple[str, str]:
    """Mean over classes of the share of test sequences that are classified rightly whatever EDITS letters become.

    As bounds prove it, and as it is proved when up to PAIRS of a sequence are tried.
    """
    some = test.subset(np.sort(np.random.default_rng(draw).permutation(len(test))[:MOST_PROVED]))
    y = some.labelled()[1]
    radius = hamming_certificate(
        network.module, torch.from_numpy(some.padded()), torch.from_numpy(y), most=EDITS
    ).radius.numpy()
    by_bounds = float(np.mean([(radius[y == k] >= EDITS).mean() for k in np.unique(y)]))
    tried = evaluate_robustness(network, some, max_substitutions=EDITS, epsilons=(), pairs=PAIRS)
    assert tried.certified_balanced_accuracy is not None
    return f"{by_bounds:.4f}", f"{tried.certified_balanced_accuracy[EDITS]:.4f}"


def cells(asked: argparse.Namespace, found: dict[str, SequenceSet]) -> Iterator[tuple[str, int, int, str]]:
    """Those with certificates and of 100 sequences, draw by draw, then those of 300."""
    wanted = set(asked.sizes)
    for draw in asked.draws:
        for (name, n), methods in PROVED.items():
            yield from ((name, n, draw, method) for method in methods if n in wanted and name in found)
        yield from of_p3(asked, found, 100, draw)
    for draw in asked.draws:
        yield from of_p3(asked, found, 300, draw)


def of_p3(
    asked: argparse.Namespace, found: dict[str, SequenceSet], n: int, draw: int
) -> Iterator[tuple[str, int, int, str]]:
    """The cells of one draw of all sets."""
    for name in [name for name in found if n in asked.sizes and n <= len(found[name]) // 2]:
        yield from ((name, n, draw, method) for method in (PLAIN, *OF_P3))


def of(rows: Sequence[dict[str, str]], name: str, n: int, method: str) -> dict[int, dict[str, str]]:
    """Rows by draw."""
    mine = [row for row in rows if (row["data_set"], row["n"], row["method"]) == (name, str(n), method)]
    return {int(row["draw"]): row for row in mine}


def mean(rows: Sequence[dict[str, str]], name: str, n: int, method: str, column: str) -> float | None:
    """Over draws; None where nothing was measured."""
    values = [float(row[column]) for row in of(rows, name, n, method).values() if row[column]]
    return float(np.mean(values)) if values else None


def ahead(rows: Sequence[dict[str, str]], name: str, n: int, methods: tuple[str, str], column: str) -> dict[int, float]:
    """By how much one method's score is above the other's, draw by draw."""
    mine, other = (of(rows, name, n, method) for method in methods)
    draws = [draw for draw in sorted(mine.keys() & other.keys()) if mine[draw][column] and other[draw][column]]
    return {draw: float(mine[draw][column]) - float(other[draw][column]) for draw in draws}


def said(differences: Sequence[float]) -> str:
    """Their mean, with the 95 % interval of five draws."""
    if not differences:
        return "-"
    if len(differences) < 5:
        return f"{np.mean(differences):+.3f} ({len(differences)} draws)"
    half = T_OF_FIVE * np.std(differences, ddof=1) / np.sqrt(len(differences))
    return f"{np.mean(differences):+.3f} ± {half:.3f}"


def curve(rows: Sequence[dict[str, str]], name: str, n: int) -> str:
    """Scores of each method where certificates were asked for, and what it costs beside plain training."""
    lines = []
    for method in PROVED[name, n]:
        scores = [mean(rows, name, n, method, column) for column in MEASURED]
        if of(rows, name, n, method):
            bases = dict.fromkeys(("auroc", "balanced_accuracy"), PLAIN)
            bases |= dict.fromkeys(("proved", "by_pairs"), UNALIGNED if name in ALIGNED else PLAIN)
            costs = [
                "" if method in (PLAIN, base) else said(list(ahead(rows, name, n, (method, base), column).values()))
                for column, base in bases.items()
            ]
            shown = ["-" if value is None else f"{value:.3f}" for value in scores[:-1]]
            lines.append([method, *shown, f"{scores[-1]:.1f}", *costs])
    columns = ["auroc", "balanced accuracy", "proved at 2", "pairs tried", "log loss", "temperature", "s"]
    more = [f"{each} beside plain" for each in ("auroc", "balanced accuracy", "proved", "pairs tried,")]
    return markdown_table(["", *columns, *more], lines)


def small(rows: Sequence[dict[str, str]], n: int) -> str:
    """Auroc of every set, plain and by how much each penalty is ahead, then means, log losses and times."""
    lines = []
    methods = [PLAIN, *OF_P3]
    whole = [name for name in P3 if all(of(rows, name, n, method) for method in methods)]
    for name in whole:
        differences = [said(list(ahead(rows, name, n, (method, PLAIN), "auroc").values())) for method in OF_P3]
        lines.append([name, f"{mean(rows, name, n, PLAIN, 'auroc'):.3f}", *differences])
    told = []
    for method in OF_P3:
        by_set = [ahead(rows, name, n, (method, PLAIN), "auroc") for name in whole]
        draws = sorted(set.intersection(*map(set, by_set))) if by_set else []
        told.append(said([float(np.mean([each[draw] for each in by_set])) for draw in draws]))
    lines.append(["mean of sets", "", *told])
    for column, title, form in (
        ("log_loss", "log loss, mean of sets", ".3f"),
        ("seconds", "seconds, mean of sets", ".1f"),
    ):
        values = []
        for method in methods:
            each = [mean(rows, name, n, method, column) for name in whole]
            values.append(f"{np.mean([value for value in each if value is not None]):{form}}" if each else "-")
        lines.append([title, *values])
    return markdown_table([f"n = {n}", *methods], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked = asked_for(parser, SIZES, P3)
    torch.set_num_threads(1)
    rows = Rows(__file__, COLUMNS, key=4)
    found, missing = data_sets(asked.sets)
    for name, n, draw, method in rows.missing(dict.fromkeys(cells(asked, found)), asked.minutes):
        certified = method in PROVED.get((name, n), ()) and not (method == PLAIN and name in ALIGNED)
        rows.add([(name, n, draw, method, *measure(found[name], n, draw, method, certified=certified))])
    looked_at_once = [row for row in rows.read() if int(row["draw"]) < 10]
    about = (
        "A penalty that is asked for of the default network acts on the whole sum. Each has its default strength, or "
        "the one that is named; the rest is the default of `seqreg train` (balanced: `--class-weight balanced`). "
        f"Means over draws, on up to {MOST_TESTED} test sequences; differences draw by draw with the 95 % interval of "
        f"five. Proved is balanced accuracy whatever two letters become, of up to {MOST_PROVED} sequences: by bounds "
        f"alone, and, pairs tried, by trying up to {PAIRS:,} of a sequence where bounds leave it open. Seconds "
        "are those of the processor for one training with its calibration. Of proteins the plain default aligns, and "
        "nothing can be proved of it then: `hamming` begins with what is *without alignments*, the others let them "
        "follow. That of few sequences steps take back more of their way was chosen on draw 10, after some of draw 0 "
        "had been seen without it; that alignments follow, on draws 10 to 12, after draws 0 to 4 had been seen without."
    )
    text = [about]
    for name, n in PROVED:
        if any((row["data_set"], row["n"]) == (name, str(n)) and row["proved"] for row in looked_at_once):
            text += [f"### {name}, {n or 'all'} training sequences", curve(looked_at_once, name, n)]
    text.append("### Auroc on few sequences")
    text += [small(looked_at_once, n) for n in SIZES if n and mean(looked_at_once, P3[0], n, OF_P3[-1], "auroc")]
    if missing:
        text.append(f"Not found and left out: {', '.join(missing)}.")
    if looked_at_once:
        write_section(__file__, "Penalties on the whole default network", "\n\n".join(text))


if __name__ == "__main__":
    main()
