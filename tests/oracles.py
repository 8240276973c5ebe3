"""Slow and obvious references, one sequence at a time, that the fast code is tested against."""

from collections.abc import Callable
from itertools import product

import torch
from Bio.Align import substitution_matrices
from torch import Tensor, nn

from seqreg.alphabet import PROTEIN, Alphabet
from seqreg.networks import ConvNet, per_example_loss

# ---- penalties and attacks: textbook autograd on the dense path, every sequence alone at its true length


def alone(net: ConvNet, ids: Tensor) -> list[Tensor]:
    """One-hot (1, A, length) of each sequence, without padding, so that no mask is needed."""
    return [
        net.one_hot(row[:length][None]).contiguous() for row, length in zip(ids, net.lengths(ids).tolist(), strict=True)
    ]


def input_gradients(net: nn.Module, xs: list[Tensor]) -> list[list[Tensor]]:
    """grad f_k(x_i), (A, length) at [i][k], differentiable."""
    gradients = []
    for x in xs:
        x = x.detach().requires_grad_()
        logits = net(x)
        gradients.append(
            [torch.autograd.grad(logits[0, k], x, create_graph=True)[0][0] for k in range(logits.shape[1])]
        )
    return gradients


def climbed(
    net: nn.Module, x: Tensor, value: Callable[[Tensor], Tensor], epsilon: float, steps: int, step: float, norm: str
) -> Tensor:
    """delta (1, A, length) after projected ascent on value(net(x + delta))."""
    delta = torch.zeros_like(x)
    for _ in range(steps):
        moved = (x.detach() + delta).requires_grad_()
        (gradient,) = torch.autograd.grad(value(net(moved)), moved)
        if norm == "linf":
            delta = (delta + step * gradient.sign()).clamp(-epsilon, epsilon)
        elif gradient.norm() > 0:
            delta = delta + step * gradient / gradient.norm()
            delta = delta * min(1.0, epsilon / float(delta.norm()))
    return delta


def gradient_penalty(net: nn.Module, xs: list[Tensor], y: Tensor, *, over: str = "max") -> Tensor:
    """sum_k max_i ||grad f_k(x_i)||^2, or the mean over i."""
    squares = torch.stack([torch.stack([g.square().sum() for g in each]) for each in input_gradients(net, xs)])
    return (squares.amax(0) if over == "max" else squares.mean(0)).sum()


def loss_gradient_penalty(net: nn.Module, xs: list[Tensor], y: Tensor, *, norm: str = "l2") -> Tensor:
    """mean_i ||grad loss_i||_2^2 or ||.||_1."""
    sizes = []
    for i, x in enumerate(xs):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad(per_example_loss(net(x), y[i : i + 1]).sum(), x, create_graph=True)
        sizes.append(g.square().sum() if norm == "l2" else g.abs().sum())
    return torch.stack(sizes).mean()


def adversarial_penalty(
    net: nn.Module, xs: list[Tensor], y: Tensor, *, epsilon: float, steps: int, signs: int = 1, over: str = "max"
) -> Tensor:
    """sum_k max_i (f_k(x_i + delta_ik) - f_k(x_i))^2, or the mean over i; falls count as no move."""
    rises = []
    for x in xs:
        clean = net(x)[0]
        rises.append([])
        for k in range(len(clean)):
            moves = [clean[k] * 0]
            for sign in (1, -1)[:signs]:
                delta = climbed(net, x, lambda z, s=sign, k=k: s * z[0, k], epsilon, steps, 1.5 * epsilon / steps, "l2")
                moves.append(sign * (net(x + delta)[0, k] - clean[k]))
            rises[-1].append(torch.stack(moves).amax().square())
    squares = torch.stack([torch.stack(each) for each in rises])
    return (squares.amax(0) if over == "max" else squares.mean(0)).sum()


