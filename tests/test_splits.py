"""Laws of splits: what belongs together is not parted, classes keep their shares, small choices lie in large ones."""

import itertools
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.errors import InputError, UsageError
from seqreg.linear import inner_folds
from seqreg.sequences import (
    SequenceSet,
    first_equal,
    folds,
    holdout,
    homology_groups,
    largest_similarity,
    part_sizes,
    read_split,
    read_strings,
    train_subset,
)
from seqreg.sequences.shared_kmers import kmer_length
from tests.conftest import different


def random_set(
    n: int, seed: int = 0, *, classes: str = "xyz", groups: int = 0, alphabet: Alphabet = DNA, length: int = 41
) -> SequenceSet:
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list(alphabet.letters), size=length)) for _ in range(n)]
    labels = rng.choice(list(classes), size=n, p=np.arange(1, len(classes) + 1) / sum(range(len(classes) + 1)))
    return read_strings(
        texts, labels, groups=rng.integers(groups, size=n).astype(str) if groups else None, alphabet=alphabet
    )


def families(alphabet: Alphabet, seed: int = 0) -> SequenceSet:
    """Chains of mutants: each member differs from the one before it in a few letters; some are exact copies."""
    rng = np.random.default_rng(seed)
    texts = []
    for size in (1, 2, 3, 5, 8, 1, 1, 4, 2, 1, 3, 1):
        text = rng.choice(list(alphabet.letters), size=61)
        for member in range(size):
            texts.append("".join(text))
            if member % 3 != 1:
                text[rng.integers(len(text), size=3)] = rng.choice(list(alphabet.letters), size=3)
    return read_strings(texts, [f"c{i % 2}" for i in range(len(texts))], alphabet=alphabet)


def slow_similarity(one: str, other: str, alphabet: Alphabet) -> float:
    """Shared k-mers of the one with fewer, by sets of texts."""
    k = kmer_length(alphabet)
    turn = str.maketrans("ACGT", "TGCA")

    def words(text: str) -> set[str]:
        found = {text[i : i + k] for i in range(len(text) - k + 1)}
        plain = {word for word in found if set(word) <= set(alphabet.letters)}
        return {min(word, word.translate(turn)[::-1]) for word in plain} if alphabet is DNA else plain

    a, b = words(one), words(other)
    return len(a & b) / max(min(len(a), len(b)), 1)


@pytest.mark.parametrize("n", [37, 200])
def test_holdout_has_its_sizes_and_class_shares(n: int) -> None:
    sequences = random_set(n)
    split = holdout(sequences, test=0.2, valid=0.15, seed=3)
    test = round(0.2 * n)
    assert len(split.index("test")) == test
    assert len(split.index("valid")) == round(0.15 * (n - test))
    assert split.parts == ("train", "valid", "test")
    together = np.concatenate([split.index(part) for part in split.parts])
    assert sorted(together) == list(range(n))
    total = np.bincount(sequences.y)
    for part in split.parts:
        counts = np.bincount(sequences.y[split.index(part)], minlength=3)
        expected = total * len(split.index(part)) / n
        assert np.abs(counts - expected).max() <= 2
    sizes = part_sizes(split, sequences)
    assert sum(size for size, _ in sizes.values()) == n
    assert {name: sum(part[1][name] for part in sizes.values()) for name in "xyz"} == dict(
        zip("xyz", total.tolist(), strict=True)
    )


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, 7), n=st.integers(7, 60))
def test_folds_are_even_and_stratified(seed: int, k: int, n: int) -> None:
    sequences = read_strings(different(n), ["x" if i % 3 else "y" for i in range(n)])
    split = folds(sequences, k, seed=seed)
    sizes = [len(split.index(f"fold{number}")) for number in range(1, k + 1)]
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    counts = np.array([np.bincount(sequences.y[split.fold(number)[1]], minlength=2) for number in range(1, k + 1)])
    assert (np.ptp(counts, axis=0) <= 1).all()
    for number in range(1, k + 1):
        train, test = split.fold(number)
        assert sorted([*train, *test]) == list(range(n))


