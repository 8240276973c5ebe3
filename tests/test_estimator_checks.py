"""scikit-learn's own estimator checks, on numeric rows written as sequences: a letter per column.

One check is skipped by scikit-learn itself: `check_array_api_input` wants another kind of array as X.
"""

from typing import Any, Self

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, parametrize_with_checks
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from seqreg import KmerClassifier, KmerRegressor, SequenceClassifier, SequenceRegressor
from seqreg.targets import Classes

# What scikit-learn and seqreg warn of in data this odd is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore")

LETTERS = np.array(list("ACDEFGHIKL"))
FAILING = {
    "check_sample_weight_equivalence_on_dense_data": "batches, folds and penalties count sequences, not weights",
}


class Rows:
    """Reads numbers: each column in steps of a third of its standard deviation, one letter for each step."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        X, y = validate_data(self, X, y, multi_output=True)
        weight = _check_sample_weight(sample_weight, X)
        self.centre_ = np.average(X, axis=0, weights=weight)
        spread = np.sqrt(np.average((X - self.centre_) ** 2, axis=0, weights=weight))
        self.scale_ = np.where(spread > 0, spread, 1)
        return super().fit(self.texts(X), y, sample_weight, groups)

    def texts(self, X: Any) -> list[str]:
        steps = np.round((X - self.centre_) / self.scale_ * 3) + len(LETTERS) // 2
        return ["".join(row) for row in LETTERS[np.clip(steps, 0, len(LETTERS) - 1).astype(int)]]

    def _read(self, X: Any) -> Any:
        check_is_fitted(self)
        return super()._read(self.texts(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, False, True
        return tags


class NetworkOnRows(Rows, SequenceClassifier):
    """In batches of another shape single precision rounds the last digit otherwise, and as each machine does."""

    def decision_function(self, X: Any) -> Any:
        return np.round(super().decision_function(X), 4)

    def predict_proba(self, X: Any) -> Any:
        p = np.round(super().predict_proba(X), 4)
        if isinstance(self._labels.target, Classes):
            p[:, -1] += 1 - p.sum(axis=1)
        return p


class KmersOnRows(Rows, KmerClassifier):
    pass


class ValuesOnRows(Rows, SequenceRegressor):
    """Rounded as `NetworkOnRows` is."""

    def predict(self, X: Any) -> Any:
        return np.round(super().predict(X), 4)


class KmerValuesOnRows(Rows, KmerRegressor):
    pass


NETWORK = NetworkOnRows(
    "cnn:filters=8,width=1,pooling=position", penalty=(), epochs=10, lr=0.05, alphabet="protein", random_state=0
)


VALUES = ValuesOnRows(
    "cnn:filters=8,width=1,pooling=position",
    penalty=(),
    epochs=10,
    lr=0.05,
    calibration="none",
    alphabet="protein",
    random_state=0,
)


@parametrize_with_checks([NETWORK], expected_failed_checks=lambda _: FAILING)
def test_network(estimator: Any, check: Any) -> None:
    check(estimator)


# All its rows fit into one batch and nothing is held out from so few: no check is expected to fail.
@parametrize_with_checks([VALUES])
def test_network_of_values(estimator: Any, check: Any) -> None:
    check(estimator)


# Every part of the default network, every fold and every strength, but CNNs for 5 epochs: nine tenths of the time of a
# fit are 100 epochs of twelve CNNs, there are some hundred fits, and what is checked here is not how good they are.
@pytest.mark.slow
@parametrize_with_checks(
    [NetworkOnRows(epochs=5, alphabet="protein", random_state=0)], expected_failed_checks=lambda _: FAILING
)
def test_default_network(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [KmersOnRows("one-hot-logistic:folds=2", alphabet="protein", random_state=0)],
    expected_failed_checks=lambda _: FAILING,
)
def test_baseline(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks(
    [KmerValuesOnRows("one-hot-ridge:folds=2", alphabet="protein", random_state=0)],
    expected_failed_checks=lambda _: FAILING,
)
def test_baseline_of_values(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_weight_is_that_many_copies_where_nothing_is_drawn_from_the_rows() -> None:
    """One batch that holds all, nothing held out: then the order and number of rows decide nothing else."""
    for estimator in (NETWORK, VALUES):
        whole = clone(estimator).set_params(batch_size=999, valid=0, calibration="none")
        check_sample_weight_equivalence_on_dense_data(type(whole).__name__, whole)
