"""How far a deformation of a sequence moves a logit, by small finite moves or along their directions."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.attacks.ball import unit
from seqreg.networks import InputView
from seqreg.penalties.base import Penalty, over_batch
from seqreg.penalties.letters import Letters
from seqreg.specs import hyper

_NAMES = ("shift", "insertion", "deletion", "similar", "synonymous", "reverse-complement")


@dataclass(frozen=True, kw_only=True)
class Deformation(Penalty):
    """`weight * sum_k max_{i, tau} (f_k(tau x_i) - f_k(x_i))^2` over random deformations tau (Bietti et al., 2019).

    `set` joins the kinds of deformation with +; `samples` of each kind are drawn for every sequence by a generator
    of the penalty's own, seeded by the progress of training.
    """

    parts_may_follow: ClassVar[bool] = True
    weight: float = hyper(1.0, "strength lambda", low=0)
    set: tuple[str, ...] = hyper(("shift", "insertion", "deletion", "similar"), "kinds joined by +", choices=_NAMES)
    size: int = hyper(3, "largest shift, run of letters, or number of substitutions", low=1)
    samples: int = hyper(1, "random deformations of each kind per sequence", low=1)
    threshold: float = hyper(1.0, "least BLOSUM62 score of similar amino acids")
    over: str = hyper("max", "how examples of a batch are joined", choices=("max", "mean"))

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; does not look at y."""
        letters = Letters(view)
        variants = list(
            letters.deformed(
                self.set,
                samples=self.samples,
                size=self.size,
                threshold=self.threshold,
                progress=progress,
                keep_length=False,
            )
        )
        if self.over == "mean" or not view.separable:
            clean = letters.logits(letters.ids)
            moves = torch.stack([letters.logits(ids) - clean for ids in variants])  # V, N, K
            return self.weight * over_batch(moves.square().amax(0), self.over).sum()
        with torch.no_grad():
            clean = letters.logits(letters.ids)
            moves = torch.stack([letters.logits(ids) - clean for ids in variants])
        winner = moves.square().flatten(0, 1).argmax(0)  # of V * N, for each class
        widest = max(ids.shape[1] for ids in variants)
        pool = torch.cat([F.pad(ids, (0, widest - ids.shape[1]), value=letters.alphabet.pad) for ids in variants])
        moved = letters.logits(pool[winner]) - letters.logits(letters.ids[winner % len(letters.ids)])
        return self.weight * moved.diagonal().square().sum()


@dataclass(frozen=True, kw_only=True)
class Tangent(Penalty):
    """`weight * sum_k max_i reduce_t <grad_x f_k(x_i), t>^2`, t = tau x_i - x_i for random deformations tau.

    Insertions and deletions keep the length here: letters leave at the end, or unknown ones move in. `reduce=max`
    takes directions t / ||t||, the steepest of them; `reduce=sum` adds up the raw t, as in the paper
    (Bietti et al., 2019; Simard et al., 1998).
    """

    parts_may_follow: ClassVar[bool] = True
    weight: float = hyper(0.1, "strength lambda", low=0)
    set: tuple[str, ...] = hyper(("shift", "insertion", "deletion", "similar"), "kinds joined by +", choices=_NAMES)
    reduce: str = hyper("max", "steepest unit direction, or sum over raw ones", choices=("max", "sum"))
    size: int = hyper(3, "largest shift, run of letters, or number of substitutions", low=1)
    samples: int = hyper(1, "random deformations of each kind per sequence", low=1)
    threshold: float = hyper(1.0, "least BLOSUM62 score of similar amino acids")
    over: str = hyper("max", "how examples of a batch are joined", choices=("max", "mean"))

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; does not look at y."""
        letters = Letters(view)
        variants = letters.deformed(
            self.set,
            samples=self.samples,
            size=self.size,
            threshold=self.threshold,
            progress=progress,
            keep_length=True,
        )
        x_0 = letters.one_hot(letters.ids)
        tangents = torch.stack([letters.one_hot(ids) - x_0 for ids in variants], 1)  # N, V, A, L
        if self.reduce == "max":
            tangents = unit(tangents.flatten(0, 1)).view_as(tangents)
        everyone = self.over == "mean" or not view.separable
        slopes = torch.stack(
            [
                self._slope(view.gradient(logits, create_graph=everyone, retain_graph=True), tangents)
                for logits in view.logits.unbind(1)
            ],
            1,
        )  # N, K
        if everyone:
            return self.weight * over_batch(slopes, self.over).sum()
        winner = slopes.argmax(0)
        rows = view.rows(winner)
        gradient = rows.gradient(rows.logits.diagonal(), create_graph=True)
        return self.weight * self._slope(gradient, tangents[winner]).sum()

    def _slope(self, gradient: Tensor, tangents: Tensor) -> Tensor:
        """(N,) reduced squared slopes of gradients (N, A, L) along tangents (N, V, A, L)."""
        squares = torch.einsum("nal,nval->nv", gradient, tangents).square()
        return squares.amax(1) if self.reduce == "max" else squares.sum(1)
