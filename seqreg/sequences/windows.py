"""Windows that slide over sequences of any length, genomes too, in memory that grows with neither length nor number.

The windows of a sequence begin at 0, step, 2 step, ... and end within it; one more ends where it ends, if they leave
letters over. A sequence shorter than a window is one window, whole.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, groupby, repeat
from typing import NamedTuple, TextIO

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from seqreg.alphabet import INVALID, Alphabet
from seqreg.errors import InputError, UsageError, option
from seqreg.sequences.collect import SeenIds
from seqreg.sequences.input_spec import InputSpec, file_records, raw_records
from seqreg.sequences.opening import name_of
from seqreg.sequences.raw import RawRecord
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.store import stream_store

_FRAGMENT = 1 << 16  # letters of a record looked at together
_LETTERS = 1 << 20  # in a piece
_WINDOWS = 4096  # in a piece
_UNKNOWN = "windows without a known letter left out"


class Run(NamedTuple):
    """A number of windows of `length` letters, one every step, in a stretch of a sequence that begins at `start`."""

    name: str
    start: int
    number: int
    length: int
    codes: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Some windows, as the runs they come in: letters that windows share are there once.

    M rows, in the order of `place`: each window once, or, with both_strands, twice, + before -. source: of the letters.
    """

    alphabet: Alphabet
    runs: Sequence[Run]
    step: int
    both_strands: bool
    source: str = ""

    def __len__(self) -> int:
        return sum(run.number for run in self.runs) * len(self.strands)

    @property
    def strands(self) -> str:
        """What rows say of strands."""
        return "+-" if self.both_strands else "."

    @cached_property
    def place(self) -> tuple[list[str], list[int], list[int], list[str]]:
        """Where each row lies, from 0: name of the sequence, start, end and strand, M each."""
        counts = np.array([run.number for run in self.runs]) * len(self.strands)
        starts = np.concatenate([run.start + self.step * np.arange(run.number) for run in self.runs])
        start = np.repeat(starts, len(self.strands))
        end = start + np.repeat([run.length for run in self.runs], counts)
        names = [name for run, n in zip(self.runs, counts.tolist(), strict=True) for name in repeat(run.name, n)]
        return names, start.tolist(), end.tolist(), list(self.strands) * len(starts)

    def rows_of(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of some of the runs."""
        counts = np.array([run.number * len(self.strands) for run in self.runs])
        chosen = np.zeros(len(self.runs), dtype=bool)
        chosen[index] = True
        return np.flatnonzero(np.repeat(chosen, counts))

    def chosen(self, index: NDArray[np.int64]) -> "Windows":
        """The windows of some of the runs."""
        return replace(self, runs=[self.runs[i] for i in index])

    def sequences(self) -> Iterator[SequenceSet]:
        """Every row as a sequence of its own, letters as its strand reads them, in pieces that memory has room for."""
        waiting: list[_Rows] = []
        letters = 0
        for rows in self._rows():
            if waiting and letters + rows.ids.size > _LETTERS:
                yield self._joined(waiting)
                waiting, letters = [], 0
            waiting.append(rows)
            letters += rows.ids.size
        if waiting:
            yield self._joined(waiting)

    def _rows(self) -> Iterator["_Rows"]:
        complement = self.alphabet.complement if self.both_strands else None
        for run in self.runs:
            windows = sliding_window_view(run.codes, run.length)[:: self.step][: run.number]
            few = max(1, _LETTERS // (run.length * len(self.strands)))
            for first in range(0, run.number, few):
                ids = windows[first : first + few]
                both = ids[:, None] if complement is None else np.stack([ids, complement[ids[:, ::-1]]], 1)
                yield _Rows(run.name, run.start + first * self.step, both)

    def _joined(self, rows: "list[_Rows]") -> SequenceSet:
        names = [
            f"{each.name}:{start}-{start + each.ids.shape[2]}({strand})"
            for each in rows
            for start in range(each.start, each.start + self.step * len(each.ids), self.step)
            for strand in self.strands
        ]
        lengths = np.repeat([each.ids.shape[2] for each in rows], [len(each.ids) * len(self.strands) for each in rows])
        return SequenceSet(
            alphabet=self.alphabet,
            names=names,
            codes=np.concatenate([each.ids.ravel() for each in rows]),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            source=self.source,
        )


class _Rows(NamedTuple):
    """Windows of one sequence, the first at `start`, as ids (n, strands, W)."""

    name: str
    start: int
    ids: NDArray[np.uint8]


class Scan:
    """The windows of every sequence of an input, piece by piece; with `both_strands` each window twice, + before -.

    Windows in which no letter is known (runs of N) are left out and counted. `warnings` is complete when the iteration
    has ended. Raises UsageError for a window or step below 1 and for input that has no positions, and InputError as
    every reader does, when the reading gets there.
    """

    def __init__(
        self, spec: InputSpec, alphabet: Alphabet, *, window: int, step: int, both_strands: bool = False
    ) -> None:
        if window < 1 or step < 1:
            raise UsageError(f"windows and steps have 1 letter at least; got a window of {window} and a step of {step}")
        if spec.gaps == "drop" or spec.bed is not None or spec.max_length is not None:
            narrower = f"{option('bed')}, {option('gaps', 'drop')} and {option('max_length')}"
            raise UsageError(f"a scan reads whole sequences of any length: without {narrower}")
        self._spec, self._alphabet = spec, alphabet
        self._window, self._step = window, step
        self._complement = alphabet.complement if both_strands else None
        self._remarks: Counter[str] = Counter()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Counted remarks on what has been read so far."""
        return tuple(f"{what}: {count}" for what, count in self._remarks.items() if count)

    def __iter__(self) -> Iterator[Windows]:
        self._remarks.clear()
        waiting: list[Run] = []
        windows = letters = 0
        for run in self._runs():
            full = windows + run.number > _WINDOWS or letters + len(run.codes) > _LETTERS  # no mutant: of any size
            if waiting and full:
                yield self._piece(waiting)
                waiting, windows, letters = [], 0, 0
            waiting.append(run)
            windows += run.number
            letters += len(run.codes)
        if waiting:
            yield self._piece(waiting)

    def _piece(self, runs: list[Run]) -> Windows:
        both = self._complement is not None
        return Windows(alphabet=self._alphabet, runs=runs, step=self._step, both_strands=both, source=self._spec.source)

    def _runs(self) -> Iterator[Run]:
        """Windows as the letters come in, without those in which no letter is known."""
        seen = SeenIds()
        for _, fragments in groupby(_fragments(self._spec, self._remarks), key=lambda each: (each.file, each.number)):
            first = next(fragments)
            if seen.first_repeated([first.name]) is not None:
                raise first.error("the id was there before", "Positions can be given only if every id is another.")
            for start, count, codes in slide(self._codes(first, fragments), self._window, self._step):
                length = min(self._window, len(codes))
                for begin, end in self._known(codes, count, length):
                    for one in range(begin, end, _WINDOWS):
                        few = min(end - one, _WINDOWS)
                        inside = codes[one * self._step : (one + few - 1) * self._step + length]
                        yield Run(first.name, start + one * self._step, few, length, inside)
        if not seen.any:
            raise InputError("no sequences", file=self._spec.source)

    def _known(self, codes: NDArray[np.uint8], count: int, length: int) -> Iterator[tuple[int, int]]:
        """First and last + 1 of windows that follow each other and hold a known letter; the others are counted."""
        unknown = codes == self._alphabet.pad - 1  # the mixture of all letters, N or X, is the last but padding
        if not unknown.any():
            yield 0, count
            return
        known = np.concatenate([[0], np.cumsum(~unknown)])
        begin = self._step * np.arange(count)
        kept = known[begin + length] > known[begin]
        self._remarks[_UNKNOWN] += int((~kept).sum())
        edges = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
        yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)

    def _codes(self, first: RawRecord, rest: Iterable[RawRecord]) -> Iterator[NDArray[np.uint8]]:
        """Symbol codes of a record. Raises InputError at a letter outside the alphabet, and where there is none."""
        position = 0
        for fragment in chain([first], rest):
            codes = self._alphabet.encode(fragment.sequence)
            bad = np.flatnonzero(codes == INVALID)
            if len(bad):
                letter, at = fragment.sequence[bad[0]], position + int(bad[0]) + 1
                problem = f"letter {letter!r} at position {at} is not {self._alphabet.name}"
                raise fragment.error(problem, f"Its letters are {self._alphabet.symbols[:-1]}.")
            position += len(codes)
            yield codes
        if not position:
            raise first.error("the sequence is empty", "Remove the record.")


