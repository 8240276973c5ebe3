"""The network inside an RKHS: its closed forms against series, and the bracket around its norm."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln

from seqreg.alphabet import DNA
from seqreg.errors import UsageError
from seqreg.networks import CNN, SmoothCNN, as_onehot, smoothed_relu
from seqreg.networks.smooth import SmoothConvNet
from seqreg.penalties import RKHS


def series(s: float, terms: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Power series of the smoothed ReLU of width s and of the arc-cosine kernel kappa_1."""
    a, b = np.zeros(terms), np.zeros(terms)
    a[:2], b[:2] = (s / math.sqrt(2 * math.pi), 0.5), (1 / math.pi, 0.5)
    for n in range((terms - 2) // 2):
        size = -n * math.log(2) - gammaln(n + 1) - math.log((2 * n + 1) * (2 * n + 2)) - (2 * n + 1) * math.log(s)
        a[2 * n + 2] = (-1) ** n * math.exp(size - 0.5 * math.log(2 * math.pi))
        b[2 * n + 2] = math.exp(gammaln(2 * n + 1) - n * math.log(4) - 2 * gammaln(n + 1)) / (
            (2 * n + 1) * (2 * n + 2) * math.pi
        )
    return a, b


def build(outputs: int = 2, smoothing: float = 0.7) -> SmoothConvNet:
    torch.manual_seed(0)
    return SmoothCNN(filters=6, width=4, smoothing=smoothing).build(DNA, outputs=outputs, length=15).double()


@pytest.mark.parametrize("s", [0.5, 1.0])
def test_closed_form_of_the_norm_equals_its_series(s: float) -> None:
    a, b = series(s)
    u = np.linspace(-0.6, 0.6, 7)
    powers = u[:, None] ** np.arange(len(a))
    np.testing.assert_allclose(powers @ a, smoothed_relu(torch.as_tensor(u), s).numpy(), rtol=1e-10)
    odd_or_even = b > 0
    terms = powers[:, odd_or_even] @ (a[odd_or_even] ** 2 / b[odd_or_even])
    np.testing.assert_allclose(terms, (u + s**2 * np.cosh(u / s**2)) / 2, rtol=1e-10)


def test_the_bound_is_the_quadratic_form_of_the_series() -> None:
    net = build()
    a, b = series(net.smoothing)
    rho = net.filter_gram().detach().numpy()
    keep = np.flatnonzero(b > 0)
    gram = sum(a[j] ** 2 / b[j] * rho**j for j in keep)
    weight = net.output.weight.detach().numpy()
    expected = np.einsum("kc,cd,kd->k", weight, gram, weight)
    np.testing.assert_allclose(net.rkhs_norm_squared().detach().numpy(), expected, rtol=1e-9)


def test_scores_follow_the_definition_window_by_window() -> None:
    net = build(outputs=1)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, DNA.pad, (3, 15), dtype=torch.uint8, generator=generator)
    x = net.one_hot(ids)
    kernel = net.first_kernel()
    for row, logit in zip(x, net(ids), strict=True):
        windows = [row[:, t : t + 4] / 2 for t in range(12)]
        total = sum(p.norm() * smoothed_relu((kernel * p).sum((1, 2)) / p.norm(), net.smoothing) for p in windows)
        torch.testing.assert_close(net.output(total / 12), logit)


def test_lookup_path_equals_the_dense_path_to_second_order() -> None:
    net = build()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, DNA.pad, (4, 15), dtype=torch.uint8, generator=generator)
    ids[1, 7:] = DNA.pad
    view = as_onehot(net, ids)
    outcomes = []
    for logits in (view.forward(view.x), net(view.x, lengths=view.lengths)):
        (gradient,) = torch.autograd.grad(logits[:, 0].sum(), view.x, create_graph=True)
        outcomes.append([logits, gradient, *torch.autograd.grad(gradient.square().sum(), [net.convs[0].weight])])
    for fast, dense in zip(*outcomes, strict=True):
        torch.testing.assert_close(fast, dense, atol=1e-10, rtol=1e-10)


def test_rkhs_penalty_is_the_bound_and_knows_no_other_network() -> None:
    net = build()
    x = torch.zeros(2, 4, 15).double()
    penalty = RKHS(weight=0.5)(net, x, torch.tensor([0, 1]))
    torch.testing.assert_close(penalty, net.rkhs_norm_squared().sum() / 2)
    with pytest.raises(UsageError, match="smooth-cnn only"):
        RKHS()(CNN().build(DNA, outputs=2, length=15), x, torch.tensor([0, 1]))


def test_what_has_no_kernel_is_refused() -> None:
    with pytest.raises(UsageError, match="one strand"):
        SmoothCNN().build(DNA, outputs=1, length=20, reverse_complement=True)
