"""The metrics record: its keys, its laws, its intervals."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
import sklearn.metrics as reference
from numpy.typing import NDArray

from seqreg.errors import UsageError
from seqreg.evaluation import bootstrap_intervals, evaluate
from seqreg.evaluation.intervals import draw_counts
from seqreg.metrics import METRICS, accuracy, auroc
from seqreg.records import dump_json, to_plain
from seqreg.targets import Classes, Labels, Target

KEYS = [
    "n", "classes", "positive", "split", "accuracy", "balanced_accuracy", "auroc", "auroc50", "auprc", "mcc", "ece",
    "log_loss", "intervals", "per_class",
]  # fmt: skip


def classes(names: Sequence[str], positive: str | None = None) -> Classes:
    return Classes(names=tuple(names), asked_for=positive if len(names) == 2 else None)


def task(n: int, k: int, seed: int = 0, skill: float = 1.0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.arange(n) % k)
    odds = np.exp(generator.normal(size=(n, k)) + skill * np.eye(k)[y])
    return y, odds / odds.sum(axis=1, keepdims=True)


def labels_task(n: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    generator = np.random.default_rng(3)
    y = generator.integers(0, 2, size=(n, k))
    return y, np.clip(0.25 * y + 0.7 * generator.random((n, k)), 0, 1)


@pytest.mark.parametrize("k", [2, 3])
def test_the_record_has_the_keys_of_metrics_json(k: int) -> None:
    y, p = task(90, k)
    record = evaluate(classes("abc"[:k], "a"), y, p, split="valid", resamples=50)
    plain = record.to_plain()
    assert list(plain)[: len(KEYS)] == KEYS
    assert (plain["n"], plain["split"], plain["positive"]) == (90, "valid", "a" if k == 2 else None)
    assert plain["intervals"].keys() == METRICS.keys()
    assert to_plain(record.values) == {name: plain[name] for name in METRICS}
    assert json.loads(dump_json(record)) == plain
    assert plain["reason"] == {}


def test_the_positive_class_may_be_the_first() -> None:
    y, p = task(301, 2)
    record = evaluate(classes(("amp", "other"), "amp"), y, p, resamples=0)
    assert record.values["auprc"] == pytest.approx(reference.average_precision_score(y == 0, p[:, 0]))
    other = evaluate(classes(("amp", "other"), "other"), y, p, resamples=0)
    assert other.positive == "other"
    assert other.values["auprc"] == pytest.approx(reference.average_precision_score(y, p[:, 1]))


@pytest.mark.parametrize("labels", [False, True])
def test_the_order_of_the_sequences_changes_nothing(labels: bool) -> None:
    y, p = labels_task(70, 3) if labels else task(70, 3)
    shuffled = np.random.default_rng(1).permutation(70)
    target = Labels(names=tuple("abc")) if labels else classes("abc")
    first = evaluate(target, y, p, resamples=40)
    second = evaluate(target, y[shuffled], p[shuffled], resamples=40)
    assert first == second


def test_per_class_numbers_agree_with_scikit_learn() -> None:
    y, p = task(211, 3)
    rows = evaluate(classes(("ei", "ie", "n")), y, p, resamples=0).per_class
    expected = reference.classification_report(y, p.argmax(axis=1), target_names=["ei", "ie", "n"], output_dict=True)
    for k, name in enumerate(("ei", "ie", "n")):
        assert rows[name]["auroc"] == pytest.approx(reference.roc_auc_score(y == k, p[:, k]))
        assert rows[name]["auprc"] == pytest.approx(reference.average_precision_score(y == k, p[:, k]))
        for ours, theirs in {
            "precision": "precision",
            "recall": "recall",
            "f1": "f1-score",
            "support": "support",
        }.items():
            assert rows[name][ours] == pytest.approx(expected[name][theirs])


def test_per_label_numbers_of_a_multi_label_task() -> None:
    y, p = labels_task(60, 4)
    record = evaluate(Labels(names=("er", "golgi", "nucleus", "vacuole")), y, p, resamples=20)
    assert record.positive is None
    assert record.per_class["golgi"]["recall"] == pytest.approx(reference.recall_score(y[:, 1], p[:, 1] >= 0.5))
    assert np.shape(record.confusion) == (4, 2, 2)
    assert all(interval is not None for interval in record.intervals.values())


def test_what_is_undefined_is_null_and_says_why() -> None:
    y = np.zeros(12, dtype=int)
    p = np.tile([0.3, 0.7], (12, 1))
    plain = evaluate(classes(("amp", "other"), "other"), y, p, resamples=30).to_plain()
    for name in ("auroc", "auroc50", "auprc", "mcc", "balanced_accuracy"):
        assert plain[name] is None
        assert plain["intervals"][name] is None
        assert plain["reason"][name] == "no sequence of class other"
    assert plain["accuracy"] == 0
    assert plain["per_class"]["amp"]["precision"] is None
    assert plain["per_class"]["amp"]["reason"]["precision"] == "no sequence is predicted as amp"
    assert plain["per_class"]["other"]["reason"]["recall"] == "no sequence of class other"
    assert plain["per_class"]["amp"]["reason"]["auroc"] == "every sequence is of class amp"


def test_no_sequences_at_all() -> None:
    plain = evaluate(classes("ab", "b"), np.zeros(0, dtype=int), np.zeros((0, 2)), resamples=10).to_plain()
    assert plain["n"] == 0
    assert [plain[name] for name in METRICS] == [None] * len(METRICS)
    assert plain["reason"].keys() == METRICS.keys()


@pytest.mark.parametrize("n", [60, 3000])
def test_intervals_hold_their_value_and_depend_on_the_seed_alone(n: int) -> None:
    y, p = task(n, 3, skill=0.4)
    first, again, other = (evaluate(classes("abc"), y, p, seed=seed, resamples=60) for seed in (4, 4, 5))
    assert first == again
    assert first.intervals != other.intervals
    for name, interval in first.intervals.items():
        value = first.values[name]
        assert interval is not None
        assert value is not None
        assert interval[0] <= value <= interval[1]
        assert interval[0] < interval[1]


def test_an_interval_of_accuracy_is_that_of_a_share() -> None:
    """The bootstrap of a mean of zeros and ones is a binomial, whose quantiles are known."""
    n, right = 400, 0.8
    y = np.zeros(n, dtype=int)
    p = np.where((np.arange(n) < right * n)[:, None], [0.9, 0.1], [0.1, 0.9])
    interval = bootstrap_intervals({"accuracy": accuracy}, y, p, strata=y, resamples=4000)["accuracy"]
    assert interval is not None
    half = 1.96 * np.sqrt(right * (1 - right) / n)
    np.testing.assert_allclose(interval, [right - half, right + half], atol=0.15 * half)


def test_resamples_keep_the_size_of_every_class() -> None:
    strata = np.repeat([0, 1, 2], [3, 40, 11])
    counts = draw_counts(strata, 25, np.random.default_rng(0))
    for stratum, size in enumerate((3, 40, 11)):
        assert (counts[:, strata == stratum].sum(axis=1) == size).all()
    assert counts.std(axis=0).min() > 0


def test_every_resample_of_an_evaluation_has_the_classes_of_the_data() -> None:
    """So the accuracy of a model that always calls one class never differs, and its interval is that of a share."""
    y, p = np.repeat([0, 1, 2], [3, 40, 11]), np.tile([0.2, 0.5, 0.3], (54, 1))
    wilson = proportion_interval(40, 54)
    assert evaluate(classes("abc"), y, p, resamples=50).intervals["accuracy"] == pytest.approx(wilson)


def proportion_interval(hits: int, n: int) -> tuple[float, float]:
    """The shares that a normal test of them does not reject at 5 %: what Wilson's interval is, by search."""
    shares = np.linspace(0, 1, 2_000_001)
    kept = shares[np.abs(hits / n - shares) <= 1.959963984540054 * np.sqrt(shares * (1 - shares) / n)]
    return float(kept[0]), float(kept[-1])


