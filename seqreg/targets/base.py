"""The protocol of what is learned."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.errors import SeqregError, UsageError, option
from seqreg.metrics import METRICS, Metric
from seqreg.targets.intervals import PredictionIntervals
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

    task: the kind, as files say it. field: the column or header field that inputs have it in. range: what a row of p
    may be, in words. probabilistic: whether p are probabilities. confidence_name: what the size of a confidence is
    called. without_classes: what is to be said of sequences where `one_class` is None. metrics: what a prediction is
    measured by. headline: those of them that decide, the first that is defined; tie_breaker: what tells equals apart.
    names: of the K classes or labels that p has columns for; none where it has one column, of values.
    """

    task: ClassVar[str]
    field: ClassVar[str] = "label"
    range: ClassVar[str]
    probabilistic: ClassVar[bool] = True
    confidence_name: ClassVar[str] = "p"
    without_classes: ClassVar[str] = "may carry several labels each"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS
    headline: ClassVar[tuple[str, ...]] = ("auroc", "balanced_accuracy", "accuracy")
    tie_breaker: ClassVar[str] = "log_loss"
    names: tuple[str, ...]

    @property
    def shown_names(self) -> tuple[str, ...]:
        """(columns,) what the columns of p are called."""
        return self.names

    def bed_score(self, value: float) -> int:
        """A number in p as BED's score, from 0 to 1000."""
        return round(1000 * value)

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that a model gives for each sequence."""

    @property
    def columns(self) -> int:
        """Of p: K."""
        return len(self.names)

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

    def told(self, outputs: Any) -> Any:
        """Outputs as people are told of them: of what `logit_of` names; of values in their unit."""
        return self.sign * outputs

    def told_change(self, changes: Any) -> Any:
        """Changes of outputs likewise."""
        return self.sign * changes

    def predict_told(self, told: Array, temperature: float) -> Array:
        """p (N, columns) of what `told` gave for outputs (N, K)."""
        return self.predict(self.sign * told / temperature)

    @property
    def logit_of(self) -> tuple[str, ...]:
        """(outputs,) what `sign` times the outputs speaks for: the positive class of two, otherwise every name."""
        return self.names

    @property
    def loss_name(self) -> str | None:
        """Which loss it is learned by, where there are several."""
        return None

    @property
    @abstractmethod
    def noun(self) -> str:
        """What the names are, in the plural: for sentences."""

    @abstractmethod
    def with_positive(self, y: Y | None, wanted: str | None) -> Self:
        """The same, its positive name settled: the one wanted, the one it has, or what the labels suggest.

        Raises UsageError for a name that is none of these.
        """

    def with_loss(self, loss: str | None) -> Self:
        """The same, learned by the loss of this name. Raises UsageError where the kind of target has one only."""
        if loss is not None:
            raise UsageError(f"{option('loss', loss)} is for values; what is learned here are {self.noun}")
        return self

    def learned_from(self, y: Y, weight: Array | None = None) -> Self:
        """The same, having seen the labels y of the training part, sequences counting by their weights (N,)."""
        return self

    @abstractmethod
    def read(self, texts: Sequence[str]) -> Y:
        """y of labels as files write them. Raises LabelError at the first that this target does not know."""

    @abstractmethod
    def texts(self, y: Y) -> list[str]:
        """y as files write it; the other way round than `read`."""

    @abstractmethod
    def check(self, y: Y) -> None:
        """Raises UsageError unless y has this target's shape and range."""

    def check_learnable(self, y: Y, at_least: int) -> tuple[str, str] | None:
        """What is wrong and what to do about it, where y cannot be learned from, or has fewer than `at_least` names."""
        if len(self.names) < at_least:
            found = ", ".join(self.names)
            return f"only one class, {found!r}, in {len(y)} sequences", f"At least {at_least} are needed."
        if at_least > 1 and self.members(y).sum(axis=0).max() < 2:
            return f"one sequence per class ({len(y)} in all)", "Give more: nothing can be learned or held out."
        return None

    def lacking(self, y: Y) -> tuple[str, str] | None:
        """What is lacking for a training, and what to do about it, in labels y of all parts."""
        if len(self.names) >= 2:
            return None
        found = f"only one class, {self.names[0]!r}" if self.names else "no class"
        return found, "A classifier needs sequences of at least two classes"

    def lacking_in_training(self, y: Y) -> tuple[str, str] | None:
        """The same in the labels of the training part."""
        missing = np.flatnonzero(~self.members(y).any(axis=0))
        if not len(missing):
            return None
        shares = f"or smaller {option('test')} and {option('valid')} shares"
        remedy = f"Every class needs at least two sequences; give more, {shares}"
        return f"no training sequence of class {', '.join(repr(self.names[k]) for k in missing)}", remedy

    def check_comparable(self, other: "Target") -> str | None:
        """What is wrong with labels of the other target beside those of this one, as far as it is not in the labels."""
        if self.probabilistic != other.probabilistic:
            return f"sequences with {other.noun}, while the others have {self.noun}"
        return None

    def conflict(self, y: Y, first: NDArray[np.int64]) -> int | None:
        """A sequence that cannot have another label than its equal `first` (N,) has; None where there is none.

        Classes may: that is worth a warning.
        """
        return None

    @abstractmethod
    def check_probabilities(self, p: Array) -> NDArray[np.bool_]:
        """(N,) which rows of p (N, K) this target cannot have predicted."""

    @abstractmethod
    def members(self, y: Y) -> NDArray[np.bool_]:
        """(N, K) whether a sequence belongs to each name."""

    def sides(self, y: Y) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
        """Names (J,) and members (N, J) of the parts of the sequences that motifs are counted in: each name's."""
        return self.names, self.members(y)

    def effects(self, changes: Sequence[float]) -> dict[str, float]:
        """What changes (outputs,) of the outputs mean, by name: of two classes one output speaks for the second."""
        values = [-changes[0], changes[0]] if self.binary else changes
        return dict(zip(self.names, values, strict=True))

    @abstractmethod
    def one_class(self, y: Y) -> NDArray[np.int64] | None:
        """(N,) the one class of each sequence; None where a sequence may have several, or has none but a value."""

    def strata(self, y: Y) -> NDArray[np.int64]:
        """(N,) by which splits and folds are stratified: the class, of several the rarest one, K for none."""
        carried = self.members(y)
        frequency = carried.sum(axis=0, dtype=np.int64)
        rarest = np.where(carried, frequency, np.inf).argmin(axis=1)
        return np.where(carried.any(axis=1), rarest, carried.shape[1]).astype(np.int64)

    def balance(self, y: Y) -> NDArray[np.int64] | None:
        """(N,) what inner folds keep in equal shares; None where they are drawn without regard to y."""
        return self.one_class(y)

    def within(self, y: Y) -> NDArray[np.int64]:
        """(N, J) the classes within which the spread of J (or more) outputs is looked at."""
        return y[:, None] if y.ndim == 1 else y

    def learned(self, y: Y) -> Y:
        """y as the outputs of a model are compared with it."""
        return y

    @abstractmethod
    def predict(self, outputs: ArrayLike) -> Array:
        """p (N, K), float64, from the outputs (N, outputs) of a model: the link."""

    @abstractmethod
    def log_odds(self, outputs: ArrayLike) -> Array:
        """log(p / (1 - p)) (N, K) of outputs (N, outputs), without rounding p to 0 or 1."""

    @property
    def prediction_columns(self) -> tuple[str, ...]:
        """What tables say of a prediction."""
        return ("prediction", *(f"p_{name}" for name in self.names))

    def prediction_rows(self, p: Array, threshold: float | None = None) -> list[list[str]]:
        """The cells of these columns for each row of p (N, K). threshold: of the intervals of values."""
        called = zip(self.texts(self.call(p)), p.tolist(), strict=True)
        return [[call, *(f"{value:.6g}" for value in row)] for call, row in called]

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
    def sets(self, p: ArrayLike, threshold: float) -> PredictionSets | PredictionIntervals:
        """The answers whose nonconformity is at most the threshold, for each row of p (N, K)."""

    @abstractmethod
    def reported(self, p: Array) -> Sequence[int]:
        """The columns that are told of one sequence of p (K,): the positive one, the likeliest one, or all."""

    def to_plain(self) -> dict[str, Any]:
        """What `model.json` says of it, at its top level."""
        return {"task": self.task, "classes": list(self.names), "positive": self.positive}

    @classmethod
    @abstractmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Target":
        """The target again. Raises KeyError, TypeError or ValueError for what describes none."""

    def summary(self, y: Y) -> str:
        """What is learned, and how much there is of it, in a line."""
        counts = zip(self.names, self.members(y).sum(axis=0).tolist(), strict=True)
        shown = [f"{name} {count:,}" for name, count in counts]
        return f"Classes: {', '.join(shown[:20])}{', ...' if len(shown) > 20 else ''}"

    def figures(self, y: Y) -> dict[str, float]:
        """The distribution of y in a few numbers; empty where names and counts say it all."""
        return {}

    @property
    def said(self) -> str:
        """What a model of it gives, in a few words."""
        return f"classes {', '.join(self.names)}"

    def described(self) -> dict[str, Any]:
        """What `metrics.json` says of it."""
        return {"classes": self.names, "positive": self.positive}


def split_labels(text: str) -> set[str]:
    """The labels that a text joins by `;`."""
    return {part.strip() for part in text.split(SEPARATOR)} - {""}


def not_a_class(position: int, text: str, names: Sequence[str]) -> LabelError:
    """The error at a label that is none of the names."""
    return LabelError(position, f"label {text!r} is not a class of the model", f"Its classes are {', '.join(names)}.")
