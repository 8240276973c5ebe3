"""No leak: what is scored, or selected on, was not learned from, and nor was any of its relatives.

Two laws over every route that reports or selects. Spies on all that fits and on all that scores see no sequence on both
sides, nor two of one family. And labels drawn at random can be told no better than by chance, though members of a
family are all but the same, have the same label, and the networks learn their training part by heart.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, cross_val_predict
from torch import nn

import seqreg.baselines.models
import seqreg.baselines.tuning
import seqreg.predictors.network
import seqreg.training.calibration
import seqreg.training.heads
import seqreg.training.learning
import seqreg.training.loop
import seqreg.training.part_loops
import seqreg.training.stacking
from seqreg import KmerClassifier, SequenceClassifier
from seqreg.alphabet import PROTEIN
from seqreg.baselines import FittedBaseline, fit_baselines
from seqreg.benchmark.cells import cells_of
from seqreg.benchmark.compute import Bench, compute
from seqreg.benchmark.folder import SuiteFolder
from seqreg.benchmark.suite import Method, Suite
from seqreg.benchmark.tasks import Task
from seqreg.metrics import auroc
from seqreg.sequences import SequenceSet, folds, homology_groups
from seqreg.sequences.splits import with_split
from seqreg.targets import Classes, Target
from seqreg.training import TrainConfig, train, train_baseline
from seqreg.training.parts import split_parts
from seqreg.tuning import Halving, prepare_trials, tune

Names = frozenset[str]
SEQUENCES = 3  # of a family


def families(count: int, seed: int = 0) -> SequenceSet:
    """Families of proteins that differ in a letter; each has a label of its own, drawn at random. No groups are given.

    Weights are all different: by those of its rows a linear fit is known.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 2)
    order = rng.permutation(count * SEQUENCES)
    texts: list[NDArray[np.uint8]] = []
    for number in range(count * SEQUENCES):
        if number % SEQUENCES == 0:
            ancestor = rng.integers(PROTEIN.size, size=int(rng.integers(21, 25))).astype(np.uint8)
        member = ancestor.copy()
        if number % SEQUENCES:
            place = rng.integers(len(member))
            member[place] = (member[place] + rng.integers(1, PROTEIN.size)) % PROTEIN.size
        texts.append(member)
    whole = SequenceSet(
        alphabet=PROTEIN,
        names=[f"family{number // SEQUENCES}.{number % SEQUENCES}" for number in range(len(texts))],
        codes=np.concatenate(texts),
        offsets=np.cumsum([0, *map(len, texts)]).astype(np.int64),
        target=Classes(names=("no", "yes"), asked_for="yes"),
        y=np.repeat(labels, SEQUENCES),
        weight=rng.uniform(0.9, 1.1, len(texts)),
        source="families",
    )
    return whole.subset(order)


def family(name: str) -> str:
    return name.partition(".")[0]


def given_groups(data: SequenceSet) -> SequenceSet:
    return replace(data, group=np.array([family(name) for name in data.names]))


def test_families_are_what_homology_finds() -> None:
    data = families(24)
    groups, _ = homology_groups(data)
    assert len({*zip(groups.tolist(), map(family, data.names), strict=True)}) == len(set(groups.tolist())) == 24


