"""A linear function of the local alignment scores of a sequence and training sequences.

The score is the logarithm of a sum over all local alignments, gaps included, of exp(BETA times the alignment's score
under BLOSUM62): the local alignment kernel of Saigo, Vert, Ueda and Akutsu (*Bioinformatics* 2004). Each alignment's
score is linear in one-hot x, so the function is defined for every x, smooth, and convex in it. What the certificates
use: a substitution of letter a by b moves a score by no more than the largest difference of similarities of a and b.

Scores against R references are R functions in the space of the local alignment kernel, and a head on them is a kernel
machine on R landmarks: the method of Nyström (Williams and Seeger, NIPS 2000). Coordinates in which the norm of that
space is the Euclidean one come from the kernel of the references.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError
from seqreg.networks.alignment_blocks import Block, blocks_of
from seqreg.networks.local_alignment import BETA, Queries, log_sums, passing
from seqreg.networks.part import Ability, Part, Profile
from seqreg.sequences import SequenceSet, blosum62, members_of_classes

_RIDGE = 1e-6  # of the largest eigenvalue of the kernel: equal sequences make it singular


class AlignmentNet(Part, proved=True):
    """Logits (N, K) that are linear in scores (N, R) of local alignments with `references`, (R, length) ids.

    Training draws the references and solves for the head; those that are all padding, as in an untrained network, score
    0. Alignments are computed on the CPU, by as many threads as PyTorch has, whatever device the network is on.
    Of windows it has one per letter: a score is a (smooth) maximum over what each letter is matched to.
    """

    references: Tensor
    similarity: Tensor
    cannot = MappingProxyType[Ability, str](
        {
            "graph": "ONNX has no local alignments, which this model computes. Export it as safetensors, or train it "
            "without"
        }
    )
    dear, head_only, window_by_window = True, True, False
    receptive_field, activation_name = 1, "relu"  # scores are at least 0

    def __init__(self, alphabet: Alphabet, references: int, *, outputs: int, length: int) -> None:
        super().__init__(alphabet)
        if alphabet.name != "protein":
            raise UsageError(
                f"sum: alignments are scored by BLOSUM62, for protein sequences; these are {alphabet.name}. "
                "Take alignments=0"
            )
        self.register_buffer("references", torch.full((references, length), alphabet.pad, dtype=torch.uint8))
        similarity = alphabet.mixtures @ blosum62() @ alphabet.mixtures.T  # (V, V); of mixtures it is the mean
        self.register_buffer("similarity", torch.as_tensor(similarity, dtype=torch.float32), persistent=False)
        self.output = nn.Linear(references, outputs)

    def features(self, ids: Tensor) -> Tensor:
        """Scores (N, R) of ids (N, L), which the head reads; in half bits, and at least 0."""
        return _scores(self, _letters(self, ids))

    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Scores (N, R) at x (N, A, L), which holds the one-hot of ids (N, L): differentiable in x."""
        return _Scores.apply(x, self, _letters(self, ids))

    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Scores (N, R) at any x (N, A, L) of sequences of these lengths (N,), full where None."""
        known = torch.full((len(x),), x.shape[2]) if lengths is None else lengths
        return _Scores.apply(x, self, _positions(self, x, known))

    @torch.no_grad()
    def prepare(self, train: SequenceSet, seed: int) -> None:
        """Take training sequences as references, all or as many of each class as there are.

        A class with fewer than its share leaves the rest to the others. Where sequences are fewer than references,
        those left over stay padding.
        """
        rows = draw_references(train, len(self.references), seed)
        self.references.fill_(self.alphabet.pad)
        ids = torch.from_numpy(train.padded(rows))
        self.references[: len(rows), : ids.shape[1]] = ids.to(self.references.device)

    @torch.no_grad()
    def coordinates(self) -> NDArray[np.float64] | None:
        """(R, D) matrix B such that scores @ B are coordinates in the space of the kernel, D references being used.

        Of the kernel of the references K = V diag(l) V^T, B is V diag(l)^-1/2. The kernel need not be positive:
        eigenvalues are shifted by the smallest, as Saigo et al. (2004) do.
        """
        used = (self.reference_lengths() > 0).cpu().numpy()
        kernel = self.features(self.references).double().cpu().numpy()[np.ix_(used, used)]
        values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
        values = values - min(values[0], 0) + _RIDGE * values[-1]
        basis = np.zeros((len(used), int(used.sum())))
        basis[used] = vectors / np.sqrt(values)
        return basis

    def reference_lengths(self) -> Tensor:
        """(R,) letters of the references."""
        return self.lengths(self.references)

    def substitution_changes(self, ids: Tensor) -> list[Tensor] | None:
        """For each sequence of ids (N, L), (l, A, K) float64: what replacing position i by letter a adds to each logit.

        Exact: of the sum over alignments the share that matches position i with symbol v is multiplied by
        exp(BETA (s(a, v) - s(now, v))), the others stay.
        """
        weight = self.output.weight.detach().double().cpu().numpy()
        letters, similarity = self.alphabet.size, self.similarity.double().cpu().numpy()
        queries = _letters(self, ids, np.dtype(np.float64))
        changes = [np.zeros((len(kinds), letters, len(weight))) for kinds in queries.kinds]
        for n, block, shares in _passing(self, queries):
            now = similarity[queries.kinds[n]]
            ratio = np.expm1(BETA * (similarity[None, :letters] - now[:, None])).transpose(0, 2, 1)  # l, V, A
            moved = np.log1p(np.matmul(shares.transpose(1, 0, 2), ratio)) / BETA  # l, r, A
            changes[n] += np.tensordot(moved, weight[:, block.rows], (1, 1))
        return [torch.from_numpy(change).to(ids.device) for change in changes]

    def last_scores(self, ids: Tensor) -> Tensor:
        """(N, 1, R) scores, of sequences as a whole."""
        return self.features(ids)[:, None]

    def pool(self, h: Tensor, counts: Tensor | None) -> Tensor:
        """Features (N, R) from scores h (N, R, 1), which are pooled already."""
        return h[:, :, 0]

    def first_profile(self, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
        """Profiles of alignment scores, over the one offset there is.

        Every alignment matches the position with one symbol v of the reference, and its score changes by
        `s(new, v) - s(old, v)`, or leaves it out, and the score stays; a logarithm of a sum of exponentials moves by no
        more than the least and the most that its exponents do.
        """
        change = self.similarity[new, : self.alphabet.pad] - self.similarity[old, : self.alphabet.pad]  # B, v
        shape = (len(old), len(self.references), 1)
        drop, up = F.relu(-change.amin(1)), F.relu(change.amax(1))
        return Profile(drop[:, None, None].expand(shape), up[:, None, None].expand(shape))

    def lipschitz(self, length: int | None, direction: Tensor | None) -> Tensor:
        """`sum_r |w_r| sqrt(l_r) max_v ||s(., v)||`, w_r the weight of the reference r and l_r its letters.

        The gradient of a score at position i is `sum_v p_i(v) s(., v)`, p_i(v) the share of the sum over alignments
        that matches i with symbol v: its norm is at most `p_i max_v ||s(., v)||`, and `sum_i p_i^2 <= sum_i p_i <=
        l_r`, as an alignment matches each letter of the reference once at most.
        """
        weight = self.output.weight.double()
        per_reference = (
            torch.linalg.vector_norm(weight, dim=0) if direction is None else (direction.double() @ weight).abs()
        )
        steepest = torch.linalg.vector_norm(self.similarity[: self.alphabet.size].double(), dim=0).max()
        return (per_reference * self.reference_lengths().double().sqrt()).sum(-1) * steepest

    def blocks(self) -> list[Block]:
        """The references, as they are aligned."""
        return blocks_of(self.references.cpu().numpy(), self.alphabet.pad)


def draw_references(train: SequenceSet, number: int, seed: int) -> NDArray[np.int64]:
    """Rows of `number` sequences at most, each once, in order: as evenly of the classes as their sizes allow."""
    rng = np.random.default_rng(seed)
    turn = np.full(len(train), len(train))
    for members in members_of_classes(train):
        place = rng.permutation(len(members))
        turn[members] = np.minimum(turn[members], place)  # of several labels, the first that takes its turn
    return np.sort(np.lexsort((rng.permutation(len(train)), turn))[:number])


class _Scores(torch.autograd.Function):
    """Scores (N, R) of queries, which are where x (N, A, L) is; differentiable in x, and again in what weighs them.

    Their second derivative in x is left out: no penalty or attack asks for it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, net: AlignmentNet, queries: Queries) -> Tensor:
        ctx.net, ctx.queries, ctx.shape = net, queries, x.shape
        return _scores(net, queries)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Gradient.apply(slopes, ctx.net, ctx.queries, ctx.shape), None, None


