"""The laws of the house that neither ruff nor import-linter can see."""

import re
from pathlib import Path

import seqreg

HOUSE = Path(seqreg.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))

# Files longer than this want to become two rooms; LONG names the exceptions and why each is one.
LIMIT = 400
LONG: dict[str, str] = {}


def name(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def test_no_room_without_a_purpose() -> None:
    assert [name(path) for path in FILES if re.search(r"utils?$|helpers?$|misc|common|manager", path.stem)] == []


def test_files_are_short_enough_to_read() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {file: n for file, n in lines.items() if n > LIMIT}.keys() == LONG.keys()


def test_nothing_is_pickled() -> None:
    # ruff sees imports of pickle; these are the doors through which libraries pickle.
    pickling = re.compile(r"\btorch\.(load|save)\(|\bjoblib\.(load|dump)\(|allow_pickle=True")
    assert [name(path) for path in FILES if pickling.search(path.read_text(encoding="utf-8"))] == []
