"""Linear models on sparse rows, solved to their optimum.

A linear model is `coef` (J, D) and `intercept` (J,): J = 1 score for a binary task, for the second class, or for a
value; one score per class or label otherwise. The target turns scores into probabilities or values.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve, solve_triangular
from scipy.sparse import csr_array, diags_array, issparse

from seqreg.linear.folds import Labels, Split
from seqreg.targets import Classes, Values
from seqreg.targets import Labels as SeveralLabels
from seqreg.unfinished import Piece

if TYPE_CHECKING:  # scikit-learn takes long to load: only whoever fits waits for it
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

Array = NDArray[np.float64]
Rows = csr_array | Array
Solution = tuple[Array, Array]


class Fit(Protocol):
    """A solver. start: the solution for another c, where it may begin; some cannot."""

    def __call__(  # noqa: D102
        self, rows: Rows, y: Labels, c: float, weight: Array | None, seed: int, start: Solution | None = None
    ) -> Solution: ...


# Dense rows of n columns pay up to about here.
SHORTENED_UP_TO = 500
_SLOW_IN_THE_DUAL = 3.0


def fit_logistic(
    rows: Rows, y: Labels, c: float, weight: Array | None, seed: int, start: Solution | None = None
) -> Solution:
    """Minimum of |coef|^2 / 2 + c * sum_i weight_i * -log p(y_i): logistic, softmax for several classes."""
    from sklearn.linear_model import LogisticRegression

    # Softmax takes L-BFGS twice as long; near the solution Newton's steps are fewer, and end nearer.
    newton = start is not None or (y.ndim == 1 and len(np.unique(y)) > 2)
    tol = 1e-4 if not newton else 1e-6 if start is None else 1e-5
    how: dict[str, Any] = {"max_iter": 5000, "random_state": seed, "tol": tol, "warm_start": start is not None}
    how |= {"solver": "newton-cg" if newton else "lbfgs"}
    return _fit(lambda: LogisticRegression(C=c, **how), rows, y, weight, start)


def fit_each(
    fit: Fit, rows: Rows, y: Labels, strengths: Sequence[float], weight: Array | None, seed: int
) -> Iterator[Solution]:
    """The solution for each strength, begun at the one before: along rising strengths that takes half the time."""
    solution = None
    for c in strengths:
        solution = fit(rows, y, c, weight, seed, solution)
        yield solution


def fit_svm(
    rows: Rows, y: Labels, c: float, weight: Array | None, seed: int, start: Solution | None = None
) -> Solution:
    """Minimum of |coef|^2 / 2 + c * sum_i weight_i * max(0, 1 - margin_i)^2, each class against the rest."""
    from sklearn.svm import LinearSVC

    # Coordinates of the dual are quicker where rows are wide, until large c makes them crawl.
    dual = len(y) < columns_of(rows) and c < _SLOW_IN_THE_DUAL
    how: dict[str, Any] = {"max_iter": 5000, "random_state": seed, "dual": dual}
    return _fit(lambda: LinearSVC(C=c, **how), rows, y, weight)


def fit_ridge(
    rows: Rows, y: Labels, c: float, weight: Array | None, seed: int, start: Solution | None = None
) -> Solution:
    """Minimum of |coef|^2 / 2 + c / 2 * sum_i weight_i * (y_i - score_i)^2, by its normal equations.

    With m the weighted means, and the rows r and y less theirs, it is `coef = sum_i a_i r_i` where
    `(r r^T + diag(1 / (c weight))) a = y`, or `(r^T diag(weight) r + 1 / c) coef = r^T diag(weight) y`: whichever
    system is the smaller.
    """
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    counted = np.flatnonzero(weight > 0)
    if len(counted) < len(y):
        rows, y, weight = rows[counted], y[counted], weight[counted]
    share = weight / weight.sum()
    middle = np.asarray(share @ rows).ravel()
    y = np.asarray(y, dtype=np.float64)
    wanted = y - share @ y
    if middle.size < len(y):
        scaled = _weighed(rows, weight)
        square = _dense(rows.T @ scaled) - weight.sum() * np.outer(middle, middle)
        square[np.diag_indices(len(square))] += 1 / c
        coef = solve(square, np.asarray(scaled.T @ wanted).ravel(), assume_a="pos")
    else:
        across = np.asarray(rows @ middle).ravel()
        gram = _dense(rows @ rows.T) - across[:, None] - across + middle @ middle
        gram[np.diag_indices(len(y))] += 1 / (c * weight)
        factors = solve(gram, wanted, assume_a="pos")
        coef = np.asarray(factors @ rows).ravel() - factors.sum() * middle
    return coef[None], np.array([share @ y - middle @ coef])


def _dense(matrix: Any) -> Array:
    return matrix.toarray() if issparse(matrix) else matrix


def _weighed(rows: Rows, weight: Array) -> Any:
    return diags_array(weight) @ rows if issparse(rows) else weight[:, None] * rows


def fit_svr(
    rows: Rows, y: Labels, c: float, weight: Array | None, seed: int, start: Solution | None = None
) -> Solution:
    """Minimum of |coef|^2 / 2 + c * sum_i weight_i * max(0, |y_i - score_i| - 0.1)^2."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVR

    regressor = LinearSVR(C=c, epsilon=0.1, loss="squared_epsilon_insensitive", max_iter=5000, random_state=seed)
    with warnings.catch_warnings():
        # A fit cut short is still a linear model, and cross-validation judges it as what it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regressor.fit(rows, y, sample_weight=weight)
    coef = np.asarray(regressor.coef_, dtype=np.float64).reshape(1, -1)
    return coef, np.asarray(regressor.intercept_, dtype=np.float64).reshape(1)


