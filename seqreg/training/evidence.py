"""What linear models say of sequences held out: whether both strands count, whether positions do, and longer k-mers.

Strands and positions are decided by what is learned from, and not by letters and lengths alone: binding sites on RNA
are often written in DNA letters, and DNA of one length may begin anywhere. Linear models on k-mers and on positions,
the cheap parts of the default network, are fitted to folds of the training part, and the loss of what they had not seen
decides. Molecules that may be of either strand look the same from both, so that a model of one strand is as right about
reverse complements as about the sequences; where one strand counts, it has nothing to say of them. That tells more than
whether k-mers of both strands have the smaller loss. Where it cannot tell, one strand is kept: what both strands share
of a molecule is for the data to show, or to say (`strand = "both"` of a data set, a BED file without strands).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from seqreg.linear import FITS, Array, draw
from seqreg.networks import Part, SpectrumNet, objective, positional_linear
from seqreg.networks.sum import OF_NUCLEOTIDES, OF_PROTEINS, POSITIONS
from seqreg.sequences import SequenceSet
from seqreg.training.config import TrainConfig
from seqreg.training.heads import STRENGTHS, fit_head
from seqreg.training.held_out import HeldOut
from seqreg.training.weighing import mean_loss, stacking_weights
from seqreg.unfinished import afresh

# A choice: a draw by class stands for more sequences than this, whose loss is known to 3 % of its spread.
DECIDED_ON = 1000
# A choice: what fewer sequences say is noise; then one strand is kept, and positions where there are few of them.
FEWEST = 50
# So many standard errors may what one strand says of the opposite one be worse, where k-mers of both strands are no
# better, but not worse by a standard error either. Of 160 simulated motifs (seeds 200 to 239 of
# `benchmarks/default_strands.py`) 2.75 decides all rightly and 2 all but two; it is 2, as what reads `rbp-qki` and
# `ecoli-sigma70` on both strands by mistake costs more.
TURNED = 2.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was decided, and the sentence that says why."""

    decided: bool
    reason: str


