"""Which sequences train, validate and test: stratified, by group or by homology, the same for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError, UsageError
from seqreg.records import read_tsv, write_tsv
from seqreg.sequences.duplicates import across_parts, first_equal
from seqreg.sequences.homology import homology_groups, largest_similarity
from seqreg.sequences.labels import carried_classes
from seqreg.sequences.raw import SPLITS
from seqreg.sequences.sequence_set import SequenceSet

By = Literal["stratified", "group", "homology"]
COLUMNS = ("id", "split", "group")


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A partition of a set. names: (N,) ids. part: (N,) "train", "valid" or "test", or "fold1" .. "foldK"; "" for none.

    group: (N,) groups kept together, "" where there are none. by: how it was made ("given": as the input said).
    largest_similarity: the greatest between sequences of different parts, known after a split by homology.
    warnings: counted remarks, as on equal sequences in different parts.
    """

    names: Sequence[str]
    part: NDArray[np.str_]
    group: NDArray[np.str_]
    by: str
    seed: int
    largest_similarity: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, train, valid and test first, folds in order."""
        order = ["train", "valid", "test"]
        found = {str(name) for name in np.unique(self.part)} - {""}
        folds = sorted(found - set(order), key=lambda name: (len(name), name))
        return tuple(name for name in order if name in found) + tuple(folds)

    def index(self, part: str) -> NDArray[np.int64]:
        """Positions of the sequences of a part, in their order; empty for a part that does not exist."""
        return np.flatnonzero(self.part == part)

    def fold(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions to train on and to test on when fold `number`, counted from 1, is held out."""
        name = f"fold{number}"
        return np.flatnonzero((self.part != name) & (self.part != "")), self.index(name)

    def write(self, path: str | Path) -> None:
        """Save as `splits.tsv`: id, split, group."""
        write_tsv(path, COLUMNS, zip(self.names, self.part, self.group, strict=True))


def read_split(path: str | Path, sequences: SequenceSet) -> Split:
    """The split in a `splits.tsv`, for these sequences. Raises InputError for a foreign table or an unknown id."""
    if not Path(path).is_file():
        raise InputError("no such file", file=path, remedy="seqreg split writes one")
    rows = read_tsv(path)
    if not rows or set(COLUMNS) - set(rows[0]):
        raise InputError(f"not a table of {', '.join(COLUMNS)}", file=path)
    row_of = {row["id"]: row for row in rows}
    missing = next((name for name in sequences.names if name not in row_of), None)
    if missing is not None:
        raise InputError(f"no row for sequence {missing!r}", file=path)
    chosen = [row_of[name] for name in sequences.names]
    part = np.array([SPLITS.get(row["split"], row["split"]) for row in chosen])
    return Split(names=sequences.names, part=part, group=np.array([row["group"] for row in chosen]), by="given", seed=0)


def with_split(sequences: SequenceSet, split: Split, fold: int | None = None) -> SequenceSet:
    """The sequences carrying the parts and groups of a split made earlier.

    fold: of a split into folds, the one (counted from 1) that is the test part; the others train. Raises UsageError for
    a fold that does not exist, and for folds of which none is chosen.
    """
    folds = [name for name in split.parts if name.startswith("fold")]
    if fold is None and folds:
        raise UsageError(f"the split is one into folds. Say with --fold, from 1 to {len(folds)}, which is tested on")
    if fold is not None and f"fold{fold}" not in folds:
        holds = f"folds 1 to {len(folds)}" if folds else ", ".join(split.parts)
        raise UsageError(f"the split has no fold {fold}; it has {holds}")
    part = split.part
    if fold is not None:
        part = np.where(part == f"fold{fold}", "test", np.where(part == "", "", "train"))
    group = split.group if (split.group != "").any() else sequences.group
    return replace(sequences, split=part, group=group)


def holdout(
    sequences: SequenceSet,
    *,
    test: float = 0.2,
    valid: float = 0.15,
    by: By | None = None,
    similarity: float = 0.3,
    tool: str = "kmers",
    seed: int = 0,
) -> Split:
    """Train, valid and test parts: `test` of all sequences, `valid` of the rest; 0 means no such part.

    by: None keeps a split that the input carries, and only cuts a valid part that it lacks from its train part; without
    one it means by group where there are groups, else stratified. Raises InputError if a part would be empty.
    """
    for title, fraction in (("test", test), ("valid", valid)):
        if not 0 <= fraction < 1:
            raise UsageError(f"{title} must be a fraction of at least 0 and below 1; got {fraction}")
    if sequences.split is not None and by is None:
        return _given(sequences, valid, seed)
    shares = {"test": test, "valid": valid * (1 - test), "train": (1 - test) * (1 - valid)}
    made = _split(sequences, {name: share for name, share in shares.items() if share > 0}, by, similarity, tool, seed)
    unused = (
        ()
        if sequences.split is None
        else (f"the split that the input carries is not used: a split by {by} was asked for",)
    )
    return replace(made, warnings=made.warnings + unused)


