"""Networks that seqreg did not write, each as its authors write it: right values, and the caller's world as found.

Every penalty, constraint and attack, in training and in evaluation mode, against plain lines of `tests.oracles`.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from seqreg.alphabet import DNA
from seqreg.attacks import ATTACKS, PGD, Beam, Substitution
from seqreg.constraints import CONSTRAINTS, SpectralNorm
from seqreg.deformations import DEFORMATIONS, refit
from seqreg.errors import UsageError
from seqreg.networks import weights
from seqreg.penalties import (
    PENALTIES,
    RKHS,
    Adversarial,
    Certified,
    Deformation,
    Gradient,
    Hamming,
    LossGradient,
    Spectral,
    Tangent,
    VirtualAdversarial,
    WeightDecay,
)
from tests import oracles

N, L = 6, 16
SET = ("shift", "insertion", "similar")


class Basset(nn.Module):
    """Convolutions with BatchNorm, then fully connected layers with BatchNorm and dropout; three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(4, 6, 5, padding=2), nn.BatchNorm1d(6)
        self.conv2, self.bn2 = nn.Conv1d(6, 5, 3, padding=1), nn.BatchNorm1d(5)
        self.fc1, self.bn3 = nn.Linear(5 * 4, 7), nn.BatchNorm1d(7)
        self.dropout, self.fc2 = nn.Dropout(0.3), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool1d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc2(self.dropout(F.relu(self.bn3(self.fc1(x.flatten(1))))))


class BPNet(nn.Module):
    """A wide first convolution, dilated convolutions with residuals, mean pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.iconv = nn.Conv1d(4, 6, 5, padding=2)
        self.rconvs = nn.ModuleList(nn.Conv1d(6, 6, 3, padding=2**i, dilation=2**i) for i in (1, 2))
        self.linear = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.iconv(x))
        for conv in self.rconvs:
            x = x + F.relu(conv(x))
        return self.linear(x.mean(2))


class DeepSEA(nn.Sequential):
    """Convolutions with dropout between them; one logit."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(4, 6, 4), nn.ReLU(inplace=True), nn.MaxPool1d(2), nn.Dropout(0.2),
            nn.Conv1d(6, 5, 3), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(),
            nn.Linear(5 * 4, 6), nn.ReLU(inplace=True), nn.Linear(6, 1),
        )  # fmt: skip


class Recurrent(nn.Module):
    """A bidirectional recurrent layer over positions, its last state, one logit as (N,)."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn = kind(4, 5, batch_first=True, bidirectional=True)  # pyright: ignore[reportCallIssue]
        self.head = nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x.transpose(1, 2))[0].mean(1)).squeeze(-1)


class Transformer(nn.Module):
    """Learned positions, one encoder layer with LayerNorm and dropout, three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.position = nn.Linear(4, 8), nn.Parameter(torch.randn(L, 8))
        layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=12, dropout=0.1, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x.transpose(1, 2)) + self.position).mean(1))


