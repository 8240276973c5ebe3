"""The scikit-learn face: every form of X and y, nested parameters, scikit-learn's own tools, saving and loading."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsOneClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier

import seqreg
import seqreg.training.learning as training_module
from seqreg import KmerClassifier, SequenceClassifier
from seqreg.baselines import KmerLogistic
from seqreg.constraints import SpectralNorm
from seqreg.errors import InputError, ModelError, UsageError
from seqreg.networks import CNN
from seqreg.penalties import Adversarial, Gradient
from seqreg.predictors.network import load_trained
from seqreg.sequences import InputSpec, SequenceSet, homology_groups, read_input, read_strings
from seqreg.settings import TrainSettings
from seqreg.training import TrainConfig, train, train_baseline

TINY = {
    "model": "cnn:filters=6,width=8",
    "penalty": "gradient:weight=0.01",
    "epochs": 4,
    "lr": 0.02,
    "calibration": "none",
}
QUICK = {"baseline": "kmer-logistic:k=1,folds=2", "reverse_complement": False}
MAKERS: list[Callable[..., Any]] = [
    lambda **more: SequenceClassifier(**{**TINY, "random_state": 0, **more}),
    lambda **more: KmerClassifier(**{**QUICK, "random_state": 0, **more}),
]
both = pytest.mark.parametrize("make", MAKERS, ids=["network", "kmers"])


@pytest.fixture
def X(dna: SequenceSet) -> list[str]:
    return [dna.sequence(i) for i in range(len(dna))]


@pytest.fixture
def y(dna: SequenceSet) -> list[str]:
    return [dna.label(i) for i in range(len(dna))]


# ---- sequences in every form


@both
def test_every_form_of_sequences_gives_the_same_scores(make: Any, X: list[str], y: list[str]) -> None:
    wanted = make().fit(X, y).predict_proba(X)
    forms = [
        tuple(X),
        iter(X),
        np.array(X),
        np.array(X, dtype=object),
        np.array(X, dtype="S"),
        np.array(X)[:, None],
        pd.Series(X, index=range(100, 160)),
        pd.DataFrame({"sequence": X}),
        [Seq(text) for text in X],
        [SeqRecord(Seq(text.lower()), id="same") for text in X],
        [text.replace("T", "U") for text in X],
    ]
    model = make(alphabet="dna")
    for form in forms:
        np.testing.assert_array_equal(model.fit(form, y).predict_proba(X), wanted)
    for form in (form for form in forms if not hasattr(form, "__next__")):
        np.testing.assert_array_equal(model.predict_proba(form), wanted)


NO_SEQUENCES: list[tuple[Any, str]] = [
    ("ACGT", "one text"),
    ([1.5, 2.0], r"record 1: 1.5 \(float\) is not a sequence"),
    (["ACGTACGTACGT", float("nan")], "record 2: nan"),
    (["ACGTACGTACGT", None], "record 2: None"),
    (["ACGTACGTACGT", ""], "record 2.*empty"),
    (["ACGTACGTACGT", "ACGJ"], "record 2.*'J' at position 4 is not dna"),
    ([], "no sequences"),
    (np.zeros((2, 3)), r"\(2, 3\)"),
    (pd.Series(["ACGT", pd.NA]), "record 2"),
]


@both
def test_what_is_no_sequence_is_refused(make: Any, X: list[str], y: list[str]) -> None:
    fitted = make().fit(X, y)
    for bad, message in NO_SEQUENCES:
        with pytest.raises(ValueError, match=message):
            make(alphabet="dna").fit(bad, y[: len(bad)])
        with pytest.raises(ValueError, match=message):
            fitted.predict(bad)


# ---- labels in every form


@both
@pytest.mark.parametrize(
    "values", [[2, 10], [10, 2], [-1, 1], [False, True], [0.0, 1.0], ["other", "Amp"], [np.int8(3), np.int8(20)]]
)
def test_two_classes_of_any_type(make: Any, X: list[str], y: list[str], values: list[Any]) -> None:
    truth = np.array([values[label == "with"] for label in y])
    model = make().fit(X, truth)
    np.testing.assert_array_equal(model.classes_, np.unique(truth))
    scores, p, called = model.decision_function(X), model.predict_proba(X), model.predict(X)
    assert scores.shape == (60,)
    assert p.shape == (60, 2)
    assert called.dtype == model.classes_.dtype
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_array_equal(scores > 0, p[:, 1] > 0.5)
    np.testing.assert_array_equal(called, model.classes_[(scores > 0).astype(int)])
    assert model.score(X, truth) == pytest.approx((called == truth).mean())
    # The network knows nothing of these names: it is the same as with others in the same order of texts.
    names = dict(zip(sorted(values, key=str), "ab", strict=True))
    np.testing.assert_array_equal(
        np.abs(make().fit(X, [names[value] for value in truth.tolist()]).decision_function(X)), np.abs(scores)
    )


@both
def test_many_classes_keep_their_columns_where_numbers_and_texts_sort_differently(make: Any, X: list[str]) -> None:
    marks = {2: "AAAAAAAA", 10: "CCCCCCCC", 100: "GGGGGGGG"}
    truth = np.resize([10, 2, 100], len(X))
    X = [text[:8] + marks[label] + text[8:] for text, label in zip(X, truth.tolist(), strict=True)]
    model = make(reverse_complement=False)
    if isinstance(model, SequenceClassifier):
        model.set_params(epochs=15)
    model.fit(X, truth)
    assert model.classes_.tolist() == [2, 10, 100]
    assert model.score(X, truth) > 0.8
    np.testing.assert_array_equal(model.decision_function(X).argmax(1), model.predict_proba(X).argmax(1))


@both
def test_several_labels_in_every_form(make: Any, X: list[str], y: list[str]) -> None:
    sets = [{"even"} if i % 4 == 0 else set() for i in range(len(X))]
    sets = [each | ({"motif"} if label == "with" else set()) for each, label in zip(sets, y, strict=True)]
    matrix = np.array([["even" in each, "motif" in each] for each in sets], dtype=int)
    model = make().fit(X, sets)
    p = model.predict_proba(X)
    assert model.classes_.tolist() == ["even", "motif"]
    assert p.shape == model.decision_function(X).shape == (60, 2)
    np.testing.assert_array_equal(model.predict(X), p >= 0.5)
    share = (model.predict(X) == matrix).all(1).mean()
    tables = pd.DataFrame(matrix, columns=["even", "motif"])
    others = [[sorted(each) for each in sets], [tuple(each) for each in sets], pd.Series(sets), matrix, tables]
    for form in [*others, matrix.tolist(), csr_array(matrix), matrix.astype(bool)]:
        other = make().fit(X, form)
        np.testing.assert_array_equal(other.predict_proba(X), p)
        assert other.score(X, form) == model.score(X, sets) == share
    swapped = make().fit(X, tables[["motif", "even"]])
    assert swapped.classes_.tolist() == ["motif", "even"]
    np.testing.assert_array_equal(swapped.predict_proba(X), p[:, ::-1])
    assert swapped.score(X, tables) == swapped.score(X, sets) == share
    assert make().fit(X, matrix).classes_.tolist() == [0, 1]
    assert np.isfinite(cross_val_score(make(), X, matrix, cv=KFold(2))).all()
    with pytest.raises(UsageError, match="label 'odd' is not one of the classes 'even', 'motif'"):
        model.score(X, [{"odd"}] * 60)


@both
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "requires y"),
        (["a"] * 60, "at least two classes; y has one class, 'a'"),
        ([set()] * 60, "at least two classes; y has no class"),
        (["a", "b"], "60 sequences but 2 labels"),
        (np.linspace(0, 1, 60), "continuous"),
        (np.tile([[2, 3]], (60, 1)), "zeros and ones"),
    ],
)
def test_labels_that_cannot_be_learned(make: Any, X: list[str], bad: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make().fit(X, bad)


@both
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT], ids=str)
@pytest.mark.parametrize("good", ["a", 1, 1.0, True], ids=repr)
def test_a_label_that_is_missing_is_no_class(make: Any, X: list[str], good: Any, missing: Any) -> None:
    y = [good, good, missing] * 20
    for given in (y, np.array(y, dtype=object), pd.Series(y), [{label} for label in y], [[good], [good, missing]] * 30):
        with pytest.raises(ValueError, match=r"y: label [123] is missing|Input y contains NaN"):
            make().fit(X, given)


# ---- weights, groups, validation


@both
def test_weights_of_sequences_and_of_classes(make: Any, X: list[str], y: list[str]) -> None:
    plain = make().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(make().fit(X, y, sample_weight=[1] * 60).predict_proba(X), plain)
    by_hand = make().fit(X, y, sample_weight=np.where(np.array(y) == "with", 5.0, 1.0)).predict_proba(X)
    by_class = make(class_weight={"with": 5.0, "absent": 1.0}).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(by_class, by_hand)
    assert by_hand[:, 1].mean() > plain[:, 1].mean()
    few, rare = X[:44], ["with" if label == "with" and i < 20 else "absent" for i, label in enumerate(y[:44])]
    shares = [make(class_weight=each).fit(few, rare).predict_proba(X)[:, 1].mean() for each in (None, "balanced")]
    assert shares[1] > shares[0]
    for weights, message in [([0.0] * 60, "zero for every"), ([1.0] * 59, "59 weights"), ([-1.0] * 60, "-1.0")]:
        with pytest.raises(ValueError, match=message):
            make().fit(X, y, sample_weight=weights)


def test_kmers_refuse_class_weights_that_they_do_not_know(X: list[str], y: list[str]) -> None:
    with pytest.raises(UsageError, match="'resampled': not"):
        KmerClassifier(class_weight="resampled").fit(X, y)
    several = np.array([[1, 0], [1, 1], [0, 1]] * 20)
    with pytest.raises(UsageError, match="several labels"):
        KmerClassifier(class_weight="balanced").fit(X, several)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the training loop is called with: module, config, train, valid."""
    calls: list[Any] = []
    loop = training_module.fit
    monkeypatch.setattr(training_module, "fit", lambda *args, **more: calls.append(args) or loop(*args, **more))
    return calls


