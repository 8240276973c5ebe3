"""The profile `slurm` on a real SLURM of one node: every rule of the test configuration, and one of its jobs killed."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqreg

GROUNDS = Path(seqreg.__file__).parent.parent
SCRIPT = Path(__file__).parent / "slurm.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
SYSTEM = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
IMPATIENT = ("--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "5")
ON_A_SMALL_NODE = ("--set-threads", "benchmark_cells=1", "--latency-wait", "10")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        any(shutil.which(name, path=SYSTEM) is None for name in PROGRAMS) or os.geteuid() != 0,
        reason="needs Debian's slurm-wlm and munge, and root",
    ),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which a SLURM runs and `seqreg` is this very code; SLURM ends with the test."""
    cluster, programs = tmp_path / "slurm", tmp_path / "bin"
    programs.mkdir()
    script(programs / "seqreg", f'exec "{sys.executable}" -m seqreg "$@"')
    # Jobs call srun without SLURM_CONF: on a cluster the file stands where SLURM looks by itself.
    script(programs / "srun", f'SLURM_CONF="{cluster}/slurm.conf" exec "{shutil.which("srun", path=SYSTEM)}" "$@"')
    try:
        subprocess.run([str(SCRIPT), "start", str(cluster)], check=True)
        yield os.environ | {
            "PATH": f"{programs}{os.pathsep}{SYSTEM}",
            "PYTHONPATH": str(GROUNDS),
            "SLURM_CONF": str(cluster / "slurm.conf"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
    finally:
        subprocess.run([str(SCRIPT), "stop", str(cluster)], check=True)


def script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def said(command: list[str], world: dict[str, str]) -> str:
    return subprocess.run(command, env=world, capture_output=True, text=True, check=True).stdout


def kill_in(stage: Path, rule: str, world: dict[str, str], workflow: "subprocess.Popen[bytes]") -> str | None:
    """Cancel a job of a rule that has come as far as a file or folder, and give its number; None if there was none."""
    while workflow.poll() is None:
        for line in said(["squeue", "--noheader", "--states=R", "--format=%i %k"], world).splitlines():
            number, _, comment = line.partition(" ")
            if comment.startswith(f"rule_{rule}_") and stage.exists():
                subprocess.run(["scancel", number], env=world, check=True)
                return number
        time.sleep(0.2)
    return None


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working directory in which one sample goes through every rule."""
    folder = tmp_path / "it's my work"
    folder.mkdir()
    for name in ("config", "workflows"):
        (folder / name).symlink_to(GROUNDS / name)
    table = (folder / "workflows" / "test" / "samples.tsv").read_text(encoding="utf-8").splitlines()
    (folder / "motif.tsv").write_text("\n".join(table[:2]) + "\n")
    return folder


SNAKEMAKE = (
    *(sys.executable, "-m", "snakemake", "--snakefile", str(GROUNDS / "Snakefile")),
    *("--configfile", "workflows/test/config.yaml", "--config", "samples=motif.tsv"),
)
ON_SLURM = (*SNAKEMAKE, "--workflow-profile", "workflows/profiles/slurm", *IMPATIENT)


def test_a_killed_job_is_tried_again_and_ends_at_the_same_bytes(
    tmp_path: Path, work: Path, world: dict[str, str]
) -> None:
    """The profile as it is shipped, on a SLURM that keeps no accounts; a job is cancelled amid its search."""
    log = tmp_path / "snakemake.log"
    run = work / "runs" / "workflow" / "motif"
    with open(log, "wb") as handle:
        workflow = subprocess.Popen([*ON_SLURM, *ON_A_SMALL_NODE], cwd=work, env=world, stdout=handle, stderr=handle)
        try:
            killed = kill_in(run / "model" / "tuning", "model", world, workflow)
            code = workflow.wait()
        finally:
            workflow.terminate()
    text = log.read_text(encoding="utf-8")
    assert code == 0, text
    assert killed is not None, text
    assert f"SLURM-job '{killed}' failed, SLURM status is: 'CANCELLED'" in text
    assert re.search(r"Trying to restart job \d+", text), text
    assert "`squeue` is asked what became of jobs" in text

    submitted = re.findall(r"slurm_logs/(rule_\w+/[^/]+)/(\d+)\.log\)", text)
    assert killed in {number for _, number in submitted}
    jobs = [job for job, _ in submitted]
    assert sorted(jobs) == sorted([*set(jobs), "rule_model/motif"])  # the killed one twice
    said_by_model = (work / "runs" / "workflow" / "logs" / "model" / "motif.log").read_text(encoding="utf-8")
    assert len(re.findall(r"^# \d{4}-", said_by_model, flags=re.MULTILINE)) == 2

    alone = tmp_path / "alone"
    work.rename(alone)
    shutil.move(alone / "runs", tmp_path / "on_slurm")
    subprocess.run([*SNAKEMAKE, "--cores", "1", "--quiet"], cwd=alone, env=world, check=True)
    here, there = alone / "runs" / "workflow" / "motif", tmp_path / "on_slurm" / "workflow" / "motif"
    for name in (
        *("folds/splits.tsv", "folds/1/model.safetensors", "folds/2/model.safetensors", "folds.tsv"),
        *(f"model/{each}" for each in ("model.safetensors", "predictions.tsv", "metrics.json", "robustness.json")),
        *("model/norm.json", "evaluation.json", "predictions.tsv"),
    ):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name


def test_what_would_wait_for_ever_is_refused(work: Path, world: dict[str, str]) -> None:
    more = (os.cpu_count() or 1) + 1
    done = subprocess.run(
        [*ON_SLURM, "--set-threads", f"benchmark_cells={more}"],
        cwd=work,
        env=world,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"A job of benchmark_cells asks for {more} cores, and no node has more than" in done.stdout + done.stderr
    assert said(["squeue", "--noheader"], world) == ""
