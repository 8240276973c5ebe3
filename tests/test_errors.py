"""How errors name parameters: in Python's words, and on the command line in flags."""

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import seqreg
from seqreg.cli import app
from seqreg.cli.app import as_flag
from seqreg.errors import InputError, SeqregError, UsageError, in_python, option, word_options

HOUSE = Path(seqreg.__file__).parent
FILES = [path for path in sorted(HOUSE.rglob("*.py")) if "cli" not in path.relative_to(HOUSE).parts]


def names_of(command: Any) -> set[str]:
    """The flags of a command and of all below it, and its arguments."""
    below = getattr(command, "commands", {}).values()
    own = {text for entry in command.params for text in (*entry.opts, *entry.secondary_opts, entry.metavar)}
    return own.union(*map(names_of, below))


NAMES = names_of(typer.main.get_command(app))


def texts(node: ast.AST) -> Iterator[str]:
    """Every string in the source, an f-string as one, with {} for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from texts(child)


@pytest.mark.parametrize(
    ("written", "python", "flag"),
    [
        (option("max_length"), "max_length", "--max-length"),
        (option("max_length", 4), "max_length=4", "--max-length 4"),
        (option("gaps", "drop"), 'gaps="drop"', "--gaps drop"),
        (option("lr", 0.5), "lr=0.5", "--lr 0.5"),
        (option("overwrite", True), "overwrite=True", "--overwrite"),
        (option("baselines", False), "baselines=False", "--no-baselines"),
        (option("labels", 'é "x".tsv'), r'labels="é \"x\".tsv"', '--labels é "x".tsv'),
        (option("input"), "input", "INPUT"),
        (option("class_files"), "class_files", "--class"),
    ],
)
def test_an_option_is_a_parameter_or_a_flag(written: str, python: str, flag: str) -> None:
    message = f"a {written}, b {written}"
    assert in_python(message) == str(UsageError(message)) == f"a {python}, b {python}"
    assert word_options(message, as_flag) == f"a {flag}, b {flag}"
    assert flag.split(maxsplit=1)[0] in NAMES


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_of_input_survive_a_change_of_process(again: Any) -> None:
    error = InputError(f"bad {option('gaps')}", file="x.fa", record=2, record_id="b", remedy=f"Use {option('lr', 1)}.")
    assert str(again(error)) == str(error) == "x.fa, record 2 (b): bad gaps. Use lr=1."
    assert vars(again(error)) == vars(error)
    assert (error.problem, error.remedy) == ("bad gaps", "Use lr=1.")
    assert word_options(again(error).args[0], as_flag) == "x.fa, record 2 (b): bad --gaps. Use --lr 1."


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(HOUSE).as_posix())
def test_the_library_names_parameters(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    flag = re.compile(r"(?<![\w(-])--[a-z][a-z-]*")
    for text in texts(tree):
        said = re.sub(r"\bseqreg [a-z]+ .*", "", text)  # a command that is proposed as a whole
        assert NAMES.isdisjoint(flag.findall(said)), f"{said!r}: write option(...) in place of the flag"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "option":
            assert isinstance(node.args[0], ast.Constant)
            assert as_flag(node.args[0].value) in NAMES, f"no flag is named {node.args[0].value}"


def test_all_errors_speak_alike() -> None:
    kinds = {SeqregError, *SeqregError.__subclasses__(), *UsageError.__subclasses__()}
    assert {kind.__str__ for kind in kinds} == {SeqregError.__str__}
