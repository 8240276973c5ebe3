"""What callers hand to penalties and attacks beside a network: what is taken, and what is refused, in which words."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqreg.alphabet import DNA
from seqreg.attacks import PGD, Substitution
from seqreg.errors import UsageError
from seqreg.networks import CNN
from seqreg.penalties import (
    PENALTIES,
    Adversarial,
    Gradient,
    LossGradient,
    Spectral,
    VirtualAdversarial,
    WeightDecay,
)
from tests import oracles

N, L = 6, 12
ON_SCORES = ["gradient", "adversarial", "loss-gradient", "virtual-adversarial", "deformation", "tangent"]
Y = torch.arange(N) % 2


def batch(letters: int = 4) -> Tensor:
    return F.one_hot(torch.randint(letters, (N, L)), letters).mT.float()


def network(outputs: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2), nn.AdaptiveMaxPool1d(2), nn.Flatten(),
        nn.Linear(12, outputs),
    )  # fmt: skip


class Wrapped(nn.Module):
    """The network's logits in other forms."""

    def __init__(self, net: nn.Module, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.form = net, form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.net(x))


def gradients(value: Tensor, net: nn.Module) -> tuple[Tensor, ...]:
    trained = [*net.parameters()]
    return torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True, materialize_grads=True)


def assert_equal(one: Tensor, other: Tensor, net: nn.Module) -> None:
    torch.testing.assert_close(one, other)
    for mine, theirs in zip(gradients(one, net), gradients(other, net), strict=True):
        torch.testing.assert_close(mine, theirs)


# ---- forms of networks, inputs and outputs


@pytest.mark.parametrize("name", ON_SCORES)
def test_one_network_in_any_form_has_one_penalty(name: str) -> None:
    """A function, one logit as (N,), dictionaries and tuples by output=, compiled, for several processes or devices."""
    net, x, penalty = network(), batch(), PENALTIES[name]()
    buffers = [value.clone() for value in net.buffers()]
    expected = penalty(net, x, Y)
    forms: list[tuple[Any, Any]] = [
        (net.forward, None),
        (Wrapped(net, lambda z: z[:, 0]), None),
        (Wrapped(net, lambda z: {"logits": z}), lambda returned: returned["logits"]),
        (Wrapped(net, lambda z: (z, None)), lambda returned: returned[0][:, 0]),
        (Wrapped(net, lambda z: z[:, :, None].expand(-1, -1, 5)), lambda returned: returned[:, :, 0]),
        (torch.compile(net, backend="aot_eager"), None),
        (nn.DataParallel(net), None),
    ]
    for form, output in forms:
        assert_equal(penalty(form, x, Y, output=output), expected, net)
    assert all(map(torch.equal, buffers, net.buffers()))


def test_a_closure_over_a_second_input_is_scored_whole() -> None:
    net, x, z = network(2), batch(), torch.randn(N, 2)
    expected = oracles.plain_gradient(oracles.Plain(Wrapped(net, lambda logits: logits * z)), x, Y)
    assert_equal(Gradient(weight=1)(lambda x: net(x) * z, x, Y), expected, net)
    assert_equal(Gradient(weight=1)(lambda x, z: net(x) * z, x, Y, inputs=z), expected, net)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda z: {"logits": z}, r"the Wrapped returns a dict; .* output=lambda"),
        (lambda z: (z, z), r"the Wrapped returns a tuple"),
        (lambda z: z[:, :, None].expand(-1, -1, 5), r"shape \(6, 3, 5\) .* Give output="),
        (lambda z: z[:1], r"shape \(1, 3\) for a batch of N = 6"),
        (lambda z: z.repeat(2, 1), r"shape \(12, 3\) for a batch of N = 6"),
        (lambda z: z.sum(), r"shape \(\)"),
        (lambda z: z.detach(), r"carry no gradient back to x"),
        (lambda z: z.argmax(1), r"numbers that carry no gradient"),
    ],
)
def test_other_outputs_are_refused(form: Callable[[Tensor], Any], message: str) -> None:
    model = Wrapped(network(3), form)
    for call in (Gradient(), Adversarial(), PGD(), Substitution()):
        with pytest.raises(UsageError, match=message):
            call(model, batch(), Y)


def test_a_network_that_reads_letters_by_argmax_is_refused() -> None:
    table = nn.Embedding(4, 3)
    for call in (Gradient(), Adversarial(), VirtualAdversarial(), PGD()):
        with pytest.raises(UsageError, match="no derivative in x"):
            call(lambda x: table(x.argmax(1)).mean(1), batch(), Y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x: x.mT, r"axis 2: pass x\.mT"),
        (lambda x: torch.cat([x, 0 * x[:, :, :2]], 2).mT, r"\(6, 14, 4\), the letters are along axis 2"),
        (lambda _: F.one_hot(torch.arange(L).expand(N, L), 20).float(), r"\(6, 12, 20\), the letters are along"),
        (lambda x: x + 0.3, r"columns along axis 1 are not letters"),
        (lambda x: -x, r"along axis 1 are not letters\. A column holds one 1"),
        (lambda x: x[:, None], r"shape \(6, 1, 4, 12\); x is one-hot \(N, A, L\)"),
        (lambda x: x.long(), r"pass x\.float\(\)"),
        (lambda x: x.argmax(1).byte(), r"symbol codes are for seqreg's networks"),
    ],
)
def test_x_that_is_not_letters_over_axis_1_is_refused(given: Callable[[Tensor], Tensor], message: str) -> None:
    x = given(batch())
    for call in [*(PENALTIES[name]() for name in PENALTIES), PGD(), Substitution()]:
        with pytest.raises(UsageError, match=message):
            call(network(), x, Y)


