"""Probabilities that mean what they say: a temperature fitted on held-out predictions, and what it did.

`p = softmax(logits / T)`, or a sigmoid of each logit for a binary or multi-label task. T > 0 changes no ranking among
classes, so predictions, accuracy and certificates stay as they are. Guo, Pleiss, Sun and Weinberger, *On Calibration of
Modern Neural Networks* (ICML 2017), section 4.2.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from seqreg.evaluation.conformal import Conformal
from seqreg.metrics import log_loss
from seqreg.targets import Target

LOG_T_SPREAD = 0.5  # of the prior on log T: before any data, T is within 0.37 and 2.7 with probability 0.95
WIDEST = 5.0  # |log T| that is looked at; the prior keeps the minimum well inside
LEVELS = (0.8, 0.9, 0.95)


def fit_temperature(
    target: Target, y: NDArray[Any], logits: NDArray[Any], weight: NDArray[np.float64] | None = None
) -> float:
    """T that minimises the log loss of held-out logits (N, K), summed, plus `(log T)^2 / (2 * 0.5^2)`.

    y as the target has it; weight (N,): how many sequences each stands for, 1 where nothing is said. The second term, a
    log-normal prior around 1, decides where sequences are too few: when all of them are right the loss alone would ask
    for T = 0. With hundreds of sequences it no longer matters.
    """
    counts = np.ones((1, len(logits))) if weight is None else weight[None]
    count = counts.sum() * y[0].size  # answers: one a sequence, or one a label of each
    logits = np.asarray(logits, dtype=np.float64)

    def objective(log_t: float) -> float:
        p = target.predict(logits / math.exp(log_t))
        return count * log_loss(y, p, counts=counts)[0] + log_t**2 / (2 * LOG_T_SPREAD**2)

    found: Any = minimize_scalar(objective, bounds=(-WIDEST, WIDEST), method="bounded")
    return math.exp(found.x)


def calibration_effect(
    target: Target,
    y: NDArray[Any],
    before: ArrayLike,
    after: ArrayLike,
    *,
    temperature: float,
    conformal: Conformal | None = None,
    unseen: bool = True,
) -> dict[str, Any]:
    """What `calibration` in metrics.json holds: `temperature`, `ece` and `log_loss` before and after, and `abstain`.

    before, after: probabilities (N, K) at temperature 1 and at the one fitted. abstain: for some coverages asked for,
    the share of sequences `covered`, whose prediction set holds the truth, and the share of sets that are a `single`
    class; None, with a `reason`, where nothing was held out to learn the sets from, or the sequences are not `unseen`.
    """
    scores = {
        name: {when: metric(y, p, positive=target.positive_index) for when, p in (("before", before), ("after", after))}
        for name, metric in target.metrics.items()
        if metric.needs == "probabilities"
    }
    head = {"temperature": temperature, **scores}
    if conformal is None:
        return {**head, "abstain": None, "reason": "no part was held out from which prediction sets could be learned"}
    if not unseen:
        reason = "these sequences were trained on, or are those from which prediction sets were learned"
        return {**head, "abstain": None, "reason": reason}
    rows = []
    for coverage in LEVELS:
        sets = target.sets(after, conformal.threshold(coverage))
        rows.append({"coverage": coverage, "covered": sets.covers(y).mean(), "single": sets.single.mean()})
    return {**head, "abstain": rows}
