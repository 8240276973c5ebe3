"""A batch of sequences with all that the bounds on their margins start from, computed once in float64."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates.lipschitz import deeper_norms
from seqreg.certificates.margins import margin_directions
from seqreg.certificates.profiles import Sites, sites
from seqreg.networks import Part, SequenceNetwork, added, parts_of


@dataclass(frozen=True, kw_only=True)
class CertifiedBatch:
    """Sequences, what may be substituted in them, what their margins make of it, and the network's inner state.

    ids (N, L), one window long at least. directions u (N, P, K) of the margins. counts (N,): windows T. sites: what may
    be substituted, with profiles. place (S, N, L): where each position lies on each of the S strands.
    margins (N, P). deeper (N, P): how far they move, at most, per l2 of the first layer's output, before pooling by a
    mean. scores (S, N, T, C): what the last activation is applied to, -inf where there is no window; T = 1 where the
    part does not tell windows apart.
    active (N, 1, H): hidden units that are on, None without a hidden layer.
    """

    model: Part
    ids: Tensor
    directions: Tensor
    counts: Tensor
    sites: Sites
    place: Tensor
    margins: Tensor
    deeper: Tensor
    scores: Tensor
    active: Tensor | None

    def per_window(self, sensitivity: Tensor, counts: Tensor | None = None) -> Tensor:
        """(..., T or 1, C) of sensitivities (..., F) of the pooled features to activations, for the linear poolings.

        With one entry for all windows below mean pooling, divided by counts if given; each strand has its share.
        """
        if self.model.pooling == "mean":
            weight = sensitivity[..., None, :]
            if counts is not None:
                weight = weight / counts.view(-1, *[1] * (weight.dim() - 1))
        else:
            weight = sensitivity.unflatten(-1, (-1, self.model.windows)).transpose(-1, -2)
            windows = self.ids.shape[1] - self.model.receptive_field + 1
            weight = F.pad(weight, (0, 0, 0, windows - self.model.windows))
        return weight / len(self.place)

    def rows(self, index: Tensor) -> "CertifiedBatch":
        """The chosen sequences of the batch."""
        return replace(
            self,
            **{name: getattr(self, name)[index] for name in ("ids", "directions", "margins", "deeper", "counts")},
            sites=self.sites._replace(kind=self.sites.kind[index]),
            place=self.place[:, index],
            scores=self.scores[:, index],
            active=None if self.active is None else self.active[index],
        )

    def activations(self) -> Tensor:
        """(S, N, T, C) the last layer's activations, zero where there is no window."""
        outside = self.scores == -torch.inf
        return self.model.activate(self.scores.masked_fill(outside, 0)).masked_fill(outside, 0)


@dataclass(frozen=True, kw_only=True)
class CertifiedParts:
    """The batch as seen by every part of a sum of networks; a network of one part is a sum of one.

    What each part's margins can lose adds up: place by place for influences, otherwise bound by bound.
    """

    parts: tuple[CertifiedBatch, ...]

    @property
    def directions(self) -> Tensor:
        """(N, P, K) of the margins."""
        return self.parts[0].directions

    @cached_property
    def margins(self) -> Tensor:
        """(N, P) of the sum."""
        return added(part.margins for part in self.parts)

    def rows(self, index: Tensor) -> "CertifiedParts":
        """The chosen sequences of the batch."""
        return CertifiedParts(parts=tuple(part.rows(index) for part in self.parts))

    def added(self, influence: Callable[[CertifiedBatch], Tensor]) -> Tensor:
        """(N, P, L) influences (N, P, L') of all parts, whose frames may be of different widths."""
        found = [influence(part) for part in self.parts]
        widest = max(each.shape[-1] for each in found)
        return added(F.pad(each, (0, widest - each.shape[-1])) for each in found)

    def together(self, bound: Callable[[CertifiedBatch], Tensor]) -> Tensor:
        """(N, P) sum of lower bounds (N, P) of the parts' margins: a lower bound of the sum's."""
        return added(bound(part) for part in self.parts)


Network = TypeVar("Network", bound=SequenceNetwork)


def in_double(model: Network) -> Network:
    """A copy of the network in float64 and in evaluation mode: the same function, rounded more finely."""
    return copy.deepcopy(model).double().eval().requires_grad_(False)


@torch.no_grad()
def certified_batch(model: Part, ids: Tensor, y: Tensor, allowed: Tensor | None = None) -> CertifiedBatch:
    """The batch of ids (N, L) with targets y, for a network, or part, as `in_double` gives it.

    allowed (N, L, A) bool: letters each position may turn into, all where None; padding never changes.
    """
    assert not model.training
    assert next(model.parameters()).dtype == torch.float64
    model.demand("bounds")
    lengths = model.lengths(ids)
    ids = model.pad_ids(ids)
    if allowed is not None:
        allowed = F.pad(allowed, (0, 0, 0, ids.shape[1] - allowed.shape[1]))
    position = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    places = [position, lengths[:, None] - 1 - position] if model.reverse_complement else [position]
    directions, counts = margin_directions(y, model.outputs, model).double(), model.window_counts(lengths)
    scores = torch.stack([model.last_scores(strand) for strand in model.strands(ids)])
    outside = torch.arange(scores.shape[2], device=ids.device) >= counts[:, None]
    active = None
    if model.hidden is not None:
        features = [model.pool(model.activate(strand).transpose(1, 2), counts) for strand in scores]
        active = model.hidden(reduce(model.join, features))[:, None] > 0
    return CertifiedBatch(
        model=model,
        ids=ids,
        directions=directions,
        counts=counts,
        sites=sites(model, ids, allowed),
        place=torch.stack(places),
        margins=(directions @ model(ids)[:, :, None]).squeeze(-1),
        deeper=deeper_norms(model, directions),
        scores=scores.masked_fill(outside[:, :, None], -torch.inf),
        active=active,
    )


def certified_parts(model: SequenceNetwork, ids: Tensor, y: Tensor, allowed: Tensor | None = None) -> CertifiedParts:
    """The batch for every part of a network as `in_double` gives it."""
    return CertifiedParts(parts=tuple(certified_batch(part, ids, y, allowed) for part in parts_of(model)))
