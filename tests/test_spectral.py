"""Norms and projections of kernels, against dense matrices, fine grids and finite differences."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.errors import UsageError
from seqreg.spectral import (
    clip_singular_values,
    conv1d_norm_upper_bound,
    grid_size,
    norms,
    project_operator,
    project_reshaped,
    projections,
    reshaped_norm,
    symbol,
    symbol_taps,
)
from tests.oracles import dense_matrix

# (C_out, C_in, W, stride, dilation, groups): every axis and every rule, alone and together.
SETTINGS = [
    (1, 1, 1, 1, 1, 1),
    (1, 1, 6, 1, 1, 1),
    (4, 3, 1, 2, 1, 1),
    (5, 2, 3, 1, 1, 1),
    (2, 5, 4, 1, 1, 1),
    (3, 4, 7, 1, 3, 1),
    (5, 3, 7, 2, 1, 1),
    (3, 5, 4, 3, 1, 1),
    (4, 2, 3, 2, 2, 1),
    (2, 3, 4, 3, 2, 1),
    (2, 3, 2, 4, 1, 1),
    (6, 4, 5, 1, 1, 2),
    (6, 3, 4, 1, 2, 3),
    (4, 6, 5, 2, 1, 2),
    (6, 6, 3, 2, 3, 3),
]
KERNELS_PER_SETTING = 70  # 15 settings: 1,050 kernels


def random_kernel(generator: torch.Generator, shape: tuple[int, ...], kind: int) -> Tensor:
    """Noise, noise about a strong smooth filter, a rank-one wave, or entries of widely different size."""
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    wave = torch.cos(torch.rand((), generator=generator, dtype=torch.float64) * math.pi * torch.arange(shape[2]))
    outer = noise[:, :1, :1] * noise[:1, :, :1]
    return [noise, noise + 3 * outer.expand(shape), outer * wave, noise * 10 ** (3 * noise)][kind % 4]


def dense_norm(
    weight: Tensor, stride: int, dilation: int, groups: int, length: int, padding: int, circular: bool
) -> float:
    def apply(x: Tensor) -> Tensor:
        x = F.pad(x, (padding, padding), mode="circular" if circular else "constant")
        return F.conv1d(x, weight, stride=stride, dilation=dilation, groups=groups)

    return torch.linalg.matrix_norm(dense_matrix(apply, weight.shape[1] * groups, length), 2).item()


def fine_supremum(weights: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
    """(B,) largest norm of the symbols of weights (B, C_out, C_in / G, W) on a grid of 16,384, from the definition:

    one matrix per frequency w and kernel, `[sum_{m = b mod s} W_m exp(-i w (m - b) / s)]_b` side by side.
    """
    w = torch.arange(8193, dtype=torch.float64) * (2 * math.pi / 16384)
    blocks: list[Tensor] = []
    for phase in range(stride):
        taps = [j for j in range(weights.shape[3]) if (j * dilation) % stride == phase]
        if taps:
            powers = torch.tensor([(j * dilation - phase) // stride for j in taps], dtype=torch.float64)
            waves = torch.exp(-1j * w[:, None] * powers)
            blocks.append(torch.einsum("fj,boij->bfoi", waves, weights[..., taps].to(torch.complex128)))
    symbol = torch.cat(blocks, dim=3)
    per_group = symbol.unflatten(2, (groups, -1)).movedim(2, 0)
    wide = per_group.shape[-1] >= per_group.shape[-2]
    gram = per_group @ per_group.mH if wide else per_group.mH @ per_group
    # The Frobenius norm bounds the largest eigenvalue: only frequencies that can win are decomposed.
    candidates = torch.linalg.matrix_norm(gram)
    best = torch.stack(
        [
            torch.linalg.eigvalsh(gram[:, b].flatten(0, 1)[candidates[:, b].flatten().topk(1).indices])[..., -1].max()
            for b in range(len(weights))
        ]
    )
    norms = torch.empty(len(weights), dtype=torch.float64)
    for b in range(len(weights)):
        rows = gram[:, b].flatten(0, 1)[candidates[:, b].flatten() >= 0.999 * best[b]]
        norms[b] = torch.linalg.eigvalsh(rows)[:, -1].max().sqrt()
    return norms


@pytest.mark.parametrize(("c_out", "c_in", "width", "stride", "dilation", "groups"), SETTINGS)
def test_bound_is_between_the_dense_norm_and_just_above_the_supremum(
    c_out: int, c_in: int, width: int, stride: int, dilation: int, groups: int
) -> None:
    generator = torch.Generator().manual_seed(c_out + 7 * c_in + 49 * width)
    shape = (c_out, c_in // groups, width)
    weights = torch.stack([random_kernel(generator, shape, kind) for kind in range(KERNELS_PER_SETTING)])
    suprema = fine_supremum(weights[:12], stride, dilation, groups)
    reach = dilation * (width - 1) + 1
    for index, weight in enumerate(weights):
        bound = conv1d_norm_upper_bound(weight, stride, dilation, groups).item()
        coarse = conv1d_norm_upper_bound(weight, stride, dilation, groups, n=symbol_taps(width, stride, dilation) + 1)
        length, padding = reach + index % 11, index % (reach + 2)
        zero_padded = dense_norm(weight, stride, dilation, groups, length, padding, circular=False)
        assert zero_padded <= bound
        assert zero_padded <= coarse.item()
        assert reshaped_norm(weight, groups).item() <= bound * (1 + 1e-12)
        whole = stride * max(length, 2)  # circular: a length the stride divides, and no window twice
        if reach <= whole:
            assert dense_norm(weight, stride, dilation, groups, whole, (reach - 1) // 2, circular=True) <= bound
        if index < len(suprema):
            assert suprema[index] <= bound <= 1.005 * suprema[index]


def test_the_dense_norm_reaches_the_bound_on_long_signals() -> None:
    weight = torch.randn(3, 2, 5, dtype=torch.float64)
    bound = conv1d_norm_upper_bound(weight).item()
    assert dense_norm(weight, 1, 1, 1, length=200, padding=4, circular=False) >= 0.995 * bound


@pytest.mark.parametrize("width", [2, 17, 40])
def test_the_grid_rule_keeps_the_slack_below_half_a_per_cent(width: int) -> None:
    weight = torch.randn(3, 4, width, dtype=torch.float64)
    supremum = fine_supremum(weight[None], 1, 1, 1)[0]
    assert supremum <= conv1d_norm_upper_bound(weight, n=grid_size(width)) <= 1.005 * supremum


def test_the_certificate_is_sharp_for_two_taps_half_way_between_frequencies() -> None:
    """|1 - exp(i w)| has its supremum 2 at w = pi, which on an odd grid lies half-way between two frequencies."""
    weight = torch.tensor([[[1.0, -1.0]]], dtype=torch.float64)
    assert conv1d_norm_upper_bound(weight, n=5).item() == pytest.approx(2, rel=1e-12)


def test_reshaped_norm_of_linear_and_grouped_weights_is_the_largest_singular_value() -> None:
    for rows, columns in [(7, 4), (3, 9), (1, 5)]:
        weight = torch.randn(rows, columns, dtype=torch.float64)
        assert torch.allclose(reshaped_norm(weight), torch.linalg.svdvals(weight)[0], rtol=1e-12)
    grouped = torch.randn(6, 2, 5, dtype=torch.float64)
    by_hand = max(torch.linalg.svdvals(part.flatten(1))[0] for part in grouped.split(2))
    assert torch.allclose(reshaped_norm(grouped, groups=3), by_hand, rtol=1e-12)


@pytest.mark.parametrize(
    "norm",
    [
        lambda w: conv1d_norm_upper_bound(w, n=32),
        lambda w: conv1d_norm_upper_bound(w, stride=2, dilation=3, groups=2, n=32),
        lambda w: conv1d_norm_upper_bound(w, stride=3, n=32),
        reshaped_norm,
        lambda w: reshaped_norm(w, groups=2),
    ],
    ids=["bound", "bound-strided", "bound-stride-3", "reshaped", "reshaped-groups"],
)
def test_gradients_against_finite_differences(norm: Callable[[Tensor], Tensor]) -> None:
    weight = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, (weight,), eps=1e-6, atol=1e-5)


def test_the_norm_of_a_zero_kernel_is_zero_with_zero_gradient() -> None:
    for norm in (conv1d_norm_upper_bound, reshaped_norm):
        weight = torch.zeros(3, 2, 4, requires_grad=True)
        value = norm(weight)
        value.backward()
        assert value.item() == 0
        assert weight.grad is not None
        assert torch.equal(weight.grad, torch.zeros(3, 2, 4))


# ---- projections


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (3, 5, 6), (1, 9)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_clipping_singular_values_is_what_the_svd_says(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    matrix = torch.randn(shape, dtype=dtype)
    u, sigma, vh = torch.linalg.svd(matrix, full_matrices=False)
    tau = sigma.mean().item()
    expected = u @ (sigma.clamp(max=tau).to(dtype)[..., None] * vh)
    assert torch.allclose(clip_singular_values(matrix, tau), expected, atol=1e-10)
    assert torch.allclose(clip_singular_values(matrix, torch.tensor(tau)), expected, atol=1e-6)
    assert torch.equal(clip_singular_values(matrix, sigma.max().item() * 1.0001), matrix)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("c_out", "c_in", "width", "stride", "dilation", "groups"), SETTINGS)
def test_projections_land_in_the_ball_stay_there_and_leave_what_is_inside(
    c_out: int, c_in: int, width: int, stride: int, dilation: int, groups: int, dtype: torch.dtype
) -> None:
    tiny = 50 * torch.finfo(dtype).eps
    shape, settings = (c_out, c_in // groups, width), {"stride": stride, "dilation": dilation, "groups": groups}
    cases: list[tuple[Callable[[Tensor, float], Tensor], Callable[[Tensor], Tensor]]] = [
        (lambda w, r: project_reshaped(w, r, groups), lambda w: reshaped_norm(w, groups)),
        (lambda w, r: project_operator(w, r, **settings, n=64), lambda w: conv1d_norm_upper_bound(w, **settings, n=64)),
    ]
    for kind in range(4):
        weight = random_kernel(torch.Generator().manual_seed(kind), shape, kind).to(dtype)
        for project, norm in cases:
            size = norm(weight).item()
            radius = 0.6 * size
            projected = project(weight, radius)
            assert projected.dtype == dtype
            assert norm(projected).item() <= radius * (1 + tiny)
            assert torch.allclose(project(projected, radius), projected, rtol=0, atol=tiny * weight.abs().max().item())
            assert torch.equal(project(weight, 1.001 * size), weight)
            # scaling everything by .6 is feasible too, and at most a little nearer
            assert (projected - weight).norm() <= 0.41 * weight.norm()


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tensor]:
    """What a function returns of arguments where eigenvalues are found as on a GPU, by products of matrices."""

    def call(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
        with monkeypatch.context() as patch:
            for module in (symbol, norms, projections):
                patch.setattr(module, "by_products", lambda gram: True)
            return function(*arguments)

    return call


def test_products_of_matrices_are_squared_until_little_is_left_over() -> None:
    for m in (1, 5, 64):
        bound, _ = symbol.leading_power(3 * torch.eye(m, dtype=torch.float64))
        assert bound.item() == pytest.approx(3 * m ** (1 / 2**symbol.SQUARINGS), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("c_out", "c_in", "width", "stride", "dilation", "groups"), SETTINGS)
def test_products_of_matrices_bound_and_project_like_eigenvalues(
    c_out: int,
    c_in: int,
    width: int,
    stride: int,
    dilation: int,
    groups: int,
    dtype: torch.dtype,
    products: Callable[..., Tensor],
) -> None:
    shape, settings = (c_out, c_in // groups, width), {"stride": stride, "dilation": dilation, "groups": groups}
    tiny = 50 * torch.finfo(dtype).eps
    for kind in range(4):
        weight = random_kernel(torch.Generator().manual_seed(kind), shape, kind).to(dtype).requires_grad_()
        for norm, project in (
            (lambda w: reshaped_norm(w, groups), lambda w, r: project_reshaped(w, r, groups)),
            (
                lambda w: conv1d_norm_upper_bound(w, **settings, n=64),
                lambda w, r: project_operator(w, r, **settings, n=64),
            ),
        ):
            exact, bound = norm(weight), products(norm, weight)
            assert exact * (1 - tiny) <= bound <= exact * 1.0005
            slopes = [torch.autograd.grad(each, weight)[0] for each in (exact, bound)]
            along = [float((slope * weight.detach()).sum() / exact.detach()) for slope in slopes]
            assert along == pytest.approx([1, 1], abs=1e-3), "the norm is homogeneous"
            radius = 0.6 * exact.item()
            with torch.no_grad():
                near = products(project, weight, radius)
                assert norm(near) <= radius * (1 + tiny)
                assert torch.equal(products(project, near, radius), near)
                torch.testing.assert_close(near, project(weight, radius), rtol=0, atol=1e-3 * radius)
                inside = products(project, weight, 1.001 * exact.item())
                assert torch.equal(inside, weight)


def test_what_products_of_matrices_leave_is_bounded(products: Callable[..., Tensor]) -> None:
    """A singular value just above the radius beside one far above, and two eigenvalues that are nearly equal."""
    wide = torch.diag(torch.tensor([5e3, 1.001], dtype=torch.float64))
    assert torch.linalg.svdvals(products(clip_singular_values, wide, 1.0)).max() <= 1 + 1e-12
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
    near = turn @ torch.diag(torch.tensor([1, 1 - 1e-6, 0.3], dtype=torch.float64)) @ turn.T
    assert 1 - 1e-12 <= products(reshaped_norm, near).item() <= 1.0002


def test_products_of_matrices_know_equal_zero_and_impossible_eigenvalues(products: Callable[..., Tensor]) -> None:
    for matrix in (torch.eye(5), torch.zeros(3, 4), torch.ones(4, 4)):
        norm = float(reshaped_norm(matrix))
        assert float(products(reshaped_norm, matrix)) == pytest.approx(norm, rel=2e-4, abs=1e-12)
        torch.testing.assert_close(
            products(clip_singular_values, matrix, 0.5),
            clip_singular_values(matrix, 0.5),
            rtol=0,
            atol=3e-4,
        )
    for value in (math.nan, math.inf):
        matrix = torch.eye(3)
        matrix[1, 0] = value
        assert products(reshaped_norm, matrix).isnan()
        assert products(clip_singular_values, matrix, 0.5).isnan().any()


def test_operator_projection_is_close_to_the_nearest_kernel() -> None:
    """Against Dykstra's algorithm, which converges to the projection onto the intersection of ball and kernel width."""
    weight, n = torch.randn(8, 4, 6, dtype=torch.float64), 64
    radius = 0.7 * conv1d_norm_upper_bound(weight, n=n).item()
    level = radius * math.cos(math.pi * 5 / (2 * n))
    kernel, correction = F.pad(weight, (0, n - 6)), torch.zeros(8, 4, n, dtype=torch.float64)
    for _ in range(300):
        u, sigma, vh = torch.linalg.svd(torch.fft.fft(kernel + correction).movedim(2, 0), full_matrices=False)
        clipped = torch.fft.ifft(((u * sigma.clamp(max=level)[:, None]) @ vh).movedim(0, 2)).real
        correction = kernel + correction - clipped
        kernel = F.pad(clipped[..., :6], (0, n - 6))
    nearest = (kernel[..., :6] - weight).norm()
    assert nearest <= (project_operator(weight, radius, n=n, rounds=3) - weight).norm() <= 1.15 * nearest


