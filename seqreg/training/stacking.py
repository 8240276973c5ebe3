"""Training a sum of networks: every part by itself, then a weight for each from sequences it had not seen.

Stacked generalization (Wolpert, 1992) with weights that are not negative (Breiman, 1996). The linear parts are
logistic regressions, solved to their optimum with a strength chosen on the held-out sequences; CNNs are trained by
the loop, with every penalty, constraint, attack and augmentation asked for. Held out are the folds of a
cross-validation, each part being fitted once more to all sequences, or the validation part where there is one. Several
CNNs of a kind are the networks of the folds themselves, averaged.
The weights minimise the held-out loss plus a ridge, on scores of equal spread; they scale the parts' heads, and a
part that tells nothing new is left with a small weight or none. Of an average no weights are fitted: parts are brought
to one spread, and its CNNs are all trained on all sequences, an ensemble as of Lakshminarayanan, Pritzel and Blundell
(2017) but for its logits being averaged, which keeps it a sum that is exactly certified.
"""

import copy
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from scipy.optimize import minimize
from scipy.sparse import csr_array, vstack

from seqreg.baselines.linear import as_piece, fit_logistic
from seqreg.baselines.tuning import Split, drawn, inner_folds, short_views
from seqreg.networks import Part, SequenceNetwork, SumNet, parts_of, per_example_loss
from seqreg.predictors.network import LETTERS_PER_BATCH, features_of, logits_of, on_host
from seqreg.records import atomic_write
from seqreg.sequences import SequenceSet, padded_batches
from seqreg.training import loop
from seqreg.training.checkpoint import FILE as CHECKPOINT
from seqreg.training.config import TrainConfig, example_weights
from seqreg.training.loop import Progress
from seqreg.unfinished import Once, Piece, afresh

# Few sequences are held out in more folds: each fit needs all it can get, and takes little time.
FEW, FOLDS_OF_FEW, FOLDS = 200, 5, 3
RIDGE = 0.01
STRENGTHS = tuple(np.geomspace(0.03, 3000, 11))
USUAL_STRENGTH = 1.0
# Above these many sequences a draw by class stands for all of them: a linear model has learned by then what it can.
STRENGTH_CHOSEN_ON, HEAD_FITTED_ON = 4_000, 50_000