def folds(
    sequences: SequenceSet,
    k: int,
    *,
    by: By | None = None,
    similarity: float = 0.3,
    tool: str = "kmers",
    seed: int = 0,
) -> Split:
    """K folds of nearly equal size and nearly equal shares of every class, whatever split the input carries."""
    if not 2 <= k <= len(sequences):
        raise UsageError(f"folds must be at least 2 and at most the {len(sequences)} sequences; got {k}")
    return _split(sequences, {f"fold{number}": 1 / k for number in range(1, k + 1)}, by, similarity, tool, seed)


def train_subset(sequences: SequenceSet, n: int, *, seed: int = 0, by: By | None = None) -> NDArray[np.int64]:
    """Positions (n,), sorted, of a stratified choice of n sequences; for one seed a smaller choice is in a larger one.

    With groups (or by="group") whole groups are taken one after another, so that at most one is cut.
    """
    if not 1 <= n <= len(sequences):
        raise UsageError(f"the number of training sequences must be 1 to {len(sequences)}; got {n}")
    if by == "homology":
        raise UsageError("a training subset is chosen stratified or by group")
    generator = np.random.default_rng(seed)
    if by == "group" or (by is None and sequences.group is not None):
        order = _group_order(sequences, _group_numbers(sequences), generator)
    else:
        order = stratified_order(strata(sequences), generator, every_class_first=True)
    return np.sort(order[:n])


def strata(sequences: SequenceSet) -> NDArray[np.int64]:
    """(N,) class of each sequence by which to stratify: with several labels the rarest one, K for none."""
    carried = carried_classes(sequences)
    if not carried.shape[1]:
        return np.zeros(len(sequences), dtype=np.int64)
    frequency = carried.sum(axis=0, dtype=np.int64)
    rarest = np.where(carried, frequency, len(sequences) + 1).argmin(axis=1)
    return np.where(carried.any(axis=1), rarest, carried.shape[1]).astype(np.int64)


def stratified_order(
    classes: NDArray[np.int64], generator: np.random.Generator, *, every_class_first: bool = False
) -> NDArray[np.int64]:
    """A random order (N,) of which every beginning holds each class in its share, to within one.

    Member r of a class of size n is placed at the quantile (r + 1/2) / n, or r / n so that all classes come first.
    """
    order = generator.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    sizes = np.bincount(classes)
    begins = np.cumsum(sizes) - sizes
    rank = np.arange(len(classes)) - np.repeat(begins, sizes)
    quantile = (rank + (0 if every_class_first else 0.5)) / np.repeat(sizes, sizes)
    ties = generator.permutation(len(classes))
    return order[np.lexsort((ties, quantile))]


def _given(sequences: SequenceSet, valid: float, seed: int) -> Split:
    assert sequences.split is not None
    part = sequences.split.astype("U5")
    group = np.full(len(part), "") if sequences.group is None else sequences.group
    train = np.flatnonzero(part == "train")
    if not len(train):
        raise InputError("the split has no train part", file=sequences.source or None, remedy="Name it: split=train.")
    if valid and not (part == "valid").any():
        shares = {"valid": valid, "train": 1 - valid}
        part[train] = _split(sequences.subset(train), shares, by=None, similarity=0.3, tool="kmers", seed=seed).part
    remarks = across_parts(sequences, part, first_equal(sequences))
    left_out = int((part == "").sum())
    if left_out:
        remarks["sequences left out, as the input puts them in no part"] = left_out
    warnings = tuple(f"{what}: {count}" for what, count in remarks.items())
    return Split(names=sequences.names, part=part, group=group, by="given", seed=seed, warnings=warnings)


def _split(
    sequences: SequenceSet, shares: dict[str, float], by: By | None, similarity: float, tool: str, seed: int
) -> Split:
    by = by or ("stratified" if sequences.group is None else "group")
    generator = np.random.default_rng(seed)
    remarks: list[str] = []
    group = np.full(len(sequences), "") if sequences.group is None else sequences.group
    if by == "stratified":
        number = _stratified_parts(strata(sequences), list(shares.values()), generator)
    elif by == "group":
        if sequences.group is None:
            raise UsageError("A split by group needs groups: group=NAME in FASTA headers, or a column `group`")
        number = _grouped_parts(sequences, _group_numbers(sequences), list(shares.values()), generator)
    elif by == "homology":
        groups, remarks = homology_groups(sequences, similarity=similarity, tool=tool)
        group = np.array([f"h{entry + 1}" for entry in groups])
        number = _grouped_parts(sequences, groups, list(shares.values()), generator)
    else:
        raise UsageError(f"Unknown split {by!r}. Choose from: stratified, group, homology")
    titles = np.array(list(shares))
    sizes = np.bincount(number, minlength=len(titles))
    if not sizes.all():
        raise InputError(
            f"the {titles[sizes.argmin()]} part would be empty: {len(sequences)} sequences"
            + ("" if by == "stratified" else f" in {len(np.unique(group))} groups"),
            file=sequences.source or None,
            remedy="Give more data, smaller groups, or ask for fewer parts.",
        )
    part = titles[number]
    split = Split(names=sequences.names, part=part, group=group, by=by, seed=seed)
    crossing = across_parts(sequences, part, first_equal(sequences))
    remarks += [f"{what}: {count}" for what, count in crossing.items()]
    remarks += _missing_classes(sequences, split)
    if by == "homology":
        nearest = largest_similarity(sequences, [split.index(name) for name in split.parts])
        split = replace(split, largest_similarity=nearest)
        if tool == "kmers" and nearest >= similarity:
            remarks.append(f"a similarity of {nearest:.3g} remains between parts, above {similarity:g}")
    return replace(split, warnings=tuple(remarks))


