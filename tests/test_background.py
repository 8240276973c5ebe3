"""Laws of background sequences: shuffles keep their words, draws their length."""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqreg.errors import InputError, UsageError
from seqreg.sequences import (
    InputSpec,
    holdout,
    klet_shuffle,
    matched_background,
    read_input,
    read_strings,
    shuffled_background,
)

Call = Callable[..., CompletedProcess[str]]


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
    positives = read_strings(["ACGTTGCATCGGATTACAGG", "AAAA", "CGCGTATAGATA"], ["x", "x", "y"], names=["a", "b", "c"])
    made = shuffled_background(positives, k=2, copies=3, seed=1)
    assert list(made.names) == [f"{name}_shuffle{copy}" for name in "ac" for copy in (1, 2, 3)]
    assert made.lengths.tolist() == [20] * 3 + [12] * 3
    assert made.y is None
    assert made.warnings == ("shuffles left out, as they are the sequence again: 3",)
    assert not {made.sequence(i) for i in range(6)} & {positives.sequence(i) for i in range(3)}
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
    with pytest.raises(InputError, match="one of the sequences again"):
        shuffled_background(read_strings(["AAAA", "ACGT"]))
    with pytest.raises(UsageError, match="k must be at least 1"):
        shuffled_background(positives, k=0)
    with pytest.raises(UsageError, match="copies must be at least 1"):
        shuffled_background(positives, copies=0)


def test_a_shuffle_is_of_the_group_of_its_source() -> None:
    positives = read_strings(["ACGTACGTTTAC", "GGGCACGAGATAT", "TTATACGCTAGA"], groups=["g", "", ""])
    made = shuffled_background(positives, copies=2)
    assert made.group is not None
    assert made.group.tolist() == ["g", "g", "s2", "s2", "s3", "s3"] or made.group.tolist() == [
        *("g", "g"), *np.repeat(positives.names[1:], 2),
    ]  # fmt: skip
    drawn = matched_background(positives, read_strings(["ACGT" * 20, "GCTA" * 20], groups=["", "h"]))
    assert drawn.group is not None
    assert set(drawn.group.tolist()) <= {"h", read_strings(["A", "C"]).names[0]}


def test_both_files_of_a_background_keep_source_and_shuffle_together(tmp_path: Path, call: Call) -> None:
    """The positives may be those that were written beside, or those that the user has."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), size=30)) for _ in range(20)]
    (tmp_path / "pos.fa").write_text("".join(f">p{i} a name\n{text}\n" for i, text in enumerate(texts)))
    done = call("background", tmp_path / "pos.fa", "-o", tmp_path / "neg.fa")
    assert done.returncode == 0, done.stderr
    assert f"seqreg train --pos {tmp_path / 'neg.positives.fa'} --neg {tmp_path / 'neg.fa'}" in done.stderr
    for positives in ("pos.fa", "neg.positives.fa"):
        data = read_input(InputSpec(pos=tmp_path / positives, neg=tmp_path / "neg.fa"))
        part = holdout(data).part
        for i in range(20):
            rows = [row for row, name in enumerate(data.names) if name in (f"p{i}", f"p{i}_shuffle1")]
            assert len(rows) == 2
            assert part[rows[0]] == part[rows[1]]


def test_positives_alone_are_told_how_to_get_negatives(tmp_path: Path, call: Call) -> None:
    (tmp_path / "pos.fa").write_text(">a\nACGTACGT\n>b\nACGTTTTT\n")
    done = call("train", "--pos", tmp_path / "pos.fa", "-o", tmp_path / "run")
    assert done.returncode == 2
    assert f"seqreg background {tmp_path / 'pos.fa'} -o" in done.stderr
