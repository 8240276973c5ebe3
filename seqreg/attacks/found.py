"""What a search for edits found, and the bookkeeping of the best so far."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqreg.attacks.variant import AppliedEdit, Variants


@dataclass(frozen=True, kw_only=True)
class FoundEdits:
    """The worst a search found for each of N sequences.

    margin (N, budget + 1): smallest margin with at most 0, 1, ... edits, never above the unchanged sequence's.
    edits: for each sequence those that reach the last entry, as few as do. ids (N, L'): the sequences so edited.
    """

    margin: Tensor
    edits: tuple[tuple[AppliedEdit, ...], ...]
    ids: Tensor


class Best:
    """The smallest margin of each sequence so far, and the variant that has it."""

    def __init__(self, margin: Tensor, start: Variants) -> None:
        self.margin = [margin]
        self.ids, self.edits = start.ids.clone(), list(start.edits)

    def keep(self) -> None:
        """One more edit, and nothing worse."""
        self.margin.append(self.margin[-1].clone())

    def add(self, variants: Variants, margin: Tensor) -> None:
        """One more edit, and these variants with their margins (S,)."""
        self.keep()
        current = self.margin[-1]
        for slot, (owner, value) in enumerate(zip(variants.owner.tolist(), margin.tolist(), strict=True)):
            if value < current[owner]:
                current[owner] = value
                self.ids[owner], self.edits[owner] = variants.ids[slot], variants.edits[slot]

    def result(self) -> FoundEdits:
        """All of it as a record."""
        return FoundEdits(margin=torch.stack(self.margin, 1), edits=tuple(self.edits), ids=self.ids)


def join_batches(parts: list[FoundEdits]) -> FoundEdits:
    """The record of several batches, one after the other."""
    return FoundEdits(
        margin=torch.cat([part.margin for part in parts]),
        edits=tuple(edits for part in parts for edits in part.edits),
        ids=torch.cat([part.ids for part in parts]),
    )
