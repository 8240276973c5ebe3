"""The tables of letters against those that were published."""

import numpy as np
import pytest

from seqreg.alphabet import DNA, PROTEIN, RNA, Alphabet
from seqreg.sequences import amino_acids, blosum62

# Henikoff and Henikoff, PNAS 89 (1992), figure 2, below its diagonal.
PUBLISHED = """
C  9
S -1  4
T -1  1  5
P -3 -1 -1  7
A  0  1  0 -1  4
G -3  0 -2 -2  0  6
N -3  1  0 -2 -2  0  6
D -3  0 -1 -1 -2 -1  1  6
E -4  0 -1 -1 -1 -2  0  2  5
Q -3  0 -1 -1 -1 -2  0  0  2  5
H -3 -1 -2 -2 -2 -2  1 -1  0  0  8
R -3 -1 -1 -2 -1 -2  0 -2  0  1  0  5
K -3  0 -1 -1 -1 -2  0 -1  1  1 -1  2  5
M -1 -1 -1 -2 -1 -3 -2 -3 -2  0 -2 -1 -1  5
I -1 -2 -1 -3 -1 -4 -3 -3 -3 -3 -3 -3 -3  1  4
L -1 -2 -1 -3 -1 -4 -3 -4 -3 -2 -3 -2 -2  2  2  4
V -1 -2  0 -2  0 -3 -3 -3 -2 -2 -3 -3 -2  1  3  1  4
F -2 -2 -2 -4 -2 -3 -3 -3 -3 -3 -1 -3 -3  0  0  0 -1  6
Y -2 -2 -2 -3 -2 -3 -2 -3 -2 -1  2 -2 -2 -1 -1 -1 -1  3  7
W -2 -3 -2 -4 -3 -2 -4 -4 -3 -2 -2 -3 -3 -1 -3 -2 -3  1  2 11
"""
# NCBI translation table 1, codons in the order TTT, TTC, TTA, TTG, TCT, ...
CODE, ORDER = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG", "TCAG"


def test_blosum62_is_what_was_published() -> None:
    rows = [line.split() for line in PUBLISHED.split("\n") if line]
    letters = [row[0] for row in rows]
    assert sorted(letters) == sorted(PROTEIN.letters)
    place = [PROTEIN.letters.index(letter) for letter in letters]
    own = blosum62()[np.ix_(place, place)]
    assert [[float(value) for value in row[1:]] for row in rows] == [own[i, : i + 1].tolist() for i in range(20)]
    assert (own == own.T).all()


@pytest.mark.parametrize("alphabet", [DNA, RNA])
def test_codons_mean_what_the_standard_code_says(alphabet: Alphabet) -> None:
    place = {letter: ORDER.index(letter.replace("U", "T")) for letter in alphabet.letters}
    for number, meaning in enumerate(amino_acids(alphabet)):
        a, b, c = (alphabet.letters[number // power % 4] for power in (16, 4, 1))
        assert meaning == CODE[16 * place[a] + 4 * place[b] + place[c]]


@pytest.mark.parametrize("table", [blosum62(), amino_acids(DNA)])
def test_nobody_changes_a_table(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="read-only"):
        table[0] = table[1]
