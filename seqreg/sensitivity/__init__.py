"""What a trained model does when its input changes: edits and attacks, given variants, and bounds of its norm.

One contract: a function takes a trained model and sequences and returns frozen records; `to_plain`, where there is one,
is the JSON file of the same name. Bounds and what was found never share a name.
"""

from seqreg.sensitivity.norm import NormReport, norm_report
from seqreg.sensitivity.robustness import Robustness, evaluate_robustness
from seqreg.sensitivity.shifts import Shifts, evaluate_shifts
from seqreg.sensitivity.variants import VariantScore, score_variants

__all__ = [
    "NormReport",
    "Robustness",
    "Shifts",
    "VariantScore",
    "evaluate_robustness",
    "evaluate_shifts",
    "norm_report",
    "score_variants",
]
