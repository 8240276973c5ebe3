"""Laws of background sequences: shuffles keep their words, draws their length."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqreg.errors import InputError, UsageError
from seqreg.sequences import klet_shuffle, matched_background, read_strings, shuffled_background


def words(codes: np.ndarray, k: int) -> Counter[bytes]:
    return Counter(codes[i : i + k].tobytes() for i in range(len(codes) - k + 1))


@given(
    letters=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    k=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_shuffle_keeps_every_word_and_both_ends(letters: list[int], k: int, seed: int) -> None:
    codes = np.array(letters, dtype=np.uint8)
    shuffled = klet_shuffle(codes, k, np.random.default_rng(seed))
    assert shuffled.dtype == np.uint8
    for size in range(1, k + 1):
        assert words(shuffled, size) == words(codes, size)
    if k > 1:
        assert shuffled[: k - 1].tolist() == letters[: k - 1]
        assert shuffled[-(k - 1) :].tolist() == letters[-(k - 1) :]


@pytest.mark.parametrize(("text", "k"), [([0, 1, 0, 2, 0, 1, 1, 2, 0], 2), ([0, 1, 0, 0, 1, 0, 1, 0, 0, 1], 3)])
def test_all_rearrangements_are_equally_likely(text: list[int], k: int) -> None:
    """Against all of them, found by trying every order of the letters."""
    codes = np.array(text, dtype=np.uint8)
    possible = {
        order for order in set(itertools.permutations(text)) if words(np.array(order, np.uint8), k) == words(codes, k)
    }
    rng = np.random.default_rng(0)
    n = 200 * len(possible)
    drawn = Counter(tuple(klet_shuffle(codes, k, rng).tolist()) for _ in range(n))
    ends = (text[: k - 1], text[-k + 1 :])
    reachable = {order for order in possible if (list(order[: k - 1]), list(order[-k + 1 :])) == ends}
    assert set(drawn) == reachable
    expected = n / len(reachable)
    chi_square = sum((count - expected) ** 2 / expected for count in drawn.values())
    freedom = len(reachable) - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def test_shuffles_of_a_set() -> None:
    positives = read_strings(["ACGTTGCATCGGATTACAGG", "AAAA", "CGCGCGTATATA"], ["x", "x", "y"], names=["a", "b", "c"])
    made = shuffled_background(positives, k=2, copies=3, seed=1)
    assert list(made.names) == [f"{name}_shuffle{copy}" for name in "abc" for copy in (1, 2, 3)]
    assert made.lengths.tolist() == np.repeat(positives.lengths, 3).tolist()
    assert made.y is None
    assert made.warnings
    assert int(made.warnings[0].split(": ")[1].split()[0]) >= 3
    again = shuffled_background(positives, k=2, copies=3, seed=1)
    assert again.sha256 == made.sha256
    assert shuffled_background(positives, k=2, copies=3, seed=2).sha256 != made.sha256


def test_draws_match_length_and_composition(rng: np.random.Generator) -> None:
    def text(n: int, share: float) -> str:
        return "".join(rng.choice(list("ACGT"), size=n, p=[(1 - share) / 2, share / 2, share / 2, (1 - share) / 2]))

    positives = read_strings([text(30 + i, 0.9 if i % 2 else 0.1) for i in range(12)], alphabet="dna")
    pool = read_strings([text(300, 0.9) if i % 2 else text(300, 0.1) for i in range(10)] + ["ACG"], alphabet="dna")
    made = matched_background(positives, pool, copies=2)
    assert made.lengths.tolist() == np.repeat(positives.lengths, 2).tolist()
    assert len(set(made.names)) == 24
    for i in range(24):
        gc = [np.isin(list(s.sequence(j)), ["C", "G"]).mean() for s, j in ((made, i), (positives, i // 2))]
        assert abs(gc[0] - gc[1]) < 0.25
        name, _, place = made.names[i].rpartition(":")
        start, end = map(int, place.split("-"))
        assert made.sequence(i) == pool.sequence(list(pool.names).index(name))[start:end]


def test_what_cannot_be_drawn() -> None:
    positives = read_strings(["ACGTACGT"], names=["p"])
    with pytest.raises(InputError, match="no sequence of the pool has the 8 letters of 'p'"):
        matched_background(positives, read_strings(["ACGT"]))
    with pytest.raises(InputError, match="no unused window of 8 letters"):
        matched_background(positives, read_strings(["ACGTACGT"]))
    with pytest.raises(UsageError, match="the pool is protein"):
        matched_background(positives, read_strings(["MKVLEF"]))
    with pytest.raises(UsageError, match="k must be at least 1"):
        shuffled_background(positives, k=0)
    with pytest.raises(UsageError, match="copies must be at least 1"):
        shuffled_background(positives, copies=0)
