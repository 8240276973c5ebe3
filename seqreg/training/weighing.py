"""How much each part of a sum counts: weights fitted to scores of sequences held out, or one spread for an average."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.linear import Array
from seqreg.networks import Objective, objective_of

# A choice: parts that say the same share their weight, and a weight of 1 costs a hundredth of a unit of mean loss, as
# scores have spread 1.
RIDGE = 0.01
# Where no part is of use to the loss, sums of nothing would rank all sequences alike: parts count by this, the same.
LEAST = 1e-3


def stacking_weights(
    scores: Array, y: NDArray[Any], weight: Array, criterion: Objective | None = None
) -> tuple[Array, Array]:
    """Weights (P,) >= 0 and an offset (K,) for parts' scores (P, n, K), whose weighted sum predicts y best.

    They minimise the mean loss of the sum, scores being divided by their spread, plus RIDGE times the sum of squares.
    Weights that would all be 0 are LEAST.
    """
    from scipy.optimize import minimize  # takes a while to load

    parts, _, outputs = scores.shape
    each, total = weight[:, None], weight.sum() * outputs
    means = (scores * each).sum((1, 2)) / total
    spread = np.sqrt(((scores - means[:, None, None]) ** 2 * each).sum((1, 2)) / total)
    spread[spread == 0] = 1

    def objective(p: Array) -> float:
        total = np.tensordot(p[:parts] / spread, scores, 1) + p[parts:]
        return mean_loss(total, y, weight, criterion) + RIDGE * float(np.square(p[:parts]).sum())

    bounds = [(0, None)] * parts + [(None, None)] * outputs
    found: Any = minimize(objective, np.repeat([1 / parts, 0], [parts, outputs]), bounds=bounds, method="L-BFGS-B")
    weights = found.x[:parts] if found.x[:parts].any() else np.full(parts, LEAST)
    return weights / spread, found.x[parts:]


def factors_to_one_spread(scores: Array, labels: NDArray[Any], learned: NDArray[np.bool_], weight: Array) -> Array:
    """Factors (P,) by which parts' scores (P, n, K) come to one spread within classes: that of CNNs, on average.

    labels (n,) or (n, J): the classes, of K outputs or of each by itself. Sequences count by their weights (n,).

    CNNs share a loss and a scale, and keep it. The logits of a linear part are as large as the strength chosen for it,
    which says little of how far it can be trusted: as they are, those of alignments with a few remote relatives would
    hardly count. 1 where a part does not tell sequences apart.
    """
    labels = labels[:, None] if labels.ndim == 1 else labels
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


def mean_loss(scores: Array, y: NDArray[Any], weight: Array, criterion: Objective | None = None) -> float:
    """Weighted mean of the loss of scores (n, K): that of the criterion, or the one that y can only mean."""
    outputs, truth = torch.from_numpy(scores), torch.from_numpy(y)
    losses = (criterion or objective_of(truth, outputs.shape[1])).loss(outputs, truth)
    return float(np.average(losses.numpy(), weights=weight))
