"""Penalties on what substituted letters can do to a prediction, by bounds that are proved and differentiable."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates import hamming_lipschitz, largest_sums, margin_directions, symbol_influences
from seqreg.errors import UsageError
from seqreg.networks import InputView, Objective, Part, SequenceNetwork, Value, added, objective_for, parts_of
from seqreg.penalties.base import Penalty
from seqreg.penalties.letters import Letters
from seqreg.specs import hyper


def _network(view: InputView, name: str) -> SequenceNetwork:
    if not isinstance(view.model, SequenceNetwork):
        raise UsageError(
            f"penalty {name} reads the layers of seqreg's networks and has no bound for a {view.model.name}"
        )
    return view.model


@dataclass(frozen=True, kw_only=True)
class Hamming(Penalty):
    """`weight * sum_k D_k`, D_k the Hamming-Lipschitz constant: m substitutions move logit k by at most m D_k.

    K > 1 classes: the mean over pairs of classes of the constant of `f_j - f_k`, which is what margins feel.
    """

    weight: float = hyper(0.15, "strength lambda", low=0)

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; looks at the weights, at lengths below mean pooling, and at y for whether labels are several."""
        parts = parts_of(_network(view, "hamming"))
        return self.weight * added(_constants(part, view.mask.sum(1), y) for part in parts)


def _constants(net: Part, lengths: Tensor, y: Tensor) -> Tensor:
    """[] constant of the labels, added up, or of the pairs of classes, on average."""
    windows = 1 / net.window_counts(lengths).to(net.output.weight.dtype).reciprocal().mean()
    if y.dim() == 2:
        labels = torch.eye(y.shape[1], dtype=net.output.weight.dtype, device=y.device)
        return hamming_lipschitz(net, labels, windows).sum()
    return hamming_lipschitz(net, windows=windows).mean()


@dataclass(frozen=True, kw_only=True)
class Certified(Penalty):
    """`weight * mean_i max(0, 1 - (margin_i - s bound_i(m)))`: a hinge loss on the margin that is proved at m letters.

    Of values, 0 in place of 1: the loss is how far the prediction may be proved to be outside the tolerance.

    bound_i(m) is the sum of the m largest influences of the sequence's positions (K > 1: of the least certain pair of
    classes). The factor s grows from 0 to 1 over the share `warmup` of training: the bound at once would teach the
    network to ignore its input.
    """

    weight: float = hyper(1.0, "strength lambda", low=0)
    m: int = hyper(2, "substitutions to withstand", low=1)
    warmup: float = hyper(0.5, "share of training over which the bound is brought in", low=0, high=1)

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []."""
        net = _network(view, "certified")
        ids = Letters(view).ids
        logits = net(ids)
        objective = objective_for(net, y, logits.shape[1])
        distinct, which = margins_of(objective, y, logits.shape[1], logits.dtype)
        influence = added(influences_by_symbol(part, ids, distinct, which) for part in parts_of(net))
        share = 1.0 if progress >= self.warmup else progress / self.warmup
        bound = largest_sums(influence, self.m)  # N, P
        margin = (distinct[which] @ logits[:, :, None]).squeeze(-1)
        if isinstance(objective, Value):
            margin = margin + objective.stands(y, 1)[1].to(margin.dtype)
        return self.weight * F.relu(objective.slack - (margin - share * bound)).amax(1).mean()


def margins_of(objective: Objective, y: Tensor, outputs: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """All directions (D, K) that margins may have, and which (N, P) of them are those of y.

    By what y may be, rather than by what is in it: a GPU need not be asked.
    """
    if isinstance(objective, Value):
        both, _ = objective.stands(y[:1], outputs)
        return both[0].to(dtype), torch.arange(2, device=y.device).expand(len(y), 2)
    if y.dim() == 2:
        all_y = torch.arange(2, device=y.device)[:, None].expand(2, outputs)
    else:
        all_y = torch.arange(max(2, outputs), device=y.device)
    each = margin_directions(all_y, outputs).to(dtype)  # values of y, P, K
    margins = each.shape[1]
    first = y.long() * margins
    return each.flatten(0, 1), (first if y.dim() == 2 else first[:, None]) + torch.arange(margins, device=y.device)


def influences_by_symbol(net: Part, ids: Tensor, distinct: Tensor, which: Tensor) -> Tensor:
    """(N, P, L) most that substituting each letter of ids (N, L) costs margins: `which` (N, P) of distinct (D, K)."""
    table = symbol_influences(net, distinct)
    if net.pooling == "position":
        place = torch.arange(ids.shape[1], device=ids.device).clamp(max=table.shape[2] - 1)
        return table[which[:, :, None], ids[:, None].long(), place]
    influence = table[which[:, :, None], ids[:, None].long()]
    return influence / net.window_counts(net.lengths(ids))[:, None, None] if net.pooling == "mean" else influence
