"""The Lipschitz bound, against gradients, finite moves and exact operators."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from seqreg.alphabet import DNA, PROTEIN
from seqreg.certificates import layer_norms, lipschitz_upper_bound
from seqreg.errors import UnknownLayerError, UsageError
from seqreg.networks import CNN, Blosum62, ConvNet, Residual, SmoothCNN
from tests.oracles import dense_matrix


def steepest(forward: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """The largest ratio ||f(x') - f(x)|| / ||x' - x|| found: along the steepest direction at each x, between two."""
    best = 0.0
    for row in x:
        point = row[None]
        jacobian = torch.autograd.functional.jacobian(forward, point).flatten(0, 1).flatten(1)
        v = torch.linalg.svd(jacobian, full_matrices=False)[2][0].reshape(point.shape)
        for size in (1e-4, 0.1, 1.0, 10.0):
            moved = forward(point + size * v) - forward(point)
            best = max(best, moved.norm().item() / (size * v.norm().item()))
    for one in x:
        for other in x:
            if one is not other:
                best = max(best, ((forward(one[None]) - forward(other[None])).norm() / (one - other).norm()).item())
    return best


def randomize(net: nn.Module) -> nn.Module:
    """Float64, evaluation mode, and BatchNorm with a history."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.1, 3)
    return net.double().eval()


LENGTH = 23
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "conv-max": lambda: nn.Sequential(
        nn.Conv1d(5, 7, 4), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(7, 3)
    ),
    "conv-mean": lambda: nn.Sequential(
        nn.Conv1d(5, 7, 4), nn.Tanh(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(7, 3)
    ),
    "batch-norm-folded": lambda: nn.Sequential(
        nn.Conv1d(5, 6, 3, padding="same"), nn.Dropout(0.5), nn.BatchNorm1d(6), nn.LeakyReLU(1.5), nn.Flatten()
    ),
    "batch-norm-behind-relu": lambda: nn.Sequential(
        nn.BatchNorm1d(5), nn.Conv1d(5, 6, 3, stride=2), nn.ELU(), nn.BatchNorm1d(6), nn.Flatten(), nn.Linear(66, 2)
    ),
    "pools": lambda: nn.Sequential(
        nn.Conv1d(5, 6, 3, padding=2, dilation=2, groups=1),
        nn.MaxPool1d(3, 2, padding=1),
        nn.Conv1d(6, 4, 2, groups=2),
        nn.AvgPool1d(3, 2, padding=1),
        nn.Flatten(),
    ),
    "adaptive-max-3": lambda: nn.Sequential(
        nn.Conv1d(5, 4, 3), nn.AdaptiveMaxPool1d(3), nn.Flatten(), nn.Linear(12, 2)
    ),
    "adaptive-mean-4": lambda: nn.Sequential(
        nn.Conv1d(5, 4, 3), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(16, 2)
    ),
    "circular": lambda: nn.Sequential(
        nn.Conv1d(5, 4, 3, padding=1, padding_mode="circular"), nn.Softplus(), nn.Flatten()
    ),
    "circular-repeating": lambda: nn.Sequential(nn.Conv1d(5, 4, 2, padding=9, padding_mode="circular"), nn.Flatten()),
    "circular-strided": lambda: nn.Sequential(nn.Conv1d(5, 4, 3, 2, padding=2, padding_mode="circular"), nn.Flatten()),
    "reflect": lambda: nn.Sequential(nn.Conv1d(5, 4, 3, padding=9, padding_mode="reflect"), nn.Flatten()),
    "replicate": lambda: nn.Sequential(nn.Conv1d(5, 4, 3, padding=9, padding_mode="replicate"), nn.Flatten()),
    "residual": lambda: nn.Sequential(
        nn.Conv1d(5, 4, 3),
        Residual(nn.Conv1d(4, 4, 3, padding="same"), nn.ReLU(), nn.Conv1d(4, 4, 1)),
        nn.Sigmoid(),
        Residual(nn.Conv1d(4, 4, 5, padding=4, dilation=2, groups=2)),
        nn.Flatten(),
        nn.Linear(84, 3),
    ),
    "linear-over-positions": lambda: nn.Sequential(nn.Linear(LENGTH, 9), nn.ReLU(), nn.Conv1d(5, 2, 3), nn.Flatten()),
    "parametrized": lambda: nn.Sequential(
        parametrizations.weight_norm(nn.Conv1d(5, 6, 4)), nn.ReLU(), nn.Flatten(), nn.Linear(120, 1)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_no_move_exceeds_the_bound(name: str) -> None:
    net = randomize(NETWORKS[name]())
    x = torch.cat([torch.randn(5, 5, LENGTH, dtype=torch.float64), torch.zeros(1, 5, LENGTH, dtype=torch.float64)])
    ratio = steepest(net, x)
    with_length, without = lipschitz_upper_bound(net, LENGTH).item(), lipschitz_upper_bound(net).item()
    assert 0 < ratio <= with_length * (1 + 1e-9)
    assert with_length <= without * (1 + 1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_move_of_a_margin_exceeds_its_bound(name: str) -> None:
    net = randomize(NETWORKS[name]())
    x = torch.randn(4, 5, LENGTH, dtype=torch.float64)
    direction = torch.zeros(net(x).shape[1], dtype=torch.float64)
    direction[0], direction[-1] = 1.0, -2.0
    bound = lipschitz_upper_bound(net, LENGTH, direction=direction)
    assert steepest(lambda z: (net(z) @ direction)[:, None], x) <= bound * (1 + 1e-9)
    assert bound <= lipschitz_upper_bound(net, LENGTH) * direction.norm() * (1 + 1e-9)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv1d(3, 5, 4, padding=3), nn.BatchNorm1d(5)],
        [nn.Conv1d(3, 5, 4, stride=3, padding=2)],
        [Residual(nn.Conv1d(3, 3, 5, padding=4, dilation=2))],
        [Residual(nn.Conv1d(3, 3, 3, padding=1, groups=3))],
        [nn.AvgPool1d(3, 2)],
        [nn.AvgPool1d(4)],
        [nn.AdaptiveAvgPool1d(1)],
        [nn.AdaptiveAvgPool1d(5)],
    ],
    ids=[
        "folded",
        "strided",
        "residual-dilated",
        "residual-grouped",
        "mean-overlapping",
        "mean-apart",
        "global",
        "bins",
    ],
)
def test_linear_blocks_against_their_dense_matrix(layers: list[nn.Module]) -> None:
    net = randomize(nn.Sequential(*layers))
    length = 40
    zero = net(torch.zeros(1, 3, length, dtype=torch.float64))
    dense = torch.linalg.matrix_norm(dense_matrix(lambda x: net(x) - zero, 3, length), 2)
    bound = lipschitz_upper_bound(net, length)
    assert dense <= bound * (1 + 1e-12)
    assert bound <= 1.05 * dense if not isinstance(layers[0], nn.AdaptiveAvgPool1d) else bound <= 1.5 * dense


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d])
def test_adaptive_pooling_of_any_length_into_any_number_of_bins(pool: type[nn.Module]) -> None:
    for length in range(1, 13):
        for bins in range(1, 7):
            layer = pool(bins)
            dense = dense_matrix(layer, 1, length)  # for the maximum: which bins an impulse reaches
            moved = torch.linalg.matrix_norm(dense, 2) if pool is nn.AdaptiveAvgPool1d else dense.norm(dim=0).max()
            assert moved <= lipschitz_upper_bound(layer, length) * (1 + 1e-12)