def test_a_kernel_just_outside_is_moved_just_inside() -> None:
    """Even on a coarse grid: a clip that ignored the grid's slack would leave scaling to do all the work."""
    weight, n = torch.randn(16, 6, 6, dtype=torch.float64), 16
    bound = conv1d_norm_upper_bound(weight, n=n).item()
    scaled = weight / 1.02
    assert (project_operator(weight, bound / 1.02, n=n) - weight).norm() <= 0.7 * (scaled - weight).norm()


def test_nothing_waits_for_the_device() -> None:
    """On the meta device there are no values: reading one back to the host would raise."""
    weight = torch.empty(6, 2, 5, device="meta", requires_grad=True)
    settings = {"stride": 2, "dilation": 3, "groups": 3}
    for value in (
        conv1d_norm_upper_bound(weight, **settings),
        reshaped_norm(weight, 3),
        project_operator(weight, 1.0, **settings),
        project_reshaped(weight, 1.0, 3),
        clip_singular_values(weight.flatten(1), 1.0),
    ):
        assert value.device.type == "meta"


@pytest.mark.parametrize(
    "call",
    [
        lambda: conv1d_norm_upper_bound(torch.ones(3, 4)),
        lambda: conv1d_norm_upper_bound(torch.ones(3, 2, 0)),
        lambda: conv1d_norm_upper_bound(torch.ones(4, 2, 3), groups=3),
        lambda: conv1d_norm_upper_bound(torch.ones(4, 2, 3), stride=0),
        lambda: conv1d_norm_upper_bound(torch.ones(4, 2, 300), n=256),
        lambda: reshaped_norm(torch.ones(4)),
        lambda: reshaped_norm(torch.ones(4, 2, 3), groups=3),
        lambda: project_operator(torch.ones(4, 2, 3), 1.0, rounds=-1),
    ],
    ids=["2-d", "no-tap", "groups", "stride", "grid", "1-d", "reshaped-groups", "rounds"],
)
def test_impossible_shapes_are_refused(call: Callable[[], Tensor]) -> None:
    with pytest.raises(UsageError):
        call()


@pytest.mark.parametrize("shape", [(3, 2, 4), (40, 33, 3)])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_weight_that_is_not_finite_has_no_norm(shape: tuple[int, ...], value: float) -> None:
    weight = torch.ones(shape)
    weight[1, 1, 1] = value
    for norm in (conv1d_norm_upper_bound, reshaped_norm):
        assert not norm(weight).isfinite()
    for project in (project_operator, project_reshaped):
        assert not project(weight, 1.0).isfinite().all()
