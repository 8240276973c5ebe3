"""What the training part decides: strands and positions; and that letters of RNA and DNA are the same molecules."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqreg.alphabet import DNA, PROTEIN, RNA, Alphabet
from seqreg.errors import InputError, UsageError
from seqreg.linear import FITS, inner_folds
from seqreg.networks import SpectrumNet, Sum
from seqreg.records import read_json
from seqreg.sequences import InputSpec, SequenceSet, read_input, read_store, write_store
from seqreg.sequences.datasets import read_description
from seqreg.targets import Classes, Values
from seqreg.training import TrainConfig, architecture_of, train, with_defaults
from seqreg.training.defaults import decided
from seqreg.training.evidence import Evidence
from seqreg.training.heads import fit_head
from seqreg.training.held_out import HeldOut
from seqreg.unfinished import afresh

MOTIF = np.array([3, 2, 0, 1, 2, 3, 3, 1], dtype=np.uint8)  # TGACGTTC


def simulated(strands: int, seed: int, *, n: int = 200, length: int = 60, alphabet: Alphabet = DNA) -> SequenceSet:
    """n sequences; every second one holds the motif, one letter of it changed, on one or on either of two strands."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length)).astype(np.uint8)
    y = np.arange(n) % 2
    for row in np.flatnonzero(y):
        site = MOTIF.copy() if rng.random() * strands < 1 else 3 - MOTIF[::-1]
        site[rng.integers(8)] = rng.integers(4)
        begin = rng.integers(length - 7)
        codes[row, begin : begin + 8] = site
    return of_codes(codes, y, alphabet)


def of_codes(codes: np.ndarray, y: np.ndarray, alphabet: Alphabet) -> SequenceSet:
    n, length = codes.shape
    return SequenceSet(
        alphabet=alphabet,
        names=[f"s{i}" for i in range(n)],
        codes=codes.ravel(),
        offsets=np.arange(n + 1) * length,
        target=Classes(names=("absent", "with")),
        y=y,
    )


@pytest.mark.parametrize("strands", [1, 2])
def test_evidence_tells_one_strand_from_two(strands: int) -> None:
    right = sum(
        Evidence(simulated(strands, seed), TrainConfig()).strands().decided == (strands == 2) for seed in range(3)
    )
    assert right == 3


