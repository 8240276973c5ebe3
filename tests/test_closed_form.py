"""Training steps in closed form against autograd, and the flat optimizer against PyTorch's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.attacks import PGD
from seqreg.networks import CNN, Blosum62, ConvNet, SmoothCNN
from seqreg.networks.best_window_loops import best_windows
from seqreg.penalties import Adversarial, Gradient, WeightDecay
from seqreg.spectral import conv1d_norm_upper_bound
from seqreg.training.closed_form import Windows, closed_form
from seqreg.training.config import Regularizers
from seqreg.training.loop import weighted_loss
from seqreg.training.optimizer import FlatAdamW

LENGTHS = (3, 13, 9, 5, 12, 17)  # below the width, at it, and above the longest of training


def regularizers(**penalties: object) -> Regularizers:
    return Regularizers(augment=(), attack=None, penalties=penalties, constraints=())  # pyright: ignore[reportArgumentType]


def batch(alphabet: Alphabet, outputs: int, several: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Ids of all symbols, mixtures included, targets and weights."""
    ids = torch.full((len(LENGTHS), max(LENGTHS)), alphabet.pad, dtype=torch.uint8)
    for row, length in zip(ids, LENGTHS, strict=True):
        row[:length] = torch.randint(alphabet.pad, (length,)).to(torch.uint8)
    y = torch.randint(2, (len(ids), outputs)) if several else torch.randint(max(2, outputs), (len(ids),))
    return ids, y, torch.rand(len(ids), dtype=torch.float64)


