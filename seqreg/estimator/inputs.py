"""X and y as scikit-learn's users hold them, in seqreg's terms and back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from seqreg.errors import UsageError
from seqreg.sequences import SequenceSet, as_column, is_missing, missing_like, read_strings
from seqreg.sequences.collect import unwritable
from seqreg.sequences.duplicates import duplicate_remarks
from seqreg.targets import SEPARATOR, Classes, Labels, Target, Values, same_number
from seqreg.vectors import as_tables, with_vectors

KINDS: dict[str, Any] = {"bool": "True".__eq__, "int": int, "float": float, "str": str}


class Known(Protocol):
    """What y is about, once it has been seen."""

    @property
    def target(self) -> Target:
        """What is learned."""
        ...

    @property
    def kind(self) -> str:
        """What the entries of y are: bool, int, float or str."""
        ...

    def read(self, y: Any) -> NDArray[Any]:
        """y in terms of the target. Raises ValueError for what does not fit it."""
        ...

    def check_learnable(self, y: Any) -> None:
        """Raises UsageError where y, in these terms, shows nothing to be learned."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelValues:
    """Labels as y writes them: values (K,), sorted, whose texts are the names of the target.

    The two orders differ for numbers: 2 comes before 10, and "10" before "2". Columns of a table keep their order.
    """

    values: NDArray[Any]
    target: Target

    @classmethod
    def _of(cls, values: NDArray[Any], kind: type[Classes] | type[Labels]) -> "LabelValues":
        names = tuple(sorted(map(str, values)))
        if (same := same_number(names)) is not None:
            raise UsageError(f"y: labels {same[0]!r} and {same[1]!r} are the same number; write equal labels alike")
        return cls(values=values, target=kind(names=names))

    @classmethod
    def of(cls, y: Any) -> "LabelValues":
        """The classes that occur in y. Raises ValueError for a y that names none."""
        if y is None:
            raise UsageError("this classifier requires y to be passed, but the target y is None")
        found = labels(y)
        if isinstance(found, list):
            return cls._of(_sorted(list(set().union(*found))), Labels)
        if found.ndim == 1:
            return cls._of(_sorted(found), Classes)
        return cls._of(np.asarray(getattr(y, "columns", np.arange(found.shape[1]))), Labels)

    @classmethod
    def restored(cls, names: Iterable[str], kind: str, target: Target) -> "LabelValues":
        """The values again from their texts, in order, and `kind`."""
        return cls(values=np.array([KINDS[kind](name) for name in names]), target=target)

    @property
    def kind(self) -> str:
        """What the values are: bool, int, float or str."""
        return {"b": "bool", "i": "int", "u": "int", "f": "float"}.get(self.values.dtype.kind, "str")

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """(K,) where each of the values stands among the names."""
        return np.array([self.target.names.index(str(value)) for value in self.values])

    def check_learnable(self, y: Any) -> None:
        """Raises UsageError for fewer than two classes."""
        names = self.target.names
        if len(names) < 2:
            found = f"one class, {names[0]!r}" if names else "no class"
            raise UsageError(f"a classifier needs sequences of at least two classes; y has {found}")

    def read(self, y: Any) -> NDArray[np.int64] | NDArray[np.uint8]:
        """y in terms of the target: (N,) indices, or (N, K) zeros and ones. Raises UsageError for an unknown label."""
        named = getattr(y, "columns", self.values.tolist())
        y = labels(y)
        if isinstance(self.target, Labels) != (isinstance(y, list) or y.ndim == 2):
            raise UsageError(
                "y must give one label per sequence or several, whichever it did when the model was fitted"
            )
        column = dict(zip(self.values.tolist(), self.columns.tolist(), strict=True))
        if isinstance(y, list):
            rows = np.zeros((len(y), len(column)), dtype=np.uint8)
            for row, carried in zip(rows, y, strict=True):
                row[[_known(column, label) for label in carried]] = 1
            return rows
        if y.ndim == 1:
            return np.array([_known(column, label) for label in y.tolist()], dtype=np.int64)
        if y.shape[1] != len(column):
            raise UsageError(f"y has {y.shape[1]} columns; there are {len(column)} classes")
        rows = np.zeros(y.shape, dtype=np.uint8)
        rows[:, [_known(column, label) for label in named]] = y
        return rows


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberValues:
    """Numbers as y writes them."""

    target: Values = field(default_factory=Values)
    kind: str = "float"

    @classmethod
    def of(cls, y: Any) -> "NumberValues":
        """Raises ValueError for a y of anything but finite numbers, one for each sequence."""
        if y is None:
            raise UsageError("this regressor requires y to be passed, but the target y is None")
        numbers(y)
        return cls()

    def read(self, y: Any) -> NDArray[np.float64]:
        """(N,) float64. Raises ValueError for what are not finite numbers."""
        return numbers(y)

    def check_learnable(self, y: Any) -> None:
        """Raises UsageError for values that do not differ."""
        if len(y) < 2:
            raise UsageError(f"a regressor needs several sequences with values that differ; got {len(y)} sample")
        if (y == y[0]).all():
            raise UsageError(f"a regressor needs values that differ; every one of the {len(y)} in y is {y[0]:g}")


