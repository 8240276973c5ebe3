"""Deformations and augmentations of letters, against operations on text."""

from typing import Any

import numpy as np
import pytest
import torch
from Bio.Seq import Seq
from torch import Tensor

from seqreg.alphabet import ALPHABETS, DNA, PROTEIN, RNA, Alphabet
from seqreg.deformations import (
    AUGMENTATIONS,
    DEFORMATIONS,
    Indel,
    Noise,
    ReverseComplement,
    Shift,
    Similar,
    Synonymous,
    delete,
    insert,
    refit,
    reverse_complement,
    shift,
    similar_letters,
    synonymous_codons,
)
from seqreg.errors import UsageError
from tests import oracles

UNKNOWN = {"dna": "N", "rna": "N", "protein": "X"}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(alphabet: Alphabet, n: int = 40, longest: int = 13) -> Tensor:
    """ids (N, L) of lengths 1 to L with every symbol in them, letters foremost."""
    lengths = torch.randint(1, longest + 1, (n,))
    lengths[0] = longest
    ids = torch.randint(alphabet.pad, (n, longest), dtype=torch.uint8)
    ids = torch.where(torch.rand(n, longest) < 0.8, ids % alphabet.size, ids)
    return ids.masked_fill(torch.arange(longest) >= lengths[:, None], alphabet.pad)


def texts(ids: Tensor, alphabet: Alphabet) -> list[str]:
    """The sequences as text; padding anywhere but at the end is an error."""
    padding = (ids == alphabet.pad).int()
    assert bool((padding.diff(dim=1) >= 0).all())
    return [alphabet.decode(row.numpy()) for row in ids]


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN], ids=lambda alphabet: alphabet.name)
def test_moves_do_to_codes_what_they_do_to_text(alphabet: Alphabet) -> None:
    ids, unknown = batch(alphabet), UNKNOWN[alphabet.name]
    before = texts(ids, alphabet)
    lengths = torch.tensor([len(text) for text in before])
    by = torch.randint(-15, 16, (40,))
    after = texts(shift(ids, by, alphabet), alphabet)
    assert after == [oracles.shifted(text, d, unknown) for text, d in zip(before, by.tolist(), strict=True)]

    at = (torch.rand(40) * (lengths + 1)).long()
    count = torch.randint(0, 4, (40,))
    runs = torch.randint(alphabet.size, (40, 3), dtype=torch.uint8)
    after = texts(insert(ids, at, runs, count, alphabet), alphabet)
    letters = [alphabet.decode(run[:c].numpy()) for run, c in zip(runs, count.tolist(), strict=True)]
    assert after == [oracles.inserted(*each) for each in zip(before, at.tolist(), letters, strict=True)]

    count = torch.minimum(count, lengths)
    at = (torch.rand(40) * (lengths - count + 1)).long()
    after = texts(delete(ids, at, count, alphabet), alphabet)
    assert after == [oracles.deleted(*each) for each in zip(before, at.tolist(), count.tolist(), strict=True)]

    kept = torch.randint(1, 18, (40,))
    after = texts(refit(ids, kept, 17, alphabet), alphabet)
    assert after == [oracles.refitted(text, n, unknown) for text, n in zip(before, kept.tolist(), strict=True)]


@pytest.mark.parametrize("alphabet", [DNA, RNA], ids=lambda alphabet: alphabet.name)
def test_reverse_complement_is_the_other_strand(alphabet: Alphabet) -> None:
    ids = batch(alphabet)
    turned = reverse_complement(ids, alphabet)
    other = "reverse_complement" if alphabet is DNA else "reverse_complement_rna"
    assert texts(turned, alphabet) == [str(getattr(Seq(text), other)()) for text in texts(ids, alphabet)]
    assert torch.equal(reverse_complement(turned, alphabet), ids)
    with pytest.raises(UsageError, match="needs dna or rna; these sequences are protein"):
        reverse_complement(ids, PROTEIN)


def test_similar_letters_are_what_biochemists_call_similar() -> None:
    def partners(alphabet: Alphabet, letter: str, threshold: float = 1) -> str:
        row = similar_letters(alphabet, threshold)[alphabet.letters.index(letter)]
        return "".join(np.array(list(alphabet.letters))[row])

    assert [partners(DNA, letter) for letter in "ACGT"] == ["G", "T", "A", "C"]
    assert [partners(RNA, letter) for letter in "ACGU"] == ["G", "U", "A", "C"]
    assert partners(PROTEIN, "I") == "LMV"
    assert partners(PROTEIN, "I", 3) == "V"
    assert partners(PROTEIN, "C") == ""


@pytest.mark.parametrize("alphabet", [DNA, RNA], ids=lambda alphabet: alphabet.name)
def test_synonymous_codons_are_translated_alike(alphabet: Alphabet) -> None:
    letters = alphabet.letters
    codons = [a + b + c for a in letters for b in letters for c in letters]
    amino = [str(Seq(codon).translate()) for codon in codons]
    expected = [[amino[i] == amino[j] and i != j for j in range(64)] for i in range(64)]
    assert synonymous_codons(alphabet).tolist() == expected


@pytest.mark.parametrize("alphabet", [DNA, RNA], ids=lambda alphabet: alphabet.name)
def test_synonymous_changes_codons_and_not_the_protein(alphabet: Alphabet) -> None:
    ids = torch.randint(4, (50, 20), dtype=torch.uint8)  # 6 codons and 2 letters
    ids[:, 4] = alphabet.symbols.index("N")
    changed = Synonymous(rate=1)(ids, generator(), alphabet)
    for before, after in zip(texts(ids, alphabet), texts(changed, alphabet), strict=True):
        assert Seq(before[:18]).translate() == Seq(after[:18]).translate()
        assert before[3:6] + before[18:] == after[3:6] + after[18:]
        for i in (0, 6, 9, 12, 15):
            alone = before[i : i + 3] in ("ATG", "AUG", "TGG", "UGG")
            assert (before[i : i + 3] == after[i : i + 3]) == alone
    assert torch.equal(Synonymous(rate=0)(ids, generator(), alphabet), ids)


