"""The trainings of a search, by any number of processes."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import current_process
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from seqreg.baselines import fit_baseline
from seqreg.errors import DiskFullError, SeqregError
from seqreg.sequences import SequenceSet
from seqreg.training import SharedParts, TrainConfig, learn
from seqreg.tuning.folds import Pair, score
from seqreg.tuning.search import Candidate, Scores, Search, State, mean
from seqreg.unfinished import unfinished
from seqreg.workers import SECONDS_BETWEEN_LOOKS, Results, in_processes

# Folds that the weights of a sum's parts are learned from. On amp, with 333 sequences to learn from, one gave the same
# auroc as all three (.930 on five held-out folds) in half the time.
WEIGHED_ON = 1
EXPLORING = 0.75  # share of a budget after which no new candidate is begun, so that the best are compared well


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a search has come. trials: candidates begun; most: at most, where that is known. best: words, and
    its mean of the metric that decides.
    """

    trials: int
    most: int | None
    trainings: int
    metric: str
    best: tuple[str, float] | None


Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """A search on training sequences, with what every one of its trainings shares.

    splits: what is kept and what held out, of the first partition and of the second. by: how they were made.
    valid: sequences that decide when to stop, where they were given. config: what was asked for.
    """

    search: Search
    results: Results
    splits: Sequence[Pair]
    by: Any
    valid: SequenceSet | None
    config: TrainConfig

    def state(self, *, exploring: bool = True) -> tuple[State, Scores]:
        """Where the search stands, by one look at the folder."""
        there = self.results.keys()

        def record(key: str) -> dict[str, Any] | None:
            return self.results.record(key) if key in there else None

        return self.search.state(record, exploring=exploring), self.search.scores(record)

    def attempt(self, candidate: Candidate, fold: int) -> dict[str, Any]:
        """The record of one training: scores on the fold that it has not seen, or why there are none."""
        begun = time.perf_counter()
        kept, held_out = self.splits[fold]
        found: dict[str, float | None] = dict.fromkeys((self.search.metric, self.search.tie_breaker))
        error = None
        try:
            with threadpool_limits(limits=1):
                scores = score(self.predictor(candidate, kept, fold), held_out)
            shutil.rmtree(self._unfinished(candidate, fold), ignore_errors=True)
            found = {name: scores[name] for name in found}
        except DiskFullError:
            raise  # it is not the trial's
        except SeqregError as failure:
            error = str(failure)
        return {"what": candidate.words, "fold": fold, **found, "error": error, "seconds": time.perf_counter() - begun}

    def predictor(self, candidate: Candidate, kept: SequenceSet, fold: int) -> Any:
        """Class probabilities by the candidate, trained on these sequences alone."""
        config, folder = self.config, self._unfinished(candidate, fold)
        if candidate.baseline:
            how: dict[str, Any] = {"seed": config.seed, "strand_free": config.reverse_complement}
            with unfinished(folder / "pieces", sha256=kept.sha256, baseline=candidate.baseline, **how) as once:
                return fit_baseline(candidate.baseline, kept, once=once, **how).probabilities
        seed = config.seed + fold  # chance in training is averaged over, and the same for all candidates
        by = self.by if self.by == "stratified" else None
        config = replace(config, **candidate.setting, seed=seed, by=by, train_size=None, threads=1, baselines=False)
        config = replace(config, calibration="none")  # else each would be fitted thrice more
        shared = SharedParts(path=self.results.path / "shared")  # most candidates differ in one kind of part
        learned = learn(kept, config, valid=self.valid, most_folds=WEIGHED_ON, folder=folder, shared=shared)
        return learned.network.probabilities

    def _unfinished(self, candidate: Candidate, fold: int) -> Path:
        """The folder of what is done of a training that is not over."""
        return self.results.path / "unfinished" / candidate.key(fold)

    def work(
        self,
        *,
        exploring_until: float | None = None,
        until: float | None = None,
        parent: int | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """Do one training after another until none is due, waiting for those that other processes do.

        exploring_until, until: times after which nothing new is explored, and no training begun. parent: the process
        without which this one stops.
        """
        while not _past(until) and (parent is None or os.getppid() == parent):
            state, _ = self.state(exploring=not _past(exploring_until))
            if not state.due:
                return
            for key, candidate, fold in state.due:
                with self.results.claimed(key) as mine:
                    if mine:
                        self.results.save(key, self.attempt(candidate, fold))
                if mine:
                    break
            else:
                time.sleep(SECONDS_BETWEEN_LOOKS)
            tell()

    def run(self, *, budget: float | None = None, workers: int = 1, report: Report | None = None) -> None:
        """Search to the end, or for `budget` minutes, what an earlier sitting took counted in."""
        taken = sum((self.results.record(key) or {}).get("seconds", 0.0) for key in self.results.keys())  # noqa: SIM118
        times: tuple[float | None, float | None] = (None, None)
        if budget is not None:
            begun = time.time() - taken / workers
            times = (begun + 60 * budget * EXPLORING, begun + 60 * budget)

        def tell() -> None:
            if report:
                report(self.progress())

        if workers == 1 or current_process().daemon:  # which may have no processes of its own
            self.work(exploring_until=times[0], until=times[1], tell=tell)
        else:
            in_processes(_work_apart, self, *times, workers=workers, tell=tell)
        tell()

    def progress(self) -> Progress:
        """How far the search has come."""
        state, scores = self.state()
        begun = [each for each in state.candidates if scores.record(each.key(0)) is not None]
        measured = [
            (each.words, mean(scores.of(each))) for each in begun if scores.complete(each, self.search.screened)
        ]
        return Progress(
            trials=len(begun),
            most=self.search.trials,
            trainings=len(self.results.keys()),
            metric=self.search.metric,
            best=max(measured, key=lambda one: one[1], default=None),
        )


def _work_apart(trials: Trials, exploring_until: float | None, until: float | None, parent: int) -> None:
    trials.work(exploring_until=exploring_until, until=until, parent=parent)


def _past(moment: float | None) -> bool:
    return moment is not None and time.time() > moment
