"""Laws of weights and strata: a sequence of weight 3 is that sequence three times, in whatever is fitted or measured.

Folds are drawn by name here, so that the copies of a sequence are on the same side as the one that stands for them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seqreg import KmerClassifier, SequenceClassifier
from seqreg.alphabet import DNA
from seqreg.baselines import OF_CLASSES, fit_baseline
from seqreg.baselines.probabilities import sigmoid_of_scores, temperature_of_scores
from seqreg.evaluation.calibration import fit_temperature
from seqreg.evaluation.intervals import Units, bootstrap_intervals, flat_interval, resample
from seqreg.linear import fit_logistic, fit_svm
from seqreg.sequences import SequenceSet, class_weights
from seqreg.targets import Classes, Labels
from seqreg.training import TrainConfig
from seqreg.training.config import example_weights
from seqreg.training.learning import learn
from seqreg.training.weighing import factors_to_one_spread, stacking_weights
from tests.conftest import embedded, planted

TARGETS = ("two classes", "three classes", "labels")
FOLDS = 3
Array = NDArray[np.float64]


def weighted(target: str, n: int = 30) -> SequenceSet:
    """DNA of one length in which the weights, 0 to 4, go with what there is to learn."""
    generator = np.random.default_rng(7)
    data = embedded(planted(DNA, "TGACGTCA", n=n, shortest=20, longest=20))
    with_motif = np.arange(n) % 2
    if target == "two classes":
        y, classes = with_motif, ("absent", "with")
    elif target == "three classes":
        y, classes = with_motif + (np.arange(n) % 4 == 3), ("a", "b", "c")
    else:
        y, classes = np.stack([with_motif, generator.integers(2, size=n)], axis=1).astype(np.uint8), ("a", "b")
    weight = generator.integers(0, 4, size=n) + (np.arange(n) % 3 == 0)
    kind = Labels if target == "labels" else Classes
    return replace(data, y=y, target=kind(names=classes), weight=weight.astype(np.float64))


def repeated(data: SequenceSet) -> SequenceSet:
    """Each sequence as often as its weight says, with no weights."""
    assert data.weight is not None
    rows = np.repeat(np.arange(len(data)), data.weight.astype(int))
    return replace(data.subset(rows), weight=None, names=[f"{data.names[i]}.{k}" for k, i in enumerate(rows)])


def fold_of(data: SequenceSet) -> NDArray[np.int64]:
    """(N,) from 1, from the number in the name; each fold has sequences of every class."""
    number = np.array([int(name.partition(".")[0][1:]) for name in data.names])
    return number // 4 % FOLDS + 1


@pytest.fixture
def folds_by_name(few_strengths: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[SequenceSet], SequenceSet]:
    """Gives sequences the groups from which the folds are then taken."""

    def by_group(train: SequenceSet, folds: int, seed: int) -> list[tuple[Any, Any]]:
        group = train.group
        return [(np.flatnonzero(group != f), np.flatnonzero(group == f)) for f in np.unique(group)]

    def by_name(data: SequenceSet, folds: int, **_: Any) -> Any:
        return type("Split", (), {"part": data.group})

    monkeypatch.setattr("seqreg.baselines.tuning.inner_folds", by_group)
    monkeypatch.setattr("seqreg.training.held_out.inner_folds", by_group)
    monkeypatch.setattr("seqreg.training.calibration.folds", by_name)
    return lambda data: replace(data, group=fold_of(data).astype(str))


# ------------------------------------------------------------------------------------------------------- baselines


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("fit", [fit_logistic, fit_svm])
def test_linear_classifiers(fit: Any, target: str) -> None:
    data = weighted(target)
    assert data.weight is not None
    assert data.y is not None
    rows = np.random.default_rng(0).normal(size=(30, 3)) + data.y.reshape(30, -1)[:, :1]
    twice = np.repeat(np.arange(30), data.weight.astype(int))
    for one, other in zip(
        fit(rows, data.y, 2.0, data.weight, 0), fit(rows[twice], data.y[twice], 2.0, None, 0), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)
    every = np.ones((30, 2), dtype=np.uint8)  # a label that all carry
    np.testing.assert_allclose(fit(rows, every, 1.0, data.weight, 0)[1], np.log(2 * data.weight.sum() + 1))


def test_scores_become_probabilities() -> None:
    generator = np.random.default_rng(0)
    truth, weight = generator.random(40) < 0.4, generator.integers(0, 4, 40).astype(np.float64)
    scores, twice = generator.normal(size=40) + truth, np.repeat(np.arange(40), weight.astype(int))
    found = sigmoid_of_scores(scores, truth, weight)
    assert found == pytest.approx(sigmoid_of_scores(scores[twice], truth[twice]), rel=1e-3)
    y, several = generator.integers(3, size=40), generator.normal(size=(40, 3))
    several[np.arange(40), y] += 2
    found = temperature_of_scores(several, y, weight)
    assert found == pytest.approx(temperature_of_scores(several[twice], y[twice]), rel=1e-4)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", OF_CLASSES)
def test_baselines(name: str, target: str, folds_by_name: Any) -> None:
    data = weighted(target)
    spec = f"{name}:k=2" if name.startswith("kmer") else name
    found, wanted = (fit_baseline(spec, folds_by_name(one)) for one in (data, repeated(data)))
    assert (found.features, found.c) == (wanted.features, wanted.c)
    assert found.cv_auroc == pytest.approx(wanted.cv_auroc, abs=1e-9)
    for one, other in zip(found.trials, wanted.trials, strict=True):
        assert one["cv_auroc"] == pytest.approx(other["cv_auroc"], abs=0.01)  # a pair may be turned by rounding
    np.testing.assert_allclose(found.intercept, wanted.intercept, rtol=0.02, atol=0.01)
    np.testing.assert_allclose(found.coef, wanted.coef, rtol=0.02, atol=0.02 * np.abs(wanted.coef).max(initial=0))


# -------------------------------------------------------------------------------------------------------- networks


def settings(**changes: Any) -> TrainConfig:
    """One batch holds everything, in double precision."""
    given = {"model": "cnn:filters=3,width=4", "epochs": 4, "batch_size": 999, "precision": "float64", "valid": 0.0}
    given |= {"penalty": (), "baselines": False, "calibration": "none", "device": "cpu", "threads": 1, **changes}
    return TrainConfig(**given)


def weights_of(data: SequenceSet, config: TrainConfig, valid: SequenceSet | None = None) -> dict[str, Array]:
    learned = learn(data, config, valid=valid)
    return {
        **{name: value.numpy() for name, value in learned.network.module.state_dict().items()},
        "temperature": np.array(learned.network.architecture.temperature),
        **{
            f"{name} {i}": np.array(row[name]) for i, row in enumerate(learned.history) for name in row if "los" in name
        },
    }


def assert_equal_weights(found: dict[str, Array], wanted: dict[str, Array], tolerance: float = 1e-7) -> None:
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("held_out", [False, True])
def test_losses_of_networks(target: str, held_out: bool) -> None:
    data = weighted(target)
    sides: list[Any] = [data, None]
    if held_out:
        sides = [data.subset(np.flatnonzero(fold_of(data) == f)) for f in (1, 2)]
    for class_weight in ("none",) if target == "labels" else ("none", "balanced"):
        config = settings(class_weight=class_weight)
        found = weights_of(sides[0], config, sides[1])
        assert_equal_weights(found, weights_of(repeated(sides[0]), config, sides[1] and repeated(sides[1])))


def test_penalties_over_a_batch_see_a_sequence_once() -> None:
    data = weighted("three classes")
    data = replace(data, weight=data.weight + 1)  # pyright: ignore[reportOptionalOperand]
    for penalty in ("gradient:weight=0.1", "adversarial:epsilon=0.5"):
        config = settings(penalty=(penalty,), epochs=2)
        assert_equal_weights(weights_of(data, config), weights_of(repeated(data), config))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("average", [False, True])
def test_sums(target: str, average: bool, folds_by_name: Any) -> None:
    data = folds_by_name(weighted(target))
    config = settings(model=f"sum:spectrum=2,filters=3,width=4,average={average}".lower(), epochs=2)
    found, wanted = (
        # A kernel on vectors has a reference for each row.
        {name: value for name, value in weights_of(each, config).items() if "kernel-" not in name}
        for each in (data, folds_by_name(repeated(data)))
    )
    assert_equal_weights(found, wanted, 2e-3)  # of a solver that stops early


@pytest.mark.parametrize("target", TARGETS)
def test_weights_of_parts(target: str) -> None:
    data = weighted(target)
    assert data.y is not None
    assert data.weight is not None
    generator = np.random.default_rng(3)
    scores = generator.normal(size=(2, 30, {"two classes": 1, "three classes": 3, "labels": 2}[target]))
    scores[0, :, 0] += data.y.reshape(30, -1)[:, 0]
    twice = np.repeat(np.arange(30), data.weight.astype(int))
    ones = np.ones(len(twice))
    for one, other in zip(
        stacking_weights(scores, data.y, data.weight),
        stacking_weights(scores[:, twice], data.y[twice], ones),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    learned = np.array([True, False])
    np.testing.assert_allclose(
        factors_to_one_spread(scores, data.y, learned, data.weight),
        factors_to_one_spread(scores[:, twice], data.y[twice], learned, ones),
    )


@pytest.mark.parametrize("target", TARGETS)
def test_temperatures(target: str) -> None:
    data = weighted(target)
    assert data.y is not None
    assert data.weight is not None
    generator = np.random.default_rng(2)
    logits = 5 * generator.normal(size=(30, {"two classes": 1, "three classes": 3, "labels": 2}[target]))
    twice = np.repeat(np.arange(30), data.weight.astype(int))
    learned, y = data.labelled()
    found = fit_temperature(learned, y, logits, data.weight)
    assert found == pytest.approx(fit_temperature(learned, y[twice], logits[twice]), rel=1e-5)
    assert found != pytest.approx(fit_temperature(learned, y, logits), rel=1e-3)


@pytest.mark.parametrize("held_out", [False, True])
def test_calibration_of_networks(held_out: bool, folds_by_name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqreg.training.calibration.ENOUGH_TO_CALIBRATE", 10)
    data = folds_by_name(weighted("three classes", 48))
    rows = [np.flatnonzero(fold_of(data) == f) for f in (1, 2)] if held_out else [np.arange(48)]
    sides = [data.subset(each) for each in rows]
    config = settings(calibration="temperature", lr=0.1)
    found = weights_of(sides[0], config, *sides[1:])
    wanted = weights_of(*(folds_by_name(repeated(sides[0])), config), *map(repeated, sides[1:]))
    assert_equal_weights(found, wanted, 1e-5)
    assert found["temperature"] != 1


# ------------------------------------------------------------------------------------------------------ estimators


@pytest.mark.parametrize("make", [KmerClassifier, SequenceClassifier])
@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 1.0, "b": 3.0, "c": 2.0}])
def test_estimators(make: Any, class_weight: Any, folds_by_name: Any) -> None:
    data = weighted("three classes")
    own = {"baseline": "kmer-logistic:k=2"} if make is KmerClassifier else {}
    if make is SequenceClassifier:
        own = {"model": "cnn:filters=3,width=4", "penalty": (), "epochs": 3, "batch_size": 999, "valid": 0}
    found, wanted = (
        make(**own, class_weight=class_weight, alphabet="dna", random_state=0)
        .fit(
            [one.sequence(i) for i in range(len(one))],
            [one.label(i) for i in range(len(one))],
            sample_weight=one.weight,
            groups=fold_of(one).astype(str),
        )
        .predict_proba([data.sequence(i) for i in range(len(data))])
        for one in (data, repeated(data))
    )
    np.testing.assert_allclose(found, wanted, atol=2e-3)


# ----------------------------------------------------------------------------------------------- weights themselves


def test_classes_weigh_the_same_with_weights_as_with_repetitions() -> None:
    for target in ("two classes", "three classes"):
        data = weighted(target)
        again = repeated(data)
        np.testing.assert_allclose(class_weights(data), class_weights(again))
        shares = np.bincount(data.y, weights=example_weights(data, "balanced"))  # pyright: ignore[reportArgumentType]
        np.testing.assert_allclose(shares, len(data) / len(data.classes))
        assert example_weights(data, "none") == pytest.approx(data.weight / np.mean(data.weight))  # pyright: ignore[reportOptionalOperand, reportCallIssue]


@pytest.mark.parametrize("target", TARGETS)
def test_the_order_of_sequences_in_a_batch_changes_nothing(target: str) -> None:
    data = weighted(target)
    order = np.random.default_rng(1).permutation(len(data))
    config = settings(penalty=("gradient:weight=0.1", "adversarial:epsilon=0.5"))
    assert_equal_weights(weights_of(data, config), weights_of(data.subset(order), config), 1e-6)


# ---------------------------------------------------------------------------------------------------------- strata


def test_every_resample_has_the_classes_of_the_data() -> None:
    """The share of a class never changes, the share of a label as much as chance makes it."""

    def share(y: Any, p: Any, *, positive: int, counts: Array) -> Array:
        return counts @ (np.asarray(y).reshape(len(y), -1)[:, 0] == positive) / counts.sum(axis=1)

    y = np.repeat([0, 1, 2], [5, 17, 30])
    p = np.full((52, 3), 1 / 3)
    for k, size in enumerate((5, 17, 30)):
        how = {"positive": k, "seed": 0, "resamples": 100}
        drawn = resample({"share": share}, y, [p], Units.of(52, y), **how)["share"]
        assert drawn == pytest.approx(np.full((1, 100), size / 52))
        assert bootstrap_intervals({"share": share}, y, p, strata=y, positive=k)["share"] == pytest.approx(
            flat_interval(share, size / 52, 52)
        )
    assert flat_interval(share, 1.0, 0) is None
    labels = np.eye(3, dtype=int)[y]
    low, high = bootstrap_intervals({"share": share}, labels, p, strata=None, positive=1)["share"]  # pyright: ignore[reportGeneralTypeIssues]
    spread = np.sqrt(5 / 52 * 47 / 52 / 52)
    assert (low, high) == pytest.approx((5 / 52 - 1.96 * spread, 5 / 52 + 1.96 * spread), abs=spread)
