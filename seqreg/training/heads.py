"""The heads of parts that are linear in their features: logistic or ridge regressions, solved to their optimum.

The strength is the one whose scores of what is held out have the smallest loss.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack, vstack

from seqreg.linear import FITS, Array, as_piece, columns_of, draw, short_views
from seqreg.networks import Part, objective
from seqreg.predictors.network import LETTERS_PER_BATCH, features_of
from seqreg.sequences import SequenceSet, padded_batches
from seqreg.training.config import TrainConfig, example_weights
from seqreg.training.held_out import HeldOut
from seqreg.training.weighing import mean_loss
from seqreg.unfinished import Once, Piece

# A choice: five decades in steps of about 3, for rows of mean square length 1. Where nothing is held out to choose by,
# scikit-learn's default.
STRENGTHS = tuple(np.geomspace(0.03, 3000, 11))
USUAL_STRENGTH = 1.0
# Above these many sequences a draw by class stands for all of them: a linear model has learned by then what it can.
STRENGTH_CHOSEN_ON, HEAD_FITTED_ON = 4_000, 50_000
ROWS_READ = 10_000  # sequences whose features are read at once


def fit_head(
    parts: Sequence[Part],
    config: TrainConfig,
    train: SequenceSet,
    held_out: HeldOut,
    once: Once,
    strengths: Sequence[float] | None = None,
    also: SequenceSet | None = None,
) -> Array:
    """Solve for the heads of parts that are linear in their features; scores (n, K) of their sum on what was held out.

    Features are scaled to rows of mean square length 1, those of each part to an equal share of it, so that the same
    strengths serve every part. Several parts are one model on the features of all. strengths: to choose from, STRENGTHS
    by default. also: other forms of the training sequences, one of each, where folds are held out: what the fit that
    had not seen a sequence says of its other form follows in the scores (2 n, K), and chooses nothing.
    """
    bases = [once(lambda part=part: {"basis": part.coordinates()})["basis"] for part in parts]

    def read(data: SequenceSet) -> list[csr_array | Array]:
        return [_coordinates(part, basis, once, data) for part, basis in zip(parts, bases, strict=True)]

    def read_scaled(data: SequenceSet) -> csr_array | Array:
        """All features, scaled, some sequences at a time: they fill more memory in parts than side by side."""
        rows = np.arange(len(data))
        blocks = (rows[start : start + ROWS_READ] for start in range(0, max(1, len(data)), ROWS_READ))
        return _below([_beside(read(data.subset(block)), scales) for block in blocks])

    few = draw(train, STRENGTH_CHOSEN_ON, config.seed) if not held_out.folds else train
    blocks, weight = read(few), _repetitions(few, config)
    squares = [float((rows * rows * weight[:, None]).sum()) / weight.sum() for rows in blocks]
    scales = [1 / np.sqrt(max(each, 1e-12) * len(parts)) for each in squares]
    rows = _beside(blocks, scales)
    if held_out.folds:
        splits, judged = held_out.folds, rows
        if also is not None:
            splits = [(inner, np.concatenate([outer, outer + len(few)])) for inner, outer in splits]
            judged = _below([rows, _beside(read(also), scales)])
        views = short_views(judged, splits, wide=columns_of(rows) > len(few))
    else:
        splits = [(np.arange(len(few)), np.arange(len(held_out.data)))]
        views = [(rows, read_scaled(held_out.data))]
    target, y = few.labelled()
    fit, criterion, labels = FITS[target.task], objective(target), target.learned(y)

    def of_held_out(c: float) -> Piece:
        scores = np.zeros((len(held_out.data) * (1 if also is None else 2), parts[0].outputs))
        for (inner, outer), (kept, left_out) in zip(splits, views, strict=True):
            coef, intercept = fit(kept, labels[inner], c, weight[inner], config.seed)
            scores[outer] = left_out @ coef.T + intercept
        chosen = held_out.rows if also is None else np.concatenate([held_out.rows, held_out.rows + len(few)])
        return {"scores": scores[chosen]}

    strengths = (strengths or STRENGTHS) if held_out.unseen else (USUAL_STRENGTH,)
    scores = [once(partial(of_held_out, c))["scores"] for c in strengths]
    losses = [mean_loss(each[: len(held_out.rows)], held_out.y, held_out.weight, criterion) for each in scores]
    best = losses.index(min(losses))
    many = draw(train, HEAD_FITTED_ON, config.seed)
    if few is not many:
        rows, weight = read_scaled(many), _repetitions(many, config)
    labels = target.learned(many.labelled()[1])
    solved = once(lambda: as_piece(*fit(rows, labels, strengths[best], weight, config.seed)))
    coef, intercept = solved["coef"], solved["intercept"]
    columns = np.split(coef, np.cumsum([columns_of(block) for block in blocks])[:-1], axis=1)
    for part, basis, scale, own in zip(parts, bases, scales, columns, strict=True):
        part.set_head(own * scale if basis is None else own * scale @ basis.T, intercept)
        intercept = np.zeros_like(intercept)
    return scores[best]


def _beside(blocks: Sequence[csr_array | Array], scales: Sequence[float]) -> csr_array | Array:
    """The features of parts, each times its scale, side by side."""
    scaled = [block * scale for block, scale in zip(blocks, scales, strict=True)]
    return scaled[0] if len(scaled) == 1 else csr_array(hstack(scaled, format="csr"))


def _below(blocks: Sequence[csr_array | Array]) -> csr_array | Array:
    """Rows of sets, sparse or dense as they are, one set below the other."""
    if len(blocks) == 1:
        return blocks[0]
    dense = [block for block in blocks if isinstance(block, np.ndarray)]
    return np.vstack(dense) if len(dense) == len(blocks) else csr_array(vstack(blocks, format="csr"))


def _repetitions(data: SequenceSet, config: TrainConfig) -> Array:
    """(n,) weights in a sum of losses, where a sequence of weight 2 is two sequences."""
    mean = 1.0 if data.weight is None else data.weight.mean()
    return example_weights(data, config.class_weight) * mean


@torch.no_grad()
def _coordinates(part: Part, basis: Array | None, once: Once, data: SequenceSet, batch: int = 256) -> csr_array | Array:
    """(n, D) features of sequences in coordinates whose squares add up to the norm of a part; sparse as they are."""
    if basis is not None:
        return _dense(part, once, data, batch) @ basis
    if part.dense:
        return part.read(data, np.arange(len(data))).double().cpu().numpy()
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
