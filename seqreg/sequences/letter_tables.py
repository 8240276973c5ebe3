"""What is known of letters apart from any data: how alike amino acids are, and what codons mean."""

from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import PROTEIN, Alphabet


@cache
def blosum62() -> NDArray[np.float64]:
    """(20, 20) scores of BLOSUM62 in half bits (Henikoff and Henikoff, PNAS 1992), in the order of the alphabet."""
    from Bio.Align import substitution_matrices

    matrix: Any = substitution_matrices.load("BLOSUM62")
    scores = np.array([[matrix[a][b] for b in PROTEIN.letters] for a in PROTEIN.letters])
    scores.flags.writeable = False
    return scores


@cache
def amino_acids(alphabet: Alphabet) -> NDArray[np.str_]:
    """(64,) what each codon of dna or rna means in the standard code (NCBI translation table 1), * for a stop.

    Codon abc has number 16 a + 4 b + c in symbol codes.
    """
    from Bio.Data.CodonTable import standard_dna_table

    meaning: dict[str, str] = standard_dna_table.forward_table
    found = np.array([meaning.get("".join(abc), "*") for abc in product(alphabet.letters.replace("U", "T"), repeat=3)])
    found.flags.writeable = False
    return found


@cache
def three_letters() -> dict[str, str]:
    """The letter of each amino acid by its name in three, `Ala` for example."""
    from Bio.Data.IUPACData import protein_letters_3to1

    return dict(protein_letters_3to1)
