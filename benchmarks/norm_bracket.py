"""How closely the RKHS norm of `smooth-cnn` is known, from above and from below, with and without its penalty.

Donor sites of `splice` (ei) against all other sequences, 300 training sequences. The weight of the `rkhs` penalty is
chosen on a third of them: the largest at which the validation auroc is within TOLERANCE of the unpenalised network's.
The network is then trained on all 300, bracketed on 200 of them, and tested on the other 2,700 sequences.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import cells
import numpy as np
from page import SECTIONS, markdown_table, write_section

from seqreg.metrics import auroc
from seqreg.predictors.network import TrainedNetwork
from seqreg.sensitivity.norm import norm_report
from seqreg.sequences import InputSpec, SequenceSet, read_input, train_subset
from seqreg.targets import Classes
from seqreg.training import TrainConfig, with_defaults

TRAINING_SEQUENCES, FITTED, BRACKETED = 300, 200, 200
SEEDS = range(5)
TOLERANCE = 0.01
WEIGHTS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
# Windows as short as a motif, and windows of nearly the whole site, in which letters have a place.
NETWORKS = ("smooth-cnn:filters=64,width=10", "smooth-cnn:filters=64,width=58")
TRAINING = TrainConfig(
    epochs=60,
    batch_size=32,
    lr=1e-2,
    weight_decay=0.0,
    positive="ei",
    threads=1,
    device="cpu",
    reverse_complement=False,
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One network, seed and weight: validation and test auroc, and the norm (not its square) from both sides."""

    network: str
    seed: int
    weight: float
    valid_auroc: float
    test_auroc: float
    upper: float
    lower: float
    gradient: float


def penalized(model: str, weight: float, train: SequenceSet, seed: int) -> TrainedNetwork:
    penalty = (f"rkhs:weight={weight:g}",) if weight else ()
    config = with_defaults(replace(TRAINING, model=model, penalty=penalty, seed=seed), train, None)
    return cells.trained(config, train, None)


def tested(network: TrainedNetwork, data: SequenceSet) -> float:
    assert data.y is not None
    return float(auroc(data.y, network.outputs(data)[:, 0]))


def measured_cells(data: SequenceSet, model: str) -> Iterator[Cell]:
    for seed in SEEDS:
        pool = train_subset(data, TRAINING_SEQUENCES, seed=seed)
        train, test = data.subset(pool), data.subset(np.setdiff1d(np.arange(len(data)), pool))
        fitted = train_subset(train, FITTED, seed=seed)
        valid = train.subset(np.setdiff1d(np.arange(len(train)), fitted))
        for weight in WEIGHTS:
            validated = tested(penalized(model, weight, train.subset(fitted), seed), valid)
            network = penalized(model, weight, train, seed)
            report = norm_report(network, train, sample=BRACKETED, restarts=0, seed=seed)
            below = report.lower_bounds
            assert below["interpolation"] is not None
            assert below["gradient"] is not None
            cell = Cell(
                network=model,
                seed=seed,
                weight=weight,
                valid_auroc=validated,
                test_auroc=tested(network, test),
                upper=report.rkhs["upper_bound"],
                lower=below["interpolation"],
                gradient=below["gradient"],
            )
            print(cell, flush=True)
            yield cell


def chosen(measured: list[Cell], seed: int) -> Cell:
    """The largest weight that costs no more than TOLERANCE of validation auroc."""
    of_seed = [cell for cell in measured if cell.seed == seed]
    least = next(cell.valid_auroc for cell in of_seed if not cell.weight) - TOLERANCE
    return max((cell for cell in of_seed if cell.valid_auroc >= least), key=lambda cell: cell.weight)


def line(name: str, of_row: list[Cell]) -> list[str]:
    """Mean auroc and medians of the norms over seeds."""
    upper, lower, gradient, ratio = (
        np.median([value(cell) for cell in of_row])
        for value in (
            lambda cell: cell.upper,
            lambda cell: cell.lower,
            lambda cell: cell.gradient,
            lambda cell: cell.upper / cell.lower,
        )
    )
    area = np.mean([cell.test_auroc for cell in of_row])
    return [name, f"{area:.3f}", f"{upper:.4g}", f"{lower:.4g}", f"{ratio:.3g}", f"{gradient:.3g}"]


def table(measured: list[Cell]) -> str:
    """One row per weight, and one of what each seed chose."""
    lines = [
        line(f"{weight:g}" if weight else "no penalty", [cell for cell in measured if cell.weight == weight])
        for weight in WEIGHTS
    ]
    choice = [chosen(measured, seed) for seed in SEEDS]
    lines.append(line(f"chosen ({', '.join(f'{cell.weight:g}' for cell in choice)})", choice))
    return markdown_table(["weight", "test auroc", "upper bound", "lower bound", "ratio", "gradient"], lines)


def main() -> None:
    data = read_input(InputSpec(input="splice", require_labels=True))
    assert data.y is not None
    rest = Classes(names=("ei", "rest"), asked_for="ei")
    data = replace(data, target=rest, y=(data.y != data.classes.index("ei")).astype(np.int64))
    measured = {model: list(measured_cells(data, model)) for model in NETWORKS}
    tables = "\n\n".join(f"`{model}`:\n\n{table(found)}" for model, found in measured.items())
    write_section(
        __file__,
        "The norm of smooth-cnn, bracketed",
        f"Donor sites of `splice` (ei) against the rest, {TRAINING_SEQUENCES} training sequences, {len(SEEDS)} seeds. "
        "The upper bound is the closed form of the RKHS norm, the lower bound interpolation on "
        f"{BRACKETED} training sequences and one adversarial point of each; the gradient's norm, a lower bound too, "
        "shows what data alone say. Norms, not squares: medians over seeds; auroc: means on all other sequences. "
        f"*Chosen* is the largest weight whose auroc on {TRAINING_SEQUENCES - FITTED} held-out training sequences is "
        f"within {TOLERANCE} of the unpenalised network's.\n\n{tables}",
    )
    rows = [asdict(cell) for found in measured.values() for cell in found]
    (SECTIONS / "norm_bracket.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
