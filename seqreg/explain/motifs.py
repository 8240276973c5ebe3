"""What the filters of the first convolution look for, as counted motifs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.networks import ConvNet, SequenceNetwork, parts_of
from seqreg.networks.lookup import first_argmax, letter_conv, window_outer
from seqreg.sequences import SequenceSet

SITE_THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class FilterMotif:
    """One filter of the first convolution and the windows that excite it.

    A sequence is a *site* of the filter if its best window, on either strand where both are scored, exceeds half of
    the filter's largest activation (the rule of DeepBind and Basset, with one window per sequence). Where pooling keeps
    positions, a motif out of place means nothing: there activations count times the largest slope of a logit at them.

    filter: index of the filter among all that were learned. letters: the A letters, columns of counts.
    counts: (W, A) letters of the sites' windows; a mixture counts in parts, padding not at all. sites: their number.
    start: quartiles (25, 50, 75 %) of the position, counted from 1, at which the sites' windows begin.
    fires: class -> share in [0, 1] of its sequences that are sites.
    effect: class -> mean contribution of the filter to that class's logit over its sites, in logits. Behind one
    convolution and a linear head this is head weight times pooled activation; elsewhere gradient times activation.
    A binary task has one logit, so its two effects are of opposite sign.
    importance: standard deviation of the contribution over sequences, root mean square over logits: how much the
    filter moves predictions. One that adds the same to every sequence has none.
    """

    filter: int
    letters: str
    counts: NDArray[np.float64]
    sites: int
    start: tuple[float, float, float]
    fires: dict[str, float]
    effect: dict[str, float]
    importance: float


class Look(NamedTuple):
    """What one pass over n sequences shows of C filters."""

    strength: Tensor  # (n, C) of the best window
    start: Tensor  # (n, C) where that begins, on its own strand
    reverse: Tensor  # (n, C) whether it is on the opposite strand
    contribution: Tensor  # (n, K, C) to the logits

    @property
    def site(self) -> Tensor:
        """(n, C) whether the best window exceeds half of the filter's largest activation."""
        largest = self.strength.amax(0)
        return (self.strength > SITE_THRESHOLD * largest) & (largest > 0)

    def first_letter(self, lengths: NDArray[np.int64], width: int) -> NDArray[np.int64]:
        """(n, C) where the window begins in the sequence as it is written, from 0; below it in a short sequence."""
        start, reverse = self.start.cpu().numpy(), self.reverse.cpu().numpy()
        return np.where(reverse, lengths[:, None] - width - start, start)


def look_at(model: ConvNet, sequences: SequenceSet, batch: int = 64) -> Look:
    """The best windows of the first convolution in all sequences, and what its filters contribute to their logits."""
    with evaluating(model):
        looks = [_look(model, ids) for ids in _batches(model, sequences, batch)]
    return Look(*(torch.cat(parts) for parts in zip(*looks, strict=True)))


def importance_of(contribution: Tensor) -> Tensor:
    """(C,) standard deviation over sequences of contributions (N, K, C), root mean square over logits."""
    return contribution.std(0, correction=0).square().mean(0).sqrt()


def evenly(sequences: SequenceSet, sample: int) -> SequenceSet:
    """At most `sample` of the sequences, evenly spaced."""
    if len(sequences) <= sample:
        return sequences
    return sequences.subset(np.linspace(0, len(sequences) - 1, sample).astype(np.int64))


def filter_motifs(
    model: SequenceNetwork, sequences: SequenceSet, *, top: int = 20, sample: int = 2000, batch: int = 64
) -> list[FilterMotif]:
    """The `top` most important learned filters that have a site, most important first.

    sequences: with labels, best those the model was trained on. sample: at most so many of them, evenly spaced, are
    looked at, `batch` at a time.
    """
    assert sequences.y is not None
    assert len(sequences) > 0
    sequences = evenly(sequences, sample)
    motifs: list[FilterMotif] = []
    before = 0
    for part in learned_parts(model):
        found = _motifs_of(part, sequences, top, batch)
        motifs += [replace(motif, filter=motif.filter + before) for motif in found]
        before += len(part.first_kernel())
    return sorted(motifs, key=lambda motif: -motif.importance)[:top]


def learned_parts(model: SequenceNetwork) -> list[ConvNet]:
    """The parts whose filters were learned: those of linear models are given."""
    nets = (part.windowed() for part in parts_of(model))
    return [net for net in nets if net is not None and not net.head_only]


