"""seqreg as others install it: from a wheel, from a source distribution and as a checkout, in fresh environments.

Only what it depends on is borrowed, from the environment of the tests, so that nothing is downloaded.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages import GROUNDS

pytestmark = pytest.mark.slow

MADE = (
    "build",
    "dist",
    "site",
    "runs",
    "htmlcov",
    ".git",
    ".venv",
    "*.egg-info",
    ".*cache",
    ".hypothesis",
    ".coverage",
)
TRAIN = ("train", "splice", "--model", "cnn:filters=4", "--epochs", "2", "--no-baselines", "-o", "run")


def run(*words: str | Path, cwd: Path) -> str:
    """What a program says; its own interpreter looks nowhere else, and warnings of the build's tools are errors."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "OMP_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1"}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, in a folder that has its name."""
    copy = tmp_path_factory.mktemp("holds") / "seqreg"
    made, compiled = shutil.ignore_patterns(*MADE), shutil.ignore_patterns("__pycache__")
    shutil.copytree(GROUNDS, copy, ignore=lambda at, names: (made if Path(at) == GROUNDS else compiled)(at, names))
    return copy


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Path]:
    """Installs something in a fresh environment, and gives the folder of its programs."""

    def install(*words: str | Path) -> Path:
        place = tmp_path / "environment"
        venv.create(place, symlinks=True)
        paths = {"base": str(place), "platbase": str(place)}
        packages = Path(sysconfig.get_path("purelib", vars=paths))
        (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        interpreter = Path(sysconfig.get_path("scripts", vars=paths), "python")
        pip = (sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-index", "--no-deps")
        run(*pip, "--no-build-isolation", "--ignore-installed", *words, cwd=tmp_path)
        return interpreter.parent

    return install


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_built_is_installed_and_trains(
    kind: str, checkout: Path, installed: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "built").mkdir()
    build = f"from setuptools.build_meta import build_{kind} as build; build({str(tmp_path / 'built')!r})"
    said = run(sys.executable, "-W", "error", "-c", build, cwd=checkout)
    assert [line for line in said.splitlines() if re.search(r"\bwarn|deprecat", line, re.IGNORECASE)] == []
    (built,) = (tmp_path / "built").iterdir()
    programs = installed(built)
    where = run(programs / "python", "-c", "import seqreg; print(seqreg.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    said = run(programs / "seqreg", *TRAIN, cwd=tmp_path)
    assert "Wrote run" in said
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_script_beside_the_checkout_finds_the_package(checkout: Path, installed: Callable[..., Path]) -> None:
    """Its folder comes first on the path, and holds a folder named as the package is."""
    (options,) = re.findall(
        r"^INSTALL := .*?(--config-settings \S+)", (checkout / "Makefile").read_text(), re.MULTILINE
    )
    programs = installed(*options.split(), "-e", checkout)
    script = checkout.parent / "script.py"
    script.write_text("from seqreg import SequenceClassifier\nprint(SequenceClassifier.__module__)\n", encoding="utf-8")
    assert run(programs / "python", script, cwd=checkout.parent).strip() == "seqreg.estimator.classifier"
