"""Exact scores of all single edits of a sequence.

One contract: `..._scores(model, ids)` gives the logits, last axis K, of every edit of its kind, equal to running the
network on each edited sequence. Gradients are not tracked; the model is left as it was.
"""

from seqreg.mutagenesis.edits import DELETION, EDITS, INSERTION, SUBSTITUTION, Edit
from seqreg.mutagenesis.scores import (
    deletion_scores,
    forward_substitution_scores,
    insertion_scores,
    plain_logits,
    substitution_scores,
)

__all__ = [
    "DELETION",
    "EDITS",
    "INSERTION",
    "SUBSTITUTION",
    "Edit",
    "deletion_scores",
    "forward_substitution_scores",
    "insertion_scores",
    "plain_logits",
    "substitution_scores",
]
