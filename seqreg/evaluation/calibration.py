"""Probabilities that mean what they say: a temperature fitted on held-out predictions, and what it did.

`p = softmax(logits / T)`, or a sigmoid of each logit for a binary or multi-label task. T > 0 changes no ranking among
classes, so predictions, accuracy and certificates stay as they are. Guo, Pleiss, Sun and Weinberger, *On Calibration of
Modern Neural Networks* (ICML 2017), section 4.2.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from seqreg.evaluation.conformal import Conformal, prediction_sets
from seqreg.metrics import METRICS, ece, log_loss
from seqreg.networks.trained import Architecture, probabilities

LOG_T_SPREAD = 0.5  # of the prior on log T: before any data, T is within 0.37 and 2.7 with probability 0.95
WIDEST = 5.0  # |log T| that is looked at; the prior keeps the minimum well inside
LEVELS = (0.8, 0.9, 0.95)


def fit_temperature(
    y: ArrayLike, logits: NDArray[Any], architecture: Architecture, weight: NDArray[np.float64] | None = None
) -> float:
    """T that minimises the log loss of held-out logits (N, K), summed, plus `(log T)^2 / (2 * 0.5^2)`.

    y as in `seqreg.metrics`; weight (N,): how many sequences each stands for, 1 where nothing is said.
    The second term, a log-normal prior around 1, decides where sequences are too few: when
    all of them are right the loss alone would ask for T = 0. With hundreds of sequences it no longer matters.
    """
    counts = np.ones((1, len(logits))) if weight is None else weight[None]
    count = counts.sum() * (len(architecture.classes) if architecture.multi_label else 1)

    def objective(log_t: float) -> float:
        p = probabilities(logits, replace(architecture, temperature=math.exp(log_t)))
        return count * log_loss(y, p, counts=counts)[0] + log_t**2 / (2 * LOG_T_SPREAD**2)

    found: Any = minimize_scalar(objective, bounds=(-WIDEST, WIDEST), method="bounded")
    return math.exp(found.x)


def calibration_effect(
    y: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    *,
    temperature: float,
    positive: int = 1,
    conformal: Conformal | None = None,
    unseen: bool = True,
) -> dict[str, Any]:
    """What `calibration` in metrics.json holds: `temperature`, `ece` and `log_loss` before and after, and `abstain`.

    before, after: probabilities (N, K) at temperature 1 and at the one fitted. abstain: for some coverages asked for,
    the share of sequences `covered`, whose prediction set holds the truth, and the share of sets that are a `single`
    class; None, with a `reason`, where nothing was held out to learn the sets from, or the sequences are not `unseen`.
    """
    scores = {
        name: {when: METRICS[name](y, p, positive=positive) for when, p in (("before", before), ("after", after))}
        for name in (ece.__name__, log_loss.__name__)
    }
    head = {"temperature": temperature, **scores}
    if conformal is None:
        return {**head, "abstain": None, "reason": "no part was held out from which prediction sets could be learned"}
    if not unseen:
        reason = "these sequences were trained on, or are those from which prediction sets were learned"
        return {**head, "abstain": None, "reason": reason}
    rows = []
    for coverage in LEVELS:
        sets = prediction_sets(after, conformal.threshold(coverage), multi_label=conformal.multi_label)
        rows.append({"coverage": coverage, "covered": sets.covers(y).mean(), "single": sets.single.mean()})
    return {**head, "abstain": rows}
