"""What is written: whole files, through links, devices and pipes, with a name in every error."""

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from seqreg.errors import DiskFullError, UsageError
from seqreg.records import write_json
from seqreg.sequences import read_strings, write_store
from seqreg.writing import atomic_write, is_stream

TEXT = "a\tä\n"


def write(path: Path, text: str = TEXT) -> None:
    with atomic_write(path) as handle:
        handle.write(text)


def test_links_stay_and_their_targets_are_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link, chain, dangling = (tmp_path / name for name in ("far/target", "link", "chain", "dangling"))
    target.write_text("before")
    link.symlink_to("far/target")
    chain.symlink_to(link)
    dangling.symlink_to("far/new")
    for path in (link, chain, dangling):
        with atomic_write(path) as handle:
            handle.write(TEXT)
            assert (tmp_path / "far/target").read_text() in ("before", TEXT)
        assert path.is_symlink()
        assert path.read_text() == TEXT
    with pytest.raises(UnicodeEncodeError), atomic_write(link) as handle:
        handle.write("half\ud800")
    assert {path.name for path in target.parent.iterdir()} == {"target", "new"}
    assert target.read_text() == TEXT
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(UsageError, match="circle"):
        write(tmp_path / "round")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_mode_bits_are_kept(tmp_path: Path, mode: int) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "x").chmod(mode)
    write(tmp_path / "x")
    assert (tmp_path / "x").stat().st_mode & 0o7777 == mode
    write(tmp_path / "new")
    (tmp_path / "plain").touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_pipes_and_devices_are_written_through_to(tmp_path: Path) -> None:
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    write(pipe)
    reader.join(10)
    assert received == [TEXT]
    assert pipe.is_fifo()
    (tmp_path / "null").symlink_to("/dev/null")
    write(tmp_path / "null")
    with atomic_write(tmp_path / "null", "w+b") as handle:
        handle.write(b"one")
        handle.seek(0)
        assert handle.read() == b"one"
    assert Path("/dev/null").is_char_device()
    assert is_stream("/dev/null")
    assert is_stream(pipe)
    assert not is_stream(tmp_path)
    assert not is_stream(tmp_path / "absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null", "pipe"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_name_goes_on_where_it_is(tmp_path: Path, name: str) -> None:
    """It is a file with a line already: nothing of it may be lost."""
    with (tmp_path / "out").open("w") as out:
        program = f"from seqreg.records import write_tsv; print('before', flush=True); write_tsv('{name}', ['x'], [])"
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nx\n"
    assert os.listdir(tmp_path) == ["out"]


def test_a_store_goes_through_a_pipe_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    data = read_strings(["ACGT", "AAGT"], labels=["a", "b"], alphabet="dna")
    write_store(tmp_path / "pipe", data)
    reader.join(10)
    assert received[0].startswith(b"\x89HDF")


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"cannot write {tmp_path}: it is a folder"):
        write(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write .*/file/x: "):
        write(tmp_path / "file" / "x")


def test_a_full_disk_names_the_file() -> None:
    with pytest.raises(DiskFullError, match="cannot write /dev/full: No space left on device"):
        write(Path("/dev/full"))
    with pytest.raises(DiskFullError, match="cannot write /dev/full"):
        write_json("/dev/full", {"files": ["y" * 100_000]}, "files")


def test_a_command_leaves_devices_alone(tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text(
        "sequence,label\n" + "".join(f"ACGT{''.join(x)},{x[0]}\n" for x in itertools.product("ACGT", repeat=3))
    )
    before = sorted(os.listdir("/dev"))
    done: CompletedProcess[str] = call("split", "x.csv", "-o", "/dev/null")
    assert done.returncode == 0, done.stderr
    done = call("split", "x.csv", "-o", "/dev/full")
    assert (done.returncode, "cannot write /dev/full" in done.stderr) == (1, True)
    done = call("split", "x.csv", "-o", ".")
    assert (done.returncode, "it is a folder" in done.stderr) == (2, True)
    assert sorted(os.listdir("/dev")) == before
    assert os.listdir(tmp_path) == ["x.csv"]