def test_no_interval_has_width_0() -> None:
    """At perfect separation, for a constant score, and for one sequence of a class."""
    y = np.repeat([0, 1], [19, 17])
    certain = np.where(y[:, None] == [0, 1], 0.999, 0.001)
    for p in (certain, np.full((36, 2), 0.5), 1 - certain):
        for interval in evaluate(classes("ab", "b"), y, p, resamples=60).intervals.values():
            assert interval is None or interval[1] - interval[0] > 1e-3
    found = evaluate(classes("ab", "b"), y, certain, resamples=60).intervals["auroc"]
    assert found == pytest.approx(proportion_interval(17, 17))
    few = evaluate(classes("ab", "b"), np.array([0, 0, 1]), certain[[0, 1, 30]], resamples=60)
    assert few.intervals["auroc"] == pytest.approx(proportion_interval(1, 1))


def test_draws_that_leave_a_label_out_are_left_out() -> None:
    y = np.array([[1, 0], [0, 1], [0, 0], [0, 1]])
    p = np.array([[0.9, 0.2], [0.3, 0.6], [0.4, 0.7], [0.2, 0.8]])
    interval = bootstrap_intervals({"auroc": auroc}, y, p, strata=None, resamples=200)["auroc"]
    assert interval is not None
    assert 0 <= interval[0] <= interval[1] <= 1


@pytest.mark.parametrize(
    ("target", "y", "p", "says"),
    [
        (classes("ab"), [0, 1], [[0.5, 0.5]], "a column per class"),
        (classes("ab"), [0, 1], [[1.0, 0.0, 0.0]] * 2, "a column per class"),
        (classes("ab"), [[0, 1]], [[0.5, 0.5]], "class indices"),
        (classes("ab"), [0, 2], [[0.5, 0.5]] * 2, "class indices 0 to 1"),
        (classes("ab"), [0, 1], [[0.5, 0.5], [0.5, float("nan")]], "the first is row 1"),
        (classes("ab"), [0, 1], [[1.5, -0.5]] * 2, "2 rows are no probabilities"),
        (classes("ab"), [0, 1], [[0.5, 0.4]] * 2, "sum to 1"),
        (Labels(names=("a", "b")), [0, 1], [[0.5, 0.5]] * 2, "zeros and ones"),
    ],
)
def test_arrays_that_do_not_fit(target: Target, y: list, p: list, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        evaluate(target, y, p)
