"""A number per sequence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.errors import UsageError
from seqreg.metrics import Metric
from seqreg.targets.base import Array, LabelError, Target, Y
from seqreg.targets.intervals import PredictionIntervals
from seqreg.value_metrics import VALUE_METRICS

LOSSES = ("squared", "huber")
MOST_STRATA, FEWEST_IN_A_STRATUM = 10, 10


@dataclass(frozen=True, kw_only=True)
class Values(Target):
    """A measured number. y (N,) float64 and p (N, 1), both in the unit.

    A model has one output, in standard deviations of the training values from their mean: p = centre + scale * output.
    title: what was measured, as the column was called. loss: "squared", or "huber", which grows linearly for errors
    above one standard deviation, so that outliers pull less.
    """

    task: ClassVar[str] = "regression"
    field: ClassVar[str] = "value"
    range: ClassVar[str] = "finite numbers"
    probabilistic: ClassVar[bool] = False
    confidence_name: ClassVar[str] = "error"
    without_classes: ClassVar[str] = "have values, not classes"
    metrics: ClassVar[Mapping[str, Metric]] = VALUE_METRICS
    headline: ClassVar[tuple[str, ...]] = ("spearman", "rmse")
    tie_breaker: ClassVar[str] = "rmse"
    names: tuple[str, ...] = ()
    title: str = "value"
    unit: str = ""
    centre: float = 0.0
    scale: float = 1.0
    loss: str = "squared"

    @property
    def outputs(self) -> int:
        return 1

    @property
    def columns(self) -> int:
        return 1

    @property
    def shown_names(self) -> tuple[str, ...]:
        return (self.title,)

    def bed_score(self, value: float) -> int:
        """500 at the mean of the training values, 100 more for each standard deviation."""
        return int(min(1000, max(0, round(500 + 100 * (value - self.centre) / self.scale))))

    @property
    def output_names(self) -> tuple[str, ...]:
        return (self.title,)

    def told(self, outputs: Any) -> Any:
        return self.centre + self.scale * outputs

    def told_change(self, changes: Any) -> Any:
        return self.scale * changes

    def predict_told(self, told: Array, temperature: float) -> Array:
        return np.asarray(told, dtype=np.float64)

    @property
    def logit_of(self) -> tuple[str, ...]:
        return (self.title,)

    @property
    def loss_name(self) -> str:
        return self.loss

    @property
    def noun(self) -> str:
        return "values"

    @property
    def title_with_unit(self) -> str:
        """The title with its unit, as axes and tables write it."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def with_positive(self, y: Y | None, wanted: str | None) -> Self:
        """The same: no value is the positive one."""
        if wanted is not None:
            raise UsageError(f"positive {wanted!r}: what is learned are numbers, which have no positive class")
        return self

    def with_loss(self, loss: str | None) -> Self:
        return replace(self, loss=loss or self.loss)

    def learned_from(self, y: Y, weight: Array | None = None) -> Self:
        """The same with the mean and the standard deviation of training values y (N,) of these weights."""
        centre = float(np.average(y, weights=weight))
        scale = float(np.sqrt(np.average((y - centre) ** 2, weights=weight)))
        return replace(self, centre=centre, scale=scale if scale > 0 else 1.0)

    def read(self, texts: Sequence[str]) -> Y:
        return np.array([self._number(position, text) for position, text in enumerate(texts)], dtype=np.float64)

    def texts(self, y: Y) -> list[str]:
        return [repr(value) for value in np.asarray(y, dtype=np.float64).tolist()]

    def check(self, y: Y) -> None:
        if y.shape != (len(y),) or y.dtype.kind not in "fiu":
            raise UsageError(f"y must be (N,) numbers; got {y.dtype} of shape {y.shape}")
        if not np.isfinite(y).all():
            raise UsageError("y must hold finite numbers")

    def check_learnable(self, y: Y, at_least: int) -> tuple[str, str] | None:
        return self.lacking(y) if at_least > 1 else None

    def lacking(self, y: Y) -> tuple[str, str] | None:
        if len(y) < 2:
            return f"{len(y)} sequence{'' if len(y) else 's'}", "Give more: nothing can be learned or held out."
        if (y == y[0]).all():
            return f"every {self.title} is {y[0]:g}", "Nothing can be learned from a constant: give values that differ."
        return None

    def lacking_in_training(self, y: Y) -> tuple[str, str] | None:
        found = self.lacking(y)
        return None if found is None else (f"in the training part {found[0]}", found[1])

    def check_comparable(self, other: Target) -> str | None:
        if not isinstance(other, Values):
            return super().check_comparable(other)
        if self.unit and other.unit and self.unit != other.unit:
            return f"values in {other.unit!r}, while the others are in {self.unit!r}"
        return None

    def conflict(self, y: Y, first: NDArray[np.int64]) -> int | None:
        differing = np.flatnonzero(y != y[first])
        return int(differing[0]) if len(differing) else None

    def check_probabilities(self, p: Array) -> NDArray[np.bool_]:
        return np.asarray(~np.isfinite(p).all(axis=1))

    def members(self, y: Y) -> NDArray[np.bool_]:
        return np.zeros((len(y), 0), dtype=bool)

    def sides(self, y: Y) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
        """The third of the sequences with the lowest values, and that with the highest."""
        low, high = np.quantile(y, [1 / 3, 2 / 3]) if len(y) else (0.0, 0.0)
        return ("lowest third", "highest third"), np.stack([y <= low, y >= high], axis=1)

    def effects(self, changes: Sequence[float]) -> dict[str, float]:
        """The change in the unit."""
        return {self.title: self.scale * changes[0]}

    def one_class(self, y: Y) -> NDArray[np.int64] | None:
        return None

    def strata(self, y: Y) -> NDArray[np.int64]:
        """Up to ten parts of equal size, from the smallest values to the largest; equal values may be parted."""
        n = len(y)
        parts = max(1, min(MOST_STRATA, n // FEWEST_IN_A_STRATUM))
        rank = np.empty(n, dtype=np.int64)
        rank[np.argsort(y, kind="stable")] = np.arange(n)
        return rank * parts // max(n, 1)

    def balance(self, y: Y) -> NDArray[np.int64] | None:
        return self.strata(y)

    def within(self, y: Y) -> NDArray[np.int64]:
        return np.zeros((len(y), 1), dtype=np.int64)

    def learned(self, y: Y) -> Y:
        return (np.asarray(y, dtype=np.float64) - self.centre) / self.scale

    def predict(self, outputs: ArrayLike) -> Array:
        return self.centre + self.scale * np.asarray(outputs, dtype=np.float64)

    def log_odds(self, outputs: ArrayLike) -> Array:
        """The outputs: they rank as the values do."""
        return np.asarray(outputs, dtype=np.float64)

    @property
    def prediction_columns(self) -> tuple[str, ...]:
        return ("prediction", "low", "high")

    def prediction_rows(self, p: Array, threshold: float | None = None) -> list[list[str]]:
        value = self.call(p)
        if threshold is None or not math.isfinite(threshold):
            return [[f"{each:.6g}", "", ""] for each in value.tolist()]
        found = self.sets(p, threshold)
        triples = np.stack([value, found.low, found.high], axis=1).tolist()
        return [[f"{each:.6g}" for each in row] for row in triples]

    def call(self, p: ArrayLike) -> Y:
        return np.asarray(p, dtype=np.float64)[:, 0]

    def call_margin(self, before: Array, after: Array) -> float:
        """What is left of half a standard deviation of the training values, in these."""
        return 0.5 - float(abs(after[0] - before[0])) / self.scale

    def confidence(self, y: Y, p: Array) -> Array:
        """Minus the absolute error."""
        return -np.abs(np.asarray(y) - p[:, 0])

    def nonconformity(self, y: Y, p: ArrayLike) -> Array:
        """The absolute error."""
        return np.abs(np.asarray(y) - np.asarray(p, dtype=np.float64)[:, 0])

    def sets(self, p: ArrayLike, threshold: float) -> PredictionIntervals:
        value = np.asarray(p, dtype=np.float64)[:, 0]
        return PredictionIntervals(value - threshold, value + threshold)

    def reported(self, p: Array) -> Sequence[int]:
        return (0,)

    def to_plain(self) -> dict[str, Any]:
        about = {"target": self.title, "unit": self.unit, "centre": self.centre, "scale": self.scale, "loss": self.loss}
        return {**super().to_plain(), **about}

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Values":
        numbers = {name: content[name] for name in ("centre", "scale")}
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers.values()):
            raise ValueError("centre and scale are finite numbers")
        texts = {"title": content["target"], "unit": content["unit"], "loss": content["loss"]}
        if numbers["scale"] <= 0 or texts["loss"] not in LOSSES or not all(isinstance(t, str) for t in texts.values()):
            raise ValueError("scale is above 0, loss one of squared and huber, target and unit are texts")
        return cls(**texts, centre=float(numbers["centre"]), scale=float(numbers["scale"]))

    def summary(self, y: Y) -> str:
        spread = f"{y.min():.6g} to {y.max():.6g}, mean {y.mean():.4g}, standard deviation {y.std():.4g}"
        return f"Values (regression): {self.title_with_unit}, {spread}"

    def figures(self, y: Y) -> dict[str, float]:
        about = {"low": y.min(), "mean": y.mean(), "high": y.max(), "deviation": y.std()}
        return {"n": len(y), **{name: float(value) for name, value in about.items()}}

    @property
    def said(self) -> str:
        return f"values, {self.title_with_unit}"

    def described(self) -> dict[str, Any]:
        return {"target": self.title, "unit": self.unit}

    def _number(self, position: int, text: str) -> float:
        try:
            value = float(text) if "_" not in text else None
        except ValueError:
            value = None
        if text.strip() in ("", "."):
            raise LabelError(position, "the value is missing", "Give one, or leave the sequence out.")
        if value is None:
            raise LabelError(position, f"value {text!r} is not a number", "Write a number, with a point: 0.25")
        if not math.isfinite(value):
            raise LabelError(position, f"value {text!r} is not a finite number", "Leave the sequence out.")
        return value
