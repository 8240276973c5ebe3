"""Substitutions that raise the loss most to first order: quick enough to train on, not fit to evaluate with."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.attacks.allowed import Allowed
from seqreg.attacks.base import Attack
from seqreg.errors import UsageError
from seqreg.networks import InputView, SequenceNetwork, input_gradient
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class Substitution(Attack):
    """Up to `budget` letters replaced where the loss's gradient promises most (HotFlip, Ebrahimi et al., ACL 2018).

    A substitution of a by b at position i is worth `g[b, i] - g[a, i]`, g the loss's gradient at one-hot x. Each of
    `steps` rounds computes g anew and replaces its share of the budget; no position is replaced twice, and none where
    nothing is promised. First order over-reports robustness: evaluate with `beam_search`.
    """

    budget: int = hyper(5, "letters replaced in each sequence at most", low=1)
    steps: int = hyper(1, "gradients computed; the budget is divided among them", low=1)
    allowed: str = hyper("any", "rule of allowed letters: any, blosum62:1, transitions, synonymous:0")

    def worst(self, view: InputView, y: Tensor) -> Tensor:
        """x_adv like x, which is ids (N, L) for seqreg's networks, or one-hot (N, A, L) without mixtures for any."""
        steps = min(self.steps, self.budget)
        free = view.mask
        letters = self._letters(view)
        current = view.given
        for step in range(steps):
            share = self.budget // steps + (step < self.budget % steps)
            view = view.at(current)
            gradient = input_gradient(view.losses(view.forward(view.x), y).sum(), view.x)
            with torch.no_grad():
                gain = gradient - (gradient * view.x).sum(1, keepdim=True)  # N, A, L
                if letters is not None:
                    gain = gain.masked_fill(~letters, -torch.inf)
                best, letter = gain.max(1)
                best = best.masked_fill(~free, -torch.inf)
                value, place = best.topk(min(share, best.shape[1]), dim=1)
                chosen = torch.zeros_like(free).scatter(1, place, value > 0)
                free = free & ~chosen
                if current.dim() == 2:
                    current = torch.where(chosen, letter.to(current.dtype), current)
                else:
                    written = F.one_hot(letter, current.shape[1]).transpose(1, 2).to(current.dtype)
                    current = torch.where(chosen[:, None], written, current)
        return current

    def _letters(self, view: InputView) -> Tensor | None:
        """(N, A, L) bool, or None where any letter may come."""
        if self.allowed == "any":
            return None
        if not isinstance(view.model, SequenceNetwork) or view.ids is None:
            raise UsageError(f"allowed={self.allowed!r} needs to know the letters: pass ids (N, L) to a seqreg network")
        return Allowed(view.model.alphabet, self.allowed).now(view.ids, view.ids).transpose(1, 2)
