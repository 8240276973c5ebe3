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
from seqreg.networks.lookup import Cover, filter_correlations, first_argmax, lookup_scores, symbol_table, window_rows


class BestWindows:
    """Scores of all windows of a batch, and the logits as a function of each filter's best.

    x is ids (N, L) or one-hot (N, A, L), lengths (N,) the letters of each sequence, W or more. With strands shared,
    the filters are followed by their reverse complements, which score the opposite strand from this one: C' = 2 C.

    kernel (C', A, W): the filters. scores (N, T, C'): without bias; windows over padding are far below all others.
    """

    def __init__(self, model: ConvNet, x: Tensor, lengths: Tensor | None) -> None:
        self._model = model
        with torch.no_grad():
            kernel = model.first_kernel()
            if model.reverse_complement:
                kernel = torch.cat([kernel, kernel[:, model.complement[: kernel.shape[1]]].flip(2)])
            if x.dim() == 2:
                rows = window_rows(x, kernel.shape[2], len(model.mixtures))
                scores = lookup_scores(symbol_table(kernel, model.mixtures), rows)
            else:
                scores = F.conv1d(x, kernel).transpose(1, 2).contiguous()
            if lengths is not None and bool((lengths < x.shape[-1]).any()):
                outside = torch.arange(scores.shape[1], device=x.device) >= model.window_counts(lengths)[:, None]
                # Finite, so that differences of scores stay numbers.
                scores.masked_fill_(outside[:, :, None], torch.finfo(scores.dtype).min / 4)
            self.kernel, self.scores, self.length = kernel, scores, x.shape[-1]

    @cached_property
    def correlations(self) -> Tensor:
        """(C', 2 W - 1, C') what each filter, placed at a window, scores under each filter at windows around."""
        return filter_correlations(self.kernel)

    def logits(self, best: Tensor) -> Tensor:
        """Logits (N, K) from the score of each filter's best window, (N, C')."""
        model, bias = self._model, self._model.convs[0].bias
        assert isinstance(bias, Tensor)
        if not model.reverse_complement:
            return model.classify(model.activation(best + bias))
        forward, backward = best.chunk(2, dim=1)
        return model.classify(model.activation(torch.maximum(forward, backward) + bias))

    def effect(self, starts: Tensor, g: Tensor) -> Tensor:
        """(N, T, C') what `place(starts, g)` adds to the scores."""
        reach = self.kernel.shape[2] - 1
        return Cover(starts - reach, 2 * reach + 1, self.scores.shape[1]).add(self.correlations, g)

    def place(self, starts: Tensor, g: Tensor) -> Tensor:
        """Perturbation (N, A, L) of filters at windows starts (N, S C'), times g (N, S C'): S of each filter."""
        table = self.kernel.transpose(1, 2).repeat(starts.shape[1] // len(self.kernel), 1, 1)
        return Cover(starts, self.kernel.shape[2], self.length).add(table, g).transpose(1, 2)

    def squared_gradients(self) -> Tensor:
        """(N, K) `||grad_x f_k(x_i)||_2^2`, without graph."""
        starts = first_argmax(self.scores)
        best = self.scores.gather(1, starts[:, None]).squeeze(1).requires_grad_()
        logits = self.logits(best)
        cover = Cover(starts, self.kernel.shape[2], self.length)
        squares = []
        for k in range(logits.shape[1]):
            (g,) = torch.autograd.grad(logits[:, k].sum(), best, retain_graph=True)
            squares.append(cover.add(self.kernel.transpose(1, 2), g).square().sum((1, 2)))
        return torch.stack(squares, 1)
