"""Linear classifiers on sparse rows: fitting, and the scale of their scores.

A linear classifier is `coef` (J, D) and `intercept` (J,): J = 1 score for a binary task, for the second class; one
score per class or label otherwise. The target turns scores into probabilities.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from seqreg.unfinished import Piece

Array = NDArray[np.float64]
Labels = NDArray[np.int64] | NDArray[np.uint8]
Fit = Callable[[csr_array | Array, Labels, float, Array | None, int], tuple[Array, Array]]

# Platt's sigmoid of cross-validated scores may have a slope below zero when the scores carry nothing; reading the
# classifier the wrong way round would be no better, so the slope stays above zero, the probabilities near the shares.
_LEAST_SLOPE = 1e-3


def fit_logistic(rows: csr_array | Array, y: Labels, c: float, weight: Array | None, seed: int) -> tuple[Array, Array]:
    """Minimum of |coef|^2 / 2 + c * sum_i weight_i * -log p(y_i): logistic, softmax for several classes."""
    return _fit(lambda: LogisticRegression(C=c, max_iter=5000, random_state=seed), rows, y, weight)


def fit_svm(rows: csr_array | Array, y: Labels, c: float, weight: Array | None, seed: int) -> tuple[Array, Array]:
    """Minimum of |coef|^2 / 2 + c * sum_i weight_i * max(0, 1 - margin_i)^2, each class against the rest."""
    return _fit(lambda: LinearSVC(C=c, max_iter=5000, random_state=seed), rows, y, weight)


def _fit(
    classifier: Callable[[], LogisticRegression | LinearSVC], rows: csr_array | Array, y: Labels, weight: Array | None
) -> tuple[Array, Array]:
    if y.ndim == 2:
        parts = [_fit(classifier, rows, label, weight) for label in y.T]
        return np.concatenate([coef for coef, _ in parts]), np.concatenate([intercept for _, intercept in parts])
    if (y == y[0]).all():
        return np.zeros((1, len(y))) @ rows, log_odds(y, weight)
    model = classifier()
    with warnings.catch_warnings():
        # A fit cut short is still a linear classifier, and cross-validation judges it as what it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, y, sample_weight=weight)
    return np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)


def log_odds(truth: Labels, weight: Array | None = None) -> Array:
    """(1,) log odds of a share, with half a sequence added on either side."""
    weight = np.ones(len(truth)) if weight is None else weight
    return np.array([np.log((weight[truth == 1].sum() + 0.5) / (weight[truth == 0].sum() + 0.5))])


def sigmoid_of_scores(scores: Array, truth: NDArray[np.bool_], weight: Array | None = None) -> tuple[float, float]:
    """Slope and offset of p = 1 / (1 + exp(-(slope * score + offset))), fitted to scores (n,) of sequences held out.

    Targets are kept off 0 and 1 as in Platt (1999): (n_pos + 1) / (n_pos + 2) and 1 / (n_neg + 2), n by weight.
    """
    weight = np.ones(len(truth)) if weight is None else weight
    n_positive, n_negative = weight[truth].sum(), weight[~truth].sum()
    target = np.where(truth, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    spread = float(np.sqrt(np.average((scores - np.average(scores, weights=weight)) ** 2, weights=weight))) or 1.0
    model = LogisticRegression(C=1e6, max_iter=5000)
    model.fit(
        np.concatenate([scores, scores])[:, None] / spread,
        np.repeat([1, 0], len(scores)),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    slope = max(float(model.coef_[0, 0]), _LEAST_SLOPE) / spread
    return slope, float(np.asarray(model.intercept_)[0])


def temperature_of_scores(scores: Array, y: Labels, weight: Array | None = None) -> float:
    """The factor in [0.001, 1000] by which softmax of scores (n, K) fits the classes of sequences held out best.

    Targets are kept off 0 and 1 by one sequence spread over the classes. Source: Guo et al. (2017), inverted.
    """
    k = scores.shape[1]
    weight = np.ones(len(scores)) if weight is None else weight
    n = weight.sum()
    target = (n * np.eye(k)[y] + 1) / (n + k) * weight[:, None]

    def loss(exponent: float) -> float:
        return -(target * log_softmax(10**exponent * scores, axis=1)).sum()

    best: Any = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return float(10**best.x)


def as_piece(coef: Array, intercept: Array) -> Piece:
    """What a fit found, as what may be kept of unfinished work."""
    return {"coef": coef, "intercept": intercept}