def by_autograd(
    net: ConvNet, known: Regularizers, ids: Tensor, y: Tensor, weights: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Values of the loss and penalties, and all gradients, of a step by tensors."""
    net.zero_grad()
    terms = [weighted_loss(net(ids), y, weights)]
    terms += [penalty(net, ids, y) for penalty in known.penalties.values()]
    values = torch.stack(terms)
    values.sum().backward()
    return values.detach(), [each.grad.clone() for each in net.parameters() if each.grad is not None]


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
@pytest.mark.parametrize("strands", [1, 2])
@pytest.mark.parametrize(("outputs", "several"), [(1, False), (3, False), (2, True)])
@pytest.mark.parametrize(("activation", "over"), [("relu", "max"), ("identity", "mean")])
def test_a_step_in_closed_form_is_that_of_autograd(
    pooling: str, strands: int, outputs: int, several: bool, activation: str, over: str
) -> None:
    torch.manual_seed(1)
    alphabet = PROTEIN if strands == 1 else DNA
    spec = CNN(filters=6, width=5, activation=activation, pooling=pooling)
    encoding = Blosum62() if strands == 1 else None
    net = spec.build(alphabet, outputs=outputs, length=13, encoding=encoding, reverse_complement=strands == 2).double()
    data = batch(alphabet, outputs, several)
    known = regularizers(gradient=Gradient(weight=0.3, over=over), decay=WeightDecay(weight=0.02))
    values, gradients = by_autograd(net, known, *data)
    FlatAdamW(net, 1e-3, 0.01).zero_grad()
    form = closed_form(net, known, weighted_loss)
    assert form is not None
    for _ in range(2):  # gradients add up
        torch.testing.assert_close(form.step(*data), values, rtol=1e-11, atol=1e-13)
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient, rtol=1e-10, atol=1e-12)


def test_both_strands_share_the_derivative_of_a_palindrome() -> None:
    torch.manual_seed(0)
    net = CNN(filters=5, width=4).build(DNA, outputs=1, length=8, reverse_complement=True).double()
    ids = torch.from_numpy(np.stack([DNA.encode("AACGCGTT"), DNA.encode("ACGTACGT")]))
    data = ids, torch.tensor([0, 1]), torch.ones(2, dtype=torch.float64)
    known = regularizers(gradient=Gradient(weight=1.0))
    _, gradients = by_autograd(net, known, *data)
    FlatAdamW(net, 1e-3, 0.01)
    form = closed_form(net, known, weighted_loss)
    assert form is not None
    form.step(*data)
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("width", [11, 12, 14, 17])
@pytest.mark.parametrize("alphabet", [DNA, PROTEIN])
def test_best_windows_are_those_of_sums_letter_by_letter(alphabet: Alphabet, width: int) -> None:
    rng = np.random.default_rng(width)
    table = rng.normal(size=(width, len(alphabet.symbols), 5)).astype(np.float32)
    rows = rng.integers(alphabet.size, size=(6, 60), dtype=np.uint8)
    rows[1::2, 30] = alphabet.size  # a mixture
    counts = np.array([60 - width + 1, 1, 20], dtype=np.int32)
    rows[[2, 5], 20 + width - 1 :] = alphabet.pad
    rows[[1, 4], 7:] = alphabet.pad
    best, starts = np.empty((6, 5), np.float32), np.empty((6, 5), np.int32)
    best_windows(table, alphabet.size, rows, counts, best, starts)
    for r, row in enumerate(rows):
        windows = sliding_window_view(row, width)[: counts[r % 3]]
        scores = np.zeros((len(windows), 5), np.float32)
        for tap in range(width):
            scores += table[tap, windows[:, tap]]
        np.testing.assert_array_equal(best[r], scores.max(0))
        np.testing.assert_array_equal(starts[r], scores.argmax(0))


def test_only_what_the_loops_know_is_in_closed_form() -> None:
    shape = {"outputs": 1, "length": 12}
    plain = CNN(filters=4, width=3)
    known = regularizers(gradient=Gradient())
    others = [
        replace(plain, depth=2),
        replace(plain, hidden=3),
        replace(plain, dropout=0.5),
        SmoothCNN(filters=4, width=3),
    ]
    for spec in others:
        assert closed_form(spec.build(PROTEIN, **shape), known, weighted_loss) is None
    net = plain.build(PROTEIN, **shape)
    assert closed_form(net, regularizers(adversarial=Adversarial()), weighted_loss) is None
    assert closed_form(net, replace(known, attack=PGD()), weighted_loss) is None
    assert closed_form(plain.build(PROTEIN, **shape).to("meta"), known, weighted_loss) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_flat_optimizer_steps_as_pytorch_does(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ours, theirs = (CNN(filters=3, width=4).build(DNA, outputs=2, length=9).to(dtype) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    groups = [[each for each in theirs.parameters() if (each.dim() > 1) == matrix] for matrix in (True, False)]
    optimizer = torch.optim.AdamW(
        [{"params": group, "weight_decay": decay} for group, decay in zip(groups, (0.1, 0.0), strict=True)]
    )
    flat = FlatAdamW(ours, 1e-3, 0.1)
    for step in range(5):
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = flat.lr = 0.1 / (step + 1)
        flat.zero_grad()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.grad = torch.randn_like(other)
            assert mine.grad is not None
            mine.grad += other.grad
        flat.step()
        optimizer.step()
    flat.release()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)
        assert mine.grad is None
        assert mine.untyped_storage().nbytes() == mine.numel() * mine.element_size()


def test_sequences_that_a_bound_rules_out_have_no_largest_gradient() -> None:
    torch.manual_seed(0)
    net = CNN(filters=8, width=4, pooling="mean").build(PROTEIN, outputs=2, length=90).double()
    lengths = torch.randint(4, 90, (30,))
    ids = torch.randint(20, (30, 90)).to(torch.uint8).where(torch.arange(90) < lengths[:, None], PROTEIN.pad)
    data = ids, torch.randint(2, (30,)), torch.ones(30, dtype=torch.float64)
    known = regularizers(gradient=Gradient(weight=1.0))
    optimizer = FlatAdamW(net, 0.05, 0.01)
    form = closed_form(net, known, weighted_loss)
    assert isinstance(form, Windows)
    for _ in range(6):  # filters move, and what is known of their norm with them
        with torch.no_grad():
            expected = known.penalties["gradient"](net, *data[:2])
        optimizer.zero_grad()
        torch.testing.assert_close(form.step(*data)[1], expected, rtol=1e-11, atol=1e-13)
        norm = conv1d_norm_upper_bound(torch.from_numpy(form.filters).transpose(1, 2))
        assert norm <= form._norm() <= 1.5 * norm
        before, form._known = form._known, None
        assert norm <= form._norm() <= 1.01 * norm
        form._known = before
        optimizer.step()