def test_mixtures_and_padding_are_letters() -> None:
    net, x = network().eval(), batch()
    x[0, :, 8:], x[1, :, 3] = 0, 0.25
    lengths = torch.tensor([8, *[L] * (N - 1)])
    x_adv = PGD()(net, x, Y, lengths=lengths)
    assert not x_adv[0, :, 8:].any()
    assert bool(Gradient()(net, x, Y, lengths=lengths) > 0)


def test_inputs_are_rows_of_the_batch() -> None:
    with pytest.raises(UsageError, match=r"inputs\[1\] is \(3, 2\); inputs are tensors of N = 6 rows"):
        Gradient()(network(), batch(), Y, inputs=(Y, torch.zeros(3, 2)))
    own, ids = CNN(filters=4, width=3).build(DNA, outputs=1, length=L), batch().argmax(1).byte()
    with pytest.raises(UsageError, match="for networks that seqreg did not write"):
        Gradient()(own, ids, Y, inputs=Y)


def test_weights_of_a_function_are_not_known() -> None:
    net = network()
    for penalty in (WeightDecay(), Spectral()):
        with pytest.raises(UsageError, match=r"give the torch\.nn\.Module"):
            penalty(net.forward, batch(), Y)


# ---- targets


@pytest.mark.parametrize("name", ["cnn", "other"])
@pytest.mark.parametrize(
    ("outputs", "y", "message"),
    [
        (1, 10 + torch.randn(N), r"labels are 0 and 1\. .* loss=f"),
        (1, 2 * Y - 1, r"y holds -1; labels are 0 and 1"),
        (3, Y + 2, r"y holds 3; class indices of 3 logits are 0 to 2"),
        (3, Y - 1, r"y holds -1; class indices"),
        (3, torch.rand(N), r"y holds float32; class indices are int64"),
        (3, torch.rand(N, 2), r"y has shape \(6, 2\) where logits have \(6, 3\)"),
        (3, 2 * torch.ones(N, 3), r"y holds 2; labels are 0 and 1"),
        (1, torch.full((N,), torch.nan), r"y holds nan"),
    ],
)
def test_targets_that_the_default_loss_does_not_know_are_refused(
    name: str, outputs: int, y: Tensor, message: str
) -> None:
    x = batch()
    net: nn.Module = network(outputs)
    if name == "cnn":
        net, x = CNN(filters=4, width=3).build(DNA, outputs=outputs, length=L), x.argmax(1).byte()
    for call in (LossGradient(), PGD(), Substitution()):
        with pytest.raises(UsageError, match=message):
            call(net, x, y)
    Gradient()(net, x, y)  # which does not look at it


def test_a_loss_of_the_callers_takes_its_place() -> None:
    net, x, y = network().eval(), batch(), 10 + torch.randn(N)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad((net(leaf)[:, 0] - y).square().sum(), leaf, create_graph=True)
    value = LossGradient(weight=1)(net, x, y, loss=lambda output, y: (output[:, 0] - y).square())
    assert_equal(value, g.square().sum() / N, net)
    flat = Wrapped(net, lambda z: z[:, 0])
    same = LossGradient(weight=1)(flat, x, y, loss=nn.MSELoss(reduction="none"))
    torch.testing.assert_close(same, value)
    moved = PGD()(flat, x, y, loss=nn.MSELoss(reduction="none"))
    assert bool(((flat(moved) - y).square() > (flat(x) - y).square()).all())
    with pytest.raises(UsageError, match=r"loss= returns \(\) for a batch of N = 6; .* reduction='none'"):
        LossGradient()(flat, x, y, loss=nn.MSELoss())


# ---- where gradients are off, and where numbers are short


@pytest.mark.parametrize("model", ["cnn", "other"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_values_are_there_where_gradients_are_switched_off(model: str, mode: Callable[[], Any]) -> None:
    net, x = network().eval(), batch()
    if model == "cnn":
        net, x = CNN(filters=4, width=3).build(DNA, outputs=1, length=L).eval(), x.argmax(1).byte()
    for name in ON_SCORES:
        penalty = PENALTIES[name]()
        expected = penalty(net, x, Y)
        with mode():
            value = penalty(net, x.clone(), Y.clone())
            assert not torch.is_grad_enabled()
        torch.testing.assert_close(value, expected.detach())
        assert not value.requires_grad
    expected = PGD()(net, x, Y)
    with mode():
        torch.testing.assert_close(PGD()(net, x.clone(), Y.clone()), expected)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", [*ON_SCORES, "weight-decay", "spectral"])
def test_penalties_are_added_up_in_single_precision(name: str, outputs: int) -> None:
    """Under autocast and of networks in half precision: positive, float32, near the value in single precision."""
    torch.manual_seed(0)
    net, x, penalty = network(outputs).eval(), batch(), PENALTIES[name]()
    exact = penalty(net, x, Y)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = penalty(net, x, Y)
    half = penalty(network(outputs).eval().bfloat16(), x.bfloat16(), Y)
    assert mixed.dtype == half.dtype == torch.float32
    assert float(mixed.detach()) > 0
    assert float(half.detach()) > 0
    torch.testing.assert_close(mixed, exact, rtol=0.1, atol=1e-4)


def test_a_divergence_is_never_below_zero_under_autocast() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        net, x = network(3), batch()
        with torch.autocast("cpu", torch.bfloat16):
            assert VirtualAdversarial(epsilon=0.01)(net, x, Y).item() > -1e-7
