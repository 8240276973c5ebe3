"""Inputs that are too large to hold: the same reader, piece by piece."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from seqreg.alphabet import Alphabet
from seqreg.errors import InputError
from seqreg.sequences.collect import Collector, SeenIds
from seqreg.sequences.input_spec import InputSpec, raw_records
from seqreg.sequences.read import as_alphabet, check_max_length, error_at, remark_texts
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.store import stream_store

_MOST_LETTERS = 1 << 22  # of one piece


class SequenceStream:
    """The sequences of an input in pieces, without what is said of them, in memory that does not grow with the input.

    Each piece is a `SequenceSet` of at most `batch` sequences and about 4 million letters. The alphabet is given, as
    a model's is. Beside the piece, eight bytes per record are kept to find duplicate ids. `warnings` is complete when
    the iteration has ended. Raises InputError as `read_input` does, when the reading gets there.
    """

    def __init__(self, spec: InputSpec, alphabet: Alphabet, batch: int) -> None:
        self._spec = replace(spec, require_labels=False, alphabet=alphabet)
        self._alphabet = alphabet
        self._batch = batch
        self._remarks: Counter[str] = Counter()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Counted remarks on what has been read so far."""
        return remark_texts(self._remarks)

    def __iter__(self) -> Iterator[SequenceSet]:
        self._remarks.clear()
        if (store := self._spec.store) is not None:
            for piece in stream_store(store, self._batch, _MOST_LETTERS):
                check_max_length(piece, self._spec.max_length, error_at(piece, store))
                yield as_alphabet(piece, self._alphabet, store)
            return
        seen = SeenIds()
        collector = Collector(seen, letters_only=True)
        for record in raw_records(self._spec, self._remarks):
            collector.add(record)
            if len(collector) == self._batch or collector.letters >= _MOST_LETTERS:
                yield self._finished(collector)
                collector = Collector(seen, letters_only=True)
        if len(collector):
            yield self._finished(collector)
        elif not seen.any:
            raise InputError("no sequences", file=self._spec.source)

    def _finished(self, collector: Collector) -> SequenceSet:
        piece = collector.finish(self._alphabet, self._spec.gaps, self._remarks)
        check_max_length(piece, self._spec.max_length, collector.error)
        return replace(piece, source=self._spec.source)


def stream_batches(spec: InputSpec, alphabet: Alphabet, *, batch: int = 1024) -> SequenceStream:
    """The sequences of an input in pieces of at most `batch`."""
    return SequenceStream(spec, alphabet, batch)


def read_ahead(pieces: Iterable[SequenceSet]) -> Iterator[SequenceSet]:
    """The same pieces; the next one is read, in a thread, while the caller works on this one."""
    waiting = iter(pieces)
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(next, waiting, None)
        while (piece := upcoming.result()) is not None:
            upcoming = reader.submit(next, waiting, None)
            yield piece
