"""What a single edit changes inside a convolutional network, strand by strand.

An edit at place p touches only the windows that cover p: R of them, R being the receptive field. All others keep their
activations, so their share of the pooled features comes from running maxima or running sums over the windows to the
left and to the right, computed once per sequence. What remains is the R windows at the edit, as a batch of short
segments for all letters at once: `O(R^2)` per mutant instead of `O(L R)`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.mutagenesis.edits import SUBSTITUTION, Edit
from seqreg.networks import ConvNet
from seqreg.networks.lookup import symbol_table


def finish(model: ConvNet, pooled: Tensor) -> Tensor:
    """Logits (..., K) from `Strand.pooled` (..., F)."""
    if model.pooling == "max":
        pooled = F.linear(pooled, model.head_layer.weight)
    pooled = pooled + model.head_layer.bias
    return pooled if model.hidden is None else model.output(F.relu(pooled))


class Strand:
    """One strand of a batch ids (N, L) under one kind of edit, ready to give pooled features at any edit place.

    Pooled features (..., F) are the C pooled activations below max pooling, where strands join by a maximum, and for
    the two linear poolings the first head layer applied to them, without its bias: H numbers instead of C * T.
    """

    def __init__(self, model: ConvNet, ids: Tensor, edit: Edit) -> None:
        self.model, self.edit, self.activation = model, edit, model.activate
        self.ids = model.pad_ids(ids)
        self.table = symbol_table(model.first_kernel(), model.mixtures)  # W, V, C
        lengths = model.lengths(ids)
        self.counts = model.window_counts(lengths + edit.grow)
        reach = model.receptive_field - 1
        self.framed = F.pad(self.ids, (reach, reach + 1), value=model.alphabet.pad)
        scores = model.window_scores(model.first_scores(self.ids, self.table), self.ids)
        windows = torch.arange(scores.shape[1], device=ids.device)
        outside = (windows >= model.window_counts(lengths)[:, None])[:, :, None]
        self.prune = len(model.convs) == 1 and model.pooling == "max" and edit is SUBSTITUTION
        if model.pooling == "max":
            scores = scores if self.prune else self.activation(scores)
            self._remember_maxima(scores.masked_fill(outside, -math.inf))
        else:
            self._remember_sums(self.activation(scores).masked_fill(outside, 0))

    def pooled(self, row: Tensor, place: Tensor) -> Tensor:
        """(M, B, F) pooled features of sequence row (M,) edited at place (M,), for all B = A letters, or B = 1."""
        kept = (place - self.model.receptive_field + 1).clamp(min=0)  # windows 0 .. kept - 1 end before the edit
        again = (place + self.edit.skip).clamp(max=self.right.shape[1] - 1)  # windows from here on begin after it
        left, right = self.left[row, kept], self.right[row, again]  # M, C | M, H
        if self.prune:
            return self._changed_maxima(row, place, torch.maximum(left, right))
        h = self._covering(row, place)  # M, B, R, C
        window = place[:, None] - self.model.receptive_field + 1 + torch.arange(h.shape[2], device=h.device)
        exists = (window >= 0) & (window < self.counts[row, None])
        if self.model.pooling == "max":
            near = h.masked_fill_(~exists[:, None, :, None], -math.inf).amax(2) if h.shape[2] else left[:, None]
            return torch.maximum(near, torch.maximum(left, right)[:, None])
        weight = self._readout(row, window) * exists[:, :, None, None]  # M, R, H, C
        near = h.flatten(2) @ weight.transpose(2, 3).flatten(1, 2)
        return near + (left + right)[:, None]

    # ---- activations

    def _covering(self, row: Tensor, place: Tensor) -> Tensor:
        """(M, B, R, C) activations of the windows that cover the edit; a deletion has R - 1 and B = 1."""
        reach = self.model.receptive_field - 1
        offsets = torch.arange(reach, device=row.device)
        pad = torch.full_like(place[:, None], self.model.alphabet.pad, dtype=self.ids.dtype)
        before = self.framed[row[:, None], place[:, None] + offsets]
        after = self.framed[row[:, None], place[:, None] + reach + self.edit.skip + offsets]
        segments = torch.cat([before, pad, after] if self.edit.letters else [before, after], 1)
        if segments.shape[1] <= reach:  # a filter of one letter sees nothing of a deletion
            return self.table.new_zeros(len(row), 1, 0, self.table.shape[2])
        first = self.model.first_scores(segments, self.table)  # M, S, C
        if not self.edit.letters:
            return self.activation(self.model.window_scores(first, segments))[:, None]
        width, letters = len(self.table), self.model.alphabet.size
        first = first[:, None].repeat(1, letters, 1, 1)  # M, A, S, C
        segments = segments[:, None].repeat(1, letters, 1)
        segments[:, :, reach] = torch.arange(letters, device=row.device)
        first[:, :, reach + 1 - width : reach + 1] += self.table[:, :letters].flip(0).transpose(0, 1)
        scores = self.model.window_scores(first.flatten(0, 1), segments.flatten(0, 1))
        return self.activation(scores).unflatten(0, (len(row), letters))

    # ---- windows away from the edit: running maxima and running sums

    def _remember_maxima(self, scores: Tensor) -> None:
        guard = scores.new_full((len(scores), 1, scores.shape[2]), -math.inf)
        self.left = torch.cat([guard, scores.cummax(1).values], 1)
        self.right = torch.cat([scores.flip(1).cummax(1).values.flip(1), guard], 1)
        if self.prune:
            side = scores.new_full((len(scores), len(self.table) - 1, scores.shape[2]), -math.inf)
            self.scores = torch.cat([side, scores, side], 1)  # bias included
            current = self.table[:, : self.model.alphabet.size]
            self.gain = current.amax(1, keepdim=True) - self.table  # W, V, C: most a substitution can add at a tap

    def _remember_sums(self, h: Tensor) -> None:
        n, windows, _ = h.shape
        rows, at = torch.arange(n, device=h.device)[:, None], torch.arange(windows, device=h.device).expand(n, -1)
        guard = h.new_zeros(n, 1, len(self.model.head_layer.weight), dtype=torch.float64)

        def contributions(shift: int) -> Tensor:
            weight = self._readout(rows.expand(n, windows), at + shift)  # N, T, H, C
            return torch.einsum("nthc,ntc->nth", weight, h).double()  # long sums of small numbers need the digits

        self.left = torch.cat([guard, contributions(0).cumsum(1)], 1).to(h.dtype)
        suffix = contributions(self.edit.grow).flip(1).cumsum(1).flip(1)
        self.right = torch.cat([suffix, guard], 1).to(h.dtype)

    def _readout(self, row: Tensor, window: Tensor) -> Tensor:
        """(..., H, C) weights of the windows (...) of sequences row in a linear pooling and the first head layer."""
        weight = self.model.head_layer.weight
        if self.model.pooling == "mean":
            return weight / self.counts[row.reshape(row.shape[0], -1)[:, :1]][:, :, None, None].to(weight.dtype)
        per_window = weight.view(len(weight), -1, self.model.windows).permute(2, 0, 1)  # T, H, C
        known = (window >= 0) & (window < self.model.windows)
        return per_window[window.clamp(0, self.model.windows - 1)] * known[..., None, None]

    # ---- one layer below a maximum: only filters whose maximum can change are looked at

    def _changed_maxima(self, row: Tensor, place: Tensor, rest: Tensor) -> Tensor:
        """(M, A, C) activations of the maxima; rest (M, C) are the scores' maxima over windows that miss the place.

        Substituting any letter at p leaves a filter's maximum alone unless the largest gain at some covering window
        lifts that window above `rest`, which a look at W numbers per filter decides for all letters at once.
        """
        width, _, channels = self.table.shape
        letters = self.model.alphabet.size
        if self.model.activation_name == "relu":
            rest = rest.clamp(min=0)  # smaller maxima give the same activation
        symbol = self.ids[row, place].int()
        stride = self.scores.shape[1]
        flat = self.scores.view(-1, channels)
        start = row * stride + place  # window p - W + 1 + r, at which the edit is at tap W - 1 - r
        highest = torch.full_like(rest, -math.inf)
        for r in range(width):
            lifted = flat.index_select(0, start + r).add_(self.gain[width - 1 - r].index_select(0, symbol))
            torch.maximum(highest, lifted, out=highest)
        site, channel = torch.nonzero(highest > rest, as_tuple=True)
        best = rest[site, channel, None].expand(-1, letters).contiguous()
        for r in range(width):
            tap = self.table[width - 1 - r]  # V, C
            without = flat[start[site] + r, channel] - tap[symbol[site].long(), channel]
            torch.maximum(best, tap[:letters].t().index_select(0, channel).add_(without[:, None]), out=best)
        pooled = self.model.activation(rest)[:, :, None].repeat(1, 1, letters)  # M, C, A
        pooled[site, channel] = self.model.activation(best)
        return pooled.transpose(1, 2)
