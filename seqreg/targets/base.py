"""The protocol of what is learned."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.errors import SeqregError
from seqreg.metrics import METRICS, Metric
from seqreg.targets.sets import PredictionSets

Array = NDArray[np.float64]
Y = NDArray[Any]

SEPARATOR = ";"  # of several labels of one sequence


class LabelError(SeqregError):
    """A label that a target does not know. position: of the first such sequence, counted from 0."""

    def __init__(self, position: int, problem: str, remedy: str | None = None) -> None:
        super().__init__(problem)
        self.position, self.problem, self.remedy = position, problem, remedy


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    """What is learned of a sequence. y has a row per sequence, p (N, K) a column per name.

    task: the kind, as files say it. range: what a row of p may be, in words. metrics: what a prediction is measured by.
    headline: those of them that decide, the first that is defined. names: of the K columns of p.
    """

    task: ClassVar[str]
    range: ClassVar[str]
    metrics: ClassVar[Mapping[str, Metric]] = METRICS
    headline: ClassVar[tuple[str, ...]] = ("auroc", "balanced_accuracy", "accuracy")
    names: tuple[str, ...]

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that a model gives for each sequence."""

    @property
    def binary(self) -> bool:
        """Whether one of two classes is learned, so that one number says it all."""
        return False

    @property
    def positive(self) -> str | None:
        """The name that a binary task asks for; None where there is no such thing."""
        return None

    @property
    def positive_index(self) -> int:
        """Where the positive name stands among the names; 1 where there is none."""
        return 1 if self.positive is None else self.names.index(self.positive)

    @property
    def output_names(self) -> tuple[str, ...]:
        """(outputs,) the name that each output speaks for."""
        return self.names

    @property
    def sign(self) -> int:
        """-1 where the one output of a binary task speaks against the positive class, as that is the first by name."""
        return 1

    @property
    def logit_of(self) -> tuple[str, ...]:
        """(outputs,) what `sign` times the outputs speaks for: the positive class of two, otherwise every name."""
        return self.names

    @property
    @abstractmethod
    def noun(self) -> str:
        """What the names are, in the plural: for sentences."""

    @abstractmethod
    def with_positive(self, y: Y | None, wanted: str | None) -> Self:
        """The same, its positive name settled: the one wanted, the one it has, or what the labels suggest.

        Raises UsageError for a name that is none of these.
        """

    @abstractmethod
    def read(self, texts: Sequence[str]) -> Y:
        """y of labels as files write them. Raises LabelError at the first that this target does not know."""

    @abstractmethod
    def texts(self, y: Y) -> list[str]:
        """y as files write it; the other way round than `read`."""

    @abstractmethod
    def check(self, y: Y) -> None:
        """Raises UsageError unless y has this target's shape and range."""

    @abstractmethod
    def check_probabilities(self, p: Array) -> NDArray[np.bool_]:
        """(N,) which rows of p (N, K) this target cannot have predicted."""

    @abstractmethod
    def members(self, y: Y) -> NDArray[np.bool_]:
        """(N, K) whether a sequence belongs to each name."""

    @abstractmethod
    def one_class(self, y: Y) -> NDArray[np.int64] | None:
        """(N,) the one class of each sequence; None where a sequence may have several."""

    def strata(self, y: Y) -> NDArray[np.int64]:
        """(N,) by which splits and folds are stratified: the class, of several the rarest one, K for none."""
        carried = self.members(y)
        frequency = carried.sum(axis=0, dtype=np.int64)
        rarest = np.where(carried, frequency, len(carried) + 1).argmin(axis=1)
        return np.where(carried.any(axis=1), rarest, carried.shape[1]).astype(np.int64)

    @abstractmethod
    def predict(self, outputs: ArrayLike) -> Array:
        """p (N, K), float64, from the outputs (N, outputs) of a model: the link."""

    @abstractmethod
    def log_odds(self, outputs: ArrayLike) -> Array:
        """log(p / (1 - p)) (N, K) of outputs (N, outputs), without rounding p to 0 or 1."""

    @abstractmethod
    def call(self, p: ArrayLike) -> Y:
        """y that p (N, K) speaks for."""

    @abstractmethod
    def call_margin(self, before: Array, after: Array) -> float:
        """By how much p `after` (K,) speaks for what `before` (K,) calls; at most 0 where the call does not stand."""

    @abstractmethod
    def confidence(self, y: Y, p: Array) -> Array:
        """(N,) the probability given to the truth; of several labels, to the one that fares worst."""

    def nonconformity(self, y: Y, p: ArrayLike) -> Array:
        """(N,) how strange the truth y looks to p (N, K): 1 - confidence. What conformal thresholds are taken of."""
        return 1 - self.confidence(np.asarray(y), np.asarray(p, dtype=np.float64))

    @abstractmethod
    def sets(self, p: ArrayLike, threshold: float) -> PredictionSets:
        """The answers whose nonconformity is at most the threshold, for each row of p (N, K)."""

    @abstractmethod
    def reported(self, p: Array) -> Sequence[int]:
        """The columns that are told of one sequence of p (K,): the positive one, the likeliest one, or all."""

    def to_plain(self) -> dict[str, Any]:
        """What `model.json` says of it, at its top level."""
        return {"task": self.task, "classes": list(self.names), "positive": self.positive}


def split_labels(text: str) -> set[str]:
    """The labels that a text joins by `;`."""
    return {part.strip() for part in text.split(SEPARATOR)} - {""}


def not_a_class(position: int, text: str, names: Sequence[str]) -> LabelError:
    """The error at a label that is none of the names."""
    return LabelError(position, f"label {text!r} is not a class of the model", f"Its classes are {', '.join(names)}.")