# Cases in which a move reaches the bound: a factor that is too small cannot hide behind the slack of the others.


@pytest.mark.parametrize(("width", "stride"), [(3, 1), (3, 2), (4, 3), (2, 2), (2, 3)])
def test_max_pooling_reaches_its_bound_at_an_impulse_seen_by_most_windows(width: int, stride: int) -> None:
    layer = nn.MaxPool1d(width, stride)
    assert dense_matrix(layer, 1, 24).norm(dim=0).max() == pytest.approx(lipschitz_upper_bound(layer, 24).item())


def test_a_residual_block_reaches_its_bound_where_its_layers_are_the_identity() -> None:
    identity = nn.Conv1d(3, 3, 1, bias=False)
    nn.init.dirac_(identity.weight)
    block = Residual(identity, nn.ReLU())
    x = torch.rand(1, 3, 8)
    assert ((block(x) - block(0 * x)).norm() / x.norm()).item() == pytest.approx(2)
    assert lipschitz_upper_bound(block).item() == pytest.approx(2)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_that_undoes_the_skip_connection_leaves_nothing(groups: int) -> None:
    conv = nn.Conv1d(4, 4, 5, padding=4, dilation=2, groups=groups, bias=False)
    nn.init.dirac_(conv.weight, groups)
    with torch.no_grad():
        conv.weight.neg_()
    assert lipschitz_upper_bound(Residual(conv)).item() == 0
    assert torch.equal(Residual(conv)(torch.ones(1, 4, 9)), torch.zeros(1, 4, 9))


