"""Many sequences in little memory: concatenated uint8 symbol codes with offsets, never float one-hot."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import Alphabet


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceSet:
    """N sequences over one alphabet with, where known, labels, splits, groups and weights.

    names: N record ids, unique. codes: symbol codes of all sequences end to end (uint8).
    offsets: (N + 1,) int64; sequence i is codes[offsets[i]:offsets[i + 1]].
    classes: sorted class names, empty without labels. y: (N,) int64 class indices; (N, K) uint8 of zeros and
    ones for a multi-label task; None without labels. positive: the positive class as the data set names it.
    split: (N,) of "train", "valid", "test" or "". group: (N,) names of groups that must stay on one side.
    weight: (N,) float64 sample weights. warnings: counted remarks of the reader. source: where it came from.
    """

    alphabet: Alphabet
    names: Sequence[str]
    codes: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    classes: tuple[str, ...] = ()
    y: NDArray[np.int64] | NDArray[np.uint8] | None = None
    positive: str | None = None
    split: NDArray[np.str_] | None = None
    group: NDArray[np.str_] | None = None
    weight: NDArray[np.float64] | None = None
    warnings: tuple[str, ...] = ()
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
        for value, kind in ((self.y, "<i8"), (self.weight, "<f8")):
            digest.update(b"\n" if value is None else np.ascontiguousarray(value, dtype=kind).data)
        for texts in (self.split, self.group):
            digest.update(b"\n" if texts is None else "\n".join(texts).encode())
        return digest.hexdigest()

    @cached_property
    def content_sha256(self) -> str:
        """Checksum of the sequences with their labels and weights, the same however they are split and grouped."""
        return replace(self, split=None, group=None).sha256

    @property
    def multi_label(self) -> bool:
        """Whether a sequence may carry several labels at once."""
        return self.y is not None and self.y.ndim == 2

    def label(self, index: int) -> str:
        """The label of sequence `index` as input writes it: several joined by `;`, empty where none is known."""
        if self.y is None:
            return ""
        if not self.multi_label:
            return self.classes[int(self.y[index])]
        return ";".join(name for name, carried in zip(self.classes, self.y[index], strict=True) if carried) or ";"

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
        inside = positions < lengths[:, None]
        ids = np.full((len(lengths), length), self.alphabet.pad, dtype=np.uint8)
        ids[inside] = self.codes[(starts[:, None] + positions)[inside]]
        return ids

    def subset(self, index: NDArray[np.int64]) -> "SequenceSet":
        """The chosen sequences, in the order given, with all that belongs to them."""
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        chosen = {
            name: None if (old := getattr(self, name)) is None else old[index]
            for name in ("y", "split", "group", "weight")
        }
        return replace(
            self,
            names=[self.names[i] for i in index],
            codes=self.codes[np.repeat(self.offsets[:-1][index], lengths) + within],
            offsets=offsets,
            **chosen,
        )
