"""Laws of homology: identity is that of the best alignment, and no relatives are in two parts, or they are counted."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio.Align import PairwiseAligner, substitution_matrices
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.stats import binom

from seqreg.alphabet import DNA, PROTEIN, RNA, Alphabet
from seqreg.errors import UsageError
from seqreg.sequences import (
    InputSpec,
    SequenceSet,
    Split,
    folds,
    holdout,
    homology_groups,
    identities,
    read_input,
    read_strings,
)
from seqreg.sequences.identity import COVERED
from seqreg.sequences.separation import LEFT_OUT, move_to_relatives, without_crossing
from seqreg.sequences.shared_kmers import fewest_shared, kmer_table, similarities
from seqreg.training import TrainConfig
from seqreg.training.parts import split_parts
from tests.oracles import best_local_alignment

IDENTITY = 0.7
needs_mmseqs = pytest.mark.skipif(shutil.which("mmseqs") is None, reason="mmseqs is not installed")
TOOLS = ["kmers", pytest.param("mmseqs", marks=[needs_mmseqs, pytest.mark.slow])]


def aligner(alphabet: Alphabet) -> PairwiseAligner:
    if alphabet is PROTEIN:
        scores: dict[str, Any] = {"substitution_matrix": substitution_matrices.load("BLOSUM62")}
        return PairwiseAligner(mode="local", open_gap_score=-11, extend_gap_score=-1, **scores)
    return PairwiseAligner(mode="local", match_score=1, mismatch_score=-1, open_gap_score=-5, extend_gap_score=-2)


def turned(text: str) -> str:
    return text.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def aligned_identity(one: str, other: str, alphabet: Alphabet) -> float:
    """By the first alignment that Biopython gives, of either strand in DNA."""
    found = 0.0
    for text in (other, turned(other)) if alphabet is DNA else (other,):
        alignments = aligner(alphabet).align(one, text)
        if alignments.score > 0:
            counts = alignments[0].counts()
            columns = counts.identities + counts.mismatches + counts.gaps
            found = max(found, counts.identities / max(columns, COVERED * min(len(one), len(other))))
    return found


def changed(text: str, rate: float, letters: str, rng: np.random.Generator) -> str:
    """Letters replaced at this rate, one lost and one gained."""
    new = [str(rng.choice(list(letters))) if rng.random() < rate else letter for letter in text]
    del new[int(rng.integers(len(new)))]
    new.insert(int(rng.integers(len(new))), str(rng.choice(list(letters))))
    return "".join(new)


def scattered(alphabet: Alphabet, families: int = 25, seed: int = 0) -> SequenceSet:
    """Families of three that differ all over: k-mers find few of them, alignments nearly all."""
    rng, letters = np.random.default_rng(seed), alphabet.letters
    ancestors = ["".join(rng.choice(list(letters), size=80)) for _ in range(families)]
    texts = [changed(text, 0.14, letters, rng) for text in ancestors for _ in range(3)]
    return read_strings(texts, [f"c{i % 2}" for i in range(len(texts))], alphabet=alphabet)


def chain(n: int = 60, seed: int = 0) -> SequenceSet:
    """Each sequence is related to those before and after it, and so all of them are one group."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list(PROTEIN.letters), size=60))]
    while len(texts) < n:
        text = list(texts[-1])
        for place in rng.choice(60, size=6, replace=False):
            text[place] = str(rng.choice(list(PROTEIN.letters)))
        texts.append("".join(text))
    return read_strings(texts, [f"c{i % 2}" for i in range(n)], alphabet=PROTEIN)


def across_by_alignment(sequences: SequenceSet, split: Split, identity: float, most: int | None = None) -> list[Any]:
    """Pairs in different parts that share a k-mer and align as well as this; of the `most` similar ones if given."""
    table = kmer_table(sequences)
    found = []
    for row, column, shared in similarities(table, table):
        parts = split.part[row], split.part[column]
        kept = (row < column) & (parts[0] != parts[1]) & (parts[0] != "") & (parts[1] != "")
        found += list(zip(-shared[kept], row[kept], column[kept], strict=True))
    return [
        (int(i), int(j))
        for _, i, j in sorted(found)[:most]
        if aligned_identity(sequences.sequence(i), sequences.sequence(j), sequences.alphabet) >= identity
    ]