def test_a_seed_decides_the_split() -> None:
    sequences = random_set(90, groups=30)
    for by in ("stratified", "group", "homology"):
        first, again, other = (holdout(sequences, by=by, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.part, again.part)
        assert (first.part != other.part).any()


@given(seed=st.integers(0, 2**32 - 1), groups=st.integers(5, 40))
def test_no_group_crosses(seed: int, groups: int) -> None:
    sequences = random_set(120, seed % 7, groups=groups)
    assert sequences.group is not None
    for split in (holdout(sequences, seed=seed), folds(sequences, 3, seed=seed)):
        assert split.by == "group"
        for group in np.unique(sequences.group):
            assert len(set(split.part[sequences.group == group])) == 1


def test_groups_keep_sizes_and_shares_nearly() -> None:
    sequences = random_set(600, groups=150)
    split = holdout(sequences, test=0.2, valid=0.25)
    for part, share in (("test", 0.2), ("valid", 0.2), ("train", 0.6)):
        counts = np.bincount(sequences.y[split.index(part)], minlength=3)
        np.testing.assert_allclose(counts / np.bincount(sequences.y), share, atol=0.03)


def test_a_sequence_without_a_group_is_a_group_of_its_own() -> None:
    sequences = read_strings(different(40), ["x", "y"] * 20, groups=["g"] * 4 + [""] * 36)
    split = holdout(sequences, test=0.5, valid=0)
    assert len(set(split.part[:4])) == 1
    assert len(split.index("test")) == 20


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN], ids=["dna", "protein"])
@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.9])
def test_nothing_similar_crosses(alphabet: Alphabet, similarity: float) -> None:
    sequences = families(alphabet)
    texts = [sequences.sequence(i) for i in range(len(sequences))]
    for seed in range(3):
        split = holdout(sequences, by="homology", similarity=similarity, seed=seed)
        part, group = split.part, split.group
        pairs = [
            (slow_similarity(texts[i], texts[j], alphabet), part[i] != part[j], group[i] != group[j])
            for i, j in itertools.combinations(range(len(texts)), 2)
        ]
        crossing = max(value for value, parted, _ in pairs if parted)
        assert crossing < similarity
        assert split.largest_similarity == pytest.approx(crossing)
        assert all(value < similarity for value, _, apart in pairs if apart)
        assert not any("more than one part" in warning for warning in split.warnings)