class _Gradient(torch.autograd.Function):
    """sum_r slopes[n, r] times the gradient in x (N, A, L) of score r: linear in slopes (N, R)."""

    @staticmethod
    def forward(ctx: Any, slopes: Tensor, net: AlignmentNet, queries: Queries, shape: torch.Size) -> Tensor:
        ctx.net, ctx.queries = net, queries
        weight, similarity = slopes.detach().cpu().numpy(), _of_letters(net)
        gradient = np.zeros(tuple(shape), weight.dtype)
        for n, block, shares in _passing(net, queries):
            at = shares.shape[1]
            gradient[n, :, :at] += (np.tensordot(weight[n, block.rows], shares, 1) @ similarity).T
        return torch.from_numpy(gradient).to(slopes.device)

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        similar = _of_letters(ctx.net) @ along.detach().cpu().numpy()  # N, V, L
        slopes = np.zeros((len(along), len(ctx.net.references)), similar.dtype)
        for n, block, shares in _passing(ctx.net, ctx.queries):
            slopes[n, block.rows] = np.tensordot(shares, similar[n, :, : shares.shape[1]].T, 2)
        return torch.from_numpy(slopes).to(along.device), None, None, None


def _passing(net: AlignmentNet, queries: Queries) -> Iterator[tuple[int, Block, NDArray[np.floating[Any]]]]:
    """For each sequence and block, its number and what passes through its matches (r, l, V)."""
    blocks = net.blocks()
    for n, kinds in enumerate(queries.kinds):
        if len(kinds):
            for block, shares in passing(queries.match, kinds, blocks, torch.get_num_threads()):
                yield n, block, shares


