"""Convolutions whose derivatives of every order are convolutions again.

The functions here are the partial derivatives of the one trilinear form

    F(x, W, g) = sum_{n, c, t, a, j} g[n, c, t] x[n, a, t + j] W[c, a, j]

so each one's backward pass consists of the other two, at the price of a first derivative each, where PyTorch's own
second derivative of a convolution is dearer on CPUs.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Back = Callable[[Tensor], Tensor]


def conv(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """(N, C, T) valid convolution of x (N, A, L) with a kernel (C, A, W), plus a bias (C,), T = L - W + 1."""
    return with_gradients(
        lambda: F.conv1d(x, kernel, bias),
        (x, lambda g: conv_place(g, kernel)),
        (kernel, lambda g: conv_outer(g, x)),
        (bias, lambda g: g.sum((0, 2))),
    )


def conv_place(g: Tensor, kernel: Tensor) -> Tensor:
    """(N, A, L) every filter, times g (N, C, T), added at its window: the convolution's derivative in x."""
    x = g.new_empty(len(g), kernel.shape[1], g.shape[2] + kernel.shape[2] - 1)
    return with_gradients(
        lambda: _adjoint(g, x, kernel, (True, False, False))[0],
        (g, lambda v: conv(v, kernel)),
        (kernel, lambda v: conv_outer(g, v)),
    )


def conv_outer(g: Tensor, x: Tensor) -> Tensor:
    """(C, A, W) all windows of x (N, A, L), times g (N, C, T), added up: the convolution's derivative in the kernel."""
    kernel = g.new_empty(g.shape[1], x.shape[1], x.shape[2] - g.shape[2] + 1)
    return with_gradients(
        lambda: _adjoint(g, x, kernel, (False, True, False))[1],
        (g, lambda v: conv(x, v)),
        (x, lambda v: conv_place(g, v)),
    )


def _adjoint(g: Tensor, x: Tensor, kernel: Tensor, wanted: tuple[bool, bool, bool]) -> tuple[Tensor, ...]:
    """PyTorch's first derivatives; of the argument whose gradient is wanted, only the shape is looked at."""
    return torch.ops.aten.convolution_backward(g, x, kernel, None, [1], [0], [1], False, [0], 1, wanted)


def with_gradients(value: Callable[[], Tensor], *arguments: tuple[Tensor | None, Back]) -> Tensor:
    """value(), with the gradient of each argument given as a map of the gradient of the result.

    Each argument has a node of its own in the graph, which is run if its gradient is asked for; a node for all of
    them would compute all their gradients whenever one is wanted.
    """
    with torch.no_grad():
        result = value()
    if not torch.is_grad_enabled():
        return result
    paths = [_Path.apply(a, result.shape, back) for a, back in arguments if a is not None and a.requires_grad]
    return _Join.apply(result, *paths) if paths else result


class _Path(torch.autograd.Function):
    """A zero of the shape of the result, by which its gradient finds the way to one argument."""

    @staticmethod
    def forward(ctx: Any, argument: Tensor, shape: torch.Size, back: Back) -> Tensor:
        ctx.back = back
        return argument.new_zeros(()).expand(shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.back(grad), None, None


class _Join(torch.autograd.Function):
    """The result, at the end of the paths to its arguments."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, *paths: Tensor) -> Tensor:
        ctx.count = len(paths)
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, *[grad] * ctx.count
