"""The verdict of a run: its model beside the baseline that inner cross-validation prefers, on the same test part."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.baselines import GUESSING, FittedBaseline
from seqreg.checks import COLUMNS, Evidence, Finding, find_all, suspect_rows
from seqreg.evaluation.scores import Metrics
from seqreg.evaluation.thresholds import COLUMNS as THRESHOLDS
from seqreg.evaluation.thresholds import FILE, threshold_rows
from seqreg.evaluation.verdict import Verdict, judge
from seqreg.records import write_tsv
from seqreg.sequences import SequenceSet
from seqreg.training.claim import BASELINE
from seqreg.training.config import TrainConfig
from seqreg.training.folder import measure
from seqreg.training.folds import Work
from seqreg.training.next_steps import Steps
from seqreg.training.parts import Parts


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
    return next(((name, each) for name, each in scored.items() if name not in GUESSING), None)


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


def check_run(
    output: Path,
    data: SequenceSet,
    parts: Parts,
    p: NDArray[np.float64],
    baselines: Mapping[str, Mapping[str, Any]],
    config: TrainConfig,
    out_of_fold: NDArray[np.float64] | None = None,
) -> tuple[Finding, ...]:
    """What could be fooling the model, of what it says of the test part p (n, K); writes suspects.tsv."""
    evidence = Evidence(
        data=data,
        learned=parts.train_and_valid,
        tested=parts.test,
        p=p,
        baselines=baselines,
        out_of_fold=out_of_fold,
        similarity=config.similarity,
        seed=config.seed,
    )
    return _checked(output, evidence)


def check_folds(
    output: Path, work: Work, p: NDArray[np.float64], baselines: Mapping[str, Mapping[str, Any]]
) -> tuple[Finding, ...]:
    """The same of a cross-validation, from what p (N, K) says of every sequence out of fold."""
    evidence = Evidence(
        data=work.data,
        tested=work.data,
        p=p,
        fold=work.splits[0].part,
        baselines=baselines,
        out_of_fold=p,
        similarity=work.config.similarity,
        seed=work.config.seed,
    )
    return _checked(output, evidence)


def _checked(output: Path, evidence: Evidence) -> tuple[Finding, ...]:
    """What all checks find; suspects.tsv is written where sequences have one class each."""
    rows = suspect_rows(evidence)
    if rows is not None:
        write_tsv(output / "suspects.tsv", COLUMNS, rows)
    return find_all(evidence)


def write_thresholds(output: Path, test: SequenceSet, p: NDArray[np.float64], prevalence: float | None = None) -> None:
    """Write thresholds.tsv of a binary task; nothing for another."""
    rows = threshold_rows(*test.labelled(), p, prevalence)
    if rows:
        write_tsv(output / FILE, THRESHOLDS, rows)
