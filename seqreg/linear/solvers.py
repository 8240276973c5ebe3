"""Linear classifiers on sparse rows, solved to their optimum.

A linear classifier is `coef` (J, D) and `intercept` (J,): J = 1 score for a binary task, for the second class; one
score per class or label otherwise. The target turns scores into probabilities.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_array

from seqreg.linear.folds import Labels, Split
from seqreg.unfinished import Piece

if TYPE_CHECKING:  # scikit-learn takes long to load: only whoever fits waits for it
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

Array = NDArray[np.float64]
Rows = csr_array | Array
Fit = Callable[[Rows, Labels, float, Array | None, int], tuple[Array, Array]]

# Dense rows of n columns pay up to about here.
SHORTENED_UP_TO = 500


def fit_logistic(rows: Rows, y: Labels, c: float, weight: Array | None, seed: int) -> tuple[Array, Array]:
    """Minimum of |coef|^2 / 2 + c * sum_i weight_i * -log p(y_i): logistic, softmax for several classes."""
    from sklearn.linear_model import LogisticRegression

    return _fit(lambda: LogisticRegression(C=c, max_iter=5000, random_state=seed), rows, y, weight)


def fit_svm(rows: Rows, y: Labels, c: float, weight: Array | None, seed: int) -> tuple[Array, Array]:
    """Minimum of |coef|^2 / 2 + c * sum_i weight_i * max(0, 1 - margin_i)^2, each class against the rest."""
    from sklearn.svm import LinearSVC

    return _fit(lambda: LinearSVC(C=c, max_iter=5000, random_state=seed), rows, y, weight)


def _fit(
    classifier: "Callable[[], LogisticRegression | LinearSVC]", rows: Rows, y: Labels, weight: Array | None
) -> tuple[Array, Array]:
    from sklearn.exceptions import ConvergenceWarning

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


def short_views(rows: Rows, splits: Sequence[Split], *, wide: bool) -> list[tuple[Rows, Rows]]:
    """Rows kept and rows held out of each split, short where they may be.

    A penalized linear fit never leaves the span of its n rows. In an orthonormal basis of the span the kept rows are a
    Cholesky factor of their Gram matrix: n columns in place of D, and the same scores in a fraction of the time.
    """
    n = len(rows) if isinstance(rows, np.ndarray) else len(rows.indptr) - 1
    if n > SHORTENED_UP_TO or not wide:
        return [(rows[inner], rows[outer]) for inner, outer in splits]
    gram = rows @ rows.T if isinstance(rows, np.ndarray) else (rows @ rows.T).toarray()
    # Equal sequences make it singular.
    gram[np.diag_indices(n)] += 1e-9
    views: list[tuple[Rows, Rows]] = []
    for inner, outer in splits:
        factor = cholesky(gram[np.ix_(inner, inner)], lower=True)
        views.append((factor, solve_triangular(factor, gram[np.ix_(inner, outer)], lower=True).T))
    return views


def as_piece(coef: Array, intercept: Array) -> Piece:
    """What a fit found, as what may be kept of unfinished work."""
    return {"coef": coef, "intercept": intercept}