def test_validation_sequences_may_be_given(X: list[str], y: list[str], seen: list[Any]) -> None:
    model = MAKERS[0](valid=(X[40:], y[40:])).fit(X[:40], y[:40])
    _, _, training, held_out = seen[0]
    assert [held_out.sequence(i) for i in range(20)] == X[40:]
    assert len(training) == 40
    assert "valid_loss" in model.history_[0]
    assert "valid_loss" not in MAKERS[0](valid=0).fit(X, y).history_[0]
    with pytest.raises(UsageError, match="valid must be a share"):
        MAKERS[0](valid="some").fit(X, y)


# ---- parameters


@both
def test_every_parameter_is_stored_as_given_and_survives_cloning(make: Any) -> None:
    model = make()
    for name in model.get_params(deep=False):
        value = object()
        assert getattr(type(model)(**{name: value}), name) is value
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize("penalty", ["adversarial:epsilon=2", Adversarial(epsilon=2), ["adversarial:epsilon=2"]])
def test_strengths_are_reachable_in_every_form(penalty: Any) -> None:
    model = SequenceClassifier(penalty=penalty)
    assert model.get_params()["penalty__epsilon"] == 2
    changed = clone(model).set_params(penalty__weight=0.5)
    assert changed.get_params()["penalty__weight"] == 0.5
    assert changed.get_params()["penalty__epsilon"] == 2
    assert type(changed.penalty) is type(penalty)
    assert model.penalty is penalty
    assert model.get_params()["penalty__weight"] == Adversarial(epsilon=2).weight
    assert clone(changed).get_params() == changed.get_params()