# -------------------------------------------------------------------------------------------------------- the spies


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something scored by what was learned from other sequences."""

    what: str
    learned: Names
    scored: Names


@dataclass(kw_only=True)
class Spies:
    """All that was learned from by networks, by their weights, by linear fits, by their numbers, and by baselines."""

    data: SequenceSet
    networks: dict[int, Names] = field(default_factory=dict)
    fits: list[Names] = field(default_factory=list)
    baselines: dict[int, tuple[FittedBaseline, Names]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def names(self, sequences: SequenceSet) -> list[str]:
        """The names that these sequences have in `data`, whatever an estimator called them."""
        known = {self.data.sequence(i): name for i, name in enumerate(self.data.names)}
        return [known[sequences.sequence(i)] for i in range(len(sequences))]

    def name(self, sequences: SequenceSet) -> Names:
        return frozenset(self.names(sequences))

    def weighed(self, weight: Any) -> list[str]:
        """The names of rows by their weights, whatever factor these carry."""
        assert weight is not None, "a fit without the weights of its sequences"
        assert self.data.weight is not None
        for first in self.data.weight:
            distance = np.abs(weight[:, None] / weight[0] * first - self.data.weight)
            if (distance.min(1) < 1e-12).all():
                return [self.data.names[i] for i in distance.argmin(1)]
        raise AssertionError("rows of sequences that are not in the data")

    def see(self, what: str, learned: Names, scored: Names) -> None:
        self.events.append(Event(what=what, learned=learned, scored=scored))

    def kinds(self) -> set[str]:
        return {event.what for event in self.events}


def mark(module: nn.Module) -> int:
    return hash(tuple(value.detach().cpu().numpy().tobytes() for value in module.state_dict().values()))


@pytest.fixture
def spies(monkeypatch: pytest.MonkeyPatch) -> Spies:
    """Put before all that fits or scores. Linear fits are replaced: their scores are their number."""
    spies = Spies(data=families(24))

    def learning(what: str, fit: Callable[..., Any]) -> Callable[..., Any]:
        def spied(model: nn.Module, config: TrainConfig, kept: SequenceSet, valid: Any, **more: Any) -> Any:
            history = fit(model, config, kept, valid, **more)
            spies.networks[mark(model)] = spies.name(kept)
            if valid is not None:
                spies.see(what, spies.name(kept), spies.name(valid))
            return history

        return spied

    for module, what in (
        (seqreg.training.loop, "early stopping"),
        (seqreg.training.learning, "validation"),
        (seqreg.training.calibration, "validation of calibration"),
    ):
        monkeypatch.setattr(module, "fit", learning(what, module.fit))

    def scoring(what: str, logits_of: Callable[..., Any]) -> Callable[..., Any]:
        def spied(module: nn.Module, data: SequenceSet, *more: Any) -> Any:
            spies.see(what, spies.networks[mark(module)], spies.name(data))
            return logits_of(module, data, *more)

        return spied

    for module, what in ((seqreg.predictors.network, "network"), (seqreg.training.part_loops, "stacked network")):
        monkeypatch.setattr(module, "logits_of", scoring(what, module.logits_of))

    def numbered(rows: Any, y: Any, c: float, weight: Any, seed: int, *start: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        spies.fits.append(frozenset(spies.weighed(weight)))
        return np.zeros((1, rows.shape[1])), np.array([len(spies.fits) - 1.0])

    for task in seqreg.training.heads.FITS:
        monkeypatch.setitem(seqreg.training.heads.FITS, task, numbered)
    monkeypatch.setattr(seqreg.baselines.models, "fit_logistic", numbered)
    monkeypatch.setattr(seqreg.baselines.models, "fit_svm", numbered)

    def scored_by(what: str, number: NDArray[Any], names: list[str]) -> None:
        assert number.shape == (len(names), 1)
        for each in np.unique(number[~np.isnan(number)]):
            chosen = np.flatnonzero(number[:, 0] == each)
            spies.see(what, spies.fits[int(each)], frozenset(names[i] for i in chosen))

    fit_head = seqreg.training.stacking.fit_head
    search = seqreg.baselines.models.tune
    tuned = seqreg.baselines.models.tuned
    scores = FittedBaseline.outputs

    def spied_head(part: Any, config: TrainConfig, kept: SequenceSet, held_out: Any, *more: Any) -> Any:
        found = fit_head(part, config, kept, held_out, *more)
        scored_by("stacked head", found, spies.names(held_out.data.subset(held_out.rows)))
        return found

    def spied_search(*arguments: Any, **more: Any) -> Any:
        trials = search(*arguments, **more)
        for trial in trials:
            scored_by("search of a baseline", trial.held_out, spies.weighed(trial.weight))
        return trials

    def spied_baseline(name: str, candidates: Any, strengths: Any, fit: Any, kept: SequenceSet, *more: Any) -> Any:
        fitted = tuned(name, candidates, strengths, fit, kept, *more)
        spies.baselines[id(fitted)] = fitted, spies.name(kept)
        return fitted

    def spied_scores(self: FittedBaseline, sequences: SequenceSet) -> Any:
        if self.name != "majority":
            spies.see("baseline", spies.baselines[id(self)][1], spies.name(sequences))
        return scores(self, sequences)

    monkeypatch.setattr(seqreg.training.stacking, "fit_head", spied_head)
    monkeypatch.setattr(seqreg.baselines.models, "tune", spied_search)
    monkeypatch.setattr(seqreg.baselines.models, "tuned", spied_baseline)
    monkeypatch.setattr(FittedBaseline, "outputs", spied_scores)
    return spies


# ------------------------------------------------------------------------------------------------ nothing on both sides

CNN = TrainConfig(
    model="cnn:filters=2,width=4", epochs=2, lr=0.01, threads=1, device="cpu", test=0.25, valid=0.25, penalty=(),
    baselines=False,
)  # fmt: skip
SUM = replace(CNN, model="sum:spectrum=1,filters=2,width=4", epochs=1)


@pytest.fixture(autouse=True)
def few_are_enough_to_hold_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMALLEST_VALIDATION", "SMALLEST_VALIDATION_OF_SUM"):
        monkeypatch.setattr(f"seqreg.training.config.{name}", 5)


@pytest.fixture(autouse=True)
def few_baselines_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_LOGISTIC_STRENGTHS", "_SVM_STRENGTHS"):
        monkeypatch.setattr(seqreg.baselines.models, name, (0.1, 1.0, 10.0, 100.0))
    monkeypatch.setattr(seqreg.baselines.models, "_PROTEIN_LENGTHS", ((1, 1), (2, 2)))


ROUTES: dict[str, tuple[Callable[[SequenceSet, TrainConfig, Path], Any], TrainConfig, set[str]]] = {
    "network": (train, CNN, {"network", "early stopping", "validation", "validation of calibration"}),
    "network without validation": (train, replace(CNN, valid=0.0), {"network"}),
    "sum": (train, SUM, {"network", "early stopping", "stacked head", "stacked network", "validation"}),
    "sum without validation, and baselines": (
        train,
        replace(SUM, valid=0.0, baselines=True),
        {"network", "stacked head", "stacked network", "search of a baseline", "baseline"},
    ),
    "sum of several": (
        train,
        replace(SUM, model="sum:spectrum=1,filters=2,width=4,networks=2", valid=0.0),
        {"network", "stacked head", "stacked network"},
    ),
    "tune": (
        lambda data, config, output: tune(data, config, output, Halving(trials=4, folds=3, workers=1)),
        replace(CNN, baselines=True),
        {"network", "early stopping", "validation", "search of a baseline", "baseline"},
    ),
    "tune a sum": (
        lambda data, config, output: tune(data, config, output, Halving(trials=2, folds=2, workers=1)),
        replace(SUM, valid=0.0),
        {"network", "stacked head", "stacked network"},
    ),
    "baseline": (train_baseline, CNN, {"search of a baseline", "baseline"}),
}


def check(spies: Spies, *, relatives: bool, test: Names = frozenset(), trained: tuple[Names, ...] = ()) -> None:
    """The law. test: what only a network or baseline may score that learned from one of `trained`."""
    for event in spies.events:
        assert not event.learned & event.scored, event.what
        if event.scored & test:
            assert event.what in ("network", "baseline")
            assert event.scored == test
            assert event.learned in trained, "only what is trained in the end is tested"
        elif relatives:
            assert not {*map(family, event.learned)} & {*map(family, event.scored)}, event.what


@pytest.mark.parametrize("by", ["stratified", "group", "homology"])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_scored_by_what_has_seen_it_or_its_relatives(
    spies: Spies, tmp_path: Path, route: str, by: Any
) -> None:
    run, config, expected = ROUTES[route]
    data = given_groups(spies.data) if by == "group" else spies.data
    config = replace(config, by=by)
    parts = split_parts(data, config)
    assert parts.test is not None
    test, rest = frozenset(parts.test.names), frozenset(parts.train_and_valid.names)
    if by != "stratified":
        assert not {*map(family, test)} & {*map(family, rest)}
    run(data, config, tmp_path / "run")
    assert spies.kinds() >= expected
    check(spies, relatives=by != "stratified", test=test, trained=(rest, frozenset(parts.train.names)))
    seen = frozenset().union(*(event.scored for event in spies.events))
    assert test < seen
    if config.valid == 0 or "tune" in route or route == "baseline":
        assert rest <= seen, "each was held out once"


def cell(monkeypatch: pytest.MonkeyPatch, path: Path, learner: str, task: Task, by: str) -> dict[str, Any]:
    """The record of a cell that learns this task, with two settings to choose from."""
    monkeypatch.setattr("seqreg.benchmark.compute.task_of", lambda *_, **__: task)
    field, values = ("weight_decay", (0.0, 0.1)) if learner == "network" else ("k", (1, 2))
    fixed = {"model": "sum:spectrum=1,filters=2,width=4", "epochs": 1, "valid": 0.0} if learner == "network" else {}
    method = Method(name="one", learner=learner, set=fixed, grid={field: values})
    suite = Suite(
        name="s", title="s", protocol="small-data", data=("amp",), sizes=(9,), methods=(method,), reference="one", by=by
    )
    cells = cells_of(suite)
    bench = Bench(suite=suite, folder=SuiteFolder(path=path), cells={each.key: each for each in cells})
    return compute(bench, cells[0])


@pytest.mark.parametrize("by", ["group", "homology"])
@pytest.mark.parametrize("learner", ["network", "kmer-logistic"])
def test_no_cell_of_a_benchmark_chooses_by_relatives(
    spies: Spies, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, learner: str, by: Any
) -> None:
    data = given_groups(spies.data) if by == "group" else spies.data
    parts = split_parts(data, TrainConfig(by=by, test=0.25, valid=0.0))
    assert parts.test is not None
    pool = replace(parts.train_and_valid, group=None) if by == "homology" else parts.train_and_valid
    cell(monkeypatch, tmp_path, learner, Task(train=pool, test=parts.test), by)
    assert spies.kinds() >= (
        {"network", "stacked head"} if learner == "network" else {"baseline", "search of a baseline"}
    )
    check(spies, relatives=True, test=spies.name(parts.test), trained=(spies.name(pool),))


@pytest.mark.parametrize("estimator", ["network", "sum", "tuned", "baseline"])
def test_groups_given_to_an_estimator_stay_on_one_side(spies: Spies, estimator: str) -> None:
    usual: dict[str, Any] = {"epochs": 1, "random_state": 0, "valid": 0.25, "alphabet": "protein"}
    clf: Any = {
        "network": lambda: SequenceClassifier("cnn:filters=2,width=4", **usual),
        "sum": lambda: SequenceClassifier("sum:spectrum=1,filters=2,width=4", **{**usual, "valid": 0}),
        "tuned": lambda: SequenceClassifier("cnn:filters=2,width=4", tune="halving:trials=2,folds=2", **usual),
        "baseline": lambda: KmerClassifier(alphabet="protein", random_state=0),
    }[estimator]()
    texts = [spies.data.sequence(i) for i in range(len(spies.data))]
    groups = [family(name) for name in spies.data.names]
    clf.fit(texts, spies.data.y, sample_weight=spies.data.weight, groups=groups)
    assert spies.events
    check(spies, relatives=True)


def test_folds_that_were_split_by_homology_keep_relatives_apart_within_them(spies: Spies, tmp_path: Path) -> None:
    split = folds(spies.data, 3, by="homology")
    for fold in (1, 2, 3):
        spies.events.clear()
        parted = with_split(spies.data, split, fold)
        train(parted, replace(SUM, valid=0.0, baselines=True), tmp_path / f"{fold}")
        assert parted.split is not None
        test = frozenset(np.array(parted.names)[parted.split == "test"])
        assert {*map(family, test)}.isdisjoint(map(family, set(parted.names) - test))
        check(spies, relatives=True, test=test, trained=(frozenset(parted.names) - test,))


# -------------------------------------------------------------------------------------------------- labels at random

BY_HEART = replace(CNN, model="cnn:filters=16,width=6", epochs=8, lr=0.05, valid=0.0, by="homology", seed=1)


@pytest.fixture
def random_labels() -> SequenceSet:
    return families(60, seed=2)


def by_chance(values: Any, count: int) -> None:
    """Each is 0.5, as far as `count` families tell: within three standard errors of the area under a ROC curve.

    sqrt((a + b + 1) / (12 a b)) for a positive and b negative families, half of them each (Hanley and McNeil, 1982).
    """
    values = np.atleast_1d(values).astype(np.float64)
    assert values.size
    assert (np.abs(values - 0.5) < 3 * np.sqrt((count + 1) / (3 * count**2))).all(), values


@pytest.mark.parametrize("model", ["cnn:filters=16,width=6", "sum:spectrum=2,filters=16,width=6"])
def test_a_run_tells_random_labels_by_chance(
    random_labels: SequenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Tested networks and baselines, what the parts of a sum are weighed by, and what a temperature is fitted to."""
    held_out: list[float] = []
    fit_parts, fit_temperature = seqreg.training.stacking.fit_parts, seqreg.training.calibration.fit_temperature

    def parts(*arguments: Any, **more: Any) -> Any:
        found = fit_parts(*arguments, **more)
        held_out.extend(auroc(found.y, scores[:, 0]) for scores in found.scores)
        return found

    def temperature(target: Target, y: Any, logits: NDArray[Any], *more: Any) -> float:
        held_out.append(auroc(y, logits[:, 0]))
        return fit_temperature(target, y, logits, *more)

    monkeypatch.setattr(seqreg.training.stacking, "fit_parts", parts)
    monkeypatch.setattr(seqreg.training.calibration, "fit_temperature", temperature)
    config = replace(BY_HEART, model=model, test=0.4, baselines="cnn" in model)
    kept = split_parts(random_labels, config).train
    run = train(random_labels, config, tmp_path / "run")
    logits = run.network.outputs(kept)[:, 0]
    if "sum" in model:
        assert np.ptp(logits) < 0.1, "a sum of parts that tell nothing says next to nothing"
    else:
        assert auroc(kept.y, logits) > 0.99
    assert len(held_out) == (3 if "sum" in model else 1)
    by_chance(held_out, 36)
    assert run.metrics is not None
    by_chance([each.values["auroc"] for each in (run.metrics, *run.baselines.values())], 24)