def numbers(y: Any) -> NDArray[np.float64]:
    """y as (N,) finite numbers. Raises ValueError, naming the first that is none."""
    y = list(y) if isinstance(y, Iterator | tuple) else y
    for number, value in enumerate(y if isinstance(y, list) else np.asarray(y).ravel().tolist(), start=1):
        if is_missing(value):
            raise UsageError(f"y: value {number} is missing ({value!r:.40}); leave its sequence out, or give one")
        if isinstance(value, str | bytes):
            raise UsageError(
                f"y: value {number} is text, {value!r:.40}, where a regressor wants numbers, float(text); "
                "SequenceClassifier and KmerClassifier learn names of classes"
            )
    found = column_or_1d(y, warn=True)
    try:
        found = found.astype(np.float64, casting="unsafe" if found.dtype.kind == "O" else "same_kind")
    except (TypeError, ValueError):
        raise UsageError(f"y must hold a finite number for each sequence; got {found.dtype}") from None
    if len(odd := np.flatnonzero(~np.isfinite(found))):
        raise UsageError(f"y: value {odd[0] + 1} is {found[odd[0]]:g}, not a finite number; leave its sequence out")
    return found


def labels(y: Any) -> NDArray[Any] | list[set[Any]]:
    """y as (N,) labels, as (N, K) zeros and ones, or as a list of sets of labels.

    Rows of text are sets of labels; rows of as many numbers each are a matrix.
    """
    if issparse(y):
        y = y.toarray()
    if isinstance(y, Iterator):
        y = list(y)
    if not isinstance(y, Iterable) and not hasattr(y, "__array__"):
        raise UsageError(f"y must be a list, an array or a column; got {type(y).__name__}")
    if (sets := _label_sets(y)) is not None:
        _check_texts(label for row in sets for label in row)
        return sets
    written = y if isinstance(y, list | tuple) else np.asarray(y).ravel()
    if isinstance(written, list | tuple) or written.dtype.kind in "OSU":
        _check_texts(written)  # before numpy makes texts of them all
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        if y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all():
            raise UsageError(
                "a y of several columns must hold zeros and ones, a column per class; or give sets of labels"
            )
        return y
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    if y.dtype.kind == "f" and len(fractions := y[y != np.floor(y)]):
        raise UsageError(
            f"y holds continuous numbers, {fractions[0]:g} for example: SequenceRegressor and KmerRegressor learn "
            "these, a classifier learns classes"
        )
    check_classification_targets(y)
    return y