def test_evidence_of_the_opposite_strand_decides_where_losses_mislead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations in which k-mers of the other choice happen to have the smaller loss."""
    of_one = Evidence(simulated(1, 401, n=100), TrainConfig()).strands()
    assert not of_one.decided
    assert "no better than a guess, on the opposite one" in of_one.reason
    of_either = Evidence(simulated(2, 309), TrainConfig())
    for errors, both_read in ((0.0, False), (3.0, True)):  # as it is, this one is not told
        monkeypatch.setattr("seqreg.training.evidence.TURNED", errors)
        assert of_either.strands().decided is both_read
        both, one, opposite = map(float, re.findall(r"0\.\d+", of_either.strands().reason))
        assert one < both < opposite < np.log(2)


def test_fits_score_other_forms_of_the_sequences_that_they_have_not_seen() -> None:
    """By dense regressions on k-mers counted in strings, fitted anew without each fold."""
    data = simulated(1, 5, n=60, length=20)
    texts = [data.sequence(i) for i in range(60)]
    turned = [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in texts]

    def shares(texts: list[str], k: int) -> np.ndarray:
        kmers = ["".join(each) for each in itertools.product("ACGT", repeat=k)]
        return np.array(
            [[[t[i : i + k] for i in range(21 - k)].count(kmer) / (21 - k) for kmer in kmers] for t in texts]
        )

    scales = [1 / np.sqrt(3 * np.square(shares(texts, k)).sum(1).mean()) for k in (1, 2, 3)]
    forward, backward = (
        np.hstack([shares(each, k) * scale for k, scale in zip((1, 2, 3), scales, strict=True)])
        for each in (texts, turned)
    )
    y, config = data.labelled()[1], TrainConfig(class_weight="none")
    held_out = HeldOut.of(data, None, config, 4, None)
    spectra = [SpectrumNet(DNA, k, outputs=1, length=20) for k in (1, 2, 3)]
    found = fit_head(spectra, config, data, held_out, afresh, (3.0,), data.opposite())
    expected = np.zeros((2, 60, 1))
    for inner, outer in inner_folds(data, 4, 0):
        coef, intercept = FITS[Classes.task](forward[inner], y[inner], 3.0, None, 0)
        expected[0, outer], expected[1, outer] = (rows[outer] @ coef.T + intercept for rows in (forward, backward))
    assert np.abs(expected[0] - expected[1]).mean() > 0.1
    np.testing.assert_allclose(found, np.concatenate(expected), atol=0.01)  # solvers stop at some tolerance
    alone = fit_head(spectra, config, data, held_out, afresh, (3.0,))
    np.testing.assert_allclose(alone, found[:60], atol=1e-9)  # other forms choose nothing


def test_features_read_some_sequences_at_a_time_are_those_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, config = simulated(1, 5, n=60, length=20), TrainConfig(class_weight="none")
    train, valid = data.subset(np.arange(40)), data.subset(np.arange(40, 60))
    monkeypatch.setattr("seqreg.training.heads.STRENGTH_CHOSEN_ON", 20)
    scores = []
    for at_once in (60, 7):
        monkeypatch.setattr("seqreg.training.heads.ROWS_READ", at_once)
        spectra = [SpectrumNet(DNA, k, outputs=1, length=20) for k in (1, 2, 3)]
        scores.append(fit_head(spectra, config, train, HeldOut.of(train, valid, config, None, None), afresh))
        assert scores[-1].shape == (20, 1)
    np.testing.assert_allclose(*scores, atol=1e-9)


def test_the_opposite_strand_is_the_reverse_complement_of_each_sequence() -> None:
    texts = ["ACGTTN", "RGA", "TTTTC"]
    data = of_codes(np.zeros((3, 1), np.uint8), np.arange(3) % 2, DNA)
    data = replace(data, codes=DNA.encode("".join(texts)), offsets=np.array([0, 6, 9, 14]))
    turned = data.opposite()
    assert [turned.sequence(i) for i in range(3)] == ["NAACGT", "TCY", "GAAAA"]
    assert list(turned.names) == ["s0", "s1", "s2"]
    assert turned.opposite().codes.tolist() == data.codes.tolist()
    with pytest.raises(UsageError, match="no other strand"):
        of_codes(np.zeros((2, 3), np.uint8), np.arange(2), PROTEIN).opposite()


def test_evidence_is_said_and_flags_and_data_come_before_it() -> None:
    data = simulated(2, 0)
    config, reasons = decided(TrainConfig(), data, None)
    assert config.reverse_complement
    assert reasons[0].startswith("Reads both strands: their k-mers have a loss of 0.")
    assert len(reasons) == 1, "positions are not asked about where both strands are read"
    assert decided(TrainConfig(reverse_complement=False, model="cnn"), data, None)[1] == ()
    said = replace(simulated(1, 0), both_strands=True)
    assert with_defaults(TrainConfig(), said, None).reverse_complement
    assert not with_defaults(TrainConfig(reverse_complement=False), said, None).reverse_complement
    assert with_defaults(TrainConfig(), replace(data, alphabet=RNA), None).reverse_complement is False
    assert with_defaults(TrainConfig(model="cnn:pooling=position"), data, None).reverse_complement is False


def test_little_evidence_leaves_one_strand() -> None:
    rng = np.random.default_rng(0)
    noise = of_codes(rng.integers(0, 4, (80, 30)).astype(np.uint8), np.arange(80) % 2, DNA)
    found = Evidence(noise, TrainConfig()).strands()
    assert not found.decided
    assert "tell nothing" in found.reason
    few = Evidence(noise.subset(np.arange(40)), TrainConfig()).strands()
    assert not few.decided
    assert "too few" in few.reason


@pytest.mark.parametrize(("place", "kept"), [(True, True), (False, False)])
def test_evidence_decides_on_positions(place: bool, kept: bool) -> None:
    rng = np.random.default_rng(0)  # with others, what tells nothing may make the loss smaller by what solvers leave
    codes = rng.integers(0, 20, (120, 40)).astype(np.uint8)
    y = np.arange(120) % 2
    for row in np.flatnonzero(y):
        begin = 5 if place else rng.integers(36)
        codes[row, begin : begin + 4] = (18, 8, 4, 4)
    config, reasons = decided(TrainConfig(), of_codes(codes, y, PROTEIN), None)
    assert ("position" in config.model.pooling) == kept
    assert reasons[0].startswith("Positions count" if kept else "Motifs anywhere")
    longer = of_codes(np.tile(codes, (1, 6)), y, PROTEIN)
    assert "more than 200 letters" in decided(TrainConfig(), longer, None)[1][0]


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN])
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("n", [20, 60])
def test_with_little_evidence_too_nothing_is_wider_than_the_sequences(alphabet: Alphabet, length: int, n: int) -> None:
    rng = np.random.default_rng(0)
    data = of_codes(rng.integers(0, 4, (n, length)).astype(np.uint8), np.arange(n) % 2, alphabet)
    config = with_defaults(TrainConfig(), data, None)
    assert architecture_of(config, data).build().receptive_field <= length


@pytest.mark.parametrize("pairs", [False, True])
def test_evidence_decides_on_two_mers_of_proteins(pairs: bool) -> None:
    """Peptides whose class is a noisy sum over letters, or the 2-mers that they hold."""
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 20, (120, 6)).astype(np.uint8)
    y = np.arange(120) % 2
    if pairs:
        codes[:, 2:4] = np.stack([np.where(y, 3, 7), np.where(y, 7, 3)], 1)
    else:
        y = (rng.normal(size=20)[codes].sum(1) + rng.logistic(size=120) > 0).astype(np.int64)
    config, reasons = decided(TrainConfig(), of_codes(codes, y, PROTEIN), None)
    assert isinstance(config.model, Sum)
    assert config.model.counted == ((1, 2) if pairs else (1,))
    assert any(reason.startswith("Counts single letters alone: ") for reason in reasons) != pairs
    assert reasons[0].startswith("Positions count: " if pairs else "Letters anywhere: ")
    assert config.model.positions == pairs
    assert config.model.pooling == (("max", "position") if pairs else ("none",)), "a single window is a position"
    longer = of_codes(np.tile(codes, (1, 4)), y, PROTEIN)
    assert with_defaults(TrainConfig(), longer, None).model.counted == (1, 2)  # pyright: ignore[reportAttributeAccessIssue]


def test_evidence_that_tells_nothing_leaves_positions_and_two_mers() -> None:
    rng = np.random.default_rng(0)
    noise = of_codes(rng.integers(0, 20, (80, 30)).astype(np.uint8), np.arange(80) % 2, PROTEIN)
    found = Evidence(noise, TrainConfig()).positions()
    assert found.decided
    assert "tell nothing" in found.reason
    kept = Evidence(noise.subset(np.arange(40)), TrainConfig()).kmers()
    assert kept.decided
    assert "too few" in kept.reason


@pytest.mark.parametrize("values", [False, True])
def test_rna_and_dna_letters_give_the_same_network_by_evidence(tmp_path: Path, values: bool) -> None:
    """Classes of sites on RNA, and values of guides of 21 letters."""
    data = simulated(1, 3, n=60, length=21 if values else 30)
    if values:
        data = replace(data, target=Values(), y=data.y + np.linspace(0, 1, 60))
    config = TrainConfig(epochs=1, threads=1, test=0.0, baselines=False, calibration="none")
    for alphabet in (DNA, RNA):
        train(replace(data, alphabet=alphabet), config, tmp_path / alphabet.name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("dna", "rna")]
    assert weights[0] == weights[1]
    assert any("one strand" in reason for reason in read_json(tmp_path / "dna" / "config.json")["decided"])


def test_filters_are_no_longer_than_the_sequences() -> None:
    lengths = np.array([6, 7, 9, 11] * 15)
    data = of_codes(np.zeros((60, 6), np.uint8), np.arange(60) % 2, PROTEIN)
    data = replace(data, codes=np.zeros(lengths.sum(), np.uint8), offsets=np.concatenate([[0], lengths.cumsum()]))
    assert with_defaults(TrainConfig(), data, None).model.width == (6,)


def test_data_say_that_sequences_are_of_either_strand(tmp_path: Path) -> None:
    data = replace(simulated(1, 0, n=8), both_strands=True)
    write_store(tmp_path / "set.h5", data)
    assert read_store(tmp_path / "set.h5").both_strands
    assert data.subset(np.arange(3)).both_strands
    (tmp_path / "genome.fa").write_text(">chr1\nACGTACGTTTGACCATGACC\n")
    for strands, said in ((("", ""), True), (("\t.\t+", "\t.\t."), False)):
        rows = [f"chr1\t{2 * i}\t{2 * i + 9}\tyes{strand}" for i, strand in enumerate(strands)]
        (tmp_path / "regions.bed").write_text("\n".join(rows) + "\n")
        spec = InputSpec(bed=tmp_path / "regions.bed", genome=tmp_path / "genome.fa")
        assert read_input(spec).both_strands is said
    (tmp_path / "dataset.toml").write_text(
        'name = "x"\ntitle = "x"\nalphabet = "dna"\nkind = "classification"\nfile = "x.csv"\nsha256 = ""\n'
        'source = ""\nlicence = ""\nstrand = "both"\n'
    )
    assert read_description(tmp_path).strand == "both"
    text = (tmp_path / "dataset.toml").read_text()
    (tmp_path / "dataset.toml").write_text(text.replace('"both"', '"-"'))
    with pytest.raises(InputError, match="strand '-'"):
        read_description(tmp_path)
