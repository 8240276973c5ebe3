"""What a model is worth by what it said: metrics with intervals, per class, calibrated or not, run beside run.

One contract: a function takes what a model said about labelled sequences and returns a frozen record whose
`to_plain` is the JSON file of the same name. No model comes in here, and no PyTorch.
"""

from seqreg.evaluation.comparison import Comparison, compare_runs
from seqreg.evaluation.intervals import bootstrap_intervals
from seqreg.evaluation.scores import Metrics, evaluate

__all__ = ["Comparison", "Metrics", "bootstrap_intervals", "compare_runs", "evaluate"]
