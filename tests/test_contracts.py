"""What every member of a family promises, checked for whatever names its dictionary holds."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqreg.alphabet import ALPHABETS, DNA, PROTEIN, Alphabet
from seqreg.attacks import ATTACKS
from seqreg.constraints import CONSTRAINTS
from seqreg.deformations import AUGMENTATIONS, reverse_complement
from seqreg.errors import UsageError
from seqreg.networks import CNN, ENCODINGS, MODELS, AlignmentNet, NeighbourNet, SequenceNetwork, SmoothCNN, Sum
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


def compared() -> nn.Module:
    """A sum of likenesses with sequences and a CNN."""
    net = Sum(spectrum=1, positions=False, neighbours=5, filters=6, width=4).build(PROTEIN, outputs=3, length=19)
    part = net.part("neighbours")
    assert isinstance(part, NeighbourNet)
    part.references.copy_(letters(alphabet=PROTEIN))
    part.spread.fill_(9.0)
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
    "compared": lambda: (compared(), letters(alphabet=PROTEIN)),
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
    if case in ("max", "mean", "deep", "smooth", "sum", "aligned", "compared", "foreign"):
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


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("penalty", PENALTIES),
        ("attack", ATTACKS),
        ("constraint", CONSTRAINTS),
        ("model", MODELS),
        ("encoding", ENCODINGS),
        ("augmentation", AUGMENTATIONS),
    ],
)
def test_what_is_written_is_read_back_equal(kind: str, family: dict[str, Any]) -> None:
    for cls in family.values():
        assert parse(kind, family, write(family, cls())) == cls()


# ---- models, encodings, augmentations

LENGTHS = (19, 6, 11, 8, 13)
OF_LETTERS = [name for name in MODELS if name != "vectors"]  # that one does not read sequences
ALPHABET_NAMES = ("dna", "rna", "protein")


def built(name: str, alphabet: Alphabet, **settings: Any) -> SequenceNetwork:
    """A network as its name alone makes it, with weights all of which do something: a sum begins with heads of zero."""
    net = MODELS[name]().for_alphabet(alphabet).build(alphabet, outputs=3, length=max(LENGTHS), **settings).eval()
    for weight in filter(lambda each: each.requires_grad, net.parameters()):
        weight.data.add_(torch.randn_like(weight), alpha=0.3)
    return net


@pytest.mark.parametrize("alphabet", ALPHABET_NAMES)
@pytest.mark.parametrize("name", OF_LETTERS)
def test_a_model_scores_letters_and_their_one_hot_alike_and_padding_changes_nothing(name: str, alphabet: str) -> None:
    letters_of = ALPHABETS[alphabet]
    net = built(name, letters_of)
    ids = letters(LENGTHS, letters_of)
    before, logits = world(net), net(ids)
    assert_untouched(net, before)
    assert logits.shape == (len(LENGTHS), 3)
    assert len(logits[:, 0].unique()) == len(LENGTHS)
    close: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(net(net.one_hot(ids), lengths=net.lengths(ids)), logits, **close)
    torch.testing.assert_close(net(nn.functional.pad(ids, (0, 7), value=letters_of.pad)), logits, **close)
    for row, length in zip(range(len(ids)), LENGTHS, strict=True):
        torch.testing.assert_close(net(ids[row : row + 1, :length])[0], logits[row], **close)


@pytest.mark.parametrize("name", OF_LETTERS)
def test_a_model_that_scores_both_strands_scores_them_alike(name: str) -> None:
    if not MODELS[name]().scores_both_strands:
        with pytest.raises(UsageError, match="scores one strand"):
            built(name, DNA, reverse_complement=True)
        return
    net, ids = built(name, DNA, reverse_complement=True), letters(LENGTHS, DNA)
    torch.testing.assert_close(net(reverse_complement(ids, DNA)), net(ids), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("alphabet", ALPHABET_NAMES)
@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_tells_letters_apart_at_one_scale_and_networks_read_through_it(name: str, alphabet: str) -> None:
    letters_of, encoding = ALPHABETS[alphabet], ENCODINGS[name]()
    try:
        matrix = encoding.matrix(letters_of)
    except UsageError as error:
        if alphabet not in str(error):
            raise
        return
    assert matrix.shape[0] == letters_of.size
    assert np.isfinite(matrix).all()
    assert np.square(matrix).sum(1).mean() == pytest.approx(1)  # the strength of a penalty means the same
    gaps = np.linalg.norm(matrix[:, None] - matrix[None], axis=2)
    assert gaps[~np.eye(letters_of.size, dtype=bool)].min() > 0.1
    net = CNN(filters=5, width=3, pooling="mean", activation="identity").build(
        letters_of, outputs=2, length=3, encoding=encoding
    )
    ids = letters((3, 3, 3), letters_of)
    vectors = torch.as_tensor(matrix, dtype=torch.float32)[ids.long()]  # N, W, D
    by_hand = torch.einsum("nwd,cdw->nc", vectors, net.first_conv().weight) + net.first_bias()
    torch.testing.assert_close(net(ids), net.output(by_hand), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("alphabet", ALPHABET_NAMES)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_gives_sequences_of_the_alphabet_by_its_generator_alone(name: str, alphabet: str) -> None:
    letters_of, augment = ALPHABETS[alphabet], AUGMENTATIONS[name]()
    ids = letters(LENGTHS, letters_of)
    kept, state = ids.clone(), torch.get_rng_state()
    try:
        draws = [augment(ids, torch.Generator().manual_seed(seed), letters_of) for seed in (0, 0, 1, 2, 3, 4)]
    except UsageError as error:
        if alphabet not in str(error):
            raise
        return
    assert torch.equal(ids, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(draws[0], draws[1])
    assert any(draw.shape != ids.shape or not torch.equal(draw, ids) for draw in draws)
    for draw in draws:
        assert draw.dtype == torch.uint8
        inside = draw != letters_of.pad
        assert bool((inside.long().diff(dim=1) <= 0).all()), "padding is on the right"
        assert bool(inside.any(1).all())
        assert bool((draw[inside] < len(letters_of.symbols)).all())
