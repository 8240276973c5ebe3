"""Which k-mers fire on one-hot input, and how often, off letters too: a look-up where most filters stay silent.

Counts are linear in x where the same k-mers fire: their derivative in x places the k-mers, and the derivative of that
counts again.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.networks.convolution import with_gradients


@dataclass(frozen=True, kw_only=True, eq=False)
class Firing:
    """The k-mers that fire in the windows of one-hot x (N, A, L), on a CPU: sequences, windows, k-mers (E,)."""

    shape: torch.Size
    k: int
    found: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

    @classmethod
    def of(cls, x: Tensor, counts: Tensor, k: int) -> "Firing":
        """Those of the first counts (N,) windows."""
        from seqreg.networks.firing_loops import find_firing  # Numba loads slowly

        values, windows = x.detach().contiguous().numpy(), counts.numpy()
        # One in each is enough for letters; off them it may be ten. Memory that is not written to costs nothing.
        room = min(16, x.shape[1] ** k) * int(windows.sum())
        while True:
            found = (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64))
            number = find_firing(values, windows, k, *found)
            if number <= room:
                return cls(shape=x.shape, k=k, found=(found[0][:number], found[1][:number], found[2][:number]))
            room = number

    def strengths(self, x: Tensor) -> Tensor:
        """(N, A^k) by how much k-mers exceed k - 1, added up over windows; differentiable in x, again and again."""
        return with_gradients(lambda: self._taken(x, less=self.k - 1), (x, self._place))

    def _place(self, g: Tensor) -> Tensor:
        return with_gradients(lambda: self._placed(g), (g, self._take))

    def _take(self, x: Tensor) -> Tensor:
        return with_gradients(lambda: self._taken(x), (x, self._place))

    def _taken(self, x: Tensor, less: float = 0.0) -> Tensor:
        from seqreg.networks.firing_loops import take_entries

        out = x.new_zeros(len(x), self.shape[1] ** self.k)
        take_entries(x.detach().contiguous().numpy(), *self.found, self.k, less, out.numpy())
        return out

    def _placed(self, g: Tensor) -> Tensor:
        from seqreg.networks.firing_loops import place_entries

        out = g.new_zeros(self.shape)
        place_entries(g.detach().contiguous().numpy(), *self.found, self.k, out.numpy())
        return out
