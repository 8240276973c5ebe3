"""The Lipschitz bound, against gradients, finite moves and exact operators."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from seqreg.alphabet import DNA, PROTEIN
from seqreg.certificates import LIPSCHITZ_RULES, layer_norms, lipschitz_upper_bound
from seqreg.errors import UnknownLayerError, UsageError
from seqreg.networks import (
    CNN,
    AlignmentNet,
    Blosum62,
    ConvNet,
    NeighbourNet,
    Part,
    Residual,
    SmoothCNN,
    SpectrumNet,
    Sum,
    SumNet,
)
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


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d])
def test_adaptive_pooling_of_any_length_into_any_number_of_bins(pool: type[nn.Module]) -> None:
    for length in range(1, 13):
        for bins in range(1, 7):
            layer = pool(bins)
            dense = dense_matrix(layer, 1, length)  # for the maximum: which bins an impulse reaches
            moved = torch.linalg.matrix_norm(dense, 2) if pool is nn.AdaptiveAvgPool1d else dense.norm(dim=0).max()
            bound = lipschitz_upper_bound(layer, length)
            assert moved <= bound * (1 + 1e-12)
            if length >= bins > 1:
                most = 2 * bins / length if pool is nn.AdaptiveAvgPool1d else 2
                assert bound**2 <= min(bins, most) * (1 + 1e-12)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d])
def test_a_mean_after_a_layer_is_over_the_windows_that_it_leaves(kind: type[nn.Module]) -> None:
    for width, stride, padding, dilation, length in itertools.product((1, 2, 6), (1, 2, 3), (0, 1, 3), (1, 2), (7, 12)):
        if kind is not nn.Conv1d and (dilation > 1 or 2 * padding > width):
            continue
        dilated = {"dilation": dilation} if kind is nn.Conv1d else {}
        layer = kind(*(1, 1) * (kind is nn.Conv1d), width, stride, padding, **dilated)
        if length + 2 * padding <= dilation * (width - 1):
            continue
        windows = layer(torch.zeros(1, 1, length)).shape[2]
        bound = lipschitz_upper_bound(nn.Sequential(layer, nn.AdaptiveAvgPool1d(1)), length)
        assert bound.item() == pytest.approx(lipschitz_upper_bound(layer, length).item() / math.sqrt(windows))


# ---- moves that reach the bound: a factor that is too small cannot hide behind the slack of the others


def dirac(channels: int, width: int = 1, worth: float = 1.0, **fields) -> nn.Conv1d:
    """A convolution that takes each entry as it is, `worth` times, by its middle tap; of one channel if 0."""
    conv = nn.Conv1d(channels or 1, channels or 1, width, bias=False, **fields)
    nn.init.dirac_(conv.weight, conv.groups)
    conv.weight.data.mul_(worth)
    return conv


def all_ones(width: int, worth: float = 1.0, **fields) -> nn.Conv1d:
    """A sum over windows."""
    conv = nn.Conv1d(1, 1, width, bias=False, **fields)
    nn.init.constant_(conv.weight, worth)
    return conv


def scaled(scale: list[float], var: float) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(len(scale), eps=0)
    norm.weight.data.copy_(torch.tensor(scale))
    norm.running_var.fill_(var)  # pyright: ignore[reportOptionalMemberAccess]
    return norm


def linear(rows: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows))
    layer.weight.data.copy_(torch.tensor(rows))
    return layer


def filled(net: nn.Module, **weights: Tensor | list) -> nn.Module:
    """A network whose named parameters and buffers are these, and whose biases are 0."""
    for name, parameter in net.named_parameters():
        if name.endswith("bias") and parameter.requires_grad:
            parameter.data.zero_()
    for name, value in weights.items():
        key = name.replace("__", ".")
        net.get_parameter(key).data.copy_(torch.as_tensor(value)) if key in dict(
            net.named_parameters()
        ) else net.get_buffer(key).copy_(torch.as_tensor(value))
    return net


def cnn(kernel: list, head: list, **fields) -> nn.Module:
    """A network over DNA with this kernel (C, 4, W) and head (K, F), and none of its activations."""
    kernel_ = torch.tensor(kernel)
    spec = {"filters": len(kernel_), "width": kernel_.shape[2], "activation": "identity"}
    build = {"outputs": len(head), "length": 3, "reverse_complement": fields.pop("reverse_complement", False)}
    weights = {name: fields.pop(name) for name in list(fields) if "__" in name}
    net = CNN(**{**spec, **fields}).build(DNA, **build)
    return filled(net, convs__0__weight=kernel_, output__weight=head, **weights)


def smooth(kernel: list, head: list, smoothing: float) -> nn.Module:
    kernel_ = torch.tensor(kernel)
    spec = SmoothCNN(filters=len(kernel_), width=kernel_.shape[2], smoothing=smoothing)
    return filled(spec.build(DNA, outputs=len(head), length=3), convs__0__weight=kernel_, output__weight=head)


def linear_sum() -> nn.Module:
    """Both parts look the same way."""
    net = Sum(spectrum=1, pooling=("none",)).build(DNA, outputs=1, length=3)
    row = torch.tensor([[1.0, -2.0, 0.0, 3.0]])
    net.part("spectrum").output.weight.data.copy_(row)
    net.part("positions").output.weight.data.copy_(2 * row.repeat_interleave(3, 1))
    return net


def aligned() -> nn.Module:
    """References of a letter that matches so well that all letters are matched, and tells others apart as none does."""
    net = AlignmentNet(PROTEIN, 2, outputs=1, length=3)
    net.references.copy_(torch.tensor([[3, 3, 3], [3, 3, PROTEIN.pad]]))
    similarity = torch.full((20, 20), 100.0)
    similarity[3] = similarity[:, 3] = torch.linspace(100, 160, 20)
    net.similarity.copy_(net.mixtures @ similarity @ net.mixtures.t())
    net.output.weight.data.copy_(torch.tensor([[2.0, 0.0]]))
    return net


def between_neighbours() -> nn.Module:
    """Two references that are nearly one, with opposite weights: steepest half way from one to the other."""
    net = NeighbourNet(DNA, 2, outputs=1, length=3)
    net.references.copy_(torch.tensor([[0, 0, 0], [1, 1, 1]]))
    net.spread.fill_(1e5)
    net.output.weight.data.copy_(torch.tensor([[-3.0, 3.0]]))
    return net


WEIGHTS = [[2.0], [0.0], [-1.0], [0.0]]
ZERO = (0.0,)
# By name: layers, the shape (C, L) of what they read, and values at which a small move may be the largest.
REACHED: dict[str, tuple[Callable[[], nn.Module], tuple[int, int], tuple[float, ...]]] = {
    "Conv1d": (lambda: dirac(3, worth=-2), (3, 5), ZERO),
    "Conv1d-long": (lambda: all_ones(3, padding=1), (1, 150), ZERO),
    "Conv1d-strided": (lambda: all_ones(4, stride=3, padding=2), (1, 150), ZERO),
    "Conv1d-dilated": (lambda: all_ones(3, dilation=3), (1, 150), ZERO),
    "Conv1d-strided-dilated": (lambda: all_ones(3, stride=2, dilation=3), (1, 150), ZERO),
    "Conv1d-windows": (lambda: nn.Sequential(dirac(0, 3, stride=2), nn.AdaptiveAvgPool1d(1)), (1, 8), ZERO),
    "Conv1d-grouped": (lambda: dirac(4, 3, groups=2), (4, 9), ZERO),
    "Conv1d-replicate": (lambda: dirac(0, padding=2, padding_mode="replicate"), (1, 1), ZERO),
    "Conv1d-reflect": (lambda: dirac(0, padding=2, padding_mode="reflect"), (1, 3), ZERO),
    "Conv1d-circular": (lambda: dirac(0, padding=3, padding_mode="circular"), (1, 3), ZERO),
    "Conv1d-circulant": (lambda: all_ones(3, padding=1, padding_mode="circular"), (1, 5), ZERO),
    "Conv1d-folded": (lambda: nn.Sequential(dirac(2, worth=3), scaled([1, -4], 4)), (2, 5), ZERO),
    "Linear": (lambda: linear([[3.0, 0], [0, 1], [4, 0]]), (1, 2), ZERO),
    "BatchNorm1d": (lambda: nn.Sequential(nn.Hardtanh(), scaled([1, -4, 2], 4)), (3, 5), ZERO),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 1), (1, 9), ZERO),
    "MaxPool1d-overlapping": (lambda: nn.MaxPool1d(3, 2, padding=1), (1, 9), ZERO),
    "MaxPool1d-wide": (lambda: nn.MaxPool1d(4, 3), (1, 9), ZERO),
    "MaxPool1d-apart": (lambda: nn.MaxPool1d(2, 3), (1, 9), ZERO),
    "AvgPool1d": (lambda: nn.AvgPool1d(4), (1, 9), ZERO),
    "AvgPool1d-overlapping": (lambda: nn.AvgPool1d(3, 2, padding=1), (1, 150), ZERO),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(1), (2, 5), ZERO),
    "AdaptiveMaxPool1d-bins": (lambda: nn.AdaptiveMaxPool1d(2), (1, 5), ZERO),
    "AdaptiveMaxPool1d-many": (lambda: nn.AdaptiveMaxPool1d(4), (1, 1), ZERO),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(1), (2, 5), ZERO),
    "AdaptiveAvgPool1d-many": (lambda: nn.AdaptiveAvgPool1d(4), (1, 1), ZERO),
    "Flatten": (nn.Flatten, (2, 3), ZERO),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.3), (1, 2), (1.0,)),
    "LeakyReLU-steep": (lambda: nn.LeakyReLU(-1.5), (1, 2), (-1.0,)),
    "ELU": (nn.ELU, (1, 2), (1.0,)),
    "ELU-steep": (lambda: nn.ELU(2), (1, 2), (-2e-4,)),
    "Sigmoid": (nn.Sigmoid, (1, 2), ZERO),
    **{kind.__name__: (kind, (1, 2), (1e-3,)) for kind in (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Softsign)},
    "Softplus": (nn.Softplus, (1, 2), (9.0,)),
    "Residual": (lambda: Residual(dirac(3, worth=2), nn.ReLU()), (3, 5), (1.0,)),
    "Residual-linear": (lambda: Residual(dirac(4, 5, 0.5, padding=4, dilation=2, groups=2)), (4, 9), ZERO),
    "Residual-undone": (lambda: Residual(dirac(4, 5, -1.0, padding=4, dilation=2, groups=2)), (4, 9), ZERO),
    "Residual-unaligned": (lambda: Residual(all_ones(2, -1.0, dilation=2, padding=1)), (1, 150), ZERO),
    "ConvNet-max": (lambda: cnn([WEIGHTS], [[2.0], [1.0]]), (4, 3), ZERO),
    "ConvNet-position": (lambda: cnn([WEIGHTS], [[2.0, 1, 0], [0, 0, 1]], pooling="position"), (4, 3), ZERO),
    "ConvNet-mean": (lambda: cnn([WEIGHTS], [[2.0], [1.0]], pooling="mean"), (4, 3), ZERO),
    # two letters a window, of which one counts
    "ConvNet-mean-windows": (lambda: cnn([[[3.0, 0]] * 4], [[2.0]], pooling="mean"), (4, 5), ZERO),
    "ConvNet-mean-short": (lambda: cnn([[[3.0, 0]] * 4], [[2.0]], pooling="mean"), (4, 1), ZERO),
    # one filter sees A, the other sees it as the T opposite
    "ConvNet-max-strands": (
        lambda: cnn([[[1.0], [0], [0], [0]], [[0], [0], [0], [1]]], torch.eye(2).tolist(), reverse_complement=True),
        (4, 5),
        (1.0, 0, 0, 0),
    ),
    "ConvNet-mean-strands": (
        lambda: cnn([[[1.0], [-1], [-1], [1]]], [[2.0]], pooling="mean", reverse_complement=True),
        (4, 3),
        ZERO,
    ),
    "ConvNet-encoded": (
        lambda: CNN(filters=1, width=1, pooling="mean", activation="identity").build(
            PROTEIN, outputs=1, length=3, encoding=Blosum62()
        ),
        (20, 3),
        ZERO,
    ),
    "ConvNet-deep": (
        lambda: cnn([WEIGHTS], [[2.0]], depth=2, pooling="mean", convs__1__weight=[[[-3.0]]]),
        (4, 3),
        ZERO,
    ),
    "ConvNet-hidden": (
        lambda: cnn(
            [WEIGHTS], [[2.0, 0]], pooling="mean", hidden=2, hidden__weight=[[-3.0], [0]], hidden__bias=[9.0, 9]
        ),
        (4, 3),
        ZERO,
    ),
    "SmoothConvNet": (lambda: smooth([[[3.0, 0]] * 4], [[2.0]], 1e-9), (4, 3), (1.0,)),
    # filters of zero see how large a window is
    "SmoothConvNet-size": (lambda: smooth([[[0.0]] * 4] * 3, [[2.0] * 3], 1.5), (4, 3), (1.0,)),
    "SpectrumNet": (
        lambda: filled(SpectrumNet(DNA, 1, outputs=1, length=3), output__weight=[[1.0, -2, 0, 3]]),
        (4, 3),
        (1.0,),
    ),
    "AlignmentNet": (aligned, (20, 3), (1.0, *[0.0] * 19)),
    "NeighbourNet": (between_neighbours, (4, 3), (0.5, 0.5, 0.0, 0.0)),
    "SumNet": (linear_sum, (4, 3), (1.0,)),
}


def all_parts(kind: type[Part]) -> list[type[Part]]:
    return [each for below in kind.__subclasses__() for each in (below, *all_parts(below))]


def test_every_layer_with_a_rule_has_a_case_in_which_it_is_reached() -> None:
    networks = [SumNet, *(kind for kind in all_parts(Part) if kind.proved and kind.__module__.startswith("seqreg."))]
    assert {name.partition("-")[0] for name in REACHED} == {kind.__name__ for kind in (*LIPSCHITZ_RULES, *networks)}


@pytest.mark.parametrize("name", REACHED)
def test_a_move_reaches_the_bound(name: str) -> None:
    build, (channels, length), values = REACHED[name]
    net = build().double().eval().requires_grad_(False)
    x = torch.tensor(values, dtype=torch.float64)[:, None].expand(-(-channels // len(values)) * len(values), length)
    x = x[:channels][None].contiguous()
    impulses = torch.eye(channels * length, dtype=torch.float64).unflatten(1, (channels, length))
    whole = net(x).flatten(1)

    def forward(z: Tensor) -> Tensor:
        return net(z).flatten(1)

    ratio = max(steepest(forward, x), (forward(x + impulses) - whole).norm(dim=1).max().item())
    assert ratio == pytest.approx(lipschitz_upper_bound(net, length).item(), rel=5e-3, abs=1e-12)
    if whole.shape == net(x).shape == (1, 1):
        bound = lipschitz_upper_bound(net, length, direction=torch.tensor([-3.0], dtype=torch.float64))
        assert bound.item() == pytest.approx(3 * ratio, rel=5e-3)


@pytest.mark.parametrize("name", REACHED)
def test_directions_side_by_side_are_bounded_as_each_of_them_is(name: str) -> None:
    build, (channels, length), _ = REACHED[name]
    net = build().double().eval().requires_grad_(False)
    outputs = net(torch.zeros(1, channels, length).double()).numel()
    directions = torch.randn(2, 3, outputs, dtype=torch.float64)
    each = torch.stack([lipschitz_upper_bound(net, length, one) for one in directions.flatten(0, 1)]).view(2, 3)
    torch.testing.assert_close(lipschitz_upper_bound(net, length, directions), each)
    torch.testing.assert_close(lipschitz_upper_bound(net, length, directions.float()).double(), each, rtol=1e-5, atol=0)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_no_convolution_of_few_letters_exceeds_its_bound(mode: str) -> None:
    """Short signals meet themselves in their padding: every length, padding, stride and dilation that can be."""
    kernels = [[1.0], [1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, -1.0, 1.0]]
    cases = itertools.product(kernels, (0, 1, 3), (1, 2, 3), (1, 2), (1, 2, 3, 5))
    for kernel, padding, stride, dilation, length in cases:
        spread = dilation * (len(kernel) - 1)
        most = {"zeros": 9, "circular": length, "reflect": length - 1, "replicate": 9}[mode]
        if padding > most or length + 2 * padding <= spread:
            continue
        conv = nn.Conv1d(1, 1, len(kernel), stride, padding, dilation, bias=False, padding_mode=mode).double()
        conv.weight.data.copy_(torch.tensor(kernel))
        dense = torch.linalg.matrix_norm(dense_matrix(conv, 1, length), 2)
        assert dense <= lipschitz_upper_bound(conv, length) * (1 + 1e-12), (kernel, padding, stride, dilation, length)


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


def test_a_direction_that_no_layer_takes_costs_its_norm() -> None:
    for net in (nn.Flatten(), nn.Sequential(linear([[1.0, 0], [0, 1]]), nn.ReLU())):
        assert lipschitz_upper_bound(net, direction=torch.tensor([3.0, -4.0])).item() == pytest.approx(5)


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


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_padding_by_name_is_padding_by_number(stride: int, dilation: int) -> None:
    """The mean over windows, of which there are as many as the padding makes, is where it shows."""

    def bound(padding: str | int, stride: int) -> float:
        torch.manual_seed(0)
        conv = nn.Conv1d(4, 5, 3, stride=stride, dilation=dilation, padding=padding)
        return lipschitz_upper_bound(nn.Sequential(conv, nn.AdaptiveAvgPool1d(1), nn.Flatten()), 13).item()

    assert bound("valid", stride) == bound(0, stride) > bound(dilation, stride)
    if stride == 1:
        assert bound("same", 1) == bound(dilation, 1)
