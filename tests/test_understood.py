"""What inputs mean: each text as the labels, parts and remarks that it must become, and what is refused in memory."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seqreg.alphabet import DNA
from seqreg.errors import InputError, UsageError
from seqreg.estimator import KmerClassifier
from seqreg.estimator.inputs import LabelValues, read_labelled
from seqreg.records import read_tsv, write_tsv
from seqreg.sequences import InputSpec, SequenceSet, read_input, read_strings, stream_batches, write_fasta


@dataclass(frozen=True, kw_only=True)
class Understood:
    """A file and what it must be read as: values are compared where they are given."""

    text: str | bytes
    sequences: list[str] | None = None
    names: list[str] | None = None
    labels: list[str] | None = None
    split: list[str] | None = None
    group: list[str] | None = None
    weight: list[float] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


UNREAD = "headers with fields among other words, of which none was read"
LIKE_MISSING = "labels that look like missing ones, learned as classes; leave these sequences out if they are"
FILES = {
    "fields are all the words": Understood(
        text='>a label=x split=train group="g 1"\nAC\n>b label="y" SPLIT=test weight=2\nCA\n',
        labels=["x", "y"],
        split=["train", "test"],
        group=["g 1", ""],
        weight=[1, 2],
        notes=("4 fields from headers: label, split, group, weight",),
    ),
    "biotrainer": Understood(
        text=">a TARGET=x SET=train VALIDATION=False\nAC\n>b TARGET=y SET=train VALIDATION=True\nCA\n"
        ">c TARGET=x SET=test VALIDATION=False\nCC\n>d TARGET=y VALIDATION=True\nGG\n",
        labels=["x", "y", "x", "y"],
        split=["train", "valid", "test", "valid"],
        notes=("2 fields from headers: label, split",),
    ),
    "a mass is no weight": Understood(
        text=">P1 kinase weight=17000 Da group=A\nMKV\n>P2 other\nMKK\n", warnings=(f"{UNREAD} (P1): 1",)
    ),
    "a sentence is no part": Understood(text=">q set=12 of 96\nAC\n>r\nCA\n", warnings=(f"{UNREAD} (q): 1",)),
    "UniProt": Understood(text=">sp|P1|X OS=Homo sapiens OX=9606 GN=KIT PE=1 SV=2\nMKV\n"),
    "unknown keys": Understood(text=">a label=x source=lab\nAC\n", warnings=(f"{UNREAD} (a): 1",)),
    "a key twice": Understood(text=">a label=x target=y\nAC\n", warnings=(f"{UNREAD} (a): 1",)),
    "a part that is two": Understood(text=">a SET=test VALIDATION=True\nAC\n", warnings=(f"{UNREAD} (a): 1",)),
    "quotes within quotes": Understood(
        text='>a label="5"" end"\nAC\n', labels=['5" end'], notes=("1 field from headers: label",)
    ),
    "D-residues": Understood(
        text=">a\nMKvLQwPDEFk\n>b\nmKVLQWEF\n",
        sequences=["MKVLQWPDEFK", "MKVLQWEF"],
        warnings=(
            "single small letters among capitals, which often mean D-residues, read as the usual amino acids: 4",
        ),
    ),
    "small letters": Understood(text=">a\nmkvlqwpdefk\n", sequences=["MKVLQWPDEFK"]),
    "masked": Understood(text=">a\nMKVLQWPDEFkkkkkkMM\n", sequences=["MKVLQWPDEFKKKKKKMM"]),
    "spaces in quotes": Understood(
        text='>a label=" z"\nAC\n>b label=z group=" g h "\nCA\n',
        labels=["z", "z"],
        group=["", "g h"],
        notes=("2 fields from headers: label, group",),
    ),
    "comments above FASTA": Understood(text="; made by hand\n# twice\n\n>a\nAC\n", names=["a"], sequences=["AC"]),
    "comments above a table": Understood(text="# made\n#id\tsequence\na\tAC\n", names=["a"], sequences=["AC"]),
    "Excel's separator": Understood(text="sep=;\nid;sequence;label\na;AC;x,y\n", names=["a"], labels=["x,y"]),
    "Excel's empty columns": Understood(
        text="id,sequence,label,,\na,AC,x,,\n\n,,,,\nb,CA,,,\n,CC,,,\n".replace(",CC", "c,CC"),
        names=["a", "b", "c"],
        warnings=("sequences without a label, so that no label is used (b, c): 2",),
    ),
    "a quoted cell": Understood(text='id,sequence,label\na,AC,"x, ""y"""\n', labels=['x, "y"']),
    "a quote within a cell": Understood(text='id,sequence,label\na,AC,5" end\n', labels=['5" end']),
    "classic line ends": Understood(text="id,sequence\ra,AC\rb,CA\r", names=["a", "b"], sequences=["AC", "CA"]),
    "several labels": Understood(
        text="sequence,label\nAC,x;y\nCA,x\nCC,;\nGC,z; y\n",
        labels=["x;y", "x", ";", "y;z"],
        notes=("A sequence may have several labels: 3 of 4 are written with ';'",),
    ),
    "texts that mean nothing": Understood(
        text="sequence,label\nAC,NA\nCA,x\nCC,nan\nGC,NA\n",
        labels=["NA", "x", "nan", "NA"],
        warnings=(f"{LIKE_MISSING} ('NA', 'nan'): 3",),
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_are_read_as_they_are_meant(case: str, tmp_path: Path) -> None:
    expected = FILES[case]
    path = tmp_path / "x.txt"
    path.write_bytes(expected.text if isinstance(expected.text, bytes) else expected.text.encode())
    found = read_input(InputSpec(input=path))
    assert (found.notes, found.warnings) == (expected.notes, expected.warnings)
    labels = [found.label(i) for i in range(len(found))]
    told = {
        "sequences": [found.sequence(i) for i in range(len(found))],
        "names": list(found.names),
        "labels": labels if any(labels) else None,
        **{key: None if (v := getattr(found, key)) is None else v.tolist() for key in ("split", "group", "weight")},
    }
    for key, value in told.items():
        wanted = getattr(expected, key)
        assert value == wanted or (wanted is None and key in ("sequences", "names"))


def test_a_stream_looks_at_letters_only(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">a set=12\nAC\n>b weight=heavy label=x\nCA\n")
    stream = stream_batches(InputSpec(input=path), DNA)
    (piece,) = stream
    assert [piece.sequence(i) for i in range(2)] == ["AC", "CA"]
    assert (piece.y, piece.split, piece.weight, stream.warnings) == (None, None, None, ())


TEXTS = ["ACGT", "CCGT", "GGGT", "TTTT"]
SHUFFLED = pd.DataFrame({"sequence": TEXTS, "about": list("xyxy"), "weight": [1.0, 2, 3, 4]}, index=[2, 0, 3, 1])
FORMS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "array": np.asarray,
    "array of objects": lambda values: np.asarray(list(values), dtype=object),
    "a column (N, 1)": lambda values: np.asarray(list(values))[:, None],
    "index from 0": lambda values: pd.Series(list(values)),
    "shuffled index": lambda values: pd.Series(list(values), index=[2, 0, 3, 1]),
    "generator": iter,
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_in_memory_belongs_together_by_position(form: str) -> None:
    made, about = FORMS[form], list("xyxy")
    whole = read_strings(TEXTS, about, names=list("abcd"), groups=list("ghgh"), weights=[1, 2, 3, 4])
    found = read_strings(
        made(TEXTS), made(about), names=made(list("abcd")), groups=made(list("ghgh")), weights=made([1, 2, 3, 4])
    )
    assert (found.sha256, list(found.names)) == (whole.sha256, list(whole.names))
    if form != "a column (N, 1)":  # scikit-learn warns of y in that form
        again = read_labelled(made(TEXTS), made(about), LabelValues.of(about), "dna", groups=made(list("ghgh")))
        assert [again.label(i) for i in range(4)] == about
    if form == "generator":
        fitted = KmerClassifier("majority").fit(made(TEXTS), made(about))
        assert fitted.classes_.tolist() == ["x", "y"]


def refused(**about: Any) -> SequenceSet:
    return read_strings(about.pop("strings", TEXTS), **about)


IN_MEMORY: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    **{
        f"label {value!r}": (
            {"labels": ["x", "y", value, "y"]},
            InputError,
            r"sequences, record 3: the label is missing",
        )
        for value in (None, float("nan"), np.nan, pd.NA, pd.NaT, np.float32("nan"), np.ma.masked, "", "  ")
    },
    "label as bytes": ({"labels": [b"x", b"y", b"x", b"y"]}, InputError, r"record 1: the label is bytes, b'x'"),
    "a label of two lines": (
        {"labels": ["x\ny", "x", "y", "x"]},
        InputError,
        r"record 1: the label 'x\\ny' holds '\\n'",
    ),
    "a name with a tab": ({"names": ["a\tb", "c", "d", "e"]}, InputError, r"record 1: the id 'a\\tb' holds '\\t'"),
    "half a character": ({"labels": ["\ud800", "x", "y", "x"]}, InputError, "control character"),
    "half a letter": ({"strings": ["AC\ud800"]}, InputError, r"letter '\?' at position 3"),
    "missing name": ({"names": ["a", None, "c", "d"]}, InputError, "record 2: the name is missing"),
    "missing weight": ({"weights": [1, 2, np.nan, 4]}, InputError, "record 3: the weight is missing"),
    "text as weight": (
        {"weights": [1, "heavy", 3, 4]},
        InputError,
        r"record 2 \(seq2\): weight 'heavy' is not a number",
    ),
    "fewer labels": ({"labels": ["x"]}, UsageError, "4 sequences but 1 labels"),
    "more groups": ({"groups": list("ghghg")}, UsageError, "4 sequences but 5 groups"),
    "labels as one text": ({"labels": "xyxy"}, UsageError, "labels is one text"),
    "labels by key": ({"labels": {1: "x"}}, UsageError, "labels must be a list, an array or a column; got dict"),
    "a table of labels": ({"labels": SHUFFLED}, UsageError, r"one column \(N, 1\)"),
    "nothing": ({"strings": None}, UsageError, "sequences must be a list"),
}


