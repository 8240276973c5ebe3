"""The networks of a cross-validation, and which of them has not seen each sequence."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seqreg.predictors.network import TrainedNetwork


@dataclass(frozen=True, kw_only=True, eq=False)
class ByFold:
    """Networks, and for each of N sequences the one that is asked about it: fold (N,), places in `networks`."""

    networks: tuple[TrainedNetwork, ...]
    fold: NDArray[np.int64]

    @classmethod
    def alone(cls, network: TrainedNetwork, n: int) -> "ByFold":
        """One network for all n sequences."""
        return cls(networks=(network,), fold=np.zeros(n, dtype=np.int64))

    def subset(self, rows: NDArray[np.int64]) -> "ByFold":
        """The same for some of the sequences."""
        return replace(self, fold=self.fold[rows])

    def pairs(self) -> Iterator[tuple[TrainedNetwork, NDArray[np.int64]]]:
        """Each network that is asked about a sequence, with the positions of these, rising."""
        for number, network in enumerate(self.networks):
            rows = np.flatnonzero(self.fold == number)
            if len(rows):
                yield network, rows
