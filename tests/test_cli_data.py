"""Commands about data, on tiny data, in every form of input."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from seqreg.alphabet import DNA
from seqreg.records import read_tsv
from seqreg.sequences import read_store, read_strings, write_fasta
from seqreg.sequences.input_spec import InputSpec
from seqreg.sequences.read import read_input
from seqreg.targets import Classes
from tests.conftest import printed

Call = Callable[..., CompletedProcess[str]]
SEQUENCES = {"a": "ACGTACGTTA", "b": "GGGTACGAA", "c": "TTTACGTAACC"}
LABELS = {"a": "x", "b": "y", "c": "x"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same three sequences in every form."""
    monkeypatch.chdir(tmp_path)
    fasta = "".join(f">{name}\n{text}\n" for name, text in SEQUENCES.items())
    (tmp_path / "plain.fa").write_text(fasta)
    (tmp_path / "headers.fa").write_text("".join(f">{n} label={LABELS[n]}\n{SEQUENCES[n]}\n" for n in SEQUENCES))
    (tmp_path / "labels.tsv").write_text("id\tlabel\n" + "".join(f"{n}\t{label}\n" for n, label in LABELS.items()))
    rows = "".join(f"{n},{SEQUENCES[n]},{LABELS[n]}\n" for n in SEQUENCES)
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(f"id,sequence,label\n{rows}".encode()))
    (tmp_path / "config.toml").write_text('fasta = "plain.fa"\nlabels = "labels.tsv"\n')
    return tmp_path


@pytest.mark.parametrize(
    "words", ["headers.fa", "table.csv.gz", "--fasta plain.fa --labels labels.tsv", "--config config.toml"]
)
def test_every_form_of_input_gives_the_same_store(words: str, folder: Path, call: Call) -> None:
    done = call("encode", *words.split(), "-o", "out/store.h5", "--json")
    store = read_store("out/store.h5")
    assert printed(done) == {"output": "out/store.h5", "sequences": 3, "letters": 30, "sha256": store.sha256}
    assert store.sha256 == read_strings(SEQUENCES.values(), list(LABELS.values()), names=list(SEQUENCES)).sha256
    assert "Read 3 sequences of 9 to 11 letters; alphabet dna (as the data say)\nClasses: x 2, y 1\n" in done.stderr


