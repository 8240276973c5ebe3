"""seqreg for people who think in scikit-learn: `fit`, `predict_proba` and `score` on lists of sequences.

One contract: an estimator takes X, N sequences as texts, Bio.SeqRecords or anything that iterates over them, and y, N
labels, N sets of labels, or (N, K) zeros and ones. Parameters are stored as given and checked by `fit`; what is learned
ends in `_`. Columns of scores follow `classes_`, which are the labels, sorted as NumPy sorts them.
"""

from seqreg.estimator.classifier import SequenceClassifier
from seqreg.estimator.kmers import KmerClassifier

__all__ = ["KmerClassifier", "SequenceClassifier"]
