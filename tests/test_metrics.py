"""Metrics against counting pairs one by one, against scikit-learn, and against their laws."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seqreg.metrics import (
    METRICS,
    UndefinedMetricError,
    accuracy,
    auprc,
    auroc,
    auroc50,
    balanced_accuracy,
    confusion,
    ece,
    log_loss,
    mcc,
    reliability,
)

RANKING = {"auroc": auroc, "auroc50": auroc50, "auprc": auprc}


def task(n: int, k: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """n sequences of k classes, all present, with probabilities in steps of 1/16 so that many are equal."""
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.arange(n) % k)
    parts = generator.multinomial(16, np.full(k, 1 / k), size=n) + 6 * np.eye(k, dtype=int)[y]
    return y, parts / parts.sum(axis=1, keepdims=True)


def labels_task(n: int, k: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, size=(n, k))
    y[0], y[1] = 0, 1
    return y, np.clip(np.round(generator.random((n, k)) * 8 + 2 * y) / 10, 0, 1)


def pairs_won(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Chance that a positive is above a negative, pair by pair."""
    points = [
        Fraction(1) if positive > negative else Fraction(1, 2) if positive == negative else Fraction(0)
        for positive in scores[truth]
        for negative in scores[~truth]
    ]
    return float(sum(points) / len(points))


