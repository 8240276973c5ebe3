"""Benchmarks: what a suite may say, what its cells may see, and that work is neither lost nor done twice."""

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

import seqreg
from seqreg.alphabet import PROTEIN
from seqreg.benchmark import (
    SuiteFolder,
    available_cells,
    cells_of,
    packaged,
    read_suite,
    run_cells,
    runner,
    statistics,
    tasks,
    write_results,
)
from seqreg.benchmark.choosing import choose, score
from seqreg.benchmark.suite import Suite
from seqreg.errors import DivergedError, SeqregError, UsageError
from seqreg.records import read_json, read_tsv
from seqreg.sequences import SequenceSet
from tests.conftest import planted
from tests.pages import provide, start
from tests.test_report import Page

Call = Callable[..., CompletedProcess[str]]

SUITE = """
title = "Planted motifs"
protocol = "small-data"
data = ["planted"]
sizes = [16, 24]
seeds = [0, 1, 2]
settings = 2
folds = 2
reference = "network"

[network]
epochs = 1
model = "cnn:filters=3,width=4"

[[methods]]
name = "majority"
learner = "majority"

[[methods]]
name = "k-mers"
learner = "kmer-logistic"
set = { k = 2, folds = 2 }

[[methods]]
name = "one-hot"
learner = "one-hot-logistic"

[[methods]]
name = "best linear"
best_of = ["k-mers", "one-hot"]

[[methods]]
name = "network"
grid = { weight_decay = [0.0, 0.1] }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set and a suite for it."""
    write_data_set(tmp_path / "data" / "planted", planted(PROTEIN, "WKHFCC"))
    (tmp_path / "suite.toml").write_text(SUITE)
    monkeypatch.setenv("SEQREG_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_data_set(folder: Path, sequences: SequenceSet, columns: Mapping[str, list[str]] | None = None) -> None:
    """A named data set: for classification, or with further columns for homology."""
    folder.mkdir(parents=True)
    about = columns or {"label": [sequences.label(i) for i in range(len(sequences))]}
    lines = [",".join(["id", "sequence", *about])]
    for i, name in enumerate(sequences.names):
        lines.append(",".join([name, sequences.sequence(i), *(values[i] for values in about.values())]))
    text = "\n".join(lines) + "\n"
    (folder / "table.csv").write_text(text)
    entries = {
        "name": folder.name,
        "title": "made up",
        "alphabet": sequences.alphabet.name,
        "kind": "homology-families" if "family" in about else "homology-membership" if columns else "classification",
        "file": "table.csv",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "source": "a test",
        "licence": "none",
        **({"tasks": "tasks.csv"} if columns is not None else {}),
    }
    description = "".join(f'{key} = "{value}"\n' for key, value in entries.items())
    if columns is None:
        description += 'classes = ["absent", "with"]\npositive = "with"\n'
    (folder / "dataset.toml").write_text(description)


def computed(suite: Suite, path: Path) -> list[dict[str, str]]:
    """The rows of results.tsv after a run in this process."""
    cells, absent = available_cells(suite)
    run_cells(suite, SuiteFolder(path=path), cells)
    write_results(suite, SuiteFolder(path=path), cells, absent)
    return read_tsv(path / "results.tsv")


# ----------------------------------------------------------------------------------------------------------- suites


@pytest.mark.parametrize("name", packaged())
def test_suites_that_come_along_are_sound(name: str) -> None:
    suite = read_suite(name)
    assert suite.name == name
    assert all(1 <= len(method.settings()) <= suite.settings for method in suite.methods)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("folds = 2\nref", "fold = 2\nref", "Unknown key 'fold'. Did you mean 'folds'"),
        ("seeds = [0, 1, 2]", 'seeds = ["a"]', "seeds cannot be"),
        ("seeds = [0, 1, 2]", "seeds = []", "at least one"),
        ('"small-data"', '"small-dat"', "protocol must be one of"),
        ('reference = "network"', 'reference = "netwrk"', "Unknown reference 'netwrk'. Did you mean 'network'"),
        ('learner = "majority"', 'learner = "majorty"', "Did you mean 'majority'"),
        ("{ k = 2, folds = 2 }", "{ kk = 2 }", "Unknown field of kmer-logistic 'kk'. Did you mean 'k'"),
        ("{ k = 2, folds = 2 }", "{ k = 99 }", "k must be at most 8"),
        ("epochs = 1", 'epochs = "one"', "epochs cannot be 'one'"),
        ("epochs = 1", "seed = 1", "Unknown field of network 'seed'"),
        ("epochs = 1", 'penalty = "adverserial"', "Did you mean 'adversarial'"),
        ("[0.0, 0.1]", "[0.0, 0.1, 0.2]", "3 settings, more than the 2"),
        ("[0.0, 0.1]", "0.1", "list of values"),
        ("[0.0, 0.1]", "[-1.0]", "weight_decay must be at least 0"),
        ('["k-mers", "one-hot"]', '["k-mers", "network"]', "Unknown earlier method 'network'"),
        ('name = "one-hot"', 'name = "k-mers"', "two methods are called 'k-mers'"),
        ("sizes = [16, 24]", "", "needs sizes"),
        ("sizes = [16, 24]", "sizes = [16]\ntasks = 3", "takes no tasks"),
        ('title = "Planted motifs"', "", "no 'title'"),
        ('name = "majority"\n', "", "no 'name'"),
    ],
)
def test_a_mistake_in_a_suite_is_named_before_anything_runs(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in SUITE
    (tmp_path / "wrong.toml").write_text(SUITE.replace(old, new, 1))
    with pytest.raises(UsageError, match=re.escape(said)) as error:
        read_suite(tmp_path / "wrong.toml")
    assert str(tmp_path / "wrong.toml") in str(error.value)


def test_the_suite_that_the_documentation_shows_is_sound(tmp_path: Path) -> None:
    page = (Path(seqreg.__file__).parent.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.toml").write_text(shown)
    suite = read_suite(tmp_path / "mine.toml")
    assert [len(method.settings()) for method in suite.methods] == [1, 3, 3, 2]
    assert {name for name in packaged() if f"`{name}`" in page} == {*packaged()}


def test_a_result_belongs_to_all_that_decides_it(folder: Path) -> None:
    def keys(old: str = "", new: str = "") -> set[str]:
        (folder / "other.toml").write_text(SUITE.replace(old, new, 1) if old else SUITE)
        return {cell.key for cell in cells_of(read_suite("other.toml"))}

    before = keys()
    assert len(before) == 24
    assert keys('title = "Planted motifs"', 'title = "Other words"') == before
    assert before < keys("[0, 1, 2]", "[0, 1, 2, 3]")
    assert keys("folds = 2\nref", "folds = 3\nref").isdisjoint(before)
    assert len(before - keys("[0.0, 0.1]", "[0.0, 0.2]")) == 6
    table = folder / "data" / "planted" / "dataset.toml"
    table.write_text(re.sub(r'sha256 = "\w+"', f'sha256 = "{"0" * 64}"', table.read_text()))
    assert keys().isdisjoint(before)


def test_an_unknown_suite_is_answered_with_the_nearest(call: Call) -> None:
    done = call("benchmark", "tinny", "-o", "out")
    assert (done.returncode, done.stderr.startswith("Error: Unknown suite 'tinny'. Did you mean 'tiny'?")) == (2, True)
    assert "tiny" in call("benchmark").stdout


def test_a_missing_data_set_stops_all_unless_it_may_be_left_out(folder: Path, call: Call) -> None:
    (folder / "suite.toml").write_text(
        SUITE.replace('["planted"]', '["planted", "plantd"]').replace("[16, 24]", "[16]")
    )
    done = call("benchmark", "suite.toml", "-o", "out")
    assert (done.returncode, (folder / "out").exists()) == (2, False)
    assert "1 of 2 data sets are not there: plantd." in done.stderr
    done = call("benchmark", "suite.toml", "-o", "out", "--skip-missing", "--minutes", "0", "--json")
    assert done.returncode == 0
    assert "Warning: data set plantd is left out" in done.stderr


def test_a_suite_extends_another_and_methods_add_to_one_another(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "tiny"\nsizes = [70]\n')
    mine, tiny = read_suite(tmp_path / "mine.toml"), read_suite("tiny")
    assert (mine.name, mine.sizes, mine.methods) == ("mine", (70,), tiny.methods)
    (tmp_path / "mine.toml").write_text('extends = "tinny"\n')
    with pytest.raises(UsageError, match="Did you mean 'tiny'"):
        read_suite(tmp_path / "mine.toml")
    grid = 'grid = { "+penalty" = ["gradient:weight=1", ["gradient:weight=2", "rkhs"]] }'
    (tmp_path / "more.toml").write_text(f'{SUITE}\n[[methods]]\nname = "more"\nlike = "network"\n{grid}\n')
    more = read_suite(tmp_path / "more.toml").method("more")
    base = {"penalty": ("weight-decay",), "epochs": 1}
    added = [("gradient:weight=1",), ("gradient:weight=2", "rkhs")]
    assert more.settings(base) == [{"epochs": 1, "penalty": ("weight-decay", *each)} for each in added]
    assert [setting["penalty"] for setting in more.settings()] == added
    (tmp_path / "more.toml").write_text(f'{SUITE}\n[[methods]]\nname = "more"\nset = {{ "+epochs" = 2 }}\n')
    with pytest.raises(UsageError, match="nothing can be added"):
        read_suite(tmp_path / "more.toml")


# ------------------------------------------------------------------------------------------- what a choice may see


def test_draws_are_nested_and_tested_on_the_same_others(protein: SequenceSet) -> None:
    draws = [tasks.drawn_task(protein, size=size, most_tested=1000, seed=3) for size in (8, 20, 30)]
    for small, large in itertools.pairwise(draws):
        assert set(small.train.names) < set(large.train.names)
        assert small.test.names == large.test.names
    assert len(draws[0].test) == 30
    assert {len(each.train) for each in draws} == {8, 20, 30}
    other = tasks.drawn_task(protein, size=8, most_tested=10, seed=4)
    assert other.train.names != draws[0].train.names
    assert len(other.test) == 10
    with pytest.raises(tasks.LeftOutError):
        tasks.drawn_task(protein, size=31, most_tested=10, seed=3)


def test_draws_keep_groups_and_given_parts_apart(protein: SequenceSet) -> None:
    grouped = replace(protein, group=np.array([f"g{i // 7}" for i in range(len(protein))]))
    task = tasks.drawn_task(grouped, size=13, most_tested=1000, seed=0)
    assert task.test.group is not None
    assert task.train.group is not None
    assert not set(task.test.group) & set(task.train.group)
    parts = np.where(np.arange(len(protein)) < 25, "test", "train")
    task = tasks.drawn_task(replace(protein, split=parts), size=20, most_tested=1000, seed=0)
    assert task.test.names == protein.names[:25]
    assert set(task.train.names) <= set(protein.names[25:])


def test_values_are_measured_by_rank_and_coverage_on_groups_that_were_not_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    effect = np.random.default_rng(1).normal(size=(6, 4))
    codes = rng.integers(4, size=(60, 6))
    values = effect[np.arange(6), codes].sum(1) + 0.1 * rng.normal(size=60)
    lines = ["id,sequence,value,group"]
    for i, (row, value) in enumerate(zip(codes, values, strict=True)):
        lines.append(f"s{i},{''.join('ACGT'[letter] for letter in row)},{value},g{i // 10}")
    (tmp_path / "assay").mkdir()
    (tmp_path / "assay" / "table.csv").write_text("\n".join(lines) + "\n")
    about = {"name": "assay", "title": "made up", "alphabet": "dna", "kind": "regression", "target": "value"}
    about |= {"unit": "log", "file": "table.csv", "source": "a test", "licence": "none"}
    about["sha256"] = hashlib.sha256((tmp_path / "assay" / "table.csv").read_bytes()).hexdigest()
    (tmp_path / "assay" / "dataset.toml").write_text("".join(f'{key} = "{text}"\n' for key, text in about.items()))
    monkeypatch.setenv("SEQREG_DATA", str(tmp_path))
    (tmp_path / "values.toml").write_text(
        """
title = "Values"
protocol = "small-data-values"
data = ["assay"]
sizes = [16, 24]
seeds = [0]
metric = "spearman"
also = ["rmse", "coverage"]
reference = "network"

[network]
model = "sum:spectrum=1,pooling=none"
epochs = 1

[[methods]]
name = "one-hot"
learner = "one-hot-ridge"
set = { folds = 2 }

[[methods]]
name = "of classes"
learner = "kmer-logistic"

[[methods]]
name = "network"
"""
    )
    suite = read_suite(tmp_path / "values.toml")
    library = tasks.Library()
    where: dict[str, Any] = {"data": "assay", "task": "", "seed": 0, "stage": "report"}
    small, large = (tasks.task_of(suite, library, size=size, **where) for size in suite.sizes)
    assert set(small.train.names) < set(large.train.names)
    assert small.train.group is not None
    assert small.test.group is not None
    assert len(set(small.train.group)) > 16 / 10  # not one whole group after another
    assert not set(large.train.group) & set(large.test.group)  # pyright: ignore[reportArgumentType]
    rows = computed(suite, tmp_path / "out")
    assert {row["left_out"] for row in rows if row["method"] == "of classes"} == {"values are learned"}
    for row in rows:
        if row["method"] != "of classes":
            assert float(row["spearman"]) > 0.3
            assert 0 <= float(row["coverage"]) <= 1
            assert float(row["mean_width"]) > 0
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "| network: mean over seeds | assay |" in table
    for old, new, said in (
        ('"spearman"', '"auroc"', "Unknown metric 'auroc'"),
        ('"coverage"', '"coverge"', "Did you mean 'coverage'"),
    ):
        text = (tmp_path / "values.toml").read_text()
        (tmp_path / "wrong.toml").write_text(text.replace(old, new, 1))
        with pytest.raises(UsageError, match=said):
            read_suite(tmp_path / "wrong.toml")


def test_a_task_with_a_planted_leak_is_refused(protein: SequenceSet) -> None:
    first, second = protein.subset(np.arange(30)), protein.subset(np.arange(29, 60))
    with pytest.raises(tasks.LeakError, match="'s29' is in the training and in the test part"):
        tasks.Task(train=first, test=second)
    group = np.array([f"g{i // 4}" for i in range(60)])
    grouped = replace(protein, group=group)
    with pytest.raises(tasks.LeakError, match="group 'g7'"):
        tasks.Task(train=grouped.subset(np.arange(30)), test=grouped.subset(np.arange(30, 60)))


def test_a_setting_that_diverges_is_not_chosen(protein: SequenceSet) -> None:
    def learn(setting: Mapping[str, Any], train: SequenceSet) -> Callable[[SequenceSet], NDArray[np.float64]]:
        if setting["rate"] > 1:
            raise DivergedError("no longer finite")
        return lambda sequences: np.full((len(sequences), 2), 0.5)

    chosen = choose([{"rate": 9}, {"rate": 0.1}, {"rate": 0.2}], protein, learn, folds=2)
    assert (chosen.number, chosen.scores) == (1, (-np.inf, 0.5, 0.5))


def homology(n: int = 240) -> tuple[SequenceSet, dict[str, list[str]]]:
    """Sequences in 24 families, 3 to a superfamily, one superfamily to a fold."""
    sequences = replace(planted(PROTEIN, "WKHFCC", n=n), target=None, y=None)
    number = np.arange(n) % 24
    return sequences, {
        "family": [f"f{k // 3}.{k % 3}" for k in number],
        "superfamily": [f"s{k // 3}" for k in number],
        "fold": [f"fold{k // 3}" for k in number],
    }


def test_tasks_that_choose_never_hold_what_is_reported_on() -> None:
    sequences, columns = homology()
    family, superfamily, fold = (np.array(columns[name]) for name in ("family", "superfamily", "fold"))
    names = sorted(set(family))
    choosing, reporting = names[:12], names[12:]
    reserved = tasks.reserved_sequences(family, reporting)

    def made(held_out: str, *, choosing: bool, seed: int) -> tasks.Task:
        return tasks.family_task(
            sequences,
            family=family,
            superfamily=superfamily,
            fold=fold,
            held_out=held_out,
            reserved=reserved,
            choosing=choosing,
            size=34,
            most_negatives=50,
            seed=seed,
        )

    seen: set[str] = set()
    for held_out, seed in itertools.product(choosing, (0, 1)):
        task = made(held_out, choosing=True, seed=seed)
        seen.update(name.partition("~")[0] for name in [*task.train.names, *task.test.names])
    position = {name: i for i, name in enumerate(sequences.names)}
    for held_out, seed in itertools.product(reporting, (0, 1)):
        task = made(held_out, choosing=False, seed=seed)
        assert task.train.y is not None
        assert task.test.y is not None
        assert not seen & set(task.test.names)
        assert (len(task.train), int(task.train.y.sum())) == (34, 17)
        origin = [position[name.partition("~")[0]] for name in task.train.names]
        kin = superfamily[origin]
        assert set(kin[task.train.y == 1]) == {superfamily[family == held_out][0]}
        assert superfamily[family == held_out][0] not in kin[task.train.y == 0]
        found = [position[name] for name in task.test.names]
        assert sorted(np.flatnonzero(family == held_out)) == sorted(np.array(found)[task.test.y == 1])
        assert held_out not in family[origin]
        assert reserved[np.array(found)].all()
        for i, name in enumerate(task.train.names):
            own = sequences.sequence(origin[i])
            changed = sum(a != b for a, b in zip(task.train.sequence(i), own, strict=True))
            assert (changed > 0) <= ("~" in name)
    copies = [made(name, choosing=True, seed=0) for name in choosing]
    assert sum("~" in name for task in copies for name in task.train.names) > 50
    assert (
        made(reporting[0], choosing=False, seed=0).train.sha256
        == made(reporting[0], choosing=False, seed=0).train.sha256
    )


HOMOLOGY = """
title = "Families"
protocol = "homology-small"
data = ["families"]
sizes = [20]
tasks = 6
metric = "auroc50"
settings = 3
most_tested = 60
reference = "both"
[network]
epochs = 1
weight_decay = 0.0
model = "cnn:filters=3,width=4"
[[methods]]
name = "decay"
grid = { penalty = ["weight-decay:weight=0.001", "weight-decay:weight=0.1"] }
[[methods]]
name = "noisy decay"
like = "decay"
set = { augment = "noise" }
[[methods]]
name = "both"
like = "decay"
grid = { constraint = ["spectral-norm:radius=1", "spectral-norm:radius=2"] }
"""


def test_homology_settings_are_chosen_on_the_first_half_of_the_tasks(folder: Path) -> None:
    sequences, columns = homology()
    write_data_set(folder / "data" / "families", sequences, columns)
    families = sorted(set(columns["family"]))
    table = [f"{name},{name.partition('.')[0].replace('f', 's')},20,10" for name in families]
    text = "\n".join(["held_out_family,superfamily,pos_train,pos_test", *table])
    (folder / "data" / "families" / "tasks.csv").write_text(text + "\n")
    (folder / "families.toml").write_text(HOMOLOGY)
    rows = computed(read_suite("families.toml"), folder / "out")
    assert {row["error"] for row in rows} == {""}
    tried = {stage: [row for row in rows if row["stage"] == stage] for stage in ("choose", "report")}
    assert not {row["task"] for row in tried["choose"]} & {row["task"] for row in tried["report"]}
    assert {row["method"] for row in tried["choose"]} == {"decay", "both"}

    def best(method: str) -> str:
        """By hand: the setting with the largest mean over the tasks that choose."""
        scores: dict[str, list[float]] = {}
        for row in tried["choose"]:
            if row["method"] == method:
                scores.setdefault(row["setting"], []).append(float(row["auroc50"]))
        assert {len(values) for values in scores.values()} == {3}
        return max(scores, key=lambda setting: sum(scores[setting]))

    used = {name: {row["setting"] for row in tried["report"] if row["method"] == name} for name in ("decay", "both")}
    assert used == {"decay": {best("decay")}, "both": {best("both")}}
    decay = best("decay").split("penalty=")[1]
    assert all(f"penalty={decay}" in row["setting"] for row in rows if row["method"] in ("both", "noisy decay"))
    summary = read_json(folder / "out" / "summary.json")
    assert [path["parameter"] for path in summary["paths"]] == ["weight-decay:weight", "spectral-norm:radius"]
    assert [len(group["units"]) for group in summary["groups"]] == [3]


def test_published_memberships_are_taken_as_they_are(folder: Path) -> None:
    sequences, _ = homology(40)
    write_data_set(folder / "data" / "members", sequences, {"remark": ["-"] * 40})
    roles = ["train+", "train-", "test+", "test-", "train-"]
    rows = [f"t{k},{name},{roles[(i + k) % 5]}" for k in range(2) for i, name in enumerate(sequences.names)]
    (folder / "data" / "members" / "tasks.csv").write_text("\n".join(["task,id,role", *rows]) + "\n")
    text = SUITE.replace('"small-data"', '"homology-full"').replace('"planted"', '"members"')
    (folder / "members.toml").write_text(text.replace("sizes = [16, 24]", "").replace("[0, 1, 2]", "[0]"))
    rows = computed(read_suite("members.toml"), folder / "out")
    assert {(row["task"], row["trained"], row["tested"]) for row in rows if row["auroc"]} == {
        ("t0", "24", "16"),
        ("t1", "24", "16"),
    }
    assert len(rows) == 10


# ---------------------------------------------------------------------------------------- work done once, and kept


LOGGED = """
import os, sys, time
from pathlib import Path
from seqreg.benchmark import SuiteFolder, available_cells, read_suite, runner

def attempt(bench, cell):
    with open("log", "a") as log:
        log.write(f"{cell.key} {os.getpid()}\\n")
    time.sleep(0.05)
    return {"error": None, "left_out": None, "metrics": {"auroc": 0.5}, "seconds": 0.05}

runner.attempt = attempt
suite = read_suite("suite.toml")
Path(sys.argv[1]).touch()
while not (Path("one").exists() and Path("two").exists()):
    time.sleep(0.01)
runner.run_cells(suite, SuiteFolder(path=Path("out")), available_cells(suite)[0])
"""


def test_two_processes_at_once_compute_each_cell_once(folder: Path, warm: str) -> None:
    provide(folder, warm)
    started = [subprocess.Popen([folder / "bin" / "python", "-c", LOGGED, name]) for name in ("one", "two")]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    done = [line.split() for line in (folder / "log").read_text().splitlines()]
    keys = [key for key, _ in done]
    assert sorted(keys) == sorted(cell.key for cell in cells_of(read_suite("suite.toml")))
    assert len({number for _, number in done}) == 2


def test_what_was_killed_goes_on_where_it_was(folder: Path, warm: str) -> None:
    provide(folder, warm)
    process = start(folder, "benchmark", "suite.toml", "-o", "out", "--device", "cpu")
    kept = folder / "out" / "cells"
    while process.poll() is None and len(list(kept.glob("*.json"))) < 3:
        time.sleep(0.02)
    os.kill(int((folder / "number").read_text()), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode
    before = {path.name: path.read_bytes() for path in kept.glob("*.json")}
    suite = read_suite("suite.toml")
    cells, _ = available_cells(suite)
    assert 3 <= len(before) < len(cells)
    rows = computed(suite, folder / "out")
    after = {path.name: path.read_bytes() for path in kept.glob("*.json")}
    assert {name: after[name] for name in before} == before
    assert len(after) == len(cells)
    assert {read_json(kept / name)["process"] for name in after.keys() - before.keys()} == {os.getpid()}
    assert [row["method"] for row in rows].count("best linear") == 6
    table = (folder / "out" / "results.tsv").read_bytes()
    computed(suite, folder / "out")
    assert (folder / "out" / "results.tsv").read_bytes() == table


def test_a_cell_that_fails_is_recorded_and_the_rest_go_on(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "suite.toml").write_text(SUITE.replace("[16, 24]", "[16]").replace("[0, 1, 2]", "[0, 1]"))
    whole = runner.attempt

    def failing(bench: Any, cell: Any) -> dict[str, Any]:
        if (cell.method, cell.seed) == ("k-mers", 1):
            with monkeypatch.context() as broken:
                broken.setattr("seqreg.benchmark.compute.fit", lambda *_, **__: 1 / 0)
                return whole(bench, cell)
        return whole(bench, cell)

    monkeypatch.setattr(runner, "attempt", failing)
    done = call("benchmark", "suite.toml", "-o", "out")
    assert done.returncode == 1
    assert "1 of 8 cells failed (k-mers, planted, n 16, seed 1: ZeroDivisionError: division by zero)" in done.stderr
    rows = read_tsv(folder / "out" / "results.tsv")
    assert [row["method"] for row in rows if row["error"]] == ["k-mers"]
    assert "ZeroDivisionError" in (folder / "out" / "report.html").read_text()
    monkeypatch.setattr(runner, "attempt", whole)
    assert call("benchmark", "suite.toml", "-o", "out").returncode == 1
    assert call("benchmark", "suite.toml", "-o", "out", "--retry").returncode == 0


@pytest.mark.usefixtures("forked")
def test_workers_give_the_rows_of_one_process(folder: Path, call: Call) -> None:
    (folder / "suite.toml").write_text(SUITE.replace("[0, 1, 2]", "[0]").replace("[16, 24]", "[16]"))
    assert call("benchmark", "suite.toml", "-o", "two", "--workers", "2", "--device", "cpu").returncode == 0
    alone = computed(read_suite("suite.toml"), folder / "alone")
    shared = read_tsv(folder / "two" / "results.tsv")
    assert [{**row, "seconds": ""} for row in shared] == [{**row, "seconds": ""} for row in alone]


def test_progress_estimates_the_time_left(folder: Path) -> None:
    cells, _ = available_cells(read_suite("suite.toml"))
    kept = SuiteFolder(path=folder / "out")
    kept.create()
    assert runner.progress_of(kept, cells).seconds_left is None
    first = [cell for cell in cells if cell.seed == 0]
    for cell in first:
        kept.save(cell.key, {"error": None, "seconds": 3.0 if cell.method == "network" else 1.0})
    # Two of three seeds are left: at each of two sizes four cells, three of 1 s and one of 3 s.
    assert runner.progress_of(kept, cells, workers=2).seconds_left == pytest.approx(2 * 2 * (3 * 1 + 3) / 2)


def test_the_page_is_well_formed_and_robustness_is_drawn(folder: Path, call: Call) -> None:
    text = SUITE.replace('"small-data"', '"robustness"\nalso = ["certified_balanced_accuracy_1"]')
    text = text.replace("[0, 1, 2]", "[0, 1]").replace("[16, 24]", "[20]").replace("epochs = 1", "epochs = 12")
    rival = '\n[[methods]]\nname = "<b>rival</b> & co"\nset = { penalty = "weight-decay:weight=0.1" }\n'
    (folder / "suite.toml").write_text(text + rival)
    assert call("benchmark", "suite.toml", "-o", "out").returncode == 0
    rows = [row for row in read_tsv(folder / "out" / "results.tsv") if row["attacked_accuracy_1"]]
    assert {row["method"] for row in rows} == {"network", "<b>rival</b> & co"}
    for row in rows:
        assert row["attacked_accuracy_0"] == row["accuracy"]
        for kind, m in itertools.product(("", "balanced_"), range(1, 6)):
            attacked, certified = (float(row[f"{what}_{kind}accuracy_{m}"]) for what in ("attacked", "certified"))
            assert certified <= attacked <= float(row[f"attacked_{kind}accuracy_{m - 1}"])
    page = Page((folder / "out" / "report.html").read_text())
    assert page.problems == []
    assert len(page.of("id")) == len(set(page.of("id")))
    shown = " ".join(page.text)
    assert "planted, certified, substituted letters" in shown
    assert "<b>rival</b> & co" in shown
    table = (folder / "out" / "table.md").read_text()
    mean = np.mean([float(row["certified_balanced_accuracy_1"]) for row in rows if row["method"] == "network"])
    assert f"| {mean:.3f} |" in next(line for line in table.splitlines() if line.startswith("| network"))


# ------------------------------------------------------------------------------------------------------ statistics


def test_holm_rejects_step_by_step(rng: np.random.Generator) -> None:
    for m in (1, 2, 5, 9):
        p = rng.uniform(0, 0.3, m) ** 2
        adjusted = statistics.holm(p)
        for alpha in (0.01, 0.05, 0.1, 0.5):
            rejected: set[int] = set()
            for step, i in enumerate(sorted(range(m), key=lambda i: p[i])):  # Holm's own wording
                if p[i] >= alpha / (m - step):
                    break
                rejected.add(i)
            assert rejected == set(np.flatnonzero(adjusted < alpha))


def test_signed_rank_is_the_share_of_sign_flips_as_extreme(rng: np.random.Generator) -> None:
    for n in (5, 8):
        a, b = rng.normal(0.4, 1, n), rng.normal(size=n)
        ranks = rankdata(np.abs(a - b))
        observed = abs(ranks @ np.sign(a - b))
        flips = [abs(ranks @ np.array(signs)) for signs in itertools.product((-1, 1), repeat=n)]
        assert statistics.signed_rank(a, b) == pytest.approx(np.mean(np.array(flips) >= observed - 1e-9))
    assert statistics.signed_rank([0.5, 0.7], [0.5, 0.7]) == 1


def test_ranks_share_ties_and_cliques_hold_no_pair_that_differs(rng: np.random.Generator) -> None:
    scores = rng.integers(0, 3, (7, 4)) / 2
    by_hand = [np.mean([1 + sum(row > row[m]) + (sum(row == row[m]) - 1) / 2 for row in scores]) for m in range(4)]
    ranks = statistics.mean_ranks(scores)
    np.testing.assert_allclose(ranks, by_hand)
    ranks = np.array([2.0, 1.0, 4.0, 3.0])
    p = np.ones((4, 4))
    p[1, 2] = p[2, 1] = p[1, 3] = p[3, 1] = 0.01
    assert statistics.cliques(ranks, p) == [[1, 0], [0, 3, 2]]
    assert statistics.cliques(ranks, np.zeros((4, 4))) == []


def test_bootstrap_interval_of_a_mean_is_that_of_the_normal_law(rng: np.random.Generator) -> None:
    values = rng.normal(3, 2, 400)
    low, high = statistics.bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(400)
    np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=0.1 * half)


def test_seeds_are_averaged_before_units_are_compared(folder: Path) -> None:
    rows = computed(read_suite("suite.toml"), folder / "out")
    summary = read_json(folder / "out" / "summary.json")
    small = summary["groups"][0]
    own = [float(row["auroc"]) for row in rows if (row["method"], row["size"]) == ("network", "16")]
    other = [float(row["auroc"]) for row in rows if (row["method"], row["size"]) == ("k-mers", "16")]
    assert len(own) == 3
    assert small["scores"]["network"]["planted"] == pytest.approx(np.mean(own), abs=1e-5)
    gap = np.array(own) - other
    expected = [gap.mean(), gap.std(ddof=1) / np.sqrt(3)]
    assert small["differences"]["k-mers"]["planted"] == pytest.approx(expected, abs=1e-5)
    assert small["scores"]["best linear"] == small["scores"]["k-mers"]
    assert "one-hot" not in small["scores"]
    assert summary["left_out"] == {"one-hot on planted: sequences of several lengths": 6}
    assert [group["size"] for group in summary["groups"]] == [16, 24, 0]


# -------------------------------------------------------------------------------------------------------- programs


TRAIN = """#!{python}
import sys
words = sys.argv[1:]
positive, negative, output = words[-3:]
if "-l 6 -k 4" not in " ".join(words) or "TGACGTCA" in open(negative).read():
    sys.exit("not as expected")
open(output + ".model.txt", "w").write("TGACGTCA")
"""
PREDICT = """#!{python}
import sys
test, model, output = sys.argv[-3:]
motif = open(model).read()
records = open(test).read().split(">")[1:]
with open(output, "w") as out:
    for record in records:
        name, *lines = record.splitlines()
        out.write(name + "\\t" + str(1.5 if motif in "".join(lines) else -0.5) + "\\n")
"""


def test_ls_gkm_joins_where_it_is_installed(dna: SequenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqreg.benchmark.learners import fit, inapplicable, unavailable

    monkeypatch.setenv("PATH", str(tmp_path))
    assert unavailable("ls-gkm") == "gkmtrain and gkmpredict not found on the PATH"
    for name, text in (("gkmtrain", TRAIN), ("gkmpredict", PREDICT)):
        (tmp_path / name).write_text(text.format(python=sys.executable))
        (tmp_path / name).chmod(0o755)
    assert unavailable("ls-gkm") is None
    fitted = fit("ls-gkm", {"word": 6, "informative": 4}, dna)
    assert score(fitted.predict, dna)["auroc"] == 1
    assert inapplicable("ls-gkm", planted(PROTEIN, "WKHFCC"), dna) == "not two classes of DNA"
    (tmp_path / "gkmtrain").write_text(f"#!{sys.executable}\nimport sys\nsys.exit('out of words')\n")
    with pytest.raises(SeqregError, match="gkmtrain failed: out of words"):
        fit("ls-gkm", {}, dna)
