"""One face for both kinds of input: seqreg's networks on ids, any network on one-hot x."""

from functools import cached_property

import torch
from torch import Tensor, nn

from seqreg.networks.base import SequenceNetwork
from seqreg.networks.best_windows import BestWindows
from seqreg.networks.part import parts_of


class InputView:
    """A batch as one-hot `x` (N, A, L) with gradients switched on, beside the network that scores it.

    `forward(view.x)` takes the look-up path where the network has one; `forward` of anything else is dense.
    `mask` (N, L) is True on letters, False on padding: perturbations stay off the padding.
    """

    def __init__(self, model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> None:
        self.model = model
        self.ids = x if x.dim() == 2 else None
        if self.ids is not None and not isinstance(model, SequenceNetwork):
            raise TypeError(f"{type(model).__name__} takes one-hot x (N, A, L); symbol codes are for seqreg's networks")
        self.lengths = model.lengths(x) if self.ids is not None and isinstance(model, SequenceNetwork) else lengths
        self._given = x

    @cached_property
    def x(self) -> Tensor:
        """One-hot leaf (N, A, L) that requires gradients."""
        if isinstance(self.model, SequenceNetwork):
            for part in parts_of(self.model):
                part.demand("gradients")
        if self.ids is not None and isinstance(self.model, SequenceNetwork):
            return self.model.one_hot(self.ids).detach().requires_grad_()
        return self._given.detach().clone().requires_grad_()

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
        if self._given.device.type != "cpu" or self._given.shape[-1] < model.receptive_field:
            return None
        if self.lengths is not None and bool((self.lengths < model.receptive_field).any()):
            return None
        return BestWindows(model, self._given, self.lengths)

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

    def gradient(self, values: Tensor, *, create_graph: bool = False, retain_graph: bool | None = None) -> Tensor:
        """d values.sum() / d x (N, A, L), zero on padding, for values (N,) that are computed from `view.logits`."""
        if self.best_windows is not None:
            return self.best_windows.gradient(values, create_graph=create_graph, retain_graph=retain_graph)
        (grad,) = torch.autograd.grad(values.sum(), self.x, create_graph=create_graph, retain_graph=retain_graph)
        return self.masked(grad)

    def masked(self, delta: Tensor) -> Tensor:
        """Delta (N, A, L) set to zero on padding."""
        if self.lengths is None or (self.mask.device.type == "cpu" and bool(self.mask.all())):
            return delta
        return delta * self.mask[:, None]

    def rows(self, index: Tensor) -> "InputView":
        """The view of some of the sequences, (n,) int64."""
        return InputView(self.model, self._given[index], None if self.lengths is None else self.lengths[index])


def as_onehot(model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> InputView:
    """The view of a batch given as ids (N, L) uint8 for seqreg's networks, or as one-hot x (N, A, L) for any."""
    return InputView(model, x, lengths)