@pytest.mark.parametrize("case", IN_MEMORY)
def test_what_is_refused_in_memory(case: str) -> None:
    about, error, message = IN_MEMORY[case]
    with pytest.raises(error, match=message):
        refused(**about)


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, "", "  ", b"x", "\ud800", "x\n"], ids=repr)
def test_classifiers_refuse_missing_labels(value: Any) -> None:
    with pytest.raises(ValueError, match=r"missing|NaN|bytes|of one type|control character"):
        KmerClassifier("majority").fit(TEXTS, ["x", "y", value, "y"])


@pytest.mark.parametrize("y", [5, 0.5, object()], ids=lambda y: type(y).__name__)
def test_classifiers_refuse_what_is_no_column(y: Any) -> None:
    with pytest.raises(UsageError, match=f"y must be a list, an array or a column; got {type(y).__name__}"):
        KmerClassifier("majority").fit(TEXTS, y)


def test_classifiers_refuse_one_number_written_in_two_ways() -> None:
    with pytest.raises(UsageError, match=r"'1' and '1\.0' are the same number"):
        KmerClassifier("majority").fit(TEXTS, ["0", "1", "1.0", "0"])


def test_missing_groups_are_none() -> None:
    found = read_strings(TEXTS, groups=["g", None, float("nan"), "h"])
    assert found.group is not None
    assert found.group.tolist() == ["g", "", "", "h"]