def test_the_maximum_over_strands_reaches_its_bound() -> None:
    """One filter sees an A on the forward strand while the other sees it as a T on the reverse strand."""
    net = CNN(filters=2, width=1, activation="identity").build(DNA, outputs=2, length=5, reverse_complement=True)
    with torch.no_grad():
        net.convs[0].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]])[:, :, None])
        net.output.weight.copy_(torch.eye(2))
    x = torch.zeros(1, 4, 5)
    x[0, 0, 1] = 1.0
    assert (net(x) - net(0 * x)).norm().item() == pytest.approx(math.sqrt(2))
    assert lipschitz_upper_bound(net).item() == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
@pytest.mark.parametrize("reverse_complement", [False, True])
@pytest.mark.parametrize(("depth", "hidden"), [(1, 0), (2, 4)])
def test_no_move_exceeds_the_bound_of_a_conv_net(
    pooling: str, reverse_complement: bool, depth: int, hidden: int
) -> None:
    spec = CNN(filters=6, width=3, depth=depth, pooling=pooling, hidden=hidden, activation="smoothed-relu")
    net = spec.build(DNA, outputs=3, length=11, reverse_complement=reverse_complement).double().eval()
    lengths = torch.tensor([11, 9, 7, 2])
    shortest = torch.where(torch.arange(11) < lengths[:, None], 1.0, 0.0).double()
    for row, length in enumerate(lengths.tolist()):
        x = torch.randn(1, 4, 11, dtype=torch.float64) * shortest[row]

        def forward(z: Tensor, length: int = length, keep: Tensor = shortest[row]) -> Tensor:
            return net(z * keep, lengths=torch.tensor([length]))

        bound = lipschitz_upper_bound(net, length).item()
        assert steepest(forward, x) <= bound * (1 + 1e-9)
        margin = lipschitz_upper_bound(net, length, direction=torch.tensor([1.0, -1.0, 0.0])).item()
        assert steepest(lambda z: forward(z)[:, :1] - forward(z)[:, 1:2], x) <= margin * (1 + 1e-9)
        assert margin <= math.sqrt(2) * bound * (1 + 1e-9)
        assert bound <= lipschitz_upper_bound(net).item() * (1 + 1e-12)


@pytest.mark.parametrize("smoothing", [0.1, 1.0, 5.0])
def test_no_move_exceeds_the_bound_of_a_smooth_conv_net(smoothing: float) -> None:
    net = SmoothCNN(filters=5, width=4, smoothing=smoothing).build(DNA, outputs=2, length=9).double().eval()
    x = torch.randn(6, 4, 9, dtype=torch.float64)
    x[0] = 0
    x[1] *= 1e-3  # near zero the slope of the scaled smoothed ReLU is steepest against the size of x
    bound = lipschitz_upper_bound(net, 9).item()
    assert steepest(net, x) <= bound * (1 + 1e-9)
    weights = torch.tensor([1.0, -1.0], dtype=torch.float64)
    margin = lipschitz_upper_bound(net, 9, direction=weights).item()
    assert steepest(lambda z: (net(z) @ weights)[:, None], x) <= margin * (1 + 1e-9)