@given(data=st.data(), alphabet=st.sampled_from([DNA, RNA, PROTEIN]))
@settings(max_examples=60, deadline=None)
def test_identity_is_that_of_the_best_local_alignment(data: Any, alphabet: Alphabet) -> None:
    letters = alphabet.letters[:4] + ("N" if alphabet is not PROTEIN else "X")
    one = data.draw(st.text(letters, min_size=1, max_size=30))
    other = data.draw(st.one_of(st.text(letters, min_size=1, max_size=30), st.just(one[3:-3] + one[:9])))
    sequences = read_strings([one, other or "A"], alphabet=alphabet)
    expected = 0.0
    for text in (other, turned(other)) if alphabet is DNA else (other,):
        score, identical, columns = best_local_alignment(one, text or "A", alphabet)
        expected = max(expected, identical / max(columns, COVERED * min(len(one), len(other or "A")), 1))
        if set(one + text) <= set(alphabet.letters):
            assert score == aligner(alphabet).score(one, text or "A")
    for pair in ((0, 1), (1, 0)):
        left, right = (np.array([position]) for position in pair)
        assert identities(sequences, left, right) == pytest.approx(expected)


def test_identity_of_many_pairs_is_that_of_each() -> None:
    """Pairs that are aligned abreast, of all lengths, do not touch each other."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list(DNA.letters), size=rng.integers(1, 70))) for _ in range(30)]
    sequences = read_strings(texts, alphabet="dna")
    left, right = map(np.array, zip(*itertools.product(range(30), repeat=2), strict=True))
    together = identities(sequences, left, right)
    alone = [float(identities(sequences, left[i : i + 1], right[i : i + 1])[0]) for i in range(len(left))]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together.reshape(30, 30).diagonal(), 1)


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN], ids=["dna", "protein"])
@pytest.mark.parametrize("tool", TOOLS)
def test_no_relatives_are_in_two_parts(alphabet: Alphabet, tool: str) -> None:
    sequences = scattered(alphabet)
    how: dict[str, Any] = {"by": "homology", "similarity": 0.9, "identity": IDENTITY, "tool": tool}
    for split in (holdout(sequences, **how), folds(sequences, 4, **how)):
        assert across_by_alignment(sequences, split, IDENTITY) == []
        assert split.across is not None
        assert split.across.shape == (0, 2)
        assert split.left_out == ()
    loose = holdout(sequences, **{**how, "identity": 1})
    assert len(across_by_alignment(sequences, loose, IDENTITY)) > 0, "the k-mers alone would have done"


def test_clusters_that_no_alignment_joins_stay_as_they_are() -> None:
    """Groups, their numbers and so every later choice are those of the k-mers where these have found all relatives."""
    sequences = scattered(PROTEIN)
    groups, _ = homology_groups(sequences, similarity=0.01, identity=IDENTITY)
    alone, _ = homology_groups(sequences, similarity=0.01, identity=1)
    np.testing.assert_array_equal(groups, alone)


def test_a_group_too_large_for_a_part_is_cut_and_what_remains_is_counted() -> None:
    sequences = chain()
    how: dict[str, Any] = {"by": "homology", "similarity": 0.9, "identity": IDENTITY}
    split = folds(sequences, 4, **how)
    assert split.across is not None
    remaining = across_by_alignment(sequences, split, IDENTITY)
    assert sorted(map(tuple, split.across.tolist())) == sorted(remaining) != []
    assert any(f"{len(remaining)} pairs of sequences in different parts" in text for text in split.warnings)
    sizes = [len(split.index(part)) for part in split.parts]
    assert max(sizes) <= 1.5 * min(sizes)
    by_chance = folds(sequences, 4, by="stratified")
    assert len(remaining) < len(across_by_alignment(sequences, by_chance, IDENTITY)) / 4


def test_sequences_are_left_out_if_asked_until_no_relatives_are_in_two_parts() -> None:
    sequences = chain()
    split = folds(sequences, 4, by="homology", similarity=0.3, identity=IDENTITY, leave_out=True)
    assert split.across is not None
    assert len(split.across) == 0
    assert across_by_alignment(sequences, split, IDENTITY) == []
    assert split.largest_similarity is not None
    assert split.largest_similarity < 0.3
    assert 0 < len(split.left_out) < len(sequences) / 3
    assert split.left_out == tuple(sequences.names[i] for i in np.flatnonzero(split.part == ""))
    assert any("left out" in text and text.endswith(f": {len(split.left_out)}") for text in split.warnings)
    for group in np.unique(split.group):
        assert len(set(split.part[split.group == group])) == 1


def test_a_run_trains_without_what_is_left_out() -> None:
    sequences = chain(150)
    config = TrainConfig(
        by="homology", similarity=0.9, identity=IDENTITY, leave_out=True, test=0.4, valid=0.3, model="cnn:filters=4"
    )
    parts = split_parts(sequences, config)
    used = [name for part in (parts.train, parts.valid, parts.test) if part is not None for name in part.names]
    assert len(set(used)) == len(used)
    assert parts.left_out
    assert sorted([*used, *parts.left_out]) == sorted(sequences.names)
    assert sorted(parts.train_and_valid.names) == sorted(
        name for part in (parts.train, parts.valid) if part is not None for name in part.names
    )
    part_of = {name: part for name, part, _ in parts.rows()}
    assert {name for name, part in part_of.items() if part == ""} == set(parts.left_out)
    places = np.array([part_of[name] for name in sequences.names])
    split = Split(names=sequences.names, part=places, group=np.full(len(places), ""), by="homology", seed=0)
    assert across_by_alignment(sequences, split, IDENTITY) == []


def test_the_command_counts_what_remains(tmp_path: Path, call: Any) -> None:
    sequences = chain()
    rows = [f">{name} label={sequences.label(i)}\n{sequences.sequence(i)}" for i, name in enumerate(sequences.names)]
    fasta, out = tmp_path / "x.fa", tmp_path / "splits.tsv"
    fasta.write_text("\n".join(rows))
    for more in ([], ["--leave-out"]):
        words = ("split", fasta, "-o", out, "--by", "homology", "--folds", 4, "--similarity", 0.9, "--json")
        told = json.loads(call(*words, "--identity", IDENTITY, *more).stdout)
        expected = folds(sequences, 4, by="homology", similarity=0.9, identity=IDENTITY, leave_out=bool(more))
        assert expected.across is not None
        assert told["identity"] == IDENTITY
        assert (told["pairs_across"], told["left_out"]) == (len(expected.across), list(expected.left_out))
        empty = [line.split("\t")[0] for line in out.read_text().splitlines() if line.split("\t")[1] == ""]
        assert empty == told["left_out"]
        assert bool(empty) == bool(more)


def random_links(rng: np.random.Generator, units: int) -> Any:
    upper = np.triu(rng.random((units, units)) < 0.1, 1) * rng.integers(1, 4, (units, units))
    return coo_array(upper + upper.T).tocsr()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_moves_bring_relatives_together_and_leaving_out_is_needed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units, parts = 40, 3
    links, size = random_links(rng, units), rng.integers(1, 4, units)
    part = rng.integers(parts, size=units)
    part[:parts] = np.arange(parts)
    wanted = np.full(parts, size.sum() / parts)

    def apart(where: Any) -> int:
        one, other = links.nonzero()
        kept = (where[one] != where[other]) & (where[one] != LEFT_OUT) & (where[other] != LEFT_OUT)
        return int(links.toarray()[one[kept], other[kept]].sum())

    better = move_to_relatives(part, links, size, wanted)
    assert apart(better) <= apart(part)
    filled, before = (np.bincount(each, weights=size, minlength=parts) for each in (better, part))
    assert (filled <= np.maximum(before, 1.1 * wanted)).all()
    assert (filled >= np.minimum(before, 0.9 * wanted)).all()
    clean = without_crossing(better, links, size)
    assert apart(clean) == 0
    for unit in np.flatnonzero(clean == LEFT_OUT):
        near = links.toarray()[unit] > 0
        assert len(set(clean[near].tolist()) - {LEFT_OUT}) > 1


@pytest.mark.parametrize("name", ["amp", "scop153", pytest.param("subloc", marks=pytest.mark.slow)])
@pytest.mark.parametrize("tool", TOOLS)
def test_on_data_sets_no_relatives_are_in_two_parts(name: str, tool: str) -> None:
    """The 300 pairs across parts that share the largest share of k-mers, by Biopython's alignments."""
    try:
        sequences = read_input(InputSpec(input=name, require_labels=False))
    except UsageError as error:
        pytest.skip(str(error))
    split = holdout(sequences, by="homology", identity=IDENTITY, tool=tool)
    remaining = across_by_alignment(sequences, split, IDENTITY, most=300)
    assert split.across is not None
    assert len(remaining) == len(split.across) == 0


@pytest.mark.parametrize("scale", [1, 3])
def test_few_pairs_share_fewer_kmers_than_are_asked_for(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All patterns of identical columns, and of k-mers looked at, with their probabilities."""
    monkeypatch.setattr("seqreg.sequences.shared_kmers._MISSED", 0.2)
    identity, k = 0.8, 2
    for columns, least in enumerate(fewest_shared(9, identity, k, scale=scale)):
        of_count = np.zeros(columns + 1)
        for identical in itertools.product((0, 1), repeat=columns):
            p = np.prod([identity if each else 1 - identity for each in identical])
            shared = sum(all(identical[i : i + k]) for i in range(columns - k + 1))
            of_count[: shared + 1] += p * binom.pmf(np.arange(shared + 1), shared, 1 / scale)
        assert of_count[:least].sum() <= 0.2 < of_count[: least + 1].sum()


@pytest.mark.parametrize("value", [0, 1.1])
def test_impossible_identities(value: float) -> None:
    with pytest.raises(UsageError, match="identity must be above 0 and at most 1"):
        homology_groups(chain(4), identity=value)