def _missing_classes(sequences: SequenceSet, split: Split) -> list[str]:
    sizes = part_sizes(split, sequences).items()
    return [
        f"no sequence of class {name!r} in the {part} part"
        for part, (_, counts) in sizes
        for name, count in counts.items()
        if not count
    ]


def _stratified_parts(
    classes: NDArray[np.int64], shares: Sequence[float], generator: np.random.Generator
) -> NDArray[np.int64]:
    """(N,) part numbers: each part in turn takes the beginning of a stratified order, the last one the rest."""
    number = np.full(len(classes), len(shares) - 1)
    rest = np.arange(len(classes))
    for part, share in enumerate(shares[:-1]):
        order = rest[stratified_order(classes[rest], generator)]
        wanted = round(share / sum(shares[part:]) * len(rest))
        number[order[:wanted]] = part
        rest = np.sort(order[wanted:])
    return number


def _group_numbers(sequences: SequenceSet) -> NDArray[np.int64]:
    """(N,) numbers of the groups; a sequence without a group is one of its own."""
    if sequences.group is None:
        raise UsageError("A choice by group needs groups: group=NAME in FASTA headers, or a column `group`")
    numbers = np.unique(sequences.group, return_inverse=True)[1].astype(np.int64)
    alone = np.flatnonzero(sequences.group == "")
    numbers[alone] = numbers.max(initial=0) + 1 + np.arange(len(alone))
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def _class_counts(sequences: SequenceSet, groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """(G, K) sequences of each class in each group."""
    classes = strata(sequences)
    counts = np.zeros((int(groups.max()) + 1, int(classes.max()) + 1))
    np.add.at(counts, (groups, classes), 1)
    return counts


def _grouped_parts(
    sequences: SequenceSet, groups: NDArray[np.int64], shares: Sequence[float], generator: np.random.Generator
) -> NDArray[np.int64]:
    """(N,) part numbers; each group, the large ones first, goes where it brings all classes nearest to their shares.

    The distance that is made smaller is sum_{p,c} (n_pc / n_c - share_p)^2 / share_p, as in stratified group k-fold.
    """
    counts = _class_counts(sequences, groups)
    total = np.maximum(counts.sum(axis=0), 1)
    wanted = np.array(shares)[:, None]
    order = generator.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled = np.zeros((len(shares), counts.shape[1]))
    part_of = np.empty(len(counts), dtype=np.int64)
    for group in order:
        added = counts[group] / total
        growth = (added * (added + 2 * (filled - wanted)) / wanted).sum(axis=1)
        part_of[group] = part = int(growth.argmin())
        filled[part] += added
    return part_of[groups]


def _group_order(
    sequences: SequenceSet, groups: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """An order of the sequences, group after group, each next group the one of 32 that best keeps the class shares."""
    counts = _class_counts(sequences, groups)
    share = counts.sum(axis=0) / counts.sum()
    waiting = generator.permutation(len(counts)).tolist()
    taken = np.zeros(counts.shape[1])
    rank = np.empty(len(counts), dtype=np.int64)
    for position in range(len(counts)):
        ahead = taken + counts[waiting[:32]]
        best = int(np.abs(ahead / ahead.sum(axis=1, keepdims=True) - share).sum(axis=1).argmin())
        group = waiting.pop(best)
        taken += counts[group]
        rank[group] = position
    return np.lexsort((generator.permutation(len(groups)), rank[groups]))


def part_sizes(split: Split, sequences: SequenceSet) -> dict[str, tuple[int, dict[str, int]]]:
    """For each part the number of its sequences, in all and per class."""
    carried = carried_classes(sequences)
    sizes = {}
    for name in split.parts:
        index = split.index(name)
        counts = carried[index].sum(axis=0, dtype=int).tolist()
        sizes[name] = (len(index), dict(zip(sequences.classes, counts, strict=True)))
    return sizes
