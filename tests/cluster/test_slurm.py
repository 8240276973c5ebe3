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
from seqreg.records import read_json, read_tsv

GROUNDS = Path(seqreg.__file__).parent.parent
SCRIPT = Path(__file__).parent / "slurm.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
SYSTEM = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
# Without accounting, squeue knows what became of a job.
WITHOUT_ACCOUNTING = (
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "5"),
)
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


def kill_a_running(rule: str, world: dict[str, str], workflow: "subprocess.Popen[bytes]") -> str | None:
    """Cancel the first job of a rule that runs, and return its number; None if the workflow ends before."""
    while workflow.poll() is None:
        for line in said(["squeue", "--noheader", "--states=R", "--format=%i %k"], world).splitlines():
            number, _, comment = line.partition(" ")
            if comment.startswith(f"rule_{rule}_"):
                subprocess.run(["scancel", number], env=world, check=True)
                return number
        time.sleep(0.5)
    return None


def test_a_killed_job_is_tried_again_and_all_results_come(tmp_path: Path, world: dict[str, str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for name in ("config", "workflows"):
        (work / name).symlink_to(GROUNDS / name)
    table = (work / "workflows" / "test" / "samples.tsv").read_text(encoding="utf-8").splitlines()
    (work / "motif.tsv").write_text("\n".join(table[:2]) + "\n")  # one sample goes through every rule
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(GROUNDS / "Snakefile")]
    command += ["--configfile", "workflows/test/config.yaml", "--config", "samples=motif.tsv"]
    command += ["--workflow-profile", "workflows/profiles/slurm", *WITHOUT_ACCOUNTING, *ON_A_SMALL_NODE]
    log = tmp_path / "snakemake.log"
    with open(log, "wb") as handle:
        workflow = subprocess.Popen(command, cwd=work, env=world, stdout=handle, stderr=handle)
        try:
            killed = kill_a_running("fold", world, workflow)
            code = workflow.wait()
        finally:
            workflow.terminate()
    text = log.read_text(encoding="utf-8")
    assert code == 0, text
    assert killed is not None, text
    assert f"SLURM-job '{killed}' failed, SLURM status is: 'CANCELLED'" in text
    assert re.search(r"Trying to restart job \d+", text), text

    submitted = set(re.findall(r"SLURM jobid '?(\d+)", text))
    assert killed in submitted
    planned = re.search(r"^total +(\d+)$", text, flags=re.MULTILINE)
    assert planned is not None, text
    assert len(submitted) == int(planned[1])  # one more for the killed job, one less for `all`, which runs no command
    results = work / "runs" / "workflow"
    assert len(read_json(results / "motif" / "folds.json")["runs"]) == 2
    assert len(read_tsv(results / "motif" / "predictions.tsv")) == 10
    assert len(read_tsv(results / "benchmark" / "suite" / "results.tsv")) == 4
