"""A network that lies in a reproducing kernel Hilbert space exactly, so that its norm there has a closed-form bound.

With windows p of the one-hot input, scaled to unit norm (`p = window / sqrt(W)`), the network computes

    f(x) = b + (1 / T) sum_t sum_c w_c ||p_t|| sigma(<W_c, p_t> / ||p_t||),    sigma(u) = u Phi(u / s) + s phi(u / s).

It is an element (up to b) of the RKHS of `K(x, x') = (1 / T T') sum_{t, t'} ||p_t|| ||p'_t'|| kappa_1(cos)`, the
arc-cosine kernel of degree 1 averaged over pairs of windows, and

    ||f - b||_H^2 <= w^T M w,    M_cc' = (rho + s^2 cosh(rho / s^2)) / 2,    rho = <W_c, W_c'>.

Proof: kappa_1(u) = sum_j b_j u^j and sigma(u) = sum_j a_j u^j have only even powers and j = 1. The map
p -> ||p|| (<W, p> / ||p||)^j is the inner product of the degree-j part of the feature map with a vector whose inner
product with that of W' is <W, W'>^j / b_j; so <sigma_W, sigma_W'>_H <= sum_j (a_j^2 / b_j) <W, W'>^j, which for the
smoothed ReLU sums to the entry of M. Averaging over windows is a contraction of the feature map. (Bietti and Mairal,
JMLR 2019, for homogeneous networks in such spaces; the closed form for this activation is ours.)
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError, option
from seqreg.networks.activations import smoothed_relu
from seqreg.networks.base import NetworkSpec
from seqreg.networks.convnet import ConvNet
from seqreg.networks.encodings import Encoding, OneHot, identity
from seqreg.networks.part import Profile
from seqreg.specs import hyper

SMALLEST_NORM = 1e-12


class SmoothConvNet(ConvNet, proved=True):
    """One convolution without bias over scaled windows, smoothed ReLU, mean pooling, linear head."""

    hilbert_space = "smooth-cnn"
    range_of_letters = True  # mixtures have shorter windows

    def __init__(
        self,
        alphabet: Alphabet,
        encoding: Tensor,
        *,
        filters: int,
        width: int,
        smoothing: float,
        outputs: int,
        length: int,
    ) -> None:
        super().__init__(
            alphabet,
            encoding,
            channels=[filters],
            widths=[width],
            outputs=outputs,
            length=length,
            activation="smoothed-relu",
            pooling="mean",
        )
        self.smoothing = smoothing
        self.convs[0].register_parameter("bias", None)

    def activate_first(self, z: Tensor, x: Tensor) -> Tensor:
        """`||p|| sigma(<W_c, p> / ||p||)` (N, C, T) from unscaled window scores z and the input x."""
        norms = self.window_norms(x)
        scores = z / (math.sqrt(self.receptive_field) * norms.clamp(min=SMALLEST_NORM))
        return norms * smoothed_relu(scores, self.smoothing)

    def window_scores(self, first: Tensor, ids: Tensor) -> Tensor:
        """(N, T, C) activations, which depend on more of a window than its score."""
        return self.activate_first(first.transpose(1, 2), self.one_hot(ids)).transpose(1, 2)

    def activate(self, scores: Tensor) -> Tensor:
        """Scores as they are, being activations."""
        return scores

    def window_norms(self, x: Tensor) -> Tensor:
        """||p|| (N, 1, T) of the scaled windows of x (N, A, L): 1 for plain letters, less for mixtures and padding."""
        squares = F.avg_pool1d(x.square().sum(1, keepdim=True), self.receptive_field, stride=1)
        return squares.clamp(min=SMALLEST_NORM**2).sqrt()

    def filter_gram(self) -> Tensor:
        """rho (C, C), inner products of the filters as vectors over one-hot windows."""
        flat = self.first_kernel().flatten(1)
        return flat @ flat.t()

    def rkhs_norm_squared(self) -> Tensor:
        """Upper bounds (K,) on ||f_k - b_k||_H^2, `w_k^T M w_k`: differentiable, infinite where cosh overflows."""
        rho, square = self.filter_gram(), self.smoothing**2
        gram = (rho + square * torch.cosh(rho / square)) / 2
        weight = self.output.weight
        return torch.einsum("kc,cd,kd->k", weight, gram, weight)

    def rkhs_kernel(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(N, N) `window_kernel` between one-hot x (N, A, L) of these lengths (N,)."""
        x, counts = self.pad_one_hot(x), self.window_counts(lengths)
        return window_kernel(x, x, self.receptive_field, counts, counts)

    def first_profile(self, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
        """Profile of the activations, `r sigma(z / (r sqrt(W)))` at a window of norm r, slope 1 / sqrt(W).

        Where a mixture becomes a letter, r grows too, by at most the root of what its square gains; the derivative in
        r, `sigma(u) - u sigma'(u) = s phi(u / s)`, lies between 0 and s / sqrt(2 pi), so this is a rise.
        """
        change = self.first_changes(old, new, opposite)
        scale = self.receptive_field**-0.5
        squares = self.mixtures.square().sum(1)
        growth = (squares[new] - squares[old]).clamp(min=0).sqrt() * scale * self.smoothing / math.sqrt(2 * math.pi)
        return Profile(F.relu(-change) * scale, F.relu(change) * scale + growth[:, None, None])

    def first_range(self) -> tuple[Tensor, Tensor] | None:
        """low, high (C,): activations over all windows of letters, whose norm is 1."""
        low, high = self.first_score_range()
        scale = self.receptive_field**-0.5
        return smoothed_relu(low * scale, self.smoothing), smoothed_relu(high * scale, self.smoothing)

    def first_lipschitz(self) -> Tensor:
        """`||W|| / sqrt(W) + s sqrt(C / 2 pi)` for `h_c(p) = ||p|| sigma(<W_c, p> / ||p||)`, p windows of x / sqrt(W).

        With a = <W_c, p> / ||p|| and u = p / ||p||, `grad h_c = sigma'(a) W_c + (sigma(a) - a sigma'(a)) u` with the
        bracket `s phi(a / s) <= s / sqrt(2 pi)`. The first terms are the scaled convolution with slopes in [0, 1]. The
        second terms move the C outputs of a window by at most s sqrt(C / 2 pi) ||p' - p||, and over all windows
        `sum ||p' - p||^2 <= ||x' - x||^2`, each letter being in at most W windows of weight 1 / W.
        """
        filters = len(self.first_kernel())
        scaled = super().first_lipschitz() / math.sqrt(self.receptive_field)
        return scaled + self.smoothing * math.sqrt(filters / (2 * math.pi))


@dataclass(frozen=True, kw_only=True)
class SmoothCNN(NetworkSpec):
    """One layer whose RKHS norm is bounded in closed form from above and below: the most certain, not the most able."""

    filters: int = hyper(64, "filters", low=1)
    width: int = hyper(10, "letters per filter", low=1)
    smoothing: float = hyper(1.0, "standard deviation s of the noise that smooths the ReLU", above=0)

    @property
    def scores_both_strands(self) -> bool:
        """No: its kernel is that of one."""
        return False

    @property
    def in_words(self) -> str:
        """Filters and their width."""
        return f"a convolutional network with {self.filters} filters of {self.width} letters"

    def build(
        self,
        alphabet: Alphabet,
        *,
        outputs: int,
        length: int,
        encoding: Encoding | None = None,
        reverse_complement: bool = False,
    ) -> SmoothConvNet:
        """An untrained network over one-hot letters; its kernel is not defined for both strands or other encodings."""
        if reverse_complement:
            raise UsageError(
                f"smooth-cnn scores one strand. Use {option('model', 'cnn')} for {option('reverse_complement', True)}"
            )
        if encoding is not None and not isinstance(encoding, OneHot):
            raise UsageError(
                f"smooth-cnn takes the one-hot encoding only. Use {option('model', 'cnn')} for other encodings"
            )
        return SmoothConvNet(
            alphabet,
            identity(alphabet.size),
            filters=self.filters,
            width=self.width,
            smoothing=self.smoothing,
            outputs=outputs,
            length=length,
        )


def arc_cosine(u: Tensor) -> Tensor:
    """kappa_1(u) = (sqrt(1 - u^2) + u (pi - arccos u)) / pi, the arc-cosine kernel of degree 1 (Cho and Saul, 2009)."""
    u = u.clamp(-1, 1)
    return ((1 - u * u).clamp(min=0).sqrt() + u * (math.pi - torch.acos(u))) / math.pi


def window_kernel(x: Tensor, others: Tensor, width: int, counts: Tensor, other_counts: Tensor) -> Tensor:
    """Kernel matrix K (n, m) between one-hot x (n, A, L) and others (m, A, L'), of which `counts` windows exist.

    `K(x, x') = (1 / T T') sum_{t, t'} ||p_t|| ||p'_t'|| kappa_1(<p_t, p'_t'> / (||p_t|| ||p'_t'||))`, at most 1.
    """
    ours, ours_norm = _directions(x, width, counts)
    theirs, theirs_norm = _directions(others, width, other_counts)
    weights = theirs_norm / other_counts[:, None]  # m, T'
    rows = [
        torch.einsum("t,mu,tmu->m", norm / count, weights, arc_cosine(torch.einsum("td,mud->tmu", window, theirs)))
        for window, norm, count in zip(ours, ours_norm, counts, strict=True)
    ]
    return torch.stack(rows)


def _directions(x: Tensor, width: int, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Unit windows (n, T, A * W) and their norms (n, T) after scaling; windows that do not exist have norm 0."""
    windows = x.unfold(2, width, 1).permute(0, 2, 1, 3).flatten(2) / math.sqrt(width)
    norms = windows.norm(dim=2)
    directions = windows / norms.clamp(min=SMALLEST_NORM)[:, :, None]
    return directions, norms * (torch.arange(norms.shape[1], device=x.device) < counts[:, None])
