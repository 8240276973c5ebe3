"""What is learned: what a label means, and everything that follows from it.

One contract: a `Target` is frozen, is written into `model.json` by `to_plain` and read from it by `from_plain`, and
turns texts into y, the outputs of a model into p, and p into answers. A member of `TARGETS` is one kind of it:
`Classes`, one class per sequence, `Labels`, any number of labels at once, or `Values`, a number. What a network does
with one (its loss, its margins) stands in `seqreg.networks.objectives`, by the same kinds.
"""

from seqreg.targets.base import SEPARATOR, LabelError, Target
from seqreg.targets.classes import Classes
from seqreg.targets.intervals import PredictionIntervals
from seqreg.targets.kinds import (
    EVERY_METRIC,
    TARGETS,
    common_target,
    fractional,
    from_plain,
    same_number,
    target_of_labels,
)
from seqreg.targets.labels import Labels
from seqreg.targets.sets import PredictionSets
from seqreg.targets.values import Values

__all__ = [
    "EVERY_METRIC",
    "SEPARATOR",
    "TARGETS",
    "Classes",
    "LabelError",
    "Labels",
    "PredictionIntervals",
    "PredictionSets",
    "Target",
    "Values",
    "common_target",
    "fractional",
    "from_plain",
    "same_number",
    "target_of_labels",
]
