"""Regressors of sequences with scikit-learn's face: values in, values and intervals out, saving and loading."""

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone, is_regressor
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import seqreg
from seqreg import KmerClassifier, KmerRegressor, SequenceClassifier, SequenceRegressor
from seqreg.baselines import KmerSvr
from seqreg.errors import ModelError, UsageError
from seqreg.evaluation.conformal import load_conformal
from seqreg.linear import inner_folds
from seqreg.predictors.network import load_trained
from seqreg.sequences import read_strings
from seqreg.training import TrainConfig, train, train_baseline

TINY = {
    "model": "cnn:filters=6,width=4,pooling=position",
    "penalty": "gradient:weight=0.01",
    "epochs": 10,
    "lr": 0.02,
    "calibration": "none",
}
QUICK = {"baseline": "kmer-ridge:k=2,folds=2", "reverse_complement": False}
MAKERS: list[Callable[..., Any]] = [
    lambda **more: SequenceRegressor(**{**TINY, "random_state": 0, **more}),
    lambda **more: KmerRegressor(**{**QUICK, "random_state": 0, **more}),
]
both = pytest.mark.parametrize("make", MAKERS, ids=["network", "kmers"])
N = 80


@pytest.fixture(scope="module")
def X() -> list[str]:
    codes = np.random.default_rng(5).integers(4, size=(N, 10))
    return ["".join(row) for row in np.array(list("ACGT"))[codes]]


@pytest.fixture(scope="module")
def y(X: list[str]) -> NDArray[np.float64]:
    """Far from 0, and not of spread 1: what letters weigh at their places, much of it in the number of each."""
    rng = np.random.default_rng(6)
    weight = dict(zip("ACGT", (0, 3, 7, 12), strict=True))
    return np.array([100 + sum(weight[letter] * (1 + i / 10) for i, letter in enumerate(text)) for text in X]) + (
        rng.normal(size=N)
    )


# ---- values in every form


@both
def test_every_form_of_values_gives_the_same_model(make: Any, X: list[str], y: NDArray[np.float64]) -> None:
    y = np.round(y)
    make = partial(make, **({"epochs": 2} if isinstance(make(), SequenceRegressor) else {}))
    wanted = make().fit(X, y).predict(X)
    assert wanted.shape == (N,)
    assert wanted.dtype == np.float64
    forms = [y.tolist(), iter(y.tolist()), tuple(y), y.astype(int), y.astype(np.float32), pd.Series(y, index=y)]
    for form in [*forms, y.astype(object), [Fraction(int(value)) for value in y]]:
        np.testing.assert_array_equal(make().fit(X, form).predict(X), wanted)