def _check_texts(values: Iterable[Any]) -> None:
    """Raises UsageError for a label that is missing or bytes."""
    for number, value in enumerate(values, start=1):
        if is_missing(value):
            written = "NaN" if isinstance(value, float) else repr(value)
            raise UsageError(f"y: label {number} is missing ({written}); leave its sequence out, or give one")
        if isinstance(value, bytes):
            raise UsageError(f"y: label {number} is bytes, {value!r:.40}; give text, value.decode()")
        if isinstance(value, str) and not value.isprintable() and (odd := unwritable(value)) is not None:
            raise UsageError(f"y: label {number}, {value!r:.40}, holds {odd!r}, a line break or control character")


def read_sequences(
    X: Any,
    alphabet: str | None,
    groups: Any = None,
    weights: NDArray[np.float64] | None = None,
    vectors: Any = None,
) -> SequenceSet:
    """The sequences of X: (N,) texts or records, or one column (N, 1) of them, with what `vectors` says of them.

    A table is asked by the ids of records, and by their letters.
    """
    column = as_column(X, "X")
    sequences = read_strings(column, groups=groups, weights=weights, alphabet=alphabet)
    if vectors is None:
        return sequences
    texts = [str(getattr(item, "seq", item)) for item in column]
    return with_vectors(sequences, as_tables(vectors), texts, [getattr(item, "id", None) for item in column])


def read_labelled(
    X: Any,
    y: Any,
    known: Known,
    alphabet: str | None,
    *,
    weights: Any = None,
    groups: Any = None,
    vectors: Any = None,
) -> SequenceSet:
    """The sequences of X with the labels of y. Raises ValueError where they do not fit together."""
    sequences = read_sequences(X, alphabet, groups, weights, vectors)
    labelled = known.read(y)
    if len(labelled) != len(sequences):
        what = "labels" if known.target.probabilistic else "values"
        raise UsageError(f"{len(sequences)} sequences but {len(labelled)} {what}")
    sequences = replace(sequences, target=known.target, y=labelled)
    counted = duplicate_remarks(sequences)
    if known.kind == "str":
        counted |= missing_like(text for texts in known.target.texts(labelled) for text in texts.split(SEPARATOR))
    remarks = tuple(f"{what}: {count}" for what, count in counted.items())
    return replace(sequences, warnings=(*sequences.warnings, *remarks))


def sample_weights(sample_weight: Any, class_weight: Any, y: Any) -> NDArray[np.float64] | None:
    """(N,) weights of the sequences, times those of their classes if `class_weight` is a dict; None for equal ones."""
    weights = None
    if sample_weight is not None:
        weights = np.asarray(as_column(sample_weight, "sample_weight"), dtype=np.float64)
        if not weights.any():
            raise UsageError("sample_weight is zero for every sequence")
    if isinstance(class_weight, dict):
        y = labels(y)
        if isinstance(y, list) or y.ndim == 2:
            raise UsageError("class_weight: a dict is for one label per sequence; give sample_weight instead")
        by_class = compute_sample_weight(class_weight, y)
        weights = by_class if weights is None or len(weights) != len(by_class) else weights * by_class
    return weights


def _label_sets(y: Any) -> list[set[Any]] | None:
    if isinstance(y, np.ndarray) and y.ndim != 1:
        return None
    rows = list(y)
    if not rows or not all(isinstance(row, set | frozenset | list | tuple) for row in rows):
        return None
    ordered: Sequence[Any] = [row for row in rows if isinstance(row, list | tuple)]
    textual = any(isinstance(label, str) for row in ordered for label in row)
    rectangular = len(ordered) == len(rows) and len({len(row) for row in rows}) == 1
    return None if rectangular and not textual else [set(row) for row in rows]


def _sorted(values: Any) -> NDArray[Any]:
    try:
        return np.unique(np.asarray(values))
    except TypeError:
        raise UsageError(
            f"labels must be of one type; got {', '.join(sorted({type(v).__name__ for v in values}))}"
        ) from None


def _known(column: dict[Any, int], label: Any) -> int:
    if label not in column:
        raise UsageError(f"label {label!r} is not one of the classes {', '.join(map(repr, column))}")
    return column[label]
