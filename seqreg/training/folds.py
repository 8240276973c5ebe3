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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from seqreg.baselines import fit_baselines
from seqreg.errors import InputError, UsageError, option
from seqreg.sequences import SequenceSet, Split, kept_together, train_subset
from seqreg.sequences import folds as into_folds
from seqreg.training.claim import KEPT, WORK
from seqreg.training.config import TrainConfig
from seqreg.training.learning import learn
from seqreg.workers import SECONDS_BETWEEN_LOOKS, Results, in_processes

SMALL = 500  # sequences below which one split says little
USUAL_FOLDS, USUAL_REPEATS = 5, 2
SHARES = (0.25, 0.5, 0.75)  # of a training part that are learned from too, where a learning curve is asked for


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """How a run is cross-validated: folds, how often they are drawn, and in how many processes.

    learning_curve: whether networks learn from shares of the training parts of the first repeat too.
    """

    folds: int = USUAL_FOLDS
    repeats: int = 1
    workers: int = 1
    learning_curve: bool = False

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
        return self.folds * (self.repeats + (len(SHARES) if self.learning_curve else 0))


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
        """Key, repeat and fold, counted from 0, of every training on all but a fold."""
        return [(f"{repeat}-{fold}", repeat, fold) for repeat in range(self.asked.repeats) for fold in self.folds]

    def partial_keys(self, share: float) -> list[tuple[str, int]]:
        """Key and fold of every training on a share of the training part."""
        return [(f"share{round(100 * share)}-{fold}", fold) for fold in self.folds]  # no mutant: a name

    def trainings(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Every training by its key."""
        found = {key: partial(self.attempt, repeat, fold) for key, repeat, fold in self.keys()}
        for share in SHARES if self.asked.learning_curve else ():
            found |= {key: partial(self.attempt_share, share, fold) for key, fold in self.partial_keys(share)}
        return found

    @property
    def folds(self) -> range:
        """Folds counted from 0."""
        return range(self.asked.folds)

    def rows(self, repeat: int, fold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions learned from, and held out."""
        return self.splits[repeat].fold(fold + 1)

    def settings(self, repeat: int, fold: int) -> TrainConfig:
        """Of the training without a fold, in a process of one thread."""
        probabilistic = self.data.labelled()[0].probabilistic
        return replace(
            self.config,
            seed=self.config.seed + repeat * self.asked.folds + fold,
            test=0.0,
            threads=1,
            by=self.by,
            train_size=None,
            calibration=self.config.calibration if probabilistic else "none",  # nobody reads the intervals of a fold
        )

    def attempt(self, repeat: int, fold: int) -> dict[str, Any]:
        """One training: what network and baselines say of the fold that they have not seen, best baseline first."""
        kept, held_out = self.rows(repeat, fold)
        learned_from, rest = self.data.subset(kept), self.data.subset(held_out)
        place = self.output / WORK / "unfinished" / f"{repeat}-{fold}"
        config = self.settings(repeat, fold)
        with threadpool_limits(limits=1):
            learned = learn(learned_from, config, folder=place)
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
        }

    def attempt_share(self, share: float, fold: int) -> dict[str, Any]:
        """What a network says of the fold of the first repeat that has learned from a share of what another had."""
        kept, held_out = self.rows(0, fold)
        learned_from, rest = self.data.subset(kept), self.data.subset(held_out)
        n, config = max(2, round(share * len(kept))), self.settings(0, fold)
        learned_from = learned_from.subset(train_subset(learned_from, n, seed=config.seed))
        with threadpool_limits(limits=1):
            p = learn(learned_from, config).network.probabilities(rest)
        return {"error": None, "p": p.tolist(), "trained_on": n}

    @property
    def by(self) -> Any:
        """How folds hold out within: by the groups that they carry, as relatives are groups by then."""
        return None if self.data.group is not None or self.config.by == "homology" else self.config.by

    def go(self, parent: int | None = None, tell: Callable[[], None] = lambda: None) -> None:
        """Do one training after another until none is left, waiting for those that other processes do."""
        results, trainings = self.results, self.trainings()
        while parent is None or os.getppid() == parent:
            left = [key for key in trainings if not results.done(key)]
            if not left:
                return
            for key in left:
                with results.claimed(key) as mine:
                    if mine:
                        results.save(key, trainings[key]())
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
                report(sum(map(self.results.done, self.trainings())), self.asked.total)

        tell()
        if self.asked.workers == 1:
            self.go(tell=tell)
        else:
            in_processes(_go_apart, self, workers=min(self.asked.workers, self.asked.total), tell=tell)
        tell()
        records = [self.results.record(key) for key, *_ in self.keys()]
        assert all(record is not None for record in records)
        return [record for record in records if record is not None]

    def partial_records(self, share: float) -> list[dict[str, Any]]:
        """The record of every training on a share, by fold; after `run`."""
        return [record for key, _ in self.partial_keys(share) if (record := self.results.record(key)) is not None]


def _go_apart(work: Work, parent: int) -> None:
    work.go(parent)


def plan_folds(data: SequenceSet, config: TrainConfig, asked: CrossValidation, output: Path) -> Work:
    """The folds of every repeat: by group where there are groups, by similarity where there are relatives.

    Raises InputError where a fold would be empty, or leave a class without a sequence to learn from.
    """
    if config.leave_out:
        asked_for = option("leave_out", True)
        raise UsageError(f"{asked_for}: folds test on every sequence; hold out one part by {option('folds', 0)}")
    data, by = replace(data, split=None), config.by
    first = None
    related: dict[str, Any] = {"similarity": config.similarity, "identity": config.identity}
    if by == "homology" or (by is None and data.group is None):
        first = into_folds(data, asked.folds, by="homology", **related, seed=config.seed)
        if by == "homology" or len(np.unique(first.group)) < len(np.unique(_molecules(data))):
            by = "homology"
    repeats = [config.seed + repeat for repeat in range(asked.repeats)]
    if first is None or by != "homology":
        how: dict[str, Any] = {"by": by}
        splits = tuple(into_folds(data, asked.folds, **how, seed=seed) for seed in repeats)
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
