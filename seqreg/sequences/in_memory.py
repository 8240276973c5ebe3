"""Sequences that are already in memory, and what is said of each of them: its label, id, group and weight."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from seqreg.alphabet import Alphabet
from seqreg.errors import InputError, UsageError
from seqreg.sequences.collect import Collector
from seqreg.sequences.input_spec import InputSpec
from seqreg.sequences.raw import RawRecord
from seqreg.sequences.read import labelled
from seqreg.sequences.sequence_set import SequenceSet

_SOURCE = "sequences"  # what errors call them


def read_strings(
    strings: Iterable[Any],
    labels: Iterable[Any] | None = None,
    *,
    names: Iterable[Any] | None = None,
    groups: Iterable[Any] | None = None,
    weights: Iterable[Any] | None = None,
    alphabet: str | Alphabet | None = None,
    gaps: Literal["reject", "drop"] = "reject",
    task: str | None = None,
) -> SequenceSet:
    """Sequences that are already in memory: texts, Bio.Seq, or objects with one of them in `seq` as Bio.SeqRecord has.

    What is said of them belongs to them by position, whatever index it carries. A missing group is none. Raises
    InputError as `read_input` does, for a file called "sequences" whose records are counted from 1, and for a missing
    label, name or weight; UsageError where their numbers differ.
    """
    asked: dict[str, Any] = {"require_labels": labels is not None, "min_classes": 1, "task": task}
    spec = InputSpec(input=_SOURCE, alphabet=alphabet, gaps=gaps, **asked)
    texts = [_text_of(item, number) for number, item in enumerate(as_column(strings, "sequences"), start=1)]
    n = len(texts)
    label = _texts(labels, "label", n)
    name = _texts(names, "name", n, default=[f"seq{number}" for number in range(1, n + 1)])
    group = _texts(groups, "group", n, may_be_missing=True)
    weight = _texts(weights, "weight", n)
    if not texts:
        raise InputError("no sequences")
    collector = Collector()
    for index, text in enumerate(texts):
        about = {"label": label[index], "group": group[index], "weight": weight[index]}
        collector.add(RawRecord(_SOURCE, index + 1, name[index], text).saying(**about))
    remarks: Counter[str] = Counter()
    sequences = replace(collector.finish(spec.chosen_alphabet, gaps, remarks), source=_SOURCE)
    return labelled(sequences, collector, spec, remarks)


def as_column(values: Iterable[Any], title: str) -> list[Any]:
    """The values in their order, of a list, an array (N,) or (N, 1), a column of a table, an iterator: by position.

    Raises UsageError for what has no order or no single column.
    """
    if isinstance(values, str | bytes):
        raise UsageError(f"{title} is one text: give a list, [text] for one")
    if not isinstance(values, Iterable) and hasattr(values, "__array__"):
        values = np.asarray(values)
    if isinstance(values, Mapping | Set) or not isinstance(values, Iterable):
        raise UsageError(f"{title} must be a list, an array or a column; got {type(values).__name__}")
    shape = getattr(values, "shape", None)
    if shape is not None and len(shape) != 1:
        if len(shape) != 2 or shape[1] != 1:
            raise UsageError(f"{title} must be (N,) or one column (N, 1); got an array of shape {tuple(shape)}")
        return list(np.asarray(values)[:, 0])
    return list(values)


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, pandas' NA and NaT, what an array masks, a blank text."""
    if value is None or value is np.ma.masked or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)  # only what is no value differs from itself
    except (TypeError, ValueError):  # pandas.NA will not say; arrays say too much
        return type(value).__name__ == "NAType"


def _texts(
    values: Iterable[Any] | None, what: str, n: int, *, default: list[str] | None = None, may_be_missing: bool = False
) -> list[str]:
    """A column as a file would write it; empty texts, or the default, where there is none."""
    if values is None:
        return default or [""] * n
    column = as_column(values, f"{what}s")
    if len(column) != n:
        raise UsageError(f"{n} sequences but {len(column)} {what}s")
    for number, value in enumerate(column, start=1):
        if is_missing(value) and not may_be_missing:
            problem, remedy = (
                f"the {what} is missing ({value!r:.40})",
                f"Give one, or leave the sequence out with its {what}.",
            )
            raise InputError(problem, file=_SOURCE, record=number, remedy=remedy)
        if isinstance(value, bytes):
            problem = f"the {what} is bytes, {value!r:.40}"
            raise InputError(problem, file=_SOURCE, record=number, remedy="Give text, value.decode().")
    return ["" if is_missing(value) else str(value) for value in column]


def _text_of(item: Any, number: int) -> str:
    """The letters of one item; a missing value is an error, for "nan" would pass as three amino acids."""
    letters = getattr(item, "seq", item)
    if isinstance(letters, str):
        return letters
    if isinstance(letters, bytes):
        return letters.decode("utf-8", "replace")
    if hasattr(letters, "__bytes__"):  # Bio.Seq
        return str(letters)
    problem = f"{letters!r:.40} ({type(letters).__name__}) is not a sequence"
    raise InputError(problem, file=_SOURCE, record=number, remedy="Give texts, or records with a text in `seq`.")
