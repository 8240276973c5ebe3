"""Laws of the alphabets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqreg.alphabet import ALPHABETS, DNA, INVALID, PROTEIN, RNA, Alphabet

EVERY = pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS)


@EVERY
def test_mixtures_sum_to_one_and_padding_is_nothing(alphabet: Alphabet) -> None:
    sums = alphabet.mixtures.sum(axis=1)
    np.testing.assert_allclose(sums[:-1], 1)
    assert sums[alphabet.pad] == 0
    assert (alphabet.mixtures >= 0).all()


@pytest.mark.parametrize("alphabet", [DNA, RNA], ids=["dna", "rna"])
def test_complement_is_an_involution_that_mirrors_the_mixture(alphabet: Alphabet) -> None:
    assert alphabet.complement is not None
    codes = np.arange(len(alphabet.symbols))
    np.testing.assert_array_equal(alphabet.complement[alphabet.complement], codes)
    letters = alphabet.complement[: alphabet.size]
    np.testing.assert_allclose(alphabet.mixtures[alphabet.complement][:, letters], alphabet.mixtures)


def test_proteins_have_no_complement() -> None:
    assert PROTEIN.complement is None


@EVERY
@given(data=st.data())
def test_what_is_written_reads_back(alphabet: Alphabet, data: st.DataObject) -> None:
    text = data.draw(st.text(alphabet=alphabet.symbols[:-1]))
    assert alphabet.decode(alphabet.encode(text)) == text
    np.testing.assert_array_equal(alphabet.encode(text.lower()), alphabet.encode(text))


def test_letters_that_are_read_as_others() -> None:
    assert DNA.decode(DNA.encode("ACGUacgu")) == "ACGTACGT"
    assert RNA.decode(RNA.encode("ACGTacgt")) == "ACGUACGU"
    assert PROTEIN.decode(PROTEIN.encode("MUOuo")) == "MCKCK"


@EVERY
def test_padding_gaps_and_stops_are_not_read(alphabet: Alphabet) -> None:
    assert (alphabet.encode("-.* 1é") == INVALID).all()


def test_ambiguity_is_an_even_mixture() -> None:
    assert DNA.mixtures[DNA.symbols.index("N")].tolist() == [0.25] * 4
    half = PROTEIN.mixtures[PROTEIN.symbols.index("B")]
    assert {PROTEIN.letters[i]: half[i] for i in np.flatnonzero(half)} == {"D": 0.5, "N": 0.5}
