"""Killed at any write, or out of room: every file under its final name is whole, and going on ends at the same bytes.

A command runs in a process forked from this one, which kills itself by signal 9 at the n-th of the moments at which
something of a file reaches the disk: before a file is flushed, before it is put in place, and after.
"""

import json
import os
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors import safe_open

from seqreg.alphabet import DNA, PROTEIN
from seqreg.cli import app
from seqreg.sequences import write_fasta
from tests.conftest import planted

KILLS = 20
SMALL = ("--model", "cnn:filters=4,width=5", "--epochs", "2", "--device", "cpu", "--threads", "1", "--quiet")
TUNING = ("--trials", "2", "--workers", "1", "--no-baselines")
# What of a run depends on nothing but its command; run.json and the pages hold times too.
RESULTS = {
    *("model.json", "model.safetensors", "metrics.json", "predictions.tsv", "calibration.json", "history.tsv"),
    *("splits.tsv", "config.json", "files.json", "motifs.json", "suite.json", "results.tsv"),
}
SUITE = """
title = "One set, one size"
protocol = "small-data"
data = ["splice"]
sizes = [20]
folds = 2
most_tested = 50
reference = "CNN"
network = { epochs = 1, model = "cnn:filters=4,width=5" }
methods = [
    { name = "CNN", set = { weight_decay = 0.0 } },
    { name = "k-mers", learner = "kmer-logistic", set = { k = 2, folds = 2 } },
    { name = "majority", learner = "majority" },
]
"""
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "data.fa", *SMALL, "--no-baselines", "--resume", "-o", "out/run"),
    "folds": (
        "train",
        "data.fa",
        *SMALL,
        "--folds",
        "2",
        "--repeats",
        "1",
        "--no-baselines",
        "--resume",
        "-o",
        "out/run",
    ),
    "train of values": (
        *("train", "values.csv", "--model", "sum:spectrum=1,filters=4,width=5,neighbours=20", "--folds", "2"),
        *(*SMALL[2:], "--no-baselines", "--resume", "-o", "out/run"),
    ),
    "baseline": ("baseline", "data.fa", "--model", "kmer-logistic:k=2", "--quiet", "--resume", "-o", "out/run"),
    "tune": ("tune", "data.fa", *SMALL, *TUNING, "--resume", "-o", "out/run"),
    "benchmark": ("benchmark", "suite.toml", "-o", "out/suite", "--device", "cpu", "--quiet"),
    "encode": ("encode", "data.fa", "-o", "out/store.h5"),
    "predict": ("predict", "run", "data.fa", "-o", "out/predictions.tsv", "--quiet"),
    "robustness": ("robustness", "run", "data.fa", "--max-substitutions", "1", "-o", "out/robustness.json", "--quiet"),
}


def in_a_fork(words: tuple[str, ...], *, kill_at: int | None = None) -> tuple[int, int]:
    """Exit status as `os.waitpid` gives it, and the number of moments that were passed where nothing was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os._exit(_run(words, kill_at, writer))
        except BaseException:  # noqa: BLE001  # nothing of the parent may run twice
            traceback.print_exc()
            os._exit(99)
    os.close(writer)
    with os.fdopen(reader) as told:
        passed = told.read()
    return os.waitpid(child, 0)[1], int(passed or 0)


def _run(words: tuple[str, ...], kill_at: int | None, writer: int) -> int:
    passed = 0

    def moment() -> None:
        nonlocal passed
        passed += 1
        if passed == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
        def within(*args: Any, **kwargs: Any) -> Any:
            moment()
            result = function(*args, **kwargs)
            if after:
                moment()
            return result

        return within

    os.fsync, os.replace = around(os.fsync, after=False), around(os.replace, after=True)
    from seqreg.training import loop

    loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    code = 0
    try:
        app(list(words))
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    os.write(writer, str(passed).encode())
    return code


def files(folder: Path) -> dict[str, bytes]:
    """What lies under final names; what is unfinished has names of its own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((".", "pieces")) and path.suffix not in (".unfinished", ".lock")
        if path.parent.name != "locks"  # which are empty
    }


