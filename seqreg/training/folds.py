"""The trainings of a cross-validation: every fold held out in turn, by any number of processes, the same bytes.

Every training is one piece of `seqreg.workers`, so that a cross-validation which was stopped goes on where it was. Of
the first repeat the networks are kept too, so that what is asked about a sequence later is asked of the one network
that has not seen it.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from seqreg.baselines import fit_baselines
from seqreg.errors import InputError, UsageError, option
from seqreg.sequences import SequenceSet, Split, kept_together
from seqreg.sequences import folds as into_folds
from seqreg.training.claim import KEPT, WORK
from seqreg.training.config import TrainConfig
from seqreg.training.learning import learn
from seqreg.workers import SECONDS_BETWEEN_LOOKS, Results, in_processes

SMALL = 500  # sequences below which one split says little
USUAL_FOLDS, USUAL_REPEATS = 5, 2


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """How a run is cross-validated: folds, how often they are drawn, and in how many processes."""

    folds: int = USUAL_FOLDS
    repeats: int = 1
    workers: int = 1

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise UsageError(f"{option('folds')} must be at least 2; got {self.folds}")
        if self.repeats < 1:
            raise UsageError(f"{option('repeats')} must be at least 1; got {self.repeats}")
        if self.workers < 1:
            raise UsageError(f"{option('workers')} must be at least 1; got {self.workers}")

    @property
    def total(self) -> int:
        """Trainings on a part of the sequences."""
        return self.folds * self.repeats


def usual(data: SequenceSet) -> CrossValidation | None:
    """The cross-validation of a set that is too small for one split; None for a larger one, or one too small for it."""
    if len(data) >= SMALL or data.y is None or data.target is None:
        return None
    target, y = data.labelled()
    together, classes = kept_together(data), target.one_class(y)
    most = [len(data), *(() if together is None else [int(together.max()) + 1])]
    if classes is not None:
        most.append(int(np.unique(classes, return_counts=True)[1].min()))
    folds = min(USUAL_FOLDS, *most)
    return CrossValidation(folds=folds, repeats=USUAL_REPEATS) if folds > 1 else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """What the trainings of a cross-validation share. splits: of each repeat. output: the folder of the run."""

    data: SequenceSet
    config: TrainConfig
    asked: CrossValidation
    splits: tuple[Split, ...]
    output: Path

    @property
    def results(self) -> Results:
        """What each training found."""
        return Results(path=self.output / WORK)

    def keys(self) -> list[tuple[str, int, int]]:
        """Key, repeat and fold, counted from 0, of every training."""
        return [(f"{repeat}-{fold}", repeat, fold) for repeat in range(self.asked.repeats) for fold in self.folds]

    @property
    def folds(self) -> range:
        """Folds counted from 0."""
        return range(self.asked.folds)

    def rows(self, repeat: int, fold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions learned from, and held out."""
        return self.splits[repeat].fold(fold + 1)

    def attempt(self, repeat: int, fold: int) -> dict[str, Any]:
        """One training: what network and baselines say of the fold that they have not seen, best baseline first."""
        begun = time.perf_counter()
        kept, held_out = self.rows(repeat, fold)
        learned_from, rest = self.data.subset(kept), self.data.subset(held_out)
        place = self.output / WORK / "unfinished" / f"{repeat}-{fold}"
        config = replace(self.config, seed=self.config.seed + repeat * self.asked.folds + fold, test=0.0, threads=1)
        with threadpool_limits(limits=1):
            learned = learn(learned_from, replace(config, by=self.by, train_size=None), folder=place)
            before, p = learned.network.both_probabilities(rest)
            fitted = fit_baselines(learned_from, seed=config.seed) if config.baselines else {}
            simple = {name: each.probabilities(rest).tolist() for name, each in fitted.items() if each.reads(rest)}
        if repeat == 0:
            folder = self.output / KEPT / f"fold{fold + 1}"
            folder.mkdir(parents=True, exist_ok=True)
            learned.network.save(folder)
        shutil.rmtree(place, ignore_errors=True)
        return {
            "error": None,
            "before": before.tolist(),
            "p": p.tolist(),
            "baselines": simple,
            "trained_on": len(kept),
            "seconds": time.perf_counter() - begun,
        }

    @property
    def by(self) -> Any:
        """How folds hold out within: by the groups that they carry, as relatives are groups by then."""
        return None if self.data.group is not None or self.config.by == "homology" else self.config.by

    def go(self, parent: int | None = None, tell: Callable[[], None] = lambda: None) -> None:
        """Do one training after another until none is left, waiting for those that other processes do."""
        results = self.results
        while parent is None or os.getppid() == parent:
            left = [each for each in self.keys() if not results.done(each[0])]
            if not left:
                return
            for key, repeat, fold in left:
                with results.claimed(key) as mine:
                    if mine:
                        results.save(key, self.attempt(repeat, fold))
                if mine:
                    break
            else:
                time.sleep(SECONDS_BETWEEN_LOOKS)
            tell()

    def run(self, report: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
        """The record of every training, in the order of `keys`."""
        self.results.create()

        def tell() -> None:
            if report is not None:
                report(sum(self.results.done(key) for key, *_ in self.keys()), self.asked.total)

        tell()
        if self.asked.workers == 1:
            self.go(tell=tell)
        else:
            in_processes(_go_apart, self, workers=min(self.asked.workers, self.asked.total), tell=tell)
        tell()
        records = [self.results.record(key) for key, *_ in self.keys()]
        assert all(record is not None for record in records)
        return [record for record in records if record is not None]


def _go_apart(work: Work, parent: int) -> None:
    work.go(parent)


def planned(data: SequenceSet, config: TrainConfig, asked: CrossValidation, output: Path) -> Work:
    """The folds of every repeat: by group where there are groups, by similarity where there are relatives.

    Raises InputError where a fold would be empty, or leave a class without a sequence to learn from.
    """
    if config.leave_out:
        asked_for = option("leave_out", True)
        raise UsageError(f"{asked_for}: folds test on every sequence; hold out one part by {option('folds', 0)}")
    data, by = replace(data, split=None), config.by
    first = None
    if by == "homology" or (by is None and data.group is None):
        related: dict[str, Any] = {"similarity": config.similarity, "identity": config.identity}
        first = into_folds(data, asked.folds, by="homology", **related, seed=config.seed)
        if by == "homology" or len(np.unique(first.group)) < len(np.unique(_molecules(data))):
            by = "homology"
    repeats = [config.seed + repeat for repeat in range(asked.repeats)]
    if first is None or by != "homology":
        splits = tuple(into_folds(data, asked.folds, by=by, seed=seed) for seed in repeats)
    else:
        data = replace(data, group=first.group)
        # Relatives are the same in every repeat, but where a group was too large for a fold and was cut.
        again: dict[str, Any] = {"by": "homology", **related} if first.across is None or len(first.across) else {}
        splits = (first, *(replace(into_folds(data, asked.folds, **again, seed=seed), by=by) for seed in repeats[1:]))
    for split in splits:
        for number in range(1, asked.folds + 1):
            kept, _ = split.fold(number)
            lacking = np.flatnonzero(data.members.any(axis=0) & ~data.members[kept].any(axis=0))
            if len(lacking):
                raise InputError(
                    f"without fold {number} no sequence of class {data.classes[lacking[0]]!r} is left to learn from",
                    file=data.source or None,
                    remedy=f"Ask for fewer {option('folds')}, or give more sequences.",
                )
    return Work(data=data, config=config, asked=asked, splits=splits, output=output)


def _molecules(data: SequenceSet) -> NDArray[np.int64]:
    together = kept_together(data)
    return np.arange(len(data)) if together is None else together
