"""Several runs side by side: the folds of a cross-validation, seeds, or rival settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqreg.errors import ModelError, UsageError
from seqreg.evaluation.rival_runs import PairTest, judge_runs, pair_tests, same_folds
from seqreg.evaluation.verdict import Verdict
from seqreg.model_files import is_baseline
from seqreg.records import read_json
from seqreg.targets import Classes, Values

NETWORK = "network"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A metric over those runs in which it is defined.

    mean: None where there is no such run. standard_deviation: with divisor runs - 1, None for fewer than two runs.
    """

    runs: int
    mean: float | None
    standard_deviation: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Test metrics of several runs and of the baselines beside them.

    runs: folders, in the order given. n: test sequences of each. values: model -> metric -> value in each run, None
    where it is undefined or the run has no such model. spread: model -> metric -> its mean over runs.
    The network of a run is called "network"; folds of one set are not independent, so no interval is claimed.
    tests, verdict: of cross-validated runs that have the same folds, every two beside each other (see `rival_runs`).
    """

    runs: tuple[str, ...]
    n: tuple[int, ...]
    values: Mapping[str, Mapping[str, tuple[float | None, ...]]]
    spread: Mapping[str, Mapping[str, Spread]]
    tests: tuple[PairTest, ...] = ()
    verdict: Verdict | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in their order."""
        return tuple(next(iter(self.values.values()), {}))

    @property
    def columns(self) -> tuple[str, ...]:
        """Of `rows`."""
        return ("run", "model", "n", *self.metrics)

    def rows(self) -> list[tuple[Any, ...]]:
        """A row per run and model it has: run, model, n, and every metric."""
        return [
            (run, model, self.n[i], *(of_metric[name][i] for name in self.metrics))
            for i, run in enumerate(self.runs)
            for model, of_metric in self.values.items()
            if any(of_metric[name][i] is not None for name in self.metrics)
        ]


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """The test metrics that runs hold. Raises UsageError for a folder given twice, ModelError for one without them."""
    twice = next((folder for folder in folders if folders.count(folder) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice")
    found = [_metrics(folder) for folder in folders]
    names = list(dict.fromkeys(name for models in found for name in models))
    measured = ["spearman" in next(iter(models.values())) for models in found]
    if any(measured) and not all(measured):
        raise UsageError("some of these runs learned values, others classes: compare runs of one kind")
    metrics = list((Values if all(measured) else Classes).metrics)
    values = {
        name: {metric: tuple(models.get(name, {}).get(metric) for models in found) for metric in metrics}
        for name in names
    }
    runs = tuple(map(str, folders))
    tests, verdict = _rivals(folders, runs, Values if all(measured) else Classes)
    return Comparison(
        tests=tests,
        verdict=verdict,
        runs=runs,
        n=tuple(next(iter(models.values()))["n"] for models in found),
        values=values,
        spread={
            name: {metric: spread_of(numbers) for metric, numbers in of_metric.items()}
            for name, of_metric in values.items()
        },
    )


def _rivals(
    folders: Sequence[Path], runs: Sequence[str], kind: type[Classes | Values]
) -> tuple[tuple[PairTest, ...], Verdict | None]:
    """The tests of runs that were cross-validated on the same folds, and what they say; nothing for other runs."""
    metrics = [read_json(folder / "metrics.json") for folder in folders]
    if len(folders) < 2 or not same_folds(folders, metrics):
        return (), None
    tests = pair_tests(runs, metrics, {name: kind.metrics[name] for name in kind.headline})
    if not tests:
        return (), None
    name = tests[0].metric
    means = {run: each[name] for run, each in zip(runs, metrics, strict=True)}
    return tests, judge_runs(tests, means, kind.metrics[name])


def spread_of(values: Sequence[float | None]) -> Spread:
    """Mean and standard deviation of the values that are defined."""
    known = [value for value in values if value is not None]
    return Spread(
        runs=len(known),
        mean=float(np.mean(known)) if known else None,
        standard_deviation=float(np.std(known, ddof=1)) if len(known) > 1 else None,
    )


def _metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """Model -> its test metrics: the model of the run first, then the baselines beside it."""
    try:
        own, model = read_json(folder / "metrics.json"), read_json(folder / "model.json")
        name = model["baseline"] if is_baseline(model) else NETWORK
        return {name: own, **{each: found for each, found in own.get("baselines", {}).items() if each != name}}
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise ModelError(f"{folder} has no {missing}. Give folders of finished runs that had a test part") from None
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"{folder} cannot be read: {error}. Train again") from None
