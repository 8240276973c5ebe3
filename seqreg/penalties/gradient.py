"""Penalties on the gradient with respect to the one-hot input."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seqreg.networks import InputView
from seqreg.penalties.base import Penalty, over_batch
from seqreg.specs import hyper


def squared_gradients(view: InputView, *, create_graph: bool = False) -> Tensor:
    """(N, K) `||grad_x f_k(x_i)||_2^2`."""
    gradients = (
        view.gradient(logits, create_graph=create_graph, retain_graph=True) for logits in view.logits.unbind(1)
    )
    return torch.stack([gradient.square().sum((1, 2)) for gradient in gradients], 1)


@dataclass(frozen=True, kw_only=True)
class Gradient(Penalty):
    """`weight * sum_k max_i ||grad_x f_k(x_i)||_2^2` (Bietti et al., 2019): a lower bound on the squared RKHS norm."""

    parts_may_follow: ClassVar[bool] = True
    weight: float = hyper(0.1, "strength lambda", low=0)
    over: str = hyper("max", "how examples of a batch are joined", choices=("max", "mean"))

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; does not look at y."""
        if self.over == "mean" or not view.separable:
            return self.weight * over_batch(squared_gradients(view, create_graph=True), self.over).sum()
        winners = view.rows(squared_gradients(view).argmax(0))
        gradient = winners.gradient(winners.logits.diagonal(), create_graph=True)
        return self.weight * gradient.square().sum()


@dataclass(frozen=True, kw_only=True)
class LossGradient(Penalty):
    """`weight * mean_i ||grad_x loss_i||_2^2` (l2) or `weight * mean_i ||grad_x loss_i||_1` (l1).

    loss_i is the loss of one example, neither weighted nor divided by N (gradient regularization: Drucker and Le Cun,
    1991; Lyu et al., 2015; Roth et al., NeurIPS 2020).
    """

    weight: float = hyper(0.1, "strength lambda", low=0)
    norm: str = hyper("l2", "norm of the gradient; l2 is squared", choices=("l2", "l1"))

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []."""
        gradient = view.gradient(view.losses(view.logits, y), create_graph=True)
        size = gradient.square() if self.norm == "l2" else gradient.abs()
        return self.weight * size.sum() / len(view.x)
