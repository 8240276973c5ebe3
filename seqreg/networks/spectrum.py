"""A linear function of k-mer counts, as a part of a sum, and what substitutions do to it window by window.

A window of plain letters reads one k-mer v and adds w[v] / T to the margin. Replacing its letter at tap j can cost no
more than `w[v] - min_b w[v with b at j]`, and if up to r of its other letters have been replaced before, no more than
the largest such difference over the k-mers that lie r substitutions or fewer from v at taps other than j. Every filter
firing alone is what makes this tighter, by far, than adding up what each filter can do.
"""

import itertools

import numpy as np
import torch
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.networks.convnet import ConvNet
from seqreg.networks.encodings import identity
from seqreg.networks.firing import Firing

SPECTRUM = "spectrum"


class SpectrumNet(ConvNet, proved=True):
    """A linear function of the share of windows that read each k-mer, `sum_v w[v] (count of v) / T + b`.

    Filter v, with bias 1 - k and ReLU, is 1 on its k-mer and 0 on any other, so in a window of k plain letters exactly
    one filter fires. One mixture in a window counts in parts, two count as nothing. Only the head is trained. Spectra
    of several k in one sum are solved for together: one model whose penalty is the sum of theirs.
    """

    one_filter_fires, solved_together = True, SPECTRUM

    def __init__(
        self, alphabet: Alphabet, k: int, *, outputs: int, length: int, reverse_complement: bool = False
    ) -> None:
        super().__init__(
            alphabet,
            identity(alphabet.size),
            channels=[alphabet.size**k],
            widths=[k],
            outputs=outputs,
            length=length,
            pooling="mean",
            reverse_complement=reverse_complement,
        )
        # By NumPy: where shapes are built without memory, PyTorch imports its compiler to index anything.
        kmers = np.array(list(itertools.product(range(alphabet.size), repeat=k)))  # A^k, k
        filters = np.eye(alphabet.size, dtype=np.float32)[kmers].transpose(0, 2, 1)
        self.fix_filters(torch.from_numpy(filters), 1.0 - k)

    def features(self, ids: Tensor) -> Tensor:
        """(N, A^k) share of windows that read each k-mer, of ids (N, L): what the filters give, or a count of them."""
        if ids.device.type != "cpu":  # which would wait to be told where letters are ambiguous
            return super().features(ids)
        return self.join_strands(self._shares(torch.cat(self.strands(self.pad_ids(ids)))), len(ids))

    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """(N, A^k) shares at x (N, A, L), which holds the one-hot of ids (N, L): differentiable in x."""
        if ids.device.type != "cpu" or torch.compiler.is_compiling():
            return super().features_at(x, ids)
        return self._firing_shares(x, self.lengths(ids))

    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(N, A^k) what the filters give at any x (N, A, L): of few, for most are silent, wherever x lies."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().dense_features(x, lengths)
        return self._firing_shares(x, torch.full((len(x),), x.shape[2]) if lengths is None else lengths)

    def _firing_shares(self, x: Tensor, lengths: Tensor) -> Tensor:
        n, x = len(x), self.pad_one_hot(x)
        if self.reverse_complement:
            x = torch.cat([x, self.reverse_complement_one_hot(x, lengths)])
            lengths = torch.cat([lengths, lengths])
        counts = self.window_counts(lengths)
        shares = Firing.of(x, counts, self.receptive_field).strengths(x) / counts[:, None]
        return self.join_strands(shares, n)

    def _shares(self, ids: Tensor) -> Tensor:
        """The same on one strand, in as many steps as there are letters, whatever the number of k-mers."""
        kmers, contents = len(self.first_bias()), self.contents(ids)
        counts = self.window_counts(self.lengths(ids))[:, None]
        inside = torch.arange(contents.shape[1], device=ids.device) < counts
        shares = self.mixtures.new_zeros(len(ids), kmers + 1)
        shares.scatter_add_(1, contents, inside.to(shares.dtype))
        shares = shares[:, :kmers]
        row, place = torch.nonzero(inside & (contents == kmers), as_tuple=True)
        if len(row):
            windows = ids.unfold(1, self.receptive_field, 1)[row, place]
            shares.index_add_(0, row, self.activate(self.last_scores(windows))[:, 0])
        return shares / counts

    def substitution_changes(self, ids: Tensor) -> list[Tensor] | None:
        """For each sequence of ids (N, L), (l, A, K) float64: what replacing position i by letter a adds to each logit.

        Of every window over the position, the weight of the k-mer that it comes to read less that of the one it reads,
        over T. None where a symbol is no letter: windows with mixtures are scored whole.
        """
        if bool(((ids >= self.alphabet.size) & (ids != self.alphabet.pad)).any()):
            return None
        lengths = self.lengths(ids)
        changes: dict[int, Tensor] = {}
        for length in lengths.unique().tolist():
            rows = torch.nonzero(lengths == length).squeeze(1)
            changes.update(zip(rows.tolist(), self._changes(ids[rows, :length]), strict=True))
        return [changes[row] for row in range(len(ids))]

    def _changes(self, ids: Tensor) -> Tensor:
        """(N, L, A, K) those of sequences of one length, ids (N, L)."""
        forward, *backward = (self._strand_changes(strand) for strand in self.strands(ids))
        for change in backward:
            forward = (forward + change.flip(1)[:, :, self.complement[: self.alphabet.size]]) / 2
        return forward

    def _strand_changes(self, ids: Tensor) -> Tensor:
        letters, k = self.alphabet.size, self.receptive_field
        weight = self.output.weight.detach().double().t()  # A^k, K
        changes = weight.new_zeros(*ids.shape, letters, weight.shape[1])
        windows = ids.shape[1] - k + 1
        if windows < 1:
            return changes
        contents = self.contents(ids)  # N, T
        now = weight[contents][:, :, None]
        for tap in range(k):
            covered = slice(tap, tap + windows)
            moved = torch.arange(letters, device=ids.device) - ids[:, covered, None].long()
            changes[:, covered] += weight[contents[:, :, None] + moved * letters ** (k - 1 - tap)] - now
        return changes / windows

    def contents(self, ids: Tensor) -> Tensor:
        """(N, T) int64 number of the k-mer that each window of ids (N, L) reads; A^k for one that is not all letters.

        The k-mer a_1 .. a_k has number sum_i a_i A^(k - i), and its filter that index.
        """
        windows = self.pad_ids(ids).long().unfold(1, self.receptive_field, 1)
        plain = (windows < self.alphabet.size).all(2)
        powers = self.alphabet.size ** torch.arange(self.receptive_field - 1, -1, -1, device=ids.device)
        return torch.where(plain, (windows * powers).sum(2), len(self.first_bias()))

    def window_terms(self, ids: Tensor) -> Tensor:
        """(P, K) weight of the k-mer at each place of one sequence, ids (L,)."""
        contents = self.contents(ids[None])[0]
        weight = self.output.weight.t()
        mixed = torch.nonzero(contents == len(weight)).squeeze(1)
        terms = weight[contents.clamp(max=len(weight) - 1)]
        if len(mixed):
            windows = ids.unfold(0, self.receptive_field, 1)[mixed]
            terms[mixed] = self.activate(self.last_scores(windows))[:, 0] @ weight
        return terms

    def content_costs(self, directions: Tensor, others: int) -> Tensor | None:
        """(Q, k, A^k + 1) most that margins u (Q, K) lose, times T, when tap j of a window that reads v is replaced.

        others: how many of the window's other letters may have been replaced before, any number from k - 1 on. The
        last column is for windows that hold a mixture, whose share lies between the extremes of w and 0.
        """
        weight = self._weight(directions)
        k, mixed = self.receptive_field, _widest(weight)
        costs = []
        for tap in range(1, k + 1):
            cost = weight - weight.amin(tap, keepdim=True)
            for _ in range(min(others, k - 1)):
                near = [cost.amax(axis, keepdim=True) for axis in range(1, k + 1) if axis != tap]
                cost = torch.stack(torch.broadcast_tensors(cost, *near)).amax(0)
            costs.append(torch.cat([cost.flatten(1), mixed[:, None]], 1))
        return torch.stack(costs, 1)

    def symbol_costs(self, directions: Tensor, old: Tensor, new: Tensor) -> Tensor | None:
        """(B, Q) most that margins u (Q, K) lose, times T, when letter new (B,) replaces symbol old (B,), wherever."""
        pairs = [(old, new)]
        if self.reverse_complement:
            pairs.append((self.complement[old], self.complement[new]))
        return torch.stack([self._symbol_costs(directions, a, b) for a, b in pairs]).mean(0)

    def _symbol_costs(self, directions: Tensor, old: Tensor, new: Tensor) -> Tensor:
        """The same on one strand."""
        weight, letters = self._weight(directions), self.alphabet.size
        mixed = _widest(weight)
        total = mixed.new_zeros(len(old), len(directions))
        plain = old < letters
        for tap in range(1, self.receptive_field + 1):
            at = weight.movedim(tap, 0).reshape(letters, len(directions), -1)  # A, Q, A^(k - 1)
            lost = (at[:, None] - at[None]).amax(-1).clamp(min=0)  # A, A, Q; not every tap is there at the borders
            total += torch.where(plain[:, None], lost[old.clamp(max=letters - 1), new], mixed)
        return total

    def _weight(self, directions: Tensor) -> Tensor:
        """(Q, A, ..., A) weights of the k-mers in margins u (Q, K)."""
        return (directions @ self.output.weight).unflatten(-1, [self.alphabet.size] * self.receptive_field)


def _widest(weight: Tensor) -> Tensor:
    """(Q,) distance between the extremes of w and 0."""
    flat = weight.flatten(1)
    return flat.amax(1).clamp(min=0) - flat.amin(1).clamp(max=0)
