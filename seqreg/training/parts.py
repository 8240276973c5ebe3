"""Which sequences train, which decide when to stop, and which are kept for the verdict."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seqreg.errors import InputError, option
from seqreg.sequences import SequenceSet, in_terms_of, with_positive
from seqreg.sequences.splits import holdout, train_subset
from seqreg.training.config import TrainConfig, smallest_validation


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """The parts of a run; train_and_valid is what baselines, which hold out inside, may see.

    left_out: ids of sequences that are in no part so that no relatives are in two.
    """

    train: SequenceSet
    valid: SequenceSet | None
    test: SequenceSet | None
    train_and_valid: SequenceSet
    warnings: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def with_positive(self, positive: str | None) -> "Parts":
        """The same parts, the positive class of their target settled: the one of this name, where it has one."""
        settled = {
            name: with_positive(part, positive)
            for name in ("train", "valid", "test", "train_and_valid")
            if (part := getattr(self, name)) is not None
        }
        return replace(self, **settled)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Rows id, split, group of splits.tsv."""
        for name, part in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            if part is not None:
                groups = [""] * len(part) if part.group is None else part.group
                yield from ((each, name, str(group)) for each, group in zip(part.names, groups, strict=True))
        yield from ((each, "", "") for each in self.left_out)


def split_parts(
    data: SequenceSet, config: TrainConfig, *, valid: SequenceSet | None = None, test: SequenceSet | None = None
) -> Parts:
    """Split by the shares of the configuration, unless the input says itself or parts are given as data.

    `train_size` counts training and validation sequences together. A validation part that would be
    smaller than `smallest_validation` is not held out but trained on: what so few say is noise. After a split by
    homology the parts carry its groups, so that what is held out within them has no relatives on the other side either.
    """
    if data.target is None or data.y is None:
        remedy = f"Give {option('labels')} or {option('class_files')}"
        raise InputError("these sequences have no labels", file=data.source or None, remedy=remedy)
    target = data.target
    if (lacking := target.lacking(data.y)) is not None:
        raise InputError(lacking[0], file=data.source or None, remedy=lacking[1])
    shares: dict[str, Any] = {
        name: getattr(config, name) for name in ("by", "similarity", "identity", "leave_out", "seed")
    }
    outer = holdout(data, test=0 if test is not None else config.test, valid=0, **shares)
    pool = np.flatnonzero((outer.part == "train") | (outer.part == "valid"))
    if config.train_size is not None:
        pool = pool[train_subset(data.subset(pool), config.train_size, seed=config.seed)]
    rest = data.subset(pool)
    given = outer.part[pool]
    held_out = np.zeros(len(pool), dtype=bool)
    warnings = list(outer.warnings)
    left_out = outer.left_out if outer.by == "homology" else ()
    if valid is None and (given == "valid").any():
        held_out = given == "valid"
    elif valid is None and config.valid * len(pool) >= smallest_validation(config):
        inner = holdout(replace(rest, split=None), test=0, valid=config.valid, **shares)
        used = inner.part != ""
        pool, held_out = pool[used], (inner.part == "valid")[used]
        rest = rest.subset(np.flatnonzero(used))
        if inner.across is not None and (len(inner.across) or inner.left_out):
            warnings += inner.warnings
            left_out += inner.left_out
    if outer.by == "homology":
        data = replace(data, group=outer.group)
        rest = replace(rest, group=outer.group[pool])
    if test is None and (outer.part == "test").any():
        test = data.subset(np.flatnonzero(outer.part == "test"))
    train = rest.subset(np.flatnonzero(~held_out))
    if valid is None and held_out.any():
        valid = rest.subset(np.flatnonzero(held_out))
    assert train.y is not None
    if (lacking := target.lacking_in_training(train.y)) is not None:
        raise InputError(lacking[0], file=data.source or None, remedy=lacking[1])
    target = target.with_loss(config.loss).learned_from(train.y, train.weight)
    data, train, rest = (replace(each, target=target) for each in (data, train, rest))
    return Parts(
        train=train,
        valid=None if valid is None else _same_classes(valid, data),
        test=None if test is None else _same_classes(test, data),
        train_and_valid=rest,
        warnings=tuple(warnings),
        left_out=left_out,
    )


def _same_classes(part: SequenceSet, data: SequenceSet) -> SequenceSet:
    if part.alphabet.name != data.alphabet.name:
        raise InputError(
            f"{part.alphabet.name} sequences beside {data.alphabet.name} ones for training", file=part.source or None
        )
    assert data.target is not None
    return in_terms_of(part, data.target)
