"""Work that is killed goes on: no piece twice, the same bytes at the end, nothing left behind."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from seqreg.errors import SeqregError, UsageError
from seqreg.records import write_tsv
from seqreg.sequences import SequenceSet
from seqreg.unfinished import Piece, Unfinished, afresh, unfinished

PIECES: list[dict[str, Any]] = [
    {"scores": np.array([[1.5, np.nan], [-0.0, np.inf]]), "auroc": 0.1 + 0.2, "names": ["ä", "b"]},
    {"ids": np.arange(6, dtype=np.uint8).reshape(2, 3), "right": np.array([True, False]), "auroc": None},
    {"nothing": np.zeros((0, 3), dtype=np.float32)},
    {"rows": [["1", "x"]], "much": np.arange(999)},
]


def work(path: Path, made: list[int], **about: Any) -> list[Piece]:
    """All pieces, through a file; the numbers of those computed are added to `made`."""

    def compute(number: int) -> Piece:
        made.append(number)
        return PIECES[number]

    with unfinished(path, **about) as once:
        return [once(functools.partial(compute, number)) for number in range(len(PIECES))]


def same(found: list[Piece]) -> None:
    for one, other in zip(found, PIECES, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            if isinstance(value, np.ndarray):
                assert (one[name].dtype, one[name].shape, one[name].tobytes()) == (
                    *(value.dtype, value.shape),
                    value.tobytes(),
                )
            else:
                assert one[name] == value


def test_wherever_the_file_is_cut_what_is_whole_is_read_and_the_rest_computed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pieces"
    made: list[int] = []
    same(work(path, made, of="this"))
    assert made == [0, 1, 2, 3]
    whole = path.read_bytes()
    first = 0
    for length in [*range(0, len(whole), 37), len(whole)]:
        path.write_bytes(whole[:length])
        made = []
        same(work(path, made, of="this"))
        assert made == list(range(4 - len(made), 4))
        assert len(made) <= 4 - first
        first = 4 - len(made)
        assert path.read_bytes() == whole
    assert first == 4


def test_a_damaged_piece_and_those_of_other_work_are_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "pieces"
    work(path, [], of="this")
    whole = bytearray(path.read_bytes())
    whole[-5] ^= 1
    path.write_bytes(whole)
    made: list[int] = []
    same(work(path, made, of="this"))
    assert made == [3]
    made.clear()
    same(work(path, made, of="that"))
    assert made == [0, 1, 2, 3]


def test_two_at_a_time_do_not_write_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "pieces"
    work(path, [], of="this")
    before = path.read_bytes()
    with Unfinished(path, of="this"):
        made: list[int] = []
        same(work(path, made, of="this"))
        assert made == [0, 1, 2, 3]
        assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]
    same(work(path, made, of="this"))
    assert made == [0, 1, 2, 3]


def stopped_by(error: type[BaseException], path: Path) -> None:
    with Unfinished(path) as once:
        once(lambda: PIECES[0])
        raise error("over")


def test_the_file_stays_after_a_kill_and_goes_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "pieces"
    for error, stays in ((KeyboardInterrupt, True), (MemoryError, True), (SeqregError, False)):
        with pytest.raises(error):
            stopped_by(error, path)
        assert path.exists() == stays
    with pytest.raises(UsageError, match="cannot write"):
        Unfinished(Path("/dev/null/pieces")).__enter__()
    with unfinished(None, of="this") as once:
        assert once is afresh
    assert os.listdir(tmp_path) == []


# ---- every long stage of every command

Call = Callable[..., CompletedProcess[str]]


class Time:
    """So many pieces and epochs may be computed before the next one is interrupted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.spent = 10**9, 0
        monkeypatch.setattr("seqreg.training.loop.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
        from seqreg.training import loop

        once, save_checkpoint = Unfinished.__call__, loop.save_checkpoint

        def counted(kept: Unfinished, compute: Callable[[], Piece]) -> Piece:
            def within_time() -> Piece:
                if self.left == 0:
                    raise KeyboardInterrupt
                self.spend()
                return compute()

            return once(kept, within_time)

        def saved(*state: Any) -> None:
            save_checkpoint(*state)
            self.spend()
            if self.left < 0:
                raise KeyboardInterrupt

        monkeypatch.setattr(Unfinished, "__call__", counted)
        monkeypatch.setattr(loop, "save_checkpoint", saved)

    def spend(self) -> None:
        self.left -= 1
        self.spent += 1


@pytest.fixture
def table(tmp_path: Path, plant: Callable[..., SequenceSet]) -> Path:
    """90 labelled sequences of DNA, of one length."""
    from seqreg.alphabet import DNA

    data = plant(DNA, "TGACGTCA", n=90, shortest=24, longest=24)
    rows = [(name, data.sequence(i), data.classes[data.y[i]]) for i, name in enumerate(data.names)]  # pyright: ignore[reportOptionalSubscript]
    write_tsv(tmp_path / "data.tsv", ("id", "sequence", "label"), rows)
    return tmp_path / "data.tsv"


SMALL = ("--model", "cnn:filters=4,width=5", "--epochs", "3")
RUN = ("model.safetensors", "model.json", "metrics.json", "predictions.tsv", "calibration.json", "history.tsv")


@pytest.mark.parametrize(
    ("words", "each", "files"),
    [
        (("train", *SMALL, "--no-baselines"), 4, RUN),
        (("train", *SMALL[:2], "--epochs", "1"), 15, RUN),
        (("train", "--model", "sum:spectrum=2,filters=4,width=5", "--epochs", "2", "--no-baselines"), 5, RUN),
        (("train", "--model", "sum:average=true,filters=4,width=5", "--epochs", "2", "--no-baselines"), 12, RUN),
        (("baseline",), 15, RUN[:4]),
        (("tune", *SMALL[:2], "--epochs", "2", "--trials", "3", "--workers", "1", "--no-baselines"), 8, RUN),
    ],
)
@pytest.mark.usefixtures("few_strengths")
def test_a_run_that_is_killed_goes_on(
    words: tuple[str, ...],
    each: int,
    files: tuple[str, ...],
    tmp_path: Path,
    table: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calibration, cross-validation, stacking and baselines, with time for so many pieces in each attempt."""
    clock = Time(monkeypatch)
    command = (words[0], table, *words[1:], "--resume", "-o")
    assert call(*command, tmp_path / "whole").returncode == 0
    total, clock.spent = clock.spent, 0
    attempts = ended_at_last(clock, each, lambda: call(*command, tmp_path / "cut"))
    assert clock.spent == total, "a piece was computed twice"
    assert attempts > 2
    for name in files:
        runs = tmp_path / "whole", tmp_path / "cut"
        whole, cut = ((run / name).read_bytes().replace(str(run).encode(), b"RUN") for run in runs)
        assert whole == cut, name
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }
    assert not (tmp_path / "cut" / "checkpoint").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("robustness", "--max-substitutions", "2", "--batch-size", "16"),
        ("robustness", "--max-substitutions", "1", "--edits", "substitution+deletion", "--batch-size", "16"),
        ("predict",),
        ("predict", "--scan", "2", "--window", "20"),
    ],
)
def test_a_use_of_a_model_that_is_killed_goes_on(
    words: tuple[str, ...], tmp_path: Path, table: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Robustness, predictions and scans, with time for two pieces in each attempt."""
    monkeypatch.setattr("seqreg.cli.predicting.PIECE", 16)
    monkeypatch.setattr("seqreg.sequences.windows._WINDOWS", 32)
    assert call("train", table, *SMALL, "--no-baselines", "-o", tmp_path / "run").returncode == 0
    clock = Time(monkeypatch)
    command = (words[0], tmp_path / "run", table, *words[1:], "-o")
    assert call(*command, tmp_path / "whole.json").returncode == 0
    total, clock.spent = clock.spent, 0
    attempts = ended_at_last(clock, 2, lambda: call(*command, tmp_path / "cut.json"))
    assert clock.spent == total, "a piece was computed twice"
    assert attempts == -(-total // 2) > 2
    whole, cut = ({p.suffix: p.read_bytes() for p in tmp_path.glob(f"{name}.*")} for name in ("whole", "cut"))
    assert whole == cut


def ended_at_last(clock: Time, each: int, command: Callable[[], CompletedProcess[str]]) -> int:
    """How many attempts it took, with time for so many pieces in each."""
    for attempt in range(1, 100):
        before, clock.left = clock.spent, each
        done = command()
        if done.returncode == 0:
            return attempt
        assert done.returncode == 130, done.stderr
        assert clock.spent > before, "an attempt without progress"
    raise AssertionError("it never ended")


def test_other_options_start_anew(tmp_path: Path, table: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("train", table, *SMALL, "--no-baselines", "-o", tmp_path / "run").returncode == 0
    clock = Time(monkeypatch)
    command = ("robustness", tmp_path / "run", table, "--batch-size", "16", "-o", tmp_path / "r.json")
    clock.left = 3
    assert call(*command, "--max-substitutions", "2").returncode == 130
    clock.left, clock.spent = 10**9, 0
    assert call(*command, "--max-substitutions", "1").returncode == 0
    assert clock.spent == 6
