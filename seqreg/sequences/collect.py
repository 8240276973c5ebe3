"""Raw records into a `SequenceSet`: letters checked and turned into codes in place, one byte a letter."""

import re
import string
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import DNA, INVALID, PROTEIN, RNA, Alphabet
from seqreg.errors import InputError, option
from seqreg.sequences.raw import RawRecord, sd_of, split_of, weight_of
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.workbook import changed_by_spreadsheet, is_spreadsheet_error

GAPS = "-.*"
_BLOCK = 1 << 22  # letters handled at once
_SMALL = np.frombuffer(string.ascii_lowercase.encode(), np.uint8)
_BATCH = 1 << 16  # ids looked up at once
_MODIFIED = re.compile(r"-?NH2|\bAc-|\b[DL]-|cyclo|[(\[{][^)\]}]*[)\]}]?", re.IGNORECASE)
_LONE = "single small letters among capitals, which often mean D-residues, read as the usual amino acids"
_READ_AS = {"U": "letters U (selenocysteine) read as C", "O": "letters O (pyrrolysine) read as K"}


class SeenIds:
    """The ids met so far, in eight bytes each: sorted runs of 64-bit hashes, merged as they grow to equal size.

    Two different ids are taken for equal with a probability below n^2 / 2^65, one in a million for six million ids.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.int64]] = []

    def first_repeated(self, names: Sequence[str]) -> int | None:
        """Take in more ids; the position of the first that was there before, if any."""
        hashes = np.fromiter(map(hash, names), np.int64, len(names))
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        repeated = np.zeros(len(names), dtype=bool)
        repeated[order[1:]] = ordered[1:] == ordered[:-1]
        for run in self._runs:
            nearest = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            repeated |= run[nearest] == hashes
        while self._runs and len(self._runs[-1]) <= len(ordered):
            ordered = np.sort(np.concatenate([self._runs.pop(), ordered]), kind="stable")
        if len(ordered):
            self._runs.append(ordered)
        return int(repeated.argmax()) if repeated.any() else None

    @property
    def any(self) -> bool:
        """Whether there was an id at all."""
        return bool(self._runs)


class Collector:
    """Takes raw records one by one; `finish` gives the checked set.

    letters_only: labels, splits, groups and weights are not looked at.
    """

    def __init__(self, seen: SeenIds | None = None, *, letters_only: bool = False) -> None:
        self._letters_only = letters_only
        self._seen = seen or SeenIds()
        self._checked = 0  # ids already looked up
        self._letters = bytearray()
        self._lengths = array("q")
        self._names: list[str] = []
        self._kept: dict[str, str] = {}  # equal labels and groups are kept once
        self._weights = array("d")
        self._weighted = False
        self._sds = array("d")
        self._places: list[tuple[int, str, int]] = []  # position, file and record number where a file begins
        self._file: str | None = None
        self.labels: list[str] = []
        self.values: list[str] = []
        self.splits: list[str] = []
        self.groups: list[str] = []
        self.from_headers: Counter[str] = Counter()  # fields by name
        self.unread: list[int] = []  # positions of headers whose fields are in no form that is read

    def __len__(self) -> int:
        return len(self._names)

    @property
    def letters(self) -> int:
        """Letters taken in so far."""
        return len(self._letters)

    def add(self, record: RawRecord) -> None:
        """Take in one record."""
        if record.file != self._file:
            self._file = record.file
            self._places.append((len(self._names), record.file, record.number))
        raw = record.sequence.encode("utf-8", "replace")
        self._letters += raw
        self._lengths.append(len(raw))
        if self._letters_only:
            record = record.saying()
        elif record.unread:
            self.unread.append(len(self._names))
        self._names.append(_clean(record, "id", record.name))
        self.from_headers.update(record.from_header)
        self.labels.append(self._text(record, "label", record.label))
        self.values.append(self._text(record, "value", record.value))
        self.splits.append(split_of(record) if record.split else "")
        self.groups.append(self._text(record, "group", record.group))
        self._weights.append(weight_of(record))
        self._weighted |= bool(record.weight)
        self._sds.append(sd_of(record))
        if len(self._names) - self._checked >= _BATCH:
            self._check_ids()

    def _text(self, record: RawRecord, what: str, text: str) -> str:
        """The text, equal ones kept once."""
        if text not in self._kept:
            self._kept[text] = _clean(record, what, text)
        return self._kept[text]

    def error(self, position: int, problem: str, remedy: str | None = None) -> InputError:
        """An error at the record taken in as number `position`, counted from 0."""
        start, file, number = next(place for place in reversed(self._places) if place[0] <= position)
        return InputError(
            problem, file=file, record=number + position - start, record_id=self._names[position], remedy=remedy
        )

    def finish(self, alphabet: Alphabet | None, gaps: str, remarks: Counter[str]) -> SequenceSet:
        """The set, without classes yet; the alphabet is inferred if None is given. `remarks` counts special letters.

        Raises InputError at the first duplicate id, empty sequence or letter outside the alphabet.
        """
        self._check_ids()
        self._note_spreadsheet(remarks)
        raw = np.frombuffer(self._letters, dtype=np.uint8)
        lengths = np.array(self._lengths, dtype=np.int64)
        if not lengths.all():
            raise self.error(int((lengths == 0).argmax()), "the sequence is empty", "Remove the record.")
        counts = _byte_counts(raw)
        given = alphabet is not None
        if alphabet is None:
            alphabet = infer_alphabet(counts)
        gap = np.zeros(256, dtype=bool)
        gap[[ord(letter) for letter in GAPS]] = True
        bad = (alphabet.code_of_byte == INVALID) & (counts > 0)
        if (bad & ~gap if gaps == "drop" else bad).any():
            raise self._letter_error(raw, lengths, bad & ~gap if gaps == "drop" else bad, alphabet, given)
        if (bad & gap).any():
            raw, lengths = _without(raw, lengths, gap)
            remarks["gap or stop letters dropped"] += int(counts[gap].sum())
            if not lengths.all():
                raise self.error(int((lengths == 0).argmax()), "the sequence is empty without its gaps")
        if alphabet is PROTEIN:
            remarks[_LONE] += _lone_small_letters(raw, lengths, counts)
        for start in range(0, len(raw), _BLOCK):
            raw[start : start + _BLOCK] = alphabet.code_of_byte[raw[start : start + _BLOCK]]
        if alphabet is PROTEIN:
            for letter, meaning in _READ_AS.items():
                remarks[meaning] += int(counts[ord(letter)] + counts[ord(letter.lower())])
        return SequenceSet(
            alphabet=alphabet,
            names=self._names,
            codes=raw,
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            split=np.array(self.splits) if any(self.splits) else None,
            group=np.array(self.groups) if any(self.groups) else None,
            weight=self._weight(),
        )

    def _note_spreadsheet(self, remarks: Counter[str]) -> None:
        """Count names that are none: genes and accessions that a spreadsheet has taken for dates and numbers."""
        texts = [name for name in chain(self._names, self.labels) if changed_by_spreadsheet(name, dates=True)]
        texts += [name for name in self.groups if changed_by_spreadsheet(name, dates=False)]
        if texts:
            named = ", ".join(map(repr, list(dict.fromkeys(texts))[:3]))
            remarks[f"ids, labels or groups that a spreadsheet seems to have made of names, mend them ({named})"] += (
                len(texts)
            )

    def _weight(self) -> NDArray[np.float64] | None:
        """(N,) the weights given, times those of measured standard deviations; None where neither is there."""
        weight = np.array(self._weights, dtype=np.float64)
        sd = np.array(self._sds, dtype=np.float64)
        if np.isnan(sd).all():
            return weight if self._weighted else None
        return weight * weights_of_deviations(sd)

    def _check_ids(self) -> None:
        repeated = self._seen.first_repeated(self._names[self._checked :])
        if repeated is not None:
            position = self._checked + repeated
            name = self._names[position]
            first = self._names.index(name)
            place = (
                f"; the first is {self.error(first, '').file}, record {self._number(first)}" if first < position else ""
            )
            raise self.error(position, f"duplicate id {name!r}{place}", "Give every sequence an id of its own.")
        self._checked = len(self._names)

    def _number(self, position: int) -> int | None:
        return self.error(position, "").record

    def _letter_error(
        self,
        raw: NDArray[np.uint8],
        lengths: NDArray[np.int64],
        bad: NDArray[np.bool_],
        alphabet: Alphabet,
        given: bool,
    ) -> InputError:
        blocks = range(0, len(raw), _BLOCK)
        hits = (start + np.flatnonzero(bad[raw[start : start + _BLOCK]]) for start in blocks)
        place = next(int(found[0]) for found in hits if len(found))
        ends = np.cumsum(lengths)
        position = int(np.searchsorted(ends, place, side="right"))
        start = int(ends[position] - lengths[position])
        prefix = raw[start:place].tobytes().decode()
        letter = raw[place : place + 4].tobytes().decode("utf-8", "ignore")[0]
        where = f"at position {len(prefix) + 1}"
        whole = raw[start : int(ends[position])].tobytes().decode("utf-8", "replace")
        if alphabet is PROTEIN and (sign := _MODIFIED.search(whole)):
            problem = f"letter {letter!r} {where} is no amino acid: {sign[0]!r} writes a modification, and none is read"
            remedy = "Leave out what is bound to a peptide (amidation, rings, D-residues): write its letters alone."
            return self.error(position, problem, remedy)
        if letter in GAPS:
            remedy = f"Remove such letters, or leave them out with {option('gaps', 'drop')}."
            return self.error(position, f"gap or stop letter {letter!r} {where}", remedy)
        known = f"Its letters are {alphabet.symbols[:-1]}."
        remedy = known if given else f"{known} The alphabet was inferred; {option('alphabet')} names another."
        return self.error(position, f"letter {letter!r} {where} is not {alphabet.name}", remedy)


def weights_of_deviations(sd: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) 1 / (sd^2 + s^2), of mean 1, s being the median sd; NaN, not measured, counts as the median.

    So a value measured with no error at all counts twice as much as one of a median error, and not infinitely more: a
    model is off by more than errors of measurement.
    """
    s = float(np.nanmedian(sd))
    square = np.where(np.isnan(sd), s, sd) ** 2 + s**2
    if not square.all():  # most are 0: those that are not say nothing of how much
        return np.ones(len(sd))
    weight = 1 / square
    return weight / weight.mean()


_UNWRITABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of others, line and paragraph separators


def _clean(record: RawRecord, what: str, text: str) -> str:
    """The text. Raises InputError for one that no line of a table can hold."""
    if is_spreadsheet_error(text):
        remedy = "Write the name as text there, and save the file again."
        raise record.error(f"the {what} is {text!r}, an error of a spreadsheet", remedy)
    if not text.isprintable() and (odd := unwritable(text)) is not None:
        problem = f"the {what} {text!r:.60} holds {odd!r}, a line break or control character"
        raise record._replace(name="").error(problem, "Remove it.")
    return text


def unwritable(text: str) -> str | None:
    """The first character of a name that no line of a table can hold."""
    return next((character for character in text if category(character) in _UNWRITABLE), None)


def infer_alphabet(counts: NDArray[np.int64]) -> Alphabet:
    """The alphabet of an input with these counts (256,) of its bytes.

    Nucleotides, if nine letters in ten are A, C, G, T, U or N, or if half are and all are IUPAC nucleotide codes: one
    misspelt letter does not make a protein. Then `rna` if U occurs and T does not. Anything else is `protein`.
    """
    letters = {chr(byte): int(counts[ord(chr(byte).lower())] + counts[byte]) for byte in range(ord("A"), ord("Z") + 1)}
    total = sum(letters.values())
    plain = sum(letters[letter] for letter in "ACGTUN")
    iupac = sum(letters[letter] for letter in "ACGTURYSWKMBDHVN")
    if plain >= 0.9 * total or (iupac == total and plain >= 0.5 * total):
        return RNA if letters["U"] and not letters["T"] else DNA
    return PROTEIN


