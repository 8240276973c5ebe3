"""The Snakemake workflow: dry runs, lint, what a wrong configuration is told, and use as a module.

Every test has a working directory of its own, in which `config` and `workflows` point into the repository.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

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
        "cp workflows/test/positive.fa {output.yes}; cp workflows/test/negative.fa {output.no}"
"""

pytest.importorskip("snakemake", reason="the extra `workflow` is not installed")
Snakemake = Callable[..., CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory, and in `bin` a `seqreg` command that runs this very code."""
    for name in ("config", "workflows"):
        (tmp_path / name).symlink_to(GROUNDS / name)
    command = tmp_path / "bin" / "seqreg"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m seqreg "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.fixture
def snakemake(folder: Path) -> Snakemake:
    """Runs Snakemake in the working directory; what it says is in stdout."""
    world = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(GROUNDS),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }

    def run(*words: object, snakefile: Path = GROUNDS / "Snakefile") -> CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2", *map(str, words)]
        return subprocess.run(
            command, cwd=folder, env=world, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    return run


def test_a_dry_run_of_the_test_configuration_has_every_rule(folder: Path, snakemake: Snakemake) -> None:
    # What comes after tuning is known once it is over: whether the model is a network.
    (folder / "untuned.yaml").write_text("tune: null")
    done = snakemake("--dry-run", "--printshellcmds", *TINY, "untuned.yaml")
    assert done.returncode == 0, done.stdout
    written = "".join(path.read_text(encoding="utf-8") for path in (WORKFLOWS / "rules").glob("*.smk"))
    jobs = set(re.findall(r"^(?:rule|checkpoint) \w+:$", written, re.MULTILINE)) - {"rule models:", "rule benchmarks:"}
    assert len(jobs) > 8
    assert [job for job in jobs if job not in done.stdout] == []
    assert "seqreg train --pos workflows/test/positive.fa --neg workflows/test/negative.fa" in done.stdout
    assert "seqreg split splice --folds 2" in done.stdout
    assert done.stdout.count("    log: ") == done.stdout.count("    benchmark: ") >= len(jobs)


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


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name\tfile\na\tx.fa\n", "samples.tsv, line 2: Additional properties are not allowed ('file'"),
        ("name\tpositive\na\tx.fa\n", "input, or negative and positive, or classes, or fasta and labels; got positive"),
        ("name\tinput\na\tx.csv\na\ty.csv\n", "line 3: the name a is there twice"),
        ("name\tclasses\na\tx.fa;y.fa\n", "classes are written name=file;name=file; got x.fa;y.fa"),
    ],
)
def test_a_wrong_table_is_told_which_line(folder: Path, snakemake: Snakemake, table: str, message: str) -> None:
    (folder / "samples.tsv").write_text(table)
    done = snakemake("--dry-run", "--config", "samples=samples.tsv")
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout


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


@pytest.mark.slow
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
