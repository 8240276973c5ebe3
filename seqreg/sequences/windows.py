"""Windows that slide over sequences of any length, genomes too, in memory that grows with neither length nor number.

The windows of a sequence begin at 0, step, 2 step, ... and end within it; one more ends where it ends, if they leave
letters over. A sequence shorter than a window is one window, whole.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TextIO

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
_LETTERS = 1 << 20  # of all windows in a piece
_WINDOWS = 4096  # in a piece
_UNKNOWN = "windows without a known letter left out"

_Row = tuple[str, NDArray[np.int64], NDArray[np.uint8]]  # name of a sequence, starts (n,), ids (n, W)


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Some windows: `sequences` as a model reads them, and where each lies, from 0: chrom, start, end and strand."""

    sequences: SequenceSet
    chrom: list[str]
    start: list[int]
    end: list[int]
    strand: list[str]


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
        most = max(1, min(_WINDOWS, _LETTERS // self._window))
        waiting: list[_Row] = []
        count = 0
        for name, starts, ids in self._rows():
            for first in range(0, len(starts), most):
                row = name, starts[first : first + most], ids[first : first + most]
                if count + len(row[1]) > most:
                    yield self._piece(waiting)
                    waiting, count = [], 0
                waiting.append(row)
                count += len(row[1])
        if waiting:
            yield self._piece(waiting)

    def _rows(self) -> Iterator[_Row]:
        """Windows as the letters come in."""
        unknown = self._alphabet.pad - 1  # the mixture of all letters, N or X, is the last symbol before padding
        seen = SeenIds()
        for _, fragments in groupby(_fragments(self._spec, self._remarks), key=lambda each: (each.file, each.number)):
            first = next(fragments)
            if seen.first_repeated([first.name]) is not None:
                raise first.error("the id was there before", "Positions can be given only if every id is another.")
            for starts, ids in slide(self._codes(first, fragments), self._window, self._step):
                kept = (ids != unknown).any(axis=1)
                self._remarks[_UNKNOWN] += int((~kept).sum())
                if kept.any():
                    yield first.name, starts[kept], ids[kept]
        if not seen.any:
            raise InputError("no sequences", file=self._spec.source)

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

    def _piece(self, rows: list[_Row]) -> Windows:
        strands = "." if self._complement is None else "+-"
        chrom: list[str] = []
        start: list[int] = []
        end: list[int] = []
        codes: list[NDArray[np.uint8]] = []
        for name, starts, ids in rows:
            both = ids[:, None] if self._complement is None else np.stack([ids, self._complement[ids[:, ::-1]]], 1)
            codes.append(both.ravel())
            chrom += [name] * len(starts) * len(strands)
            start += np.repeat(starts, len(strands)).tolist()
            end += np.repeat(starts + ids.shape[1], len(strands)).tolist()
        strand = list(strands) * (len(start) // len(strands))
        lengths = np.subtract(end, start)
        sequences = SequenceSet(
            alphabet=self._alphabet,
            names=[f"{c}:{s}-{e}({t})" for c, s, e, t in zip(chrom, start, end, strand, strict=True)],
            codes=np.concatenate(codes),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            source=self._spec.source,
        )
        return Windows(sequences=sequences, chrom=chrom, start=start, end=end, strand=strand)


def slide(
    fragments: Iterable[NDArray[np.uint8]], window: int, step: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Starts (n,) and ids (n, W) of the windows of one sequence that comes in fragments.

    Of what came before, no more is held than the next window needs.
    """
    held = np.empty(0, dtype=np.uint8)
    before, upcoming, last_end = 0, 0, 0  # letters given up; where the next window begins; where the last one ended
    for codes in fragments:
        held = np.concatenate([held, codes])
        total = before + len(held)
        starts = np.arange(upcoming, total - window + 1, step)
        if len(starts):
            yield starts, sliding_window_view(held, window)[starts - before]
            upcoming, last_end = int(starts[-1]) + step, int(starts[-1]) + window
        # The final window may begin before the next regular one.
        keep = max(before, min(upcoming, total - window))
        held, before = held[keep - before :], keep
    total = before + len(held)
    if total and last_end < total:
        rest = held[-window:]
        yield np.array([total - len(rest)]), rest[None]


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
