"""seqreg: regularized 1-D CNN classifiers for small sets of biological sequences, and how far to trust them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqreg.checks import check
    from seqreg.estimator import KmerClassifier, KmerRegressor, SequenceClassifier, SequenceRegressor
    from seqreg.vectors import VectorTable

__version__ = "0.1.0"
__all__ = [
    "KmerClassifier",
    "KmerRegressor",
    "SequenceClassifier",
    "SequenceRegressor",
    "VectorTable",
    "__version__",
    "check",
]
_ROOMS = {"VectorTable": "seqreg.vectors", "check": "seqreg.checks"}


def __getattr__(name: str) -> Any:
    """Estimators, tables of vectors and `check`, imported when first asked for: `import seqreg` itself stays quick."""
    if name in __all__:
        return getattr(import_module(_ROOMS.get(name, "seqreg.estimator")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
