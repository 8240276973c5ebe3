"""The optimizers of the loop: AdamW on flat tensors, and one that stays near the solution that it begins at."""

import inspect
import math
from collections.abc import Collection
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# How far a step goes beside the weights of a head. Of all of `ecoli-sigma70`, draw 10, with `hamming` .62 of balanced
# accuracy are proved at two substitutions by steps of .05 and .67 by .1, for .002 of auroc. What a step takes back of
# the way that weights have gone is 1 / sqrt(n) of n sequences, .02 there: with as little of 100 of `signalp5`, draw 10,
# `gradient` costs .04 of auroc, with .1 it costs .01.
BESIDE = 0.1


class Optimizer(Protocol):
    """What the loop asks of one. lr: the learning rate of the next step. state: PyTorch's optimizer, which holds it."""

    lr: float

    @property
    def state(self) -> torch.optim.Optimizer: ...  # noqa: D102

    def zero_grad(self) -> None: ...  # noqa: D102

    def step(self) -> None: ...  # noqa: D102

    def release(self) -> None: ...  # noqa: D102


class FlatAdamW:
    """AdamW whose decay acts on kernels and matrices, and not on biases: on all of the one, and all of the other.

    While it is in use, the trained parameters of the network, and their `.grad`, are views of flat tensors, one of
    matrices and one of vectors; `release` gives each memory of its own again. A step is by the equations of PyTorch,
    whose optimizer holds the state. On a processor it is one pass over the numbers.
    """

    def __init__(self, model: nn.Module, lr: float, decay: float) -> None:
        trained = [each for each in model.parameters() if each.requires_grad]
        kinds = [[each for each in trained if (each.dim() > 1) == matrices] for matrices in (True, False)]
        self._views = [(_flattened(views), views) for views in kinds if views]
        groups = [{"params": [flat], "weight_decay": decay * (views[0].dim() > 1)} for flat, views in self._views]
        self.state = _AdamW(groups, lr=lr)
        self.lr = lr
        self._plain = all(
            flat.device.type == "cpu" and flat.dtype in (torch.float32, torch.float64) for flat, _ in self._views
        )

    def zero_grad(self) -> None:
        """Set all gradients to zero; they stay where they are."""
        for flat, _ in self._views:
            assert flat.grad is not None
            flat.grad.zero_()

    def step(self) -> None:
        """Take a step by the gradients, with the learning rate `lr`."""
        for group in self.state.param_groups:
            group["lr"] = self.lr
            if self._plain:
                _step(group, self.state.state[group["params"][0]])
        if not self._plain:
            self.state.step()

    def release(self) -> None:
        """End the use: every parameter has memory of its own again, and no gradient."""
        for _, views in self._views:
            for each in views:
                each.data, each.grad = each.data.clone(), None


class _AdamW(torch.optim.AdamW):
    """PyTorch's, without the wrappers that load its compiler when they are first called, which takes two seconds."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)


class Nearby:
    """Adam around the weights that the network has at the beginning, to which every step draws them back.

    heads: weights whose steps are as large beside them as BESIDE says, at the learning rate `lr`; others move by it.
    back: what is taken back of the way that weights have gone, at that rate.
    """

    def __init__(self, model: nn.Module, lr: float, heads: Collection[Tensor], back: float) -> None:
        trained = [each for each in model.parameters() if each.requires_grad]
        self._begun = [each.detach().clone() for each in trained]
        self._peak = self.lr = lr
        self._back = back
        self._beside = [
            BESIDE * float(each.detach().square().mean().sqrt()) / lr if any(each is one for one in heads) else 1.0
            for each in trained
        ]
        self.state = torch.optim.Adam([{"params": [each]} for each in trained], lr=lr)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.state.zero_grad()

    @torch.no_grad()
    def step(self) -> None:
        """Take a step by the gradients, and a part of the way back."""
        for group, beside in zip(self.state.param_groups, self._beside, strict=True):
            group["lr"] = self.lr * beside
        self.state.step()
        for group, begun in zip(self.state.param_groups, self._begun, strict=True):
            group["params"][0].lerp_(begun, self._back * self.lr / self._peak)

    def release(self) -> None:
        """End the use: no parameter has a gradient."""
        self.state.zero_grad()


def _step(group: dict[str, Any], state: dict[str, Tensor]) -> None:
    from seqreg.training.adamw_loop import step_adamw  # Numba takes a while to load

    (weights,) = group["params"]
    if not state:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weights), torch.zeros_like(weights)
    state["step"] += 1
    steps, (first, second) = state["step"].item(), group["betas"]
    scalars = (
        1 - group["lr"] * group["weight_decay"],
        1 - first,
        second,
        group["lr"] / (1 - first**steps),
        math.sqrt(1 - second**steps),
        group["eps"],
    )
    arrays: list[NDArray[Any]] = [
        each.detach().numpy() for each in (weights, weights.grad, state["exp_avg"], state["exp_avg_sq"])
    ]
    step_adamw(*arrays, np.array(scalars, arrays[0].dtype))


def _flattened(parameters: list[nn.Parameter]) -> Tensor:
    """One tensor of all numbers, of which the parameters and their gradients become views."""
    flat = torch.cat([each.detach().reshape(-1) for each in parameters]).requires_grad_()
    flat.grad = torch.zeros_like(flat)
    at = 0
    for each in parameters:
        size = each.numel()
        each.data = flat.detach()[at : at + size].view(each.shape)
        each.grad = flat.grad[at : at + size].view(each.shape)
        at += size
    return flat
