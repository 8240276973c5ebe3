"""The command line: every command on tiny data, how errors end, and what goes to which stream."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import seqreg
from seqreg.cli.families import FAMILIES
from seqreg.cli.terminal import Terminal
from tests.pages import GROUNDS, provide

Call = Callable[..., subprocess.CompletedProcess[str]]


def started(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command line as a program of its own."""
    command = [sys.executable, "-m", "seqreg", *words]
    return subprocess.run(command, cwd=GROUNDS, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("words", [["--help"], ["models", "--help"]])
def test_help_does_without_torch(words: list[str]) -> None:
    code = f"import sys; from seqreg.cli import app\ntry: app({words!r})\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=GROUNDS, capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert not {"torch", "numpy", "scipy", "sklearn"} & set(done.stderr.split())


def test_without_a_command_the_help_is_shown(call: Call) -> None:
    assert call().stdout == call("--help").stdout
    assert call("--version").stdout == f"seqreg {seqreg.__version__}\n"


@pytest.mark.parametrize("plural", FAMILIES)
def test_listings_name_every_member_and_field(plural: str, call: Call) -> None:
    members = FAMILIES[plural].members()
    printed = json.loads(call(plural, "--json").stdout)
    assert list(printed) == ["schema_version", plural]
    listed = printed[plural]
    assert list(listed) == list(members)
    for name, cls in members.items():
        assert {row["field"] for row in listed[name]["fields"]} == {entry.name for entry in fields(cls)}
        assert listed[name]["meaning"]
    lines = [line.split("\t") for line in call(plural).stdout.splitlines()]
    assert {len(line) for line in lines} == {5}
    assert {line[0] for line in lines[1:]} == set(members)
    first = next(iter(members))
    assert list(json.loads(call(plural, first, "--json").stdout)[plural]) == [first]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["modells"], "No such command 'modells'. "),
        (["models", "--jsn"], "No such option"),
        (["models", "cn"], "Unknown model 'cn'. Did you mean 'cnn'? Choose from: sum, cnn"),
        (["models", "sum", "cnn:widht=3"], "model 'cnn' has no field 'widht'. Its fields: "),
        (["models", "--config", "missing.toml"], "missing.toml: cannot be read: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(words: list[str], message: str, call: Call) -> None:
    result = call(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("words", "nearest"), [(["modells"], "models"), (["models", "--jsn"], "--json")])
def test_what_was_meant_is_named_in_the_words_of_any_typer(words: list[str], nearest: str, call: Call) -> None:
    said = call(*words).stderr
    assert nearest in said.removeprefix("Error:").replace(words[-1], "")


def test_a_config_file_gives_options_and_flags_win(tmp_path: Path, call: Call) -> None:
    config = tmp_path / "models.toml"
    config.write_text('json = true\nname = "cnn"\n')
    assert list(json.loads(call("models", "--config", config).stdout)["models"]) == ["cnn"]
    assert "Unknown model 'other'" in call("models", "other", "--config", config).stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jsn = true", "Unknown key 'jsn'. Did you mean 'json'?"),
        ("quiet = [true, true]", "quiet takes one value; got [True, True]"),
        ("json = ", "not a TOML file"),
    ],
)
def test_a_wrong_config_file_is_refused(text: str, message: str, tmp_path: Path, call: Call) -> None:
    config = tmp_path / "models.toml"
    config.write_text(text)
    result = call("models", "--config", config)
    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {config}: {message}")


def test_a_traceback_only_with_debug(call: Call) -> None:
    assert "Traceback" not in call("models", "cn").stderr
    assert "Traceback" in call("models", "cn", "--debug").stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Interrupted"),
        (MemoryError(), 1, "out of memory"),
        (OSError(28, "No space left on device", "x"), 1, "x: No space left on device"),
        (ZeroDivisionError("a\nb"), 1, "ZeroDivisionError: a b (--debug shows where)"),
    ],
)
def test_failures_have_exit_codes(
    error: BaseException, code: int, message: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("seqreg.cli.families.importlib.import_module", fail)
    result = call("models")
    assert result.returncode == code
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error(tmp_path: Path, warm: str) -> None:
    provide(tmp_path, warm)
    read, write = os.pipe()
    os.close(read)
    command = [tmp_path / "bin" / "seqreg", "models"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_completion_knows_the_commands() -> None:
    environment = {**os.environ, "_SEQREG_COMPLETE": "complete_bash", "COMP_WORDS": "seqreg mod", "COMP_CWORD": "1"}
    assert started(env=environment).stdout.split() == ["models"]


class Screen(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    remark = "loss 0.5, " * 20  # longer than the screen is wide
    said: dict[str, str] = {}
    for name, stream in (("screen", Screen()), ("file", io.StringIO())):
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        with Terminal().progress("Epoch") as moved:
            for done in range(5):
                moved(done, 4, remark)
        with Terminal().progress("Epoch") as moved:
            moved(4, 4)
            moved(9, 9, "all", "Calibration epoch")
        said[name] = stream.getvalue()
    assert said["file"] == f"Epoch 4 of 4: {remark}\nEpoch 4 of 4\nCalibration epoch 9 of 9: all\n"
    for shown in ("Epoch 4 of 4", "━━━━", "loss 0.5", "Calibration epoch 9 of 9"):
        assert shown in said["screen"]
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with Terminal(quiet=True).progress("Epoch") as moved:
        moved(4, 4, remark)
    assert sys.stderr.getvalue() == ""  # pyright: ignore[reportAttributeAccessIssue]
