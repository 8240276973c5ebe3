"""Sets of answers, one set per sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class PredictionSets:
    """N sets of answers. may (N, K): whether class or label k is possible.

    may_not (N, K), where labels do not exclude each other, whether its absence is: the set holds all combinations.
    """

    may: NDArray[np.bool_]
    may_not: NDArray[np.bool_] | None = None

    @property
    def single(self) -> NDArray[np.bool_]:
        """(N,) whether the set is one answer."""
        if self.may_not is None:
            return self.may.sum(axis=1) == 1
        return (self.may != self.may_not).all(axis=1)

    def covers(self, y: ArrayLike) -> NDArray[np.bool_]:
        """(N,) whether the truth is in the set."""
        y = np.asarray(y)
        if self.may_not is None:
            return self.may[np.arange(len(y)), y]
        right: NDArray[Any] = np.where(y == 1, self.may, self.may_not)
        return right.sum(axis=1) == right.shape[1]

    def written(self, names: Sequence[str]) -> list[str]:
        """Possible names joined by `;`; a label that may be there or not has a `?` behind it."""
        doubt = np.zeros_like(self.may) if self.may_not is None else self.may & self.may_not
        return [
            ";".join(f"{name}?" if unsure else name for name, on, unsure in zip(names, row, doubts, strict=True) if on)
            for row, doubts in zip(self.may.tolist(), doubt.tolist(), strict=True)
        ]
