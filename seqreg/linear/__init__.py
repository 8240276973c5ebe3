"""Linear models solved to their optimum, for whoever learns by one: baselines, and the linear parts of a sum.

One contract: a solver is a pure function `fit(rows, y, c, weight, seed, start) -> (coef, intercept)` of rows (n, D),
sparse or dense, labels y (n,) or (n, K), or what is learned of values (n,), a strength c > 0 and weights (n,) or None;
the same arguments give the same numbers.
"""

from seqreg.linear.folds import Labels, Split, draw, holds_all_classes, inner_folds, labels_of
from seqreg.linear.solvers import (
    FITS,
    Array,
    Fit,
    Rows,
    as_piece,
    columns_of,
    fit_each,
    fit_logistic,
    fit_ridge,
    fit_svm,
    fit_svr,
    log_odds,
    short_views,
)
from seqreg.linear.standards import column_standards

__all__ = [
    "FITS",
    "Array",
    "Fit",
    "Labels",
    "Rows",
    "Split",
    "as_piece",
    "column_standards",
    "columns_of",
    "draw",
    "fit_each",
    "fit_logistic",
    "fit_ridge",
    "fit_svm",
    "fit_svr",
    "holds_all_classes",
    "inner_folds",
    "labels_of",
    "log_odds",
    "short_views",
]