def _lone_small_letters(raw: NDArray[np.uint8], lengths: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Small letters with none beside them in their sequence, where most letters are capitals."""
    small, everything = int(counts[_SMALL].sum()), int(counts.sum())
    if not 0 < small < everything / 2:
        return 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    lone = 0
    for first, last in _blocks(offsets):
        letters = raw[offsets[first] : offsets[last]]
        is_small = (letters >= ord("a")) & (letters <= ord("z"))
        before, after = np.roll(is_small, 1), np.roll(is_small, -1)
        before[offsets[first:last] - offsets[first]] = False
        after[offsets[first + 1 : last + 1] - offsets[first] - 1] = False
        lone += int((is_small & ~before & ~after).sum())
    return lone


def _byte_counts(raw: NDArray[np.uint8]) -> NDArray[np.int64]:
    blocks = (raw[start : start + _BLOCK] for start in range(0, len(raw), _BLOCK))
    return sum((np.bincount(block, minlength=256) for block in blocks), start=np.zeros(256, dtype=np.int64))


def _blocks(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of sequences of about a block of letters each."""
    first, n = 0, len(offsets) - 1
    while first < n:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _BLOCK, side="right")) - 1)
        yield first, last
        first = last


def _without(
    raw: NDArray[np.uint8], lengths: NDArray[np.int64], unwanted: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The letters, moved together in place, and the new lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    shorter = lengths.copy()
    written = 0
    for first, last in _blocks(offsets):
        piece = raw[offsets[first] : offsets[last]]
        drop = unwanted[piece]
        shorter[first:last] -= np.add.reduceat(drop, offsets[first:last] - offsets[first], dtype=np.int64)
        kept = piece[~drop]
        raw[written : written + len(kept)] = kept
        written += len(kept)
    return raw[:written], shorter
