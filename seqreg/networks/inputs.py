"""One face for every batch and network: seqreg's networks on ids or one-hot x, any other network on one-hot x."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from seqreg.errors import UsageError
from seqreg.networks.base import SequenceNetwork
from seqreg.networks.best_windows import BestWindows
from seqreg.networks.foreign import ForeignNetwork, unwrap
from seqreg.networks.objectives import objective_for, refuse_other_targets, refuse_unless_per_example
from seqreg.networks.part import parts_of

Loss = Callable[[Tensor, Tensor], Tensor]
ROUNDING = 0.01  # mixtures in bfloat16 sum to one only so closely


class InputView:
    """A batch as one-hot `x` (N, A, L) with gradients switched on, beside the network that scores it.

    `forward(view.x)` takes the look-up path where the network has one; `forward` of anything else is dense.
    `mask` (N, L) is True on letters, False on padding: perturbations stay off the padding.
    """

    def __init__(
        self,
        model: SequenceNetwork | ForeignNetwork,
        x: Tensor,
        lengths: Tensor | None = None,
        loss: Loss | None = None,
    ) -> None:
        self.model = model
        self.given = x
        self.ids = x if x.dim() == 2 else None
        self.lengths = model.lengths(x) if self.ids is not None and isinstance(model, SequenceNetwork) else lengths
        self._loss = loss
        self._targets_known = False

    @property
    def separable(self) -> bool:
        """Whether some of the sequences can be scored without the others: what `rows` is for."""
        return isinstance(self.model, SequenceNetwork)

    @property
    def module(self) -> nn.Module:
        """The network with its layers. Raises UsageError where it is a function, whose weights are not known."""
        module = self.model.module if isinstance(self.model, ForeignNetwork) else self.model
        if not isinstance(module, nn.Module):
            raise UsageError("this looks at layers and their weights: give the torch.nn.Module, not a function of it")
        return module

    @cached_property
    def x(self) -> Tensor:
        """One-hot leaf (N, A, L) that requires gradients, in single precision at least."""
        if isinstance(self.model, SequenceNetwork):
            for part in parts_of(self.model):
                part.demand("gradients")
        if self.ids is not None and isinstance(self.model, SequenceNetwork):
            return self.model.one_hot(self.ids).detach().requires_grad_()
        precise = torch.promote_types(self.given.dtype, torch.float32)
        return self.given.detach().clone().to(precise).requires_grad_()

    @cached_property
    def mask(self) -> Tensor:
        """(N, L) bool, True where there is a letter."""
        n, _, length = self.x.shape
        if self.lengths is None:
            return torch.ones(n, length, dtype=torch.bool, device=self.x.device)
        return torch.arange(length, device=self.x.device) < self.lengths[:, None]

    @cached_property
    def best_windows(self) -> BestWindows | None:
        """The batch seen through its best windows, where that is exact and pays: one layer, max pooling, on a CPU.

        A window that holds padding (of a sequence shorter than the filter) rules it out: filters placed there
        would reach beyond the letters.
        """
        model = self.model.windowed() if isinstance(self.model, SequenceNetwork) else None
        if model is None or len(model.convs) > 1 or model.pooling != "max":
            return None
        if self.given.device.type != "cpu" or self.given.shape[-1] < model.receptive_field:
            return None
        if self.lengths is not None and bool((self.lengths < model.receptive_field).any()):
            return None
        return BestWindows(model, self.given, self.lengths)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) at any x of the view's shape."""
        if isinstance(self.model, SequenceNetwork):
            if x is self.x and self.ids is not None:
                return self.model.forward_at(x, self.ids)
            return self.model(x, lengths=self.lengths)
        return self.model(x)

    @cached_property
    def logits(self) -> Tensor:
        """Logits (N, K) at x itself."""
        windows = self.best_windows
        return self.forward(self.x) if windows is None else windows.logits(windows.best)

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Losses (N,) of targets y: the caller's, of what the network returned, or else the classification loss."""
        if self._loss is not None:
            flat = isinstance(self.model, ForeignNetwork) and self.model.one_dimensional
            losses = self._loss(logits[:, 0] if flat else logits, y)
            refuse_unless_per_example(losses, len(logits))
            return losses
        objective = objective_for(self.model, y, logits.shape[1])
        # Targets of a training on a GPU are seqreg's own: it is not made to wait for a look at them.
        if not self._targets_known and (y.device.type == "cpu" or not self.separable):
            refuse_other_targets(logits, y, objective)
        self._targets_known = True
        return objective.loss(logits, y)

    def gradient(self, values: Tensor, *, create_graph: bool = False, retain_graph: bool | None = None) -> Tensor:
        """d values.sum() / d x (N, A, L), zero on padding, for values (N,) that are computed from `view.logits`."""
        if self.best_windows is not None:
            return self.best_windows.gradient(values, create_graph=create_graph, retain_graph=retain_graph)
        return self.masked(input_gradient(values.sum(), self.x, create_graph=create_graph, retain_graph=retain_graph))

    def masked(self, delta: Tensor) -> Tensor:
        """Delta (N, A, L) set to zero on padding."""
        if self.lengths is None or (self.mask.device.type == "cpu" and bool(self.mask.all())):
            return delta
        return delta * self.mask[:, None]

    def rows(self, index: Tensor) -> "InputView":
        """The view of some of the sequences, (n,) int64, of a separable view."""
        assert self.separable
        return InputView(self.model, self.given[index], None if self.lengths is None else self.lengths[index])

    def at(self, x: Tensor) -> "InputView":
        """The view of the same batch with x, like the one given, in its place."""
        return InputView(self.model, x, self.lengths, self._loss)