def test_baselines_and_tuning_tell_random_labels_by_chance(random_labels: SequenceSet, tmp_path: Path) -> None:
    """All that was tried, not the best of it: that is the best of many draws."""
    for each in fit_baselines(given_groups(random_labels)).values():
        by_chance([trial["cv_auroc"] for trial in each.trials] or each.cv_auroc, 60)
        assert each.cv_auroc == max((trial["cv_auroc"] for trial in each.trials), default=0.5)
    config = replace(BY_HEART, baselines=True)
    trials = prepare_trials(split_parts(random_labels, config), config, Halving(trials=4, folds=3), tmp_path)
    trials.results.create()
    trials.run()
    records = [trials.results.record(key) or {} for key in sorted(trials.results.keys())]
    of_what = {record["what"] for record in records}
    assert {"default", "kmer-logistic", "kmer-svm"} < of_what
    for what in of_what:
        by_chance(np.mean([record["auroc"] for record in records if record["what"] == what]), 45)


@pytest.mark.parametrize("learner", ["network", "kmer-svm"])
def test_cells_of_a_benchmark_tell_random_labels_by_chance(
    random_labels: SequenceSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, learner: str
) -> None:
    parts = split_parts(random_labels, replace(BY_HEART, test=0.4))
    assert parts.test is not None
    pool = replace(parts.train_and_valid, group=None)
    record = cell(monkeypatch, tmp_path, learner, Task(train=pool, test=parts.test), by="homology")
    by_chance([*(trial["score"] for trial in record["trials"]), record["cv_score"]], 36)
    by_chance(record["metrics"]["auroc"], 24)


def test_estimators_tell_random_labels_by_chance(random_labels: SequenceSet) -> None:
    """By scikit-learn's own cross-validation, and by their own, of families as groups."""
    texts = [random_labels.sequence(i) for i in range(len(random_labels))]
    groups = [family(name) for name in random_labels.names]
    how: dict[str, Any] = {"alphabet": "protein", "random_state": 0}
    network = SequenceClassifier(BY_HEART.model, epochs=8, lr=0.05, valid=0, penalty=[], calibration="none", **how)
    for clf in (network, KmerClassifier(baseline="kmer-logistic:k=2", **how)):
        with sklearn.config_context(enable_metadata_routing=True):
            p = cross_val_predict(
                clf.set_fit_request(groups=True), texts, random_labels.y, cv=GroupKFold(3),
                params={"groups": groups}, method="predict_proba",
            )  # fmt: skip
        by_chance(auroc(random_labels.y, p[:, 1]), 60)
    network.set_params(tune="halving:trials=2,folds=2").fit(texts, random_labels.y, groups=groups)
    by_chance([float(row[3]) for row in network.tuning_.rows], 60)