def test_a_store_is_an_input_too(folder: Path, call: Call) -> None:
    call("encode", "headers.fa", "-o", "one.h5", "--positive", "y")
    done = call("encode", "one.h5", "-o", "two.h5", "--alphabet", "dna", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert read_store("two.h5").target == Classes(names=("x", "y"), asked_for="y")
    assert read_store("two.h5").sha256 == read_store("one.h5").sha256


def test_one_fasta_per_class(folder: Path, call: Call) -> None:
    for words in ("--pos a.fa --neg b.fa", "--class positive=a.fa --class negative=b.fa"):
        (folder / "a.fa").write_text(">a\nACGT\n")
        (folder / "b.fa").write_text(">b\nAGGT\n>c\nTTT\n")
        assert call("encode", *words.split(), "-o", "store.h5").returncode == 0
        store = read_store("store.h5")
        assert [store.label(index) for index in range(3)] == ["positive", "negative", "negative"]


def test_data_sets_are_listed_shown_and_checked(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {each["name"]: each for each in printed(call("datasets", "list", "--json"))["datasets"]}
    assert {"amp", "splice"} <= set(listed)
    assert printed(call("datasets", "show", "splice", "--json")) == listed["splice"]
    assert f"licence\t{listed['splice']['licence']}\n" in call("datasets", "show", "splice").stdout
    assert call("datasets", "check", "splice").stdout.splitlines()[1:] == ["splice\t3000\tei 679, ie 669, n 1652\tok"]

    (tmp_path / "mine").mkdir()
    text = Path(listed["splice"]["folder"], "dataset.toml").read_text().replace("splice", "mine")
    (tmp_path / "mine" / "dataset.toml").write_text(text)
    monkeypatch.setenv("SEQREG_DATA", str(tmp_path))
    done = call("datasets", "check", "mine")
    assert (done.returncode, done.stdout.count("\n")) == (2, 2)
    assert done.stderr.startswith("Error: 1 of 1 data sets are not as described: mine: ")


def test_splits_cover_all_sequences_and_repeat(call: Call, tmp_path: Path) -> None:
    done = call("split", "splice", "-o", tmp_path / "one.tsv", "--test", "0.3", "--seed", "7", "--json")
    rows = read_tsv(tmp_path / "one.tsv")
    parts = json.loads(done.stdout)["parts"]
    assert len({row["id"] for row in rows}) == sum(part["n"] for part in parts.values()) == 3000
    assert parts["test"]["n"] == 900
    call("split", "splice", "-o", tmp_path / "two.tsv", "--test", "0.3", "--seed", "7")
    assert (tmp_path / "two.tsv").read_bytes() == (tmp_path / "one.tsv").read_bytes()

    table = call("split", "splice", "-o", tmp_path / "folds.tsv", "--folds", "4").stdout.splitlines()
    assert [line.split("\t")[0] for line in table] == ["part", "fold1", "fold2", "fold3", "fold4"]
    assert sum(int(line.split("\t")[1]) for line in table[1:]) == 3000


def test_shuffled_negatives_keep_their_words(call: Call, folder: Path) -> None:
    done = call("background", "plain.fa", "-o", "shuffled.fa.gz", "--copies", "2", "--k", "2", "--json")
    assert printed(done) == {"output": "shuffled.fa.gz", "positives": "shuffled.positives.fa", "sequences": 6}
    shuffled = read_input(InputSpec(input="shuffled.fa.gz"))
    pairs = [sorted(text[i : i + 2] for i in range(len(text) - 1)) for text in map(shuffled.sequence, range(6))]
    wanted = [sorted(text[i : i + 2] for i in range(len(text) - 1)) for text in SEQUENCES.values()]
    assert pairs == [each for each in wanted for _ in range(2)]


def test_matched_negatives_come_from_the_pool(call: Call, folder: Path, plant: Callable[..., object]) -> None:
    write_fasta("pool.fa", plant(DNA, "TGACGTCA", n=40))  # pyright: ignore[reportArgumentType]
    assert call("background", "plain.fa", "-o", "drawn.fa", "--from", "pool.fa").returncode == 0
    drawn, pool = (read_input(InputSpec(input=name)) for name in ("drawn.fa", "pool.fa"))
    assert np.array_equal(drawn.lengths, [len(text) for text in SEQUENCES.values()])
    texts = [pool.sequence(index) for index in range(len(pool))]
    assert all(any(drawn.sequence(index) in text for text in texts) for index in range(3))


def test_standard_input_is_an_input(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("table.csv.gz", "rb") as handle:
        monkeypatch.setattr("sys.stdin", type("Standard", (), {"buffer": handle}))
        assert call("encode", "-", "-o", "store.h5").returncode == 0
    assert read_store("store.h5").sha256 == read_input(InputSpec(input="headers.fa")).sha256


def test_a_data_set_of_an_unknown_kind_is_named_and_keeps_no_other_from_being_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "dataset.toml").write_text('name = "odd"\nkind = "ranking"\n')
    monkeypatch.setenv("SEQREG_DATA", str(tmp_path))
    done = call("datasets", "list")
    assert done.returncode == 0
    assert "splice" in done.stdout
    assert f"Warning: odd is left out: {tmp_path}/odd/dataset.toml: no entry 'title'" in done.stderr
    assert "Did you mean 'splice'?" in call("datasets", "show", "splise").stderr
    assert call("datasets", "show", "splice").returncode == 0
    done = call("datasets", "show", "odd")
    assert (done.returncode, done.stdout) == (2, "")
