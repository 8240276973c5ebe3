"""seqreg for people who think in scikit-learn: `fit`, `predict` and `score` on lists of sequences.

One contract: an estimator takes X, N sequences as texts, Bio.SeqRecords or anything that iterates over them, and y. Of
classifiers y is N labels, N sets of labels, or (N, K) zeros and ones, and columns of scores follow `classes_`, which
are the labels, sorted as NumPy sorts them. Of regressors y is N finite numbers. Parameters are stored as given and
checked by `fit`; what is learned ends in `_`.
"""

from seqreg.estimator.classifier import SequenceClassifier
from seqreg.estimator.kmers import KmerClassifier, KmerRegressor
from seqreg.estimator.regressor import SequenceRegressor

__all__ = ["KmerClassifier", "KmerRegressor", "SequenceClassifier", "SequenceRegressor"]
