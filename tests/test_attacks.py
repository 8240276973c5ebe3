"""Gradient attacks: in the ball, never below the clean objective, and step by step what a slow ascent does."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqreg.alphabet import ALPHABETS
from seqreg.attacks import PGD, ascend, origin
from seqreg.networks import CNN, ConvNet, as_onehot, lookup, per_example_loss
from tests import oracles

NETWORKS = [
    ("dna", "max", 1, True, 5),
    ("dna", "max", 2, False, 0),
    ("protein", "max", 1, False, 0),
    ("protein", "mean", 1, False, 0),
    ("dna", "position", 1, True, 0),
]
Y = torch.tensor([0, 1, 2, 0, 1])
LONG, SHORT = torch.tensor([17, 4, 5, 9, 12]), torch.tensor([17, 2, 5, 9, 12])  # SHORT has one below the filter's width


def build(alphabet: str, pooling: str, depth: int, strands: bool, hidden: int, **options: Any) -> ConvNet:
    torch.manual_seed(1)
    spec = CNN(filters=6, width=4 if depth == 1 else 3, depth=depth, pooling=pooling, hidden=hidden, **options)
    return spec.build(ALPHABETS[alphabet], outputs=3, length=15, reverse_complement=strands).double()


def batch(alphabet: str, lengths: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    longest, pad = int(lengths.max()), ALPHABETS[alphabet].pad
    ids = torch.randint(0, pad, (len(lengths), longest), dtype=torch.uint8, generator=generator)
    return torch.where(torch.arange(longest) < lengths[:, None], ids, torch.tensor(pad, dtype=torch.uint8))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("lengths", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("steps", [1, 4, 9])
def test_ascent_goes_where_a_slow_one_goes(network: tuple[Any, ...], lengths: Tensor, norm: str, steps: int) -> None:
    net, ids = build(*network), batch(network[0], lengths)
    view = as_onehot(net, ids)
    start = origin(view, norm)
    end = ascend(start, lambda logits: per_example_loss(logits, Y), epsilon=0.6, steps=steps, step_size=0.2)
    for i, x in enumerate(oracles.alone(net, ids)):
        y = Y[i : i + 1]
        delta = oracles.climbed(net, x, lambda z, y=y: per_example_loss(z, y), 0.6, steps, 0.2, norm)
        padded = torch.nn.functional.pad(delta[0], (0, ids.shape[1] - x.shape[2]))
        torch.testing.assert_close(end.delta()[i], padded, atol=1e-10, rtol=0)
        torch.testing.assert_close(end.delta(torch.tensor([i]))[0], padded, atol=1e-10, rtol=0)
        torch.testing.assert_close(end.logits[i : i + 1], net(x + delta), atol=1e-10, rtol=0)
        torch.testing.assert_close(start.logits[i : i + 1], net(x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("elements", [1, 200])
def test_a_batch_in_pieces_goes_where_the_whole_goes(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net, ids = build(*NETWORKS[0]), batch("dna", LONG)

    def answers() -> list[Tensor]:
        end = ascend(origin(as_onehot(net, ids)), lambda z: z[:, 1], epsilon=0.6, steps=3, step_size=0.3)
        return [net(ids), end.logits, end.delta(), end.delta(torch.tensor([3, 0, 4, 3]))]

    whole = answers()
    monkeypatch.setattr(lookup, "CACHED", elements)
    for mine, other in zip(answers(), whole, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-12, rtol=0)


def test_ascents_from_one_origin_do_not_touch_each_other() -> None:
    net, ids = build(*NETWORKS[0]), batch("dna", LONG)

    def climb(start: Any, k: int) -> Tensor:
        return ascend(start, lambda logits: logits[:, k], epsilon=0.6, steps=3, step_size=0.3).delta()

    shared = origin(as_onehot(net, ids))
    for k in (0, 1, 2):
        assert torch.equal(climb(shared, k), climb(origin(as_onehot(net, ids)), k))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("step_size", [None, 0.05, 5.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 4.0])
def test_pgd_stays_in_its_ball_and_never_lowers_the_loss(
    network: tuple[Any, ...], norm: str, step_size: float | None, epsilon: float
) -> None:
    net, ids = build(*network), batch(network[0], SHORT)
    lengths = net.lengths(ids)
    x_adv = PGD(epsilon=epsilon, norm=norm, steps=3, step_size=step_size)(net, ids, Y)
    delta = x_adv - net.one_hot(ids)
    size = delta.flatten(1).norm(dim=1) if norm == "l2" else delta.abs().amax((1, 2))
    assert float(size.max()) <= epsilon * (1 + 1e-9)
    assert not delta[(ids == net.alphabet.pad)[:, None].expand_as(delta)].any()
    assert not x_adv.requires_grad
    adversarial = per_example_loss(net(x_adv, lengths=lengths), Y)
    clean = per_example_loss(net(ids), Y)
    assert bool((adversarial >= clean - 1e-12).all())
    if epsilon == 0.3 and step_size != 5.0:
        assert bool((adversarial > clean).all())
    as_one_hot = PGD(epsilon=epsilon, norm=norm, steps=3, step_size=step_size)(
        net, net.one_hot(ids), Y, lengths=lengths
    )
    torch.testing.assert_close(as_one_hot, x_adv, atol=1e-10, rtol=0)


def test_pgd_finds_the_worst_case_of_a_linear_module() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 7, 1, dtype=torch.float64))
    weight = net[1].weight.detach().view(4, 7)
    x = torch.nn.functional.one_hot(torch.randint(4, (3, 7)), 4).mT.double()
    y = torch.tensor([0, 1, 1])
    sign = 1.0 - 2 * y[:, None, None]
    torch.testing.assert_close(PGD(epsilon=0.7)(net, x, y), x + 0.7 * sign * weight / weight.norm())
    torch.testing.assert_close(PGD(epsilon=0.7, norm="linf")(net, x, y), x + 0.7 * sign * weight.sign())


def test_single_precision_ascent_stays_close_to_the_double_one() -> None:
    net, ids = build("protein", "max", 1, False, 0), batch("protein", LONG)
    double = PGD()(net, ids, Y)
    torch.testing.assert_close(PGD()(net.float(), ids, Y).double(), double, atol=1e-5, rtol=0)