def test_members_of_a_list_have_names_of_their_own() -> None:
    model = SequenceClassifier(penalty=["gradient", Adversarial(), "gradient:weight=2"], constraint=SpectralNorm())
    model.set_params(penalty__gradient__weight=3, penalty__adversarial__weight=4, penalty__gradient2__weight=5)
    model.set_params(constraint__radius=0.5, model="cnn", model__filters=7)
    assert model.get_params()["penalty__gradient2__weight"] == 5
    assert model.penalty[1] == Adversarial(weight=4)
    assert [text.partition(",")[0] for text in model.penalty[::2]] == ["gradient:weight=3", "gradient:weight=5"]
    assert model.constraint == SpectralNorm(radius=0.5)
    assert "filters=7" in model.model


@pytest.mark.parametrize(
    ("penalty", "key", "message"),
    [
        (None, "penalty__weight", "penalty is None.*penalty='"),
        ("gradient", "penalty__wait", "penalty__wait.*penalty__weight"),
        ("gradiant", "penalty__weight", "there are: none"),
        ("gradient", "penalty__weight__x", "penalty__weight__x"),
        ("gradient", "nothing", "Invalid parameter"),
        ("gradient", "epochs__x", "Invalid parameter|has no attribute"),
    ],
)
def test_a_parameter_that_is_not_there(penalty: Any, key: str, message: str) -> None:
    with pytest.raises((ValueError, AttributeError), match=message):
        SequenceClassifier(penalty=penalty).set_params(**{key: 1.0})