@both
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "requires y"),
        (["low", "high"], "value 1 is text, 'low', where a regressor wants numbers.*SequenceClassifier"),
        ([1.0, "2.5"], "value 2 is text, '2.5'"),
        (np.array([b"1", b"2"]), "value 1 is text"),
        ([0.5, np.nan], "value 2 is missing"),
        ([0.5, None], "value 2 is missing"),
        ([0.5, pd.NA], "value 2 is missing"),
        ([0.5, -np.inf], "value 2 is -inf, not a finite number"),
        ([0.5, 1e400], "value 2 is inf"),
        ([1j, 2.0], "Complex data not supported|got complex128"),
        (np.zeros((2, 2)), "1d array"),
        ([3.5, 3.5], "values that differ; every one of the 2 in y is 3.5"),
        ([3.5], "values that differ; got 1 sample|2 sequences but 1 values"),
        ([1.0, 2.0, 3.0], "2 sequences but 3 values"),
    ],
)
def test_values_that_cannot_be_learned(make: Any, X: list[str], bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(X[:2], bad)


def test_one_sequence_is_not_enough(X: list[str]) -> None:
    with pytest.raises(UsageError, match="got 1 sample"):
        MAKERS[1]().fit(X[:1], [0.5])


@pytest.mark.parametrize("classifier", [SequenceClassifier(), KmerClassifier()])
def test_a_classifier_names_the_regressors(classifier: Any, X: list[str], y: NDArray[np.float64]) -> None:
    with pytest.raises(UsageError, match=rf"continuous numbers, {y[0]:g} for example: SequenceRegressor and KmerReg"):
        classifier.fit(X, y)


def test_values_of_one_sequence_that_differ_are_warned_of(X: list[str], y: NDArray[np.float64]) -> None:
    with pytest.warns(UserWarning, match="conflicting values.*: 1"):
        MAKERS[1]().fit([*X, X[0]], [*y, y[1]])


# ---- what is predicted


@pytest.mark.parametrize("weighted", [False, True])
def test_kmers_are_ridge_regression_as_scikit_learn_has_it(
    X: list[str], y: NDArray[np.float64], weighted: bool
) -> None:
    weight = np.random.default_rng(0).uniform(0.5, 2, size=N) if weighted else None
    model = MAKERS[1]().fit(X, y, sample_weight=weight)
    fitted = model.baseline_
    assert fitted.features is not None
    assert fitted.c is not None
    data = read_strings(X, y, task="regression")
    rows, ridge = fitted.features.matrix(data).toarray(), Ridge(alpha=1 / fitted.c)
    known = ridge.fit(rows, y, sample_weight=weight).predict(rows)
    # Times the factor by which predictions for sequences held out, less the mean of the others, come nearest to y.
    w = np.ones(N) if weight is None else weight
    out, base = np.zeros(N), np.zeros(N)
    for kept, left in [split for seed in (0, 1) for split in inner_folds(data, 2, seed)]:
        out[left] = ridge.fit(rows[kept], y[kept], sample_weight=w[kept]).predict(rows[left])
        base[left] = np.average(y[kept], weights=w[kept])
    factor = np.average((out - base) * (y - base), weights=w) / np.average((out - base) ** 2, weights=w)
    mean = np.average(y, weights=w)
    np.testing.assert_allclose(model.predict(X), mean + factor * (known - mean), rtol=1e-6)
    np.testing.assert_allclose(model.conformal_.nonconformity, np.sort(np.abs(base + factor * (out - base) - y)))


@both
def test_the_score_is_r2_and_better_than_the_mean(make: Any, X: list[str], y: NDArray[np.float64]) -> None:
    model = make().fit(X, y)
    assert model.score(X, y) == r2_score(y, model.predict(X))
    assert 0.5 < model.score(X, y) <= 1
    weight = np.arange(N) + 1.0
    assert model.score(X, y, sample_weight=weight) == r2_score(y, model.predict(X), sample_weight=weight)


@both
def test_values_in_another_unit_give_predictions_in_that_unit(make: Any, X: list[str], y: NDArray[np.float64]) -> None:
    """Standardised, 4 y - 64 is y up to rounding."""
    first, second = make().fit(X, y), make().fit(X, 4 * y - 64)
    np.testing.assert_allclose(second.predict(X), 4 * first.predict(X) - 64, rtol=1e-4)


@both
def test_sequences_of_great_weight_are_predicted_better(make: Any, X: list[str], y: NDArray[np.float64]) -> None:
    upset = y.copy()
    upset[::2] = y.mean() - (y[::2] - y.mean())
    weight = np.where(np.arange(N) % 2, 50.0, 0.02)
    assert make().fit(X, upset, sample_weight=weight).score(X, y) > make().fit(X, upset).score(X, y) + 0.2


# ---- intervals


def test_intervals_are_the_errors_of_sequences_held_out(X: list[str], y: NDArray[np.float64]) -> None:
    held_out = (X[60:], y[60:])
    model = MAKERS[0](valid=held_out).fit(X[:60], y[:60])
    errors = np.sort(np.abs(model.predict(X[60:]) - y[60:]))
    found = model.predict_interval(X[:5], coverage=0.75)
    assert found.shape == (5, 2)
    np.testing.assert_allclose(found.mean(1), model.predict(X[:5]))
    np.testing.assert_allclose((found[:, 1] - found[:, 0]) / 2, errors[int(np.ceil(21 * 0.75)) - 1])
    assert np.isinf(model.predict_interval(X[:2], coverage=0.99)).all()
    with pytest.raises(UsageError, match="between 0 and 1"):
        model.predict_interval(X[:1], coverage=1.0)


def test_intervals_hold_new_values_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    texts = ["".join(row) for row in np.array(list("ACGT"))[rng.integers(4, size=(300, 12))]]
    values = np.array([text.count("A") + 2 * text.count("CG") for text in texts]) + rng.normal(size=300)
    model = KmerRegressor(QUICK["baseline"], random_state=0).fit(texts[:150], values[:150])
    low, high = model.predict_interval(texts[150:], coverage=0.8).T
    share = ((low <= values[150:]) & (values[150:] <= high)).mean()
    assert 0.68 < share < 0.92  # 0.8 within 3 to 4 standard errors of 150 and 150 sequences
    wide = model.predict_interval(texts[150:], coverage=0.95)
    assert (wide[:, 1] - wide[:, 0] > high - low).all()


def test_where_nothing_was_held_out_no_interval_is_told(X: list[str], y: NDArray[np.float64]) -> None:
    model = MAKERS[0]().fit(X, y)
    assert model.conformal_ is None
    with pytest.raises(UsageError, match="no intervals are known"):
        model.predict_interval(X)
    calibrated = MAKERS[0](calibration="temperature").fit(X, y)
    np.testing.assert_array_equal(calibrated.predict(X), model.predict(X))
    assert np.isfinite(calibrated.predict_interval(X)).all()


# ---- robustness and explanation


def test_shifts_found_and_proved_surround_those_of_all_single_mutants(X: list[str], y: NDArray[np.float64]) -> None:
    model = MAKERS[0]().fit(X, y)
    curve = model.robustness(X[:4], y[:4], max_substitutions=1)
    mutants = [[text[:i] + letter + text[i + 1 :] for i in range(10) for letter in "ACGT"] for text in X[:4]]
    worst = np.array(
        [np.abs(model.predict(each) - before).max() for each, before in zip(mutants, model.predict(X[:4]), strict=True)]
    )
    np.testing.assert_allclose([one.attacked_shift for one in curve.sequences], worst, rtol=1e-4)
    assert all(one.certified_shift >= one.attacked_shift for one in curve.sequences)
    assert [float(one.value) for one in curve.sequences] == y[:4].tolist()
    assert model.robustness(X[:4], max_substitutions=1).attacked_shift == curve.attacked_shift
    assert model.robustness(X[:4], max_substitutions=1, tolerance=1e6).certified_within == [1.0, 1.0]


def test_an_explanation_is_in_the_unit_of_the_values(X: list[str], y: NDArray[np.float64]) -> None:
    model = MAKERS[0]().fit(X, y)
    found = model.explain(X[:3], y[:3])
    before = model.predict(X[:3])
    np.testing.assert_allclose([each.logits[0] for each in found.sequences], before, rtol=1e-5)
    changed = model.predict(["T" + X[0][1:]])[0] - before[0]
    assert found.letters[-1] == "T"
    np.testing.assert_allclose(found.sequences[0].mutagenesis[0, 3, 0], changed, atol=1e-3)
    assert len(model.explain(X[:3]).sequences) == 3


def test_settings_are_chosen_by_rank_correlation(X: list[str], y: NDArray[np.float64], tmp_path: Path) -> None:
    model = SequenceRegressor(**{**TINY, "penalty": None, "epochs": 2, "tune": "halving:trials=2,folds=2"})
    model.set_params(random_state=0).fit(X, y)
    assert (model.tuning_.metric, model.tuning_.tried) == ("spearman", 2)
    model.save(tmp_path / "run")
    assert SequenceRegressor.load(tmp_path / "run").tune == model.tune


# ---- scikit-learn's own tools


@both
def test_every_parameter_is_stored_as_given_and_survives_cloning(make: Any) -> None:
    model = make()
    for name in model.get_params(deep=False):
        value = object()
        assert getattr(type(model)(**{name: value}), name) is value
    assert clone(model).get_params() == model.get_params()
    assert is_regressor(model)
    assert model.__sklearn_tags__().input_tags.string
    assert not hasattr(model, "classes_")


def test_the_parameters_are_those_of_the_classifier_but_for_classes() -> None:
    classifier, regressor = (set(kind().get_params()) for kind in (SequenceClassifier, SequenceRegressor))
    assert classifier - regressor == {"positive", "class_weight"}
    assert regressor - classifier == {"loss"}


def test_huber_is_another_network(X: list[str], y: NDArray[np.float64]) -> None:
    outliers = np.where(np.arange(N) % 20 == 0, 1e4, y)
    squared, plain, huber = (MAKERS[0](loss=loss).fit(X, outliers).predict(X) for loss in ("squared", None, "huber"))
    np.testing.assert_array_equal(squared, plain)
    assert np.median(np.abs(huber - y)) < np.median(np.abs(squared - y))
    with pytest.raises(ValueError, match="huber"):
        MAKERS[0](loss="absolute").fit(X, y)


@both
def test_grid_search_with_group_folds(make: Any, X: list[str], y: NDArray[np.float64]) -> None:
    network = isinstance(make(), SequenceRegressor)
    grid = {"penalty__weight": [0.0, 100.0]} if network else {"baseline__k": [1, 2]}
    search = GridSearchCV(make(), grid, cv=GroupKFold(2)).fit(X, y, groups=np.arange(N) // 4)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 2
    refitted = make().set_params(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict(X), refitted.predict(X))
    assert search.score(X, y) == refitted.score(X, y)


@both
def test_inside_other_estimators(make: Any, X: list[str], y: NDArray[np.float64]) -> None:
    scores = cross_val_score(make(), X, y, cv=GroupKFold(2), groups=np.arange(N) // 4)
    assert (scores > 0).all()
    assert cross_val_predict(make(), np.array(X), y, cv=2).shape == (N,)
    piped = make_pipeline(FunctionTransformer(lambda texts: [text.upper() for text in texts]), make())
    piped.fit([text.lower() for text in X], y)
    np.testing.assert_array_equal(piped.predict(X), make().fit(X, y).predict(X))
    assert VotingRegressor([("a", make()), ("b", MAKERS[1]())]).fit(X, y).score(X, y) > 0.5
    bags = BaggingRegressor(make(), n_estimators=2, random_state=0).fit(pd.DataFrame({"x": X}), y)
    assert bags.predict(pd.DataFrame({"x": X})).shape == (N,)


def test_groups_reach_the_inner_folds(X: list[str], y: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch) -> None:
    import seqreg.estimator.kmers as kmers
    import seqreg.estimator.network as network

    seen: list[Any] = []
    fit_baseline, learn = kmers.fit_baseline, network.learn
    monkeypatch.setattr(kmers, "fit_baseline", lambda *a, **more: seen.append(a[1]) or fit_baseline(*a, **more))
    monkeypatch.setattr(network, "learn", lambda *a, **more: seen.append(a[0]) or learn(*a, **more))
    groups = [f"family {i // 4}" for i in range(N)]
    for make in MAKERS:
        make().fit(X, y, groups=groups)
    assert [list(data.group) for data in seen] == [groups, groups]


def test_vectors_are_read_as_classifiers_read_them(X: list[str], y: NDArray[np.float64]) -> None:
    def counts(texts: list[str]) -> NDArray[np.float64]:
        return np.array([[text.count(letter) for letter in "ACG"] for text in texts], dtype=float)

    linear = KmerRegressor("vector-ridge:folds=2", vectors=counts, random_state=0).fit(X, y)
    assert linear.score(X, y) == pytest.approx(Ridge(1e-3).fit(counts(X), y).score(counts(X), y), abs=0.02)
    network = SequenceRegressor("vectors", vectors=counts, random_state=0, valid=0, calibration="none").fit(X, y)
    assert network.score(X, y) == pytest.approx(linear.score(X, y), abs=0.02)


# ---- again and elsewhere


@both
def test_the_same_random_state_gives_the_same(make: Any, X: list[str], y: NDArray[np.float64]) -> None:
    model = make(random_state=3).fit(X, y)
    before = model.predict(X)
    np.testing.assert_array_equal(model.fit(X, y).predict(X), before)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(X), before)
        assert other.get_params() == model.get_params()


def test_the_models_are_those_of_the_command_line(X: list[str], y: NDArray[np.float64], tmp_path: Path) -> None:
    data = read_strings(X, y, task="regression")
    told = {**TINY, "penalty": (TINY["penalty"],), "calibration": "temperature"}
    train(data, TrainConfig(**told, test=0, seed=7, threads=1, baselines=False), tmp_path / "run")
    model = MAKERS[0](random_state=7, n_jobs=1, calibration="temperature").fit(X, y)
    p = load_trained(tmp_path / "run").probabilities(read_strings(X))
    np.testing.assert_array_equal(p[:, 0], model.predict(X))
    loaded = SequenceRegressor.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_allclose(loaded.predict_interval(X), model.predict_interval(X), rtol=1e-6)
    np.testing.assert_array_equal(clone(loaded).fit(X, y).predict(X), model.predict(X))
    fitted = train_baseline(data, TrainConfig(test=0), tmp_path / "linear", baseline="kmer-ridge:k=2,folds=2")
    linear = KmerRegressor("kmer-ridge:k=2,folds=2", random_state=0).fit(X, y)
    np.testing.assert_array_equal(fitted.probabilities(read_strings(X))[:, 0], linear.predict(X))
    again = KmerRegressor.load(tmp_path / "linear")
    np.testing.assert_array_equal(again.predict(X), linear.predict(X))
    np.testing.assert_allclose(again.predict_interval(X), linear.predict_interval(X), rtol=1e-6)


@both
def test_the_command_line_predicts_with_what_is_saved(
    make: Any, X: list[str], y: NDArray[np.float64], tmp_path: Path, call: Callable[..., CompletedProcess[str]]
) -> None:
    model = make(**({"valid": (X[60:], y[60:])} if isinstance(make(), SequenceRegressor) else {})).fit(X[:60], y[:60])
    model.save(tmp_path / "run")
    (tmp_path / "new.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(X)))
    done = call("predict", tmp_path / "run", tmp_path / "new.fa", "-o", tmp_path / "predictions.tsv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "predictions.tsv", sep="\t")
    np.testing.assert_allclose(table["prediction"], model.predict(X), rtol=1e-5)
    np.testing.assert_allclose(table[["low", "high"]], model.predict_interval(X), rtol=1e-4)


@both
def test_saved_and_loaded(make: Any, X: list[str], y: NDArray[np.float64], tmp_path: Path) -> None:
    model = make(
        **({"loss": "huber", "calibration": "temperature"} if isinstance(make(), SequenceRegressor) else {})
    ).fit(X, y)
    model.save(tmp_path / "run")
    loaded = type(model).load(tmp_path / "run")
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(clone(loaded).fit(X, y).predict(X), model.predict(X))
    np.testing.assert_allclose(loaded.predict_interval(X), model.predict_interval(X), rtol=1e-6)
    with pytest.raises(UsageError, match="already holds a run"):
        model.save(tmp_path / "run")
    model.conformal_ = None
    model.save(tmp_path / "run", overwrite=True)
    assert load_conformal(tmp_path / "run") is None
    assert type(model).load(tmp_path / "run").conformal_ is None


@both
def test_a_model_of_another_kind_is_not_loaded(make: Any, X: list[str], y: NDArray[np.float64], tmp_path: Path) -> None:
    network = isinstance(make(), SequenceRegressor)
    other: Any = SequenceClassifier if network else KmerClassifier
    make().fit(X, y).save(tmp_path / "values")
    with pytest.raises(ModelError, match="model of values: SequenceRegressor"):
        other.load(tmp_path / "values")
    told = {**TINY, "epochs": 1} if network else {"baseline": "kmer-logistic:k=1,folds=2"}
    other(**told).fit(X, y > np.median(y)).save(tmp_path / "classes")
    with pytest.raises(ModelError, match="model of classes: SequenceClassifier"):
        type(make()).load(tmp_path / "classes")


@both
def test_what_is_not_there_is_said(make: Any, X: list[str], tmp_path: Path) -> None:
    for method in ("predict", "predict_interval"):
        with pytest.raises(NotFittedError):
            getattr(make(), method)(X)
    with pytest.raises(NotFittedError):
        make().save(tmp_path)
    with pytest.raises(ModelError):
        type(make()).load(tmp_path)
    for attribute in ("predict_proba", "decision_function", "classes_"):
        assert not hasattr(make(), attribute)


def test_a_baseline_of_classes_is_refused(X: list[str], y: NDArray[np.float64]) -> None:
    with pytest.raises(UsageError, match=r"kmer-logistic does not learn values\. Choose from: kmer-ridge"):
        KmerRegressor("kmer-logistic").fit(X, y)
    assert KmerRegressor(KmerSvr(k=1, folds=2)).get_params()["baseline__k"] == 1


def test_the_package_itself_names_them() -> None:
    assert seqreg.SequenceRegressor is SequenceRegressor
    assert seqreg.KmerRegressor is KmerRegressor
