"""The verdict of a run: its model beside the baseline that inner cross-validation prefers, on the same test part."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqreg.baselines import FittedBaseline
from seqreg.evaluation.scores import Metrics
from seqreg.evaluation.verdict import Verdict, judge
from seqreg.sequences import SequenceSet
from seqreg.training.claim import BASELINE
from seqreg.training.folder import measure
from seqreg.training.next_steps import Steps

UNINFORMED = "majority"


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A baseline with what it says of the test part, p (N, K), and its metrics there."""

    model: FittedBaseline
    p: NDArray[np.float64]
    metrics: Metrics


def score_all(fitted: Mapping[str, FittedBaseline], test: SequenceSet, seed: int) -> dict[str, Scored]:
    """Those of the baselines, the best by inner cross-validation first, that can read the test part."""
    scored: dict[str, Scored] = {}
    for name, model in fitted.items():
        if model.reads(test):
            p = model.probabilities(test)
            scored[name] = Scored(model=model, p=p, metrics=measure(test, p, seed))
    return scored


def opponent(scored: Mapping[str, Scored]) -> tuple[str, Scored] | None:
    """The first that looks at sequences; None where there is none. Never chosen by what it does on the test part."""
    return next(((name, each) for name, each in scored.items() if name != UNINFORMED), None)


def verdict_of(
    test: SequenceSet,
    p: NDArray[np.float64],
    metrics: Metrics,
    rival: tuple[str, Scored] | None,
    steps: Steps,
    seed: int,
) -> Verdict | None:
    """The verdict on a model's p (N, K) for the test part; None where no metric that decides is defined."""
    target, y = test.labelled()
    against = None if rival is None else (rival[0], rival[1].p)
    own = next((metrics.intervals[name] for name in target.headline if metrics.values[name] is not None), None)
    found = judge(target, y, p, against, groups=test.group, own=own, seed=seed)
    return None if found is None else found.advising(steps)


def keep(output: Path, rival: tuple[str, Scored] | None) -> None:
    """Write the opponent into the folder of the run, so that it may be measured, and used, again."""
    if rival is not None:
        (output / BASELINE).mkdir(exist_ok=True)
        rival[1].model.save(output / BASELINE)


def kept_baseline(run: Path) -> FittedBaseline | None:
    """The opponent that a run keeps. Raises ModelError for a damaged one."""
    return FittedBaseline.load(run / BASELINE) if (run / BASELINE / "model.json").is_file() else None
