"""Linear baselines: k-mers counted one by one, laws of strands and rows, what is learned, what is saved."""

from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import log_softmax

from seqreg.alphabet import DNA, PROTEIN, RNA, Alphabet
from seqreg.baselines import (
    OF_CLASSES,
    FittedBaseline,
    KmerFeatures,
    KmerLogistic,
    OneHotFeatures,
    count_kmers,
    fit_baseline,
    fit_baselines,
)
from seqreg.baselines.models import kmer_candidates
from seqreg.baselines.probabilities import sigmoid_of_scores, temperature_of_scores
from seqreg.baselines.tuning import tune
from seqreg.errors import InputError, ModelError, UsageError
from seqreg.linear import draw, fit_logistic, fit_svm, inner_folds, short_views
from seqreg.metrics import auroc
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes, Labels
from tests.conftest import different, embedded


def sequence_set(
    texts: list[str],
    y: list[int] | NDArray | None = None,
    classes: tuple[str, ...] = ("other", "site"),
    alphabet: Alphabet = DNA,
    group: list[str] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> SequenceSet:
    codes = [alphabet.encode(text) for text in texts]
    return SequenceSet(
        alphabet=alphabet,
        names=[f"s{i}" for i in range(len(texts))],
        codes=np.concatenate([np.zeros(0, dtype=np.uint8), *codes]),
        offsets=np.cumsum([0, *map(len, codes)]).astype(np.int64),
        target=None if y is None else (Classes if np.ndim(y) == 1 else Labels)(names=classes),
        y=None if y is None else np.asarray(y),
        group=None if group is None else np.array(group),
        weight=weight,
    )


def planted(n: int, motifs: tuple[str, ...], seed: int = 0, alphabet: Alphabet = DNA) -> SequenceSet:
    """n random sequences of 30 to 39 letters; those of class k carry motif k somewhere ("" is none)."""
    generator = np.random.default_rng(seed)
    texts, y = [], []
    for i in range(n):
        k = i % len(motifs)
        letters = "".join(generator.choice(list(alphabet.letters), size=30 + i % 10))
        place = int(generator.integers(0, 20))
        texts.append(letters[:place] + motifs[k] + letters[place + len(motifs[k]) :])
        y.append(k)
    return sequence_set(texts, y, tuple(f"class{k}" for k in range(len(motifs))), alphabet)


def counted(text: str, alphabet: Alphabet, k: int, both_strands: bool) -> Counter[str]:
    """The k-mers of a text, the slow way."""
    mirror = str.maketrans("ACGT", "TGCA")
    kmers = [text[i : i + k] for i in range(len(text) - k + 1)]
    plain = [kmer for kmer in kmers if set(kmer) <= set(alphabet.letters)]
    return Counter(min(kmer, kmer.translate(mirror)[::-1]) if both_strands else kmer for kmer in plain)


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_kmers_are_counted_as_by_hand(k: int, both_strands: bool) -> None:
    texts = ["ACGTTGCAACGN", "T", "GGNCCRTTTTTACGT", "ACGTTGCAACG", "NN"]
    counts = count_kmers(sequence_set(texts), k, both_strands).toarray()
    column = {"".join(letters): i for i, letters in enumerate(product(DNA.letters, repeat=k))}
    expected = np.zeros((len(texts), 4**k))
    for row, text in enumerate(texts):
        for kmer, count in counted(text, DNA, k, both_strands).items():
            expected[row, column[kmer]] = count
    np.testing.assert_array_equal(counts, expected)


def test_protein_kmers_skip_mixtures() -> None:
    texts = ["MKVLBXAA", "AAAA", "XB"]
    counts = count_kmers(sequence_set(texts, alphabet=PROTEIN), 2).toarray()
    assert counts.sum(axis=1).tolist() == [4, 3, 0]
    assert counts[1, 0] == 3


@pytest.mark.parametrize("scaling", ["counts", "root"])
def test_a_strand_free_row_is_that_of_the_other_strand(scaling: str) -> None:
    texts = ["ACGTTGCAACGN", "GGCATTA", "TTTTTTTTG"]
    mirrored = [text.translate(str.maketrans("ACGTN", "TGCAN"))[::-1] for text in texts]
    features = KmerFeatures(longest=4, both_strands=True, scaling=scaling)
    rows, other = (features.matrix(sequence_set(side)).toarray() for side in (texts, mirrored))
    np.testing.assert_allclose(rows, other, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    one_strand = KmerFeatures(longest=4, scaling=scaling)
    assert not np.allclose(one_strand.matrix(sequence_set(texts)).toarray(), rows)


def test_a_sequence_without_kmers_is_a_row_of_zeros() -> None:
    rows = KmerFeatures(longest=3, shortest=2).matrix(sequence_set(["A", "NNNN", "ACGT"])).toarray()
    assert np.linalg.norm(rows, axis=1).tolist() == pytest.approx([0, 0, 1])
    assert rows.shape == (3, 4**2 + 4**3)


def test_one_hot_rows_hold_each_letter_at_its_place() -> None:
    rows = OneHotFeatures(length=3).matrix(sequence_set(["ACN", "TTT"])).toarray().reshape(2, 3, 4)
    np.testing.assert_allclose(rows[0] * np.sqrt(3), [[1, 0, 0, 0], [0, 1, 0, 0], [0.25] * 4])
    with pytest.raises(InputError, match=r"record 2 \(s1\): .* sequences of 3 letters; got 5"):
        OneHotFeatures(length=3).matrix(sequence_set(["ACN", "TTTTT"]))


@pytest.mark.parametrize("fit", [fit_logistic, fit_svm])
def test_the_short_rows_of_few_sequences_give_the_scores_of_the_long_ones(fit, monkeypatch: pytest.MonkeyPatch) -> None:
    train = planted(60, ("", "GATTACA", "CCGCC"))
    short, long = [], []
    for trials, up_to in ((short, 500), (long, 0)):
        monkeypatch.setattr("seqreg.linear.solvers.SHORTENED_UP_TO", up_to)
        trials += tune([KmerFeatures(longest=5)], [0.1, 1.0], fit, train, folds=3, seed=0)
        trials.sort(key=lambda trial: trial.c)
    for one, other in zip(short, long, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.005)
        # The same optimum by two roads, each up to the solver's tolerance.
        np.testing.assert_allclose(one.held_out, other.held_out, atol=0.01 * np.abs(other.held_out).max())


def test_held_out_scores_tell_as_much_as_those_of_fresh_sequences() -> None:
    """A leak of the held-out rows into the fit would raise the first auroc towards 1."""
    train, fresh = planted(300, ("", "GAT"), seed=1), planted(1500, ("", "GAT"), seed=2)
    fitted = fit_baseline(KmerLogistic(k=3), train)
    assert fitted.cv_auroc is not None
    assert fitted.cv_auroc == pytest.approx(auroc(fresh.y, fitted.probabilities(fresh)), abs=0.07)


@pytest.mark.parametrize("name", ["kmer-logistic", "kmer-svm"])
@pytest.mark.parametrize("alphabet", [DNA, RNA, PROTEIN], ids=lambda alphabet: alphabet.name)
def test_a_planted_motif_is_found(name: str, alphabet: Alphabet) -> None:
    motif = {"dna": "GATTACA", "rna": "GAUUACA", "protein": "WHWC"}[alphabet.name]
    fitted = fit_baseline(name, planted(80, ("", motif), alphabet=alphabet))
    fresh = planted(200, ("", motif), seed=9, alphabet=alphabet)
    p = fitted.probabilities(fresh)
    assert p.shape == (200, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert auroc(fresh.y, p) > 0.9


@pytest.mark.parametrize("name", ["kmer-logistic", "kmer-svm", "majority"])
def test_several_classes(name: str) -> None:
    train = planted(90, ("", "GATTACA", "CCGCCGG"))
    p = fit_baseline(name if name == "majority" else f"{name}:k=4", train).probabilities(train)
    assert p.shape == (90, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    if name == "majority":
        np.testing.assert_allclose(p, 1 / 3)
    else:
        assert (p.argmax(axis=1) == train.y).mean() > 0.8


@pytest.mark.parametrize("name", ["kmer-logistic", "kmer-svm", "majority"])
def test_several_labels_at_once(name: str) -> None:
    one, two = planted(100, ("", "GATTACA")), planted(100, ("", "", "CCGCCGG"))
    texts = [one.sequence(i) + two.sequence(i) for i in range(100)]
    y = np.stack([one.y == 1, two.y == 2, np.ones(100, dtype=bool)], axis=1).astype(np.uint8)
    text = name if name == "majority" else f"{name}:k=4"
    fitted = fit_baseline(text, sequence_set(texts, y, ("a", "b", "every")))
    p = fitted.probabilities(sequence_set(texts))
    assert p.shape == (100, 3)
    if name != "majority":
        assert min(auroc(y[:, k], p[:, k]) for k in range(2)) > 0.9
    # A label that all carry has no fit; its share with half a sequence added on either side.
    np.testing.assert_allclose(p[:, 2], 100.5 / 101, atol=0.02)


def test_one_hot_finds_a_place_and_kmers_find_no_place() -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("ACGT"), size=25)) for _ in range(90)]
    texts = [text[:11] + text[11] * 2 + text[13:] if i % 2 else text for i, text in enumerate(texts)]
    y = [int(text[11] in "AC") for text in texts]
    told: list[tuple[int, int]] = []
    fitted = fit_baselines(sequence_set(texts, y), report=lambda *numbers: told.append(numbers))
    assert told == [(done, 4) for done in range(5)]  # of those that read letters
    assert next(iter(fitted)) == "one-hot-logistic"
    assert list(fitted)[-1] == "majority"
    assert fitted.keys() == OF_CLASSES.keys() - {"vectors"}


def test_one_hot_is_left_out_for_several_lengths() -> None:
    assert "one-hot-logistic" not in fit_baselines(sequence_set(["ACGTA", "GCGT", "GG"], [0, 1, 1]))
    with pytest.raises(InputError, match="got 31"):
        fit_baseline("one-hot-logistic", planted(24, ("", "GATTACA")))


@pytest.mark.parametrize("name", OF_CLASSES)
def test_what_is_loaded_is_what_was_saved(name: str, tmp_path: Path) -> None:
    texts = [planted(40, ("", "GATTACA", "CCGCC")).sequence(i)[:30] for i in range(40)]
    train = embedded(sequence_set(texts, [i % 3 for i in range(40)], ("a", "b", "c")))
    fitted = fit_baseline(f"{name}:k=3" if name.startswith("kmer") else name, train, seed=3)
    fitted.save(tmp_path / "run")
    loaded = FittedBaseline.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.probabilities(train), fitted.probabilities(train))
    assert loaded.describe() == fitted.describe()
    loaded.save(tmp_path / "again")
    for file in ("model.json", "model.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


@pytest.mark.parametrize("name", ["kmer-logistic", "kmer-svm"])
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    train = planted(50, ("", "GATTACA"))
    first, second = (fit_baseline(f"{name}:k=3", train, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.coef, second.coef)
    assert first.trials == second.trials


def test_folders_that_hold_no_baseline(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model\.json"):
        FittedBaseline.load(tmp_path)
    fit_baseline("majority", planted(10, ("", "GATTACA"))).save(tmp_path)
    about = (tmp_path / "model.json").read_text()
    weights = (tmp_path / "model.safetensors").read_bytes()
    for text, says in (
        (about.replace('"baseline"', '"cnn"', 1), "another kind"),
        (about[:40], "not a model description"),
        ("[]", "not a model description"),
        (about.replace('"dna"', '"klingon"'), "alphabet cannot be 'klingon'"),
        (about.replace("class1", 'class1 ", "class2'), "belongs to another model"),
    ):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(ModelError, match=says):
            FittedBaseline.load(tmp_path)
    (tmp_path / "model.json").write_text(about)
    (tmp_path / "model.safetensors").write_bytes(weights[:20])
    with pytest.raises(ModelError, match="damaged"):
        FittedBaseline.load(tmp_path)


def test_too_few_sequences_to_hold_any_out() -> None:
    train = sequence_set(["ACGTACGT", "GGGGCCCC", "GGGCCCGG"], [0, 1, 1])
    for fitted in fit_baselines(train).values():
        assert np.isfinite(fitted.probabilities(train)).all()
    assert fit_baseline("kmer-svm", train).cv_auroc is None


def test_groups_stay_together_in_every_fold() -> None:
    y = np.arange(60) % 3
    group = np.array([f"g{i // 4}" if i < 48 else "" for i in range(60)])
    splits = inner_folds(sequence_set(different(60), y, ("a", "b", "c"), group=group.tolist()), 5, seed=0)
    assert len(splits) == 5
    for kept, out in splits:
        assert not (set(group[kept]) - {""}) & set(group[out])
    assert sorted(np.concatenate([out for _, out in splits])) == list(range(60))
    assert len({tuple(np.flatnonzero(np.isin(np.arange(48, 60), out))) for _, out in splits}) > 1


def test_folds_without_a_class_to_learn_are_left_out() -> None:
    y = np.array([0, 0, 0, 0, 1, 1])
    splits = inner_folds(sequence_set(different(6), y, group=list("aabbcc")), 3, seed=0)
    assert splits
    for kept, _ in splits:
        assert set(y[kept]) == {0, 1}
    assert inner_folds(sequence_set(different(6), y, group=["a"] * 6), 3, seed=0) == []


def test_a_draw_keeps_the_shares_of_the_classes() -> None:
    y = [0] * 600 + [1] * 200 + [2] * 12
    texts = [f"A{'C' * (i % 5)}" for i in range(812)]
    train = sequence_set(texts, y, ("a", "b", "c"))
    part = draw(train, 203, seed=1)
    assert part.y is not None
    shares = np.bincount(part.y)
    assert shares.sum() == 203
    assert shares[2] >= 10
    assert shares[0] / shares[1] == pytest.approx(3, rel=0.05)
    assert draw(train, 812, seed=1) is train
    few = draw(sequence_set(texts, [2 - k for k in y], ("c", "b", "a")), 40, seed=1)
    assert few.y is not None
    assert np.bincount(few.y)[0] == 10


def test_platts_sigmoid_finds_the_one_that_made_the_labels() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=20_000) * 3
    truth = generator.random(20_000) < 1 / (1 + np.exp(-(0.7 * scores - 0.4)))
    slope, offset = sigmoid_of_scores(scores, truth)
    assert (slope, offset) == (pytest.approx(0.7, abs=0.05), pytest.approx(-0.4, abs=0.07))
    assert sigmoid_of_scores(-scores, truth)[0] > 0


def test_the_temperature_is_the_one_that_made_the_classes() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(20_000, 3)) * 2
    y = (scores / 4 + generator.gumbel(size=scores.shape)).argmax(axis=1)
    assert temperature_of_scores(scores, y) == pytest.approx(1 / 4, rel=0.05)


@pytest.mark.parametrize("name", ["kmer-logistic:k=3", "kmer-svm:k=3"])
@pytest.mark.parametrize("motifs", [("", "GATT"), ("", "GATT", "CCGC")], ids=["binary", "classes"])
def test_scores_on_fresh_sequences_can_hardly_be_scaled_better(name: str, motifs: tuple[str, ...]) -> None:
    fitted = fit_baseline(name, planted(150, motifs, seed=1), strand_free=False)
    fresh = planted(1200, motifs, seed=2)
    assert fresh.y is not None
    # Logits of all classes, of which softmax gives the probabilities in binary tasks too.
    logits = np.log(fitted.probabilities(fresh))
    losses = {
        factor: -log_softmax(factor * logits, axis=1)[range(1200), fresh.y].mean() for factor in (0.3, 0.6, 1, 1.6, 3)
    }
    assert losses[1] < min(losses.values()) + 0.02


def test_strands_are_a_choice_for_dna_only() -> None:
    strands = {
        alphabet.name: {one.both_strands for one in kmer_candidates(alphabet)} for alphabet in (DNA, RNA, PROTEIN)
    }
    assert strands == {"dna": {False, True}, "rna": {False}, "protein": {False}}
    assert {one.both_strands for one in kmer_candidates(DNA, strand_free=True)} == {True}
    assert {(one.shortest, one.longest) for one in kmer_candidates(DNA, 4, strand_free=False)} == {(4, 4), (1, 4)}
    with pytest.raises(UsageError, match="no complementary strand"):
        kmer_candidates(PROTEIN, strand_free=True)


def test_a_strand_free_baseline_reads_both_strands_alike() -> None:
    train = planted(60, ("", "GATTACA"))
    fitted = fit_baseline("kmer-svm:k=4", train, strand_free=True)
    mirrored = [train.sequence(i).translate(str.maketrans("ACGT", "TGCA"))[::-1] for i in range(60)]
    np.testing.assert_allclose(fitted.probabilities(train), fitted.probabilities(sequence_set(mirrored)))


def test_what_cannot_be_learned_from_or_read() -> None:
    with pytest.raises(UsageError, match="no labels"):
        fit_baseline("majority", sequence_set(["ACGT"]))
    with pytest.raises(UsageError, match="'site' has no sequence"):
        fit_baseline("kmer-svm", sequence_set(["ACGT", "AC"], [0, 0]))
    with pytest.raises(UsageError, match="Did you mean 'kmer-svm'"):
        fit_baseline("kmer-svmm", planted(10, ("", "GATTACA")))
    fitted = fit_baseline("majority", planted(10, ("", "GATTACA")))
    with pytest.raises(UsageError, match="reads dna, the sequences are protein"):
        fitted.probabilities(sequence_set(["MKV"], alphabet=PROTEIN))


@pytest.mark.parametrize("name", OF_CLASSES)
def test_nothing_to_predict_is_predicted(name: str) -> None:
    train = embedded(sequence_set(["ACGTAA", "GGGGCC", "ACGTAC", "GGCGCC"], [0, 1, 0, 1]))
    assert fit_baseline(name, train).probabilities(sequence_set([])).shape == (0, 2)


@pytest.mark.parametrize("density", [0.02, 0.6])
def test_short_views_keep_the_inner_products_of_sparse_rows(density: float) -> None:
    rng = np.random.default_rng(0)
    rows = scipy.sparse.csr_array(rng.random((12, 40)) * (rng.random((12, 40)) < density))
    kept, held_out = np.arange(8), np.arange(8, 12)
    ((short, other),) = short_views(rows, [(kept, held_out)], wide=True)
    whole = rows.toarray()
    np.testing.assert_allclose(short @ short.T, whole[kept] @ whole[kept].T, atol=1e-8)
    np.testing.assert_allclose(other @ short.T, whole[held_out] @ whole[kept].T, atol=1e-8)
