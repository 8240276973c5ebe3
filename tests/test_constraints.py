"""Constraints on whole networks."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from seqreg.constraints import CONSTRAINTS, SpectralNorm
from seqreg.errors import UsageError
from seqreg.specs import parse
from seqreg.spectral import conv1d_norm_upper_bound, reshaped_norm


def network() -> nn.Sequential:
    """Convolutions of every kind, far outside any ball of radius 1; of one the norm hangs on stride and dilation."""
    net = nn.Sequential(
        nn.Conv1d(4, 6, 5),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Conv1d(6, 8, 3, stride=4, dilation=2, groups=2),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Conv1d | nn.Linear):
                layer.weight.normal_()
    return net.double()


def norms(net: nn.Module, mode: str) -> list[float]:
    values: list[torch.Tensor] = []
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            values.append(torch.linalg.svdvals(layer.weight)[0])
        elif isinstance(layer, nn.Conv1d) and mode == "reshaped":
            values.append(reshaped_norm(layer.weight, layer.groups))
        elif isinstance(layer, nn.Conv1d):
            values.append(
                conv1d_norm_upper_bound(layer.weight, layer.stride[0], layer.dilation[0], layer.groups, n=4096)
            )
    return [value.item() for value in values]


@pytest.mark.parametrize("mode", ["reshaped", "operator"])
def test_norms_follow_the_schedule_and_land_at_the_radius(mode: str) -> None:
    constraint = SpectralNorm(radius=0.5, decay=3, mode=mode)
    for epoch, allowed in [(0, 2.5), (3, 0.5 * (1 + 4 / math.e)), (1000, 0.5)]:
        net = network()
        assert min(norms(net, mode)) > allowed
        constraint.project_(net, epoch)
        landed = norms(net, mode)
        assert max(landed) <= allowed * (1 + 1e-9)
        assert min(landed) >= 0.95 * allowed


def test_singular_values_are_clipped_group_by_group_and_no_others() -> None:
    net = network()
    before = [part.flatten(1) for part in net.get_parameter("3.weight").detach().clone().split(4)]
    SpectralNorm(radius=2.0).project_(net, 1000)
    for old, new in zip(before, net.get_parameter("3.weight").split(4), strict=True):
        u, sigma, vh = torch.linalg.svd(old, full_matrices=False)
        torch.testing.assert_close(new.flatten(1), u @ (sigma.clamp(max=2)[:, None] * vh))


@pytest.mark.parametrize("mode", ["reshaped", "operator"])
def test_a_network_inside_the_ball_keeps_every_bit(mode: str) -> None:
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    SpectralNorm(radius=1.05 * max(norms(net, "operator")), mode=mode).project_(net, 10**6)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("mode", ["reshaped", "operator"])
def test_only_convolution_and_linear_weights_move_and_gradients_stay(mode: str) -> None:
    net = network().train()
    net(torch.randn(2, 4, 30, dtype=torch.float64)).sum().backward()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
    SpectralNorm(radius=0.1, mode=mode).project_(net, 5)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"0.weight", "3.weight", "7.weight"}
    assert all(
        torch.equal(gradient, parameter.grad)
        for gradient, parameter in zip(gradients, net.parameters(), strict=True)
        if parameter.grad is not None
    )
    assert net.training


def test_training_under_the_operator_constraint_stays_certified_without_shrinking_to_nothing() -> None:
    """The ball is entered once and then kept: scaling everything at every step would drain what does not violate."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 1))
    constraint = SpectralNorm(radius=1.0, decay=0.1, mode="operator")
    x, target = torch.randn(16, 4, 20), torch.randn(16, 1) * 5
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for epoch in range(60):
        optimizer.zero_grad()
        (net(x) - target).square().mean().backward()
        optimizer.step()
        constraint.project_(net, epoch)
    kernel = net[0].weight
    assert isinstance(kernel, torch.Tensor)
    assert 0.9 <= conv1d_norm_upper_bound(kernel, n=4096).item() <= 1 + 1e-5
    assert torch.linalg.svdvals(kernel.flatten(1)).mean() > 0.3


def test_a_computed_weight_is_refused_by_name() -> None:
    net = nn.Sequential(nn.Flatten(), parametrizations.weight_norm(nn.Linear(6, 2)))
    with pytest.raises(UsageError, match=r"'1\.weight'"):
        SpectralNorm().project_(net, 0)


@pytest.mark.parametrize("text", ["spectral-norm:radius=0", "spectral-norm:mode=frobenius", "spectral-norm:decay=-1"])
def test_values_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="SpectralNorm"):
        parse("constraint", CONSTRAINTS, text)
