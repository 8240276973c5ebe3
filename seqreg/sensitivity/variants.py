"""What given variants do to what a model says: exact scores, one row per variant.

Single substitutions are read off the saturation mutagenesis of their sequence, all other variants are run as sequences
of their own; in float64 in both cases. A call is certified to stand if its margin after the edits is above
`seqreg.certificates.TOLERANCE`, more than rounding can take away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit

from seqreg.alphabet import Alphabet
from seqreg.attacks import AppliedEdit, apply_edits, read_edits
from seqreg.certificates import TOLERANCE, hamming_certificate, in_double, margins
from seqreg.errors import UsageError
from seqreg.mutagenesis import plain_logits, substitution_scores
from seqreg.networks import can, objective
from seqreg.predictors import Predictor, TrainedNetwork
from seqreg.sequences import ListedVariant, SequenceSet, padded_batches
from seqreg.targets import Target

COLUMNS = (
    *("id", "variant", "class", "logit_before", "logit_after", "change", "p_before", "p_after"),
    *("prediction_before", "prediction_after", "certified", "certified_any"),
)
OF_VALUES = ("id", "variant", "value_before", "value_after", "change", "certified", "certified_any")
_LETTERS = 1 << 14  # of the sequences that are mutated at a time
_FEW = 1e-12  # how near to 0 and 1 a baseline's probability is taken when it is turned into a logit


@dataclass(frozen=True, kw_only=True)
class VariantScore:
    """One variant and one class: the positive one of a binary task, the one predicted before where there are more
    classes, and each label of a multi-label task in turn.

    logit: log(p / (1 - p)) of the class, before and after, and its change. certified: whether it is proved that the
    call stays the same, None where nothing can be; certified_any: that no other substitution of as many letters
    anywhere changes it either, None for edits of other kinds and for baselines.
    """

    id: str
    variant: str
    named: str
    logit_before: float
    logit_after: float
    p_before: float
    p_after: float
    prediction_before: str
    prediction_after: str
    certified: bool | None
    certified_any: bool | None

    def row(self) -> tuple[str, ...]:
        """What the table of calls holds, by `COLUMNS`."""
        change = self.logit_after - self.logit_before
        numbers = (self.logit_before, self.logit_after, change, self.p_before, self.p_after)
        proved = (self.certified, self.certified_any)
        return (
            *(self.id, self.variant, self.named, *(f"{value:.6g}" for value in numbers)),
            *(self.prediction_before, self.prediction_after),
            *("" if value is None else "yes" if value else "no" for value in proved),
        )

    def row_of_value(self) -> tuple[str, ...]:
        """What the table of values holds, by `OF_VALUES`: all in the unit.

        certified: whether the change is within half a standard deviation of the training values; certified_any: whether
        that of any other edits of as many letters is.
        """
        change = self.p_after - self.p_before
        proved = ("" if value is None else "yes" if value else "no" for value in (self.certified, self.certified_any))
        return (self.id, self.variant, *(f"{x:.6g}" for x in (self.p_before, self.p_after, change)), *proved)


def columns_of(target: Target) -> tuple[str, ...]:
    """Names of the cells of a row, of calls or of values."""
    return COLUMNS if target.probabilistic else OF_VALUES


def score_variants(model: Predictor, data: SequenceSet, listed: Sequence[ListedVariant]) -> list[VariantScore]:
    """Scores of the listed variants of the sequences in `data`, in the order of the list.

    Raises InputError, with file and line, for an id that `data` lacks, for what is no variant, and for a variant that
    does not fit its sequence.
    """
    row_of = {name: row for row, name in enumerate(data.names)}
    asked: dict[int, list[_Asked]] = {}
    for number, one in enumerate(listed):
        if one.id not in row_of:
            raise one.error(f"{data.source or 'the input'} has no sequence of this id")
        row = row_of[one.id]
        letters = data.codes[data.offsets[row] : data.offsets[row + 1]]
        try:
            _check_reference(one, letters, data.alphabet)
            edits = read_edits(one.text, data.alphabet, letters)
            codes = apply_edits(letters, edits, data.alphabet)
        except UsageError as error:
            raise one.error(str(error)) from None
        asked.setdefault(row, []).append(_Asked(number, one, edits, codes))
    judge = _Network(model) if isinstance(model, TrainedNetwork) else _Baseline(model)
    found: dict[int, list[VariantScore]] = {}
    by_length = np.array(sorted(asked, key=lambda row: data.lengths[row]), dtype=np.int64)
    for places in padded_batches(data.lengths[by_length], len(data), _LETTERS):
        rows = by_length[places]
        variants = [(position, each) for position, row in enumerate(rows.tolist()) for each in asked[row]]
        found |= judge.scores(data.subset(rows), variants)
    return [score for number in range(len(listed)) for score in found[number]]


def _check_reference(one: ListedVariant, letters: NDArray[np.uint8], alphabet: Alphabet) -> None:
    """Raises UsageError where the sequence has other letters than the list says it has."""
    if one.reference is None:
        return
    start, text = one.reference
    there = letters[start : start + len(text)]
    if not np.array_equal(there, alphabet.encode(text)):
        raise UsageError(f"the reference is {text} there, the sequence has {alphabet.decode(there) or 'no letter'}")


@dataclass(frozen=True, eq=False)
class _Asked:
    """A variant understood: its number in the list, its edits, and the codes of the edited sequence."""

    number: int
    listed: ListedVariant
    edits: tuple[AppliedEdit, ...]
    codes: NDArray[np.uint8]

    @property
    def substitutions(self) -> bool:
        return all(edit.kind == "substitution" for edit in self.edits)


def _set_of(variants: Sequence[_Asked], like: SequenceSet) -> SequenceSet:
    lengths = [len(each.codes) for each in variants]
    return SequenceSet(
        alphabet=like.alphabet,
        names=[f"variant {i + 1}" for i in range(len(variants))],
        codes=np.concatenate([each.codes for each in variants]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


class _Network:
    """Scores by a network, in float64."""

    def __init__(self, network: TrainedNetwork) -> None:
        self.network, self.double = network, in_double(network.module)
        self.device = next(network.module.parameters()).device
        self.provable = can(network.module, "bounds")

    @torch.no_grad()
    def scores(self, data: SequenceSet, variants: list[tuple[int, _Asked]]) -> dict[int, list[VariantScore]]:
        """By number in the list; each variant comes with the row of its sequence in `data`."""
        ids = torch.from_numpy(data.padded()).to(self.device)
        before = plain_logits(self.double, ids)
        y = objective(self.network.target).call(before)
        # Without bounds sequences are scored whole, by a language model perhaps: not all mutants where one is wanted.
        single = [len(each.edits) == 1 and each.substitutions and self.provable for _, each in variants]
        mutants = substitution_scores(self.double, ids) if any(single) else None
        after = before.new_empty(len(variants), before.shape[1])
        others = [i for i, alone in enumerate(single) if not alone]
        for i in (i for i, alone in enumerate(single) if alone):
            row, each = variants[i]
            assert mutants is not None
            after[i] = mutants[row, each.edits[0].position, each.edits[0].new]
        if others:
            edited = torch.from_numpy(_set_of([variants[i][1] for i in others], data).padded()).to(self.device)
            after[others] = plain_logits(self.double, edited)
        rows = torch.tensor([row for row, _ in variants], device=self.device)
        stands = margins(after, y[rows], self.double) > TOLERANCE
        most = max((len(each.edits) for _, each in variants if each.substitutions), default=0)
        radius = []
        if self.provable:
            radius = hamming_certificate(self.double, ids, y, most=most, singles=mutants).radius.tolist()
        result: dict[int, list[VariantScore]] = {}
        target = self.network.target
        logits = [z.cpu().numpy() / self.network.temperature for z in (before[rows], after)]
        odds, p = [target.log_odds(z) for z in logits], [target.predict(z) for z in logits]
        for i, (row, each) in enumerate(variants):
            proved = radius[row] >= len(each.edits) if each.substitutions and radius else None
            pairs = (odds[0][i], odds[1][i]), (p[0][i], p[1][i])
            result[each.number] = _rows(target, each.listed, *pairs, bool(stands[i]) if radius else None, proved)
        return result


class _Baseline:
    """Scores by a linear model, which are in float64 anyway."""

    def __init__(self, baseline: Predictor) -> None:
        self.baseline = baseline

    def scores(self, data: SequenceSet, variants: list[tuple[int, _Asked]]) -> dict[int, list[VariantScore]]:
        """As for a network."""
        rows = [row for row, _ in variants]
        before = self.baseline.probabilities(data)[rows]
        after = self.baseline.probabilities(_set_of([each for _, each in variants], data))
        known = self.baseline.target.probabilistic
        odds = [logit(np.clip(p, _FEW, 1 - _FEW)) if known else p for p in (before, after)]
        result: dict[int, list[VariantScore]] = {}
        for i, (_, each) in enumerate(variants):
            stands = self.baseline.target.call_margin(before[i], after[i]) > TOLERANCE
            pairs = (odds[0][i], odds[1][i]), (before[i], after[i])
            result[each.number] = _rows(self.baseline.target, each.listed, *pairs, stands, None)
        return result


def _rows(
    target: Target,
    listed: ListedVariant,
    odds: tuple[NDArray[np.float64], NDArray[np.float64]],
    p: tuple[NDArray[np.float64], NDArray[np.float64]],
    certified: bool | None,
    certified_any: bool | None,
) -> list[VariantScore]:
    calls = target.texts(target.call(np.stack(p)))
    return [
        VariantScore(
            id=listed.id,
            variant=listed.named or listed.text,
            named=target.shown_names[k],
            logit_before=float(odds[0][k]),
            logit_after=float(odds[1][k]),
            p_before=float(p[0][k]),
            p_after=float(p[1][k]),
            prediction_before=calls[0],
            prediction_after=calls[1],
            certified=certified,
            certified_any=certified_any,
        )
        for k in target.reported(p[0])
    ]
