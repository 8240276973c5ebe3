"""Named data sets: folders with a `dataset.toml` and a gzipped table, under `data/` or on the path in SEQREG_DATA."""

import hashlib
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import seqreg
from seqreg.alphabet import ALPHABETS
from seqreg.errors import InputError
from seqreg.sequences.opening import open_text
from seqreg.sequences.raw import RawRecord
from seqreg.sequences.tables import table_records, table_rows
from seqreg.specs import unknown_name

DESCRIPTION = "dataset.toml"
KINDS = {
    "classification": ("id", "sequence", "label"),
    "regression": ("id", "sequence"),
    "homology-membership": ("id", "sequence"),
    "homology-families": ("id", "sequence", "family", "superfamily", "fold"),
}
_TASK_COLUMNS = {
    "homology-membership": ("task", "id", "role"),
    "homology-families": ("held_out_family", "superfamily", "pos_train", "pos_test"),
}


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """What `dataset.toml` says about a named data set. kind: one of KINDS; tasks: the table of homology tasks.

    target: of a regression, the column of values; unit: theirs. strand: "both" where sequences are of either strand.
    """

    name: str
    folder: Path
    title: str
    alphabet: str
    kind: str
    file: str
    sha256: str
    source: str
    licence: str
    classes: tuple[str, ...] = ()
    positive: str | None = None
    target: str | None = None
    unit: str | None = None
    strand: str | None = None
    tasks: str | None = None
    sequences: int | None = None
    lengths: tuple[int, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether there is something to be learned of each sequence, rather than tasks."""
        return self.kind in ("classification", "regression")

    @property
    def path(self) -> Path:
        """The table of sequences."""
        return self.folder / self.file


@dataclass(frozen=True, kw_only=True)
class DataSetCheck:
    """The outcome of a check: the number of sequences and of sequences per class, and what is wrong, if anything."""

    name: str
    sequences: int
    classes: dict[str, int]
    problem: str | None


def data_folders() -> list[Path]:
    """Where named data sets are looked for: with the package, in the checkout, and on SEQREG_DATA, in this order."""
    package = Path(seqreg.__file__).parent
    folders = [package / "data"]
    if (package.parent / "pyproject.toml").exists():
        folders.append(package.parent / "data")
    return folders + [Path(entry) for entry in os.environ.get("SEQREG_DATA", "").split(":") if entry]


def list_data_sets() -> list[DataSet]:
    """All named data sets that can be read, sorted by name; where two share a name, the one found first."""
    found = _folders()
    return [each for _, each in _described(found) if isinstance(each, DataSet)]


def unreadable_data_sets() -> dict[str, InputError]:
    """By name, those folders on the path whose `dataset.toml` says nothing that can be used, and why."""
    return {name: each for name, each in _described(_folders()) if isinstance(each, InputError)}


def _described(folders: dict[str, Path]) -> Iterator[tuple[str, DataSet | InputError]]:
    for name in sorted(folders):
        try:
            yield name, read_description(folders[name])
        except InputError as error:
            yield name, error


def _folders() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in data_folders():
        for description in sorted(folder.glob(f"*/{DESCRIPTION}")):
            found.setdefault(description.parent.name, description.parent)
    return found


def is_data_set(name: str | Path) -> bool:
    """Whether this is the name of a data set or a folder that holds one."""
    return _folder(str(name)) is not None


def find_data_set(name: str | Path) -> DataSet:
    """The data set of this name, or in this folder. Raises UsageError with a suggestion for an unknown name."""
    folder = _folder(str(name))
    if folder is None:
        raise unknown_name("data set", str(name), [entry.name for entry in list_data_sets()])
    return read_description(folder)


def _folder(name: str) -> Path | None:
    if not name or name == "-":
        return None
    named = [folder / name for folder in data_folders()] if Path(name).name == name else []
    return next((folder for folder in [*named, Path(name)] if (folder / DESCRIPTION).is_file()), None)


def read_description(folder: Path) -> DataSet:
    """What the folder's `dataset.toml` says. Raises InputError for a missing or impossible entry."""
    file = folder / DESCRIPTION
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not TOML: {error}", file=file) from None
    for key in ("name", "title", "alphabet", "kind", "file", "sha256", "source", "licence"):
        if not isinstance(entries.get(key), str):
            raise InputError(f"no entry {key!r}", file=file)
    for key, allowed in (("kind", KINDS), ("alphabet", ALPHABETS)):
        if entries[key] not in allowed:
            raise InputError(f"{key} {entries[key]!r} is none of {', '.join(allowed)}", file=file)
    classes = tuple(entries.get("classes", ()))
    positive = entries.get("positive")
    if positive is not None and positive not in classes:
        raise InputError(f"positive {positive!r} is none of its classes {', '.join(classes)}", file=file)
    for key in ("target", "unit"):
        if not isinstance(entries.get(key, ""), str):
            raise InputError(f"{key} {entries[key]!r} is not a text", file=file)
    if entries.get("strand", "both") != "both":
        raise InputError(f'strand {entries["strand"]!r}: it is "both", or there is no such entry', file=file)
    return DataSet(
        name=entries["name"],
        folder=folder,
        title=entries["title"],
        alphabet=entries["alphabet"],
        kind=entries["kind"],
        file=entries["file"],
        sha256=entries["sha256"],
        source=entries["source"],
        licence=entries["licence"],
        classes=classes,
        positive=positive,
        target=entries.get("target", "value") if entries["kind"] == "regression" else None,
        unit=entries.get("unit"),
        strand=entries.get("strand"),
        tasks=entries.get("tasks"),
        sequences=entries.get("sequences"),
        lengths=tuple(entries.get("lengths", ())),
    )


def verify(data_set: DataSet) -> None:
    """Raises InputError if the table of sequences is not the one that `dataset.toml` describes."""
    try:
        with open(data_set.path, "rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=data_set.path) from None
    if digest != data_set.sha256:
        raise InputError(
            f"SHA-256 is {digest}, but {DESCRIPTION} says {data_set.sha256}",
            file=data_set.path,
            remedy="Restore the file, or correct dataset.toml if the change was meant.",
        )


def data_set_records(data_set: DataSet, column: str | None = None) -> Iterator[RawRecord]:
    """The records of a verified data set; a homology set has no labels. column: of labels or values, where it is not
    the set's own.
    """
    verify(data_set)
    own = column is None
    with open_text(data_set.path) as (handle, _):
        for record in table_records(handle, str(data_set.path), column or data_set.target):
            if (
                own
                and data_set.kind == "classification"
                and record.label
                and not _known(record.label, data_set.classes)
            ):
                raise record.error(f"label {record.label!r} is not a class that {DESCRIPTION} names")
            yield record


def _known(label: str, classes: tuple[str, ...]) -> bool:
    return label in classes or all(part.strip() in ("", *classes) for part in label.split(";"))


def table_of(data_set: DataSet) -> list[dict[str, str]]:
    """The rows of the table of sequences with all its columns, as family or scop of a homology set."""
    verify(data_set)
    return _rows(data_set.path, KINDS[data_set.kind])


def tasks_of(data_set: DataSet) -> list[dict[str, str]]:
    """The rows of the table of tasks of a homology set."""
    if data_set.tasks is None:
        raise InputError(f"data set {data_set.name!r} is of kind {data_set.kind} and has no tasks")
    return _rows(data_set.folder / data_set.tasks, _TASK_COLUMNS.get(data_set.kind, ()))


def _rows(path: Path, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    with open_text(path) as (handle, _):
        rows = [row for _, row in table_rows(handle, str(path))]
    missing = [column for column in wanted if not rows or column not in rows[0]]
    if missing:
        raise InputError(f"no column {missing[0]!r}, or no rows", file=path)
    return rows