def as_onehot(model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> InputView:
    """The view of a batch given as ids (N, L) uint8 for seqreg's networks, or as one-hot x (N, A, L) for any."""
    return InputView(model if isinstance(model, SequenceNetwork) else ForeignNetwork(model, x), x, lengths)


@contextmanager
def open_batch(
    model: Callable[..., Any],
    x: Tensor,
    y: Tensor,
    lengths: Tensor | None = None,
    *,
    inputs: Tensor | Sequence[Tensor] = (),
    output: Callable[[Any], Tensor] | None = None,
    loss: Loss | None = None,
) -> Iterator[tuple[InputView, Tensor]]:
    """The door of penalties and attacks: the view of a caller's batch, and y, checked, in a world fit for derivatives.

    Inside, gradients are on, even within `torch.no_grad` and `torch.inference_mode`; autocast is off, except where a
    network that seqreg did not write is run. Raises UsageError where x is not letters over axis 1 or the arguments
    do not belong to each other. model, inputs, output: see `ForeignNetwork`. loss: `f(output, y) -> (N,)`.
    """
    model = unwrap(model)
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    own = isinstance(model, SequenceNetwork)
    if own and (inputs or output):
        raise UsageError(
            f"inputs= and output= are for networks that seqreg did not write, not for a {type(model).__name__}"
        )
    if x.dim() != 2:
        refuse_unless_letters(x)
    elif not own:
        raise UsageError(f"x has shape {tuple(x.shape)}; symbol codes are for seqreg's networks: {_WANTED}")
    for i, each in enumerate(inputs):
        if not isinstance(each, Tensor) or each.dim() < 1 or len(each) != len(x):
            shape = tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__
            raise UsageError(f"inputs[{i}] is {shape}; inputs are tensors of N = {len(x)} rows, one per sequence")
    with torch.inference_mode(False), torch.enable_grad():
        network = model if own else ForeignNetwork(model, x, tuple(map(_recordable, inputs)), output)
        with torch.autocast(x.device.type, enabled=False):
            yield InputView(network, _recordable(x), lengths, loss), _recordable(y)


_WANTED = "x is one-hot (N, A, L): sequences, letters of the alphabet, positions"


def refuse_unless_letters(x: Tensor) -> None:
    """Raises UsageError unless each column over axis 1 of x (N, A, L) is a letter, a mixture of letters, or zero.

    Where it is clear that axes 1 and 2 changed places, the error says so.
    """
    if x.dim() != 3:
        raise UsageError(f"x has shape {tuple(x.shape)}; {_WANTED}. Wrap a network that takes another shape")
    if not x.is_floating_point():
        raise UsageError(f"x holds {str(x.dtype).removeprefix('torch.')}; derivatives need numbers: pass x.float()")
    with torch.no_grad():
        columns, rows = x.sum(1), x.sum(2)
        whole, empty = (columns - 1).abs() < ROUNDING, columns.abs() < ROUNDING
        turned_whole, turned_empty = (rows - 1).abs() < ROUNDING, rows.abs() < ROUNDING
        letters = (whole | empty).all() & (x >= 0).all()
        # Each letter once, and columns without any: short sequences, laid the other way round.
        mistaken = turned_whole.all() & ~whole.all()
        good, turned = torch.stack([letters & ~mistaken, (turned_whole | turned_empty).all()]).tolist()
    if not good:
        seen = "the letters are along axis 2: pass x.mT" if turned else "the columns along axis 1 are not letters"
        raise UsageError(
            f"{_WANTED}; here, with shape {tuple(x.shape)}, {seen}. A column holds one 1, shares that sum to 1, or, as "
            "padding, zeros; other tracks go in inputs="
        )


def input_gradient(
    values: Tensor,
    x: Tensor,
    outward: Tensor | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> Tensor:
    """Derivative in x, like x, of a scalar, or of `(values * outward).sum()`.

    Raises UsageError where values do not come from x differentiably.
    """
    (gradient,) = torch.autograd.grad(
        values, x, outward, create_graph=create_graph, retain_graph=retain_graph, allow_unused=True
    )
    if gradient is None:
        raise UsageError(
            "the network's output has no derivative in x: it reads the letters through argmax, .detach() or integers. "
            "Let it multiply one-hot x by its first weights instead"
        )
    return gradient


def _recordable(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of what was made in inference mode, which autograd cannot keep."""
    return tensor.clone() if isinstance(tensor, Tensor) and tensor.is_inference() else tensor