def _of_letters(net: AlignmentNet) -> NDArray[np.floating[Any]]:
    """(V, A) similarities of symbols to letters."""
    return net.similarity[:, : net.alphabet.size].cpu().numpy()


def _scores(net: AlignmentNet, queries: Queries) -> Tensor:
    found = log_sums(queries, net.blocks(), len(net.references), torch.get_num_threads())
    return torch.from_numpy(found).to(net.output.weight)


def _letters(net: AlignmentNet, ids: Tensor, dtype: np.dtype[Any] | None = None) -> Queries:
    """Sequences of symbols, each of which is a kind of position; in the precision of the network, or another."""
    codes, lengths = ids.cpu().numpy(), net.lengths(ids).tolist()
    kinds = [row[:length].astype(np.int64) for row, length in zip(codes, lengths, strict=True)]
    dtype = dtype or torch.empty(0, dtype=net.output.weight.dtype).numpy().dtype
    return Queries(match=_matches(net, net.similarity).astype(dtype), kinds=kinds)


def _positions(net: AlignmentNet, x: Tensor, lengths: Tensor) -> Queries:
    """One-hot x (N, A, L) in between letters, or beyond, of which each position is a kind of its own."""
    n, _, width = x.shape
    rows = x.detach().transpose(1, 2).flatten(0, 1).double()  # N * L, A
    first = np.arange(n) * width
    kinds = [start + np.arange(length) for start, length in zip(first, lengths.tolist(), strict=True)]
    return Queries(match=_matches(net, rows @ net.similarity[: net.alphabet.size].double()), kinds=kinds)


def _matches(net: AlignmentNet, similarity: Tensor) -> NDArray[np.float64]:
    """(U, V) exp(BETA s) from similarities (U, V); nothing matches padding."""
    match = np.exp(BETA * similarity.double().cpu().numpy())
    match[:, net.alphabet.pad] = 0
    return match
