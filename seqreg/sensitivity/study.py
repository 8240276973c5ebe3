"""What is asked of a trained network about a batch of sequences: the worst edits found, and what is proved of any."""

import copy
from dataclasses import astuple, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.alphabet import ALPHABETS
from seqreg.attacks import PGD, Allowed, AppliedEdit, beam_search
from seqreg.certificates import (
    TOLERANCE,
    HammingCertificate,
    edit_certificate,
    hamming_certificate,
    in_double,
    margin_directions,
    margin_lipschitz,
    margins,
)
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.networks import SequenceNetwork, can
from seqreg.sensitivity.batches import Batch
from seqreg.sensitivity.pairs import all_pairs_stand
from seqreg.unfinished import Piece

_TENSORS = ("margin", "radius", "changed_at", "margin_after", "logits", "damage", "l2_attacked", "l2_certified")
_SINGLE_SCORES = {"substitution": substitution_scores, "insertion": insertion_scores, "deletion": deletion_scores}


@dataclass(frozen=True)
class StudiedPart:
    """What is known of some of the sequences, by their positions in the data."""

    index: NDArray[np.int64]
    margin: Tensor
    radius: Tensor
    changed_at: Tensor
    edits: tuple[tuple[AppliedEdit, ...], ...]
    margin_after: Tensor
    logits: Tensor
    damage: Tensor
    l2_attacked: Tensor
    l2_certified: Tensor
    proofs: tuple[str, ...]

    def to_piece(self) -> Piece:
        """What is kept of unfinished work."""
        edits = [[astuple(edit) for edit in of_one] for of_one in self.edits]
        arrays = {name: getattr(self, name).cpu().numpy() for name in _TENSORS}
        return {**arrays, "index": self.index, "edits": edits, "proofs": list(self.proofs)}

    @classmethod
    def of_piece(cls, piece: Piece) -> "StudiedPart":
        """The same again."""
        edits = tuple(tuple(AppliedEdit(*edit) for edit in of_one) for of_one in piece["edits"])
        tensors = {name: torch.from_numpy(piece[name]) for name in _TENSORS}
        return cls(index=piece["index"], edits=edits, proofs=tuple(piece["proofs"]), **tensors)


