"""Single edits of sequences: which places there are, and the edited sequences themselves."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Edit:
    """What a kind of edit does at place p: which letters stay to its right, and what happens to the length.

    letters: whether a letter is written at p. skip: the letters to its right begin at p + skip. grow: change of length.
    Substitutions and deletions have places 0 .. l - 1; an insertion goes before place 0 .. l.
    """

    name: str
    letters: bool
    skip: int
    grow: int

    def places(self, lengths: Tensor, width: int) -> Tensor:
        """(N, P) bool, the places at which sequences of these lengths (N,) in a frame of `width` can be edited."""
        count = width + 1 if self.grow > 0 else width
        return torch.arange(count, device=lengths.device) < (lengths + max(self.grow, 0))[:, None]

    def apply(self, ids: Tensor, place: Tensor, letter: Tensor | None, pad: int) -> Tensor:
        """ids (N, L + 1 for insertions, else L), each sequence edited at its place (N,), with its letter (N,)."""
        n, length = ids.shape
        if self.grow > 0:
            ids = torch.nn.functional.pad(ids, (0, 1), value=pad)
            length += 1
        position = torch.arange(length, device=ids.device).expand(n, -1)
        source = torch.where(position > place[:, None], position + self.skip - 1, position)
        if not self.letters:
            source = torch.where(position >= place[:, None], position + 1, position)
        outside = source >= length
        edited = ids.gather(1, source.clamp(max=length - 1)).masked_fill(outside, pad)
        if letter is not None and self.letters:
            edited = edited.scatter(1, place[:, None], letter[:, None].to(ids.dtype))
        return edited


SUBSTITUTION = Edit("substitution", letters=True, skip=1, grow=0)
INSERTION = Edit("insertion", letters=True, skip=0, grow=1)
DELETION = Edit("deletion", letters=False, skip=1, grow=-1)

EDITS = {edit.name: edit for edit in (SUBSTITUTION, INSERTION, DELETION)}
