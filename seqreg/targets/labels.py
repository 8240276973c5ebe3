"""Any number of labels at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from seqreg.errors import UsageError
from seqreg.specs import unknown_name
from seqreg.targets.base import SEPARATOR, Array, Target, Y, not_a_class, split_labels
from seqreg.targets.sets import PredictionSets


@dataclass(frozen=True, kw_only=True)
class Labels(Target):
    """K labels, each of which a sequence carries or not. y (N, K) uint8 of zeros and ones, p (N, K) by itself each."""

    range: ClassVar[str] = "numbers in [0, 1]"
    task: ClassVar[str] = "multi-label"

    @property
    def outputs(self) -> int:
        return len(self.names)

    @property
    def noun(self) -> str:
        return "labels"

    def with_positive(self, y: Y | None, wanted: str | None) -> Self:
        """No label is the positive one: the same, once it is sure that the one wanted exists."""
        if wanted is not None and wanted not in self.names:
            raise unknown_name("class", wanted, list(self.names))
        return self

    def read(self, texts: Sequence[str]) -> Y:
        """Several joined by `;`; a lone `;`, or no text at all, is none of them."""
        row_of: dict[str, NDArray[np.uint8]] = {}
        for position, text in enumerate(texts):
            if text not in row_of:
                parts = split_labels(text)
                if not parts <= set(self.names):
                    raise not_a_class(position, text, self.names)
                row_of[text] = np.array([name in parts for name in self.names], dtype=np.uint8)
        return np.stack([row_of[text] for text in texts]) if texts else np.zeros((0, len(self.names)), dtype=np.uint8)

    def texts(self, y: Y) -> list[str]:
        """Several joined by `;`, empty where there is none."""
        return [SEPARATOR.join(n for n, carried in zip(self.names, row, strict=True) if carried) for row in y.tolist()]

    def check(self, y: Y) -> None:
        if y.shape != (len(y), len(self.names)):
            raise UsageError(f"y must be (N, K) zeros and ones; got {y.shape}")
        if not np.isin(y, (0, 1)).all():
            raise UsageError("y must hold zeros and ones")

    def check_probabilities(self, p: Array) -> NDArray[np.bool_]:
        return np.asarray(((p < 0) | ~(p <= 1)).any(axis=1))

    def members(self, y: Y) -> NDArray[np.bool_]:
        return y.astype(bool)

    def one_class(self, y: Y) -> NDArray[np.int64] | None:
        return None

    def predict(self, outputs: ArrayLike) -> Array:
        """The logistic function of each logit."""
        return np.asarray(expit(np.asarray(outputs, dtype=np.float64)))

    def log_odds(self, outputs: ArrayLike) -> Array:
        return np.asarray(outputs, dtype=np.float64)

    def call(self, p: ArrayLike) -> Y:
        """Each label whose probability is at least one half."""
        return (np.asarray(p) >= 0.5).astype(np.uint8)

    def call_margin(self, before: Array, after: Array) -> float:
        return float(np.where(before >= 0.5, after - 0.5, 0.5 - after).min())

    def confidence(self, y: Y, p: Array) -> Array:
        return (p * y + (1 - p) * (1 - y)).min(axis=1)

    def nonconformity(self, y: Y, p: ArrayLike) -> Array:
        p = np.asarray(p, dtype=np.float64)
        return np.where(np.asarray(y) == 1, 1 - p, p).max(axis=1)

    def sets(self, p: ArrayLike, threshold: float) -> PredictionSets:
        """Each label by itself: the set holds all combinations."""
        p = np.asarray(p, dtype=np.float64)
        return PredictionSets(1 - p <= threshold, p <= threshold)

    def reported(self, p: Array) -> Sequence[int]:
        return range(len(self.names))

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Labels":
        return cls(names=tuple(content["classes"]))
