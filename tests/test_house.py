"""The laws of the house that neither ruff nor import-linter can see."""

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import is_dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import walk_packages

import pytest

import seqreg

HOUSE = Path(seqreg.__file__).parent
GROUNDS = HOUSE.parent
FILES = sorted(HOUSE.rglob("*.py"))
PYTORCH = tuple(int(number) for number in version("torch").split(".")[:2])

# Files longer than this want to become two rooms; LONG names the exceptions and why each is one.
LIMIT = 400
LONG: dict[str, str] = {}

HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "pandas", "h5py"}
FAMILIES = {"PENALTIES", "CONSTRAINTS", "ATTACKS", "MODELS", "ENCODINGS", "AUGMENTATIONS"}


def name(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def test_no_room_without_a_purpose() -> None:
    assert [name(path) for path in FILES if re.search(r"utils?$|helpers?$|misc|common|manager", path.stem)] == []


def test_files_are_short_enough_to_read() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {file: n for file, n in lines.items() if n > LIMIT}.keys() == LONG.keys()


def test_records_are_not_changed_once_made() -> None:
    """But for what a training keeps its state in, and what counts while it reads."""
    modules = [import_module(module.name) for module in walk_packages(seqreg.__path__, "seqreg.")]
    records = {
        f"{module.__name__}.{kind.__name__}": kind.__dataclass_params__
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == module.__name__
    }
    assert len(records) > 100
    changing = {record for record, about in records.items() if not about.frozen}
    assert changing == {"seqreg.training.checkpoint.FitState", "seqreg.cli.predicting.Scores"}


def test_nothing_is_pickled() -> None:
    pickling = re.compile(
        r"^\s*(import|from) (pickle|cloudpickle|dill|shelve)\b"
        r"|\btorch\.(load|save)\(|\bjoblib\.(load|dump)\(|allow_pickle=True",
        re.MULTILINE,
    )
    found = {name(path): path.read_text(encoding="utf-8") for path in FILES}
    assert [file for file, text in found.items() if pickling.search(text)] == ["vectors/pt_folder.py"]
    # ESM's files of vectors are pickles; PyTorch's reader makes nothing but tensors of them.
    loads = re.findall(r"torch\.load\([^)]*\)", found["vectors/pt_folder.py"])
    assert len(loads) == 1
    assert "weights_only=True" in loads[0]


def test_nothing_is_imported_that_only_some_operating_systems_have() -> None:
    alone = re.compile(
        r"^\s*(import|from) (fcntl|grp|msvcrt|posix|pty|pwd|resource|syslog|termios|tty|winreg)\b", re.MULTILINE
    )
    assert [name(path) for path in FILES if alone.search(path.read_text(encoding="utf-8"))] == []


def exact_pins() -> dict[str, str]:
    lines = (GROUNDS / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_dependency_has_one_exact_version() -> None:
    project = tomllib.loads((GROUNDS / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked_for = project["dependencies"] + [
        line for extra in project["optional-dependencies"].values() for line in extra
    ]
    assert {re.split(r"[\[<>=]", line)[0] for line in asked_for} <= exact_pins().keys()


def test_the_citation_names_this_version() -> None:
    assert f"\nversion: {seqreg.__version__}\n" in (GROUNDS / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["seqreg", "seqreg.cli"])
def test_starting_up_loads_nothing_heavy(module: str) -> None:
    listing = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], cwd=GROUNDS, capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def loaded_by(*words: str) -> set[str]:
    """The modules that a command loads; it must end well."""
    program = (
        "import sys\nfrom seqreg.cli import app\n"
        "try:\n    app(sys.argv[1:])\nfinally:\n    print('loaded:', *sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=GROUNDS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.partition("loaded: ")[2].split())


def test_runs_are_compared_without_torch(tmp_path: Path) -> None:
    """Figures, table and page of the run folders that are kept with the tests."""
    folders = [str(GROUNDS / "tests" / "runs" / name / "run") for name in ("cnn-protein-multi-label", "sum-dna")]
    loaded = loaded_by("compare", *folders, "-o", str(tmp_path / "both.json"))
    assert {path.name for path in tmp_path.iterdir()} == {"both.json", "both.tsv", "both.html"}
    assert "seqreg.report.comparison_page" in loaded
    assert "torch" not in loaded


def test_baselines_are_learned_without_torch() -> None:
    """By the process beside a training, which would load it for nothing."""
    listing = "import sys, seqreg.baselines.beside; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], cwd=GROUNDS, capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()


@pytest.mark.skipif(PYTORCH < (2, 13), reason="an older PyTorch loads its compiler by itself")
def test_a_network_is_asked_without_compilers_and_statistics(tmp_path: Path) -> None:
    """PyTorch's compiler, which brings sympy, and distributions take as long to load as a short command works."""
    folder = GROUNDS / "tests" / "runs" / "sum-dna"
    (tmp_path / "x.fa").write_text(">a\nACGTTGACGTCATTGACA\n>b\nTTGACCATGACGTCAATTGC\n", encoding="utf-8")
    loaded = loaded_by("predict", str(folder / "run"), str(tmp_path / "x.fa"), "-o", str(tmp_path / "predictions.tsv"))
    assert "torch" in loaded
    assert loaded & {"sympy", "torch.fx.experimental.symbolic_shapes", "scipy.stats", "scipy.optimize"} == set()


def family_names() -> list[str]:
    """The names in the literal dictionaries at the foot of the rooms: PENALTIES, MODELS, ..."""
    texts = [path.read_text(encoding="utf-8") for path in HOUSE.glob("*/__init__.py")]
    assignments = [
        node for text in texts for node in ast.parse(text).body if isinstance(node, ast.Assign | ast.AnnAssign)
    ]
    return [
        ast.literal_eval(key)
        for node in assignments
        if isinstance(node.value, ast.Dict) and any(family in ast.unparse(node).split("=")[0] for family in FAMILIES)
        for key in node.value.keys
        if key is not None
    ]


def test_names_on_the_command_line_are_kebab_case() -> None:
    assert family_names()
    assert [member for member in family_names() if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", member)] == []
