"""Penalties: closed forms on a linear module, slow oracles on seqreg's networks, and no trouble at zero gradients."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqreg.alphabet import ALPHABETS
from seqreg.errors import UsageError
from seqreg.networks import CNN, ConvNet, as_onehot
from seqreg.penalties import (
    Adversarial,
    Deformation,
    Gradient,
    LossGradient,
    Spectral,
    Tangent,
    VirtualAdversarial,
    WeightDecay,
)
from seqreg.penalties.letters import Letters
from tests import oracles

LENGTHS = torch.tensor([13, 2, 5, 9, 4, 7])
NETWORKS = [
    (alphabet, pooling, depth, strands, hidden)
    for alphabet, pooling, depth, strands, hidden in itertools.product(
        ("dna", "protein"), ("max", "mean", "position"), (1, 2), (False, True), (0, 5)
    )
    if (alphabet == "dna" or not strands) and (pooling == "max" or not hidden)
]
FEW = [
    ("dna", "max", 1, True, 5),
    ("protein", "max", 1, False, 0),
    ("dna", "mean", 2, True, 0),
    ("protein", "position", 1, False, 0),
]


def build(
    alphabet: str, pooling: str, depth: int, strands: bool, hidden: int, activation: str = "relu", outputs: int = 3
) -> ConvNet:
    torch.manual_seed(1)
    spec = CNN(
        filters=7, width=4 if depth == 1 else 3, depth=depth, pooling=pooling, hidden=hidden, activation=activation
    )
    return spec.build(ALPHABETS[alphabet], outputs=outputs, length=11, reverse_complement=strands).double()


def batch(alphabet: str, lengths: Tensor = LENGTHS) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    longest, pad = int(lengths.max()), ALPHABETS[alphabet].pad
    ids = torch.randint(0, pad, (len(lengths), longest), dtype=torch.uint8, generator=generator)
    return torch.where(torch.arange(longest) < lengths[:, None], ids, torch.tensor(pad, dtype=torch.uint8))


class Linear(nn.Module):
    """Logits W x + b of one-hot x (N, A, L)."""

    def __init__(self, letters: int = 4, length: int = 9, outputs: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(letters * length, outputs, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


def one_hot(n: int = 5, letters: int = 4, length: int = 9) -> Tensor:
    return nn.functional.one_hot(torch.randint(letters, (n, length)), letters).transpose(1, 2).double()


def assert_same(mine: Tensor, other: Tensor, net: nn.Module) -> None:
    """Equal values, and equal gradients in every parameter."""
    assert mine.shape == ()
    assert float(other.detach()) > 0
    torch.testing.assert_close(mine, other, atol=1e-10, rtol=1e-10)
    ours, theirs = (
        torch.autograd.grad(value, [*net.parameters()], retain_graph=True, allow_unused=True, materialize_grads=True)
        for value in (mine, other)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-8)


# ---- closed forms


def test_linear_module_has_closed_forms() -> None:
    net, x, y = Linear(), one_hot(), torch.tensor([0, 1, 2, 0, 1])
    weight = net.layer.weight
    squares = weight.square().sum()
    assert_same(WeightDecay(weight=0.3)(net, x, y), 0.3 * squares, net)
    for over in ("max", "mean"):
        assert_same(Gradient(weight=0.3, over=over)(net, x, y), 0.3 * squares, net)
        for signs in (1, 2):
            penalty = Adversarial(weight=0.3, epsilon=0.7, over=over, signs=signs)
            assert_same(penalty(net, x, y), 0.3 * 0.49 * squares, net)


def test_linear_module_has_closed_form_loss_gradients() -> None:
    net, x, y = Linear(outputs=1), one_hot(), torch.tensor([0, 1, 1, 0, 1])
    residual = torch.sigmoid(net(x)[:, 0]) - y
    weight = net.layer.weight
    assert_same(LossGradient(weight=2)(net, x, y), 2 * residual.square().mean() * weight.square().sum(), net)
    l1 = LossGradient(weight=2, norm="l1")(net, x, y)
    assert_same(l1, 2 * residual.abs().mean() * weight.abs().sum(), net)


def test_linear_module_has_closed_form_tangents() -> None:
    net, x, y = Linear(), one_hot(), torch.zeros(5, dtype=torch.int64)
    opposite = x.flip(1, 2)  # the complement of A C G T is T G C A
    moves = (opposite - x).flatten(1) @ net.layer.weight.t()
    strands = ("reverse-complement",)
    assert_same(Deformation(set=strands)(net, x, y), moves.square().amax(0).sum(), net)
    assert_same(Tangent(weight=1, set=strands, reduce="sum")(net, x, y), moves.square().amax(0).sum(), net)
    per_length = moves.square() / (opposite - x).square().sum((1, 2))[:, None]
    assert_same(Tangent(weight=1, set=strands)(net, x, y), per_length.amax(0).sum(), net)


# ---- slow oracles

ORACLES: list[tuple[Any, Callable[..., Tensor], dict[str, Any]]] = [
    (Gradient(weight=1), oracles.gradient_penalty, {}),
    (Gradient(weight=1, over="mean"), oracles.gradient_penalty, {"over": "mean"}),
    (LossGradient(weight=1), oracles.loss_gradient_penalty, {}),
    (LossGradient(weight=1, norm="l1"), oracles.loss_gradient_penalty, {"norm": "l1"}),
    (Adversarial(epsilon=0.8, steps=3), oracles.adversarial_penalty, {"epsilon": 0.8, "steps": 3}),
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize(
    ("penalty", "oracle", "fields"),
    ORACLES,
    ids=lambda value: str(value)[:70] if not callable(value) or hasattr(value, "weight") else "",
)
def test_penalty_is_what_its_formula_says(
    network: tuple[Any, ...], penalty: Any, oracle: Callable[..., Tensor], fields: dict[str, Any]
) -> None:
    net, ids, y = build(*network), batch(network[0]), torch.tensor([0, 1, 2, 0, 1, 2])
    xs = oracles.alone(net, ids)
    expected = oracle(net, xs, y, **fields)
    assert_same(penalty(net, ids, y), expected, net)
    assert_same(penalty(net, net.one_hot(ids), y, lengths=net.lengths(ids)), expected, net)


@pytest.mark.parametrize("network", FEW, ids=str)
@pytest.mark.parametrize(
    "fields", [{"signs": 2}, {"over": "mean"}, {"signs": 2, "over": "mean"}, {"epsilon": 3.0}], ids=str
)
def test_adversarial_variants(network: tuple[Any, ...], fields: dict[str, Any]) -> None:
    net, y = build(*network), torch.zeros(6, dtype=torch.int64)
    ids = batch(network[0], LENGTHS + 3)  # nothing shorter than a filter
    fields = {"epsilon": 0.8, "steps": 4, **fields}
    expected = oracles.adversarial_penalty(net, oracles.alone(net, ids), y, **fields)
    assert_same(Adversarial(**fields)(net, ids, y), expected, net)


@pytest.mark.parametrize("network", FEW, ids=str)
@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("task", ["binary", "classes", "labels"])
def test_virtual_adversarial_follows_the_dense_hessian(network: tuple[Any, ...], steps: int, task: str) -> None:
    net = build(*network, activation="smoothed-relu", outputs=1 if task == "binary" else 3)
    ids = batch(network[0], torch.tensor([7, 2, 5, 9, 4, 6]) - 1)
    y = torch.zeros(6, 3) if task == "labels" else torch.zeros(6, dtype=torch.int64)
    expected = oracles.virtual_adversarial_penalty(net, oracles.alone(net, ids), y, epsilon=0.8, steps=steps)
    assert_same(VirtualAdversarial(epsilon=0.8, steps=steps)(net, ids, y), expected, net)


@pytest.mark.parametrize("network", FEW, ids=str)
@pytest.mark.parametrize("over", ["max", "mean"])
@pytest.mark.parametrize("given_as", ["ids", "one-hot"])
def test_deformation_takes_the_largest_move(network: tuple[Any, ...], over: str, given_as: str) -> None:
    net, ids, y = build(*network), batch(network[0]), torch.zeros(6, dtype=torch.int64)
    names = ("shift", "insertion", "deletion", "similar")
    options = {"samples": 3, "size": 2, "threshold": 0, "progress": 0.25}
    drawn = list(Letters(as_onehot(net, ids)).deformed(names, keep_length=False, **options))
    assert len(drawn) == 12
    clean = net(ids)
    moves = torch.stack([torch.cat([net(row[None]) for row in variant]) - clean for variant in drawn]).square().amax(0)
    expected = (moves.amax(0) if over == "max" else moves.mean(0)).sum()
    penalty = Deformation(set=names, samples=3, size=2, threshold=0, over=over)
    given = (ids, None) if given_as == "ids" else (net.one_hot(ids), net.lengths(ids))
    assert_same(penalty(net, given[0], y, progress=0.25, lengths=given[1]), expected, net)


@pytest.mark.parametrize("network", FEW, ids=str)
@pytest.mark.parametrize("over", ["max", "mean"])
@pytest.mark.parametrize("reduce", ["max", "sum"])
def test_tangent_projects_the_gradient(network: tuple[Any, ...], reduce: str, over: str) -> None:
    net, ids, y = build(*network), batch(network[0]), torch.zeros(6, dtype=torch.int64)
    names = ("shift", "insertion", "similar")
    options = {"samples": 2, "size": 2, "threshold": 0, "progress": 0.5}
    drawn = list(Letters(as_onehot(net, ids)).deformed(names, keep_length=True, **options))
    xs, slopes = oracles.alone(net, ids), []
    for i, gradients in enumerate(oracles.input_gradients(net, xs)):
        tangents = [(oracles.alone(net, variant)[i] - xs[i])[0] for variant in drawn]
        if reduce == "max":
            tangents = [t / t.norm() for t in tangents if t.norm() > 0]
        squares = torch.stack([torch.stack([(g * t).sum().square() for t in tangents]) for g in gradients])
        slopes.append(squares.amax(1) if reduce == "max" else squares.sum(1))
    each = torch.stack(slopes)
    penalty = Tangent(weight=1, set=names, samples=2, size=2, threshold=0, reduce=reduce, over=over)
    expected = (each.amax(0) if over == "max" else each.mean(0)).sum()
    assert_same(penalty(net, ids, y, progress=0.5), expected, net)


# ---- derivatives in the weights


@pytest.mark.parametrize(
    "penalty",
    [
        WeightDecay(),
        Gradient(),
        Gradient(over="mean"),
        LossGradient(),
        LossGradient(norm="l1"),
        Deformation(),
        Tangent(),
        Spectral(),
        Spectral(mode="operator"),
    ],
    ids=str,
)
def test_penalty_has_the_slope_of_its_finite_differences(penalty: Any) -> None:
    net = build("protein", "max", 1, strands=False, hidden=0, activation="smoothed-relu")
    assert_right_slope(penalty, net, batch("protein"))


@pytest.mark.parametrize("signs", [1, 2])
def test_adversarial_penalty_has_the_slope_of_its_finite_differences_at_its_maximum(signs: int) -> None:
    assert_right_slope(Adversarial(signs=signs), Linear(), one_hot(6))


def assert_right_slope(penalty: Any, net: nn.Module, x: Tensor) -> None:
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    weights = [*net.parameters()]
    gradient = torch.autograd.grad(penalty(net, x, y), weights, allow_unused=True, materialize_grads=True)
    direction = [torch.randn_like(weight) for weight in weights]
    slope = sum((g * v).sum() for g, v in zip(gradient, direction, strict=True))
    values = []
    for step in (1e-7, -2e-7):
        with torch.no_grad():
            for weight, v in zip(weights, direction, strict=True):
                weight += step * v
        values.append(penalty(net, x, y).detach())
    torch.testing.assert_close((values[0] - values[1]) / 2e-7, slope, rtol=1e-5, atol=1e-8)


# ---- upper bounds


@pytest.mark.parametrize("mode", ["reshaped", "operator"])
def test_spectral_penalty_sums_squared_norms_of_layers(mode: str) -> None:
    net = nn.Sequential(
        nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.Conv1d(6, 4, 2, groups=2), nn.Flatten(), nn.Linear(8, 3)
    )
    net = net.double()
    first, second, third = net[0].weight, net[2].weight, net[4].weight
    expected = torch.linalg.matrix_norm(third, 2).square()
    if mode == "reshaped":
        expected = expected + torch.linalg.matrix_norm(first.flatten(1), 2).square()
        expected = expected + torch.linalg.matrix_norm(second.view(2, 2, 6), 2).amax().square()
        assert_same(Spectral(weight=0.3)(net, one_hot(), torch.zeros(5)), 0.3 * expected, net)
        return
    expected = expected.detach()
    upper = Spectral(weight=1, mode=mode)(net, one_hot(), torch.zeros(5)).detach()
    for length in (6, 40):  # a convolution as a dense matrix, by its answers to unit impulses
        dense = sum(
            torch.linalg.matrix_norm(
                conv(torch.eye(conv.in_channels * length).double().view(-1, conv.in_channels, length)).flatten(1), 2
            ).square()
            for conv in (without_bias(net[0]), without_bias(net[2]))
        )
        assert float(expected + dense) <= float(upper)
    assert float(upper) <= 1.08 * float(expected + dense)


def without_bias(conv: nn.Conv1d) -> nn.Conv1d:
    copy = nn.Conv1d(conv.in_channels, conv.out_channels, conv.kernel_size[0], groups=conv.groups, bias=False).double()
    copy.weight = nn.Parameter(conv.weight.detach(), requires_grad=False)
    return copy


# ---- what does not work is refused


@pytest.mark.parametrize("network", FEW, ids=str)
@pytest.mark.parametrize(
    "penalty", [Gradient(), LossGradient(), Tangent(), Adversarial(), VirtualAdversarial(), Deformation()], ids=str
)
def test_penalties_do_not_ask_that_weights_can_be_trained(penalty: Any, network: tuple[Any, ...]) -> None:
    """All of a network, or its filters alone, may be kept as they are."""
    net, ids, y = build(*network), batch(network[0]), torch.tensor([0, 1, 2, 1, 0, 2])

    def value() -> float:
        torch.manual_seed(4)
        return penalty(net, ids, y).item()

    trainable = value()
    net.convs.requires_grad_(False)
    assert value() == pytest.approx(trainable)
    net.requires_grad_(False)
    assert value() == pytest.approx(trainable)


def test_deformations_need_letters() -> None:
    y = torch.zeros(5, dtype=torch.int64)
    with pytest.raises(UsageError, match="alphabets of 4 and 20"):
        Deformation()(Linear(letters=5), one_hot(letters=5), y)
    x = one_hot()
    with pytest.raises(UsageError, match="each column one-hot"):
        Tangent()(Linear(), 0.7 * x + 0.3 * x.flip(1), y)  # a mixture that no symbol stands for
    with pytest.raises(UsageError, match="reverse-complement needs dna or rna"):
        Deformation(set=("reverse-complement",))(Linear(letters=20), one_hot(letters=20), y)


def test_weight_decay_leaves_biases_and_normalisation_alone() -> None:
    net = nn.Sequential(nn.Conv1d(4, 3, 2), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(9, 2))
    expected = net[0].weight.square().sum() + net[3].weight.square().sum()
    torch.testing.assert_close(WeightDecay(weight=1)(net, one_hot(), torch.zeros(5)), expected)
    with pytest.raises(UsageError, match="no layer whose trained weights"):
        WeightDecay()(nn.Flatten(), one_hot(), torch.zeros(5))
