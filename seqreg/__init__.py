"""seqreg: regularized 1-D CNN classifiers for small sets of biological sequences, and how far to trust them."""

__version__ = "0.1.0"
