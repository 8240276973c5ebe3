"""Slow and obvious references, one sequence at a time, that the fast code is tested against."""

from collections.abc import Callable
from itertools import product

import torch
from Bio.Align import substitution_matrices
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

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
    net: Callable[[Tensor], Tensor],
    x: Tensor,
    value: Callable[[Tensor], Tensor],
    epsilon: float,
    steps: int,
    step: float,
    norm: str,
) -> Tensor:
    """delta (N, A, L) after projected ascent, of each sequence by itself, on value(net(x + delta)) -> (N,)."""
    delta = torch.zeros_like(x)
    for _ in range(steps):
        moved = (x + delta).detach().requires_grad_()
        (g,) = torch.autograd.grad(value(net(moved)).sum(), moved)
        if norm == "linf":
            delta = (delta + step * g.sign()).clamp(-epsilon, epsilon)
            continue
        delta = delta + step * g / g.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None]
        size = delta.flatten(1).norm(dim=1)[:, None, None]
        delta = torch.where(size > epsilon, delta * epsilon / size, delta)
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
                delta = climbed(net, x, lambda z, s=sign, k=k: s * z[:, k], epsilon, steps, 1.5 * epsilon / steps, "l2")
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


# ---- networks of others: plain lines on the whole batch, every forward pass from one random state


class Plain:
    """Logits (N, K) of a module at any x, as the next forward pass would give them, and nothing changed by it."""

    def __init__(self, net: nn.Module, inputs: tuple[Tensor, ...] = ()) -> None:
        self._net, self._inputs, self._state = net, inputs, torch.get_rng_state()

    def __call__(self, x: Tensor) -> Tensor:
        before = torch.get_rng_state()
        torch.set_rng_state(self._state)
        buffers = {name: value.clone() for name, value in self._net.named_buffers()}
        with sdpa_kernel(SDPBackend.MATH):  # other kernels of attention have no second derivative
            logits = torch.func.functional_call(self._net, buffers, (x, *self._inputs))
        torch.set_rng_state(before)
        return logits[:, None] if logits.dim() == 1 else logits


def plain_gradients(score: Plain, x: Tensor) -> Tensor:
    """(K, N, A, L) gradients in x of each logit, added up over the batch, differentiable."""
    x = x.detach().requires_grad_()
    logits = score(x)
    return torch.stack(
        [torch.autograd.grad(logits[:, k].sum(), x, create_graph=True)[0] for k in range(logits.shape[1])]
    )


def plain_gradient(score: Plain, x: Tensor, y: Tensor, *, over: str = "max") -> Tensor:
    squares = plain_gradients(score, x).square().sum((2, 3))
    return (squares.amax(1) if over == "max" else squares.mean(1)).sum()


def plain_loss_gradient(score: Plain, x: Tensor, y: Tensor, *, norm: str = "l2") -> Tensor:
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(per_example_loss(score(x), y).sum(), x, create_graph=True)
    return (g.square() if norm == "l2" else g.abs()).sum() / len(x)


def plain_adversarial(
    score: Plain, x: Tensor, y: Tensor, *, epsilon: float = 1.0, steps: int = 5, signs: int = 1, over: str = "max"
) -> Tensor:
    terms = []
    for k in range(score(x).shape[1]):
        best, kept = torch.zeros(len(x), dtype=x.dtype), torch.zeros_like(x)
        for sign in (1, -1)[:signs]:
            delta = climbed(score, x, lambda z, k=k, s=sign: s * z[:, k], epsilon, steps, 1.5 * epsilon / steps, "l2")
            rise = sign * (score(x + delta) - score(x))[:, k].detach()
            kept = torch.where((rise > best)[:, None, None], delta, kept)
            best = torch.maximum(rise, best)
        moves = (score(x + kept) - score(x))[:, k].square()
        terms.append(moves.amax() if over == "max" else moves.mean())
    return torch.stack(terms).sum()


def plain_virtual_adversarial(score: Plain, x: Tensor, y: Tensor, *, epsilon: float = 1.0, steps: int = 1) -> Tensor:
    """Power iteration by differentiating the divergence of the whole batch twice, where the perturbation is zero."""
    clean = score(x).detach()
    binary = y.dim() == 2 or clean.shape[1] == 1

    def divergence(moved: Tensor) -> Tensor:
        kind = torch.distributions.Bernoulli if binary else torch.distributions.Categorical
        return torch.distributions.kl_divergence(kind(logits=clean), kind(logits=moved)).reshape(len(x), -1).sum(1)

    def unit(d: Tensor) -> Tensor:
        return d / d.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None]

    leaf = x.detach().requires_grad_()
    logits = score(leaf)
    top = nn.functional.logsigmoid(logits.abs()).sum() if binary else logits.log_softmax(1).amax(1).sum()
    direction = unit(torch.autograd.grad(-top, leaf)[0])
    for _ in range(steps):
        leaf = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(divergence(score(leaf)).sum(), leaf, create_graph=True)
        direction = unit(torch.autograd.grad((slope * direction).sum(), leaf)[0])
    return divergence(score(x + epsilon * direction)).mean()


def plain_moves(score: Plain, x: Tensor, variants: list[Tensor], *, over: str = "max") -> Tensor:
    """sum_k max_{i, tau} (f_k(tau x_i) - f_k(x_i))^2 for variants (N, A, L) of the batch."""
    squares = torch.stack([(score(variant) - score(x)).square() for variant in variants]).amax(0)
    return (squares.amax(0) if over == "max" else squares.mean(0)).sum()


def plain_tangents(
    score: Plain, x: Tensor, variants: list[Tensor], *, reduce: str = "max", over: str = "max"
) -> Tensor:
    gradients, slopes = plain_gradients(score, x), []
    for variant in variants:
        t = variant - x
        if reduce == "max":
            t = t / t.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None]
        slopes.append((gradients * t).sum((2, 3)).square())
    each = torch.stack(slopes).amax(0) if reduce == "max" else torch.stack(slopes).sum(0)  # K, N
    return (each.amax(1) if over == "max" else each.mean(1)).sum()


def plain_pgd(score: Plain, x: Tensor, y: Tensor, *, epsilon: float = 1.0, steps: int = 5, norm: str = "l2") -> Tensor:
    delta = climbed(score, x, lambda z: per_example_loss(z, y), epsilon, steps, 1.5 * epsilon / steps, norm)
    rose = per_example_loss(score(x + delta), y) > per_example_loss(score(x), y)
    return torch.where(rose[:, None, None], x + delta, x).detach()


def plain_substitution(score: Plain, x: Tensor, y: Tensor, *, budget: int = 5) -> Tensor:
    """The letters of the largest first-order gains, at one position each, where the gain is positive."""
    leaf = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(per_example_loss(score(leaf), y).sum(), leaf)
    found = x.clone()
    for i in range(len(x)):
        gain = g[i] - (g[i] * x[i]).sum(0)
        for place in gain.amax(0).argsort(descending=True)[:budget].tolist():
            if gain[:, place].amax() > 0:
                found[i, :, place] = nn.functional.one_hot(gain[:, place].argmax(), x.shape[1])
    return found


def clipped(matrix: Tensor, radius: float) -> Tensor:
    """Singular values above the radius brought down to it."""
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    return u @ torch.diag(s.clamp(max=radius)) @ v
