"""Training a sum of networks: every part by itself, then a weight for each from sequences it had not seen.

Stacked generalization (Wolpert, 1992) with weights that are not negative (Breiman, 1996). The linear parts are
logistic regressions, of values ridge regressions, solved to their optimum with a strength chosen on the held-out
sequences; CNNs are trained by the loop, with every penalty, constraint, attack and augmentation asked for. Held out are
the folds of a cross-validation, each part being fitted once more to all sequences, or the validation part where there
is one. Several CNNs of a kind are the networks of the folds themselves, averaged.
The weights minimise the held-out loss plus a ridge, on scores of equal spread; they scale the parts' heads, and a
part that tells nothing new is left with a small weight or none. Of an average no weights are fitted: parts are brought
to one spread, and its CNNs are all trained on all sequences, an ensemble as of Lakshminarayanan, Pritzel and Blundell
(2017) but for its logits being averaged, which keeps it a sum that is exactly certified.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.linear import Array
from seqreg.networks import SequenceNetwork, SumNet, objective, parts_of
from seqreg.sequences import SequenceSet
from seqreg.training import loop
from seqreg.training.config import TrainConfig
from seqreg.training.heads import fit_head
from seqreg.training.held_out import HeldOut
from seqreg.training.loop import Progress
from seqreg.training.part_loops import History, Loops, fit_cnns
from seqreg.training.shared import LearnedKind, SharedParts, decides
from seqreg.training.together import acts_on_sum, apart, fit_together, try_out
from seqreg.training.weighing import factors_to_one_spread, stacking_weights
from seqreg.unfinished import Once, afresh


def fit(
    model: SequenceNetwork,
    config: TrainConfig,
    train: SequenceSet,
    valid: SequenceSet | None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    most_folds: int | None = None,
    once: Once = afresh,
    keep: Callable[["Stacked"], object] | None = None,
    shared: SharedParts | None = None,
) -> History:
    """Train any of seqreg's networks in place and return its history: `loop.fit`, for every part of a sum.

    config must be complete (`with_defaults`). With a folder, checkpoints are kept in it and `resume` continues from
    them to the same bits. Rows of a sum's history name the part; the fits to folds are not in it. most_folds: how many
    of the folds are held out of a sum's parts to learn the weights, where all of them take too long. once: keeps what
    is done of the linear parts (see `seqreg.unfinished`). keep: given what is known of a sum beside its weights.
    shared: where kinds of parts are that other trainings have learned, and may be read by others.
    """
    if not isinstance(model, SumNet):
        return loop.fit(model, config, train, valid, folder=folder, resume=resume, report=report)
    how: dict[str, Any] = {"folder": folder, "resume": resume, "report": report, "most_folds": most_folds, "once": once}
    how["shared"] = shared
    whole = acts_on_sum(model, config)
    if whole:
        try_out(model, config, train)
    fitted = fit_parts(model, apart(config) if whole else config, train, valid, **how)
    weights, offset = np.full(len(fitted.scores), 1 / len(fitted.scores)), np.zeros(1)
    if model.average:
        weights = weights * factors_to_one_spread(fitted.scores, fitted.within, fitted.learned, fitted.weight)
    elif fitted.unseen:
        weights, offset = stacking_weights(fitted.scores, fitted.y, fitted.weight, objective(train.labelled()[0]))
    stacked = Stacked()
    if fitted.unseen and valid is None:
        _, y = train.labelled()
        stacked = Stacked(unseen=(y[fitted.rows], np.tensordot(weights, fitted.scores, 1) + offset))
    with torch.no_grad():
        for names, weight in zip(model.kinds().values(), weights, strict=True):
            averaged = 1 if model.part(names[0]).head_only else len(names)
            for name in names:
                model.part(name).scale(weight / averaged)
        parts_of(model)[0].output.bias.add_(torch.as_tensor(offset))
    if whole:
        done = fit_together(model, config, train, folder=folder, resume=resume, report=report)
        fitted.history.extend(done.history)
        stacked = stacked.on_line(done.slope, done.offset)
    if keep is not None:
        keep(stacked)
    model.eval()
    return fitted.history or [{"part": "+".join(model.parts), "epoch": 0}]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stacked:
    """What is known of a sum beside its weights.

    unseen: y and the outputs (n, K) of the sum for sequences that its parts had not seen, where folds were held out.
    slope: logits are about that times as large as they were before something acted on the sum; 0 for a constant. Such a
    sum has seen all sequences, and what stands in `unseen` is on the line that is nearest to it.
    """

    unseen: tuple[NDArray[Any], Array] | None = None
    slope: float = 1.0

    def on_line(self, slope: float, offset: Array) -> "Stacked":
        """The same of a sum whose outputs are near slope times what they were plus offset (K,)."""
        unseen = None if self.unseen is None else (self.unseen[0], slope * self.unseen[1] + offset)
        return Stacked(unseen=unseen, slope=slope)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedParts:
    """What trained parts say of the sequences held out: scores (P, n, K), what they are compared with, y, the classes
    `within` which spreads are looked at, weights (n,), their history, and which rows of all sequences they are.

    P: kinds of parts, those of a kind being averaged, or solved for together. learned (P,): which of them are CNNs.
    unseen: False for an average, of whose CNNs nothing is held out, and where there are too few sequences to hold any
    out; those trained on stand in.
    """

    scores: Array
    y: NDArray[Any]
    within: NDArray[Any]
    rows: NDArray[np.int64]
    weight: Array
    learned: NDArray[np.bool_]
    unseen: bool
    history: History


def fit_parts(
    model: SumNet,
    config: TrainConfig,
    train: SequenceSet,
    valid: SequenceSet | None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    most_folds: int | None = None,
    once: Once = afresh,
    shared: SharedParts | None = None,
) -> FittedParts:
    """Train every part of a sum in place, by itself; `fit` without the weights."""
    kinds = model.kinds()
    learned = {name: names for name, names in kinds.items() if not model.part(names[0]).head_only}
    several = 1 if model.average else max(map(len, learned.values()), default=1)  # networks each without a fold
    held_out = HeldOut.of(train, valid, config, several if several > 1 else None, most_folds)
    of_cnns = replace(held_out, folds=[]) if model.average else held_out
    loops = Loops(config, folder, resume, report)
    scores: list[Array] = []
    history: History = []
    runs = {kind: len(names) if len(names) > 1 else 1 + len(of_cnns.folds) for kind, names in learned.items()}
    loops.planned = sum(runs.values())

    def learn(kind: str, names: list[str], once: Once) -> LearnedKind:
        parts = [model.part(name) for name in names]
        if kind in learned:
            return LearnedKind(*fit_cnns(names, model, train, of_cnns, loops))
        for part in parts:
            part.prepare(train, config.seed)
        return LearnedKind(fit_head(parts, config, train, held_out, once), [])

    sequences = [None if each is None else each.sha256 for each in (train, valid)] if shared is not None else []
    for kind, names in kinds.items():
        if shared is None:
            found = learn(kind, names, once)
        else:
            done = loops.done
            about = {"sequences": sequences, "several": several, "most_folds": most_folds, "average": model.average}
            about["config"] = decides(config, solved=kind not in learned)
            parts = {name: model.part(name) for name in names}
            found = shared.learned(parts, about, partial(learn, kind, names))
            loops.done = done + runs.get(kind, 0)
        scores.append(found.scores)
        history.extend(found.history)
    return FittedParts(
        scores=np.stack(scores),
        y=held_out.y,
        within=held_out.within,
        rows=held_out.rows,
        weight=held_out.weight,
        learned=np.array([kind in learned for kind in kinds]),
        unseen=held_out.unseen and not model.average,
        history=history,
    )
