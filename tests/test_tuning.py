"""Tuning: a search that depends on nothing but its results, sees no test sequence, and survives being killed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from seqreg import SequenceClassifier
from seqreg.alphabet import DNA, PROTEIN
from seqreg.errors import DivergedError, InputError, SeqregError, UsageError
from seqreg.penalties import Gradient
from seqreg.predictors import load_trained
from seqreg.records import read_json, read_tsv
from seqreg.sequences import SequenceSet, write_fasta
from seqreg.training import TrainConfig, with_defaults
from seqreg.training.parts import split_parts
from seqreg.training.together import acts_on_sum
from seqreg.tuning import Halving, prepare_trials
from seqreg.tuning.choice import choose
from seqreg.tuning.search import Candidate, Search, State
from seqreg.tuning.space import USUAL, space_of
from seqreg.tuning.trials import Trials
from seqreg.workers import Results
from tests.conftest import planted

Call = Callable[..., CompletedProcess[str]]
SMALL = TrainConfig(model="cnn:filters=4,width=5", epochs=2, threads=1, device="cpu")
QUICK = ["--model", "cnn:filters=4,width=5", "--epochs", "2", "--folds", "2", "--device", "cpu", "--threads", "1"]


def search_over(data: SequenceSet, config: TrainConfig = SMALL, **changes: Any) -> Search:
    """A search on the data with two baselines and three folds, twice."""
    space = space_of(config, with_defaults(config, data, None), data, held_out=False)
    usual: dict[str, Any] = {"trials": 30, "folds": 3, "more": 3, "seed": 0, "metric": "auroc"}
    return Search(space=space, **{"baselines": ("kmer-logistic", "kmer-svm"), **usual, **changes})


def result(auroc: float | None, loss: float = 0.5, error: str | None = None) -> dict[str, Any]:
    return {"auroc": auroc, "log_loss": loss, "error": error, "seconds": 1.0}


def searched_to_the_end(
    search: Search, judge: Callable[[Candidate, int], Mapping[str, Any]], take: Callable[[int], int] = lambda n: 0
) -> tuple[State, dict[str, Any]]:
    """The end of a search whose trainings `judge` makes up; `take` says which of n due ones is done next."""
    records: dict[str, Any] = {}
    while (state := search.state(records.get)).due:
        key, candidate, fold = state.due[take(len(state.due))]
        assert key not in records
        records[key] = judge(candidate, fold)
    return state, records


def made_up(candidate: Candidate, fold: int) -> dict[str, Any]:
    """Best at a gradient penalty of 0.1 and weight decay 1, the more so the nearer; folds differ in difficulty."""
    chance = np.random.default_rng([candidate.number, fold]).normal(0, 0.002)
    if candidate.baseline:
        return result(0.6 + 0.05 * fold + chance)
    gradient = [each.weight for each in candidate.setting["penalty"][:1] if isinstance(each, Gradient)]
    near = -abs(np.log10(gradient[0] / 0.1)) if gradient else -3.0
    near -= 0.5 * abs(np.log10(candidate.setting["weight_decay"]))
    return result(0.8 + 0.03 * near + 0.05 * fold + chance)


# ------------------------------------------------------------------------------------------------------- the space


def test_the_first_point_is_the_default_training_and_the_rest_are_trainings(protein: SequenceSet) -> None:
    asked = TrainConfig()
    default = with_defaults(asked, protein, None)
    space = space_of(asked, default, protein, held_out=True)
    again = with_defaults(replace(asked, **space.setting(space.start)), protein, None)
    assert again == default
    generator = np.random.default_rng(0)
    points = space.first_points()
    assert points[0] == space.start
    assert with_defaults(replace(asked, **space.setting(points[1])), protein, None).penalty == ()
    for _ in range(100):
        points.append(space.child(points, generator))
        with_defaults(replace(asked, **space.setting(points[-1])), protein, None)
    kinds = [
        {space.setting(point)[home] for point in points} for home in ("penalty", "constraint", "model", "encoding")
    ]
    assert all(len(kind) > 1 for kind in kinds)
    assert any(len(penalty) > 1 for penalty in kinds[0]), "penalties are combined"
    words = {word for point in points for word in space.words(point).split(", ")}
    assert {"width 4", "pooling none", "no penalty", "no positions"} <= words


def test_the_first_changes_are_each_of_one_kind_and_a_stronger_one_is_two_steps_further(protein: SequenceSet) -> None:
    asked = TrainConfig()
    space = space_of(asked, with_defaults(asked, protein, None), protein, held_out=True)
    changed = {
        each.name: point[k]
        for point in space.first_points()[2:]
        for k, each in enumerate(space.dimensions)
        if point[k] != space.unpenalized(space.start)[k] and each.name != USUAL
    }
    assert len(changed) > 8
    for each, usual in zip(space.dimensions, space.start, strict=True):
        if each.name == "gradient":
            assert (usual, changed[each.name]) == (0, len(each.values) // 2)
        if each.name == "spectral-norm":
            assert each.values[changed[each.name]] == 4
    penalized = TrainConfig(model="cnn:filters=4,width=5")  # whose default is a gradient penalty of .01
    space = space_of(penalized, with_defaults(penalized, protein, None), protein, held_out=True)
    place = [each.name for each in space.dimensions].index("gradient")
    weights = {space.dimensions[place].values[point[place]] for point in space.first_points()}
    assert weights == {0.01, None, 0.1}


def test_what_was_asked_for_is_not_in_question(dna: SequenceSet) -> None:
    asked = TrainConfig(model="cnn:filters=4,width=5", penalty=("hamming:weight=0.3",), weight_decay=0.5, lr=0.1)
    space = space_of(asked, with_defaults(asked, dna, None), dna, held_out=False)
    assert {each.name for each in space.dimensions} == {"spectral-norm", "noise", "similar", "both strands"}
    for point in space.first_points():
        config = replace(asked, **space.setting(point))
        assert (config.model, config.penalty, config.weight_decay, config.lr) == (
            *(asked.model, asked.penalty, asked.weight_decay, asked.lr),
        )


def test_strengths_are_searched_for_the_whole_of_the_default_network(dna: SequenceSet) -> None:
    asked = TrainConfig()
    default = with_defaults(asked, dna, None)
    space = space_of(asked, default, dna, held_out=False)
    for name in ("gradient", "hamming", "weight-decay", "adversarial"):
        (dimension,) = (each for each in space.dimensions if each.name == name)
        for index in range(1, len(dimension.values)):
            config = with_defaults(replace(asked, **space.setting(space.change(space.start, {name: index}))), dna, None)
            assert len(config.penalty or ()) == 1
            assert config.model is not None
            assert acts_on_sum(config.model.build(DNA, outputs=1, length=34), config)
    assert not acts_on_sum(default.model.build(DNA, outputs=1, length=34), default)


# ------------------------------------------------------------------------------------------------------ the search


def test_the_outcome_does_not_depend_on_who_does_what_when(dna: SequenceSet) -> None:
    search, generator = search_over(dna), np.random.default_rng(0)
    orders: list[Callable[[int], int]] = [lambda n: 0, lambda n: n - 1, lambda n: int(generator.integers(n))]
    ends = [searched_to_the_end(search, made_up, order) for order in orders]
    states, records = zip(*ends, strict=True)
    assert states[0] == states[1] == states[2]
    assert records[0] == records[1] == records[2]


def test_halving_keeps_within_the_trials_and_finds_the_peak(dna: SequenceSet) -> None:
    search = search_over(dna, trials=40)
    state, records = searched_to_the_end(search, made_up)
    assert len(state.candidates) == 40
    points = [each.point for each in state.candidates if each.point is not None]
    assert len(set(points)) == len(points), "nothing is tried twice"
    met = [sum(each.key(fold) in records for fold in range(6)) for each in state.candidates]
    assert met[0] == 6, "the default is measured like the best"
    assert set(met) == {1, 3, 6}
    assert met.count(1) >= 15
    choice = choose(search, state, search.scores(records.get))
    assert choice.best.setting["weight_decay"] == 1.0
    assert choice.best.setting["penalty"][0] in (Gradient(weight=0.1), Gradient(weight=0.3))
    baseline = next(each for each in state.finalists if each.baseline)
    assert any(baseline.words in sentence for sentence in choice.why)


def test_failures_are_left_behind_unless_all_fail(dna: SequenceSet) -> None:
    search = search_over(dna, trials=12)

    def judge(candidate: Candidate, fold: int) -> dict[str, Any]:
        return result(None, error="diverged") if candidate.number % 2 else made_up(candidate, fold)

    state, records = searched_to_the_end(search, judge)
    assert all(each.number % 2 == 0 for each in state.finalists)
    state, records = searched_to_the_end(search, lambda candidate, fold: result(None, error="it diverged"))
    with pytest.raises(SeqregError, match="it diverged"):
        choose(search, state, search.scores(records.get))


def test_time_that_ends_early_leaves_the_best_so_far_or_the_default(dna: SequenceSet) -> None:
    search = search_over(dna, trials=None)
    nothing = search.state({}.get, exploring=False)
    assert choose(search, nothing, search.scores({}.get)).chosen.number == 0
    records: dict[str, Any] = {}
    for _ in range(60):
        key, candidate, fold = search.state(records.get).due[0]
        records[key] = made_up(candidate, fold)
    while (state := search.state(records.get, exploring=False)).due:
        key, candidate, fold = state.due[0]
        assert candidate in state.finalists
        records[key] = made_up(candidate, fold)
    assert choose(search, state, search.scores(records.get)).best in state.finalists


# ------------------------------------------------------------------------------------------------------ the choice


@pytest.mark.parametrize(("worse", "taken"), [((0.02, -0.01, 0.01, -0.01, 0.0, 0.0), True), ((0.02,) * 6, False)])
def test_one_standard_error_towards_more_regularization(
    worse: tuple[float, ...], taken: bool, dna: SequenceSet
) -> None:
    """The law: mean of the differences at most their standard error, whatever the folds have in common."""
    search = search_over(dna, trials=20)
    stronger = search.space.change(search.space.start, {"decoupled weight decay": 4})
    fold_difficulty = np.array([0.0, 0.1, -0.2, 0.05, 0.0, 0.15])

    def judge(candidate: Candidate, fold: int) -> dict[str, Any]:
        base = 0.8 + fold_difficulty[fold]
        if candidate.point == search.space.start:
            return result(base)
        return result(base - worse[fold] if candidate.point == stronger else base - 0.1 - 0.01 * fold)

    state, records = searched_to_the_end(search, judge)
    choice = choose(search, state, search.scores(records.get))
    assert choice.best.number == 0
    assert (choice.chosen.point == stronger) is taken
    assert any("within one standard error" in sentence for sentence in choice.why) is taken
    mean, error = np.mean(worse), np.std(worse, ddof=1) / np.sqrt(6)
    assert bool(mean <= error) is taken


def test_more_regularized_means_weaker_in_nothing_and_otherwise_the_same(protein: SequenceSet) -> None:
    space = space_of(TrainConfig(), with_defaults(TrainConfig(), protein, None), protein, held_out=False)
    start = space.change(space.start, {"gradient": 3})
    more = space.change(start, {"gradient": 5, "spectral-norm": 2})
    assert space.regularized_more(more, start)
    assert not space.regularized_more(start, more)
    assert not space.regularized_more(start, start)
    assert not space.regularized_more(space.change(more, {"decoupled weight decay": 0}), start)
    assert not space.regularized_more(space.change(more, {"filters": 0}), start)
    assert not space.regularized_more(more, space.start), "one penalty for all instead of each its own is another kind"


def test_equal_areas_are_told_apart_by_log_loss(dna: SequenceSet) -> None:
    search = search_over(dna, trials=8, baselines=())

    def judge(candidate: Candidate, fold: int) -> dict[str, Any]:
        return result(1.0 + 0.001 * (fold % 2) * (candidate.number != 4), loss=0.1 if candidate.number == 2 else 0.3)

    state, records = searched_to_the_end(search, judge)
    assert choose(search, state, search.scores(records.get)).best.number == 2


def test_a_baseline_that_wins_is_taken_and_said_so(dna: SequenceSet) -> None:
    search = search_over(dna, trials=10)
    state, records = searched_to_the_end(
        search, lambda each, fold: result(0.9 if each.baseline else 0.8 - 0.001 * fold)
    )
    choice = choose(search, state, search.scores(records.get))
    assert choice.chosen.baseline == "kmer-logistic"
    assert any("linear model" in sentence for sentence in choice.why)


def test_too_few_sequences_are_refused(dna: SequenceSet) -> None:
    few = dna.subset(np.arange(4))
    config = replace(SMALL, test=0.0)
    with pytest.raises(InputError, match="too few"):
        prepare_trials(split_parts(replace(few, group=np.array(["a"] * 4)), config), config, Halving(), Path("unused"))


# ------------------------------------------------------------------------------------------------------ the command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sequences with a motif as a FASTA file in the working directory."""
    write_fasta(tmp_path / "motif.fa", planted(DNA, "TGACGTCA"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(run: str) -> list[dict[str, str]]:
    """trials.tsv without the times."""
    return [{**row, "seconds": ""} for row in read_tsv(Path(run) / "trials.tsv")]


@pytest.mark.usefixtures("forked")
def test_interrupted_and_resumed_by_more_it_ends_as_if_nothing_had_been(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["tune", "motif.fa", *QUICK, "--trials", "5", "--no-baselines"]
    whole = call(*words, "-o", "whole", "--workers", "1")
    assert whole.returncode == 0, whole.stderr
    assert "Chosen: " in whole.stderr
    assert {path.name for path in Path("whole").iterdir()} >= {
        *("config.json", "run.json", "model.json", "model.safetensors", "splits.tsv", "history.tsv", "metrics.json"),
        *("predictions.tsv", "trials.tsv", "tuning.json", "report.html"),
    }
    assert not Path("whole/tuning").exists()

    done: list[str] = []
    attempt = Trials.attempt

    def interrupted(self: Trials, candidate: Candidate, fold: int) -> dict[str, Any]:
        done.append(candidate.key(fold))
        if len(done) == 4:
            raise KeyboardInterrupt
        return attempt(self, candidate, fold)

    monkeypatch.setattr(Trials, "attempt", interrupted)
    assert call(*words, "-o", "cut", "--workers", "1").returncode == 130
    assert {path.stem for path in Path("cut/tuning/cells").glob("*.json")} == set(done[:3])
    assert call(*words, "-o", "cut", "--resume", "--trials", "6").returncode == 2, "another search"
    assert call(*words, "-o", "cut").returncode == 2, "a search in the way"
    assert len(done) == 4
    assert call(*words, "-o", "cut", "--resume", "--workers", "2").returncode == 0
    assert table("cut") == table("whole")
    assert Path("cut/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()

    done.clear()
    again = call(*words, "-o", "cut", "--resume", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["metrics"] == read_json("whole/metrics.json")
    assert done == []
    assert call("train", "motif.fa", *QUICK[:4], "-o", "cut", "--resume").returncode == 2


@pytest.mark.usefixtures("few_strengths")
def test_a_winning_baseline_is_what_the_run_holds(folder: Path, call: Call) -> None:
    rng = np.random.default_rng(0)
    rows = [("".join(rng.choice(list("ACDE"), 30, p=p)), label) for label, p in COMPOSITIONS.items() for _ in range(30)]
    Path("composition.csv").write_text("sequence,label\n" + "".join(f"{s},{label}\n" for s, label in rows))
    words = ["--epochs", "1", "--trials", "3", "--folds", "2", "--workers", "1", "--alphabet", "protein"]
    done = call("tune", "composition.csv", "-o", "run", *words, "--model", "cnn:filters=4,width=5", "--lr", "1e-6")
    assert done.returncode == 0, done.stderr
    assert "linear model is what is in this run" in done.stderr
    assert read_json("run/model.json")["kind"] == "baseline"
    assert [row["status"] for row in table("run")].count("chosen") == 1
    assert "linear model is what is in this run" in Path("run/report.html").read_text()
    assert call("predict", "run", "composition.csv", "-o", "p.tsv").returncode == 0


COMPOSITIONS = {"acid": (0.1, 0.1, 0.4, 0.4), "other": (0.4, 0.4, 0.1, 0.1)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", "0"], "trials must be at least 1"),
        (["--budget", "-1"], "budget must be above 0"),
        (["--folds", "1"], "folds must be at least 2"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--penalty", "gradeint"], "Did you mean 'gradient'"),
        (["--ensemble", "--model", "cnn"], "--ensemble averages the CNNs of a sum"),
    ],
)
def test_options_that_make_no_sense_are_refused(words: list[str], said: str, folder: Path, call: Call) -> None:
    done = call("tune", "motif.fa", "-o", "run", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not Path("run").exists()


def test_an_ensemble_of_what_is_chosen(folder: Path, call: Call) -> None:
    model = "sum:spectrum=2,positions=false,filters=4,width=5"
    words = ["--model", model, "--epochs", "1", "--trials", "2", "--folds", "2", "--workers", "1", "--no-baselines"]
    done = call("tune", "motif.fa", "-o", "run", *words, "--ensemble")
    assert done.returncode == 0, done.stderr
    assert "2 CNNs averaged" in done.stderr
    network = load_trained(Path("run"))
    assert list(network.module.parts) == ["spectrum", "cnn-max#1", "cnn-max#2"]
    assert call("robustness", "run", "motif.fa", "--sample", "5", "--max-substitutions", "1").returncode == 0
    assert "cnn-max#2" in Path("run/history.tsv").read_text()


# ---------------------------------------------------------------------------------------------------- from Python


def test_the_classifier_chooses_what_was_left_open(dna: SequenceSet, tmp_path: Path) -> None:
    texts = [dna.sequence(i) for i in range(len(dna))]
    assert dna.y is not None
    clf = SequenceClassifier(
        "cnn:filters=4,width=5", tune="halving:trials=3,folds=2", epochs=2, random_state=0, penalty=[]
    )
    assert clf.get_params()["tune__trials"] == 3
    clf.fit(texts, dna.y)
    assert clf.tuning_.tried == 3
    assert clf.config_.penalty == ()
    assert clf.tuning_.setting["constraint"] == clf.config_.constraint or clf.config_.constraint
    again = clone(clf).fit(texts, dna.y)
    assert np.array_equal(again.predict_proba(texts), clf.predict_proba(texts))
    clf.save(tmp_path / "run")
    assert SequenceClassifier.load(tmp_path / "run").tune == clf.tune
    for wrong in (True, 2.5, 0, "halving:trails=3", "grid"):
        with pytest.raises(UsageError):
            clone(clf).set_params(tune=wrong).fit(texts, dna.y)


def test_protein_letters_have_an_encoding_to_choose() -> None:
    protein = planted(PROTEIN, "WKHFCC")
    words = [each.name for each in search_over(protein, TrainConfig()).space.dimensions]
    assert "encoding" in words
    assert "both strands" not in words


def test_time_that_is_up_ends_the_search_and_failed_trainings_are_recorded(
    dna: SequenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves by 31 seconds at each training, every third of which diverges."""
    now, trained = [1000.0], []

    def learned(kept: SequenceSet, config: TrainConfig, **_: Any) -> Any:
        now[0] += 31
        trained.append(config)
        if len(trained) % 3 == 0:
            raise DivergedError(f"training {len(trained)} diverged")
        p = np.full(2, 0.5)
        return SimpleNamespace(network=SimpleNamespace(probabilities=lambda data: np.tile(p, (len(data), 1))))

    monkeypatch.setattr("seqreg.tuning.trials.learn", learned)
    fitted = SimpleNamespace(probabilities=lambda data: np.full((len(data), 2), 0.5))
    monkeypatch.setattr("seqreg.tuning.trials.fit_baseline", lambda *_, **__: learned(dna, SMALL) and fitted)
    monkeypatch.setattr("seqreg.tuning.trials.time", SimpleNamespace(time=lambda: now[0], perf_counter=lambda: now[0]))
    trials = prepare_trials(split_parts(dna, SMALL), SMALL, Halving(folds=3), tmp_path)
    trials.results.create()
    order: list[Mapping[str, Any]] = []
    save = Results.save
    monkeypatch.setattr(Results, "save", lambda self, key, record: (order.append(record), save(self, key, record))[1])
    trials.run(budget=20)
    assert 30 <= len(order) == len(trained) <= 39
    assert [each["error"] for each in order] == [
        f"training {i} diverged" if i % 3 == 0 else None for i in range(1, len(order) + 1)
    ]
    assert {each["auroc"] for each in order if not each["error"]} == {0.5}
    assert {each["seconds"] for each in order} == {31}
    # After three quarters of the time nothing new is tried, and none of it comes back with another sitting.
    assert {each["what"] for each in order[30:]} <= {each["what"] for each in order[:30]}
    trials.run(budget=20)
    assert len(order) <= 39
    tried = len({each["what"] for each in order})
    trials.run(budget=60)
    assert len({each["what"] for each in order}) > tried


def test_a_budget_counts_in_what_earlier_sittings_took_by_all_their_workers(
    dna: SequenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = prepare_trials(split_parts(dna, SMALL), SMALL, Halving(folds=3), tmp_path)
    trials.results.create()
    for key in ("0-0", "0-1"):
        trials.results.save(key, result(0.5) | {"what": "default", "fold": 0, "seconds": 150.0})
    until: list[float | None] = []
    monkeypatch.setattr("seqreg.tuning.trials.time", SimpleNamespace(time=lambda: 1000.0))
    monkeypatch.setattr("seqreg.tuning.trials.in_processes", lambda work, trials, *times, **_: until.extend(times))
    trials.run(budget=20, workers=4)
    assert until == [1000 - 75 + 0.75 * 1200, 1000 - 75 + 1200]
    until.clear()
    trials.run(workers=4)
    assert until == [None, None]
