"""Regularizing a sum: all its parts trained on from the stacked solution, under what was asked of them together.

The parts of a sum learn by themselves, each with its default penalty, and are then weighed. A penalty, constraint or
training attack that is asked for acts on the sum: it sees the logits of all parts added up, and every weight feels it,
those of linear parts too. First the parts are shrunk to where loss and penalties together are least, which for a large
strength is a constant; then all weights are trained on for a few epochs, near where they are. Near, because
the strength of every linear part was chosen by what it says of held-out sequences: their weights move in steps that
are small beside them, and all are drawn back to where they began (Li, Grandvalet and Davoine, ICML 2018).

Parts that are dear to look at anew, alignments, follow where they may: they are shrunk with the others, on whose
account it is done, and stay as they are while the others are trained on beside them.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqreg.errors import option
from seqreg.linear import Array
from seqreg.networks import SequenceNetwork, SumNet, can, objective, parts_of
from seqreg.predictors.network import logits_of
from seqreg.sequences import SequenceSet
from seqreg.training.config import Regularizers, TrainConfig, example_weights
from seqreg.training.loop import Progress, ResidentData
from seqreg.training.part_loops import History, Loops
from seqreg.training.weighing import mean_loss

Factors = tuple[float, ...]  # of each kind of part

NAME = "sum"
# Choices: factors by which parts may be shrunk; sequences on which penalties are looked at for it, which takes time;
# epochs at most, for time too: of 2,610 sequences 20 proved no more than 5, .576 and .573 of balanced accuracy at two
# substitutions, on draw 10 of `ecoli-sigma70`.
FACTORS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.12, 0.06, 0.0)
PENALIZED = 64
EPOCHS = 5
# Weights of filters, which belong to no head, move by this share of the learning rate: at the whole of it `gradient`
# costs another .004 to .01 of auroc on 100 sequences of `signalp5`, draw 10.
SLOWER = 0.1
# A slope below which nothing of the stacked sum is left, and none is looked for.
LEAST_SLOPE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Regularized:
    """What became of a stacked sum: its logits are now near slope times what they were, plus an offset (K,).

    history: of the last training. slope: 0 for a constant.
    """

    history: History
    slope: float
    offset: Array


def acts_on_sum(model: SequenceNetwork, config: TrainConfig) -> bool:
    """Whether anything was asked for that acts on a sum: of parts that all read letters, for others cannot answer."""
    return isinstance(model, SumNet) and config.regularized and can(model, "edits") and can(model, "gradients")


def where_it_acts(model: SequenceNetwork, config: TrainConfig) -> list[str]:
    """On what penalties, constraints and attacks act that were asked for of a sum, as a sentence; [] for others."""
    if not isinstance(model, SumNet) or not config.regularized:
        return []
    if acts_on_sum(model, config):
        _, followers = _separate_followers(model, config)
        all_of_them = "Penalties, constraints and attacks act on the sum of all parts"
        if followers is None:
            return [all_of_them]
        names = " and ".join(followers.parts)
        why = "which would take long at every step and are only shrunk with the rest"
        return [f"{all_of_them} but {names}, {why}; {option('model', f'sum:{names}=0')} leaves them out"]
    why = next(part.cannot[each] for part in parts_of(model) for each in ("edits", "gradients") if each in part.cannot)
    return [f"Penalties, constraints and attacks act on the convolutional networks alone: {why}"]


def apart(config: TrainConfig) -> TrainConfig:
    """The configuration by which the parts of such a sum learn by themselves."""
    return replace(config, penalty=None, constraint=(), attack=None)


def try_out(model: SumNet, config: TrainConfig, train: SequenceSet) -> None:
    """Ask for everything once, of a few sequences: what cannot act on this sum says so before anything is learned."""
    regularizers, few = Regularizers.of(config), train.subset(np.arange(min(2, len(train))))
    copied = copy.deepcopy(_separate_followers(model, config)[0])
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
) -> Regularized:
    """Train all parts on in place; config must be complete. Arguments are those of `fit`."""
    rest, followers = _separate_followers(model, config)
    outputs = parts_of(rest)[0].outputs
    logits = logits_by_kind(model, train)
    before, factors = np.stack([*logits.values()]).sum(0), shrink(model, config, train, logits)
    beside = np.zeros_like(before)
    for kind in () if followers is None else followers.kinds():
        bias = _bias(model, kind)
        beside += factors[kind] * (logits[kind] - bias) + bias
    epochs = min(config.epochs or EPOCHS, EPOCHS)
    assert config.lr is not None
    config = replace(config, epochs=epochs, lr=SLOWER * config.lr, penalty=config.penalty or (), start="random")
    loops = Loops(config, folder, resume, report)
    loops.planned = 1
    trained, rows = loops.run(NAME, rest, train, None, heads=_heads, beside=None if followers is None else beside)
    rest.load_state_dict(trained.state_dict())
    weight = example_weights(train, config.class_weight)
    slope, offset = nearest_line(before, logits_of(rest, train, outputs).astype(np.float64) + beside, weight)
    if slope and train.labelled()[0].probabilistic:
        with torch.no_grad():
            parts_of(rest)[0].output.bias.sub_(torch.as_tensor(offset))
        offset = np.zeros(outputs)
    return Regularized(history=[{"part": NAME, **row} for row in rows], slope=slope, offset=offset)


def _separate_followers(model: SumNet, config: TrainConfig) -> tuple[SumNet, SumNet | None]:
    """The sum of the parts on which acts what was asked for, and of those that follow them, if any; nothing is copied.

    Where parts would have nothing to follow, none do.
    """
    dear = [name for name in model.parts if any(part.dear for part in model.part(name).parts_within())]
    if not dear or len(dear) == len(model.parts) or not config.parts_may_follow:
        return model, None
    rest, followers = (
        SumNet({name: model.part(name) for name in model.parts if (name in dear) is follow}, average=model.average).to(
            parts_of(model)[0].output.bias
        )
        for follow in (False, True)
    )
    return rest, followers


def nearest_line(before: Array, after: Array, weight: Array) -> tuple[float, Array]:
    """Slope and offset (K,) by which slope * before + offset is nearest to after, both (N, K), by weighted squares.

    A slope below LEAST_SLOPE is 0.
    """
    mean, mean_after = (np.average(each, 0, weight) for each in (before, after))
    deviations = (before - mean) * weight[:, None]
    squares = float((deviations * (before - mean)).sum())
    slope = float((deviations * (after - mean_after)).sum()) / squares if squares else 0.0
    slope = slope if slope > LEAST_SLOPE else 0.0
    return slope, mean_after - slope * mean


def _heads(model: SumNet) -> list[Tensor]:
    """Among them those of parts that tell nothing, which are zero, and stay so."""
    return [part.output.weight for part in parts_of(model)]


def logits_by_kind(model: SumNet, train: SequenceSet) -> dict[str, Array]:
    """(N, K) of the parts of each kind, added up."""
    outputs = parts_of(model)[0].outputs
    return {
        kind: np.stack([logits_of(model.part(name), train, outputs) for name in names]).sum(0, np.float64)
        for kind, names in model.kinds().items()
    }


def _bias(model: SumNet, kind: str) -> Array:
    """(K,) what the parts of a kind say where they say nothing of a sequence, added up."""
    biases = [model.part(name).output.bias.detach().cpu().numpy() for name in model.kinds()[kind]]
    return np.stack(biases).sum(0, np.float64)


def shrink(
    model: SumNet, config: TrainConfig, train: SequenceSet, logits: dict[str, Array] | None = None
) -> dict[str, float]:
    """Bring the logits nearer to their mean, all kinds of parts by the same of FACTORS; the factors, by kind.

    logits: `logits_by_kind`, where they are known.
    It minimises the loss plus the penalties on PENALIZED sequences, which together are convex in the factor where
    penalties are convex in the function, and so is looked for downwards. Where nothing would be left, parts are left
    out first, whichever leaves the least: often one part alone costs too much. Penalties do not see parts that follow.
    """
    rest, _ = _separate_followers(model, config)
    kinds = {kind: [model.part(name) for name in names] for kind, names in model.kinds().items()}
    before = [[part.output.weight.detach().clone() for part in parts] for parts in kinds.values()]
    offset = parts_of(rest)[0].output.bias
    offset_before = offset.detach().clone()
    of_kinds = np.stack([*(logits or logits_by_kind(model, train)).values()])
    means = of_kinds.mean(1)  # P, K
    biases = np.stack([_bias(model, kind) for kind in kinds])
    target, y = train.labelled()
    known = {"y": target.learned(y), "weight": example_weights(train, config.class_weight)}
    known |= {"criterion": objective(target)}
    penalties = Regularizers.of(config).penalties.values()
    some = np.sort(np.random.default_rng(config.seed).permutation(len(train))[:PENALIZED])
    few = ResidentData.of(train.subset(some), config.class_weight, offset.device, offset.dtype)
    batches = list(few.batches(torch.argsort(few.lengths, stable=True), config.batch_size or len(some)))
    for net in (model, rest):
        net.eval()

    def take(factors: Factors) -> None:
        with torch.no_grad():
            offset.copy_(offset_before + torch.from_numpy((1 - np.array(factors)) @ (means - biases)).to(offset))
            for factor, parts, weights in zip(factors, kinds.values(), before, strict=True):
                for part, weight in zip(parts, weights, strict=True):
                    part.output.weight.copy_(weight * factor)

    @cache
    def at(factors: Factors) -> float:
        take(factors)
        total = mean_loss(np.tensordot(factors, of_kinds - means[:, None], 1) + means.sum(0), **known)
        for ids, y, *_ in batches:
            for penalty in penalties:
                at_the_end = float(penalty(rest, ids, y, progress=1.0).detach())  # no mutant: or after it
                total += at_the_end * len(ids) / len(some)
        return total

    def least(left: Factors) -> Factors:
        """The best common factor of those parts that are left, which are 1."""
        best = left
        for factor in FACTORS[1:]:
            smaller = tuple(factor * each for each in left)
            if at(smaller) >= at(best):
                break
            best = smaller
        return best

    left = (1.0,) * len(kinds)
    best, seen = least(left), [k for k, kind in enumerate(kinds) if kind in rest.kinds()]
    while not any(best) and sum(left[k] for k in seen) > 1:
        without = [tuple(each * (i != k) for i, each in enumerate(left)) for k in seen if left[k]]
        left = min(without, key=lambda left: at(least(left)))
        best = least(left)
    take(best)
    return dict(zip(kinds, best, strict=True))