def test_the_encoding_is_part_of_the_first_layer() -> None:
    net = CNN(filters=5, width=4).build(PROTEIN, outputs=1, length=15, encoding=Blosum62()).eval()
    assert isinstance(net, ConvNet)
    ids = torch.as_tensor(np.random.default_rng(0).integers(20, size=(6, 15)), dtype=torch.uint8)
    bound = lipschitz_upper_bound(net).item()
    scores = net(ids)
    for position in range(15):
        changed = ids.clone()
        changed[:, position] = (changed[:, position] + 7) % 20
        assert ((net(changed) - scores).abs() <= bound * math.sqrt(2) * (1 + 1e-5)).all()


def test_the_bound_is_exact_for_a_linear_network() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(15, 4)).double()
    assert isinstance(net[1].weight, Tensor)
    assert torch.allclose(lipschitz_upper_bound(net), torch.linalg.svdvals(net[1].weight)[0], rtol=1e-12)
    direction = torch.tensor([0.0, 1.0, -1.0, 0.0])
    assert torch.allclose(
        lipschitz_upper_bound(net, direction=direction), (net[1].weight[1] - net[1].weight[2]).norm(), rtol=1e-12
    )


def test_an_empty_network_is_the_identity() -> None:
    assert lipschitz_upper_bound(nn.Sequential(nn.Identity(), nn.Dropout())).item() == 1


def test_the_bound_is_differentiable_in_the_weights() -> None:
    net = randomize(nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(9, 2)))
    weight = net.get_parameter("0.weight")
    (gradient,) = torch.autograd.grad(lipschitz_upper_bound(net), weight)
    step = 1e-6 * torch.randn_like(weight)
    with torch.no_grad():
        before = lipschitz_upper_bound(net)
        weight += step
        change = lipschitz_upper_bound(net) - before
    assert torch.allclose(change, (gradient * step).sum(), rtol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_the_bound_leaves_the_network_as_it_was(training: bool) -> None:
    net = randomize(nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3))).train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert lipschitz_upper_bound(net) == lipschitz_upper_bound(net.eval())
    net.train(training)
    lipschitz_upper_bound(net, 10)
    assert net.training == training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


class Doubled(nn.Conv1d):
    """A subclass may compute anything."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name torch gives it
        return 2 * super().forward(input)


@pytest.mark.parametrize(
    "layer",
    [
        nn.LayerNorm(4),
        nn.GroupNorm(1, 4),
        nn.MaxPool1d(3, dilation=2),
        nn.AvgPool1d(3, padding=1, count_include_pad=False),
        nn.AvgPool1d(3, ceil_mode=True),
        nn.BatchNorm1d(4, track_running_stats=False),
        nn.Flatten(0),
        Doubled(4, 4, 1),
        nn.Sequential(nn.Sequential(), nn.Softmin(1)),
        Residual(nn.Softmax(1)),
    ],
    ids=[
        *("layer-norm", "group-norm", "dilated-max", "uneven-mean", "ceil-mean", "no-statistics", "across-batch"),
        *("subclass", "nested", "residual"),
    ],
)
def test_a_layer_without_a_rule_is_named(layer: nn.Module) -> None:
    net = nn.Sequential(nn.Conv1d(4, 4, 1), nn.ReLU(), layer, nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(UnknownLayerError, match="layer '2"):
        lipschitz_upper_bound(net)


@pytest.mark.parametrize("length", [0, 3])
def test_a_length_without_output_is_refused(length: int) -> None:
    with pytest.raises(UsageError):
        lipschitz_upper_bound(nn.Sequential(nn.Conv1d(4, 4, 5, padding=0), nn.ReLU()), length)


def test_residual_refuses_to_broadcast() -> None:
    with pytest.raises(UsageError, match="keep the shape"):
        Residual(nn.Conv1d(4, 1, 1))(torch.zeros(2, 4, 9))


def test_the_table_of_layers_names_each_with_both_norms() -> None:
    net = CNN(filters=6, width=5, depth=2, hidden=4).build(DNA, outputs=3, length=20)
    table = layer_norms(net)
    assert [row.name for row in table] == ["convs.0", "convs.1", "hidden", "output"]
    for row in table[:2]:
        assert row.reshaped_norm < row.operator_norm_upper_bound <= math.sqrt(5) * row.reshaped_norm * 1.01
    for row in table[2:]:
        assert row.operator_norm_upper_bound == pytest.approx(row.reshaped_norm, rel=1e-12)
