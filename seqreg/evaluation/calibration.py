"""Probabilities that mean what they say: a temperature fitted on held-out predictions, and what it did.

`p = softmax(logits / T)`, or a sigmoid of each logit for a binary or multi-label task. T > 0 changes no ranking among
classes, so predictions, accuracy and certificates stay as they are. Guo, Pleiss, Sun and Weinberger, *On Calibration of
Modern Neural Networks* (ICML 2017), section 4.2.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqreg.evaluation.conformal import COVERAGE, Conformal
from seqreg.metrics import log_loss
from seqreg.targets import PredictionIntervals, PredictionSets, Target

LOG_T_SPREAD = 0.5  # of the prior on log T: before any data, T is within 0.37 and 2.7 with probability 0.95
WIDEST = 5.0  # |log T| that is looked at; the prior keeps the minimum well inside
LEVELS = (0.8, 0.9, 0.95)
_SEEN = "these sequences were trained on, or are those from which prediction sets were learned"


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

    from scipy.optimize import minimize_scalar  # takes a while to load

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
        return {**head, "abstain": None, "reason": _SEEN}
    rows = []
    for coverage in LEVELS:
        sets = target.sets(after, conformal.threshold(coverage))
        assert isinstance(sets, PredictionSets)
        rows.append({"coverage": coverage, "covered": sets.covers(y).mean(), "single": sets.single.mean()})
    return {**head, "abstain": rows}


def held_out_effect(
    target: Target,
    y: NDArray[Any],
    before: ArrayLike,
    after: ArrayLike,
    *,
    temperature: float,
    conformal: Conformal | None = None,
    unseen: bool = True,
) -> dict[str, Any]:
    """What `metrics.json` says beside metrics: `calibration` of probabilities; of values, `coverage` and `mean_width`.

    Arguments are those of `calibration_effect`. intervals_of: where the intervals of 90 % come from, and at some
    coverages asked for, the share of values inside and how wide they are on average; None, with a `reason`, as above.
    """
    known = {"conformal": conformal, "unseen": unseen}
    if target.probabilistic:
        return {"calibration": calibration_effect(target, y, before, after, temperature=temperature, **known)}
    if conformal is None or not unseen:
        reason = "nothing was held out from which intervals could be learned" if conformal is None else _SEEN
        return {"coverage": None, "mean_width": None, "intervals_of": None, "coverage_reason": reason}
    rows = []
    for coverage in LEVELS:
        found = target.sets(after, conformal.threshold(coverage))
        assert isinstance(found, PredictionIntervals)
        rows.append({"coverage": coverage, "covered": found.covers(y).mean(), "mean_width": found.width.mean()})
    usual = rows[LEVELS.index(COVERAGE)]
    about = {"part": conformal.part, "n": len(conformal.nonconformity), "levels": rows}
    return {"coverage": usual["covered"], "mean_width": usual["mean_width"], "intervals_of": about}
