"""What every member of a family promises, checked for whatever names its dictionary holds."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.attacks import ATTACKS
from seqreg.constraints import CONSTRAINTS
from seqreg.errors import UsageError
from seqreg.networks import CNN, AlignmentNet, SmoothCNN, Sum
from seqreg.penalties import PENALTIES
from seqreg.specs import parse, write

Y = torch.tensor([0, 1, 2, 0, 1])


def letters(lengths: tuple[int, ...] = (19, 6, 11, 8, 13), alphabet: Alphabet = DNA) -> Tensor:
    longest = max(lengths)
    ids = torch.randint(alphabet.size, (len(lengths), longest), dtype=torch.uint8)
    return ids.masked_fill(torch.arange(longest) >= torch.tensor(lengths)[:, None], alphabet.pad)


def network(**fields: Any) -> nn.Module:
    return CNN(filters=6, width=4, **fields).build(DNA, outputs=3, length=19)


def aligned() -> nn.Module:
    """A sum of alignments with sequences and a CNN."""
    net = Sum(spectrum=1, positions=False, alignments=5, filters=6, width=4).build(PROTEIN, outputs=3, length=19)
    part = net.part("alignments")
    assert isinstance(part, AlignmentNet)
    part.references.copy_(letters(alphabet=PROTEIN))
    return net


class Foreign(nn.Module):
    """A network that knows one-hot x of one length only."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 9, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def flat(model: nn.Module) -> nn.Module:
    """The model with all weights zero: no logit depends on the input."""
    for weight in model.parameters():
        nn.init.zeros_(weight)
    return model


def one_hot() -> Tensor:
    return nn.functional.one_hot(torch.randint(4, (5, 11)), 4).transpose(1, 2).float()


CASES = {
    "max": lambda: (network(), letters()),
    "mean": lambda: (network(pooling="mean"), letters()),
    "deep": lambda: (network(depth=2, hidden=7), letters()),
    "smooth": lambda: (SmoothCNN(filters=6, width=4).build(DNA, outputs=3, length=19), letters()),
    "sum": lambda: (
        Sum(spectrum=2, filters=8, width=(4, 6), pooling=("max", "position")).build(DNA, outputs=3, length=19),
        letters(),
    ),
    "aligned": lambda: (aligned(), letters(alphabet=PROTEIN)),
    "shorter-than-a-window": lambda: (network(), letters((3, 1, 2, 2, 1))),
    "foreign": lambda: (Foreign(), one_hot()),
    "flat": lambda: (flat(network()), letters()),
    "flat-deep": lambda: (flat(network(depth=2, hidden=7)), letters()),
    "flat-foreign": lambda: (flat(Foreign()), one_hot()),
}


def world(model: nn.Module) -> tuple[Any, ...]:
    """All that a penalty or attack could have touched and must not."""
    tensors = [value.clone() for value in model.state_dict().values()]
    trained = [weight.requires_grad for weight in model.parameters()]
    return model.training, tensors, torch.get_rng_state(), torch.is_grad_enabled(), trained


def assert_untouched(model: nn.Module, before: tuple[Any, ...]) -> None:
    after = world(model)
    assert (before[0], *before[3:]) == (after[0], *after[3:])
    assert all(map(torch.equal, before[1], after[1]))
    assert torch.equal(before[2], after[2])
    assert all(weight.grad is None for weight in model.parameters())


# rkhs is the norm of one network in closed form and refuses every other one.
PENALTY_CASES = [(name, case) for name in PENALTIES for case in CASES if name != "rkhs" or case == "smooth"]


@pytest.mark.parametrize(("name", "case"), PENALTY_CASES)
def test_a_penalty_is_a_finite_scalar_that_leaves_no_trace(name: str, case: str) -> None:
    model, x = CASES[case]()
    penalty: Any = PENALTIES[name]()
    kept, before = x.clone(), world(model)
    try:
        value = penalty(model, x, Y, progress=0.5)
    except UsageError:
        assert "foreign" in case  # a bound on what layers do may refuse layers it does not know
        return
    assert_untouched(model, before)
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert float(value.detach()) >= 0
    assert torch.equal(value, penalty(model, x, Y, progress=0.5))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad(value, trained, allow_unused=True, materialize_grads=True)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    if case in ("max", "mean", "deep", "smooth", "sum", "aligned", "foreign"):
        assert any(bool(gradient.any()) for gradient in gradients)


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("strength", [0.0, 1e-4, 1e4])
def test_weight_multiplies_a_penalty(name: str, strength: float) -> None:
    model, x = CASES["smooth" if name == "rkhs" else "max"]()
    penalty: Any = PENALTIES[name]
    value = penalty(weight=strength)(model, x, Y)
    torch.testing.assert_close(value, strength * penalty(weight=1.0)(model, x, Y))


@pytest.mark.parametrize("case", [case for case in CASES if case != "smooth"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gives_a_batch_of_the_same_shape_and_leaves_no_trace(name: str, case: str) -> None:
    model, x = CASES[case]()
    attack: Any = ATTACKS[name]()
    kept, before = x.clone(), world(model)
    try:
        x_adv = attack(model, x, Y)
    except UsageError:
        assert "foreign" in case  # an attack on letters may refuse what is not letters
        return
    assert_untouched(model, before)
    assert torch.equal(x, kept)
    assert not x_adv.requires_grad
    assert bool(x_adv.isfinite().all())
    letters = getattr(model, "alphabet", DNA).size
    assert x_adv.shape in (x.shape, (x.shape[0], letters, x.shape[-1]))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_constraint_moves_weights_once_and_leaves_no_other_trace(name: str, case: str) -> None:
    model, x = CASES[case]()
    constraint: Any = CONSTRAINTS[name]()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(30)
    before, logits = world(model), model(x)
    constraint.project_(model, 3)
    once = world(model)
    assert (before[0], before[3]) == (once[0], once[3])
    assert torch.equal(before[2], once[2])
    assert all(weight.grad is None for weight in model.parameters())
    assert bool(model(x).isfinite().all())
    assert torch.equal(model(x), logits) == case.startswith("flat")
    constraint.project_(model, 3)
    for value, again in zip(once[1], world(model)[1], strict=True):
        torch.testing.assert_close(value, again)


@pytest.mark.parametrize(("kind", "family"), [("penalty", PENALTIES), ("attack", ATTACKS), ("constraint", CONSTRAINTS)])
def test_what_is_written_is_read_back_equal(kind: str, family: dict[str, Any]) -> None:
    for cls in family.values():
        assert parse(kind, family, write(family, cls())) == cls()