def virtual_adversarial_penalty(net: nn.Module, xs: list[Tensor], y: Tensor, *, epsilon: float, steps: int) -> Tensor:
    """mean_i KL(p(x_i) || p(x_i + delta_i)) with the Hessian of the divergence as a dense matrix."""

    def divergence(clean: Tensor, moved: Tensor) -> Tensor:
        if y.dim() == 2 or clean.shape[1] == 1:
            p = torch.distributions.Bernoulli(logits=clean)
            return torch.distributions.kl_divergence(p, torch.distributions.Bernoulli(logits=moved)).sum()
        p = torch.distributions.Categorical(logits=clean)
        return torch.distributions.kl_divergence(p, torch.distributions.Categorical(logits=moved)).sum()

    terms = []
    for x in xs:
        leaf = x.detach().requires_grad_()
        clean = net(leaf)
        if y.dim() == 2 or clean.shape[1] == 1:
            log_top = nn.functional.logsigmoid(clean.abs()).sum()
        else:
            log_top = clean.log_softmax(1).amax()
        (direction,) = torch.autograd.grad(-log_top, leaf)
        clean = clean.detach()
        for _ in range(steps):
            hessian = torch.autograd.functional.hessian(
                lambda flat, x=x, clean=clean: divergence(clean, net(flat.view_as(x))), x.detach().flatten()
            )
            direction = (hessian @ direction.flatten()).view_as(x)
        terms.append(divergence(clean, net(x + epsilon * direction / direction.norm())))
    return torch.stack(terms).mean()


# ---- deformations, on text


def shifted(text: str, by: int, unknown: str) -> str:
    return "".join(text[i - by] if 0 <= i - by < len(text) else unknown for i in range(len(text)))


def inserted(text: str, at: int, run: str) -> str:
    return text[:at] + run + text[at:]


def deleted(text: str, at: int, count: int) -> str:
    return text[:at] + text[at + count :]


def refitted(text: str, length: int, unknown: str) -> str:
    return text[:length].ljust(length, unknown)


def dense_matrix(linear_map: Callable[[Tensor], Tensor], channels: int, length: int) -> Tensor:
    """(outputs, C * L) matrix of a linear map of signals (N, C, L): its responses to every unit impulse."""
    impulses = torch.eye(channels * length, dtype=torch.float64).reshape(-1, channels, length)
    return linear_map(impulses).flatten(1).T


# ---- alignments, by the recursions as textbooks have them


def best_local_alignment(one: str, other: str, alphabet: Alphabet) -> tuple[int, int, int]:
    """Score, identical columns and columns of the best local alignment; ties by fewest, most identical columns."""
    matrix = substitution_matrices.load("BLOSUM62")
    first, more = (11, 1) if alphabet is PROTEIN else (5, 2)

    def column(a: str, b: str) -> tuple[int, int, int]:
        total = 0.0
        for x, p in alphabet.ambiguous.get(a, {a: 1.0}).items():
            for y, q in alphabet.ambiguous.get(b, {b: 1.0}).items():
                total += p * q * (matrix[x][y] if alphabet is PROTEIN else 1 if x == y else -1)
        return round(total), -1, int(a == b and a in alphabet.letters)

    def plus(before: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(x + y for x, y in zip(before, step, strict=True))

    empty, never = (0, 0, 0), (-(10**9), 0, 0)
    ends, down, along = ({} for _ in range(3))
    for i, j in product(range(len(one) + 1), range(len(other) + 1)):
        down[i, j] = along[i, j] = never
        ends[i, j] = empty
        if i and j:
            down[i, j] = max(plus(ends[i - 1, j], (-first, -1, 0)), plus(down[i - 1, j], (-more, -1, 0)))
            along[i, j] = max(plus(ends[i, j - 1], (-first, -1, 0)), plus(along[i, j - 1], (-more, -1, 0)))
            matched = plus(ends[i - 1, j - 1], column(one[i - 1], other[j - 1]))
            ends[i, j] = max(empty, matched, down[i, j], along[i, j])
    score, columns, identical = max(ends.values())
    return score, identical, -columns
