"""Regularizing a sum: all its parts trained on from the stacked solution, under what was asked of them together.

The parts of a sum learn by themselves, each with its default penalty, and are then weighed. A penalty, constraint or
training attack that is asked for acts on the sum: it sees the logits of all parts added up, and every weight feels it,
those of linear parts too. First the sum is shrunk as a whole to where loss and penalties together are least, which for
a large strength is a constant; then all weights are trained on for a few epochs, near where they are. Near, because
the strength of every linear part was chosen by what it says of held-out sequences: their weights move in steps that
are small beside them, and all are drawn back to where they began (Li, Grandvalet and Davoine, ICML 2018).
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqreg.networks import SequenceNetwork, SumNet, can, objective, parts_of
from seqreg.sequences import SequenceSet
from seqreg.training.config import Regularizers, TrainConfig
from seqreg.training.loop import Progress, ResidentData, weighted_loss
from seqreg.training.part_loops import History, Loops

NAME = "sum"
# Choices: so many epochs at most; factors by which the sum may be shrunk; sequences that are enough to choose one.
EPOCHS = 20
FACTORS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.12, 0.06, 0.0)
SHRUNK_ON = 2000


def acts_on_sum(model: SequenceNetwork, config: TrainConfig) -> bool:
    """Whether anything was asked for that acts on a sum: of parts that all read letters, for others cannot answer."""
    return isinstance(model, SumNet) and config.regularized and can(model, "edits") and can(model, "gradients")


def where_it_acts(model: SequenceNetwork, config: TrainConfig) -> list[str]:
    """On what penalties, constraints and attacks act that were asked for of a sum, as a sentence; [] for others."""
    if not isinstance(model, SumNet) or not config.regularized:
        return []
    if acts_on_sum(model, config):
        return ["Penalties, constraints and attacks act on the sum of all parts"]
    why = next(part.cannot[each] for part in parts_of(model) for each in ("edits", "gradients") if each in part.cannot)
    return [f"Penalties, constraints and attacks act on the convolutional networks alone: {why}"]


def apart(config: TrainConfig) -> TrainConfig:
    """The configuration by which the parts of such a sum learn by themselves."""
    return replace(config, penalty=None, constraint=(), attack=None)


def try_out(model: SumNet, config: TrainConfig, train: SequenceSet) -> None:
    """Ask for everything once, of a few sequences: what cannot act on this sum says so before anything is learned."""
    regularizers, few = Regularizers.of(config), train.subset(np.arange(min(2, len(train))))
    copied = copy.deepcopy(model)
    parameter = next(copied.parameters())
    data = ResidentData.of(few, config.class_weight, parameter.device, parameter.dtype)
    for penalty in regularizers.penalties.values():
        penalty(copied, data.ids, data.y, progress=1.0)
    if regularizers.attack is not None:
        regularizers.attack(copied, data.ids, data.y)
    regularizers.project_(copied, 0)


def fit_together(
    model: SumNet,
    config: TrainConfig,
    train: SequenceSet,
    *,
    folder: Path | None,
    resume: bool,
    report: Callable[[Progress], None] | None,
) -> History:
    """Train all parts on in place, and return the history; config must be complete. Arguments are those of `fit`."""
    shrink(model, config, train)
    epochs = min(config.epochs or EPOCHS, EPOCHS)
    config = replace(config, epochs=epochs, penalty=config.penalty or (), start="random")
    loops = Loops(config, folder, resume, report)
    loops.planned = 1
    trained, rows = loops.run(NAME, model, train, None, heads=_heads)
    model.load_state_dict(trained.state_dict())
    return [{"part": NAME, **row} for row in rows]


def _heads(model: SumNet) -> list[Tensor]:
    """Among them those of parts that tell nothing, which are zero, and stay so."""
    return [part.output.weight for part in parts_of(model)]


def shrink(model: SumNet, config: TrainConfig, train: SequenceSet) -> float:
    """Bring the logits nearer to their mean, by the one of FACTORS at which loss and penalties together are least."""
    heads = [part.output.weight for part in parts_of(model)]
    offset = parts_of(model)[0].output.bias
    before, offset_before = [weight.detach().clone() for weight in heads], offset.detach().clone()
    regularizers = Regularizers.of(config)
    some = np.random.default_rng(config.seed).permutation(len(train))[:SHRUNK_ON]
    data = ResidentData.of(train.subset(np.sort(some)), config.class_weight, offset.device, offset.dtype)
    batches = list(data.batches(torch.argsort(data.lengths, stable=True), config.batch_size or len(some)))
    loss = partial(weighted_loss, criterion=objective(train.labelled()[0]))
    model.eval()
    with torch.no_grad():
        biases = torch.stack([part.output.bias for part in parts_of(model)]).sum(0)
        mean = torch.cat([model(ids) for ids, *_ in batches]).mean(0) - biases

    def at(factor: float) -> float:
        with torch.no_grad():
            offset.copy_(offset_before + (1 - factor) * mean)
            for weight, whole in zip(heads, before, strict=True):
                weight.copy_(whole * factor)
        total = torch.zeros((), dtype=torch.float64, device=offset.device)
        for ids, y, weights in batches:
            values: list[Tensor] = [loss(model(ids), y, weights)]
            values += [penalty(model, ids, y, progress=1.0) for penalty in regularizers.penalties.values()]
            total += torch.stack(values).sum().detach().double() * len(ids)
        return float(total)

    best = min(FACTORS, key=at)
    at(best)
    return best
