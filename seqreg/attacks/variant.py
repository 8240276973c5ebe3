"""Edited sequences on the way of a search, and edits as people write them."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.mutagenesis import INSERTION, Edit


@dataclass(frozen=True, order=True)
class AppliedEdit:
    """One edit in the coordinates of the original sequence: kind, position from 0, symbol codes (-1 where none)."""

    position: int
    kind: str
    old: int
    new: int

    def written(self, alphabet: Alphabet) -> str:
        """Like HGVS, positions from 1: `12A>G`, `12del`, `12_13insG`; proteins `p.A12V`, `p.A12del`, `p.12_13insV`."""
        symbols, at = alphabet.symbols, self.position + 1
        protein = alphabet.name == "protein"
        if self.kind == "insertion":
            text = f"{at - 1}_{at}ins{symbols[self.new]}"
        elif self.kind == "deletion":
            text = f"{symbols[self.old]}{at}del" if protein else f"{at}del"
        else:
            text = (
                f"{symbols[self.old]}{at}{symbols[self.new]}"
                if protein
                else f"{at}{symbols[self.old]}>{symbols[self.new]}"
            )
        return f"p.{text}" if protein else text


@dataclass(frozen=True)
class Variants:
    """Edited sequences: owner (S,) the sequence each came from, ids (S, L), source (S, L) the original position of each
    letter (of the next one, for an inserted letter), frozen (S, L) whether it was written by an edit, and the edits.
    """

    owner: Tensor
    ids: Tensor
    source: Tensor
    frozen: Tensor
    edits: list[tuple[AppliedEdit, ...]]

    @classmethod
    def unedited(cls, ids: Tensor) -> "Variants":
        """The sequences themselves."""
        n, length = ids.shape
        device = ids.device
        source = torch.arange(length, device=device).repeat(n, 1)
        frozen = torch.zeros(n, length, dtype=torch.bool, device=device)
        return cls(torch.arange(n, device=device), ids, source, frozen, [()] * n)

    def rows(self, index: Tensor) -> "Variants":
        """The chosen variants."""
        return Variants(
            self.owner[index],
            self.ids[index],
            self.source[index],
            self.frozen[index],
            [self.edits[i] for i in index.tolist()],
        )

    def edited(self, edit: Edit, place: Tensor, letter: Tensor, pad: int) -> "Variants":
        """Each variant with one more edit at its place (S,), writing its letter (S,)."""
        width = self.ids.shape[1]
        ids = edit.apply(self.ids, place, letter if edit.letters else None, pad)
        source = edit.apply(self.source, place, None, width)
        frozen = edit.apply(self.frozen.to(torch.uint8), place, None, 0).bool()
        if edit.letters:
            frozen = frozen.scatter(1, place[:, None], True)
        at = self.source.gather(1, place.clamp(max=width - 1)[:, None])[:, 0]
        if edit is INSERTION:  # at the very end of the frame there is no next letter to ask
            at = torch.where(place < width, at, width)
        old = self.ids.gather(1, place.clamp(max=width - 1)[:, None])[:, 0]
        added = [
            AppliedEdit(position, edit.name, -1 if edit is INSERTION else before, new if edit.letters else -1)
            for position, before, new in zip(at.tolist(), old.tolist(), letter.tolist(), strict=True)
        ]
        edits = [tuple(sorted((*done, new))) for done, new in zip(self.edits, added, strict=True)]
        return Variants(self.owner, ids, source, frozen, edits)

    def widened(self, extra: int, pad: int) -> "Variants":
        """The same in a frame with room for `extra` insertions."""
        return replace(
            self,
            ids=F.pad(self.ids, (0, extra), value=pad),
            source=F.pad(self.source, (0, extra), value=self.ids.shape[1]),
            frozen=F.pad(self.frozen, (0, extra)),
        )