@pytest.mark.parametrize("most", [1, 50, 1 << 23])
def test_groups_of_similar_sequences_are_the_chains(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups are the connected components of "at least this similar", found here by repeated merging."""
    monkeypatch.setattr("seqreg.sequences.homology._MOST_WAITING", most)
    monkeypatch.setattr("seqreg.sequences.shared_kmers._ROWS", 5)
    sequences = families(PROTEIN, seed=1)
    texts = [sequences.sequence(i) for i in range(len(sequences))]
    component = list(range(len(texts)))
    for i, j in itertools.combinations(range(len(texts)), 2):
        if slow_similarity(texts[i], texts[j], PROTEIN) >= 0.6:
            component = [component[i] if entry == component[j] else entry for entry in component]
    groups, _ = homology_groups(sequences, similarity=0.6)
    assert len(set(zip(groups.tolist(), component, strict=True))) == len(set(component)) == len(set(groups.tolist()))


def test_both_strands_of_dna_and_ambiguity() -> None:
    text = "ACGTTGCATCGGATTACAGGCATT"
    mirrored = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    sequences = read_strings([text, mirrored, "N" * 24, "NNN" + text[3:], "ACG", "ACG", "ACC"], alphabet="dna")
    first, others = np.array([0]), [np.array([i]) for i in range(1, 5)]
    found = [largest_similarity(sequences, [first, other]) for other in others]
    assert found == [1, 0, 1, 0]
    groups, _ = homology_groups(sequences, similarity=1)
    assert groups[0] == groups[1] == groups[3]
    assert groups[4] == groups[5] != groups[6]


def test_large_sets_are_sampled_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = families(PROTEIN)
    exact, _ = homology_groups(sequences, similarity=0.5)
    monkeypatch.setattr("seqreg.sequences.shared_kmers._MOST_PAIRS", 700)
    sampled, remarks = homology_groups(sequences, similarity=0.5)
    assert any("one k-mer in" in remark for remark in remarks)
    agree = (exact[:, None] == exact) == (sampled[:, None] == sampled)
    assert agree.mean() > 0.9


def test_one_group_for_nearly_all_is_remarked() -> None:
    sequences = read_strings(["MKVLAAGIVGLWERTYPSDFG" + tail for tail in ("AA", "CC", "DD", "EE")] + ["WWWWYYYYWWWW"])
    assert any("one group of similar sequences holds 4 of 5" in text for text in homology_groups(sequences)[1])


def write_program(folder: Path, text: str) -> None:
    program = folder / "mmseqs"
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_an_installed_mmseqs_makes_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = read_strings(["MKVLQ", "WWWWW", "MKVLE", "WWWWY"], ["x", "y", "x", "y"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="mmseqs is not installed"):
        homology_groups(sequences, tool="mmseqs")
    clusters = r"0\t0\n0\t2\n1\t1\n1\t3\n"
    checked = 'test "$1 $5 $6" = "easy-cluster --min-seq-id 0.4" || exit 1'
    write_program(tmp_path, f"#!/bin/sh\n{checked}\nprintf '{clusters}' > \"$3_cluster.tsv\"\n")
    groups, _ = homology_groups(sequences, identity=0.4, tool="mmseqs")
    assert groups[0] == groups[2] != groups[1] == groups[3]
    write_program(tmp_path, "#!/bin/sh\necho out of memory >&2\nexit 3\n")
    with pytest.raises(Exception, match="mmseqs failed: out of memory"):
        homology_groups(sequences, tool="mmseqs")


@given(seed=st.integers(0, 2**32 - 1))
def test_choices_are_nested_and_stratified(seed: int) -> None:
    sequences = random_set(150)
    total = np.bincount(sequences.y)
    inner: set[int] = set()
    for n in (3, 10, 50, 100, 150):
        chosen = train_subset(sequences, n, seed=seed)
        assert len(set(chosen.tolist())) == n
        assert inner <= set(chosen.tolist())
        counts = np.bincount(sequences.y[chosen], minlength=3)
        assert counts.min() >= 1
        assert np.abs(counts - total * n / 150).max() < 3
        inner = set(chosen.tolist())


def test_choices_by_group_cut_at_most_one_group() -> None:
    sequences = random_set(300, groups=60)
    assert sequences.group is not None
    inner: set[int] = set()
    for n in (20, 55, 140):
        chosen = train_subset(sequences, n, seed=5)
        assert len(set(chosen.tolist())) == n
        assert inner <= set(chosen.tolist())
        inner = set(chosen.tolist())
        inside = np.isin(np.arange(300), chosen)
        cut = [g for g in np.unique(sequences.group) if len(set(inside[sequences.group == g].tolist())) == 2]
        assert len(cut) <= 1
        shares = np.bincount(sequences.y[chosen], minlength=3) / n
        np.testing.assert_allclose(shares, np.bincount(sequences.y) / 300, atol=0.12)


def test_a_split_of_the_input_is_kept(tmp_path: Path) -> None:
    from seqreg.sequences import InputSpec, read_input

    texts = different(60)  # four of which occur in both parts
    texts[1:5] = [texts[i] for i in (5, 10, 15, 20)]
    rows = [f"r{i},{text},{'xy'[i % 2]},{'test' if i % 5 == 0 else 'train'}" for i, text in enumerate(texts)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["id,sequence,label,split", *rows, "last,CCC,x,"]))
    sequences = read_input(InputSpec(input=path))
    split = holdout(sequences, valid=0.25)
    assert split.by == "given"
    assert split.index("test").tolist() == list(range(0, 60, 5))
    assert len(split.index("valid")) == 12
    assert len(split.index("train")) == 36
    assert split.warnings[-1] == "sequences left out, as the input puts them in no part: 1"
    assert "more than one part of the split (r1, r2, r3, ...): 4" in split.warnings[0]
    other = holdout(sequences, by="stratified")
    assert abs(len(other.index("test")) - 12) <= 1
    assert any("not used" in warning for warning in other.warnings)


def test_splits_are_written_and_read(tmp_path: Path) -> None:
    sequences = random_set(50, groups=11)
    split = folds(sequences, 4)
    split.write(tmp_path / "splits.tsv")
    again = read_split(tmp_path / "splits.tsv", sequences)
    np.testing.assert_array_equal(again.part, split.part)
    np.testing.assert_array_equal(again.group, sequences.group)
    assert again.parts == ("fold1", "fold2", "fold3", "fold4")
    with pytest.raises(InputError, match="no row for sequence 'seq51'"):
        read_split(tmp_path / "splits.tsv", random_set(51))
    (tmp_path / "other.tsv").write_text("id\tpart\na\ttrain\n")
    with pytest.raises(InputError, match=r"other.tsv: not a table of id, split, group"):
        read_split(tmp_path / "other.tsv", sequences)


def test_equal_sequences_are_found() -> None:
    texts = ["ACG", "TTT", "ACG", "AC", "TTT", "ACG"]
    assert first_equal(read_strings(texts)).tolist() == [texts.index(text) for text in texts]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda data: holdout(data, test=1), "test must be a fraction"),
        (lambda data: holdout(data, by="group"), "needs groups"),
        (lambda data: holdout(data, by="homology", similarity=0), "similarity must be above 0"),
        (lambda data: holdout(data, by="random"), "Unknown split 'random'"),
        (lambda data: homology_groups(data, tool="blast"), "Unknown tool"),
        (lambda data: folds(data, 1), "folds must be at least 2"),
        (lambda data: train_subset(data, 0), "must be 1 to 12"),
    ],
)
def test_impossible_wishes(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(random_set(12))


def test_a_class_that_a_part_lacks_is_remarked() -> None:
    sequences = read_strings(different(21), ["x", "y"] * 10 + ["z"])
    split = holdout(sequences, seed=1)
    assert split.part[-1] == "train"
    assert [text for text in split.warnings if "class" in text] == [
        f"no sequence of class 'z' in the {part} part" for part in ("valid", "test")
    ]


def test_an_empty_part_is_refused() -> None:
    one = read_strings(different(6), ["x", "y"] * 3, groups=["g"] * 6)
    with pytest.raises(InputError, match="part would be empty: 6 sequences in 1 groups"):
        holdout(one)
    with pytest.raises(InputError, match="the test part would be empty"):
        holdout(read_strings(different(2), ["x", "y"]))


@given(seed=st.integers(0, 2**32 - 1), copies=st.lists(st.integers(0, 29), min_size=1, max_size=40))
@pytest.mark.parametrize("groups", [0, 200])
def test_the_same_molecule_never_crosses(groups: int, seed: int, copies: list[int]) -> None:
    """Copies, and reverse complements of DNA, whatever their labels; against the texts."""
    turn = str.maketrans("ACGT", "TGCA")
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("ACGT"), size=14)) for _ in range(30)]
    texts += [texts[i] if i % 2 else texts[i].translate(turn)[::-1] for i in copies]
    names = rng.integers(groups, size=len(texts)).astype(str) if groups else None
    sequences = read_strings(texts, ["x", "y"] * (len(texts) // 2) + ["x"] * (len(texts) % 2), groups=names)
    molecules = [min(text, text.translate(turn)[::-1]) for text in texts]
    for split in (holdout(sequences, valid=0, seed=seed % 97), folds(sequences, 2, seed=seed % 97)):
        part_of: dict[str, set[str]] = {}
        for molecule, part in zip(molecules, split.part, strict=True):
            part_of.setdefault(molecule, set()).add(str(part))
        assert {len(parts) for parts in part_of.values()} == {1}
        assert not any("more than one part" in warning for warning in split.warnings)
        for name in set(names.tolist()) if names is not None else ():
            assert len(set(split.part[names == name])) == 1
    for kept, held_out in inner_folds(sequences, 4, seed % 97):
        assert not {molecules[i] for i in kept} & {molecules[i] for i in held_out}
