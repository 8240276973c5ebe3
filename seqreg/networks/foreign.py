"""Networks that seqreg did not write, scored so that nothing about them is assumed and nothing in them is changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parallel import DataParallel, DistributedDataParallel

from seqreg.errors import UsageError


class ForeignNetwork:
    """Logits (N, K) of any network, for any x (N, A, L) in the place of one batch.

    A score may depend on the rest of the batch (batch statistics) and on chance (dropout). So every call scores the
    whole batch, with the random numbers that the caller would draw next, and buffers such as running statistics as
    they are; afterwards both are as before. Autocast is the caller's, and a compiled network runs uncompiled, for
    torch.compile has no second derivative.

    model: called as `model(x, *inputs)`. output: from what it returns to (N, K) or (N,), one logit; None where it
    returns that. x: the batch, for its size, device and type.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        x: Tensor,
        inputs: tuple[Tensor, ...] = (),
        output: Callable[[Any], Tensor] | None = None,
    ) -> None:
        self.module = model
        self.name = type(model).__name__ if isinstance(model, nn.Module) else "function"
        self.one_dimensional = False
        self._inputs, self._output = inputs, output
        self._n, self._dtype, self._device = len(x), x.dtype, x.device
        kind = x.device.type
        self._autocast = {"enabled": torch.is_autocast_enabled(kind), "dtype": torch.get_autocast_dtype(kind)}

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (N, K), in single precision at least. Raises UsageError for anything else that the network returns."""
        kind = self._device.type
        seeded = [] if kind in ("cpu", "mps") else [self._device.index]
        with (
            kept_buffers(self.module),
            torch.random.fork_rng(seeded, device_type=kind if seeded else "cuda"),
            torch.autocast(kind, **self._autocast, cache_enabled=False),
            torch.compiler.set_stance("force_eager"),
            self._twice_differentiable(),
        ):
            returned = self.module(x.to(self._dtype), *self._inputs)
            outputs = returned if self._output is None else self._output(returned)
        self._refuse_unless_logits(outputs, x)
        self.one_dimensional = outputs.dim() == 1
        logits = outputs[:, None] if self.one_dimensional else outputs
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    @contextmanager
    def _twice_differentiable(self) -> Iterator[None]:
        """The kernels of attention and recurrent layers that have a second derivative."""
        recurrent = self._device.type == "cuda" and any(isinstance(m, nn.RNNBase) for m in _modules(self.module))
        slow = torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()
        with sdpa_kernel(SDPBackend.MATH), slow:
            yield

    def _refuse_unless_logits(self, outputs: Any, x: Tensor) -> None:
        what = "output= returns" if self._output else f"the {self.name} returns"
        if not isinstance(outputs, Tensor):
            raise UsageError(
                f"{what} a {type(outputs).__name__}; logits are a tensor (N, K), or (N,) for one logit. Say where they "
                "are: output=lambda returned: returned[0], for example"
            )
        if outputs.dim() not in (1, 2) or len(outputs) != self._n:
            raise UsageError(
                f"{what} shape {tuple(outputs.shape)} for a batch of N = {self._n}; logits are (N, K), a row per "
                "sequence, or (N,) for one logit. Give output=, which turns what is returned into that; second inputs "
                "go in inputs="
            )
        if torch.is_grad_enabled() and x.requires_grad and not outputs.requires_grad:
            raise UsageError(
                f"{what} numbers that carry no gradient back to x. Penalties and attacks need a network that is "
                "differentiable in one-hot x: no argmax, no .detach() and no torch.no_grad() on the way"
            )


def unwrap(model: Callable[..., Any]) -> Callable[..., Any]:
    """The network inside DistributedDataParallel or DataParallel, whose gradients are still averaged as they arrive.

    The wrapper would write the first process's buffers into the others' between the forward and the backward pass.
    """
    while isinstance(model, DistributedDataParallel | DataParallel):
        model = model.module
    return model


@contextmanager
def kept_buffers(model: Callable[..., Any]) -> Iterator[None]:
    """What is written to buffers inside goes to copies, which are dropped.

    Copies stand in for the buffers, instead of values being written back: autograd would take that for a change of
    what it has saved. Which modules a function calls is seen as they are called.
    """
    kept: list[tuple[nn.Module, str, Tensor]] = []
    seen: set[nn.Module] = set()
    copies: dict[int, Tensor] = {}

    def copy(module: nn.Module, *_: Any) -> None:
        if module in seen:
            return
        seen.add(module)
        for name, buffer in [*module.named_buffers(recurse=False)]:
            kept.append((module, name, buffer))
            setattr(module, name, copies.setdefault(id(buffer), buffer.clone()))

    watch = nullcontext() if isinstance(model, nn.Module) else register_module_forward_pre_hook(copy)
    try:
        with watch:
            for module in _modules(model):
                copy(module)
            yield
    finally:
        for module, name, buffer in kept:
            setattr(module, name, buffer)


def _modules(model: Callable[..., Any]) -> list[nn.Module]:
    return [*model.modules()] if isinstance(model, nn.Module) else []