def test_a_value_out_of_range_or_an_unknown_name_is_an_error(X: list[str], y: list[str]) -> None:
    with pytest.raises(UsageError, match="weight must be"):
        SequenceClassifier(penalty="gradient").set_params(penalty__weight=-1)
    with pytest.raises(UsageError, match="Did you mean 'gradient'"):
        MAKERS[0](penalty="gradiant").fit(X, y)
    with pytest.raises(UsageError, match="epochs must be at least 1"):
        MAKERS[0](epochs=0).fit(X, y)
    with pytest.raises(UsageError, match="Unknown class 'gone'"):
        MAKERS[0](positive="gone").fit(X, y)
    with pytest.raises(InputError, match="shorter than the filter"):
        MAKERS[0](model="cnn:width=50").fit(X, y)


def test_specs_as_text_and_as_objects_train_the_same_network(X: list[str], y: list[str]) -> None:
    texts = {"penalty": "gradient:weight=0.1", "constraint": "spectral-norm:radius=2", "model": "cnn:filters=5,width=6"}
    objects = {
        "penalty": [Gradient(weight=0.1)],
        "constraint": SpectralNorm(radius=2),
        "model": CNN(filters=5, width=6),
    }
    first, second = (MAKERS[0](**each).fit(X, y) for each in (texts, objects))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), MAKERS[0](**{**texts, "penalty": ()}).fit(X, y).predict_proba(X))


def test_any_callable_is_a_penalty(X: list[str], y: list[str], tmp_path: Path) -> None:
    calls: list[float] = []

    def mine(model: Any, x: torch.Tensor, y: torch.Tensor, *, progress: float = 1.0) -> torch.Tensor:
        calls.append(progress)
        return 0.01 * model.output.weight.square().sum()

    model = MAKERS[0](penalty=mine).fit(X, y)
    assert len(calls) == 4 * 2
    model.save(tmp_path / "run")
    loaded = SequenceClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    with pytest.raises(UsageError, match="Unknown penalty '<function"):
        loaded.fit(X, y)


# ---- scikit-learn's own tools


@both
def test_grid_search_over_strengths_with_group_folds(make: Any, X: list[str], y: list[str]) -> None:
    grid = {"penalty__weight": [0.0, 100.0]} if isinstance(make(), SequenceClassifier) else {"baseline__k": [1, 2]}
    model = make()
    search = GridSearchCV(model, grid, cv=GroupKFold(2), scoring="roc_auc").fit(X, y, groups=np.arange(60) // 3)
    name, values = next(iter(grid.items()))
    assert list(search.cv_results_[f"param_{name}"]) == values
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    assert search.best_estimator_.get_params()[name] == search.best_params_[name]
    assert model.get_params() == make().get_params()
    refitted = make().set_params(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), refitted.predict_proba(X))


