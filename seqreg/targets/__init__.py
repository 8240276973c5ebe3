"""What is learned: what a label means, and everything that follows from it.

One contract: a `Target` is frozen, is written into `model.json` by `to_plain` and read from it by `from_plain`, and
turns texts into y, the outputs of a model into p, and p into answers. A member of `TARGETS` is one kind of it:
`Classes`, one class per sequence, or `Labels`, any number of labels at once. What a network does with one (its loss,
its margins) stands in `seqreg.networks.objectives`, by the same kinds.
"""

from seqreg.targets.base import SEPARATOR, LabelError, Target
from seqreg.targets.classes import Classes
from seqreg.targets.kinds import TARGETS, common_target, from_plain, same_number, target_of_labels
from seqreg.targets.labels import Labels
from seqreg.targets.sets import PredictionSets

__all__ = [
    "SEPARATOR",
    "TARGETS",
    "Classes",
    "LabelError",
    "Labels",
    "PredictionSets",
    "Target",
    "common_target",
    "from_plain",
    "same_number",
    "target_of_labels",
]
