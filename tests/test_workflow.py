"""The Snakemake workflow: dry runs, lint, what a wrong configuration is told, and use as a module.

Every test has a working directory of its own, in which `config` and `workflows` point into the repository.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import typer
import yaml

import seqreg
from seqreg.cli import app
from seqreg.records import read_json, read_tsv

GROUNDS = Path(seqreg.__file__).parent.parent
WORKFLOWS = GROUNDS / "workflows"
TINY = ("--configfile", "workflows/test/config.yaml")

AROUND_THE_MODULE = """
rule all:
    default_target: True
    input:
        rules.seqreg_all.input,


rule sequences:
    output:
        yes="made/yes.fa",
        no="made/no.fa",
    shell:
        "cp workflows/test/positive.fa {output.yes}; cp workflows/test/negative.fa {output.no}; env > made/environment"
"""

pytest.importorskip("snakemake", reason="the extra `workflow` is not installed")
Snakemake = Callable[..., CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory, and in `bin` a `seqreg` that writes down its words and makes the files of a true one."""
    for name in ("config", "workflows"):
        (tmp_path / name).symlink_to(GROUNDS / name)
    (tmp_path / "bin").mkdir()
    write_command(tmp_path, f'"{Path(__file__).parent / "stand_in.py"}" "{tmp_path / "asked.jsonl"}"')
    return tmp_path


@pytest.fixture
def true_seqreg(folder: Path) -> None:
    """In `bin`, this very code."""
    write_command(folder, "-m seqreg")


def write_command(folder: Path, words: str) -> None:
    command = folder / "bin" / "seqreg"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
    command.chmod(0o755)


def asked(folder: Path) -> list[list[str]]:
    """The words of every call of the stand-in for `seqreg`."""
    return [json.loads(line) for line in (folder / "asked.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def snakemake(folder: Path) -> Snakemake:
    """Runs Snakemake, in the working directory if no other is named; what it says is in stdout."""
    world = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(GROUNDS),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }

    def run(*words: object, snakefile: Path = GROUNDS / "Snakefile", where: Path = folder) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2", *map(str, words)]
        return subprocess.run(
            command, cwd=where, env=world, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    return run


def test_a_dry_run_of_the_test_configuration_has_every_rule(folder: Path, snakemake: Snakemake) -> None:
    # What comes after tuning is known once it is over: whether the model is a network.
    (folder / "untuned.yaml").write_text("tune: null")
    done = snakemake("--dry-run", "--printshellcmds", *TINY, "untuned.yaml")
    assert done.returncode == 0, done.stdout
    written = "".join(
        path.read_text(encoding="utf-8") for path in [GROUNDS / "Snakefile", *(WORKFLOWS / "rules").glob("*.smk")]
    )
    jobs = set(re.findall(r"^(?:rule|checkpoint) \w+:$", written, re.MULTILINE)) - {
        "rule models:",
        "rule benchmarks:",
        "rule all:",
    }
    assert len(jobs) > 8
    assert {job for job in jobs if job not in done.stdout} == {"checkpoint kept:"}  # which only `tune` needs
    assert "seqreg train --pos workflows/test/positive.fa --neg workflows/test/negative.fa" in done.stdout
    assert "seqreg split splice --folds 2" in done.stdout
    assert done.stdout.count("    log: ") == done.stdout.count("    benchmark: ") + 1 >= len(jobs) - 1


def test_the_configuration_that_comes_along_works(snakemake: Snakemake) -> None:
    done = snakemake("--dry-run", "--quiet")
    assert done.returncode == 0, done.stdout


def test_lint_is_silent(snakemake: Snakemake) -> None:
    done = snakemake("--lint", *TINY)
    assert done.returncode == 0
    assert "your workflow is in a good condition" in done.stdout


@pytest.mark.parametrize("profile", ["default", "gpu"])
def test_profiles_are_read(snakemake: Snakemake, profile: str) -> None:
    done = snakemake(
        "--dry-run", "--printshellcmds", *TINY, "--workflow-profile", GROUNDS / "workflows" / "profiles" / profile
    )
    assert done.returncode == 0, done.stdout
    assert ("gpu=1" in done.stdout, "--device cuda" in done.stdout) == (profile == "gpu",) * 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("sampels: x.tsv", "'sampels' was unexpected). Choose from: results, samples"),
        ("train: {penality: gradient}", "configuration, train: Additional properties are not allowed ('penality'"),
        ("split: {folds: 1}", "configuration, split, folds: 1 is less than the minimum of 2"),
        ("samples: no.tsv", "No table of samples at no.tsv"),
    ],
)
def test_a_wrong_configuration_is_told_what_is_wrong(
    folder: Path, snakemake: Snakemake, config: str, message: str
) -> None:
    (folder / "wrong.yaml").write_text(config)
    done = snakemake("--dry-run", "--configfile", "wrong.yaml")
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.usefixtures("true_seqreg")
def test_names_that_are_not_known_are_told_before_anything_runs(folder: Path, snakemake: Snakemake) -> None:
    (folder / "samples.tsv").write_text("name\tinput\ttest\na\tsplise\tamp\n")
    (folder / "own.yaml").write_text(
        "samples: samples.tsv\n"
        "train: {penalty: [gradient, adverserial:epsilon=1], model: 'cnn:filter=2'}\n"
        "benchmark: {suites: [tinny]}\n"
    )
    done = snakemake("--dry-run", "--configfile", "own.yaml")
    assert done.returncode != 0
    for message in (
        "Unknown penalty 'adverserial'. Did you mean 'adversarial'?",
        "model 'cnn' has no field 'filter'",
        "splise",
        "Unknown suite 'tinny'. Choose from: ",
    ):
        assert message in done.stdout, message
    assert "'amp'" not in done.stdout