class Evidence:
    """Losses, out of fold, of linear models on a training part; each is fitted when it is first asked for."""

    def __init__(self, train: SequenceSet, config: TrainConfig) -> None:
        self._train = draw(train, DECIDED_ON, config.seed)
        self._config = replace(config, class_weight=config.class_weight or "none")

    def strands(self) -> Finding:
        """Whether DNA is read on both strands."""
        if self._train.both_strands:
            return Finding(decided=True, reason="Reads both strands: the data say that they are of either")
        if self._too_few:
            return Finding(decided=False, reason="Reads one strand: too few sequences to tell")
        one, both, turned = (self._loss(scores) for scores in (self._one, self._both, self._turned))
        if min(one, both) >= self._guessing:
            return Finding(decided=False, reason="Reads one strand: k-mers of one or both tell nothing out of fold")
        if turned >= self._guessing:
            told = f"a loss of {one:.3f} out of fold, and of {turned:.3f}, no better than a guess, on the opposite one"
            return Finding(decided=False, reason=f"Reads one strand: its k-mers have {told}")
        compared = f"a loss of {both:.3f} against {one:.3f} of one strand"
        told = f"{compared}, which has {turned:.3f} on the opposite one, out of fold"
        as_good = both - one < self._error(self._both, self._one)
        as_right = turned - one < TURNED * self._error(self._turned, self._one)
        if both < one or (as_good and as_right):
            return Finding(decided=True, reason=f"Reads both strands: their k-mers have {told}")
        return Finding(decided=False, reason=f"Reads one strand: k-mers of both have {told}")

    def positions(self, least: float = 0.0) -> Finding:
        """Whether a CNN keeps positions, counted from the first letter of sequences of up to POSITIONS letters.

        least: how much smaller they must make the sum of losses.
        """
        if self._train.lengths.max() > POSITIONS:
            return Finding(decided=False, reason=f"Motifs anywhere: sequences of more than {POSITIONS} letters")
        if self._too_few:
            return Finding(decided=True, reason="Positions count: too few sequences to tell that they do not")
        without, within = (self._weighed(each) for each in ([self._one], [self._one, self._placed]))
        if min(without, within) >= self._guessing:
            return Finding(
                decided=True, reason="Positions count: with and without them k-mers tell nothing out of fold"
            )
        compared = f"with them k-mers have a loss of {within:.3f} against {without:.3f} out of fold"
        if (without - within) * self._held_out.weight.sum() > least:
            return Finding(decided=True, reason=f"Positions count: {compared}")
        said = f"{compared}, too little to tell" if within < without else compared
        return Finding(decided=False, reason=f"{'Letters' if least else 'Motifs'} anywhere: {said}")

    def kmers(self) -> Finding:
        """Whether the longer k-mers of proteins are counted, beside single letters."""
        if self._too_few:
            return Finding(decided=True, reason="Counts k-mers: too few sequences to tell that letters are enough")
        several, alone = self._loss(self._one), self._loss(self._scores(self._spectra(both=False)[:1]))
        compared = f"a loss of {min(several, alone):.3f} against {max(several, alone):.3f} out of fold"
        if alone < several:
            return Finding(decided=False, reason=f"Counts single letters alone: without 2-mers they have {compared}")
        return Finding(decided=True, reason=f"Counts k-mers: beside single letters they have {compared}")

    @property
    def _too_few(self) -> bool:
        return len(self._train) < FEWEST or not self._held_out.unseen

    @cached_property
    def _held_out(self) -> HeldOut:
        return HeldOut.of(self._train, None, self._config, None, None)

    @cached_property
    def _one(self) -> Array:
        return self._one_and_turned[0]

    @cached_property
    def _turned(self) -> Array:
        """What models of one strand say of the reverse complements of sequences that they have not seen."""
        return self._one_and_turned[1]

    @cached_property
    def _one_and_turned(self) -> tuple[Array, Array]:
        turned = None if self._train.alphabet.complement is None else self._train.opposite()
        scores = self._scores(self._spectra(both=False), turned)
        return scores[: len(self._held_out.rows)], scores[len(self._held_out.rows) :]

    @cached_property
    def _both(self) -> Array:
        return self._scores(self._spectra(both=True))

    @cached_property
    def _placed(self) -> Array:
        longest = int(self._train.lengths.max())
        return self._scores([positional_linear(self._train.alphabet, outputs=self._outputs, length=longest)])

    @cached_property
    def _guessing(self) -> float:
        """The loss of a constant."""
        target, _ = self._train.labelled()
        y, weight = self._held_out.y, self._held_out.weight
        _, constant = FITS[target.task](np.zeros((len(y), 1)), y, 1.0, weight, self._config.seed)
        return self._loss(np.broadcast_to(constant, (len(y), self._outputs)).copy())

    @property
    def _outputs(self) -> int:
        return self._train.labelled()[0].outputs

    def _spectra(self, *, both: bool) -> list[SpectrumNet]:
        """Those of the default network, of k-mers that sequences have room for."""
        alphabet, longest = self._train.alphabet, int(self._train.lengths.max())
        usual = OF_PROTEINS if alphabet.complement is None else OF_NUCLEOTIDES
        shape = {"outputs": self._outputs, "length": longest, "reverse_complement": both}
        return [SpectrumNet(alphabet, k, **shape) for k in usual if k <= longest]

    def _scores(self, parts: Sequence[Part], also: SequenceSet | None = None) -> Array:
        return fit_head(parts, self._config, self._train, self._held_out, afresh, STRENGTHS[::2], also)

    def _loss(self, scores: Array) -> float:
        return mean_loss(scores, self._held_out.y, self._held_out.weight, objective(self._train.labelled()[0]))

    def _error(self, scores: Array, others: Array) -> float:
        """The standard error of the difference of their mean losses, sequence by sequence."""
        weight, criterion = self._held_out.weight / self._held_out.weight.sum(), objective(self._train.labelled()[0])
        truth = torch.from_numpy(self._held_out.y)
        first, second = (criterion.loss(torch.from_numpy(each), truth).numpy() for each in (scores, others))
        apart = first - second
        return float(np.sqrt(np.square(weight * (apart - weight @ apart)).sum()))

    def _weighed(self, scores: Sequence[Array]) -> float:
        """The loss of parts that are weighed as those of a sum are."""
        target, _ = self._train.labelled()
        stacked = np.stack(scores)
        weights, offset = stacking_weights(stacked, self._held_out.y, self._held_out.weight, objective(target))
        return self._loss(np.tensordot(weights, stacked, 1) + offset)