@pytest.mark.parametrize(
    ("name", "first", "folds"), [("amp", 16, GroupKFold(2)), ("splice", 20, StratifiedGroupKFold(2))]
)
def test_grid_search_on_real_sequences_with_homology_groups(name: str, first: int, folds: Any) -> None:
    data = read_input(InputSpec(input=name))
    assert data.y is not None
    chosen = np.concatenate([np.flatnonzero(data.y == k)[: 3 * first : 3] for k in range(len(data.classes))])
    data = data.subset(chosen)
    groups, _ = homology_groups(data, similarity=0.3)
    texts, truth = [data.sequence(i) for i in range(len(data))], [data.label(i) for i in range(len(data))]
    model = SequenceClassifier("cnn:filters=8,width=6", penalty="gradient", epochs=2, random_state=0)
    search = GridSearchCV(model, {"penalty__weight": [0.001, 0.1, 10.0]}, cv=folds)
    search.fit(texts, truth, groups=groups)
    assert search.classes_.tolist() == sorted(data.classes)
    assert len(search.cv_results_["params"]) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert 0 <= search.score(texts, truth) <= 1


@both
def test_cross_validation_with_groups_reaches_fit_where_asked(make: Any, X: list[str], y: list[str]) -> None:
    groups = np.arange(60) // 3
    scores = cross_val_score(make(), X, y, groups=groups, cv=GroupKFold(3))
    assert scores.shape == (3,)
    with sklearn.config_context(enable_metadata_routing=True):
        asked: list[Any] = []

        class Asking(type(make())):
            def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
                asked.append(groups)
                return super().fit(X, y, sample_weight, groups)

        model = Asking(**make().get_params(deep=False)).set_fit_request(groups=True)
        routed = cross_val_score(model, X, y, params={"groups": groups}, cv=GroupKFold(3))
    assert sum(map(len, asked)) == 120
    assert routed.shape == (3,)