def test_values_in_the_command_line_have_their_types(folder: Path, snakemake: Snakemake) -> None:
    """Without any file: what is given, and the defaults of the schema, in the file that says what was used."""
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "samples.tsv").write_text("name\tinput\nmine\tsplice\n")
    given = ("samples=samples.tsv", "results=2026", "split={folds: 3}", "train={lr: 1e-3, baselines: false}", "seed=4")
    done = snakemake(
        "--config", *given, "robustness={sample: null}", "--until", "configuration", where=folder / "elsewhere"
    )
    assert done.returncode == 0, done.stdout
    used = yaml.safe_load((folder / "elsewhere" / "2026" / "configuration.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((WORKFLOWS / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
    defaults = {name: default(entry) for name, entry in schema["properties"].items()}
    assert used == {
        **defaults,
        "samples": "samples.tsv",
        "results": "2026",
        "seed": 4,
        "split": {**defaults["split"], "folds": 3},
        "train": {"lr": 0.001, "baselines": False},
        "robustness": {**defaults["robustness"], "sample": None},
    }


def test_it_asks_for_the_same_wherever_it_runs(folder: Path, snakemake: Snakemake) -> None:
    """In a checkout, elsewhere and as a module: the same commands, word for word, of a configuration of two keys."""
    module = f"module seqreg:\n    snakefile: {str(GROUNDS / 'Snakefile')!r}\n    config: config\n\n"
    module += (
        "use rule * from seqreg as seqreg_*\n\nrule all:\n    default_target: True\n    input: rules.seqreg_all.input\n"
    )
    outside, other = folder / "outside", folder / "module"
    for each in (outside, other):
        each.mkdir()
    (other / "Snakefile").write_text(module)
    calls = []
    for where, snakefile in (
        (folder, GROUNDS / "Snakefile"),
        (outside, GROUNDS / "Snakefile"),
        (other, other / "Snakefile"),
    ):
        (where / "samples.tsv").write_text("name\tinput\nmine\tmine.csv\n")
        (where / "mine.csv").write_text("sequence,label\n")
        (where / "own.yaml").write_text("samples: samples.tsv\nsplit: {folds: 2}\n")
        (folder / "asked.jsonl").unlink(missing_ok=True)
        done = snakemake("--configfile", "own.yaml", snakefile=snakefile, where=where)
        assert done.returncode == 0, done.stdout
        calls.append((sorted(asked(folder)), (where / "results" / "configuration.yaml").read_text(encoding="utf-8")))
    assert calls[0] == calls[1] == calls[2]
    words = next(call for call in calls[0][0] if call[0] == "robustness")
    assert words[words.index("--max-substitutions") + 1] == "3"
    assert words[words.index("--sample") + 1] == "100"


def test_the_shipped_configuration_names_the_defaults() -> None:
    """What is commented out in config.yaml says what holds without it."""
    schema = yaml.safe_load((WORKFLOWS / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
    text = (GROUNDS / "config" / "config.yaml").read_text(encoding="utf-8")
    commented = yaml.safe_load(re.sub(r"^# (?=\w+:|  )", "", text.split("\n", 2)[2], flags=re.MULTILINE))
    assert commented == {name: default(entry) for name, entry in schema["properties"].items()}


def default(entry: dict[str, Any]) -> Any:
    """What a key of the schema is where nothing is said."""
    within = {name: default(each) for name, each in entry.get("properties", {}).items() if "default" in each}
    return within if entry["default"] == {} else entry["default"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name\tfile\na\tx.fa\n", "samples.tsv, line 2: Additional properties are not allowed ('file'"),
        ("name\tpositive\na\tx.fa\n", "input, or negative and positive, or classes, or fasta and labels; got positive"),
        ("name\tinput\na\tx.csv\na\ty.csv\n", "line 3: the name a is there twice"),
        ("name\tinput\n\t\n", "samples.tsv has no row"),
        ("name\tinput\na\tx.csv\ty\n", "line 2: more cells than columns: y"),
        ("name\tclasses\na\tx.fa;y.fa\n", "classes are written name=file;name=file; got x.fa;y.fa"),
        ("name\tname\tinput\na\tb\tx.csv\n", "samples.tsv: the column name is there twice"),
        ("name\tinput\nconfiguration.yaml\tx.csv\n", "line 2, name: 'configuration.yaml' should not be valid"),
        (f"name\tinput\n{'x' * 201}\tx.csv\n", "is too long"),
    ],
)
def test_a_wrong_table_is_told_which_line(folder: Path, snakemake: Snakemake, table: str, message: str) -> None:
    (folder / "samples.tsv").write_text(table)
    done = snakemake("--dry-run", "--config", "samples=samples.tsv")
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout


def test_results_that_are_a_file_are_refused(folder: Path, snakemake: Snakemake) -> None:
    (folder / "samples.tsv").write_text("name\tinput\na\tx.csv\n")
    (folder / "there").write_text("not of this workflow")
    done = snakemake("--dry-run", "--config", "samples=samples.tsv", "results=there/deeper")
    assert done.returncode != 0
    assert "results: there is a file. Name a folder." in done.stdout
    assert "Traceback" not in done.stdout


NAMES = ["a sample", 'Ärzte: it\'s (1) $HOME `x` "q" & co']


def test_paths_are_taken_as_they_are_written(folder: Path, snakemake: Snakemake) -> None:
    """Spaces, apostrophes, brackets and letters of other alphabets in every path that a user chooses."""
    work = folder / "it's my (work) ö"
    data = work / "da ta"
    data.mkdir(parents=True)
    rows = ["name\tclasses\tnew\ttest"]
    for name in NAMES:
        for kind in ("yes", "no", "new", "test"):
            (data / f"{kind} {name}.fa").write_text(">a\nACGT\n")
        files = [f"da ta/{kind} {name}.fa" for kind in ("yes", "no", "new", "test")]
        rows.append(f"{name}\tb c={files[0]};d'e={files[1]}\t{files[2]}\t{files[3]}")
    (work / "sam ples'.tsv").write_text("\n".join(rows), encoding="utf-8-sig")  # as Excel writes it
    (work / "su ite'.toml").write_text("")
    (work / "old").write_text("not of this workflow")
    results = "old run's (ä)"
    (work / "con fig.yaml").write_text(
        yaml.safe_dump(
            {
                "results": results,
                "samples": "sam ples'.tsv",
                "split": {"folds": 2},
                "robustness": {"protect": "sam ples'.tsv"},
                "benchmark": {"suites": ["su ite'.toml"]},
            }
        )
    )
    done = snakemake("--configfile", "con fig.yaml", where=work)
    assert done.returncode == 0, done.stdout
    assert (work / "old").read_text() == "not of this workflow"
    assert {each.name for each in work.iterdir()} == {
        *("old", "da ta", "sam ples'.tsv", "su ite'.toml", "con fig.yaml", results, ".snakemake")
    }
    for name in NAMES:
        run = f"{results}/{name}"
        mine = [call for call in asked(folder) if any(run in word or name in word for word in call)]
        assert {call[0] for call in mine} == {"split", "train", "compare", "evaluate", "robustness", "norm", "predict"}
        for call in mine:
            if call[0] in ("split", "train", "norm"):
                assert [f"b c=da ta/yes {name}.fa", "--class", f"d'e=da ta/no {name}.fa"] == call[2:5] or (
                    call[0] == "norm" and f"b c=da ta/yes {name}.fa" in call
                )
            if call[0] in ("evaluate", "robustness"):
                assert call[1:3] == [f"{run}/model", f"da ta/test {name}.fa"]
        predicted = next(call for call in mine if call[0] == "predict")
        assert predicted[1:3] == [f"{run}/model", f"da ta/new {name}.fa"]
        assert predicted[-1] == f"{run}/predictions.tsv"
        log = work / results / "logs" / "predict" / f"{name}.log"
        assert "predict" in log.read_text(encoding="utf-8")
    assert "Nothing to be done" in snakemake("--configfile", "con fig.yaml", where=work).stdout


@pytest.mark.parametrize(
    ("config", "column", "value"),
    [
        ("results: -x", None, ""),
        ("results: a{b}", None, ""),
        ("", "name", "a/b"),
        ("", "name", "-a"),
        ("", "name", "logs"),
    ],
)
def test_paths_that_cannot_be_are_refused(
    folder: Path, snakemake: Snakemake, config: str, column: str | None, value: str
) -> None:
    (folder / "samples.tsv").write_text(f"name\tinput\n{value or 'a'}\tx.csv\n")
    (folder / "own.yaml").write_text(f"samples: samples.tsv\n{config}")
    done = snakemake("--dry-run", "--configfile", "own.yaml")
    assert done.returncode != 0
    assert (f"samples.tsv, line 2, {column}: {value!r}" if column else "The configuration, results: ") in done.stdout


@pytest.mark.parametrize(("code", "attempts"), [(2, 1), (1, 3)])
def test_what_is_wrong_is_not_tried_again_and_earlier_logs_stay(
    folder: Path, snakemake: Snakemake, code: int, attempts: int
) -> None:
    (folder / "mine.csv").write_text("sequence,label\n")
    (folder / "samples.tsv").write_text("name\tinput\nmine\tmine.csv\n")
    (folder / "fails").write_text(f"split {code}")
    done = snakemake("--retries", "2", "--config", "samples=samples.tsv", "--until", "split")
    assert done.returncode != 0
    assert sum(call[0] == "split" for call in asked(folder)) == attempts, done.stdout
    log = (folder / "results" / "logs" / "split" / "mine.log").read_text(encoding="utf-8")
    assert log.count("split mine.csv") == attempts
    assert ("not tried again" in log) == (code == 2)
    # A later run is a new start, and keeps the log of the earlier one.
    (folder / "fails").unlink()
    assert snakemake("--config", "samples=samples.tsv", "--until", "split").returncode == 0
    log = (folder / "results" / "logs" / "split" / "mine.log").read_text(encoding="utf-8")
    assert log.count("split mine.csv") == attempts + 1
    assert [path.name for path in (folder / "results" / "logs" / "split").iterdir()] == ["mine.log"]


@pytest.mark.usefixtures("true_seqreg")
def test_it_is_a_module_of_another_workflow(folder: Path, snakemake: Snakemake) -> None:
    """As the README shows; the other workflow makes the sequences, and its rules and results stay apart."""
    shown = re.findall(
        r"^```snakemake\n(.*?)^```$", (GROUNDS / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    module = shown[0].replace("path/to/seqreg", str(GROUNDS))
    (folder / "Snakefile").write_text(f"{module}\n{AROUND_THE_MODULE}")
    (folder / "samples.tsv").write_text("name\tclasses\nmine\tyes=made/yes.fa;no=made/no.fa\n")
    planned = snakemake("--dry-run", snakefile=folder / "Snakefile")
    assert planned.returncode == 0, planned.stdout
    assert "rule seqreg_norm:" in planned.stdout
    done = snakemake("results/seqreg/mine/folds/splits.tsv", snakefile=folder / "Snakefile")
    assert done.returncode == 0, done.stdout
    parts = {row["split"] for row in read_tsv(folder / "results" / "seqreg" / "mine" / "folds" / "splits.tsv")}
    assert parts == {f"fold{k}" for k in range(1, 6)}
    assert f"SEQREG_CHECKOUT={GROUNDS}\n" in (folder / "made" / "environment").read_text(encoding="utf-8")


def options_of(command: str) -> set[str]:
    """The long options of a `seqreg` command, without their dashes."""
    entry = typer.main.get_command(app).commands[command]  # pyright: ignore[reportAttributeAccessIssue]
    return {word.removeprefix("--") for each in entry.params for word in each.opts}


def test_keys_of_the_configuration_are_options_of_the_commands() -> None:
    schema = yaml.safe_load((WORKFLOWS / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
    for command in ("train", "robustness"):
        assert schema["properties"][command]["properties"].keys() <= options_of(command), command


def test_installing_into_an_environment_needs_a_checkout(tmp_path: Path) -> None:
    script = WORKFLOWS / "envs" / "seqreg.post-deploy.sh"
    done = subprocess.run(["bash", str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "set SEQREG_CHECKOUT" in done.stderr


def activities(folder: Path) -> None:
    """Two samples of values: a named set, and a table whose column is named in the table of samples."""
    draw = np.random.default_rng(0)
    codes = draw.integers(4, size=(120, 10))
    rows = ["".join("ACGT"[letter] for letter in row) for row in codes]
    values = codes[:, 2] + 2.0 * (codes[:, 5] == 1) + draw.normal(size=120) / 5
    table = [f"s{i},{row},{value:.4f}" for i, (row, value) in enumerate(zip(rows, values, strict=True))]
    (folder / "activity.csv").write_text("\n".join(["id,sequence,activity", *table]) + "\n")
    (folder / "new.fa").write_text("".join(f">n{i}\n{row}\n" for i, row in enumerate(rows[:5])))
    lines = ["name\tinput\ttarget\tunit\tnew", "activity\tactivity.csv\tactivity\tlog\tnew.fa", "gb1\tgb1-stability"]
    (folder / "values.tsv").write_text("\n".join(lines) + "\n")


def test_samples_of_values_say_what_is_learned(folder: Path, snakemake: Snakemake) -> None:
    activities(folder)
    done = snakemake("models", *TINY, "--config", "samples=values.tsv", "tune=null")
    assert done.returncode == 0, done.stdout
    calls = asked(folder)
    reading = [words for words in calls if "activity.csv" in words]
    assert {words[0] for words in reading} >= {"split", "train", "evaluate", "robustness", "norm"}
    for words in reading:
        assert words[words.index("--target") + 1] == "activity"
        assert words[words.index("--unit") + 1] == "log"
    assert not any("--target" in words for words in calls if "gb1-stability" in words)


@pytest.mark.slow
@pytest.mark.usefixtures("true_seqreg")
def test_two_samples_of_values_run(folder: Path, snakemake: Snakemake) -> None:
    activities(folder)
    done = snakemake("models", *TINY, "--config", "samples=values.tsv", "tune=null")
    assert done.returncode == 0, done.stdout
    results = folder / "runs" / "workflow"
    for name, unit in (("activity", "log"), ("gb1", "kcal/mol")):
        assert read_json(results / name / "evaluation.json")["unit"] == unit
        assert len(read_json(results / name / "folds.json")["runs"]) == 2
        assert read_json(results / name / "model" / "robustness.json")["n"] == 10
    assert list(read_tsv(results / "activity" / "predictions.tsv")[0]) == ["id", "prediction", "low", "high", "reason"]


@pytest.mark.slow
@pytest.mark.usefixtures("true_seqreg")
def test_the_test_configuration_runs(folder: Path, snakemake: Snakemake) -> None:
    done = snakemake(*TINY, "--printshellcmds")
    assert done.returncode == 0, done.stdout
    assert "seqreg tune --pos workflows/test/positive.fa --neg workflows/test/negative.fa" in done.stdout
    results = folder / "runs" / "workflow"
    assert len(read_tsv(results / "motif" / "predictions.tsv")) == 10
    assert len(read_json(results / "motif" / "folds.json")["runs"]) == 2
    assert len(read_tsv(results / "motif" / "model" / "trials.tsv")) == 2
    assert read_json(results / "splice" / "evaluation.json")["split"] == "test"
    assert read_json(results / "splice" / "model" / "robustness.json")["n"] == 10
    assert "Robustness" in (results / "motif" / "model" / "report.html").read_text(encoding="utf-8")
    assert len(read_tsv(results / "benchmark" / "suite" / "results.tsv")) == 4
    assert "Nothing to be done" in snakemake(*TINY).stdout

    report = snakemake(*TINY, "--report", "report.html")
    assert report.returncode == 0, report.stdout
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(text in page for text in ("cross-validation", "predictions of new sequences", "Benchmarks"))

    # A killed training leaves its folder; another configuration replaces what is there.
    shutil.copytree(results / "motif" / "model", folder / "before")
    again = snakemake(*TINY, "--config", "seed=1", "--until", "model")
    assert again.returncode == 0, again.stdout
    assert read_json(results / "motif" / "model" / "config.json")["seed"] == 1
