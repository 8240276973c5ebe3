"""What a trained model is worth: metrics with intervals, per class, and calibrated or not.

One contract: a function takes what a model said about labelled sequences and returns a frozen record whose
`to_plain` is the JSON file of the same name.
"""

from seqreg.evaluation.comparison import Comparison, compare_runs
from seqreg.evaluation.intervals import bootstrap_intervals
from seqreg.evaluation.robustness import Robustness, evaluate_robustness
from seqreg.evaluation.scores import Metrics, evaluate

__all__ = [
    "Comparison",
    "Metrics",
    "Robustness",
    "bootstrap_intervals",
    "compare_runs",
    "evaluate",
    "evaluate_robustness",
]
