"""A one-layer max-pooled network seen through its best windows, for ascents that never form the perturbation.

The gradient of any function of the logits is a sum of filters, each placed at its best window. Perturbations made
of such gradients are therefore known by where filters stand and how strongly, and their effect on every window's
score comes from a table of filter correlations: exact, at a fraction of the cost of convolving the perturbation.
"""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from seqreg.networks.convnet import ConvNet
from seqreg.networks.lookup import (
    Cover,
    cached_few,
    filter_correlations,
    first_argmax,
    lookup_scores,
    symbol_table,
    window_dot,
    window_place,
    window_rows,
)


class Filters:
    """The filters of a first layer, kernel (C', A, W), and what they say about each other."""

    def __init__(self, model: ConvNet) -> None:
        kernel = model.first_kernel()
        if model.reverse_complement:
            kernel = torch.cat([kernel, kernel[:, model.complement[: kernel.shape[1]]].flip(2)])
        self.kernel, self.width = kernel, kernel.shape[2]

    @cached_property
    def taps(self) -> Tensor:
        """(C', W, A) the filters position by position, without graph."""
        return self.kernel.detach().transpose(1, 2).contiguous()

    @cached_property
    def correlations(self) -> Tensor:
        """(C', 2 W - 1, C') what each filter, placed at a window, scores under each filter at windows around."""
        return filter_correlations(self.kernel.detach())


class BestWindows:
    """The best window of every filter in a batch, the logits as a function of its score, and all windows' scores.

    x is ids (N, L) or one-hot (N, A, L), lengths (N,) the letters of each sequence, W or more. With strands shared,
    the filters are followed by their reverse complements, which score the opposite strand from this one: C' = 2 C.
    """

    def __init__(self, model: ConvNet, x: Tensor, lengths: Tensor | None, filters: Filters | None = None) -> None:
        self._model, self._x, self._lengths = model, x.detach(), lengths
        self.filters = filters or Filters(model)

    def pieces(self) -> "list[BestWindows]":
        """The batch by the few sequences whose scores stay in a processor's cache."""
        windows = self._x.shape[-1] - self.filters.width + 1
        few = cached_few(windows * len(self.filters.kernel))
        parts = self._x.split(few)
        lengths = [None] * len(parts) if self._lengths is None else self._lengths.split(few)
        return [BestWindows(self._model, *part, self.filters) for part in zip(parts, lengths, strict=True)]

    @cached_property
    def scores(self) -> Tensor:
        """(N, T, C') of all windows, without bias or graph; those over padding are far below all others, yet finite."""
        kernel, model = self.filters.kernel.detach(), self._model
        if self._x.dim() == 2:
            rows = window_rows(self._x, self.filters.width, len(model.mixtures))
            scores = lookup_scores(symbol_table(kernel, model.mixtures), rows)
        else:
            scores = F.conv1d(self._x, kernel).transpose(1, 2).contiguous()
        if self._lengths is not None and bool((self._lengths < self._x.shape[-1]).any()):
            outside = torch.arange(scores.shape[1]) >= model.window_counts(self._lengths)[:, None]
            scores.masked_fill_(outside[:, :, None], torch.finfo(scores.dtype).min / 4)
        return scores

    @cached_property
    def starts(self) -> Tensor:
        """(N, C') int64 where the best windows begin."""
        model = self._model
        if self._x.dim() == 3:
            return torch.cat([first_argmax(piece.scores) for piece in self.pieces()])
        if not model.reverse_complement:
            return model.best_windows(self._x)
        forward, backward = model.best_windows(torch.cat([self._x, model.reverse_complement_ids(self._x)])).chunk(2)
        return torch.cat([forward, model.window_counts(model.lengths(self._x))[:, None] - 1 - backward], 1)

    @cached_property
    def best(self) -> Tensor:
        """(N, C') scores of the best windows, without bias; their graph leads to the kernel and not to x.

        Below filters that are not trained it begins here: gradients are taken with respect to these scores.
        """
        kernel, model = self.filters.kernel, self._model
        if self._x.dim() == 3:
            best = window_dot(self._x, kernel, self.starts)
        else:
            best = window_dot(model.one_hot(self._x), kernel, self.starts, self._x, model.mixtures)
        return best if best.requires_grad else best.requires_grad_()

    def logits(self, best: Tensor) -> Tensor:
        """Logits (N, K) from the score of each filter's best window, (N, C')."""
        model = self._model
        strands = torch.cat(best.chunk(2, dim=1)) if model.reverse_complement else best
        features = model.activation(strands + model.first_bias())
        return model.classify(model.join_strands(features, len(best)))

    def gradient(self, values: Tensor, *, create_graph: bool, retain_graph: bool | None) -> Tensor:
        """d values.sum() / d x (N, A, L), for values computed from `logits(self.best)`."""
        (g,) = torch.autograd.grad(values.sum(), self.best, create_graph=create_graph, retain_graph=retain_graph)
        if create_graph:
            return window_place(g, self.filters.kernel, self.starts, self._x.shape[-1])
        return self._letters_covered.add(self.filters.taps, g).transpose(1, 2)

    @cached_property
    def _letters_covered(self) -> Cover:
        return Cover(self.starts, self.filters.width, self._x.shape[-1])

    def windows_covered(self, starts: Tensor) -> Cover:
        """The plan by which filters at windows starts (N, C') move scores: `add(correlations, g)` (N, T, C')."""
        reach = self.filters.width - 1
        return Cover(starts - reach, 2 * reach + 1, self.scores.shape[1])

    def place(self, starts: Tensor, g: Tensor) -> Tensor:
        """Perturbation (N, A, L) of filters at windows starts (N, S C'), times g (N, S C'): S of each filter."""
        table = self.filters.taps.repeat(max(1, starts.shape[1] // len(self.filters.kernel)), 1, 1)
        return Cover(starts, self.filters.width, self._x.shape[-1]).add(table, g).transpose(1, 2)
