"""What every reader yields before letters are checked and turned into codes: one record as written, as text."""

import math
from typing import NamedTuple

from seqreg.errors import InputError

SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}

FIELDS = ("label", "value", "sd", "split", "group", "weight")


class RawRecord(NamedTuple):
    """One record as written; an empty text means "not given". `number` counts the records of `file` from 1.

    from_header: which of the fields its FASTA header gave. unread: whether the header holds fields in another form than
    the documented one, which were not read.
    """

    file: str
    number: int
    name: str
    sequence: str
    label: str = ""
    value: str = ""
    sd: str = ""
    split: str = ""
    group: str = ""
    weight: str = ""
    from_header: tuple[str, ...] = ()
    unread: bool = False

    def saying(self, **fields: str) -> "RawRecord":
        """The record with these fields, whatever its header gave, and no other."""
        return self._replace(**{**dict.fromkeys(FIELDS, ""), **fields}, from_header=(), unread=False)

    def error(self, problem: str, remedy: str | None = None) -> InputError:
        """An error at this record."""
        return InputError(problem, file=self.file, record=self.number, record_id=self.name or None, remedy=remedy)


def split_of(record: RawRecord) -> str:
    """The part a record names, in seqreg's words: train, valid, test or nothing."""
    if not record.split:
        return ""
    part = SPLITS.get(record.split.lower())
    if part is None:
        raise record.error(f"unknown split {record.split!r}", "Use train, valid or test.")
    return part


def sd_of(record: RawRecord) -> float:
    """The standard deviation of a measured value that a record names, NaN if it names none."""
    if record.sd in ("", "."):
        return math.nan
    try:
        sd = float(record.sd)
    except ValueError:
        sd = -1.0
    if not 0 <= sd < math.inf:
        raise record.error(f"sd {record.sd!r} is not a number of at least 0", "It is the value's standard deviation.")
    return sd


def weight_of(record: RawRecord) -> float:
    """The sample weight a record names, 1 if it names none."""
    if not record.weight:
        return 1.0
    try:
        weight = float(record.weight)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise record.error(f"weight {record.weight!r} is not a number of at least 0")
    return weight
