"""What predictions for the test part say of themselves: whether their probabilities can be taken at their word."""

import numpy as np
from scipy.sparse import csr_array

from seqreg.checks.base import Array, Evidence, Found
from seqreg.metrics import CALIBRATION_BINS, METRICS, ece
from seqreg.targets import Target

DRAWS = 1000
RARE = 0.01  # share of draws under perfect calibration that may be as far off
NARROW = 0.05  # an ECE that nobody minds
_UPPER = 0.95
_CELLS_AT_ONCE = 2_000_000


def calibration(evidence: Evidence) -> Found | None:
    """The ECE against what it would be if every stated probability were right."""
    assert evidence.tested is not None
    assert evidence.p is not None
    target, y = evidence.tested.labelled()
    if not len(y):
        return None
    value = float(ece(y, evidence.p, positive=target.positive_index))
    drawn = ece_if_calibrated(target, evidence.p, np.random.default_rng(evidence.seed))
    p = float((1 + (drawn >= value).sum()) / (1 + len(drawn)))
    expected, upper = float(drawn.mean()), float(np.quantile(drawn, _UPPER))
    found = {"ece": value, "expected": expected, "upper": upper, "p": p, "n": len(y)}
    words = {
        "ece": f"{value:.3f}",
        "expected": f"{expected:.3f}",
        "upper": f"{upper:.3f}",
        "p": f"{p:.2g}",
        "n": len(y),
    }
    if p < RARE:
        return "warn", {**found, "answer": "off"}, words
    if upper <= NARROW:
        return "ok", {**found, "answer": "consistent"}, words
    return "note", {**found, "answer": "not distinguishable"}, words


def ece_if_calibrated(target: Target, p: Array, generator: np.random.Generator, draws: int = DRAWS) -> Array:
    """(draws,) ECE of p (N, K) where what it forecasts comes true as often as it says.

    What is forecast is as `seqreg.metrics.reliability` has it: the positive class, every label, or that the call of
    several classes is right; its ECE depends on these forecasts and whether they come true, and on nothing else.
    """
    if target.one_class(np.zeros((1, p.shape[1]), dtype=np.int64)) is None:
        forecast = p.ravel()
    else:
        forecast = p[:, target.positive_index] if target.binary else p.max(axis=1)
    column = np.minimum((forecast * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    of_bin = csr_array((np.ones(len(forecast)), (column, np.arange(len(forecast)))))
    values = [np.empty(0)]
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(forecast)))
    for start in range(0, draws, at_once):
        came_true = generator.random((len(forecast), min(at_once, draws - start))) < forecast[:, None]
        values.append(np.abs(of_bin @ (forecast[:, None] - came_true)).sum(axis=0) / len(forecast))
    return np.concatenate(values)


def below_chance(evidence: Evidence) -> Found | None:
    """Baselines whose whole interval lies below chance: a sign that parts are related in the wrong way."""
    values: dict[str, float] = {}
    for name, metrics in evidence.baselines.items():
        interval, value = (metrics.get("intervals") or {}).get("auroc"), metrics.get("auroc")
        if interval is not None and value is not None and interval[1] < (METRICS["auroc"].chance or 0.5):
            values[name] = value
    if not values:
        return "ok", {}, {}
    named = next(iter(values))
    return "warn", values, {"name": named, "value": f"{values[named]:.3f}"}
