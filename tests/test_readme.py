"""What the README shows is run as it stands, on tiny data in an empty folder.

```console blocks: the lines after `$ `, one shell for all blocks in order. ```python blocks: one program for all of
them in order. ```sh blocks (cloning, whole data sets, other people's files) are read, not run.
"""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import seqreg
from seqreg.sequences import SequenceSet

GROUNDS = Path(seqreg.__file__).parent.parent
README = (GROUNDS / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, dna: SequenceSet) -> Path:
    """The files that the README's commands read, and a `seqreg` command that runs this very code."""
    labelled = [(dna.names[i], dna.sequence(i), label) for i, label in enumerate(dna.y if dna.y is not None else [])]
    fasta = {
        kind: "".join(f">{name}\n{sequence}\n" for name, sequence, label in labelled if label == kind)
        for kind in (0, 1)
    }
    for kind, file in [(0, "neg.fa.gz"), (1, "pos.fa.gz")]:
        (tmp_path / file).write_bytes(gzip.compress(fasta[kind].encode()))
    (tmp_path / "new.fa").write_text(fasta[0] + fasta[1])
    rows = [f"{name},{sequence},{'positive' if label else 'negative'}" for name, sequence, label in labelled]
    (tmp_path / "test.csv").write_text("\n".join(["id,sequence,label", *rows]) + "\n")
    command = tmp_path / "bin" / "seqreg"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m seqreg "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Callable[[list[str]], None]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run_it(command: list[str]) -> None:
        world = os.environ | {"PATH": path, "PYTHONPATH": str(GROUNDS)}
        done = subprocess.run(command, cwd=folder, env=world, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run_it


def test_commands(run: Callable[[list[str]], None]) -> None:
    commands = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    assert commands
    run(["bash", "-euxo", "pipefail", "-c", "\n".join(commands)])


def test_python(run: Callable[[list[str]], None]) -> None:
    program = "\n".join(blocks("python"))
    assert program
    run([sys.executable, "-W", "error", "-c", program])


def test_nobody_is_sent_to_the_other_package_of_this_name() -> None:
    for path in [GROUNDS / "README.md", *GROUNDS.glob("docs/**/*.md"), *GROUNDS.glob("seqreg/**/*.py")]:
        assert not re.search(r"pip3? install (-\S+ )*['\"]?seqreg\b", path.read_text(encoding="utf-8")), path
