"""The searches as attacks."""

from dataclasses import dataclass

from torch import Tensor

from seqreg.attacks.allowed import Allowed
from seqreg.attacks.base import Attack
from seqreg.attacks.search import beam_search
from seqreg.errors import UsageError
from seqreg.networks import InputView, SequenceNetwork
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class Beam(Attack):
    """Up to `budget` substitutions by beam search with exact scores of all candidates; width 1 is greedy search."""

    budget: int = hyper(5, "letters replaced in each sequence at most", low=1)
    width: int = hyper(1, "variants kept per sequence and round", low=1)
    allowed: str = hyper("any", "rule of allowed letters: any, blosum62:1, transitions, synonymous:0")

    def worst(self, view: InputView, y: Tensor) -> Tensor:
        """ids (N, L) like x, with the substitutions that cost the margin of y most; for seqreg's networks on ids."""
        model, ids = view.model, view.ids
        if not isinstance(model, SequenceNetwork) or ids is None:
            raise UsageError("attack beam scores edited sequences: it needs ids (N, L) and one of seqreg's networks")
        allowed = Allowed(model.alphabet, self.allowed)
        found = beam_search(model, ids, y, budget=self.budget, width=self.width, allowed=allowed, stop_when_wrong=False)
        return found.ids
