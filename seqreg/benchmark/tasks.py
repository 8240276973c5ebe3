"""Training and test sequences of every cell, drawn so that no choice can have seen what is reported on.

Small data: for one seed all sizes are nested in one half of the set (or in its train part) and tested on the same
sequences of the other half (or of its test part). Homology, few sequences: half of all sequences and every family that
a reported task holds out are reserved; the tasks that serve to choose hyperparameters never receive them.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.benchmark.suite import Suite
from seqreg.errors import SeqregError, UsageError
from seqreg.sequences import InputSpec, SequenceSet, find_data_set, read_input, table_of, tasks_of, train_subset
from seqreg.sequences.splits import By
from seqreg.targets import Classes
from seqreg.vectors import named_tables, with_vectors

TARGET = Classes(names=("negative", "positive"), asked_for="positive")
NOISE = 0.1  # of the copies by which a small superfamily is topped up
POSITIVE_SHARE = 0.5


class LeakError(SeqregError):
    """A sequence or group stands on both sides of a task."""


class LeftOutError(SeqregError):
    """A cell that has no meaning on these data: too few sequences, or none that a method can read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What a method may learn from, and what it is judged by. Raises LeakError where the two share a sequence."""

    train: SequenceSet
    test: SequenceSet

    def __post_init__(self) -> None:
        shared = sorted(set(self.train.names) & set(self.test.names))
        if shared:
            raise LeakError(f"sequence {shared[0]!r} is in the training and in the test part ({len(shared)} are)")
        if self.train.group is not None and self.test.group is not None:
            groups = sorted((set(self.train.group.tolist()) & set(self.test.group.tolist())) - {""})
            if groups:
                raise LeakError(f"group {groups[0]!r} is in the training and in the test part ({len(groups)} are)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Library:
    """Data sets and their tables, each read once. vectors: NAME=FILE, as the suite has them."""

    vectors: tuple[str, ...] = ()
    kept: dict[tuple[str, str], Any] = field(default_factory=dict)

    def sequences(self, name: str) -> SequenceSet:
        """The sequences of a data set with their vectors, and with labels where it is one for classification."""
        return self._once("sequences", name, lambda: self._read(name))

    def _read(self, name: str) -> SequenceSet:
        labelled = find_data_set(name).kind in ("classification", "regression")
        tables = named_tables(text.replace("{data}", name) for text in self.vectors)
        return with_vectors(read_input(InputSpec(input=name, require_labels=labelled)), tables)

    def column(self, name: str, column: str) -> NDArray[np.str_]:
        """(N,) a column of the table of a data set, in the order of its sequences."""
        rows = self._once("table", name, lambda: {row["id"]: row for row in table_of(find_data_set(name))})
        return self._once(column, name, lambda: np.array([rows[each][column] for each in self.sequences(name).names]))

    def roles(self, name: str) -> dict[str, dict[str, list[int]]]:
        """Task -> role -> positions of sequences, of a set with published memberships."""
        return self._once("roles", name, lambda: self._read_roles(name))

    def _read_roles(self, name: str) -> dict[str, dict[str, list[int]]]:
        position = {each: i for i, each in enumerate(self.sequences(name).names)}
        roles: dict[str, dict[str, list[int]]] = {}
        for row in tasks_of(find_data_set(name)):
            roles.setdefault(row["task"], {}).setdefault(row["role"], []).append(position[row["id"]])
        return roles

    def _once(self, kind: str, name: str, read: Any) -> Any:
        if (kind, name) not in self.kept:
            self.kept[kind, name] = read()
        return self.kept[kind, name]


KIND_OF_DATA = {
    "small-data": "classification",
    "small-data-values": "regression",
    "robustness": "classification",
    "homology-small": "homology-families",
    "homology-full": "homology-membership",
}


def missing_data(suite: Suite) -> dict[str, str]:
    """The data sets that are not there, with what to do. Raises UsageError for one of another kind of protocol."""
    missing: dict[str, str] = {}
    for data in suite.data:
        try:
            found = find_data_set(data)
        except UsageError as error:
            missing[data] = str(error)
            continue
        wanted = KIND_OF_DATA[suite.protocol]
        if found.kind != wanted:
            raise UsageError(f"data set {data} is of kind {found.kind}; protocol {suite.protocol} takes {wanted}")
    return missing


def without_data(suite: Suite, names: Collection[str]) -> Suite:
    """The suite without these data sets. Raises UsageError if none is left."""
    left = tuple(name for name in suite.data if name not in names)
    if not left:
        raise UsageError(f"no data set of suite {suite.name} is there. Put its folder on the path SEQREG_DATA")
    return replace(suite, data=left)


def task_names(suite: Suite, data: str) -> list[str]:
    """The tasks of a data set that a suite uses, in the order of its table; one without a name where it has none."""
    if not suite.protocol.startswith("homology"):
        return [""]
    column = "task" if suite.protocol == "homology-full" else "held_out_family"
    names = list(dict.fromkeys(row[column] for row in tasks_of(find_data_set(data))))
    if suite.tasks is None or suite.tasks >= len(names):
        return names
    return [names[i] for i in np.linspace(0, len(names) - 1, suite.tasks).round().astype(int)]


def halves(names: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The tasks that serve to choose hyperparameters, and those that are reported on."""
    return names[: len(names) // 2], names[len(names) // 2 :]


def task_of(suite: Suite, library: Library, *, data: str, task: str, size: int, seed: int, stage: str) -> Task:
    """The task of a cell. Raises LeftOutError where the data are too few for it."""
    if suite.protocol == "homology-full":
        return membership_task(library.sequences(data), library.roles(data)[task])
    if suite.protocol == "homology-small":
        _, reported = halves(task_names(suite, data))
        family, superfamily = library.column(data, "family"), library.column(data, "superfamily")
        reserved = reserved_sequences(family, reported)
        return family_task(
            library.sequences(data),
            family=family,
            superfamily=superfamily,
            fold=library.column(data, "fold"),
            held_out=task,
            reserved=reserved,
            choosing=stage == "choose",
            size=size,
            most_negatives=suite.most_tested,
            seed=seed,
        )
    how: dict[str, Any] = {} if suite.learned.probabilistic else {"by": "stratified"}
    return drawn_task(library.sequences(data), size=size, most_tested=suite.most_tested, seed=seed, **how)


def drawn_task(sequences: SequenceSet, *, size: int, most_tested: int, seed: int, by: By | None = None) -> Task:
    """`size` sequences to learn from, nested by seed, by class and group; up to `most_tested` others to be tested on.

    by: "stratified" takes them from all groups that are not tested on, where whole groups would be few (a gene has
    hundreds of guides).

    A set with a test part of its own is tested on that, and learned from in the rest. Raises LeftOutError for a size
    above half the set.
    """
    if size > len(sequences) // 2:
        raise LeftOutError(f"{size} is more than half of the {len(sequences)} sequences")
    if sequences.split is not None and (sequences.split == "test").any():
        pool = np.flatnonzero((sequences.split == "train") | (sequences.split == "valid"))
        others = np.flatnonzero(sequences.split == "test")
    else:
        pool = train_subset(sequences, len(sequences) // 2, seed=seed)
        others = np.setdiff1d(np.arange(len(sequences)), pool)
    if sequences.group is not None:
        seen = set(sequences.group[pool]) - {""}
        others = others[[name not in seen for name in sequences.group[others]]]
    if size > len(pool):
        raise LeftOutError(f"{size} is more than the {len(pool)} sequences of the training part")
    whole = replace(sequences, split=None)
    pool, others = whole.subset(pool), whole.subset(others)
    if len(others) > most_tested:
        others = others.subset(train_subset(others, most_tested, seed=seed, by="stratified"))
    return Task(train=pool.subset(train_subset(pool, size, seed=seed, by=by)), test=others)


def membership_task(sequences: SequenceSet, roles: dict[str, list[int]]) -> Task:
    """The training and test sequences that a published task names."""

    def part(name: str) -> SequenceSet:
        positives, negatives = roles[f"{name}+"], roles[f"{name}-"]
        return two_class_task(sequences, np.array([*positives, *negatives]), len(positives))

    return Task(train=part("train"), test=part("test"))


def reserved_sequences(family: NDArray[np.str_], reported: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) what is kept from every choice: a random half, and all families that reported tasks hold out."""
    half = np.random.default_rng(0).permutation(len(family)) < len(family) // 2
    return half | np.isin(family, reported)


def family_task(
    sequences: SequenceSet,
    *,
    family: NDArray[np.str_],
    superfamily: NDArray[np.str_],
    fold: NDArray[np.str_],
    held_out: str,
    reserved: NDArray[np.bool_],
    choosing: bool,
    size: int,
    most_negatives: int,
    seed: int,
) -> Task:
    """Half of `size` sequences from the rest of the superfamily, half from other folds; the family is to be found.

    A small superfamily is topped up by copies in which a tenth of the letters are changed. Test: the family, against
    up to `most_negatives` sequences of other folds. A task for choosing is made of sequences that are not reserved;
    the negatives of the test part of a reported task all are.
    """
    generator = np.random.default_rng([seed, *hashlib.sha256(held_out.encode()).digest()[:4]])
    member = family == held_out
    first = int(np.flatnonzero(member)[0])
    allowed = ~reserved if choosing else np.ones(len(family), dtype=bool)
    relatives = generator.permutation(np.flatnonzero(allowed & (superfamily == superfamily[first]) & ~member))
    outside = fold != fold[first]
    learned = generator.permutation(np.flatnonzero(outside & ~reserved))
    positives = round(size * POSITIVE_SHARE)
    negatives = size - positives
    tested = learned[negatives:] if choosing else generator.permutation(np.flatnonzero(outside & reserved))
    if not len(relatives):
        raise LeftOutError(f"no sequence of superfamily {superfamily[first]} is left to learn from")
    chosen = relatives[:positives]
    copied = generator.choice(chosen, positives - len(chosen))
    train = two_class_task(sequences, np.concatenate([chosen, copied, learned[:negatives]]), positives)
    train = _with_noise(train, len(chosen), positives, generator)
    found = np.flatnonzero(member & allowed)
    if not len(found):
        raise LeftOutError(f"no sequence of family {held_out} is left to be found")
    return Task(
        train=train, test=two_class_task(sequences, np.concatenate([found, tested[:most_negatives]]), len(found))
    )


def two_class_task(sequences: SequenceSet, index: NDArray[np.int64], positives: int) -> SequenceSet:
    """The sequences at index (n,) as a task of two classes: the first `positives` of them are positive."""
    y = (np.arange(len(index)) < positives).astype(np.int64)
    bare = replace(sequences, target=None, y=None, split=None, group=None, weight=None)
    return replace(bare.subset(index), target=TARGET, y=y)


def _with_noise(sequences: SequenceSet, start: int, end: int, generator: np.random.Generator) -> SequenceSet:
    """Sequences start to end - 1 under new names, each letter with probability NOISE another one, drawn evenly."""
    codes = sequences.codes.copy()
    copies = codes[sequences.offsets[start] : sequences.offsets[end]]
    step = generator.integers(1, sequences.alphabet.size, len(copies))
    changed = (copies % sequences.alphabet.size + step) % sequences.alphabet.size
    copies[:] = np.where(generator.random(len(copies)) < NOISE, changed, copies)
    names = [f"{name}~{i}" if start <= i < end else name for i, name in enumerate(sequences.names)]
    return replace(sequences, codes=codes, names=names, vectors={})