class Images(nn.Module):
    """A sequence as an image (N, 1, A, L), the first kernel over all letters; BatchNorm2d."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, (4, 5)), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, (1, 3)), nn.ReLU()
        )
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x.unsqueeze(1)).amax((2, 3)))


class TwoInputs(nn.Module):
    """Letters, and two numbers for each sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv1d(4, 5, 4), nn.BatchNorm1d(5)
        self.both = nn.Bilinear(5, 2, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.head(torch.tanh(self.both(F.relu(self.bn(self.conv(x))).mean(2), z)))


class WeightNormed(nn.Sequential):
    """Every layer with its weight's size and direction apart."""

    def __init__(self) -> None:
        super().__init__(
            weight_norm(nn.Conv1d(4, 6, 4)),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(2),
            nn.Flatten(),
            weight_norm(nn.Linear(12, 2)),
        )


class Tied(nn.Module):
    """Letters embedded and read out again by one matrix, and an autoencoder's way back by a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 6)
        self.down, self.up = nn.Conv1d(6, 5, 3, stride=2), nn.ConvTranspose1d(5, 6, 3, stride=2)
        self.norm, self.decoder = nn.LayerNorm((15, 6)), nn.Linear(6, 4, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        h = (x.transpose(1, 2) @ self.embedding.weight).transpose(1, 2)
        return self.decoder(self.norm(torch.tanh(self.up(torch.tanh(self.down(h)))).transpose(1, 2))).amax(1)


class SpectralNormed(nn.Sequential):
    """Normed by power iteration, whose vectors are buffers that a forward pass moves on; normed within the sequence."""

    def __init__(self) -> None:
        super().__init__(
            nn.utils.parametrizations.spectral_norm(nn.Conv1d(4, 6, 3)), nn.InstanceNorm1d(6, affine=True),
            nn.GELU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 2),
        )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "basset": Basset,
    "bpnet": BPNet,
    "deepsea": DeepSEA,
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "transformer": Transformer,
    "images": Images,
    "two-inputs": TwoInputs,
    "weight-normed": WeightNormed,
    "tied": Tied,
    "spectral-normed": SpectralNormed,
}
BUILT = [(name, training) for name in NETWORKS for training in (True, False)]


class Case:
    """A network in double precision with running statistics that are not those of the beginning, and a batch."""

    def __init__(self, name: str, training: bool) -> None:
        torch.manual_seed(5)
        self.net = NETWORKS[name]().double()
        self.ids = torch.randint(4, (N, L), dtype=torch.uint8)
        self.x = F.one_hot(self.ids.long(), 4).transpose(1, 2).double()
        self.inputs = (torch.randn(N, 2, dtype=torch.float64),) if name == "two-inputs" else ()
        self.net(self.x, *self.inputs)
        self.net.train(training)
        classes = self.plain()(self.x).shape[1]
        self.y = torch.arange(N) % max(classes, 2)

    def plain(self) -> oracles.Plain:
        return oracles.Plain(self.net, self.inputs)

    def variants(self, progress: float) -> list[Tensor]:
        """Deformed batches, drawn as the penalties draw them, at the length they had."""
        generator = torch.Generator().manual_seed(round(progress * 2**40))
        drawn = [DEFORMATIONS[kind](self.ids, DNA, generator, size=3, threshold=1.0) for kind in SET]
        fitted = [refit(ids, torch.full((N,), L), L, DNA) for ids in drawn]
        mixtures = torch.as_tensor(DNA.mixtures.copy(), dtype=torch.float64)
        return [mixtures[ids.long()].transpose(1, 2) for ids in fitted]


@contextmanager
def untouched(net: nn.Module, *, weights_may_move: bool = False) -> Iterator[None]:
    """Buffers (the same tensors, of the same values), random state, training flag, `.grad` and weights stay."""
    for weight in net.parameters():
        weight.grad = torch.ones_like(weight)
    buffers = {name: (buffer, buffer.clone()) for name, buffer in net.named_buffers()}
    weights = [weight.detach().clone() for weight in net.parameters()]
    modes, state = [module.training for module in net.modules()], torch.get_rng_state()
    yield
    assert all(bool((weight.grad == 1).all()) for weight in net.parameters() if weight.grad is not None)
    for name, buffer in net.named_buffers():
        assert buffer is buffers[name][0]
        assert torch.equal(buffer, buffers[name][1])
    assert modes == [module.training for module in net.modules()]
    assert torch.equal(state, torch.get_rng_state())
    if not weights_may_move:
        assert all(map(torch.equal, weights, net.parameters()))


# ---- penalties

VALUES: list[tuple[Any, Callable[..., Tensor], dict[str, Any]]] = [
    (Gradient(weight=1), oracles.plain_gradient, {}),
    (Gradient(weight=1, over="mean"), oracles.plain_gradient, {"over": "mean"}),
    (LossGradient(weight=1), oracles.plain_loss_gradient, {}),
    (LossGradient(weight=1, norm="l1"), oracles.plain_loss_gradient, {"norm": "l1"}),
    (Adversarial(epsilon=1), oracles.plain_adversarial, {}),
    (Adversarial(epsilon=1, signs=2, over="mean"), oracles.plain_adversarial, {"signs": 2, "over": "mean"}),
    (VirtualAdversarial(), oracles.plain_virtual_adversarial, {}),
]


def slopes(value: Tensor, net: nn.Module) -> tuple[Tensor, ...]:
    trained = [*net.parameters()]
    return torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True, materialize_grads=True)


def assert_same(mine: Tensor, plain: Tensor, net: nn.Module) -> None:
    assert float(plain.detach()) > 0
    torch.testing.assert_close(mine, plain, atol=1e-10, rtol=1e-6)
    for ours, theirs in zip(slopes(mine, net), slopes(plain, net), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-6)


def named(value: Any) -> str:
    """The id of a case: the same in every process, unlike how Python shows a function."""
    return getattr(value, "__name__", str(value) if value else "")


@pytest.mark.parametrize(("name", "training"), BUILT)
@pytest.mark.parametrize(("penalty", "plain", "fields"), VALUES, ids=named)
def test_a_penalty_is_what_plain_lines_compute(
    name: str, training: bool, penalty: Any, plain: Callable[..., Tensor], fields: dict[str, Any]
) -> None:
    case = Case(name, training)
    expected = plain(case.plain(), case.x, case.y, **fields)
    with untouched(case.net):
        value = penalty(case.net, case.x, case.y, inputs=case.inputs)
    assert_same(value, expected, case.net)


@pytest.mark.parametrize(("name", "training"), BUILT)
@pytest.mark.parametrize("over", ["max", "mean"])
def test_deformations_and_tangents_are_what_plain_lines_compute(name: str, training: bool, over: str) -> None:
    case = Case(name, training)
    variants, options = case.variants(0.25), {"progress": 0.25, "inputs": case.inputs}
    moved = oracles.plain_moves(case.plain(), case.x, variants, over=over)
    steepest = oracles.plain_tangents(case.plain(), case.x, variants, over=over)
    raw = oracles.plain_tangents(case.plain(), case.x, variants, reduce="sum", over=over)
    with untouched(case.net):
        values = [
            penalty(case.net, case.x, case.y, **options)
            for penalty in (
                Deformation(set=SET, over=over),
                Tangent(weight=1, set=SET, over=over),
                Tangent(weight=1, set=SET, over=over, reduce="sum"),
            )
        ]
    for mine, plain in zip(values, (moved, steepest, raw), strict=True):
        assert_same(mine, plain, case.net)


def matrices(net: nn.Module) -> list[Tensor]:
    """Weights as matrices whose spectral norms are penalised in mode "reshaped", by hand for each kind of layer."""
    found: list[Tensor] = []
    for layer in net.modules():
        if isinstance(layer, nn.MultiheadAttention):
            found += layer.in_proj_weight.split(layer.embed_dim)
        elif isinstance(layer, nn.RNNBase):
            found += [weight for name, weight in layer.named_parameters() if name.startswith("weight")]
        elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.Linear | nn.Embedding):
            tied = isinstance(net, Tied) and layer is net.decoder
            found += [] if tied else [layer.weight.flatten(1)]
    return found


LEFT_OUT = {"transformer": "position", "two-inputs": "both.weight"}


@contextmanager
def warned(name: str) -> Iterator[None]:
    """What has no norm is named in a warning the first time, and never again."""
    weights._warn_once.cache_clear()
    if name not in LEFT_OUT:
        yield
        return
    with pytest.warns(UserWarning, match=LEFT_OUT[name].replace(".", r"\.")):
        yield


@pytest.mark.parametrize(("name", "training"), BUILT)
def test_penalties_on_weights_take_all_layers(name: str, training: bool) -> None:
    case = Case(name, training)
    with warned(name), untouched(case.net):
        value = Spectral(weight=1)(case.net, case.x, case.y)
    Spectral()(case.net, case.x, case.y)  # silent now: warnings are errors here
    if name == "spectral-normed":  # what its weight is depends on where its power iteration stands
        return
    norms = torch.stack([torch.linalg.matrix_norm(matrix, 2) for matrix in matrices(case.net)])
    assert_same(value, norms.square().sum(), case.net)
    others = [case.net.get_parameter(place) for place in [LEFT_OUT.get(name)] if place]
    squares = torch.stack([matrix.square().sum() for matrix in [*matrices(case.net), *others]])
    with untouched(case.net):
        value = WeightDecay(weight=1)(case.net, case.x, case.y)
    assert_same(value, squares.sum(), case.net)


def test_operator_norms_are_bounds_of_the_dense_operators() -> None:
    layers: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        "transposed": (nn.ConvTranspose1d(3, 4, 5, stride=2, bias=False), (3, 20)),
        "wide": (nn.Conv2d(3, 4, (1, 5), stride=(1, 2), bias=False), (3, 2, 30)),
        "high": (nn.Conv2d(4, 4, (5, 1), groups=2, dilation=(2, 1), bias=False), (4, 30, 2)),
        "pointwise": (nn.Conv2d(3, 4, 1, bias=False), (3, 4, 4)),
    }
    for layer, shape in layers.values():
        layer.double()
        impulses = torch.eye(int(np.prod(shape))).double().view(-1, *shape)
        dense = torch.linalg.matrix_norm(layer(impulses).flatten(1), 2).detach()
        x = F.one_hot(torch.zeros(1, 1).long(), 4).mT.double()
        bound = Spectral(weight=1, mode="operator")(layer, x, torch.zeros(1)).detach().sqrt()
        assert float(dense) <= float(bound) <= 1.2 * float(dense)
        SpectralNorm(radius=0.3, decay=1e-9, mode="operator").project_(layer, 9)
        assert float(torch.linalg.matrix_norm(layer(impulses).flatten(1), 2).detach()) <= 0.3 * (1 + 1e-9)


@pytest.mark.parametrize(("name", "training"), BUILT)
@pytest.mark.parametrize("penalty", [Hamming(), Certified(), RKHS()], ids=str)
def test_penalties_that_read_seqregs_layers_say_so(name: str, training: bool, penalty: Any) -> None:
    case = Case(name, training)
    with untouched(case.net), pytest.raises(UsageError, match=r"has no bound for a|knows the norm of smooth-cnn"):
        penalty(case.net, case.x, case.y, inputs=case.inputs)


# ---- constraints


@pytest.mark.parametrize(("name", "training"), BUILT)
@pytest.mark.parametrize("mode", ["reshaped", "operator"])
def test_a_constraint_bounds_every_layer_that_has_a_norm(name: str, training: bool, mode: str) -> None:
    case = Case(name, training)
    weights._warn_once.cache_clear()
    if name in ("weight-normed", "spectral-normed"):
        with untouched(case.net), pytest.raises(UsageError, match=r"computed from other tensors"):
            SpectralNorm(mode=mode).project_(case.net, 3)
        return
    radius, before = 0.4, {id(w): w.detach().clone() for w in case.net.parameters()}
    with untouched(case.net, weights_may_move=True), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        SpectralNorm(radius=radius, decay=1e-9, mode=mode).project_(case.net, 3)
    left = {"images": "features.0.weight"} | LEFT_OUT if mode == "operator" else LEFT_OUT
    assert [left[name] in str(each.message) for each in said] == [True] * (name in left)
    for layer in case.net.modules():
        convolution = isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d)
        if convolution and mode == "reshaped":
            near = oracles.clipped(before[id(layer.weight)].flatten(1), radius).view_as(layer.weight)
            torch.testing.assert_close(layer.weight.detach(), near)
        elif isinstance(layer, nn.Linear | nn.Embedding):
            torch.testing.assert_close(layer.weight.detach(), oracles.clipped(before[id(layer.weight)], radius))
        elif isinstance(layer, nn.RNNBase):
            for weight in (layer.weight_ih_l0, layer.weight_hh_l0_reverse):
                assert isinstance(weight, Tensor)
                torch.testing.assert_close(weight.detach(), oracles.clipped(before[id(weight)], radius))
        elif isinstance(layer, nn.MultiheadAttention):
            near = torch.cat([oracles.clipped(part, radius) for part in before[id(layer.in_proj_weight)].chunk(3)])
            torch.testing.assert_close(layer.in_proj_weight.detach(), near)


# ---- attacks

FOUND: list[tuple[Any, Callable[..., Tensor], dict[str, Any]]] = [
    (PGD(), oracles.plain_pgd, {}),
    (PGD(norm="linf", epsilon=0.2), oracles.plain_pgd, {"norm": "linf", "epsilon": 0.2}),
    (Substitution(budget=3), oracles.plain_substitution, {"budget": 3}),
]


@pytest.mark.parametrize(("name", "training"), BUILT)
@pytest.mark.parametrize(("attack", "plain", "fields"), FOUND, ids=named)
def test_an_attack_finds_what_plain_lines_find(
    name: str, training: bool, attack: Any, plain: Callable[..., Tensor], fields: dict[str, Any]
) -> None:
    case = Case(name, training)
    expected = plain(case.plain(), case.x, case.y, **fields)
    with untouched(case.net):
        found = attack(case.net, case.x, case.y, inputs=case.inputs)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-6)
    with untouched(case.net), pytest.raises(UsageError, match="needs ids"):
        Beam()(case.net, case.x, case.y, inputs=case.inputs)


def test_every_member_of_the_families_is_tried() -> None:
    tried = {type(row[0]) for row in [*VALUES, *FOUND]} | {Deformation, Tangent, Spectral, WeightDecay, Beam}
    tried |= {Hamming, Certified, RKHS, SpectralNorm}
    assert tried == {*PENALTIES.values(), *ATTACKS.values(), *CONSTRAINTS.values()}


# ---- a whole training


def trained(penalty: Gradient | None) -> tuple[dict[str, Tensor], float]:
    """Weights and running statistics of a Basset after a plain loop, and its accuracy on other sequences."""
    torch.manual_seed(0)
    net, ids, y = Basset(), torch.randint(4, (240, L)), torch.arange(240) % 3
    for label, motif in enumerate(([0, 1, 2, 3], [2, 2, 1, 0], [3, 0, 3, 1])):
        ids[y == label, 6:10] = torch.tensor(motif)
    noisy = torch.rand(240, L) < 0.3
    x = F.one_hot(torch.where(noisy, torch.randint(4, (240, L)), ids), 4).mT.float()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(8):
        for rows in torch.randperm(120).split(20):
            loss = F.cross_entropy(net(x[rows]), y[rows])
            if penalty:
                loss = loss + penalty(net, x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        return net.state_dict(), float((net(x[120:]).argmax(1) == y[120:]).float().mean())


def test_a_penalty_does_not_spoil_the_training_of_a_network_with_batch_statistics() -> None:
    weights, accuracy = trained(None)
    same, _ = trained(Gradient(weight=0))
    assert all(torch.equal(value, same[name]) for name, value in weights.items())
    assert accuracy > 0.6
    assert max(trained(Gradient(weight=weight))[1] for weight in (1e-3, 1e-2, 1e-1)) >= accuracy - 0.01
