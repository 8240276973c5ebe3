"""Which sequences train, validate and test: stratified, by group or by homology, the same for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError, UsageError, option
from seqreg.records import write_tsv
from seqreg.sequences.duplicates import across_parts, first_equal, first_three
from seqreg.sequences.homology import Homology
from seqreg.sequences.ids import keys_in
from seqreg.sequences.opening import name_of, open_text
from seqreg.sequences.raw import SPLITS
from seqreg.sequences.separation import LEFT_OUT, separate
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.shared_kmers import largest_similarity
from seqreg.sequences.strata import class_counts, grouped_parts, strata, stratified_order, stratified_parts
from seqreg.sequences.tables import table_rows
from seqreg.sequences.together import group_numbers, kept_together
from seqreg.sequences.workbook import file_and_sheet

By = Literal["stratified", "group", "homology"]
COLUMNS = ("id", "split", "group")


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A partition of a set. names: (N,) ids. part: (N,) "train", "valid" or "test", or "fold1" .. "foldK"; "" for none.

    group: (N,) groups kept together, "" where there are none. by: how it was made ("given": as the input said).
    After a split by homology: largest_similarity, the greatest between sequences of different parts; across, (P, 2)
    positions of sequences in different parts that are aligned at the identity asked for, or above.
    warnings: counted remarks, as on equal sequences in different parts.
    """

    names: Sequence[str]
    part: NDArray[np.str_]
    group: NDArray[np.str_]
    by: str
    seed: int
    largest_similarity: float | None = None
    across: NDArray[np.int64] | None = None
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

    @property
    def left_out(self) -> tuple[str, ...]:
        """The ids of sequences that are in no part."""
        return tuple(str(self.names[i]) for i in self.index(""))

    def fold(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions to train on and to test on when fold `number`, counted from 1, is held out."""
        name = f"fold{number}"
        return np.flatnonzero((self.part != name) & (self.part != "")), self.index(name)

    def write(self, path: str | Path) -> None:
        """Save as `splits.tsv`: id, split, group."""
        write_tsv(path, COLUMNS, zip(self.names, self.part, self.group, strict=True))


def read_split(path: str | Path, sequences: SequenceSet) -> Split:
    """The split in a `splits.tsv`, for these sequences. Raises InputError for a foreign table or an unknown id."""
    if not file_and_sheet(path)[0].is_file():
        raise InputError("no such file", file=path, remedy="seqreg split writes one")
    with open_text(path) as (handle, _):
        rows = [row for _, row in table_rows(handle, name_of(path))]
    if not rows or set(COLUMNS) - set(rows[0]):
        raise InputError(f"not a table of {', '.join(COLUMNS)}", file=path)
    row_of: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, start=1):
        if row["id"] in row_of and row != row_of[row["id"]]:
            problem = f"a second row for {row['id']!r}, which says something else"
            raise InputError(problem, file=path, record=number, remedy="Write class/id where two classes have the id.")
        row_of[row["id"]] = row
    keys = keys_in(row_of, sequences)
    missing = next((name for name in keys if name not in row_of), None)
    if missing is not None:
        raise InputError(f"no row for sequence {missing!r}", file=path)
    chosen = [row_of[name] for name in keys]
    part = np.array([SPLITS.get(row["split"], row["split"]) for row in chosen])
    return Split(names=sequences.names, part=part, group=np.array([row["group"] for row in chosen]), by="given", seed=0)


def with_split(sequences: SequenceSet, split: Split, fold: int | None = None) -> SequenceSet:
    """The sequences carrying the parts and groups of a split made earlier.

    fold: of a split into folds, the one (counted from 1) that is the test part; the others train. Raises UsageError for
    a fold that does not exist, and for folds of which none is chosen.
    """
    folds = [name for name in split.parts if name.startswith("fold")]
    if fold is None and folds:
        raise UsageError(
            f"the split is one into folds. Say with {option('fold')}, from 1 to {len(folds)}, which is tested on"
        )
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
    identity: float = 0.7,
    tool: str = "kmers",
    leave_out: bool = False,
    seed: int = 0,
) -> Split:
    """Train, valid and test parts: `test` of all sequences, `valid` of the rest; 0 means no such part.

    by: None keeps a split that the input carries, and only cuts a valid part that it lacks from its train part; without
    one it means by group where there are groups, else stratified. similarity, identity, tool: what is related, by
    homology, as in `sequences.homology.Homology`. leave_out: put sequences in no part rather than relatives in two.
    Raises InputError if a part would be empty.
    """
    for title, fraction in (("test", test), ("valid", valid)):
        if not 0 <= fraction < 1:
            raise UsageError(f"{title} must be a fraction of at least 0 and below 1; got {fraction}")
    if sequences.split is not None and by is None:
        return _given(sequences, valid, seed)
    shares = {"test": test, "valid": valid * (1 - test), "train": (1 - test) * (1 - valid)}
    homology = Homology(similarity=similarity, identity=identity, tool=tool)
    shares = {name: share for name, share in shares.items() if share > 0}
    made = _split(sequences, shares, by, homology, leave_out=leave_out, seed=seed)
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
    identity: float = 0.7,
    tool: str = "kmers",
    leave_out: bool = False,
    seed: int = 0,
) -> Split:
    """K folds of nearly equal size and nearly equal shares of every class, whatever split the input carries.

    similarity, identity, tool, leave_out: as for `holdout`.
    """
    if not 2 <= k <= len(sequences):
        raise UsageError(f"folds must be at least 2 and at most the {len(sequences)} sequences; got {k}")
    homology = Homology(similarity=similarity, identity=identity, tool=tool)
    shares = {f"fold{number}": 1 / k for number in range(1, k + 1)}
    return _split(sequences, shares, by, homology, leave_out=leave_out, seed=seed)


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


def _given(sequences: SequenceSet, valid: float, seed: int) -> Split:
    assert sequences.split is not None
    part = sequences.split.astype("U5")
    group = np.full(len(part), "") if sequences.group is None else sequences.group
    train = np.flatnonzero(part == "train")
    if not len(train):
        raise InputError("the split has no train part", file=sequences.source or None, remedy="Name it: split=train.")
    if valid and not (part == "valid").any():
        shares = {"valid": valid, "train": 1 - valid}
        part[train] = _split(sequences.subset(train), shares, None, Homology(), leave_out=False, seed=seed).part
    remarks = across_parts(sequences, part, first_equal(sequences))
    left_out = int((part == "").sum())
    if left_out:
        remarks["sequences left out, as the input puts them in no part"] = left_out
    warnings = tuple(f"{what}: {count}" for what, count in remarks.items())
    return Split(names=sequences.names, part=part, group=group, by="given", seed=seed, warnings=warnings)


def _split(
    sequences: SequenceSet, shares: dict[str, float], by: By | None, homology: Homology, *, leave_out: bool, seed: int
) -> Split:
    by = by or ("stratified" if sequences.group is None else "group")
    generator = np.random.default_rng(seed)
    remarks: list[str] = []
    across = None
    group = np.full(len(sequences), "") if sequences.group is None else sequences.group
    if by == "stratified":
        together = kept_together(replace(sequences, group=None))
        if together is None:
            number = stratified_parts(strata(sequences), list(shares.values()), generator)
        else:
            number = grouped_parts(sequences, together, list(shares.values()), generator)
    elif by == "group":
        if sequences.group is None:
            raise UsageError("A split by group needs groups: group=NAME in FASTA headers, or a column `group`")
        together = kept_together(sequences)
        assert together is not None
        number = grouped_parts(sequences, together, list(shares.values()), generator)
    elif by == "homology":
        apart = separate(sequences, list(shares.values()), homology, generator, leave_out=leave_out)
        number, across, remarks = apart.part, apart.across, list(apart.remarks)
        group = np.array([f"h{entry + 1}" for entry in apart.group])
    else:
        raise UsageError(f"Unknown split {by!r}. Choose from: stratified, group, homology")
    titles = np.array(list(shares))
    sizes = np.bincount(number[number != LEFT_OUT], minlength=len(titles))
    if not sizes.all():
        raise InputError(
            f"the {titles[sizes.argmin()]} part would be empty: {len(sequences)} sequences"
            + ("" if by == "stratified" else f" in {len(np.unique(group))} groups"),
            file=sequences.source or None,
            remedy="Give more data, smaller groups, or ask for fewer parts.",
        )
    part = np.where(number == LEFT_OUT, "", titles[number])
    split = Split(names=sequences.names, part=part, group=group, by=by, across=across, seed=seed)
    crossing = across_parts(sequences, part, first_equal(sequences))
    remarks += [f"{what}: {count}" for what, count in crossing.items()]
    remarks += _missing_classes(sequences, split)
    if by == "homology":
        nearest = largest_similarity(sequences, [split.index(name) for name in split.parts])
        split = replace(split, largest_similarity=nearest)
        remarks += _what_remains(sequences, split, homology)
    return replace(split, warnings=tuple(remarks))


def _what_remains(sequences: SequenceSet, split: Split, homology: Homology) -> list[str]:
    """Counted remarks on relatives in different parts, and on what was left out so that there are none."""
    assert split.largest_similarity is not None
    assert split.across is not None
    remarks = []
    if homology.tool == "kmers" and split.largest_similarity >= homology.similarity:
        nearest, least = split.largest_similarity, homology.similarity
        remarks.append(f"a similarity of {nearest:.3g} remains between parts, above {least:g}")
    if len(split.across):
        positions = np.unique(split.across)
        remarks.append(
            f"{len(split.across)} pairs of sequences in different parts have an identity of at least "
            f"{homology.identity:g}; they are of {len(positions)} sequences ({first_three(sequences, positions)}), "
            "of which enough can be left out (option leave-out)"
        )
    if split.left_out:
        which = first_three(sequences, split.index(""))
        remarks.append(f"sequences left out, as they have relatives in two parts ({which}): {len(split.left_out)}")
    return remarks


def _missing_classes(sequences: SequenceSet, split: Split) -> list[str]:
    sizes = part_sizes(split, sequences).items()
    return [
        f"no sequence of class {name!r} in the {part} part"
        for part, (_, counts) in sizes
        for name, count in counts.items()
        if not count
    ]


def _group_numbers(sequences: SequenceSet) -> NDArray[np.int64]:
    if sequences.group is None:
        raise UsageError("A choice by group needs groups: group=NAME in FASTA headers, or a column `group`")
    return group_numbers(sequences)


def _group_order(
    sequences: SequenceSet, groups: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """An order of the sequences, group after group, each next group the one of 32 that best keeps the class shares."""
    counts = class_counts(sequences, groups)
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
    members = sequences.members
    sizes = {}
    for name in split.parts:
        index = split.index(name)
        counts = members[index].sum(axis=0).tolist()
        sizes[name] = (len(index), dict(zip(sequences.classes, counts, strict=True)))
    return sizes
