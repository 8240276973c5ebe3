"""What the README shows is run as it stands, on tiny data in an empty folder.

console blocks: the lines after `$ `, one shell for all blocks in order. python blocks: one program for all of them in
order. sh blocks (cloning, whole data sets, other people's files) are read, not run.
"""

import gzip
import re
from pathlib import Path

import pytest

from seqreg.alphabet import DNA
from tests.conftest import planted
from tests.pages import GROUNDS, blocks, commands, provide, run_python, run_shell

README = GROUNDS / "README.md"


@pytest.fixture
def folder(tmp_path: Path, warm: str) -> Path:
    """The files that the README's commands read, and a `seqreg` command that runs this very code."""
    dna = planted(DNA, "TGACGTCA", n=30, shortest=20, longest=26)
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
    table = [f"{sequence},{label},{number // 4}" for number, (_, sequence, label) in enumerate(labelled)]
    (tmp_path / "sites.csv").write_text("\n".join(["sequence,label,family", *table]) + "\n")
    name, sequence, _ = labelled[0]
    other = next(letter for letter in "ACGT" if letter != sequence[4])
    (tmp_path / "variants.tsv").write_text(f"{name}\t5{sequence[4]}>{other}\n")
    provide(tmp_path, warm)
    return tmp_path


def test_commands(folder: Path) -> None:
    run_shell(folder, commands(README))


def test_python(folder: Path) -> None:
    run_python(folder, "\n".join(blocks(README, "python")))


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (GROUNDS / link).is_file()] == []


def test_nobody_is_sent_to_the_other_package_of_this_name() -> None:
    for path in [README, *GROUNDS.glob("docs/**/*.md"), *GROUNDS.glob("seqreg/**/*.py")]:
        assert not re.search(r"pip3? install (-\S+ )*['\"]?seqreg\b", path.read_text(encoding="utf-8")), path