def check_whole(folder: Path) -> None:
    for name, content in files(folder).items():
        path = folder / name
        match path.suffix:
            case ".json":
                json.loads(content)
            case ".tsv":
                lines = content.decode().split("\n")
                assert lines[-1] == ""
                assert len({line.count("\t") for line in lines[:-1]}) == 1, name
            case ".safetensors":
                with safe_open(path, framework="np") as stored:
                    assert [stored.get_tensor(key) for key in stored.keys()]  # noqa: SIM118  # not a mapping
            case ".h5":
                with h5py.File(path) as stored:
                    assert len(stored)
            case ".html":
                assert content.rstrip().endswith(b"</html>")
            case ".svg":
                assert content.rstrip().endswith(b"</svg>")
            case _:
                assert content


def results(folder: Path) -> dict[str, bytes]:
    found = files(folder)
    kept = {name: found[name] for name in found if "/" not in name or Path(name).name in RESULTS}
    return {name: without_seconds(name, content) for name, content in kept.items()}


def without_seconds(name: str, content: bytes) -> bytes:
    """A file without what says how long something took: a column of results.tsv."""
    if not name.endswith("results.tsv"):
        return content
    rows = [line.split("\t") for line in content.decode().splitlines()]
    took = rows[0].index("seconds")
    return "\n".join("\t".join(row[:took] + row[took + 1 :]) for row in rows).encode()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_fasta("data.fa", planted(DNA, "TGACGTCA"))
    Path("suite.toml").write_text(SUITE)
    codes = np.random.default_rng(0).integers(20, size=(40, 12))
    rows = [f"s{i},{PROTEIN.decode(row.astype(np.uint8))},{row[2] + row[5] / 7}" for i, row in enumerate(codes)]
    Path("values.csv").write_text("\n".join(["id,sequence,value", *rows]) + "\n")
    assert in_a_fork(("train", "data.fa", *SMALL, "--no-baselines", "-o", "run"))[0] == 0
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_whenever_it_is_killed_files_are_whole_and_it_goes_on(command: str, workplace: Path) -> None:
    status, total = in_a_fork(COMMANDS[command])
    assert status == 0
    wanted = results(workplace / "out")
    assert total > 2
    for number, moment in enumerate(sorted({round(n) for n in np.linspace(1, total, KILLS)})):
        (workplace / "out").rename(workplace / f"out-{number}")
        (workplace / "out").mkdir()
        status, _ = in_a_fork(COMMANDS[command], kill_at=moment)
        assert os.WIFSIGNALED(status), f"moment {moment} of {total}"
        check_whole(workplace / "out")
        status, _ = in_a_fork(COMMANDS[command])
        assert status == 0, f"moment {moment} of {total}"
        assert results(workplace / "out") == wanted, f"moment {moment} of {total}"


@pytest.fixture
def small_disk(workplace: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = workplace / "out"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system of 2 MB can be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_wherever_the_disk_is_full_the_file_is_named_and_it_goes_on(
    command: str, small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = small_disk
    assert in_a_fork(COMMANDS[command])[0] == 0
    wanted = results(place)
    used = sum(len(content) for content in files(place).values())
    refused = 0
    for share in (0.0, 0.01, 0.1, 0.3, 0.6, 0.9):
        subprocess.run("rm -rf out/* out/.[!.]*", shell=True, check=True)
        free = os.statvfs(place)
        filler = place / ".filler"
        filler.write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - round(share * used))))
        capfd.readouterr()
        status, _ = in_a_fork(COMMANDS[command])
        said = capfd.readouterr().err
        if status:
            refused += 1
            assert os.WEXITSTATUS(status) == 1, said
            assert "Error: cannot" in said
            assert "out/" in said
            assert "No space left on device" in said
            assert "Traceback" not in said
        check_whole(place)
        filler.unlink()
        assert in_a_fork(COMMANDS[command])[0] == 0, capfd.readouterr().err
        assert results(place) == wanted
    assert refused
