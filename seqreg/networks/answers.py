"""The distribution of answers that logits stand for, and how far it is from that of other logits.

One contract: `Answers` are made of logits (N, K), which they hold as constants.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Answers(Protocol):
    """A distribution for each of N sequences."""

    def downhill(self) -> Tensor:
        """(N, K) gradient of -log p(likeliest answer) with respect to the logits."""
        ...

    def fisher(self, v: Tensor) -> Tensor:
        """(N, K) covariance of the answers times v (N, K)."""
        ...

    def divergence(self, moved: Tensor) -> Tensor:
        """(N,) KL(p || p at the moved logits (N, K)), differentiable in them."""
        ...


class Independent:
    """One yes or no per logit (N, K)."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits.detach()

    def downhill(self) -> Tensor:
        """(N, K) gradient of -log p(likeliest answer) with respect to the logits."""
        return torch.where(self._logits > 0, -1, 1) * torch.sigmoid(-self._logits.abs())

    def fisher(self, v: Tensor) -> Tensor:
        """(N, K) covariance of the answers times v (N, K)."""
        return torch.sigmoid(self._logits) * torch.sigmoid(-self._logits) * v

    def divergence(self, moved: Tensor) -> Tensor:
        """(N,) KL(p || p at the moved logits)."""
        p, z = torch.sigmoid(self._logits), self._logits
        yes = p * (F.logsigmoid(z) - F.logsigmoid(moved))
        return (yes + (1 - p) * (F.logsigmoid(-z) - F.logsigmoid(-moved))).sum(1)


class Exclusive:
    """One answer out of K, of logits (N, K)."""

    def __init__(self, logits: Tensor) -> None:
        self._log_p = logits.detach().log_softmax(1)
        self._top = self._log_p.argmax(1, keepdim=True)

    def downhill(self) -> Tensor:
        """(N, K) gradient of -log p(likeliest answer) with respect to the logits."""
        others = self._log_p.exp().scatter(1, self._top, 0)
        return others.scatter(1, self._top, -others.sum(1, keepdim=True))

    def fisher(self, v: Tensor) -> Tensor:
        """(N, K) covariance of the answers times v (N, K)."""
        p = self._log_p.exp()
        v = v - v.gather(1, self._top)  # changes nothing, and keeps digits where the top answer is all but certain
        return p * (v - (p * v).sum(1, keepdim=True))

    def divergence(self, moved: Tensor) -> Tensor:
        """(N,) KL(p || p at the moved logits)."""
        return (self._log_p.exp() * (self._log_p - moved.log_softmax(1))).sum(1)


class Measured:
    """A value with an error of the same size everywhere, of outputs (N, K): the divergence is the squared change."""

    def __init__(self, outputs: Tensor) -> None:
        self._outputs = outputs.detach()

    def downhill(self) -> Tensor:
        """(N, K) ones: at the likeliest value every way leads down alike."""
        return torch.ones_like(self._outputs)

    def fisher(self, v: Tensor) -> Tensor:
        """(N, K) the Hessian of the divergence, 2, times v (N, K)."""
        return 2 * v

    def divergence(self, moved: Tensor) -> Tensor:
        """(N,) sum over outputs of the squared change."""
        return (moved - self._outputs).square().sum(1)