def _motifs_of(model: ConvNet, sequences: SequenceSet, top: int, batch: int) -> list[FilterMotif]:
    seen = look_at(model, sequences, batch)
    site, importance = seen.site, importance_of(seen.contribution)  # (N, C), (C,)
    chosen = [c for c in importance.argsort(descending=True, stable=True).tolist() if site[:, c].any()][:top]

    counts = _count_letters(model, sequences, seen, site, batch)
    first = np.maximum(seen.first_letter(sequences.lengths, counts.shape[1]), 0) + 1
    target, y = sequences.labelled()
    names, carried = target.sides(y)
    motifs: list[FilterMotif] = []
    for c in chosen:
        is_site = site[:, c].cpu().numpy()
        low, middle, high = np.quantile(first[is_site, c], [0.25, 0.5, 0.75]).tolist()
        motifs.append(
            FilterMotif(
                filter=c,
                letters=model.alphabet.letters,
                counts=counts[c],
                sites=int(is_site.sum()),
                start=(low, middle, high),
                fires=shares(names, carried, is_site),
                effect=target.effects(seen.contribution[site[:, c], :, c].mean(0).tolist()),
                importance=float(importance[c]),
            )
        )
    return motifs


def shares(classes: Sequence[str], carried: NDArray[np.bool_], is_site: NDArray[np.bool_]) -> dict[str, float]:
    """Class -> share of its sequences that are sites, for the classes that occur; carried is (N, classes)."""
    return {name: float(is_site[rows].mean()) for name, rows in zip(classes, carried.T, strict=True) if rows.any()}


def _look(model: ConvNet, ids: Tensor) -> Look:
    """Best windows of the first convolution, and gradient x activation of its output, for ids (n, L)."""
    n, kernel = len(ids), model.first_kernel().detach()
    ids = torch.cat(model.strands(ids))
    x = model.one_hot(ids)
    h = model.activate_first(letter_conv(x, kernel, model.mixtures, ids), x).detach()
    lengths = model.lengths(ids)
    h.requires_grad_()
    logits = model.classify(model.join_strands(model.pool(model.deeper(h), model.window_counts(lengths)), n))
    slopes = [torch.autograd.grad(logits[:, k].sum(), h, retain_graph=True)[0] for k in range(logits.shape[1])]
    h = h.detach()
    contribution = torch.stack([(slope * h).sum(2) for slope in slopes], 1)  # 2n or n, K, C

    strength = h
    if model.pooling == "position":
        strength = h * torch.stack([slope.abs() for slope in slopes]).amax(0)
    outside = torch.arange(h.shape[2], device=h.device) > (lengths - kernel.shape[2]).clamp(min=0)[:, None, None]
    scores = strength.masked_fill(outside, -torch.inf).transpose(1, 2)
    start = first_argmax(scores)  # 2n or n, C
    best = scores.gather(1, start[:, None])[:, 0]
    reverse = torch.zeros_like(best[:n], dtype=torch.bool)
    if model.reverse_complement:
        reverse = best[n:] > best[:n]
        start, best = torch.where(reverse, start[n:], start[:n]), torch.maximum(best[:n], best[n:])
    return Look(best, start, reverse, contribution.unflatten(0, (-1, n)).sum(0))


def _count_letters(model: ConvNet, sequences: SequenceSet, seen: Look, site: Tensor, batch: int) -> NDArray[np.float64]:
    """(C, W, A) letters in the windows of the sites."""
    width = model.first_kernel().shape[2]
    total, done = 0.0, 0
    for ids in _batches(model, sequences, batch):
        rows = slice(done, done := done + len(ids))
        site_here, reverse = site[rows], seen.reverse[rows]
        chosen = torch.cat([site_here & ~reverse, site_here & reverse]) if model.reverse_complement else site_here
        strands = torch.cat(model.strands(ids))
        start = seen.start[rows].repeat(len(strands) // len(ids), 1)
        x = model.one_hot(strands)
        total = total + window_outer(chosen.to(x.dtype), x, start, width, strands, model.mixtures).double()
    assert isinstance(total, Tensor)
    return total.transpose(1, 2).cpu().numpy()


def _batches(model: ConvNet, sequences: SequenceSet, batch: int) -> Iterator[Tensor]:
    """ids (n, L) on the model's device, at least one window long."""
    for begin in range(0, len(sequences), batch):
        index = np.arange(begin, min(begin + batch, len(sequences)))
        yield model.pad_ids(torch.from_numpy(sequences.padded(index)).to(model.mixtures.device))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout off, and as it was afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
