"""The norm report: every lower bound stays below its upper bound, on trained and on random networks."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.networks.smooth import arc_cosine, window_kernel
from seqreg.predictors.network import TrainedNetwork
from seqreg.records import to_plain
from seqreg.sensitivity.norm import norm_report
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes
from seqreg.training import TrainConfig, fit, with_defaults
from seqreg.workers import SideBySide
from tests.untrained import untrained

LENGTHS = (12, 5, 20, 9, 3, 20, 16)


def some_sequences(
    alphabet: Alphabet, classes: tuple[str, ...] = ("a", "b", "c"), lengths: tuple[int, ...] = LENGTHS
) -> SequenceSet:
    generator = np.random.default_rng(0)
    return SequenceSet(
        alphabet=alphabet,
        names=[str(i) for i in range(len(lengths))],
        codes=generator.integers(0, alphabet.pad, sum(lengths)).astype(np.uint8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        target=Classes(names=classes),
        y=np.arange(len(lengths)) % len(classes),
    )


def network(
    model: str, data: SequenceSet, scale: float = 1.0, strands: bool = False, shortest: int | None = None
) -> TrainedNetwork:
    torch.manual_seed(0)
    fields: dict[str, Any] = {} if shortest is None else {"shortest": shortest}
    found = untrained(model, data, target=Classes(names=data.classes), reverse_complement=strands, **fields)
    with torch.no_grad():
        for parameter in found.module.parameters():
            parameter.mul_(scale)
    return found


MODELS = [
    "cnn:filters=5,width=4",
    "cnn:filters=5,width=4,pooling=mean,depth=2,hidden=3",
    "cnn:filters=5,width=4,pooling=position,hidden=3",
    "cnn:filters=5,width=4,activation=smoothed-relu,depth=2",
    "smooth-cnn:filters=6,width=4,smoothing=0.5",
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("trained", [False, True])
def test_lower_bounds_stay_below_upper_bounds(model: str, trained: bool) -> None:
    data = some_sequences(DNA, ("a", "b") if trained else ("a", "b", "c"))
    net = network(model, data, scale=1.5)
    if trained:
        config = with_defaults(TrainConfig(model=model, epochs=5, batch_size=4, lr=0.02, penalty=()), data, None)
        fit(net.module, config, data, None)  # pyright: ignore[reportArgumentType]
    report = norm_report(net, data, restarts=0)
    for row in report.per_class.values():
        for name in ("gradient", "adversarial", "deformation"):
            assert row[name] is None or 0 <= row[name] <= row["lipschitz_upper_bound"] * (1 + 1e-9)
        assert row["gradient"] is not None
        if row["interpolation"] is not None:
            assert row["interpolation"] <= row["rkhs_upper_bound"] * (1 + 1e-9)
    assert (report.rkhs["exact_for"] is not None) == model.startswith("smooth")


def straight(data: SequenceSet, weights: list[float], **fields) -> TrainedNetwork:
    """Logits that are `weights` times the share of A less that of T: linear, and steepest for the shortest sequence."""
    net = network("cnn:filters=1,width=1,activation=identity,pooling=mean", data, **fields)
    net.module.double().load_state_dict(
        {
            "convs.0.weight": torch.tensor([[[1.0], [0], [0], [-1]]]),
            "convs.0.bias": torch.tensor([5.0]),
            "output.weight": torch.tensor(weights)[:, None],
            "output.bias": torch.tensor(weights) + 9,
        }
    )
    return net


@pytest.mark.parametrize("lengths", [(4, 1, 3), (6, 4, 5)])
def test_what_is_known_from_below_and_from_above_meet_in_a_linear_network(lengths: tuple[int, ...]) -> None:
    """Trained on no fewer letters than 3: shorter data have fewer windows, and longer ones lie below the bound."""
    data = some_sequences(DNA, lengths=lengths)
    data = dataclasses.replace(data, codes=np.zeros_like(data.codes))  # AAA: its complement is as far as it gets
    report = norm_report(straight(data, [1.0, -3.0, 2.0], shortest=3), data, restarts=1)
    for name, weight in zip(data.classes, (1.0, -3.0, 2.0), strict=True):
        row, slope = report.per_class[name], abs(weight) * math.sqrt(2)
        assert row["lipschitz_upper_bound"] == pytest.approx(slope / math.sqrt(min(3, *lengths)))
        for below in ("gradient", "adversarial", "deformation"):
            assert row[below] == pytest.approx(slope / math.sqrt(min(lengths)), rel=1e-6)
    assert report.lipschitz_upper_bound == report.per_class["b"]["lipschitz_upper_bound"]
    for below in ("gradient", "adversarial", "deformation"):
        assert report.lower_bounds[below] == report.per_class["b"][below]
    without = norm_report(straight(data, [1.0, -3.0, 2.0], shortest=3))
    assert without.lipschitz_upper_bound == pytest.approx(3 * math.sqrt(2 / 3))


def test_the_shortest_of_all_data_counts_though_a_sample_be_looked_at() -> None:
    data = some_sequences(DNA, lengths=(7, 7, 1, 7, 7, 7))
    net = straight(data, [1.0, -3.0, 2.0], shortest=3)
    for seed in range(2):
        report = norm_report(net, data, sample=1, restarts=0, seed=seed)
        assert report.n == 1
        assert report.lipschitz_upper_bound == pytest.approx(3 * math.sqrt(2))


@pytest.mark.parametrize("model", ["cnn:filters=5,width=4,pooling=mean", "smooth-cnn:filters=5,width=4"])
def test_norms_belong_to_the_function_and_not_to_the_data_s_order(model: str) -> None:
    """Scaling the head scales every norm; its bias and the order of data do nothing; more data raise lower bounds."""
    data = some_sequences(DNA)

    def figures(net: TrainedNetwork, rows: list[int]) -> dict[str, dict[str, float]]:
        return norm_report(net, data.subset(np.array(rows)), restarts=0).per_class

    net = network(model, data)
    net.module.double()
    whole = figures(net, [*range(7)])
    for rows in ([6, 3, 0, 5, 2, 1, 4], [0, 1, 2, 3, 4, 5, 6, 6, 0]):
        for name, row in figures(net, rows).items():
            for figure in ("lipschitz_upper_bound", "gradient", "adversarial", "rkhs_upper_bound", "interpolation"):
                known = whole[name][figure]
                assert row[figure] == (None if known is None else pytest.approx(known, rel=1e-3))
    for name, row in figures(net, [1, 3, 4, 6]).items():
        assert row["gradient"] <= whole[name]["gradient"] * (1 + 1e-9)
        assert row["adversarial"] <= whole[name]["adversarial"] * (1 + 1e-9)
        assert row["interpolation"] is None or row["interpolation"] <= whole[name]["interpolation"] * (1 + 1e-6)
    with torch.no_grad():
        net.module.get_parameter("output.weight").mul_(3)
        net.module.get_parameter("output.bias").add_(7)
    for name, row in figures(net, [*range(7)]).items():
        for figure in ("lipschitz_upper_bound", "gradient", "rkhs_upper_bound", "interpolation"):
            known = whole[name][figure]
            assert row[figure] == (None if known is None else pytest.approx(3 * known))


def test_both_strands_and_proteins_are_reported() -> None:
    for data, strands in ((some_sequences(DNA, ("a", "b")), True), (some_sequences(PROTEIN, ("a", "b")), False)):
        report = norm_report(network("cnn:filters=4,width=3", data, strands=strands), data, restarts=0)
        assert list(report.per_class) == ["b"]
        assert report.lower_bounds["adversarial"] is not None
        assert report.lower_bounds["adversarial"] <= (report.lipschitz_upper_bound or 0)


def test_without_data_only_upper_bounds_are_known() -> None:
    data = some_sequences(DNA)
    report = norm_report(network("cnn:filters=4,width=3", data))
    assert set(report.lower_bounds.values()) == {None}
    assert [row["name"] for row in to_plain(report)["layers"]] == ["convs.0", "output"]


def test_interpolation_is_the_least_norm_through_what_was_seen() -> None:
    """One smooth filter over one window: its norm in the space is reached where it has been seen often enough."""
    data = some_sequences(DNA, ("a", "b"), lengths=(2,) * 60)
    net = network("smooth-cnn:filters=1,width=2,smoothing=1", data, scale=1.5)
    report = norm_report(net, data, restarts=0)
    row = report.per_class["b"]
    assert 0.9 * row["rkhs_upper_bound"] <= row["interpolation"] <= row["rkhs_upper_bound"]
    assert report.rkhs["upper_bound"] == row["rkhs_upper_bound"]
    assert report.rkhs["upper_bound_log10"] == pytest.approx(math.log10(row["rkhs_upper_bound"]))


def test_the_terms_of_the_margin_bound() -> None:
    data = some_sequences(DNA, ("a", "b"), lengths=(9,) * 20)
    net = network("smooth-cnn:filters=3,width=2", data)
    report = norm_report(net, data, restarts=0)
    logits = net.outputs(data)[:, 0]
    margin = np.quantile(np.where(data.y == 1, logits, -logits), 0.1)
    assert report.margin_bound is not None
    assert report.margin_bound["norm"] == report.rkhs["upper_bound"]
    assert report.margin_bound["n"] == 20
    assert report.margin_bound["margin"] == pytest.approx(margin, abs=1e-6)
    term = report.margin_bound["complexity_term"]
    assert term == (pytest.approx(report.rkhs["upper_bound"] / margin / math.sqrt(20)) if margin > 0 else None)


def test_window_kernel_is_the_mean_over_pairs_of_windows() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(2, 4, 9).double(), torch.rand(3, 4, 7).double()
    counts, other_counts = torch.tensor([7, 4]), torch.tensor([5, 5, 2])
    kernel = window_kernel(x, y, 3, counts, other_counts)
    for i, j in itertools.product(range(2), range(3)):
        total = 0.0
        for t, u in itertools.product(range(int(counts[i])), range(int(other_counts[j]))):
            p, q = x[i, :, t : t + 3] / math.sqrt(3), y[j, :, u : u + 3] / math.sqrt(3)
            total += float(p.norm() * q.norm() * arc_cosine((p * q).sum() / (p.norm() * q.norm())))
        assert float(kernel[i, j]) == pytest.approx(total / float(counts[i] * other_counts[j]))


def test_neither_blocks_nor_processes_change_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = some_sequences(DNA)
    net = network("cnn:filters=5,width=4", data)
    whole = norm_report(net, data, restarts=1)
    monkeypatch.setattr("seqreg.sensitivity.norm.FEW", 2)
    told: list[tuple[int, int]] = []
    parts = norm_report(net, data, restarts=1, progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 4) for i in (1, 2, 3, 4)]
    for name, value in whole.lower_bounds.items():
        assert parts.lower_bounds[name] == (value if value is None else pytest.approx(value, rel=1e-4)), name


@pytest.mark.usefixtures("forked")
def test_bounds_are_climbed_in_any_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqreg.sensitivity.norm.FEW", 8)
    data = some_sequences(DNA, lengths=LENGTHS * 3)
    net = network("smooth-cnn:filters=6,width=4", data)
    alone = norm_report(net, data, restarts=1)
    beside = norm_report(net, data, restarts=1, spread=SideBySide(workers=2, pays=1e-9))
    assert to_plain(alone) == to_plain(beside)
