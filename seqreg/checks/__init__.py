"""Could this model be fooling me? What makes numbers look better than they are, looked for one by one.

One contract: a `Check` says what it needs, its function looks at an `Evidence` and returns a status (`ok`, `note` or
`warn`), a value and words for its message, or None where there is nothing to look at; it changes nothing and trains no
network. `find_all` runs every member of `CHECKS`. Adding one is its function and an entry at the foot of this file.
"""

from collections.abc import Sequence
from typing import Any

from seqreg.checks.base import Check, Evidence, Finding
from seqreg.checks.classes import length_by_class
from seqreg.checks.labels import COLUMNS, issues, missing, suspect_rows, suspects
from seqreg.checks.relatives import duplicates, similarity
from seqreg.checks.scores import below_chance, calibration
from seqreg.checks.shortcuts import composition_only, length_only
from seqreg.sequences import SequenceSet, read_strings

__all__ = ["CHECKS", "COLUMNS", "Check", "Evidence", "Finding", "check", "find_all", "suspect_rows", "suspects"]


def find_all(evidence: Evidence) -> tuple[Finding, ...]:
    """What every check that applies finds, in the order of `CHECKS`."""
    return tuple(found for each in CHECKS.values() if (found := each(evidence)) is not None)


def check(sequences: Sequence[str] | SequenceSet, labels: Any = None, groups: Any = None) -> tuple[Finding, ...]:
    """What could fool a model on these sequences, before any training.

    sequences: (N,) texts. labels: (N,) a label each. groups: (N,) what must stay on one side of a split. Raises
    UsageError and InputError as reading does.
    """
    data = sequences if isinstance(sequences, SequenceSet) else read_strings(sequences, labels, groups=groups)
    return find_all(Evidence(data=data))


CHECKS: dict[str, Check] = {
    "duplicates": Check(
        name="duplicates",
        needs=(),
        function=duplicates,
        message={
            "ok": "No sequence occurs twice.",
            "note": "{copies} sequences repeat another one; copies always stay on one side of a split.",
            "warn": "{copies} sequences repeat another one: {conflicting} occur with different labels{named}, and "
            "{across_parts} test sequences were trained on.",
        },
        remedy="Keep one of each and settle its label; leave out a split that parts copies.",
    ),
    "similarity": Check(
        name="similarity",
        needs=(),
        function=similarity,
        message={
            "ok": "{share} of the {which} share {threshold} or more of their k-mers with {among}; the nearest shares "
            "{largest}.",
            "note": "{share} of the {which} share {threshold} or more of their k-mers with {among}; {copies} are "
            "near copies.",
            "warn": "{copies} of the {which} are near copies of {among} ({share} share {threshold} or more of their "
            "k-mers): scores on such sequences say little about new ones.",
        },
        remedy="Keep relatives on one side, as `seqreg split INPUT -o splits.tsv --by homology` does.",
    ),
    "length-only": Check(
        name="length-only",
        needs=("classes",),
        function=length_only,
        message={
            "ok": "Length alone: {metric} {value}, the model {model}.",
            "note": "Length alone: {metric} {value}, the model {model}; these sequences cannot tell whether it is more "
            "(difference {low} to {high}).",
            "warn": "Length alone does as well: {metric} {value}, the model {model} (difference {low} to {high}).",
        },
        remedy="Give all classes the same lengths: cut the longer ones, or draw a background matched in length.",
    ),
    "composition-only": Check(
        name="composition-only",
        needs=("classes",),
        function=composition_only,
        message={
            "ok": "Letter frequencies alone: {metric} {value}, the model {model}.",
            "note": "Letter frequencies alone: {metric} {value}, the model {model}; these sequences cannot tell "
            "whether it is more (difference {low} to {high}).",
            "warn": "Letter frequencies alone do as well: {metric} {value}, the model {model} (difference {low} to "
            "{high}).",
        },
        remedy="If that is not the biology you are after, use a background matched in letters: seqreg background.",
    ),
    "length-by-class": Check(
        name="length-by-class",
        needs=("classes",),
        function=length_by_class,
        message={
            "ok": "Median length (middle half): {said}.",
            "note": "The classes differ in length: {said}; length alone tells one from the rest with AUROC {area}.",
        },
        remedy="See length-only for whether a model knows more than that.",
    ),
    "missing-like-labels": Check(
        name="missing-like-labels",
        needs=("classes",),
        function=missing,
        message={
            "ok": "No label looks like a missing one.",
            "warn": "{n} labels look like missing ones (NA, nan, ?, unknown) and are learned as a class.",
        },
        remedy="Leave these sequences out, or give them their label.",
    ),
    "calibration": Check(
        name="calibration",
        needs=("classes", "model"),
        function=calibration,
        message={
            "ok": "Its probabilities are consistent with what came true: ECE {ece}, {expected} if all were right.",
            "note": "Whether its probabilities can be read as frequencies cannot be told from {n} sequences: ECE "
            "{ece}, where perfect ones would give {expected} on average and up to {upper} (p = {p}).",
            "warn": "Do not read its probabilities as frequencies: ECE {ece}, where perfect ones would give {expected} "
            "on average and up to {upper} (p = {p}). The ranking is unaffected.",
        },
        remedy="Test on more sequences, or use the ranking and thresholds.tsv.",
    ),
    "below-chance": Check(
        name="below-chance",
        needs=("classes", "baselines"),
        function=below_chance,
        message={
            "ok": "No simple model is below chance.",
            "warn": "The simple model “{name}” is below chance (AUROC {value}, the whole interval below 0.5): "
            "sequences that look alike have opposite labels and are on different sides of the split, as a sequence and "
            "its shuffle.",
        },
        remedy="Give such sequences a common group: group=NAME in headers, as seqreg background writes it.",
    ),
    "label-issues": Check(
        name="label-issues",
        needs=("classes",),
        function=issues,
        message={
            "ok": "No label is contradicted by the other sequences.",
            "note": "{n} of {of} labels are contradicted by what the other sequences say, {named} first.",
        },
        remedy="Look at suspects.tsv: these may be wrong labels, or the cases that are hardest.",
    ),
}
