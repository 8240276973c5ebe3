"""Which kind of target texts or a file describe."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqreg.targets.base import Target, Y
from seqreg.targets.classes import Classes
from seqreg.targets.labels import SEPARATOR, Labels, split_labels

TARGETS: dict[str, type[Target]] = {kind.task: kind for kind in (Classes, Labels)}


def target_of_labels(texts: Sequence[str]) -> tuple[Target, Y]:
    """Names sorted, and y: classes, or labels if any text joins several by `;`.

    Then a lone `;` means that a sequence carries none of them.
    """
    distinct = sorted(set(texts))
    names = tuple(sorted(set().union(*map(split_labels, distinct))))
    several = any(SEPARATOR in text for text in distinct)
    target = Labels(names=names) if several else Classes(names=names)
    return target, target.read(texts)


def common_target(targets: Sequence[Target]) -> Target:
    """The target in whose terms the labels of all of these can be said; its positive class is the first one's."""
    names = tuple(sorted({name for target in targets for name in target.names}))
    if any(isinstance(target, Labels) for target in targets):
        return Labels(names=names)
    return Classes(names=names, asked_for=targets[0].positive)


def from_plain(content: Mapping[str, Any]) -> Target:
    """The target that `Target.to_plain` wrote, or that files of format 1 describe by `multi_label`.

    Raises KeyError, TypeError or ValueError for what describes none.
    """
    names = tuple(content["classes"])
    task = content.get("task") or (Labels.task if content["multi_label"] else Classes.task)
    kind = TARGETS[task]
    return kind(names=names, asked_for=content["positive"]) if kind is Classes else kind(names=names)
