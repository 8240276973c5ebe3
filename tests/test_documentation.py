"""Tutorials, notebooks and the how-to page on export are run as they stand, in a folder that looks like a checkout.

A block that has a file's name for its title is that file; otherwise as for the README, except that a page's commands
come before its Python.
"""

import sys
from pathlib import Path

import nbformat
import pytest

from seqreg.cli.families import FAMILIES
from seqreg.sequences import InputSpec, read_input
from seqreg.training import TrainConfig, train
from tests.pages import GROUNDS, blocks, commands, files, provide, run, run_python, run_shell

DOCS = GROUNDS / "docs"


@pytest.fixture
def checkout(tmp_path: Path, warm: str) -> Path:
    for name in ("Snakefile", "config", "workflows"):
        (tmp_path / name).symlink_to(GROUNDS / name)
    provide(tmp_path, warm, "snakemake")
    return tmp_path


PAGES = [
    *sorted((DOCS / "tutorials").glob("*.md")),
    pytest.param(DOCS / "how-to" / "export.md", marks=pytest.mark.onnx),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages(checkout: Path, page: Path) -> None:
    if page.stem == "workflow":
        pytest.importorskip("snakemake", reason="the extra `workflow` is not installed")
    if page.parent.name == "how-to":
        train_mine(checkout)
    for name, content in files(page).items():
        (checkout / name).write_text(content, encoding="utf-8")
    program = "\n".join(blocks(page, "python"))
    assert program or blocks(page, "console")
    if blocks(page, "console"):
        run_shell(checkout, commands(page))
    if program:
        run_python(checkout, program)


def train_mine(checkout: Path) -> None:
    """`runs/mine`, which how-to pages take for granted."""
    paths = {name: checkout / "workflows" / "test" / f"{name}.fa" for name in ("positive", "negative")}
    data = read_input(InputSpec(pos=paths["positive"], neg=paths["negative"]))
    config = TrainConfig(model="cnn:filters=16,width=8", epochs=10, baselines=False)
    train(data, config, checkout / "runs" / "mine")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks(checkout: Path, notebook: Path) -> None:
    """They run from the top, and were committed as a run from the top leaves them."""
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    again = checkout / notebook.name
    again.write_bytes(notebook.read_bytes())
    run(checkout, sys.executable, "-c", "from nbclient.cli import main; main()", "--inplace", str(again))


def test_pictures_are_light() -> None:
    pictures = [path for path in DOCS.rglob("*") if path.suffix in {".svg", ".png", ".ipynb"}]
    assert sum(path.stat().st_size for path in pictures) < 1_000_000


def test_every_penalty_is_named_where_people_choose_one() -> None:
    page = (DOCS / "how-to" / "penalty.md").read_text(encoding="utf-8")
    assert [name for name in FAMILIES["penalties"].members() if f"`{name}" not in page] == []
