"""A folder belongs to who wrote it: what seqreg removes, what it leaves alone, and who may write at a time."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seqreg.errors import ModelError, SeqregError, UsageError
from seqreg.evaluation import evaluate
from seqreg.records import read_json
from seqreg.training import TrainConfig, train, train_baseline
from seqreg.training.claim import FOLDERS, NAMES, claim_folder, hold_folder, note_written, written_files
from seqreg.tuning import Halving, tune
from tests.conftest import put_json
from tests.test_training import planted

SMALL = TrainConfig(
    model="cnn:filters=2,width=5", epochs=1, baselines=False, calibration="none", device="cpu", penalty=(),
    reverse_complement=False,
)  # fmt: skip
OLD = sorted((Path(__file__).parent / "runs").glob("*/run"))


@pytest.fixture(autouse=True)
def no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time, and no part of what is asked here."""
    monkeypatch.setattr("seqreg.training.folder.evaluate", partial(evaluate, resamples=0))


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def put(path: Path) -> None:
    """Something of the user's, where seqreg has a file or a folder."""
    if path.name in FOLDERS:
        path.mkdir(parents=True)
        path = path / "mine"
    path.write_text("mine")


@pytest.mark.parametrize("name", [*NAMES, "files.json"])
@pytest.mark.parametrize("asked", [{}, {"overwrite": True}, {"resume": True}, {"resume": True, "overwrite": True}])
def test_what_seqreg_did_not_write_is_never_replaced(tmp_path: Path, name: str, asked: dict[str, bool]) -> None:
    put(tmp_path / name)
    before = tree(tmp_path)
    with pytest.raises(SeqregError, match=name):
        claim_folder(tmp_path, {"seed": 1, "input_sha256": "x"}, **asked)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("how", ["train", "baseline", "tune"])
def test_what_is_in_the_way_is_listed_and_nothing_changes(tmp_path: Path, how: str) -> None:
    for name in ("checkpoint", "tuning", "metrics.json", "report.html", "predictions.tsv"):
        put(tmp_path / name)
    before, data = tree(tmp_path), planted(40)
    begin: dict[str, Callable[..., object]] = {
        "train": train,
        "baseline": train_baseline,
        "tune": partial(tune, effort=Halving(trials=1)),
    }
    with pytest.raises(UsageError, match=r"metrics\.json, predictions\.tsv, report\.html, checkpoint, tuning\. Move"):
        begin[how](data, SMALL, output=tmp_path, overwrite=True)
    assert tree(tmp_path) == before


def test_a_folder_with_other_things_is_taken_and_they_outlive_every_run(tmp_path: Path) -> None:
    data, theirs = planted(60), {"notes.txt": b"mine", "logs": None, "logs/log.txt": b"an engine was here"}
    (tmp_path / "logs").mkdir()
    for name, content in theirs.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    train(data, SMALL, tmp_path)
    assert sorted(written_files(tmp_path) or ()) == sorted(
        {*os.listdir(tmp_path)} - {"notes.txt", "logs", "files.json"}
    )
    with pytest.raises(UsageError, match="already holds a run"):
        train_baseline(data, SMALL, tmp_path)
    train_baseline(data, SMALL, tmp_path, baseline="majority", overwrite=True)
    assert not (tmp_path / "history.tsv").exists()
    note_written(tmp_path, ["robustness.json"])
    put_json(tmp_path / "robustness.json", {})
    train(data, replace(SMALL, seed=1), tmp_path, resume=True, overwrite=True)
    assert not (tmp_path / "robustness.json").exists()
    assert tree(tmp_path).items() >= theirs.items()
    put(tmp_path / "checkpoint")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="did not write: checkpoint"):
        train(data, SMALL, tmp_path, overwrite=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.parent.name)
def test_runs_without_a_list_are_known_by_their_names(tmp_path: Path, old: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(old, run)
    (run / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="already holds a run"):
        claim_folder(run, {})
    assert not claim_folder(run, {}, overwrite=True)
    assert sorted(os.listdir(run)) == ["files.json", "notes.txt", *sorted({*os.listdir(old)} - {*NAMES})]


@pytest.mark.parametrize(
    "names", [["../notes.txt"], ["/etc/x"], [".."], ["a/b"], [""], "notes.txt", [1], None, ["files.json"]]
)
def test_a_list_that_was_tampered_with_removes_nothing(tmp_path: Path, names: Any) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "run" / "files.json").write_text(json.dumps({"files": names}))
    before = tree(tmp_path)
    with pytest.raises(ModelError, match=r"files\.json is no list"):
        claim_folder(tmp_path / "run", {}, overwrite=True)
    assert tree(tmp_path) == before


def test_listed_links_and_foreign_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    put(tmp_path / "precious" / "notes.txt")
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint").symlink_to(tmp_path / "precious")
    (run / "mine").mkdir()
    put_json(run / "files.json", {"files": ["checkpoint", "mine"]})
    claim_folder(run, {}, overwrite=True)
    assert (tmp_path / "precious" / "notes.txt").exists()
    assert sorted(os.listdir(run)) == ["files.json", "mine"]


# What `held` does, without the seconds that importing PyTorch takes.
HOLD = """
import sys
from pathlib import Path
from seqreg.locks import Lock
lock = Lock(Path(sys.argv[1], ".lock"))
print(int(lock.take()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("asked", [{}, {"overwrite": True}, {"resume": True}, {"resume": True, "overwrite": True}])
def test_of_two_processes_on_one_folder_one_refuses(tmp_path: Path, asked: dict[str, bool]) -> None:
    run, data = tmp_path / "run", planted(40)
    if asked:
        train(data, SMALL, run)
    run.mkdir(exist_ok=True)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "1\n"
    before = tree(run)
    for begin in (train, train_baseline):
        with pytest.raises(UsageError, match="another process is writing"):
            begin(data, SMALL, run, **asked)
    with pytest.raises(UsageError, match="another process is writing"):
        tune(data, SMALL, run, Halving(trials=1), **asked)
    assert tree(run) == before
    other.kill()  # and the lock goes with it
    other.communicate()
    train(data, SMALL, run, **asked)
    assert read_json(run / "run.json")["complete"]


def test_a_folder_that_nothing_was_put_into_is_removed_again(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), hold_folder(tmp_path / "a" / "b"):
        raise ValueError("stop")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="Choose a"), hold_folder(path):
            pass
