"""Many sequences in little memory: concatenated uint8 symbol codes with offsets, never float one-hot."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import Alphabet
from seqreg.errors import InputError, UsageError
from seqreg.targets import Target

# Sequences whose letters are gathered at a time: where they stand takes eight times the memory of what they are.
GATHERED = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceSet:
    """N sequences over one alphabet with, where known, labels, splits, groups and weights.

    names: N record ids, unique. codes: symbol codes of all sequences end to end (uint8).
    offsets: (N + 1,) int64; sequence i is codes[offsets[i]:offsets[i + 1]].
    target: what the labels mean, and y: the labels in its terms, a row per sequence; None without labels.
    split: (N,) of "train", "valid", "test" or "". group: (N,) names of groups that must stay on one side.
    weight: (N,) float64 sample weights. vectors: by name (N, D) float32, what language models say of the sequences as
    they are; a set of edited ones has none. both_strands: whether they are said to be of either strand.
    warnings: counted remarks of the reader. notes: what it understood the input to say. source: where it came from.
    """

    alphabet: Alphabet
    names: Sequence[str]
    codes: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    target: Target | None = None
    y: NDArray[Any] | None = None
    split: NDArray[np.str_] | None = None
    group: NDArray[np.str_] | None = None
    weight: NDArray[np.float64] | None = None
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    both_strands: bool = False
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) letters per sequence."""
        return np.diff(self.offsets)

    @cached_property
    def sha256(self) -> str:
        """Checksum of what is learned from, the same whatever form the input had; ids do not count."""
        digest = hashlib.sha256(f"{self.alphabet.name}\n{len(self)}\n{chr(9).join(self.classes)}\n".encode())
        digest.update(np.ascontiguousarray(self.offsets, dtype="<i8").data)
        digest.update(np.ascontiguousarray(self.codes).data)
        for value in (self.y, self.weight):
            kind = "<f8" if value is not None and value.dtype.kind == "f" else "<i8"
            digest.update(b"\n" if value is None else np.ascontiguousarray(value, dtype=kind).data)
        for texts in (self.split, self.group):
            digest.update(b"\n" if texts is None else "\n".join(texts).encode())
        for name, vectors in sorted(self.vectors.items()):
            digest.update(f"\n{name}\n{vectors.shape[1]}\n".encode())
            digest.update(np.ascontiguousarray(vectors, dtype="<f4").data)
        return digest.hexdigest()

    @cached_property
    def content_sha256(self) -> str:
        """Checksum of the sequences with their labels and weights, however they are split, grouped and embedded."""
        return replace(self, split=None, group=None, vectors={}).sha256

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that labels are made of, sorted; empty without labels."""
        return () if self.target is None else self.target.names

    @property
    def members(self) -> NDArray[np.bool_]:
        """(N, K) whether each sequence belongs to each class; (N, 0) without labels."""
        if self.target is None or self.y is None:
            return np.zeros((len(self), 0), dtype=bool)
        return self.target.members(self.y)

    def labelled(self) -> tuple[Target, NDArray[Any]]:
        """Target and y. Raises InputError where there are no labels."""
        if self.target is None or self.y is None:
            raise InputError("these sequences have no labels", file=self.source or None)
        return self.target, self.y

    def label(self, index: int) -> str:
        """The label of sequence `index` as input writes it: several joined by `;`, empty where none is known."""
        return "" if self.target is None or self.y is None else self.label_texts(np.array([index]))[0]

    def label_texts(self, index: NDArray[np.int64] | None = None) -> list[str]:
        """The labels of the chosen sequences, or of all, as input writes them. Raises InputError without labels."""
        target, y = self.labelled()
        return [text or ";" for text in target.texts(y if index is None else y[index])]

    def sequence(self, index: int) -> str:
        """Sequence `index` as text."""
        return self.alphabet.decode(self.codes[self.offsets[index] : self.offsets[index + 1]])

    def padded(self, index: NDArray[np.int64] | None = None, length: int | None = None) -> NDArray[np.uint8]:
        """ids (n, L) of the chosen sequences, padded on the right to `length` (default: the longest of them)."""
        starts, lengths = self.offsets[:-1], self.lengths
        if index is not None:
            starts, lengths = starts[index], lengths[index]
        length = max(int(lengths.max(initial=0)), length or 0)
        positions = np.arange(length)
        ids = np.full((len(lengths), length), self.alphabet.pad, dtype=np.uint8)
        for rows in _blocks(len(lengths)):
            inside = positions < lengths[rows, None]
            ids[rows][inside] = self.codes[(starts[rows, None] + positions)[inside]]
        return ids

    def symbol_counts(self) -> NDArray[np.int64]:
        """(N, V) how often each symbol occurs in each sequence."""
        symbols = len(self.alphabet.mixtures)
        counts = np.zeros((len(self), symbols), dtype=np.int64)
        for rows in _blocks(len(self)):
            of_rows = np.repeat(np.arange(rows.stop - rows.start) * symbols, self.lengths[rows])
            found = of_rows + self.codes[self.offsets[rows.start] : self.offsets[rows.stop]]
            counts[rows] = np.bincount(found, minlength=counts[rows].size).reshape(-1, symbols)
        return counts

    def letter_shares(self) -> NDArray[np.float64]:
        """(N, A) share of each letter in each sequence; ambiguous ones count in shares."""
        return self.symbol_counts() @ self.alphabet.mixtures / np.maximum(self.lengths, 1)[:, None]

    def opposite(self) -> "SequenceSet":
        """The same molecules read from the other strand: their reverse complements, with all that belongs to them.

        Raises UsageError for proteins.
        """
        if self.alphabet.complement is None:
            raise UsageError(f"{self.alphabet.name} sequences have no other strand")
        backwards = self.subset(np.arange(len(self))[::-1])
        return replace(self, codes=self.alphabet.complement[backwards.codes[::-1]])

    def subset(self, index: NDArray[np.int64]) -> "SequenceSet":
        """The chosen sequences, in the order given, with all that belongs to them."""
        starts, lengths = self.offsets[:-1][index], self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        codes = np.empty(offsets[-1], dtype=self.codes.dtype)
        for rows in _blocks(len(index)):
            begin, end = int(offsets[rows.start]), int(offsets[rows.stop])
            moved = np.repeat(starts[rows] - offsets[rows], lengths[rows])
            codes[begin:end] = self.codes[moved + np.arange(begin, end)]
        chosen = {
            name: None if (old := getattr(self, name)) is None else old[index]
            for name in ("y", "split", "group", "weight")
        }
        return replace(
            self,
            names=[self.names[i] for i in index],
            codes=codes,
            offsets=offsets,
            vectors={name: vectors[index] for name, vectors in self.vectors.items()},
            **chosen,
        )


def _blocks(n: int) -> Iterator[slice]:
    """Slices of n rows, one after another."""
    for start in range(0, n, GATHERED):
        yield slice(start, min(start + GATHERED, n))
