"""The learning curve: exact where a power law is, as sure as it may be, and what trainings on shares say."""

import itertools
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from seqreg.alphabet import PROTEIN
from seqreg.evaluation import learning_curve as room
from seqreg.evaluation.learning_curve import learning_curve, said
from seqreg.metrics import METRICS
from seqreg.records import read_json
from seqreg.sequences import SequenceSet, train_subset, write_fasta
from seqreg.targets import EVERY_METRIC
from seqreg.training import CrossValidation, TrainConfig, learn, train
from seqreg.training.folds import plan_folds
from tests.conftest import planted, without_baselines

Call = Callable[..., CompletedProcess[str]]
SIZES = np.array([25, 50, 75, 100])
AUROC = METRICS["auroc"]
TINY = TrainConfig(
    model="cnn:filters=4,width=5", penalty=(), epochs=1, threads=1, device="cpu", calibration="none", by="stratified",
    baselines=False,
)  # fmt: skip


def test_a_power_law_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of folds that hardly differ, with an exponent and a share that the grid has."""
    monkeypatch.setattr(room, "LEAST_SPREAD", 1e-5)
    level = 1 - 0.2 * (0.5 + 0.5 * (SIZES / 100) ** -0.5)
    scores = level[:, None] + np.array([-1e-5, 0, 1e-5])
    found = learning_curve(AUROC, SIZES, scores.tolist())
    assert found is not None
    truth = 1 - 0.2 * (0.5 + 0.5 * 3**-0.5)
    value, (low, high) = found.score(300)
    assert (value, high - low < 0.01) == (pytest.approx(truth, abs=2e-3), True)
    gain, (low, high) = found.gain(100, 300)
    assert gain == pytest.approx(truth - level[-1], abs=2e-3)
    assert low <= gain <= high
    assert found.gain(100, 200)[0] < gain


def test_it_is_as_a_loop_over_all_laws_says() -> None:
    scores = np.random.default_rng(0).normal([[0.8], [0.84], [0.88], [0.89]], 0.03, size=(4, 5))
    found = learning_curve(AUROC, SIZES, scores.tolist())
    assert found is not None
    spread = np.cov(scores)
    variance = np.trace(spread) / 4
    shared = np.clip((spread.sum() - np.trace(spread)) / 12 / variance, 0, 0.95)
    inverse = np.linalg.inv((1 / 5 + 1 / 4) * variance * (np.eye(4) * (1 - shared) + shared))
    error = 1 - scores.mean(axis=1)
    gains, weights = [], []
    for r, c in itertools.product(room.SHARES, room.EXPONENTS):
        shape = r + (1 - r) * (SIZES / 100.0) ** -c
        precision = shape @ inverse @ shape
        level = shape @ inverse @ error / precision
        off = error - level * shape
        weight = (1 + off @ inverse @ off / 4) ** -4 / precision**0.5
        for q in range(room.LEVELS):
            at = max(0.0, level + student.ppf((q + 0.5) / room.LEVELS, 4) / precision**0.5)
            later = at * (r + (1 - r) * 3.0**-c)
            for k in range(room.LUCKS):
                luck = norm.ppf((k + 0.5) / room.LUCKS) * room.LUCK * (at**2 + later**2) ** 0.5
                gains.append(max(0.0, at - later + luck))
                weights.append(weight)
    order = np.argsort(gains)
    below = np.cumsum(np.array(weights)[order]) / np.sum(weights)
    slow = [np.array(gains)[order][np.searchsorted(below, level)] for level in (0.5, 0.025, 0.975)]
    gain, (low, high) = found.gain(100, 300)
    assert [gain, low, high] == pytest.approx(slow, abs=2e-3)


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Laws with noise that folds share at all sizes, and noise of each size."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        r, c, level = rng.uniform(0, 1), rng.uniform(0.1, 1), rng.uniform(0.05, 0.3)
        error = level * (r + (1 - r) * (SIZES / 100.0) ** -c)
        scores = 1 - error[:, None] + rng.normal(0, 0.03, size=5) + rng.normal(0, 0.01, size=(4, 5))
        found = learning_curve(AUROC, SIZES, scores.tolist())
        assert found is not None
        low, high = found.gain(100, 300)[1]
        held += low <= level * (1 - r) * (1 - 3.0**-c) <= high
    assert held >= 185


def test_errors_and_scores_are_the_same_curve_and_what_is_undefined_is_left_out() -> None:
    scores = np.random.default_rng(2).normal([[0.7], [0.75], [0.8], [0.82]], 0.02, size=(4, 5))
    rising, falling = learning_curve(AUROC, SIZES, scores), learning_curve(EVERY_METRIC["rmse"], SIZES, 1 - scores)
    assert rising is not None
    assert falling is not None
    assert falling.gain(100, 300)[0] == pytest.approx(-rising.gain(100, 300)[0], abs=1e-3)
    assert "lower the RMSE by about 0.0" in falling.to_plain("rmse", 100)["sentence"]
    assert rising.to_plain("auroc", 123)["more"][0]["sequences"] == 120
    holes: list[list[float | None]] = [[None, *row] for row in scores.tolist()]
    again = learning_curve(AUROC, SIZES, holes)
    assert again is not None
    assert again.gain(100, 300) == rising.gain(100, 300)
    assert learning_curve(AUROC, SIZES, [[0.5]] * 4) is None
    assert "100 more sequences like these would add about 0.020 to the" in said(AUROC, 100, 0.02, (0.0, 0.04))


@pytest.fixture(scope="module")
def proteins() -> SequenceSet:
    return planted(PROTEIN, "WKHFCC", n=60)


def test_shares_of_folds_are_learned_from(proteins: SequenceSet, tmp_path: Path) -> None:
    """Against one of the trainings by hand; stopped in between, it goes on."""
    from seqreg.report import write_report
    from seqreg.training import folds

    asked = CrossValidation(folds=2, learning_curve=True)
    attempt, done = folds.Work.attempt_share, []

    def stopped(self: folds.Work, share: float, fold: int) -> dict[str, Any]:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((share, fold))
        return attempt(self, share, fold)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds.Work, "attempt_share", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(proteins, TINY, tmp_path / "run", folds=asked)
    train(proteins, TINY, tmp_path / "run", folds=asked, resume=True, finish=write_report)
    found = read_json(tmp_path / "run" / "metrics.json")["learning_curve"]
    assert done == [(0.25, 0), (0.25, 1), (0.5, 0)]
    assert [each["trained_on"] for each in found["points"]] == [8, 15, 22, 30]
    of_all = [each["network"]["auroc"] for each in read_json(tmp_path / "run" / "metrics.json")["folds"]]
    assert found["points"][-1]["folds"] == pytest.approx(of_all)
    kept, held_out = plan_folds(proteins, TINY, asked, tmp_path).rows(0, 1)
    some = kept[train_subset(proteins.subset(kept), 15, seed=1)]
    network = learn(proteins.subset(some), TrainConfig(**{**vars(TINY), "seed": 1, "test": 0.0})).network
    _, y = proteins.subset(held_out).labelled()
    assert found["points"][1]["folds"][1] == pytest.approx(AUROC(y, network.probabilities(proteins.subset(held_out))))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert found["sentence"].removeprefix("Would more data help? ") in page


def test_folds_are_needed_for_a_learning_curve(
    proteins: SequenceSet, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_baselines(monkeypatch, "kmer-svm", "kmer-logistic", "one-hot-logistic")
    write_fasta(tmp_path / "x.fa", proteins)
    words = [tmp_path / "x.fa", "--model", "cnn:filters=4,width=5", "--penalty", "none", "--epochs", 1, "--by"]
    words += ["stratified", "--calibration", "none", "--device", "cpu", "--threads", 1, "--workers", 1]
    refused = call("train", *words, "-o", tmp_path / "run", "--folds", 0, "--learning-curve")
    assert refused.returncode == 2
    assert "give --folds K" in refused.stderr
    done = call("train", *words, "-o", tmp_path / "run", "--folds", 2, "--learning-curve")
    assert done.returncode == 0, done.stderr
    assert "Would more data help? " in done.stderr
    assert "--learning-curve" not in read_json(tmp_path / "run" / "metrics.json")["verdict"]["next"]
