"""Which kind of target texts or a file describe."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seqreg.errors import option
from seqreg.metrics import Metric
from seqreg.specs import unknown_name
from seqreg.targets.base import SEPARATOR, LabelError, Target, Y, split_labels
from seqreg.targets.classes import Classes
from seqreg.targets.labels import Labels
from seqreg.targets.values import Values

TARGETS: dict[str, type[Target]] = {kind.task: kind for kind in (Classes, Labels, Values)}
EVERY_METRIC: dict[str, Metric] = {name: each for kind in TARGETS.values() for name, each in kind.metrics.items()}


def target_of_labels(texts: Sequence[str], task: str | None = None) -> tuple[Target, Y]:
    """Names sorted, and y: one class per sequence, or labels if texts join several by `;`; or values.

    A lone `;` means that a sequence carries none of several labels. task: the kind of TARGETS where it is settled;
    numbers are values if it says so. Where it is not, one text alone, or texts that only end in `;`, do not make a task
    of several labels. Raises LabelError for these, for several labels in a classification, for names that are the same
    number, and for a value that is no finite number.
    """
    if task not in (None, *TARGETS):
        raise unknown_name("task", task or "", TARGETS)
    if task == Values.task:
        values = Values()
        return values, values.read(texts)
    separated = [position for position, text in enumerate(texts) if SEPARATOR in text]
    several = task == Labels.task
    if separated and task is None:
        joined = sum(len(split_labels(texts[position])) != 1 for position in separated)
        several = joined > 1 and any(len(split_labels(text)) > 1 for text in set(texts))
    if separated and not several:
        raise _odd_label(texts, separated, task)
    distinct = sorted(set(texts))
    names = tuple(sorted(set().union(*map(split_labels, distinct)) if several else distinct))
    if (same := same_number(names)) is not None:
        position = next(i for i, text in enumerate(texts) if same[1] in {text, *split_labels(text)})
        problem = f"label {same[1]!r} is the same number as label {same[0]!r}"
        raise LabelError(position, problem, "Write equal labels alike.")
    target = Labels(names=names) if several else Classes(names=names)
    return target, target.read(texts)


def _odd_label(texts: Sequence[str], separated: Sequence[int], task: str | None) -> LabelError:
    text = texts[separated[0]]
    if task is not None:
        return LabelError(separated[0], f"label {text!r}: a classification gives every sequence exactly one class")
    how = (
        # no mutant: there is one at least
        f"is the only one of {len(texts)} with" if len(separated) == 1 else "joins no two labels, as no other does, by"
    )
    problem = f"label {text!r} {how} {SEPARATOR!r}, which means several labels of one sequence"
    remedy = f"Remove the {SEPARATOR!r}, or say that a sequence has several labels, {option('task', Labels.task)}."
    return LabelError(separated[0], problem, remedy)


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def same_number(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two names that are one number written in two ways, `1` and `1.0`; None where there are none."""
    first: dict[float, str] = {}
    for name in names:
        if _NUMBER.fullmatch(name) and first.setdefault(float(name), name) != name:
            return first[float(name)], name
    return None


def fractional(texts: Iterable[str]) -> str | None:
    """The first text that is no whole number, where all are numbers: these measure rather than name."""
    first = None
    for text in texts:
        if not _NUMBER.fullmatch(text):
            return None
        if first is None and not float(text).is_integer():
            first = text
    return first


def common_target(targets: Sequence[Target]) -> Target:
    """The target in whose terms the labels of all of these can be said; what else it says is the first one's."""
    if isinstance(targets[0], Values):
        return targets[0]
    names = tuple(sorted({name for target in targets for name in target.names}))
    if any(isinstance(target, Labels) for target in targets):
        return Labels(names=names)
    return Classes(names=names, asked_for=targets[0].positive)


def from_plain(content: Mapping[str, Any]) -> Target:
    """The target that `Target.to_plain` wrote, or that files of format 1 describe by `multi_label`.

    Raises KeyError, TypeError or ValueError for what describes none.
    """
    task = content.get("task") or (Labels.task if content["multi_label"] else Classes.task)
    return TARGETS[task].from_plain(content)
