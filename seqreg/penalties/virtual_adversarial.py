"""How far a small perturbation can move the predicted distribution; needs no labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqreg.attacks.ball import unit
from seqreg.networks import Answers, InputView, input_gradient, objective_for
from seqreg.penalties.base import Penalty
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class VirtualAdversarial(Penalty):
    """`weight * mean_i KL(p(x_i) || p(x_i + delta_i))`, `||delta_i||_2 = epsilon` (Miyato et al., TPAMI 2018).

    delta_i points along the leading eigenvector of the Hessian J^T F J of the divergence at zero, J = d logits / d x
    and F the covariance of the predicted distribution, found by `steps` power iterations with exact products (no
    finite difference). They start downhill of the most likely answer, so that nothing is drawn at random and one
    logit of a network of seqreg's needs no iteration at all. p(x_i) and delta_i are constants when the divergence is
    differentiated. Of a network that learns values the divergence is the squared change of its output. Where batch
    statistics tie sequences together, the divergence is that of the whole batch.
    """

    weight: float = hyper(1.0, "strength lambda", low=0)
    epsilon: float = hyper(1.0, "l2 size of the perturbation of one-hot x", low=0)
    steps: int = hyper(1, "power iterations", low=0)

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; of y it only sees whether labels exclude each other (N,) or not (N, K)."""
        logits = view.forward(view.x)
        answers = objective_for(view.model, y, logits.shape[1]).answers(logits)
        delta = self.epsilon * _most_sensitive(view, logits, answers, self.steps)
        return self.weight * answers.divergence(view.forward(view.x.detach() + delta)).mean()


def _most_sensitive(view: InputView, logits: Tensor, answers: Answers, steps: int) -> Tensor:
    """Unit directions (N, A, L), zero where the network is flat."""
    if logits.shape[1] == 1 and view.separable:
        steps = 0  # the Hessian of one logit has rank one
    # Squares of small numbers would underflow; where sequences depend on each other, they keep their proportions.
    together = 1 if view.separable else (0, 1)
    outward = _scaled(answers.downhill(), together).requires_grad_()
    # J^T outward; its derivative in outward is J, whatever outward is.
    pulled = input_gradient(logits, view.x, outward, retain_graph=True, create_graph=steps > 0)
    direction = _direction(view, pulled.detach())
    for _ in range(steps):
        (pushed,) = torch.autograd.grad(pulled, outward, direction, retain_graph=True)  # J direction
        residual = _scaled(answers.fisher(pushed), together)
        direction = _direction(view, input_gradient(logits, view.x, residual, retain_graph=True))
    return direction


def _direction(view: InputView, gradient: Tensor) -> Tensor:
    """Unit directions of gradients (N, A, L) off the padding."""
    gradient = view.masked(gradient)
    return unit(gradient if view.separable else _scaled(gradient, (1, 2)))


def _scaled(values: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    """Values with a largest entry of 1 over these dimensions; zero stays zero."""
    largest = values.abs().amax(dims, keepdim=True)
    return values / torch.where(largest > 0, largest, 1)
