"""How much each letter of a sequence moves each logit: by exact mutagenesis, and along gradients."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.explain.motifs import evaluating
from seqreg.mutagenesis import substitution_scores
from seqreg.networks import SequenceNetwork, as_onehot, parts_of
from seqreg.predictors import ByFold, TrainedNetwork
from seqreg.sequences import Attribution, SequenceSet, padded_batches

BASELINE = "the unknown letter, which is the mixture of all letters, at every position"
STEPS = 32  # leaves out 1 % of the way on trained networks
_NUMBERS = 1 << 22  # in the mutagenesis of a batch: what a laptop holds without noticing


def attributions(
    network: TrainedNetwork,
    sequences: SequenceSet,
    *,
    unseen: ByFold | None = None,
    batch: int = 64,
    steps: int = STEPS,
) -> Iterator[Attribution]:
    """The attributions of each sequence, in order, computed as they are asked for, at most `batch` at a time.

    Of a binary task they are those of the positive class, whichever of the two that is (`Target.logit_of`).
    unseen: the networks of a cross-validation; then each sequence has those of its own. steps: points at which
    `integrated_gradients` looks at the gradient.
    """
    asked = unseen or ByFold.alone(network, len(sequences))
    for each in asked.networks:
        demand_attributions(each)
    per_letter = sequences.alphabet.size * network.architecture.outputs
    for index in padded_batches(sequences.lengths, batch, _NUMBERS // per_letter):
        found: dict[int, Attribution] = {}
        for each, rows in asked.subset(index).pairs():
            found.update(zip(index[rows].tolist(), _of_batch(each, sequences, index[rows], steps), strict=True))
        yield from (found[i] for i in map(int, index))


def demand_attributions(network: TrainedNetwork) -> None:
    """Raises UsageError for a network that has none, as those that read vectors."""
    for part in parts_of(network.module):
        part.demand("gradients", "edits")


def _of_batch(
    network: TrainedNetwork, sequences: SequenceSet, index: NDArray[np.int64], steps: int
) -> Iterator[Attribution]:
    """The attributions of some of the sequences."""
    model, target = network.module, network.target
    ids = torch.from_numpy(sequences.padded(index)).to(model.mixtures.device)
    with evaluating(model):
        logits = model(ids).detach()
        slopes = gradient_times_input(model, ids)
        integrated, baseline_logits = integrated_gradients(model, ids, steps)
        changes = substitution_scores(model, ids) - logits[:, None, None]  # n, L, A, K
    found = [target.told(each) for each in (logits, baseline_logits)]
    found += [target.told_change(each) for each in (changes, slopes, integrated)]
    arrays = [each.float().cpu().numpy() for each in found]
    for row, i in enumerate(map(int, index)):
        of_logits, of_baseline, *per_position = (each[row] for each in arrays)
        mutagenesis, slope, path = (each[: sequences.lengths[i]] for each in per_position)
        yield Attribution(
            id=sequences.names[i],
            sequence=sequences.sequence(i),
            logits=of_logits,
            baseline_logits=of_baseline,
            mutagenesis=mutagenesis,
            gradient_times_input=slope,
            integrated_gradients=path,
        )


def gradient_times_input(model: SequenceNetwork, ids: Tensor) -> Tensor:
    """(N, L, K) sum_a x_a df_k/dx_a at every position of one-hot x; zero on padding. ids: (N, L)."""
    view = as_onehot(model, ids)
    return (view.x.detach()[..., None] * _slopes(model, ids, view.lengths)).sum(1)


def integrated_gradients(model: SequenceNetwork, ids: Tensor, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """(N, L, K) sum_a (x - b)_a times the mean of df_k/dx_a from b to x, and the baseline's logits (N, K).

    b has the unknown letter's mixture where the sequence has a letter: it is the same for all sequences of a length,
    and what the network takes for "any letter". Over positions they add up to f(x) - f(b), except for the error of the
    midpoint rule with `steps` points, which a piecewise linear network makes at its kinks.
    ids: (N, L). Source: Sundararajan, Taly and Yan (ICML 2017).
    """
    view = as_onehot(model, ids)
    x, unknown = view.x.detach(), model.mixtures[model.alphabet.pad - 1]
    baseline = view.masked(unknown.to(x.dtype)[:, None].expand_as(x))
    way = x - baseline
    total = torch.zeros((), device=x.device)
    for step in range(steps):
        total = total + _slopes(model, baseline + (step + 0.5) / steps * way, view.lengths)
    with torch.no_grad():
        baseline_logits = model(baseline, lengths=view.lengths)
    return (way[..., None] * total).sum(1) / steps, baseline_logits


def _slopes(model: SequenceNetwork, x: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, A, L, K) gradient of each logit at ids (N, L) or one-hot x (N, A, L); that of a sum, part by part."""
    total = torch.zeros((), device=x.device)
    for part in parts_of(model):
        view = as_onehot(part, x, lengths)
        logits = view.logits
        slopes = [view.gradient(logits[:, k], retain_graph=True) for k in range(logits.shape[1])]
        total = total + torch.stack(slopes, 3)
    return total
