"""One class per sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax

from seqreg.errors import UsageError
from seqreg.specs import unknown_name
from seqreg.targets.base import SEPARATOR, Array, LabelError, Target, Y, not_a_class, split_labels
from seqreg.targets.sets import PredictionSets

_POSITIVE_NAMES = ("positive", "pos", "1", "1.0", "+1", "true", "yes")
_SUMS_TO_1_WITHIN = 1e-3


@dataclass(frozen=True, kw_only=True)
class Classes(Target):
    """One of K classes. y (N,) int64 indices of `names`, p (N, K) with rows that sum to 1.

    Two classes have one output, the logit of the second; more have one logit each.
    asked_for: the positive class of two, where one has been settled.
    """

    range: ClassVar[str] = "numbers in [0, 1] that sum to 1"
    task: ClassVar[str] = "classification"
    asked_for: str | None = None

    @property
    def outputs(self) -> int:
        return 1 if self.binary else len(self.names)

    @property
    def binary(self) -> bool:
        return len(self.names) == 2

    @property
    def positive(self) -> str | None:
        return self.asked_for if self.binary else None

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.names[1:] if self.binary else self.names

    @property
    def sign(self) -> int:
        return -1 if self.binary and self.positive_index == 0 else 1

    @property
    def logit_of(self) -> tuple[str, ...]:
        return (self.names[self.positive_index],) if self.binary else self.names

    @property
    def noun(self) -> str:
        return "classes"

    def with_positive(self, y: Y | None, wanted: str | None) -> Self:
        """The one wanted, the one settled, one called positive, pos, 1 (or 1.0), true or yes, or the rarer one of y.

        The last by name if both are equally frequent.
        """
        if wanted is not None and wanted not in self.names:
            raise unknown_name("class", wanted, list(self.names))
        if not self.binary:
            return replace(self, asked_for=None)
        chosen = wanted or self.asked_for or next((n for n in self.names if n.lower() in _POSITIVE_NAMES), None)
        if chosen is None:
            first, last = (0, 0) if y is None else np.bincount(y, minlength=2)
            chosen = self.names[0 if first < last else 1]
        return replace(self, asked_for=chosen)

    def read(self, texts: Sequence[str]) -> Y:
        number = {name: k for k, name in enumerate(self.names)}
        y = np.fromiter((number.get(text, -1) for text in texts), np.int64, len(texts))
        if (y < 0).any():
            position = int((y < 0).argmax())
            text = texts[position]
            if SEPARATOR in text and split_labels(text) <= number.keys():
                raise LabelError(position, f"label {text!r}: the model gives every sequence exactly one class")
            raise not_a_class(position, text, self.names)
        return y

    def texts(self, y: Y) -> list[str]:
        return [self.names[k] for k in y.tolist()]

    def check(self, y: Y) -> None:
        if y.shape != (len(y),):
            raise UsageError(f"y must be (N,) class indices; got {y.shape}")
        if y.size and not (y.min() >= 0 and y.max() < len(self.names)):
            raise UsageError(f"y must hold class indices 0 to {len(self.names) - 1}")

    def check_probabilities(self, p: Array) -> NDArray[np.bool_]:
        return ~((p >= 0) & (p <= 1)).all(axis=1) | (np.abs(p.sum(axis=1) - 1) > _SUMS_TO_1_WITHIN)

    def members(self, y: Y) -> NDArray[np.bool_]:
        return y[:, None] == np.arange(len(self.names))

    def one_class(self, y: Y) -> NDArray[np.int64] | None:
        return y

    def predict(self, outputs: ArrayLike) -> Array:
        """Softmax, the logit of the first of two classes being 0."""
        return np.asarray(softmax(self._logits(outputs), axis=1))

    def log_odds(self, outputs: ArrayLike) -> Array:
        logits = np.asarray(outputs, dtype=np.float64)
        if self.binary:
            return np.concatenate([-logits, logits], axis=1)
        columns = np.arange(logits.shape[1])
        return logits - np.stack([logsumexp(logits[:, columns != k], axis=1) for k in columns], axis=1)

    def call(self, p: ArrayLike) -> Y:
        """The most probable class, the first of equals."""
        return np.argmax(np.asarray(p), axis=1)

    def call_margin(self, before: Array, after: Array) -> float:
        y = before.argmax()
        return float(after[y] - np.delete(after, y).max())

    def confidence(self, y: Y, p: Array) -> Array:
        return p[np.arange(len(p)), y]

    def sets(self, p: ArrayLike, threshold: float) -> PredictionSets:
        return PredictionSets(1 - np.asarray(p, dtype=np.float64) <= threshold)

    def reported(self, p: Array) -> Sequence[int]:
        return [int(p.argmax()) if self.positive is None else self.positive_index]

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Classes":
        return cls(names=tuple(content["classes"]), asked_for=content["positive"])

    def _logits(self, outputs: ArrayLike) -> Array:
        logits = np.asarray(outputs, dtype=np.float64)
        return np.concatenate([np.zeros_like(logits), logits], axis=1) if self.binary else logits
