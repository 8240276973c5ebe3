"""What l2 norms prove: m substitutions move one-hot x by at most sqrt(2 m), and deeper layers by their norms."""

import math

import torch
from torch import Tensor

from seqreg.certificates.batch import CertifiedBatch
from seqreg.certificates.influence import largest_sums
from seqreg.certificates.lipschitz import lipschitz_upper_bound
from seqreg.networks import SequenceNetwork


def margin_lipschitz(model: SequenceNetwork, directions: Tensor, length: int | None = None) -> Tensor:
    """(N, P) l2 Lipschitz constants of the margins u . f, directions u (N, P, K), for at least `length` letters."""
    distinct, which = torch.unique(directions.flatten(0, 1), dim=0, return_inverse=True)
    return lipschitz_upper_bound(model, length, distinct)[which].view(directions.shape[:2])


def euclidean_bound(margins: Tensor, lipschitz: Tensor, m: int) -> Tensor:
    """(N, P) `margin - L sqrt(2 m)`, L (N, P) from `margin_lipschitz`: one-hot letters lie sqrt(2) apart or closer."""
    return margins - lipschitz * math.sqrt(2 * m)


def layerwise_bound(batch: CertifiedBatch, m: int) -> Tensor:
    """(N, P) margins less the m largest movements of the first layer, exact, times `deeper`; for deep networks.

    Substituting a by b moves the first layer's output by `||W_1[:, b] - W_1[:, a]||_F` at most (activations have slopes
    in [0, 1]); pooling moves features by no more (max, position) or by 1 / sqrt(T) (mean, Cauchy-Schwarz over windows);
    the features of two strands move together by the root of the sum of squares (max) or by their mean.
    """
    strands = batch.sites.moved
    moved = torch.linalg.vector_norm(strands, dim=0) if batch.model.pooling == "max" else strands.mean(0)
    factor = batch.counts.double().rsqrt() if batch.model.pooling == "mean" else torch.ones_like(batch.margins[:, 0])
    return batch.margins - batch.deeper * (largest_sums(moved[batch.sites.kind], m) * factor)[:, None]
