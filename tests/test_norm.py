"""The norm report: every lower bound stays below its upper bound, on trained and on random networks."""

import itertools
import math

import numpy as np
import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.evaluation.norm import norm_report
from seqreg.networks.smooth import arc_cosine, window_kernel
from seqreg.networks.trained import Architecture, TrainedNetwork
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, fit, with_defaults

LENGTHS = np.array([12, 5, 20, 9, 3, 20, 16])


def some_sequences(alphabet: Alphabet, classes: tuple[str, ...] = ("a", "b", "c")) -> SequenceSet:
    generator = np.random.default_rng(0)
    return SequenceSet(
        alphabet=alphabet,
        names=[str(i) for i in range(len(LENGTHS))],
        codes=generator.integers(0, alphabet.pad, LENGTHS.sum()).astype(np.uint8),
        offsets=np.concatenate([[0], np.cumsum(LENGTHS)]),
        classes=classes,
        y=np.arange(len(LENGTHS)) % len(classes),
    )


def network(model: str, data: SequenceSet, scale: float = 1.0, strands: bool = False) -> TrainedNetwork:
    architecture = Architecture(
        model=model,
        encoding="one-hot",
        alphabet=data.alphabet.name,
        classes=data.classes,
        positive=None,
        multi_label=False,
        length=int(data.lengths.max()),
        shortest=int(data.lengths.min()),
        reverse_complement=strands,
    )
    torch.manual_seed(0)
    module = architecture.build()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(scale)
    return TrainedNetwork(architecture=architecture, module=module)


MODELS = [
    *(
        f"cnn:filters=5,width=4,pooling={pooling},depth={depth},hidden={hidden}"
        for pooling, depth, hidden in itertools.product(("max", "mean", "position"), (1, 2), (0, 3))
    ),
    "cnn:filters=5,width=4,activation=smoothed-relu",
    "smooth-cnn:filters=6,width=4,smoothing=0.5",
    "smooth-cnn:filters=6,width=4",
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("trained", [False, True])
def test_lower_bounds_stay_below_upper_bounds(model: str, trained: bool) -> None:
    data = some_sequences(DNA, ("a", "b") if trained else ("a", "b", "c"))
    net = network(model, data, scale=1.5)
    if trained:
        config = with_defaults(TrainConfig(model=model, epochs=15, batch_size=4, lr=0.02, penalty=()), data, None)
        fit(net.module, config, data, None)  # pyright: ignore[reportArgumentType]
    report = norm_report(net, data, restarts=int(trained))
    for row in report.per_class.values():
        for name in ("gradient", "adversarial", "deformation"):
            assert row[name] is None or 0 <= row[name] <= row["lipschitz_upper_bound"] * (1 + 1e-9)
        assert row["gradient"] is not None
        if row["interpolation"] is not None:
            assert row["interpolation"] <= row["rkhs_upper_bound"] * (1 + 1e-9)
    assert (report.rkhs["exact_for"] is not None) == model.startswith("smooth")
    assert report.lipschitz_upper_bound == max(row["lipschitz_upper_bound"] for row in report.per_class.values())


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


def test_gradient_bound_is_the_norm_of_a_linear_network() -> None:
    data = some_sequences(DNA, ("a", "b"))
    net = network("cnn:filters=1,width=20,activation=identity,pooling=max", data)
    state = net.module.double().state_dict()
    weight = float(state["output.weight"].abs() * state["convs.0.weight"].norm())
    full = data.subset(np.flatnonzero(data.lengths == 20))
    report = norm_report(net, full, restarts=0)
    assert report.lower_bounds["gradient"] == pytest.approx(weight)
    assert report.lower_bounds["adversarial"] == pytest.approx(weight, rel=1e-6)


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
