"""Several inputs as one set: training, validation and test sequences that were given apart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError, option
from seqreg.sequences.duplicates import duplicate_remarks
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.targets import common_target


def join_parts(parts: Mapping[str, SequenceSet]) -> SequenceSet:
    """One set whose split says which part ("train", "valid", "test") each sequence came from.

    Classes are those of all parts together; the positive class is the first part's. An id that occurs twice is
    written `part:id` where it occurs again. Raises InputError for different alphabets, a part without labels, and
    vectors that are not those of the other parts.
    """
    sets = list(parts.values())
    first = sets[0]
    for title, other in parts.items():
        if other.alphabet is not first.alphabet:
            raise InputError(
                f"the {title} part is {other.alphabet.name}, the others are {first.alphabet.name}",
                file=other.source or None,
                remedy=f"Name the alphabet with {option('alphabet')}.",
            )
        if (other.y is None) != (first.y is None):
            unlabelled = other if other.y is None else first
            raise InputError("sequences without labels, while other parts have some", file=unlabelled.source or None)
    for title, other in parts.items():
        if first.target is not None and other.target is not None:
            differ = first.target.check_comparable(other.target)
            if differ is not None:
                raise InputError(f"the {title} part has {differ}", file=other.source or None)
    targets = [one.target for one in sets if one.target is not None]
    target = common_target(targets) if targets else None
    y = None if target is None else target.read([text for one in sets for text in one.label_texts()])
    bounds = np.cumsum([0, *(len(one.codes) for one in sets)])
    together = SequenceSet(
        alphabet=first.alphabet,
        names=_unique_names(parts),
        codes=np.concatenate([one.codes for one in sets]),
        offsets=np.concatenate([[0], *(one.offsets[1:] + start for one, start in zip(sets, bounds, strict=False))]),
        target=target,
        y=y,
        split=np.repeat(list(parts), [len(one) for one in sets]),
        group=_filled([one.group for one in sets], sets, ""),
        weight=_filled([one.weight for one in sets], sets, 1.0),
        vectors=_vectors(parts),
        both_strands=all(one.both_strands for one in sets),
        source=", ".join(dict.fromkeys(one.source for one in sets)),
    )
    remarks = [warning for one in sets for warning in one.warnings]
    remarks += [f"{what}: {count}" for what, count in duplicate_remarks(together).items()]
    return replace(together, warnings=tuple(dict.fromkeys(remarks)))


def _unique_names(parts: Mapping[str, SequenceSet]) -> list[str]:
    names: list[str] = []
    seen: set[str] = set()
    for title, sequences in parts.items():
        names += [f"{title}:{name}" if name in seen else name for name in sequences.names]
        seen.update(sequences.names)
    return names


def _vectors(parts: Mapping[str, SequenceSet]) -> dict[str, NDArray[np.float32]]:
    sets = list(parts.values())
    first = {name: vectors.shape[1] for name, vectors in sets[0].vectors.items()}
    for title, other in parts.items():
        if {name: vectors.shape[1] for name, vectors in other.vectors.items()} != first:
            problem = f"the {title} part has other vectors than the others"
            raise InputError(problem, file=other.source or None, remedy="Give all parts the same vectors.")
    return {name: np.concatenate([one.vectors[name] for one in sets]) for name in first}


def _filled(columns: Sequence[NDArray[Any] | None], sets: Sequence[SequenceSet], default: Any) -> NDArray[Any] | None:
    """The column end to end, with a default where a set has none; None if no set has it."""
    if all(column is None for column in columns):
        return None
    whole = [
        np.full(len(one), default) if column is None else column for one, column in zip(sets, columns, strict=True)
    ]
    return np.concatenate(whole)