@both
def test_inside_other_estimators(make: Any, X: list[str], y: list[str]) -> None:
    piped = make_pipeline(FunctionTransformer(lambda texts: [text.upper() for text in texts]), make())
    piped.fit([text.lower() for text in X], y)
    np.testing.assert_array_equal(piped.predict(X), make().fit(X, y).predict(X))
    calibrated = CalibratedClassifierCV(make(), cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (60, 2)
    voting = VotingClassifier([("a", make()), ("b", MAKERS[1]())], voting="soft").fit(X, y)
    assert set(voting.predict(X)) <= {"absent", "with"}
    out = cross_val_predict(make(), np.array(X), y, cv=2, method="predict_proba")
    np.testing.assert_allclose(out.sum(1), 1)


@both
def test_estimators_that_want_numbers_take_the_numbers_of_rows(make: Any, X: list[str], y: list[str]) -> None:
    """They check X before their estimator sees it: the first step of a pipeline looks the sequences up."""
    texts, rows, y_true = np.array(X), np.arange(len(X))[:, None], np.array([label == "with" for label in y])
    looked_up = make_pipeline(FunctionTransformer(lambda rows: texts[rows[:, 0].astype(int)]), make())
    some = np.where(rows[:, 0] % 3 == 0, -1, y_true)
    taught = SelfTrainingClassifier(looked_up, max_iter=1, threshold=0.0).fit(rows, some)
    assert set(taught.labeled_iter_) == {0, 1}
    by_hand = make().fit(X, np.where(some < 0, make().fit(texts[some >= 0], some[some >= 0]).predict(X), some))
    np.testing.assert_array_equal(taught.predict(rows), by_hand.predict(X))
    three = rows[:, 0] % 2 + (rows[:, 0] % 4 == 3)
    pairs = OneVsOneClassifier(looked_up).fit(rows, three)
    assert len(pairs.estimators_) == 3
    first = make().fit(texts[three < 2], three[three < 2])
    np.testing.assert_array_equal(pairs.estimators_[0].predict(rows), first.predict(X))
    kept = pd.Series(X, index=rows[::-1, 0])
    bags = BaggingClassifier(looked_up, n_estimators=2, random_state=0).fit(rows, y)
    framed = BaggingClassifier(make(), n_estimators=2, random_state=0).fit(kept.to_frame(), y)
    assert bags.predict_proba(rows).shape == framed.predict_proba(kept.to_frame()).shape == (60, 2)
    with pytest.raises(ValueError, match="2-dimensional"):
        BaggingClassifier(make()).fit(kept, y)


@pytest.mark.slow
@both
def test_parallel_search_finds_the_same(make: Any, X: list[str], y: list[str]) -> None:
    grid = {"penalty__weight": [0.0, 1.0]} if isinstance(make(), SequenceClassifier) else {"baseline__k": [1, 2]}
    one, two = (GridSearchCV(make(), grid, cv=2, n_jobs=n).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def test_tags_say_what_is_taken() -> None:
    for model in (SequenceClassifier(), KmerClassifier()):
        tags = model.__sklearn_tags__()
        assert tags.input_tags.string
        assert tags.input_tags.one_d_array
        assert not tags.input_tags.two_d_array
        assert tags.classifier_tags is not None
        assert tags.classifier_tags.multi_label


def test_robustness_starts_at_the_score_and_is_between_its_bounds(X: list[str], y: list[str]) -> None:
    truth = [10 if label == "with" else 2 for label in y]
    model = MAKERS[0](epochs=10).fit(X, truth)
    result = model.robustness(X[::2] + X[1:20:2], truth[::2] + truth[1:20:2], max_substitutions=2)
    assert result.substitutions == [0, 1, 2]
    assert result.attacked_accuracy[0] == model.score(X[::2] + X[1:20:2], truth[::2] + truth[1:20:2])
    assert {name: each["n"] for name, each in result.per_class.items()} == {"10": 10, "2": 30}
    for proved, left in zip(result.certified_accuracy, result.attacked_accuracy, strict=True):
        assert proved <= left
    assert result.attacked_accuracy == sorted(result.attacked_accuracy, reverse=True)
    with pytest.raises(UsageError, match="label 3 is not one of the classes 2, 10"):
        model.robustness(X[:1], [3])
    with pytest.raises(NotFittedError):
        MAKERS[0]().robustness(X, truth)


# ---- again and elsewhere


@both
def test_the_same_random_state_gives_the_same_and_the_world_is_left_as_found(
    make: Any, X: list[str], y: list[str]
) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    model = make(random_state=3)
    scores = model.fit(X, y).decision_function(X)
    np.testing.assert_array_equal(model.fit(X, y).decision_function(X), scores)
    copy.deepcopy(model)
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()  # noqa: NPY002
    for was, now in zip(before, after, strict=True):
        np.testing.assert_array_equal(was, now)
    generators = [make(random_state=np.random.RandomState(5)).fit(X, y).decision_function(X) for _ in range(2)]
    np.testing.assert_array_equal(*generators)


def test_another_random_state_gives_another_network(X: list[str], y: list[str]) -> None:
    scores = [MAKERS[0](random_state=seed).fit(X, y).decision_function(X) for seed in (1, 2, None, None)]
    assert len({each.tobytes() for each in scores}) == 4


def test_the_network_is_the_one_the_command_line_trains(X: list[str], y: list[str], tmp_path: Path) -> None:
    config = TrainConfig(
        model=TINY["model"],
        penalty=(TINY["penalty"],),
        epochs=4,
        lr=0.02,
        test=0,
        seed=7,
        threads=1,
        baselines=False,
        calibration="none",
    )
    train(read_strings(X, y), config, tmp_path / "run")
    model = MAKERS[0](random_state=7, n_jobs=1).fit(X, y)
    np.testing.assert_array_equal(load_trained(tmp_path / "run").probabilities(read_strings(X)), model.predict_proba(X))
    loaded = SequenceClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(clone(loaded).fit(X, y).predict_proba(X), model.predict_proba(X))


def test_a_baseline_of_the_command_line_is_loaded_too(X: list[str], y: list[str], tmp_path: Path) -> None:
    fitted = train_baseline(read_strings(X, y), TrainConfig(), tmp_path / "run", baseline="kmer-logistic:k=1,folds=2")
    loaded = KmerClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.probabilities(read_strings(X)))


@both
def test_the_command_line_predicts_with_what_is_saved(
    make: Any, X: list[str], y: list[str], tmp_path: Path, call: Callable[..., CompletedProcess[str]]
) -> None:
    model = make().fit(X, y)
    model.save(tmp_path / "run")
    (tmp_path / "new.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(X)))
    done = call("predict", tmp_path / "run", tmp_path / "new.fa", "-o", tmp_path / "predictions.tsv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "predictions.tsv", sep="\t")
    assert table["prediction"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(table["p_with"], model.predict_proba(X)[:, 1], atol=1e-5)


@both
def test_copies_score_the_same(make: Any, X: list[str], y: list[str], tmp_path: Path) -> None:
    model = make(class_weight={"with": 2, "absent": 1}).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
        assert other.get_params() == model.get_params()


@both
@pytest.mark.parametrize("values", [["absent", "with"], [2, 10], [False, True]])
def test_saved_and_loaded(make: Any, X: list[str], y: list[str], tmp_path: Path, values: list[Any]) -> None:
    truth = [values[label == "with"] for label in y]
    model = make(positive=values[0], class_weight=dict(zip(values, [1.0, 2.0], strict=True))).fit(X, truth)
    model.save(tmp_path / "run")
    loaded = type(model).load(tmp_path / "run")
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(clone(loaded).fit(X, truth).predict_proba(X), model.predict_proba(X))
    with pytest.raises(UsageError, match="already holds a run"):
        model.save(tmp_path / "run")


@both
def test_several_labels_saved_and_loaded(make: Any, X: list[str], y: list[str], tmp_path: Path) -> None:
    matrix = pd.DataFrame({"with": np.array(y) == "with", "third": np.arange(60) % 3 == 0})
    model = make().fit(X, matrix)
    model.save(tmp_path / "run")
    loaded = type(model).load(tmp_path / "run")
    assert loaded.score(X, matrix) == model.score(X, matrix)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@both
def test_what_is_not_there_is_said(make: Any, X: list[str], y: list[str], tmp_path: Path) -> None:
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(make(), method)(X)
    with pytest.raises(NotFittedError):
        make().save(tmp_path)
    with pytest.raises(ModelError):
        type(make()).load(tmp_path)
    assert not hasattr(make(), "classes_")


def test_what_is_noteworthy_about_the_data_is_warned_of(X: list[str], y: list[str]) -> None:
    with pytest.warns(UserWarning, match="conflicting labels.*: 1"):
        MAKERS[1]().fit([*X, X[0]], [*y, y[1]])


def test_verbose_tells_every_epoch(X: list[str], y: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    MAKERS[0]().fit(X, y)
    assert capsys.readouterr() == ("", "")
    MAKERS[0](verbose=1).fit(X, y)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"epoch {epoch}/4" for epoch in range(1, 5)]
    assert "gradient" in lines[0]


def test_the_package_itself_names_them_and_nothing_else() -> None:
    assert seqreg.SequenceClassifier is SequenceClassifier
    assert repr(KmerClassifier(KmerLogistic(k=2))) == "KmerClassifier(baseline=KmerLogistic(k=2, folds=5))"
    with pytest.raises(AttributeError, match="no attribute 'Classifier'"):
        seqreg.Classifier  # noqa: B018


# What an estimator says otherwise, leaves to scikit-learn (splits, baselines), or has no use for.
ELSEWHERE = {"seed": "random_state", "threads": "n_jobs"}
NOT_ITS_OWN = {"baselines", "by", "similarity", "identity", "leave_out", "train_size", "precision", "deterministic"} | {
    "prevalence",
    "loss",
}


def test_every_option_of_a_training_is_a_parameter() -> None:
    own, settings = SequenceClassifier().get_params(), {entry.name: entry for entry in fields(TrainSettings)}
    assert {ELSEWHERE.get(name, name) for name in settings} - set(own) == NOT_ITS_OWN
    for name in settings.keys() & own.keys():
        assert (own[name] or None) == (settings[name].default or None), name
