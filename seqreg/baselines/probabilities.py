"""The scale of a linear classifier's scores, fitted to sequences held out, at which they are probabilities."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from seqreg.linear import Array, Labels

# Platt's sigmoid of cross-validated scores may have a slope below zero when the scores carry nothing; reading the
# classifier the wrong way round would be no better, so the slope stays above zero, the probabilities near the shares.
LEAST_SLOPE = 1e-3


def sigmoid_of_scores(scores: Array, truth: NDArray[np.bool_], weight: Array | None = None) -> tuple[float, float]:
    """Slope and offset of p = 1 / (1 + exp(-(slope * score + offset))), fitted to scores (n,) of sequences held out.

    Targets are kept off 0 and 1 as in Platt (1999): (n_pos + 1) / (n_pos + 2) and 1 / (n_neg + 2), n by weight.
    """
    from sklearn.linear_model import LogisticRegression

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
    slope = max(float(model.coef_[0, 0]), LEAST_SLOPE) / spread
    return slope, float(np.asarray(model.intercept_)[0])


def temperature_of_scores(scores: Array, y: Labels, weight: Array | None = None) -> float:
    """The factor in [0.001, 1000] by which softmax of scores (n, K) fits the classes of sequences held out best.

    Targets are kept off 0 and 1 by one sequence spread over the classes. Source: Guo et al. (2017), inverted.
    """
    k = scores.shape[1]
    weight = np.ones(len(scores)) if weight is None else weight
    n = weight.sum()
    target = (n * np.eye(k)[np.asarray(y, dtype=np.int64)] + 1) / (n + k) * weight[:, None]

    def loss(exponent: float) -> float:
        return -(target * log_softmax(10**exponent * scores, axis=1)).sum()

    from scipy.optimize import minimize_scalar  # takes a while to load

    best: Any = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return float(10**best.x)