FITS: dict[str, Fit] = {Classes.task: fit_logistic, SeveralLabels.task: fit_logistic, Values.task: fit_ridge}
"""How a linear model is fitted to labels, or to what is learned of values, by the task of the target."""


def _fit(
    classifier: "Callable[[], LogisticRegression | LinearSVC]",
    rows: Rows,
    y: Labels,
    weight: Array | None,
    start: Solution | None = None,
) -> Solution:
    from sklearn.exceptions import ConvergenceWarning

    if y.ndim == 2:
        starts = [None] * y.shape[1] if start is None else list(zip(start[0][:, None], start[1][:, None], strict=True))
        parts = [_fit(classifier, rows, label, weight, begun) for label, begun in zip(y.T, starts, strict=True)]
        return np.concatenate([coef for coef, _ in parts]), np.concatenate([intercept for _, intercept in parts])
    if (y == y[0]).all():
        return np.zeros((1, len(y))) @ rows, log_odds(y, weight)
    model = classifier()
    if start is not None:
        model.coef_, model.intercept_ = start
    with warnings.catch_warnings():
        # A fit cut short is still a linear classifier, and cross-validation judges it as what it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, y, sample_weight=weight)
    return np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)


def log_odds(truth: Labels, weight: Array | None = None) -> Array:
    """(1,) log odds of a share, with half a sequence added on either side."""
    weight = np.ones(len(truth)) if weight is None else weight
    return np.array([np.log((weight[truth == 1].sum() + 0.5) / (weight[truth == 0].sum() + 0.5))])


def columns_of(rows: Rows) -> int:
    """D of rows (n, D)."""
    shape: Any = rows.shape
    return shape[1]


def short_views(rows: Rows, splits: Sequence[Split], *, wide: bool) -> list[tuple[Rows, Rows]]:
    """Rows kept and rows held out of each split, short where they may be.

    A penalized linear fit never leaves the span of its n rows. In an orthonormal basis of the span the kept rows are a
    Cholesky factor of their Gram matrix: n columns in place of D, and the same scores in a fraction of the time. Rows
    that no split keeps may follow the n.
    """
    n = max((int(inner.max()) + 1 for inner, _ in splits), default=0)
    if n > SHORTENED_UP_TO or not wide:
        return [(rows[inner], rows[outer]) for inner, outer in splits]
    gram = rows @ rows.T if isinstance(rows, np.ndarray) else _products(rows)
    # Equal sequences make it singular.
    gram[np.diag_indices_from(gram)] += 1e-9
    views: list[tuple[Rows, Rows]] = []
    for inner, outer in splits:
        factor = cholesky(gram[np.ix_(inner, inner)], lower=True)
        views.append((factor, solve_triangular(factor, gram[np.ix_(inner, outer)], lower=True).T))
    return views


def _products(rows: Any) -> Array:
    """(n, n) inner products of sparse rows, by a dense copy where it is not much larger: sums in the same order."""
    dense = rows.nnz > rows.shape[0] * columns_of(rows) / 8
    return rows @ rows.T.toarray() if dense else (rows @ rows.T).toarray()


def as_piece(coef: Array, intercept: Array) -> Piece:
    """What a fit found, as what may be kept of unfinished work."""
    return {"coef": coef, "intercept": intercept}
