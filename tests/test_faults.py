"""The faults that `make test-mutants` puts in by hand are still about the code, and bad files of them are refused."""

from pathlib import Path

import pytest

from tests.mutants.faults import difference, made_by_hand

ROOT = Path(__file__).parent.parent


def test_every_fault_is_found_once_and_makes_code() -> None:
    for fault in made_by_hand(ROOT):
        source = (ROOT / fault.file).read_text(encoding="utf-8")
        assert fault.applied(source) != source


@pytest.mark.parametrize(
    ("old", "file", "problem"),
    [("x = 1", "a.py", "occurs 2 times"), ("y", "a.py", "occurs 0 times"), ("x", "b.py", "no file b.py")],
)
def test_a_fault_that_fits_nowhere_is_named(tmp_path: Path, old: str, file: str, problem: str) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    (tmp_path / "tests" / "faults").mkdir(parents=True)
    text = f'[[fault]]\nfile = "{file}"\nold = "{old}"\nnew = "z"\nwhy = "a sign"\n'
    (tmp_path / "tests" / "faults" / "signs.toml").write_text(text)
    with pytest.raises(ValueError, match=rf"signs.toml, fault 1 \(a sign\).*{problem}"):
        made_by_hand(tmp_path)


@pytest.mark.parametrize(("old", "new"), [("a < b", "a <= b"), ("aa", "aaa"), ("f(x, y)", "f(x)"), ("xyx", "x")])
def test_a_difference_makes_one_text_of_the_other(old: str, new: str) -> None:
    assert difference("a.py", old, new, "").applied(old) == new
