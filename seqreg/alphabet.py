"""Letters of DNA, RNA and protein, and the symbol codes by which sequences are kept.

A sequence is an array of uint8 *symbol codes*: the A letters of the alphabet are 0 .. A-1, then come the
ambiguity symbols, each a fixed mixture of letters, and last of all the padding symbol, whose mixture is zero.
`mixtures` (V, A) therefore turns codes into one-hot rows by plain indexing: `mixtures[ids]` is (..., A).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

INVALID = 255


@dataclass(frozen=True, eq=False)
class Alphabet:
    """An immutable alphabet.

    letters: the A letters. ambiguous: symbol -> {letter: share}, shares summing to 1.
    read_as: other letters accepted on input and what they are read as (U as T; selenocysteine as C).
    complement_of: letter -> complementary letter, empty for proteins.
    """

    name: str
    letters: str
    ambiguous: dict[str, dict[str, float]]
    read_as: dict[str, str] = field(default_factory=dict)
    complement_of: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """A, the number of letters."""
        return len(self.letters)

    @cached_property
    def symbols(self) -> str:
        """All V symbols in code order; the last one, `-`, is padding and never read from input."""
        return self.letters + "".join(self.ambiguous) + "-"

    @property
    def pad(self) -> int:
        """Code of the padding symbol, V - 1."""
        return len(self.symbols) - 1

    @cached_property
    def mixtures(self) -> NDArray[np.float64]:
        """(V, A) share of each letter in each symbol; the padding row is zero."""
        table = np.zeros((len(self.symbols), self.size))
        table[: self.size] = np.eye(self.size)
        for row, shares in enumerate(self.ambiguous.values(), start=self.size):
            for letter, share in shares.items():
                table[row, self.letters.index(letter)] = share
        table.flags.writeable = False
        return table

    @cached_property
    def code_of_byte(self) -> NDArray[np.uint8]:
        """(256,) symbol code of every input byte, upper and lower case; INVALID where there is none."""
        table = np.full(256, INVALID, dtype=np.uint8)
        readable = {symbol: symbol for symbol in self.symbols[:-1]} | self.read_as
        for symbol, meaning in readable.items():
            table[ord(symbol)] = table[ord(symbol.lower())] = self.symbols.index(meaning)
        table.flags.writeable = False
        return table

    @cached_property
    def complement(self) -> NDArray[np.uint8] | None:
        """(V,) code of the complementary symbol, or None for an alphabet without one."""
        if not self.complement_of:
            return None
        shares = {symbol: {symbol: 1.0} for symbol in self.letters} | self.ambiguous
        symbol_of = {frozenset(mixture.items()): symbol for symbol, mixture in shares.items()}
        table = np.full(len(self.symbols), self.pad, dtype=np.uint8)
        for symbol, mixture in shares.items():
            mirrored = frozenset((self.complement_of[letter], share) for letter, share in mixture.items())
            table[self.symbols.index(symbol)] = self.symbols.index(symbol_of[mirrored])
        table.flags.writeable = False
        return table

    def encode(self, sequence: str | bytes) -> NDArray[np.uint8]:
        """Codes (L,) of a sequence; a letter outside the alphabet becomes INVALID (readers report it by place)."""
        raw = sequence.encode("ascii", "replace") if isinstance(sequence, str) else sequence
        return self.code_of_byte[np.frombuffer(raw, dtype=np.uint8)]

    def decode(self, codes: NDArray[np.uint8]) -> str:
        """The sequence as text, without padding."""
        kept = codes[codes != self.pad]
        return np.frombuffer(self.symbols.encode("ascii"), dtype=np.uint8)[kept].tobytes().decode("ascii")


def _even(letters: str) -> dict[str, float]:
    return {letter: 1 / len(letters) for letter in letters}


def _nucleotides(name: str, t: str, other: str) -> Alphabet:
    iupac = {
        "R": "AG",
        "Y": "CT",
        "S": "CG",
        "W": "AT",
        "K": "GT",
        "M": "AC",
        "B": "CGT",
        "D": "AGT",
        "H": "ACT",
        "V": "ACG",
        "N": "ACGT",
    }
    return Alphabet(
        name=name,
        letters=f"ACG{t}",
        ambiguous={symbol: _even(letters.replace("T", t)) for symbol, letters in iupac.items()},
        read_as={other: t},
        complement_of={"A": t, "C": "G", "G": "C", t: "A"},
    )


# Amino-acid frequencies of Robinson and Robinson (PNAS 1991), the background of protein BLAST.
_BACKGROUND = {
    "A": 0.07805, "C": 0.01925, "D": 0.05364, "E": 0.06295, "F": 0.03856, "G": 0.07377, "H": 0.02199,
    "I": 0.05142, "K": 0.05744, "L": 0.09019, "M": 0.02243, "N": 0.04487, "P": 0.05203, "Q": 0.04264,
    "R": 0.05129, "S": 0.07120, "T": 0.05841, "V": 0.06441, "W": 0.01330, "Y": 0.03216,
}  # fmt: skip

DNA = _nucleotides("dna", "T", other="U")
RNA = _nucleotides("rna", "U", other="T")
PROTEIN = Alphabet(
    name="protein",
    letters="ACDEFGHIKLMNPQRSTVWY",
    ambiguous={
        "B": _even("DN"),
        "Z": _even("EQ"),
        "J": _even("IL"),
        "X": _BACKGROUND,
    },
    read_as={"U": "C", "O": "K"},
)

ALPHABETS = {"dna": DNA, "rna": RNA, "protein": PROTEIN}
