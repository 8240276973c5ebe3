"""Which letters may replace which: the sets in which edits of a sequence are sought or ruled out.

A rule is written NAME or NAME:value. `any`; `blosum62:threshold` (amino acids that score at least so much in BLOSUM62,
1 unless told); `transitions` (A-G, C-T); `synonymous:frame` (letters that leave the codon's amino acid as it is, codons
beginning at position 0, 1 or 2, 0 unless told; standard code). Any mask (N, L, A) of letters can narrow a rule further.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.deformations import similar_letters, synonymous_codons
from seqreg.errors import UsageError
from seqreg.specs import unknown_name

RULES = ["any", "blosum62", "transitions", "synonymous"]


@dataclass(frozen=True)
class Allowed:
    """What substitutions may write: a rule, and a mask of letters (N, L, A) bool or None."""

    alphabet: Alphabet
    rule: str = "any"
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        name, _ = self._parsed()
        needs = {"blosum62": ("protein",), "transitions": ("dna", "rna"), "synonymous": ("dna", "rna")}
        if self.alphabet.name not in needs.get(name, (self.alphabet.name,)):
            raise UsageError(f"the rule {self.rule!r} is for {' and '.join(needs[name])}, not for {self.alphabet.name}")

    def ever(self, original: Tensor) -> Tensor:
        """(N, L, A) bool: letters that may stand at each position of ids (N, L) after any number of allowed edits.

        For `synonymous` these are the letters that any codon of the amino acid has there: more than may be combined, so
        that what is proved for all of them holds for those that may.
        """
        letters = self._letters(original, None)
        return letters if self.mask is None else letters & self.mask

    def now(self, original: Tensor, current: Tensor) -> Tensor:
        """(N, L, A) bool: letters that one edit of current (N, L) may write, so that the outcome is allowed."""
        letters = self._letters(original, current)
        return letters if self.mask is None else letters & self.mask

    def rows(self, index: Tensor) -> "Allowed":
        """The same for the chosen sequences."""
        return self if self.mask is None else Allowed(self.alphabet, self.rule, self.mask[index])

    @property
    def fixed_frame(self) -> bool:
        """Whether the rule depends on where codons begin, which insertions and deletions would change."""
        return self._parsed()[0] == "synonymous"

    def _parsed(self) -> tuple[str, int]:
        name, _, value = self.rule.partition(":")
        if name not in RULES:
            raise unknown_name("rule of allowed letters", name, RULES)
        try:
            number = int(value) if value else {"blosum62": 1}.get(name, 0)
        except ValueError:
            raise UsageError(f"{name} takes a whole number, {name}:1; got {self.rule!r}") from None
        if name == "synonymous" and number not in (0, 1, 2):
            raise UsageError(f"a frame is 0, 1 or 2; got {self.rule!r}")
        return name, number

    def _letters(self, original: Tensor, current: Tensor | None) -> Tensor:
        name, number = self._parsed()
        if name == "synonymous":
            return _synonymous(original, current, self.alphabet, number)
        size = self.alphabet.size
        table = torch.ones(len(self.alphabet.symbols), size, dtype=torch.bool, device=original.device)
        if name in ("blosum62", "transitions"):
            table[:size] = torch.as_tensor(similar_letters(self.alphabet, number), device=original.device)
        if name != "any":
            table[size:] = False  # what an ambiguous symbol is similar to is not known
        table[self.alphabet.pad] = False
        return table[original.long()]


def _synonymous(original: Tensor, current: Tensor | None, alphabet: Alphabet, frame: int) -> Tensor:
    """Letters of synonymous codons: of any, or of those one letter away from the current codon."""
    n, length = original.shape
    whole = max(0, length - frame) // 3
    allowed = torch.zeros(n, length, alphabet.size, dtype=torch.bool, device=original.device)
    if not whole:
        return allowed
    inside = slice(frame, frame + 3 * whole)
    codes = original[:, inside].long().unflatten(1, (whole, 3))
    plain = (codes < alphabet.size).all(2)
    place_value = torch.tensor([16, 4, 1], device=original.device)
    same = (
        torch.as_tensor(synonymous_codons(alphabet), device=original.device)
        | torch.eye(64, device=original.device).bool()
    )
    number = (codes.clamp(max=3) * place_value).sum(2)  # N, whole
    if current is None:
        every = torch.cartesian_prod(*[torch.arange(4, device=original.device)] * 3)  # 64, 3
        at = torch.nn.functional.one_hot(every, 4).flatten(1).bool()  # codon, (position in it, letter)
        letters = (same[number][..., None] & at).any(-2).unflatten(-1, (3, 4))
    else:
        now = current[:, inside].long().unflatten(1, (whole, 3)).clamp(max=3)
        without = (now * place_value).sum(2, keepdim=True) - now * place_value  # N, whole, 3
        variants = without[..., None] + torch.arange(4, device=original.device) * place_value[:, None]
        letters = same[number[..., None, None], variants]
    allowed[:, inside] = (letters & plain[:, :, None, None]).flatten(1, 2)
    return allowed