def area_to_50(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Unit steps of false positives under the curve in which equal scores are one straight line."""
    corners = [(0, 0)]
    for score in sorted(set(scores), reverse=True):
        chosen = scores >= score
        corners.append((int((chosen & ~truth).sum()), int((chosen & truth).sum())))

    def height(false: int, side: str) -> Fraction:
        for (x0, y0), (x1, y1) in pairwise(corners):
            inside = x0 <= false < x1 if side == "right" else x0 < false <= x1
            if inside:
                return y0 + Fraction((y1 - y0) * (false - x0), x1 - x0)
        raise AssertionError

    limit = min(50, int((~truth).sum()))
    area = sum((height(j, "right") + height(j + 1, "left")) / 2 for j in range(limit))
    return float(area / (limit * int(truth.sum())))


scored = st.integers(2, 160).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda truth: 0 < sum(truth) < len(truth)),
        st.lists(st.integers(-3, 9), min_size=n, max_size=n),
    )
)


@given(scored)
def test_auroc_is_the_share_of_pairs_won(data: tuple[list[bool], list[int]]) -> None:
    truth, scores = np.array(data[0]), np.array(data[1], dtype=float)
    assert auroc(truth, scores) == pytest.approx(pairs_won(truth, scores), abs=1e-12)


@given(scored)
def test_auroc50_is_the_area_step_by_step(data: tuple[list[bool], list[int]]) -> None:
    truth, scores = np.array(data[0]), np.array(data[1], dtype=float)
    assert auroc50(truth, scores) == pytest.approx(area_to_50(truth, scores), abs=1e-12)


@pytest.mark.parametrize("name", RANKING)
@given(scored)
def test_ranking_metrics_ignore_order_and_monotone_maps(name: str, data: tuple[list[bool], list[int]]) -> None:
    truth, scores = np.array(data[0]), np.array(data[1], dtype=float)
    value = RANKING[name](truth, scores)
    assert RANKING[name](truth[::-1], scores[::-1]) == pytest.approx(value, abs=1e-12)
    assert RANKING[name](truth, np.exp(scores / 7) - 40) == pytest.approx(value, abs=1e-12)


def test_auroc50_equals_scikit_learns_partial_area() -> None:
    y, p = task(331, 2)
    negatives = int((y == 0).sum())
    share = 50 / negatives
    standardized = reference.roc_auc_score(y, p[:, 1], max_fpr=share)
    # McClish's standardization, undone: from (1 + (area - least) / (share - least)) / 2 back to area.
    least = share**2 / 2
    area = least + (2 * standardized - 1) * (share - least)
    assert auroc50(y, p) == pytest.approx(area / share, abs=1e-12)


def test_a_constant_score_tells_nothing() -> None:
    y = np.arange(300) % 3 == 0
    same = np.full(300, 0.4)
    assert auroc(y, same) == 0.5
    assert auroc50(y, same) == pytest.approx(25 / 200)
    assert auprc(y, same) == pytest.approx(1 / 3)
    few = y[:90]
    assert auroc50(few[::2], same[:45]) == 0.5


def test_fewer_than_50_negatives_make_auroc50_the_auroc() -> None:
    y, p = task(80, 2)
    assert auroc50(y, p) == pytest.approx(auroc(y, p), abs=1e-12)


def test_the_first_class_can_be_the_positive_one() -> None:
    y, p = task(223, 2)
    for metric in (auroc50, auprc):
        mirrored = metric(1 - y, p[:, ::-1], positive=1)
        assert metric(y, p, positive=0) == mirrored != metric(y, p, positive=1)
    assert auroc(y, p, positive=0) == pytest.approx(auroc(y, p, positive=1), abs=1e-12)
    assert mcc(y, p, positive=0) == mcc(y, p, positive=1)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_agreement_with_scikit_learn(k: int) -> None:
    y, p = task(157, k)
    called = p.argmax(axis=1)
    ours = {name: metric(y, p) for name, metric in METRICS.items()}
    scores = p[:, 1] if k == 2 else p
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(y, called))
    assert ours["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, called))
    assert ours["mcc"] == pytest.approx(reference.matthews_corrcoef(y, called))
    assert ours["log_loss"] == pytest.approx(reference.log_loss(y, p))
    assert ours["auroc"] == pytest.approx(reference.roc_auc_score(y, scores, multi_class="ovr"))
    truth = y if k == 2 else np.eye(k)[y]
    assert ours["auprc"] == pytest.approx(reference.average_precision_score(truth, scores))
    np.testing.assert_array_equal(confusion(y, p), reference.confusion_matrix(y, called))


def test_several_labels_are_the_mean_over_each_by_itself() -> None:
    y, p = labels_task(97, 4)
    for name, metric in METRICS.items():
        if name == "ece":
            continue
        # At a probability of exactly one half a label is given, but the first of two classes is called.
        by_label = [metric(y[:, k], np.stack([1 - p[:, k] - 1e-12, p[:, k]], axis=1), positive=1) for k in range(4)]
        assert metric(y, p) == pytest.approx(np.mean(by_label), abs=1e-9), name
    assert confusion(y, p).shape == (4, 2, 2)
    np.testing.assert_array_equal(confusion(y, p), reference.multilabel_confusion_matrix(y, p >= 0.5))


@pytest.mark.parametrize("data", [task(83, 2), task(83, 3), labels_task(83, 4)], ids=["binary", "classes", "labels"])
@pytest.mark.parametrize("name", METRICS)
def test_counts_are_repeated_rows(name: str, data: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
    y, p = data
    counts = np.random.default_rng(5).integers(0, 3, size=(6, len(y)))
    values = METRICS[name](y, p, counts=counts, positive=0)
    for row, value in zip(counts, values, strict=True):
        assert METRICS[name](np.repeat(y, row, axis=0), np.repeat(p, row, axis=0), positive=0) == pytest.approx(value)


@pytest.mark.parametrize("data", [task(83, 2), task(83, 3), labels_task(83, 4)], ids=["binary", "classes", "labels"])
def test_ece_is_the_mean_gap_of_the_reliability_curve(data: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
    y, p = data
    curve = reliability(y, p)
    gaps = np.abs(curve["forecast"] - curve["observed"])
    assert ece(y, p) == pytest.approx(np.average(gaps, weights=curve["count"]))
    assert curve["count"].sum() == (y.size if y.ndim == 2 else len(y))
    assert curve["high"] - curve["low"] == pytest.approx(0.1)
    assert (curve["low"] - 1e-12 <= curve["forecast"]).all()
    assert (curve["forecast"] <= curve["high"] + 1e-12).all()


def test_calibrated_forecasts_have_no_calibration_error() -> None:
    y = np.repeat([1, 0, 1, 0], [1, 3, 9, 1])
    p = np.repeat([0.25, 0.9], [4, 10])
    assert ece(y, p) == pytest.approx(0, abs=1e-12)
    assert ece(1 - y, p) == pytest.approx((4 * 0.5 + 10 * 0.8) / 14)


def test_a_certain_mistake_has_a_finite_loss() -> None:
    assert log_loss([0, 1], [[0.0, 1.0], [0.0, 1.0]]) == pytest.approx(-np.log(np.finfo(float).eps) / 2)


def test_the_same_prediction_for_all_has_no_correlation() -> None:
    assert mcc([0, 1, 1], [[0.1, 0.9]] * 3) == 0


@pytest.mark.parametrize("name", ["auroc", "auroc50", "mcc", "balanced_accuracy", "auprc"])
def test_no_value_without_positives(name: str) -> None:
    with pytest.raises(UndefinedMetricError, match="no sequence of class 1"):
        METRICS[name]([0, 0, 0], [[0.5, 0.5], [0.1, 0.9], [0.7, 0.3]])


def test_no_value_where_every_sequence_has_the_label() -> None:
    y, p = labels_task(20, 3)
    y[:, 1] = 1
    for metric in (auroc, auroc50, mcc, balanced_accuracy):
        with pytest.raises(UndefinedMetricError, match="every sequence is of class 1"):
            metric(y, p)
    assert accuracy(y, p) == pytest.approx(((p >= 0.5) == y).mean())


@pytest.mark.parametrize("name", METRICS)
def test_no_value_without_sequences(name: str) -> None:
    with pytest.raises(UndefinedMetricError, match="no sequences"):
        METRICS[name](np.zeros(0, dtype=int), np.zeros((0, 2)))
