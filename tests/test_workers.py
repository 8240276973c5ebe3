"""Work that several processes share: each piece is done once, and a lock ends with the process that holds it."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from seqreg.errors import DiskFullError, SeqregError
from seqreg.locks import Lock
from seqreg.workers import AHEAD, Results, SideBySide, in_processes, one_after_another

KEYS = [f"piece{i}" for i in range(12)]


def hold(path: Path, taken: Connection) -> None:
    """Take the lock, say so, and never give it back."""
    lock = Lock(path)
    taken.send(lock.take())
    time.sleep(600)


def test_a_lock_is_held_by_one_process_until_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine, other = Lock(path), Lock(path)
    assert mine.take()
    assert not other.take()
    mine.give_back(remove=False)
    start = multiprocessing.get_context("spawn")
    here, there = start.Pipe()
    holder = start.Process(target=hold, args=(path, there), daemon=True)
    holder.start()
    assert here.poll(60)
    assert here.recv()
    assert not mine.take()
    holder.kill()
    holder.join()
    assert mine.take()
    mine.give_back(remove=True)
    assert os.listdir(tmp_path) == []


def work(results: Results, parent: int) -> None:
    """Every piece that nobody else does; its record says who did it, and how that process was started."""
    assert os.getppid() == parent
    for _ in range(2):
        for key in KEYS:
            with results.claimed(key) as mine:
                if mine:
                    time.sleep(0.05)
                    with open(results.path / "log", "a", encoding="utf-8") as log:
                        log.write(f"{key}\n")
                    results.save(key, {"pid": os.getpid(), "start": multiprocessing.get_start_method()})


def refuse(parent: int) -> None:
    raise DiskFullError("cannot write x: No space left on device")


def test_what_a_process_refuses_is_said_by_the_parent(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DiskFullError, match="cannot write x"):
        in_processes(refuse, workers=2, tell=lambda: None)
    assert capfd.readouterr().err == ""


def die(parent: int) -> None:
    os._exit(3)


def test_processes_of_their_own_share_the_pieces(tmp_path: Path) -> None:
    """Started afresh (`spawn`), as on every operating system, whatever this one's habit is."""
    results, told = Results(path=tmp_path), []
    results.create()
    in_processes(work, results, workers=2, tell=lambda: told.append(1))
    records = [results.record(key) for key in KEYS]
    assert {record["start"] for record in records if record} == {"spawn"}
    assert os.getpid() not in {record["pid"] for record in records if record}
    assert sorted((tmp_path / "log").read_text().split()) == sorted(KEYS)
    assert os.listdir(tmp_path / "locks") == []
    assert told
    with pytest.raises(SeqregError, match=r"2 of 2 processes died \(exit code 3\)"):
        in_processes(die, workers=2, tell=lambda: None)


def piece(folder: Path, i: int) -> dict[str, int]:
    """The square of i, and who computed it."""
    (folder / f"{os.getpid()}").touch()
    if i < 0:
        os._exit(7)
    return {"square": i * i}


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_give_what_one_gives_in_order(tmp_path: Path, workers: int) -> None:
    numbers, told = list(range(9)), []
    side = SideBySide(workers=workers, pays=1e-9, estimate=told.append)
    function = partial(piece, tmp_path)
    assert list(side(function, numbers)) == list(one_after_another(function, numbers))
    seen = {int(path.name) for path in tmp_path.iterdir()}
    assert os.getpid() in seen
    assert (len(seen) > 1) == (workers > 1)
    assert len(told) == 1
    assert told[0] > 0


def test_processes_are_started_only_where_they_pay(tmp_path: Path) -> None:
    list(SideBySide(workers=3, pays=1e9)(partial(piece, tmp_path), list(range(9))))
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_pieces_that_were_kept_are_not_computed(tmp_path: Path) -> None:
    kept = iter([{"square": 0}] * 4)
    side = SideBySide(workers=2, once=lambda compute: next(kept, None) or compute())
    assert [each["square"] for each in side(partial(piece, tmp_path), list(range(6)))] == [0] * 4 + [16, 25]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_gives_each_argument_with_its_piece_in_order(tmp_path: Path, workers: int) -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for i in range(40):
            read.append(i)
            yield i

    given = []
    for i, each in SideBySide(workers=workers, pays=1e-9).stream(partial(piece, tmp_path), numbers()):
        assert len(read) - len(given) <= AHEAD * workers, "read too far ahead"
        given.append((i, each["square"]))
    assert given == [(i, i * i) for i in range(40)]
    seen = {int(path.name) for path in tmp_path.iterdir()}
    assert os.getpid() in seen
    assert (len(seen) > 1) == (workers > 1)


def test_a_stream_starts_processes_only_once_they_pay(tmp_path: Path) -> None:
    list(SideBySide(workers=3, pays=1e9).stream(partial(piece, tmp_path), range(9)))
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_pieces_of_a_stream_that_were_kept_are_not_computed(tmp_path: Path) -> None:
    kept = iter([{"square": 0}] * 4)
    side = SideBySide(workers=2, pays=1e9, once=lambda compute: next(kept, None) or compute())
    stream = side.stream(partial(piece, tmp_path), range(6))
    assert [each["square"] for _, each in stream] == [0] * 4 + [16, 25]


def test_a_process_that_dies_in_a_stream_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SeqregError, match="a process died"):
        list(SideBySide(workers=2, pays=1e-9).stream(partial(piece, tmp_path), [1, -1, 2]))


def test_a_process_that_dies_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SeqregError, match="a process died"):
        list(SideBySide(workers=2, pays=1e-9)(partial(piece, tmp_path), [1, -1, 2]))