def slide(
    fragments: Iterable[NDArray[np.uint8]], window: int, step: int
) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """The windows of one sequence that comes in fragments: start of the first, how many, and the letters they cover.

    Of what came before, no more is held than the next window needs.
    """
    held = np.empty(0, dtype=np.uint8)
    before, upcoming, last_end = 0, 0, 0  # letters given up; where the next window begins; where the last one ended
    for codes in fragments:
        held = np.concatenate([held, codes])
        total = before + len(held)
        count = max(0, (total - window - upcoming) // step + 1)
        if count:
            last_end = upcoming + (count - 1) * step + window
            yield upcoming, count, held[upcoming - before : last_end - before]
            upcoming += count * step
        # The final window may begin before the next regular one.
        keep = max(before, min(upcoming, total - window))
        held, before = held[keep - before :], keep
    total = before + len(held)
    if total and last_end < total:
        rest = held[-window:]
        yield total - len(rest), 1, rest


def _fragments(spec: InputSpec, remarks: Counter[str]) -> Iterator[RawRecord]:
    """The records of an input, those of a FASTA file in fragments of their letters: records of one file and number."""
    if spec.store is not None:
        for number, piece in enumerate(stream_store(spec.store, 1, 1), start=1):
            yield RawRecord(name_of(spec.store), number, piece.names[0], piece.sequence(0))
        return
    if spec.input is not None and spec.data_set is None:
        yield from file_records(spec.input, _fasta_fragments)
    else:
        yield from raw_records(spec, remarks)


def _fasta_fragments(handle: TextIO, file: str) -> Iterator[RawRecord]:
    """The records of an open FASTA text, lines joined to fragments; a line of any length is read piece by piece."""
    number, name = 0, ""
    texts: list[str] = []
    letters, at_line_start, given = 0, True, False
    while piece := handle.readline(_FRAGMENT):
        starts_line, at_line_start = at_line_start, piece.endswith("\n")
        if starts_line and piece.startswith(">"):
            if number and (texts or not given):
                yield RawRecord(file, number, name, "".join(texts))
            while not at_line_start and (more := handle.readline(_FRAGMENT)):
                piece, at_line_start = piece + more, more.endswith("\n")
            number, name = number + 1, next(iter(piece[1:].split(None, 1)), "")
            if not name:
                raise InputError("the record has no id", file=file, record=number, remedy="Write it after the '>'.")
            texts, letters, given = [], 0, False
            continue
        texts.append("".join(piece.split()))
        letters += len(texts[-1])
        if letters >= _FRAGMENT:
            yield RawRecord(file, number, name, "".join(texts))
            texts, letters, given = [], 0, True
    if number and (texts or not given):
        yield RawRecord(file, number, name, "".join(texts))
