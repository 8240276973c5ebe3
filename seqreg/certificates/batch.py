"""A batch of sequences with all that the bounds on their margins start from, computed once in float64."""

import copy
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.certificates.margins import margin_directions
from seqreg.certificates.profiles import Sites, sites
from seqreg.networks import ConvNet
from seqreg.networks.windows import first_scores, window_activation, window_scores


@dataclass(frozen=True, kw_only=True)
class CertifiedBatch:
    """ids (N, L), the directions u (N, P, K) of their margins, and the network's inner state on them.

    margins (N, P). counts (N,): windows T. sites: what may be substituted, with profiles. place (S, N, L): where each
    position lies on each of the S strands. scores (S, N, T, C): what the last activation is applied to, -inf
    where there is no window. active (N, 1, H): hidden units that are on, None without a hidden layer.
    """

    model: ConvNet
    ids: Tensor
    directions: Tensor
    margins: Tensor
    counts: Tensor
    sites: Sites
    place: Tensor
    scores: Tensor
    active: Tensor | None

    def rows(self, index: Tensor) -> "CertifiedBatch":
        """The chosen sequences of the batch."""
        return replace(
            self,
            **{name: getattr(self, name)[index] for name in ("ids", "directions", "margins", "counts")},
            sites=self.sites._replace(kind=self.sites.kind[index]),
            place=self.place[:, index],
            scores=self.scores[:, index],
            active=None if self.active is None else self.active[index],
        )

    def activations(self) -> Tensor:
        """(S, N, T, C) the last layer's activations, zero where there is no window."""
        outside = self.scores == -torch.inf
        return window_activation(self.model)(self.scores.masked_fill(outside, 0)).masked_fill(outside, 0)

    def per_window(self, sensitivity: Tensor, counts: Tensor | None = None) -> Tensor:
        """(..., T or 1, C) of sensitivities (..., F) of the pooled features to activations, for the linear poolings.

        With one entry for all windows below mean pooling, divided by counts if given; each strand has its share.
        """
        channels = self.scores.shape[3]
        if self.model.pooling == "mean":
            weight = sensitivity[..., None, :]
            if counts is not None:
                weight = weight / counts.view(-1, *[1] * (weight.dim() - 1))
        else:
            weight = sensitivity.unflatten(-1, (channels, self.model.windows)).transpose(-1, -2)
            weight = F.pad(weight, (0, 0, 0, self.scores.shape[2] - self.model.windows))
        return weight / len(self.scores)


def in_double(model: ConvNet) -> ConvNet:
    """A copy of the network in float64 and in evaluation mode: the same function, rounded more finely."""
    return copy.deepcopy(model).double().eval().requires_grad_(False)


@torch.no_grad()
def certified_batch(model: ConvNet, ids: Tensor, y: Tensor, allowed: Tensor | None = None) -> CertifiedBatch:
    """The batch of ids (N, L) with targets y, for a network as `in_double` gives it.

    allowed (N, L, A) bool: letters each position may turn into, all where None; padding never changes.
    """
    assert not model.training
    assert next(model.parameters()).dtype == torch.float64
    lengths = model.lengths(ids)
    ids = model.pad_ids(ids)
    if allowed is not None:
        allowed = F.pad(allowed, (0, 0, 0, ids.shape[1] - allowed.shape[1]))
    counts = model.window_counts(lengths)
    position = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    places, strands = [position], [ids]
    if model.reverse_complement:
        places.append(lengths[:, None] - 1 - position)
        strands.append(model.reverse_complement_ids(ids))
    scores = torch.stack([window_scores(model, first_scores(model, strand), strand) for strand in strands])
    outside = torch.arange(scores.shape[2], device=ids.device) >= counts[:, None]
    logits = model(ids)
    directions = margin_directions(y, logits.shape[1])
    active = None
    if model.hidden is not None:
        features = [model.pool(window_activation(model)(strand).transpose(1, 2), counts) for strand in scores]
        pooled = torch.stack(features)
        pooled = pooled.amax(0) if model.pooling == "max" else pooled.mean(0)
        active = model.hidden(pooled)[:, None] > 0
    return CertifiedBatch(
        model=model,
        ids=ids,
        directions=directions,
        margins=(directions @ logits[:, :, None]).squeeze(-1),
        counts=counts,
        sites=sites(model, ids, allowed),
        place=torch.stack(places),
        scores=scores.masked_fill(outside[:, :, None], -torch.inf),
        active=active,
    )