class Study:
    """What is asked of every batch, with the network in both precisions."""

    def __init__(
        self,
        model: SequenceNetwork,
        alphabet: str,
        rule: str,
        most: int,
        edits: tuple[str, ...],
        beam: int,
        epsilons: tuple[float, ...],
        l2_steps: int,
        pairs: int,
    ) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.double = in_double(self.model)
        self.device = next(model.parameters()).device
        self.alphabet, self.rule = alphabet, rule
        self.most, self.edits, self.beam = most, edits, beam
        self.epsilons, self.l2_steps = epsilons, l2_steps
        self.pairs = pairs

    def __call__(self, batch: Batch) -> Piece:
        """Everything about one batch, to be kept."""
        assert batch.y is not None
        letters = None if batch.letters is None else torch.from_numpy(batch.letters).to(self.device)
        ids, y = (torch.from_numpy(each).to(self.device) for each in (batch.ids, batch.y))
        allowed = Allowed(ALPHABETS[self.alphabet], self.rule, letters)
        return self.part(batch.index, ids, y, allowed).to_piece()

    @torch.no_grad()
    def part(self, index: NDArray[np.int64], ids: Tensor, y: Tensor, allowed: Allowed) -> StudiedPart:
        """Everything about one batch."""
        logits = self.double(ids)
        margin = margins(logits, y)
        changed_at, edits, after = self._attacked(ids, y, margin, allowed)
        singles = {
            name: _SINGLE_SCORES[name](self.double, ids) for name in dict.fromkeys(("substitution", *self.edits))
        }
        letters = allowed.ever(ids)
        radius, proofs = self._certified(ids, y, letters, singles, changed_at - 1)
        return StudiedPart(
            index=index,
            margin=margin,
            radius=radius,
            changed_at=changed_at,
            edits=edits,
            margin_after=after,
            logits=logits,
            damage=_damage(singles["substitution"], y, margin, letters, ids),
            l2_attacked=self._l2_attacked(ids, y, margin),
            l2_certified=self._l2_certified(ids, y, logits),
            proofs=proofs,
        )

    def _attacked(
        self, ids: Tensor, y: Tensor, margin: Tensor, allowed: Allowed
    ) -> tuple[Tensor, tuple[tuple[AppliedEdit, ...], ...], Tensor]:
        """Number of edits that change a right prediction (most + 1: none found; 0: wrong already), edits, margins."""
        found = beam_search(self.model, ids, y, budget=self.most, width=self.beam, allowed=allowed, edits=self.edits)
        after = margins(self.double(found.ids), y)
        number = torch.tensor([len(edits) for edits in found.edits], device=ids.device)
        changed_at = torch.where(after <= 0, number, self.most + 1)
        changed_at = torch.where(margin <= 0, 0, changed_at.clamp(min=1))
        return changed_at, found.edits, after

    def _certified(
        self, ids: Tensor, y: Tensor, letters: Tensor, singles: dict[str, Tensor], ceiling: Tensor
    ) -> tuple[Tensor, tuple[str, ...]]:
        """Proved radii (N,), and by which bound. A radius above the ceiling would contradict the attack."""
        if not can(self.model, "bounds"):
            right = margins(self.double(ids), y) > TOLERANCE
            return torch.where(right, 0, -1), ("",) * len(ids)
        if self.edits == ("substitution",):
            scores = singles["substitution"]
            proved = hamming_certificate(
                self.model, ids, y, most=self.most, allowed=letters, singles=scores, ceiling=ceiling
            )
            return self._with_pairs(proved, ids, y, letters, scores, ceiling)
        exact = [singles[name] for name in self.edits]
        radius = edit_certificate(self.model, ids, y, most=self.most, singles=exact)
        name = "single edits, and windows below mean pooling"
        return radius, tuple(name if value > 0 else "" for value in radius.tolist())

    def _with_pairs(
        self, proved: HammingCertificate, ids: Tensor, y: Tensor, letters: Tensor, scores: Tensor, ceiling: Tensor
    ) -> tuple[Tensor, tuple[str, ...]]:
        """Radii and proofs, two substitutions being settled exactly where neither a bound nor the attack did."""
        radius, proof = proved.radius.clone(), list(proved.proof)
        open_ = torch.nonzero((radius == 1) & (ceiling.clamp(max=self.most) >= 2)).squeeze(1)
        if self.pairs and len(open_):
            asked = (each[open_] for each in (ids, y, letters, scores))
            for row in open_[all_pairs_stand(self.double, *asked, most=self.pairs)].tolist():
                radius[row], proof[row] = 2, "all pairs"
        return radius, tuple(proof)

    def _l2_attacked(self, ids: Tensor, y: Tensor, margin: Tensor) -> Tensor:
        """(N, E) whether the prediction is still right after PGD in each ball and in the smaller ones."""
        right = (margin > 0)[:, None].repeat(1, len(self.epsilons))
        for column, epsilon in enumerate(self.epsilons):
            rows = torch.nonzero(right[:, column]).squeeze(1)
            if epsilon == 0 or not len(rows):
                continue
            with torch.enable_grad():
                x = PGD(epsilon=epsilon, steps=self.l2_steps)(self.model, ids[rows], y[rows])
            lengths = self.model.lengths(ids[rows])
            wrong = torch.nonzero(margins(self.model(x, lengths=lengths), y[rows]) <= 0).squeeze(1)
            if len(wrong):
                confirmed = margins(self.double(x[wrong].double(), lengths=lengths[wrong]), y[rows[wrong]]) <= 0
                right[rows[wrong[confirmed]], column:] = False
        return right

    def _l2_certified(self, ids: Tensor, y: Tensor, logits: Tensor) -> Tensor:
        """(N, E) whether margins exceed what the Lipschitz constant allows to be lost."""
        if not self.epsilons:
            return torch.zeros(len(ids), 0, dtype=torch.bool, device=ids.device)
        directions = margin_directions(y, logits.shape[1])
        lipschitz = margin_lipschitz(self.double, directions, int(self.model.lengths(ids).min()))
        margin = (directions @ logits[:, :, None]).squeeze(-1)
        radii = torch.tensor(self.epsilons, dtype=torch.float64, device=ids.device)
        return (margin[..., None] - lipschitz[..., None] * radii > TOLERANCE).all(1)


def _damage(scores: Tensor, y: Tensor, margin: Tensor, letters: Tensor, ids: Tensor) -> Tensor:
    """(N, L) fall of the margin by the worst allowed substitution at each position, NaN where none is."""
    others = letters & (torch.arange(letters.shape[2], device=ids.device) != ids[:, :, None])
    worst = margins(scores, y).masked_fill(~others, torch.inf).amin(2)
    return (margin[:, None] - worst).masked_fill(~others.any(2), torch.nan)
