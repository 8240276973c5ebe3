"""The search, as a function of the results so far: which trainings are due, and in the end what is chosen.

Candidates come in generations: first the default training, the baselines and single changes of the default, then
children of the best. A generation meets one fold; the better half of it meets all; the best of all generations meet
the folds of a second partition. Whoever asks gets the same answer for the same results, so that any number of processes
may search together, be killed, and go on, and the outcome does not depend on how many they were.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.records import to_plain
from seqreg.targets import EVERY_METRIC
from seqreg.tuning.space import Point, Space, setting_texts

# How a search spends its trainings is a choice, none of it measured. One fold that all meet and a better half that goes
# on are a round of successive halving (Jamieson and Talwalkar, 2016); generations are small, so that the next learns.
SCREENED = 1  # folds that every candidate meets
CHILDREN = 6  # candidates of a later generation
PARENTS = 4
FINALISTS = 4
ATTEMPTS = 50  # no mutant: enough draws to find a child that was not tried yet

Record = Mapping[str, Any]
Lookup = Callable[[str], Record | None]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One thing that may be chosen. words: what distinguishes it. point: where in the space, None for a baseline.

    setting: fields of a `TrainConfig`, or the name of a baseline.
    """

    number: int
    generation: int
    words: str
    point: Point | None
    setting: Mapping[str, Any]

    @property
    def baseline(self) -> str | None:
        """The name of the baseline that it is."""
        return self.setting.get("baseline")

    @cached_property
    def digest(self) -> str:
        """A name made of all that decides its results."""
        text = json.dumps(to_plain(setting_texts(self.setting)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def key(self, fold: int) -> str:
        """The name of its training without one fold."""
        return f"{self.digest}-{fold}"


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The results of candidates as arrays over all `folds`. metric: what decides, tie_breaker: between equals."""

    record: Lookup
    folds: int
    metric: str
    tie_breaker: str

    def of(self, candidate: Candidate, name: str | None = None) -> NDArray[np.float64]:
        """(folds,) of one candidate, of the deciding metric if no other is named; NaN where there is none."""
        name = name or self.metric
        records = [self.record(candidate.key(fold)) for fold in range(self.folds)]
        values = [None if each is None else each[name] for each in records]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def error(self, candidate: Candidate) -> str | None:
        """Why one of its trainings ended without a model."""
        records = [self.record(candidate.key(fold)) for fold in range(self.folds)]
        return next((each["error"] for each in records if each is not None and each["error"]), None)

    def complete(self, candidate: Candidate, folds: Sequence[int]) -> bool:
        """Whether it has been trained without each of these folds, and never failed."""
        return not self.error(candidate) and all(self.record(candidate.key(fold)) is not None for fold in folds)

    def rank(self, candidate: Candidate, folds: Sequence[int]) -> tuple[float, float, int]:
        """The smaller the better: by the means over these folds of metric and tie-breaker, then who came first."""
        first, second = (
            mean(self.of(candidate, name)[list(folds)]) * (1 if EVERY_METRIC[name].less_is_better else -1)
            for name in (self.metric, self.tie_breaker)
        )
        return (first if np.isfinite(first) else 0.0, second if np.isfinite(second) else 0.0, candidate.number)


@dataclass(frozen=True, kw_only=True)
class State:
    """candidates: those there have been. due: keys, candidates and folds of the trainings to do now.

    finalists: those among which the best is, once exploring is over. The search is over when nothing is due.
    """

    candidates: tuple[Candidate, ...]
    due: tuple[tuple[str, Candidate, int], ...]
    finalists: tuple[Candidate, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Search:
    """What decides a search. trials: candidates at most, None for no end. baselines: names of those that take part.

    folds: of the first partition; more: those of the second, for the finalists. metric: what decides, tie_breaker:
    between equals.
    """

    space: Space
    trials: int | None
    baselines: tuple[str, ...]
    folds: int
    more: int
    seed: int
    metric: str
    tie_breaker: str = "log_loss"

    def scores(self, record: Lookup) -> Scores:
        """The results as arrays over the folds of both partitions."""
        return Scores(record=record, folds=self.folds + self.more, metric=self.metric, tie_breaker=self.tie_breaker)

    def state(self, record: Lookup, *, exploring: bool = True) -> State:
        """Where the search stands. Not `exploring`: on to the final with the candidates that have come far enough."""
        scores = self.scores(record)
        candidates: list[Candidate] = []
        for generation in itertools.count():
            new = self._generation(generation, candidates, scores)
            candidates += new
            due = self._missing(new, self.screened, scores)
            due = due or self._missing(self._better_half(new, scores), range(self.folds), scores)
            if due and exploring:
                return State(candidates=tuple(candidates), due=due)
            if due or not new:
                break
        finalists = self._finalists(candidates, scores)
        due = self._missing(finalists, range(self.folds, self.folds + self.more), scores)
        return State(candidates=tuple(candidates), due=due, finalists=tuple(finalists))

    @property
    def screened(self) -> range:
        """The folds that every candidate meets."""
        return range(min(SCREENED, self.folds))

    def _generation(self, generation: int, earlier: Sequence[Candidate], scores: Scores) -> list[Candidate]:
        """The candidates of a generation; none after the last."""
        room = None if self.trials is None else self.trials - len(earlier)
        points = self._children(generation, earlier, scores) if generation else self.space.first_points()
        found: list[tuple[str, Point | None, Mapping[str, Any]]] = [
            (self.space.words(point), point, self.space.setting(point)) for point in points
        ]
        if generation == 0:
            found[1:1] = [(name, None, {"baseline": name}) for name in self.baselines]
        return [
            Candidate(number=len(earlier) + i, generation=generation, words=words, point=point, setting=setting)
            for i, (words, point, setting) in enumerate(found[:room])
        ]

    def _children(self, generation: int, earlier: Sequence[Candidate], scores: Scores) -> list[Point]:
        """Steps up and down from the best, then children of the best few; nothing twice."""
        tried = {each.point for each in earlier}
        parents = [each.point for each in self._ranked(earlier, scores) if each.point is not None][:PARENTS]
        if not parents or not self.space.dimensions:
            return []
        found = [point for point in self.space.neighbours(parents[0]) if point not in tried][: CHILDREN // 3]
        generator = np.random.default_rng([self.seed, generation])
        for _ in range(ATTEMPTS):
            child = self.space.child(parents, generator)
            if child not in tried and child not in found:
                found.append(child)
            if len(found) == CHILDREN:
                break
        return found

    def _better_half(self, new: Sequence[Candidate], scores: Scores) -> list[Candidate]:
        """The networks that stay after screening; the default and the baselines always do, to be compared with."""
        always = [each for each in new if each.number == 0 or each.baseline]
        others = [each for each in new if each not in always and scores.complete(each, self.screened)]
        others.sort(key=lambda each: scores.rank(each, self.screened))
        return [*always, *others[: (len(others) + 1) // 2]]

    def _ranked(self, candidates: Sequence[Candidate], scores: Scores) -> list[Candidate]:
        """Those that have met the whole first partition, the best first."""
        folds = range(self.folds)
        complete = [each for each in candidates if scores.complete(each, folds)]
        return sorted(complete, key=lambda each: scores.rank(each, folds))

    def _finalists(self, candidates: Sequence[Candidate], scores: Scores) -> list[Candidate]:
        """The best networks, the default, and the best baseline."""
        ranked = self._ranked(candidates, scores)
        networks = [each for each in ranked if each.point is not None]
        default = [each for each in networks[FINALISTS:] if each.number == 0]
        return [*networks[:FINALISTS], *default, *[each for each in ranked if each.baseline][:1]]

    @staticmethod
    def _missing(
        candidates: Sequence[Candidate], folds: Sequence[int], scores: Scores
    ) -> tuple[tuple[str, Candidate, int], ...]:
        """What these candidates have not met of these folds; one that failed needs no more."""
        return tuple(
            (each.key(fold), each, fold)
            for each in candidates
            if not scores.error(each)
            for fold in folds
            if scores.record(each.key(fold)) is None
        )


def mean(values: NDArray[np.float64]) -> float:
    """The mean of the values there are, NaN for none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def standard_error(values: NDArray[np.float64]) -> float:
    """The standard error of the mean of the values there are, NaN for fewer than two."""
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")
