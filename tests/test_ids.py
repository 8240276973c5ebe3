"""Ids that two classes have: `class/id` in outputs, while tables may speak of the id itself."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from seqreg.alphabet import DNA
from seqreg.errors import InputError
from seqreg.sequences import InputSpec, SequenceSet, id_in_file, keys_in, read_input, read_split, stream_batches

SHARED = "ids that are in the files of several classes, written as class/id"


@pytest.fixture
def spec(tmp_path: Path) -> InputSpec:
    (tmp_path / "pos.fa").write_text(">a\nACGT\n>b\nCCGT\n>c/d\nCCCC\n")
    (tmp_path / "neg.fa").write_text(">b\nGGTT\n>e\nTTTT\n>a\nAATT\n")
    return InputSpec(pos=tmp_path / "pos.fa", neg=tmp_path / "neg.fa")


@pytest.fixture
def both(spec: InputSpec) -> SequenceSet:
    return read_input(spec)


def test_only_equal_ids_get_their_class(spec: InputSpec, both: SequenceSet) -> None:
    names = ["positive/a", "positive/b", "c/d", "negative/b", "e", "negative/a"]
    assert list(both.names) == names
    assert [both.label(i) for i in range(6)] == ["positive"] * 3 + ["negative"] * 3
    assert both.warnings == (f"{SHARED}: 4",)
    stream = stream_batches(spec, DNA, batch=2)
    assert [name for piece in stream for name in piece.names] == names
    assert stream.warnings == both.warnings


def test_tables_may_say_either(both: SequenceSet, tmp_path: Path) -> None:
    assert [id_in_file(name, both.label(i)) for i, name in enumerate(both.names)] == ["a", "b", None, "b", None, "a"]
    assert id_in_file("x/y/z") == "y/z"
    assert id_in_file("x") is None
    assert keys_in({"a", "negative/a", "d"}, both) == ["a", "positive/b", "c/d", "negative/b", "e", "negative/a"]
    rows = {"a": "train", "positive/b": "test", "c/d": "train", "negative/b": "valid", "e": "test"}
    table = tmp_path / "splits.tsv"
    text = "id\tsplit\tgroup\n" + "".join(f"{name}\t{part}\tg\n" for name, part in rows.items())
    table.write_text(text)
    assert read_split(table, both).part.tolist() == ["train", "test", "train", "valid", "test", "train"]
    table.write_text(text + "a\ttest\tg\n")
    with pytest.raises(InputError, match=r"record 6: a second row for 'a', which says something else"):
        read_split(table, both)


def test_what_stays_ambiguous_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pos.fa").write_text(">a\nACGT\n>a\nCCGT\n")
    (tmp_path / "neg.fa").write_text(">a\nGGTT\n")
    with pytest.raises(InputError, match=r"record 2 \(positive/a\): duplicate id 'positive/a'"):
        read_input(InputSpec(pos=tmp_path / "pos.fa", neg=tmp_path / "neg.fa"))
    (tmp_path / "pos.fa").write_text(">a\nACGT\n>negative/a\nCCGT\n")
    with pytest.raises(InputError, match=r"neg\.fa, record 1 \(negative/a\): duplicate id"):
        read_input(InputSpec(pos=tmp_path / "pos.fa", neg=tmp_path / "neg.fa"))


def test_a_split_of_them_is_found_again(tmp_path: Path, call: Callable[..., CompletedProcess[str]]) -> None:
    classes = [f"--class={name}={tmp_path / name}.fa" for name in "xy"]
    for name, letter in (("x", "A"), ("y", "C")):
        (tmp_path / f"{name}.fa").write_text("".join(f">s{i}\n{letter * (i + 4)}GT\n" for i in range(12)))
    words = [*classes, "--model", "kmer-logistic:k=2", "--quiet"]
    assert call("split", *classes, "-o", tmp_path / "splits.tsv").returncode == 0
    done = call("baseline", *words, "--splits", tmp_path / "splits.tsv", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    written = {line.split("\t")[0] for line in (tmp_path / "run" / "splits.tsv").read_text().splitlines()[1:]}
    assert written == {f"{name}/s{i}" for name in "xy" for i in range(12)}
