"""Edited sequences on the way of a search, and edits as people write them."""

import re
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from seqreg.alphabet import INVALID, Alphabet
from seqreg.errors import UsageError
from seqreg.mutagenesis import INSERTION, Edit
from seqreg.sequences import three_letters


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


_PREFIX = {"protein": r"p\.", "dna": r"[cgmn]\.", "rna": r"[cgmnr]\."}
_VARIANT = re.compile(
    r"(?P<old>[A-Z])?(?P<at>\d+)(?:_(?P<old_last>[A-Z])?(?P<last>\d+))?"
    r"(?:(?P<was>[A-Z])>(?P<new>[A-Z])|(?P<sub>[A-Z])|ins(?P<put>[A-Z]+)|dup(?P<twice>[A-Z]*)"
    r"|del(?P<gone>[A-Z]*)(?:ins(?P<by>[A-Z]+))?)"
)
_READ = {
    "protein": "p.A12V or p.Ala12Val, p.A12del, p.A12_G14del, p.12_13insVL, p.A12_G13delinsV, p.A12_G14dup",
    "dna": "12A>G or A12G, 12del, 12_14del, 12_13insGT, 12_13delinsT, 12_14dup",
}


def read_edits(text: str, alphabet: Alphabet, codes: NDArray[np.uint8] | None = None) -> tuple[AppliedEdit, ...]:
    """Edits as `AppliedEdit.written` writes them and as HGVS does, joined by `;`, in rising order; `old` is -1 where it
    is not named. Positions are those of the sequence, codes its letters, without which no duplication is read.

    Read are substitutions, deletions, insertions, duplications, and the replacement of letters by others; amino acids
    in one letter or three, a prediction in brackets. Raises UsageError for anything else, for letters outside the
    alphabet and for two edits of one letter.
    """
    edits = [edit for item in text.split(";") for edit in _edits_of(item.strip(), alphabet, codes)]
    places = [edit.position for edit in edits if edit.kind != "insertion"]
    if len(set(places)) < len(places):
        raise UsageError(f"{text!r} edits one letter twice")
    # Letters that are put in one place keep their order.
    return tuple(sorted(edits, key=lambda edit: (edit.position, edit.kind)))


def _edits_of(item: str, alphabet: Alphabet, codes: NDArray[np.uint8] | None) -> list[AppliedEdit]:
    """The edits, letter by letter, of one variant."""
    protein = alphabet.name == "protein"
    bare = re.sub(f"^{_PREFIX[alphabet.name]}", "", item)
    # HGVS puts what is predicted in brackets.
    if bare.startswith("(") and bare.endswith(")"):
        bare = bare[1:-1]
    if protein:
        one = three_letters()
        bare = re.sub("|".join(one), lambda name: one[name[0]], bare)
    found = _VARIANT.fullmatch(bare)
    part = found.groupdict() if found else {}
    strange = not found or (part["was"] and (protein or part["old"])) or (part["sub"] and not part["old"])
    if strange or (part["last"] and (part["was"] or part["sub"])) or (part["put"] and not part["last"]):
        read = _READ["protein" if protein else "dna"]
        raise UsageError(f"{item!r} is not a variant of {alphabet.name} that is read; write it like {read}")
    first = int(part["at"])
    last = int(part["last"] or first)
    if part["put"]:
        if last != first + 1:
            raise UsageError(f"{item!r} does not put letters between two neighbours, as 12_13insA does")
        return _put(first, part["put"], alphabet)
    new = part["new"] or part["sub"] or part["by"] or ""
    named = {first: part["old"] or part["was"], **({last: part["old_last"]} if part["old_last"] else {})}
    named |= dict(enumerate(part["gone"] or "", start=first))
    n = last - first + 1
    if n < 1 or len(part["gone"] or part["twice"] or "") not in (0, n):
        raise UsageError(f"{item!r} does not name as many letters as there are from {first} to {last}")
    if part["twice"] is not None:
        return _put(last, _duplicated(item, part["twice"], named, (first, last), alphabet, codes), alphabet)
    edits = [
        AppliedEdit(
            first + i - 1,
            "substitution" if i < len(new) else "deletion",
            _symbol(named[first + i], alphabet) if named.get(first + i) else -1,
            _letter(new[i], alphabet) if i < len(new) else -1,
        )
        for i in range(n)
    ]
    return edits + _put(last, new[n:], alphabet)


def _put(after: int, letters: str, alphabet: Alphabet) -> list[AppliedEdit]:
    """Letters inserted after a position, counted from 1."""
    return [AppliedEdit(after, "insertion", -1, _letter(letter, alphabet)) for letter in letters]


def _duplicated(
    item: str,
    letters: str,
    named: dict[int, str | None],
    place: tuple[int, int],
    alphabet: Alphabet,
    codes: NDArray[np.uint8] | None,
) -> str:
    """The letters that are there twice. Raises UsageError where they are not known, or others than are named."""
    first, last = place
    there = "" if codes is None else alphabet.decode(codes[first - 1 : last])
    if codes is not None and (first < 1 or last > len(codes)):
        raise UsageError(f"{item} is outside the {len(codes)} letters of the sequence")
    twice = there or letters
    if not twice:
        raise UsageError(f"{item!r} does not say which letters are there twice")
    for position, letter in (*named.items(), *enumerate(letters, start=first)):
        if letter and _symbol(letter, alphabet) != _symbol(twice[position - first], alphabet):
            raise UsageError(f"letter {position} is {twice[position - first]}, not {letter}")
    return twice


def apply_edits(codes: NDArray[np.uint8], edits: tuple[AppliedEdit, ...], alphabet: Alphabet) -> NDArray[np.uint8]:
    """The edited sequence. Raises UsageError for a position outside it and for another letter than the edit names."""
    result: list[int] = codes.tolist()
    # From the right, so that positions keep their meaning, and at one position what is there before what is put there.
    for _, edit in sorted(enumerate(edits), key=lambda one: (-one[1].position, one[1].kind == "insertion", -one[0])):
        last = len(codes) - (edit.kind != "insertion")
        if not 0 <= edit.position <= last:
            raise UsageError(f"{edit.written(alphabet)} is outside the {len(codes)} letters of the sequence")
        if edit.kind == "insertion":
            result.insert(edit.position, edit.new)
            continue
        if edit.old not in (-1, codes[edit.position]):
            there, named = (alphabet.symbols[code] for code in (codes[edit.position], edit.old))
            raise UsageError(f"letter {edit.position + 1} is {there}, not {named}")
        result[edit.position : edit.position + 1] = [edit.new] if edit.kind == "substitution" else []
    if not result:
        raise UsageError("the variant leaves no letter")
    return np.array(result, dtype=np.uint8)


def _symbol(letter: str, alphabet: Alphabet) -> int:
    code = int(alphabet.encode(letter)[0])
    if code == INVALID:
        raise UsageError(f"{letter!r} is not a letter of {alphabet.name}, which are {alphabet.letters}")
    return code


def _letter(letter: str, alphabet: Alphabet) -> int:
    code = _symbol(letter, alphabet)
    if code >= alphabet.size:
        raise UsageError(f"{letter!r} stands for several letters of {alphabet.name}; write one of {alphabet.letters}")
    return code


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