def test_ids_with_spaces_survive_fasta(tmp_path: Path) -> None:
    found = read_strings(TEXTS, list("xyxy"), names=["a 1", "a 2", "b", "c"])
    write_fasta(tmp_path / "x.fa", found)
    again = read_input(InputSpec(input=tmp_path / "x.fa"))
    assert list(again.names) == ["a_1", "a_2", "b", "c"]
    assert again.sha256 == found.sha256
    with pytest.raises(InputError, match="two ids are 'a_1' without spaces"):
        write_fasta(tmp_path / "y.fa", replace(found, names=["a 1", "a_1", "b", "c"]))


def test_ten_million_letters_go_in_and_out(tmp_path: Path) -> None:
    text = "ACGTTGCA" * 1_250_000
    path = tmp_path / "x.tsv"
    write_tsv(path, ("id", "sequence", "label"), [("a", text, '5" end'), ("b", f'"{text}', "x")])
    assert read_tsv(path) == [
        {"id": "a", "sequence": text, "label": '5" end'},
        {"id": "b", "sequence": f'"{text}', "label": "x"},
    ]
    write_tsv(path, ("id", "sequence", "label"), [("a", text, "x")])
    found = read_input(InputSpec(input=path))
    assert (found.lengths.tolist(), found.label(0)) == ([len(text)], "x")
    write_fasta(tmp_path / "x.fa", found, width=len(text))
    assert read_input(InputSpec(input=tmp_path / "x.fa")).sha256 == found.sha256
