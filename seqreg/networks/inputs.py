"""One face for both kinds of input: seqreg's networks on ids, any network on one-hot x."""

from functools import cached_property

import torch
from torch import Tensor, nn

from seqreg.networks.convnet import ConvNet


class InputView:
    """A batch as one-hot `x` (N, A, L) with gradients switched on, beside the network that scores it.

    `forward(view.x)` takes the look-up path where the network has one; `forward` of anything else is dense.
    `mask` (N, L) is True on letters, False on padding: perturbations stay off the padding.
    """

    def __init__(self, model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> None:
        self.model = model
        self.ids = x if x.dim() == 2 else None
        if self.ids is not None and not isinstance(model, ConvNet):
            raise TypeError(f"{type(model).__name__} takes one-hot x (N, A, L); symbol codes are for seqreg's networks")
        self.lengths = model.lengths(x) if self.ids is not None and isinstance(model, ConvNet) else lengths
        self._given = x

    @cached_property
    def x(self) -> Tensor:
        """One-hot leaf (N, A, L) that requires gradients."""
        if self.ids is not None and isinstance(self.model, ConvNet):
            return self.model.one_hot(self.ids).detach().contiguous().requires_grad_()
        return self._given.detach().clone().requires_grad_()

    @cached_property
    def mask(self) -> Tensor:
        """(N, L) bool, True where there is a letter."""
        n, _, length = self.x.shape
        if self.lengths is None:
            return torch.ones(n, length, dtype=torch.bool, device=self.x.device)
        return torch.arange(length, device=self.x.device) < self.lengths[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) at any x of the view's shape."""
        if isinstance(self.model, ConvNet):
            if x is self.x and self.ids is not None:
                return self.model.forward_at(x, self.ids)
            return self.model(x, lengths=self.lengths)
        return self.model(x)

    def rows(self, index: Tensor) -> "InputView":
        """The view of some of the sequences, (n,) int64."""
        return InputView(self.model, self._given[index], None if self.lengths is None else self.lengths[index])


def as_onehot(model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> InputView:
    """The view of a batch given as ids (N, L) uint8 for seqreg's networks, or as one-hot x (N, A, L) for any."""
    return InputView(model, x, lengths)