Array = NDArray[np.float64]
History = list[dict[str, Any]]


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
) -> History:
    """Train any of seqreg's networks in place and return its history: `loop.fit`, for every part of a sum.

    config must be complete (`with_defaults`). With a folder, checkpoints are kept in it and `resume` continues from
    them to the same bits. Rows of a sum's history name the part; the fits to folds are not in it. most_folds: how many
    of the folds are held out of a sum's parts to learn the weights, where all of them take too long. once: keeps what
    is done of the linear parts (see `seqreg.unfinished`).
    """
    if not isinstance(model, SumNet):
        return loop.fit(model, config, train, valid, folder=folder, resume=resume, report=report)
    how: dict[str, Any] = {"folder": folder, "resume": resume, "report": report, "most_folds": most_folds, "once": once}
    fitted = fit_parts(model, config, train, valid, **how)
    weights, offset = np.full(len(fitted.scores), 1 / len(fitted.scores)), np.zeros(1)
    if model.average:
        weights = weights * alike(fitted.scores, fitted.y, fitted.learned, fitted.weight)
    elif fitted.unseen:
        weights, offset = stacking_weights(fitted.scores, fitted.y, fitted.weight)
    with torch.no_grad():
        for names, weight in zip(model.kinds().values(), weights, strict=True):
            for name in names:
                model.part(name).scale(weight / len(names))
        parts_of(model)[0].output.bias.add_(torch.as_tensor(offset))
    model.eval()
    return fitted.history or [{"part": "+".join(model.parts), "epoch": 0}]


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedParts:
    """What trained parts say of the sequences held out: scores (P, n, K), labels y, weights (n,), and their history.

    P: kinds of parts, those of a kind being averaged. learned (P,): which of them are CNNs.
    unseen: False for an average, of whose CNNs nothing is held out, and where there are too few sequences to hold any
    out; those trained on stand in.
    """

    scores: Array
    y: NDArray[Any]
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
) -> FittedParts:
    """Train every part of a sum in place, by itself; `fit` without the weights."""
    kinds = model.kinds()
    learned = {name: names for name, names in kinds.items() if not model.part(names[0]).head_only}
    several = 1 if model.average else max(map(len, learned.values()), default=1)  # networks each without a fold
    held_out = _HeldOut.of(train, valid, config, several if several > 1 else None, most_folds)
    of_cnns = replace(held_out, folds=[]) if model.average else held_out
    loops = _Loops(config, folder, resume, report)
    scores: list[Array] = []
    history: History = []
    loops.planned = sum(len(names) if len(names) > 1 else 1 + len(of_cnns.folds) for names in learned.values())
    for kind, names in kinds.items():
        if kind in learned:
            scores.append(_fit_cnns(names, model, train, of_cnns, loops, history))
        else:
            part = model.part(kind)
            part.prepare(train, config.seed)
            scores.append(_fit_head(part, config, train, held_out, once))
    return FittedParts(
        scores=np.stack(scores),
        y=held_out.y,
        weight=held_out.weight,
        learned=np.array([kind in learned for kind in kinds]),
        unseen=held_out.unseen and not model.average,
        history=history,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _HeldOut:
    """What is held out: folds (kept, held out) of the training part, or a validation part and no folds.

    data: the sequences whose scores decide, with labels y and weights (n,); rows (n,): which of all scores they are.
    unseen: False where too few sequences are there to hold any out, and those trained on stand in.
    """

    folds: list[Split]
    data: SequenceSet
    unseen: bool
    rows: NDArray[np.int64]
    y: NDArray[Any]
    weight: Array

    @classmethod
    def of(
        cls,
        train: SequenceSet,
        valid: SequenceSet | None,
        config: TrainConfig,
        number: int | None,
        most_folds: int | None,
    ) -> "_HeldOut":
        """number: of folds, where it is not for the number of sequences to say."""
        data = train if valid is None else valid
        _, y = data.labelled()
        number = number or (FOLDS_OF_FEW if len(data) < FEW else FOLDS)
        folds = inner_folds(data, number, config.seed)[:most_folds] if valid is None else []
        rows = np.sort(np.concatenate([outer for _, outer in folds])) if folds else np.arange(len(data))
        weight = example_weights(data, config.class_weight)[rows]
        unseen = bool(folds) or valid is not None
        return cls(folds=folds, data=data, unseen=unseen, rows=rows, y=y[rows], weight=weight)


class _Loops:
    """Runs of the training loop one after the other, each with a checkpoint and a place in the progress bar."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path | None,
        resume: bool,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self.config, self.folder, self.resume, self.report = config, folder, resume, report
        self.planned = self.done = 0

    def run(
        self, name: str, part: Part, train: SequenceSet, valid: SequenceSet | None, seed: int = 0
    ) -> tuple[Part, History]:
        """A copy of the part, trained; taken from its file where an interrupted run had finished it.

        seed: added to that of the configuration.
        """
        torch.manual_seed(self.config.seed + seed)  # one that is taken from its file has drawn nothing
        part = copy.deepcopy(part)
        folder = None if self.folder is None else self.folder / CHECKPOINT.parent / name
        finished = None if folder is None else folder / "part.safetensors"
        history = _finished_part(finished, part) if self.resume and finished is not None else None
        if history is None:
            config = replace(self.config, seed=self.config.seed + seed)
            if config.penalty is None:
                config = replace(config, penalty=part.default_penalty)
            history = loop.fit(part, config, train, valid, folder=folder, resume=self.resume, report=self._report)
            if finished is not None:
                with atomic_write(finished, "wb") as handle:
                    handle.write(save(on_host(part.state_dict()), {"history": json.dumps(history)}))
        self.done += 1
        return part, history

    def _report(self, progress: Progress) -> None:
        if self.report is not None:
            self.report(progress.among(self.done, self.planned))


def _finished_part(file: Path, part: Part) -> History | None:
    """The history of a part whose training was over, its weights restored in place; None without a whole file."""
    try:
        with safe_open(file, framework="pt") as stored:
            history = json.loads((stored.metadata() or {})["history"])
            part.load_state_dict({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError):
        return None
    return history


def _fit_cnns(
    names: list[str], model: SumNet, train: SequenceSet, held_out: _HeldOut, loops: _Loops, history: History
) -> Array:
    """Train the parts of a kind in place; scores (n, K) of what was held out.

    A single one is trained on all, after one for each fold that is not kept. Several are each without a fold of their
    own; where there are fewer folds, or a validation part instead, they differ in what they start from and in the order
    of sequences.
    """
    valid = held_out.data if held_out.data is not train else None
    scores = np.zeros((len(held_out.data), model.part(names[0]).outputs))
    without = held_out.folds
    if len(names) == 1:
        for number, (inner, outer) in enumerate(held_out.folds):
            trained, _ = loops.run(f"{names[0]}-{number + 1}", model.part(names[0]), train.subset(inner), None)
            scores[outer] = logits_of(trained, train.subset(outer), scores.shape[1])
        without = []
    for number, (name, fold) in enumerate(itertools.zip_longest(names, without[: len(names)])):
        part = model.part(name)
        trained, rows = loops.run(name, part, train if fold is None else train.subset(fold[0]), valid, seed=number)
        part.load_state_dict(trained.state_dict())
        history += [{"part": name, **row} for row in rows]
        if fold is not None:
            scores[fold[1]] = logits_of(part, train.subset(fold[1]), scores.shape[1])
        elif not held_out.folds:
            scores += logits_of(part, held_out.data, scores.shape[1]) / len(names)
    return scores[held_out.rows]


def _fit_head(part: Part, config: TrainConfig, train: SequenceSet, held_out: _HeldOut, once: Once) -> Array:
    """Solve for the head of a part that is linear in its features; scores (n, K) of what was held out.

    Features are scaled to rows of mean square length 1, so that the same strengths serve every part.
    """
    basis = once(lambda: {"basis": part.coordinates()})["basis"]
    read = partial(_coordinates, part, basis, once)
    few = drawn(train, STRENGTH_CHOSEN_ON, config.seed) if not held_out.folds else train
    rows, weight = read(few), _repetitions(few, config)
    scale = 1 / np.sqrt(max(float((rows * rows * weight[:, None]).sum()) / weight.sum(), 1e-12))
    rows = rows * scale
    if held_out.folds:
        splits = held_out.folds
        views = short_views(rows, splits, wide=rows.shape[1] > len(few))
    else:
        splits = [(np.arange(len(few)), np.arange(len(held_out.data)))]
        views = [(rows, read(held_out.data) * scale)]
    assert few.y is not None
    labels = few.y
    best: tuple[float, float, Array] | None = None

    def of_held_out(c: float) -> Piece:
        scores = np.zeros((len(held_out.data), part.outputs))
        for (inner, outer), (kept, left_out) in zip(splits, views, strict=True):
            coef, intercept = fit_logistic(kept, labels[inner], c, weight[inner], config.seed)
            scores[outer] = left_out @ coef.T + intercept
        return {"scores": scores[held_out.rows]}

    for c in STRENGTHS if held_out.unseen else (USUAL_STRENGTH,):
        scores = once(partial(of_held_out, c))["scores"]
        loss = mean_loss(scores, held_out.y, held_out.weight)
        if best is None or loss < best[0]:
            best = (loss, c, scores)
    assert best is not None
    many = drawn(train, HEAD_FITTED_ON, config.seed)
    if few is not many:
        rows, weight = read(many) * scale, _repetitions(many, config)
    assert many.y is not None
    solve = partial(fit_logistic, rows, many.y, best[1], weight, config.seed)
    solved = once(lambda: as_piece(*solve()))
    coef, intercept = solved["coef"], solved["intercept"]
    part.set_head(coef * scale if basis is None else coef * scale @ basis.T, intercept)
    return best[2]


def _repetitions(data: SequenceSet, config: TrainConfig) -> Array:
    """(n,) weights in a sum of losses, where a sequence of weight 2 is two sequences."""
    mean = 1.0 if data.weight is None else data.weight.mean()
    return example_weights(data, config.class_weight) * mean


@torch.no_grad()
def _coordinates(part: Part, basis: Array | None, once: Once, data: SequenceSet, batch: int = 256) -> csr_array | Array:
    """(n, D) features of sequences in coordinates whose squares add up to the norm of a part; sparse as they are."""
    if basis is not None:
        return _dense(part, once, data, batch) @ basis
    blocks = []
    for start in range(0, len(data), batch):
        features = part.read(data, np.arange(start, min(start + batch, len(data))))
        blocks.append(csr_array(features.double().cpu().numpy()))
    return csr_array(vstack(blocks, format="csr"))


def _dense(part: Part, once: Once, data: SequenceSet, batch: int) -> NDArray[np.float32]:
    """(n, F) `features_of` sequences, kept batch by batch of like length: alignments take their time."""
    features = np.empty((len(data), part.width), dtype=np.float32)
    order = np.argsort(data.lengths, kind="stable")
    for rows in padded_batches(data.lengths[order], batch, LETTERS_PER_BATCH):
        index = order[rows]
        features[index] = once(lambda index=index: {"x": features_of(part, data.subset(index), batch)})["x"]
    return features


def alike(scores: Array, y: NDArray[Any], learned: NDArray[np.bool_], weight: Array) -> Array:
    """Factors (P,) by which parts' scores (P, n, K) come to one spread within classes: that of CNNs, on average.

    Sequences count by their weights (n,).

    CNNs share a loss and a scale, and keep it. The logits of a linear part are as large as the strength chosen for it,
    which says little of how far it can be trusted: as they are, those of alignments with a few remote relatives would
    hardly count. 1 where a part does not tell sequences apart.
    """
    labels = y[:, None] if y.ndim == 1 else y
    spread = np.zeros(len(scores))
    for k in range(scores.shape[2]):
        label = labels[:, min(k, labels.shape[1] - 1)]
        for value in np.unique(label):
            of_class, share = scores[:, label == value, k], weight[label == value]
            if share.any():
                squares = (of_class - np.average(of_class, 1, share)[:, None]) ** 2
                spread += np.average(squares, 1, share) * share.sum()
    spread = np.sqrt(spread / (weight.sum() * scores.shape[2]))
    factors = np.ones(len(scores))
    if learned.any():
        factors[~learned & (spread > 0)] = spread[learned].mean() / spread[~learned & (spread > 0)]
    return factors


def stacking_weights(scores: Array, y: NDArray[Any], weight: Array) -> tuple[Array, Array]:
    """Weights (P,) >= 0 and an offset (K,) for parts' scores (P, n, K), whose weighted sum predicts y best.

    They minimise the mean loss of the sum, scores being divided by their spread, plus RIDGE times the sum of squares.
    """
    parts, _, outputs = scores.shape
    each, total = weight[:, None], weight.sum() * outputs
    means = (scores * each).sum((1, 2)) / total
    spread = np.sqrt(((scores - means[:, None, None]) ** 2 * each).sum((1, 2)) / total)
    spread[spread == 0] = 1

    def objective(p: Array) -> float:
        total = np.tensordot(p[:parts] / spread, scores, 1) + p[parts:]
        return mean_loss(total, y, weight) + RIDGE * float(np.square(p[:parts]).sum())

    bounds = [(0, None)] * parts + [(None, None)] * outputs
    found: Any = minimize(objective, np.repeat([1 / parts, 0], [parts, outputs]), bounds=bounds, method="L-BFGS-B")
    return found.x[:parts] / spread, found.x[parts:]


def mean_loss(scores: Array, y: NDArray[Any], weight: Array) -> float:
    """Weighted mean of the classification loss of scores (n, K)."""
    losses = per_example_loss(torch.from_numpy(scores), torch.from_numpy(y))
    return float(np.average(losses.numpy(), weights=weight))