def test_noise_changes_every_chosen_letter_to_another_one_evenly() -> None:
    ids = batch(DNA, n=2000)
    letters = ids < 4
    noisy = Noise(rate=1)(ids, generator(), DNA)
    assert not bool((noisy == ids)[ids != DNA.pad].any())
    assert bool((noisy[ids != DNA.pad] < 4).all())
    assert torch.equal(noisy == DNA.pad, ids == DNA.pad)
    steps = ((noisy.int() - ids.int()) % 4)[letters].bincount()
    assert steps[0] == 0
    # Three even outcomes: each count stays within 5 standard deviations of a third.
    assert bool(((steps[1:] - letters.sum() / 3).abs() < 5 * (letters.sum() * 2 / 9).sqrt()).all())
    changed = (Noise(rate=0.1)(ids, generator(), DNA) != ids).sum()
    n = (ids != DNA.pad).sum()
    assert abs(int(changed) - 0.1 * int(n)) < 5 * (0.09 * int(n)) ** 0.5
    assert torch.equal(Noise(rate=0)(ids, generator(), DNA), ids)


def test_similar_changes_letters_to_similar_ones_only() -> None:
    ids = batch(PROTEIN, n=300)
    changed = Similar(rate=1, threshold=1)(ids, generator(), PROTEIN)
    similar = similar_letters(PROTEIN, 1)
    seen = np.zeros_like(similar)
    for before, after in zip(ids.flatten().tolist(), changed.flatten().tolist(), strict=True):
        if before < PROTEIN.size and similar[before].any():
            assert similar[before, after]
            seen[before, after] = True
        else:
            assert before == after
    assert np.array_equal(seen, similar)


def test_shift_reaches_every_distance() -> None:
    ids = torch.arange(7, dtype=torch.uint8).repeat(300, 1)
    shifted = texts(Shift(max=2)(ids, generator(), PROTEIN), PROTEIN)
    assert set(shifted) == {oracles.shifted("ACDEFGH", by, "X") for by in (-2, -1, 0, 1, 2)}


def test_reverse_complement_turns_about_half() -> None:
    ids = batch(DNA, n=400)
    turned = ReverseComplement()(ids, generator(), DNA)
    other = reverse_complement(ids, DNA)
    differ = (ids != other).any(1)
    swapped = (turned == other).all(1)
    assert bool((swapped | (turned == ids).all(1)).all())
    assert abs(int(swapped[differ].sum()) - int(differ.sum()) / 2) < 5 * (int(differ.sum()) / 4) ** 0.5


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
def test_indel_deletes_and_inserts_as_its_draws_say(rate: float) -> None:
    ids = batch(PROTEIN, n=60, longest=25)
    after = texts(Indel(rate=rate)(ids, generator(3), PROTEIN), PROTEIN)
    twin = generator(3)
    draw = torch.rand(60, 25, generator=twin)
    new = (torch.rand(60, 25, generator=twin) * PROTEIN.size).to(torch.uint8)
    for text, row, letters, result in zip(texts(ids, PROTEIN), draw, new, after, strict=True):
        expected = ""
        for letter, u, other in zip(text, row.tolist(), letters.tolist(), strict=False):
            expected += PROTEIN.letters[other] if u >= 1 - rate / 2 else ""
            expected += letter if u >= rate / 2 else ""
        assert result == (expected or text[0])


# ---- contracts of the two families


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_augmentations_keep_padding_right_and_repeat_with_their_generator(name: str, alphabet: str) -> None:
    augment: Any = AUGMENTATIONS[name]()
    ids = batch(ALPHABETS[alphabet], longest=40)
    kept = ids.clone()
    if alphabet == "protein" and name in ("reverse-complement", "synonymous"):
        with pytest.raises(UsageError, match="need"):
            augment(ids, generator(), PROTEIN)
        return
    state = torch.get_rng_state()
    first = augment(ids, generator(), ALPHABETS[alphabet])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(ids, kept)
    assert first.dtype == torch.uint8
    assert min(map(len, texts(first, ALPHABETS[alphabet]))) >= 1
    assert torch.equal(first, augment(ids, generator(), ALPHABETS[alphabet]))
    assert not torch.equal(first, ids)


@pytest.mark.parametrize("name", DEFORMATIONS)
@pytest.mark.parametrize("size", [1, 4])
def test_deformations_are_as_large_as_asked(name: str, size: int) -> None:
    ids = batch(DNA, n=200)
    before = texts(ids, DNA)
    deformed = texts(DEFORMATIONS[name](ids, DNA, generator(), size=size, threshold=1.0), DNA)
    growth = {len(b) - len(a) for a, b in zip(before, deformed, strict=True)}
    grows = {"insertion": {*range(1, size + 1)}, "deletion": {*range(-size, 1)}}
    assert growth <= grows.get(name, {0})
    assert name != "deletion" or 0 not in {len(b) - len(a) for a, b in zip(before, deformed, strict=True) if len(a) > 1}
    assert min(map(len, deformed)) >= 1
    if name in ("similar", "synonymous"):
        step = 3 if name == "synonymous" else 1
        for a, b in zip(before, deformed, strict=True):
            changed = sum(a[i : i + step] != b[i : i + step] for i in range(0, len(a), step))
            plain = sum(letter in "ACGT" for letter in a)
            assert changed <= size
            if name == "similar" and plain == len(a):
                assert changed == min(size, len(a))
