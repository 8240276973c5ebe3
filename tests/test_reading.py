"""Every form of input gives the same set, and what is wrong with an input is said with file, record and id."""

import csv
import gzip
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from hypothesis import given
from hypothesis import strategies as st

from seqreg.alphabet import DNA, PROTEIN, RNA
from seqreg.errors import InputError, UsageError
from seqreg.sequences import (
    InputSpec,
    SequenceSet,
    class_weights,
    in_terms_of,
    join_parts,
    padded_batches,
    read_ahead,
    read_input,
    read_strings,
    sequence_set,
    stream_batches,
    with_positive,
    write_fasta,
    write_store,
)
from seqreg.targets import Classes, Labels

ROWS = [
    ("a", "ACGTTACCGTA", "off"),
    ("b", "TTACGCA", "off"),
    ("c", "GGGATTTACCA", "on"),
    ("d", "CATTTGGRNAC", "on"),
    ("e", "CCCAT", "on"),
]


def fasta(rows: list[tuple[str, str, str]], width: int = 4, labelled: bool = False) -> str:
    lines = []
    for name, sequence, label in rows:
        lines.append(f">{name} label={label}" if labelled else f">{name} some text")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    return "\n".join(lines) + "\n"


def table(rows: list[tuple[str, str, str]], delimiter: str, columns: tuple[str, ...]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(columns)
    known = ("id", "sequence", "label")
    writer.writerows([row[known.index(column)] for column in columns] for row in rows)
    return out.getvalue()


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


def dataset(folder: Path, text: str, **changes: Any) -> Path:
    import hashlib

    home = folder / "toy"
    home.mkdir()
    raw = gzip.compress(text.encode())
    (home / "sequences.csv.gz").write_bytes(raw)
    entries = {
        "name": "toy",
        "title": "A toy",
        "alphabet": "dna",
        "kind": "classification",
        "classes": ["on", "off"],
        "file": "sequences.csv.gz",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "source": "made up",
        "licence": "CC0",
    } | changes
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in entries.items() if value is not None]
    (home / "dataset.toml").write_text("\n".join(lines))
    return home


def forms(folder: Path) -> dict[str, InputSpec]:
    """The same five sequences in every form that an input can have."""
    home = dataset(folder, table(ROWS, ",", ("id", "sequence", "label")))
    genome = written(folder, "genome.fa", "".join(f">chr{n}\nTT{s}GG\n" for n, s, _ in ROWS))
    regions = "".join(f"chr{n}\t2\t{2 + len(s)}\t{label}\n" for n, s, label in ROWS)
    reverse = {True: "-", False: "+"}
    turned = "".join(f">r{n}\n{Seq(s).reverse_complement() if i % 2 else s}\n" for i, (n, s, _) in enumerate(ROWS))
    stranded = "".join(f"r{n} 0 {len(s)} {label} 0 {reverse[i % 2 == 1]}\n" for i, (n, s, label) in enumerate(ROWS))
    off, on = (written(folder, f"{c}.fa", fasta([row for row in ROWS if row[2] == c])) for c in ("off", "on"))
    plain = written(folder, "all.fa", fasta(ROWS))
    specs = {
        "class": InputSpec(class_files=[("off", off), ("on", on)]),
        "headers": InputSpec(input=written(folder, "l.fa", fasta(ROWS, labelled=True))),
        "headers.gz": InputSpec(input=written(folder, "l.fa.gz", fasta(ROWS, labelled=True))),
        "TARGET": InputSpec(input=written(folder, "t.fa", fasta(ROWS, labelled=True).replace("label", "TARGET"))),
        "lower": InputSpec(input=written(folder, "lower.csv", table(ROWS, ",", ("sequence", "label")).lower())),
        "dos": InputSpec(input=written(folder, "dos.fa", "\n" + fasta(ROWS, labelled=True).replace("\n", "\r\n"))),
        "bom": InputSpec(input=written(folder, "bom.csv", "\ufeff" + table(ROWS, ",", ("sequence", "label")))),
        "table": InputSpec(fasta=plain, labels=written(folder, "y.tsv", table(ROWS[::-1], "\t", ("label", "id")))),
        "csv": InputSpec(input=written(folder, "x.csv", table(ROWS, ",", ("id", "sequence", "label")))),
        "tsv.gz": InputSpec(input=written(folder, "x.tsv.gz", table(ROWS, "\t", ("label", "sequence", "id")))),
        "semicolons": InputSpec(input=written(folder, "s.csv", table(ROWS, ";", ("sequence", "label")))),
        "data set": InputSpec(input=home),
        "bed": InputSpec(bed=written(folder, "r.bed", f"# regions\ntrack name=x\n{regions}"), genome=genome),
        "strands": InputSpec(
            bed=written(folder, "s.bed.gz", stranded), genome=written(folder, "r.fa.gz", turned), alphabet="dna"
        ),
    }
    write_store(folder / "x.h5", read_input(specs["csv"]))
    write_fasta(folder / "again.fa.gz", read_input(specs["csv"]))
    return specs | {
        "store": InputSpec(input=folder / "x.h5"),
        "written": InputSpec(input=folder / "again.fa.gz"),
    }


FORMS = (
    "class", "headers", "headers.gz", "TARGET", "lower", "dos", "bom", "table", "csv", "tsv.gz", "semicolons",
    "data set", "bed", "strands", "store", "written",
)  # fmt: skip


def content(sequences: SequenceSet) -> tuple[Any, ...]:
    assert sequences.y is not None
    return (
        sequences.alphabet.name,
        sequences.codes.tolist(),
        sequences.offsets.tolist(),
        sequences.classes,
        sequences.y.tolist(),
        sequences.sha256,
    )


def test_reading_ahead_changes_neither_pieces_nor_errors() -> None:
    pieces = [read_strings(["ACGT"] * n) for n in (1, 2, 3)]

    def failing() -> Iterator[SequenceSet]:
        yield pieces[0]
        raise InputError("broken")

    assert list(read_ahead(pieces)) == pieces
    assert list(read_ahead([])) == []
    ahead = read_ahead(failing())
    assert next(ahead) is pieces[0]
    with pytest.raises(InputError, match="broken"):
        next(ahead)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_set(form: str, tmp_path: Path) -> None:
    specs = forms(tmp_path)
    assert set(specs) == set(FORMS)
    found = read_input(replace(specs[form], require_labels=True))
    expected = read_strings([row[1] for row in ROWS], [row[2] for row in ROWS])
    assert content(found) == content(expected)
    assert [found.sequence(i) for i in range(len(found))] == [row[1] for row in ROWS]


ABOUT = {"split": ["train", "test", "train", "valid", "test"], "group": ["x", "y", "x", "z", "y"]}
WEIGHTS = [0.5, 3.0, 1.0, 0.0, 2.25]


def test_every_form_tells_the_same_of_splits_groups_and_weights(tmp_path: Path) -> None:
    columns = {**ABOUT, "weight": [str(weight) for weight in WEIGHTS]}
    rows = [
        {"id": name, "sequence": text, "label": label, **{key: values[i] for key, values in columns.items()}}
        for i, (name, text, label) in enumerate(ROWS)
    ]
    said = ("label", *columns)
    headers = "".join(f">{r['id']} {' '.join(f'{k}={r[k]}' for k in said)}\n{r['sequence']}\n" for r in rows)

    def lines(order: list[int], *names: str) -> str:
        return "\n".join(["\t".join(names), *("\t".join(rows[i][name] for name in names) for i in order)]) + "\n"

    specs = {
        "headers": InputSpec(input=written(tmp_path, "headers.fa", headers)),
        "columns": InputSpec(input=written(tmp_path, "x.tsv", lines([0, 1, 2, 3, 4], "sequence", "id", *said))),
        "table": InputSpec(
            fasta=written(tmp_path, "plain.fa", fasta(ROWS)),
            labels=written(tmp_path, "about.tsv", lines([3, 1, 4, 0, 2], *said[::-1], "id")),
        ),
    }
    write_store(tmp_path / "x.h5", read_input(specs["columns"]))
    write_fasta(tmp_path / "again.fa", read_input(specs["columns"]))
    specs |= {name: InputSpec(input=tmp_path / name) for name in ("x.h5", "again.fa")}
    for form, spec in specs.items():
        found = read_input(spec)
        for name, values in (*ABOUT.items(), ("weight", WEIGHTS)):
            assert getattr(found, name).tolist() == values, (form, name)
        order = np.array([4, 0, 3])
        part = found.subset(order)
        assert [part.sequence(i) for i in range(3)] == [ROWS[i][1] for i in order]
        for name, values in (*ABOUT.items(), ("weight", WEIGHTS)):
            assert getattr(part, name).tolist() == [values[i] for i in order], (form, name)


def test_fasta_without_a_table_has_the_labels_of_its_headers_or_none(tmp_path: Path) -> None:
    headers = InputSpec(fasta=written(tmp_path, "h.fa", fasta(ROWS, labelled=True)))
    assert content(read_input(headers)) == content(read_strings([r[1] for r in ROWS], [r[2] for r in ROWS]))
    plain = InputSpec(fasta=written(tmp_path, "p.fa", fasta(ROWS)))
    found = read_input(plain)
    assert (found.y, found.classes, found.names) == (None, (), list("abcde"))
    with pytest.raises(InputError, match=r"p\.fa, record 1 \(a\): a sequence without a label \(5 in all\)"):
        read_input(replace(plain, require_labels=True))


@pytest.mark.parametrize("form", ["headers", "columns", "table"])
def test_partly_labelled_input_has_no_labels_or_is_refused(form: str, tmp_path: Path) -> None:
    rows = [(name, text, label if name in "ace" else "") for name, text, label in ROWS]
    if form == "headers":
        lines = [f">{name} label={label}\n{text}\n" if label else f">{name}\n{text}\n" for name, text, label in rows]
        spec = InputSpec(input=written(tmp_path, "x.fa", "".join(lines)))
    elif form == "columns":
        spec = InputSpec(input=written(tmp_path, "x.csv", table(rows, ",", ("id", "sequence", "label"))))
    else:
        known = table([row for row in rows if row[2]], ",", ("id", "label"))
        spec = InputSpec(fasta=written(tmp_path, "x.fa", fasta(rows)), labels=written(tmp_path, "y.csv", known))
    found = read_input(spec)
    assert (found.y, found.classes) == (None, ())
    assert [remark for remark in found.warnings if "without a label" in remark and "b" in remark and ": 2" in remark]
    with pytest.raises(InputError, match=r"\(b\): .*label"):
        read_input(replace(spec, require_labels=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_a_stream_gives_the_same_sequences(form: str, batch: int, tmp_path: Path) -> None:
    spec = forms(tmp_path)[form]
    pieces = list(stream_batches(spec, DNA, batch=batch))
    assert [len(piece) for piece in pieces] == [min(batch, 5 - start) for start in range(0, 5, batch)]
    names = [name for piece in pieces for name in piece.names]
    assert names == list(read_input(spec).names)
    assert [piece.sequence(i) for piece in pieces for i in range(len(piece))] == [row[1] for row in ROWS]


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = fasta(ROWS, labelled=True).encode()
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(raw) if packed else raw))
    monkeypatch.setattr(sys, "stdin", stdin)
    found = read_input(InputSpec(input="-"))
    assert content(found) == content(read_strings([row[1] for row in ROWS], [row[2] for row in ROWS]))
    assert not stdin.closed


def test_what_headers_and_columns_say(tmp_path: Path) -> None:
    text = '>x LABEL=on SET=Validation group=g1 weight=2\nAC\n>y TARGET="o f f" split=train\nGT\n'
    for name in ("h.fa", "again.fa"):
        found = read_input(InputSpec(input=written(tmp_path, "h.fa", text) if name == "h.fa" else tmp_path / name))
        assert found.classes == ("o f f", "on")
        assert found.split is not None
        assert found.split.tolist() == ["valid", "train"]
        assert found.group is not None
        assert found.group.tolist() == ["g1", ""]
        assert found.weight is not None
        assert found.weight.tolist() == [2, 1]
        write_fasta(tmp_path / "again.fa", found)


def test_multi_label(tmp_path: Path) -> None:
    rows = [("a", "ACGT", "x;y"), ("b", "CCGT", "z"), ("c", "CGT", ";"), ("d", "CTT", "z; x")]
    path = written(tmp_path, "m.csv", table(rows, ",", ("id", "sequence", "label")))
    found = read_input(InputSpec(input=path, require_labels=True))
    assert found.target == Labels(names=("x", "y", "z"))
    assert found.y is not None
    assert found.y.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 1]]
    write_fasta(tmp_path / "again.fa", found)
    assert content(read_input(InputSpec(input=tmp_path / "again.fa"))) == content(found)
    np.testing.assert_allclose(class_weights(found), [4 / (3 * 2), 4 / 3, 4 / (3 * 2)])


@pytest.mark.parametrize(
    ("texts", "alphabet"),
    [
        (["ACGT", "NNNN"], DNA),
        (["acgu", "AAAA"], RNA),
        (["ACGU", "ACGT"], DNA),
        (["ACGTN", "ACGTRYKMSWBDHVN"], DNA),
        (["ACGT" * 10, "MKVLAAGIVGLLLAQWERTYPSDFGHKLCNMILV"], PROTEIN),  # over the whole input, never per record
        (["GAG", "MKVLE"], PROTEIN),
    ],
)
def test_the_alphabet_is_inferred_over_the_whole_input(texts: list[str], alphabet: object) -> None:
    assert read_strings(texts).alphabet is alphabet


def test_one_wrong_letter_does_not_make_a_protein() -> None:
    with pytest.raises(InputError, match=r"record 2 \(seq2\): letter 'E' at position 3 is not dna"):
        read_strings(["ACGTACGTACGT", "ACEGT"])


def test_special_letters_are_counted() -> None:
    found = read_strings(["MKUVLQ", "MKuoEF"])
    assert found.sequence(0) == "MKCVLQ"
    assert found.warnings == ("letters U (selenocysteine) read as C: 2", "letters O (pyrrolysine) read as K: 1")
    dropped = read_strings(["MK-VLQ", "..MKEF*", "PPP"], gaps="drop")
    assert [dropped.sequence(i) for i in range(3)] == ["MKVLQ", "MKEF", "PPP"]
    assert dropped.warnings == ("gap or stop letters dropped: 4",)


def test_gaps_are_dropped_across_blocks(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr("seqreg.sequences.collect._BLOCK", 7)
    texts = ["".join(rng.choice(list("ACGT-"), size=length)) + "A" for length in range(1, 30)]
    found = read_strings(texts, gaps="drop")
    assert [found.sequence(i) for i in range(len(found))] == [text.replace("-", "") for text in texts]


def test_conflicts_and_duplicates_are_counted_and_the_first_three_named(tmp_path: Path) -> None:
    rows = [(f"r{i}", "ACGT" + "ACGT"[i % 4], "on" if i < 4 else "off") for i in range(8)]
    path = written(tmp_path, "x.csv", table(rows, ",", ("id", "sequence", "label")))
    expected = "sequences that occur with conflicting labels (r0, r1, r2, ...): 4"
    assert read_input(InputSpec(input=path)).warnings == (expected,)
    text = "id,sequence,split\na,ACG,train\nb,ACG,test\nc,ACC,test\nd,ACC,test\n"
    found = read_input(InputSpec(input=written(tmp_path, "s.csv", text)))
    assert found.warnings == ("sequences that occur in more than one part of the split (a): 1",)


def test_positive_class() -> None:
    def chosen(labels: list[str], wanted: str | None = None) -> str | None:
        texts = ["A" * (i + 1) for i in range(len(labels))]
        target = with_positive(read_strings(texts, labels), wanted).target
        return None if target is None else target.positive

    assert chosen(["a", "b", "b"]) == "a"
    assert chosen(["a", "a", "b"]) == "b"
    assert chosen(["b", "a"]) == "b"
    for no, yes in (("no", "yes"), ("0.0", "1.0"), ("0", "1"), ("-1", "+1"), ("False", "True"), ("FALSE", "TRUE")):
        assert chosen([yes, no, yes]) == chosen([no, yes, no]) == yes
    assert chosen(["yes", "no", "yes"], "no") == "no"
    assert chosen(["a", "b", "c"]) is None
    with pytest.raises(UsageError, match="Did you mean 'yes'"):
        chosen(["yes", "no"], "yess")
    assert read_input(InputSpec(input="amp")).target == Classes(names=("amp", "other"), asked_for="amp")


def test_labels_in_terms_of_a_model() -> None:
    found = read_strings(["AC", "CA", "CC"], ["b", "c", "b"])
    moved = in_terms_of(found, Classes(names=("a", "b", "c")))
    assert moved.y is not None
    assert moved.y.tolist() == [1, 2, 1]
    with pytest.raises(InputError, match=r"record 2 \(seq2\): label 'c' is not a class of the model. Its classes"):
        in_terms_of(found, Classes(names=("a", "b")))
    several = in_terms_of(found, Labels(names=("a", "b", "c")))
    assert several.y is not None
    assert several.y.tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    with pytest.raises(InputError, match="exactly one class"):
        in_terms_of(read_strings(["AC", "CA"], ["a;b", "a"], task="multi-label"), Classes(names=("a", "b")))


def test_parts_that_were_given_apart() -> None:
    train = read_strings(["AC", "CA", "CC"], ["b", "c", "b"], groups=["g", "h", "h"])
    test = read_strings(["GG", "CCA"], ["a", "c"], names=["seq2", "new"], weights=[2, 3], alphabet="dna")
    whole = join_parts({"train": train, "test": test})
    assert [whole.sequence(i) for i in range(5)] == ["AC", "CA", "CC", "GG", "CCA"]
    assert [whole.label(i) for i in range(5)] == ["b", "c", "b", "a", "c"]
    assert list(whole.names) == ["seq1", "seq2", "seq3", "test:seq2", "new"]
    assert whole.split is not None
    assert whole.split.tolist() == ["train"] * 3 + ["test"] * 2
    assert whole.group is not None
    assert whole.group.tolist() == ["g", "h", "h", "", ""]
    assert whole.weight is not None
    assert whole.weight.tolist() == [1, 1, 1, 2, 3]
    again = join_parts({"train": train, "test": train})
    assert again.warnings == ("sequences that occur in more than one part of the split (seq1, seq2, seq3): 3",)
    with pytest.raises(InputError, match="the test part is rna, the others are dna"):
        join_parts({"train": train, "test": read_strings(["ACU"], ["b"])})
    with pytest.raises(InputError, match="without labels"):
        join_parts({"train": train, "test": read_strings(["ACG"])})


def test_records_of_biopython_are_read() -> None:
    found = read_strings([SeqRecord(Seq("ACGT")), SeqRecord(Seq("ACC"))], groups=["x", "y"], weights=[0.5, 2])
    assert found.sequence(1) == "ACC"
    assert found.weight is not None
    assert found.weight.tolist() == [0.5, 2]


def csv_of(text: str) -> Callable[[Path], InputSpec]:
    return lambda folder: InputSpec(input=written(folder, "x.csv", text), require_labels=True)


def fasta_of(text: str, **options: Any) -> Callable[[Path], InputSpec]:
    options = {"require_labels": False} | options
    return lambda folder: InputSpec(input=written(folder, "x.fa", text), **options)


def labels_of(text: str) -> Callable[[Path], InputSpec]:
    return lambda folder: InputSpec(
        fasta=written(folder, "x.fa", ">a\nAC\n>b\nCA\n"), labels=written(folder, "y.tsv", text), require_labels=True
    )


def bed_of(text: str, genome: str = ">c1\nACGTACGT\n") -> Callable[[Path], InputSpec]:
    return lambda folder: InputSpec(bed=written(folder, "x.bed", text), genome=written(folder, "g.fa", genome))


def raw_bytes(raw: bytes) -> Callable[[Path], InputSpec]:
    def make(folder: Path) -> InputSpec:
        (folder / "x.fa").write_bytes(raw)
        return InputSpec(input=folder / "x.fa")

    return make


BAD: dict[str, tuple[Callable[[Path], InputSpec], str]] = {
    "unknown letter": (fasta_of(">a\nACGT\n>b q\nAC\nG1T\n"), r"x.fa, record 2 \(b\): letter '1' at position 4"),
    "letter beyond ASCII": (fasta_of(">a\nACGÄT\n"), r"record 1 \(a\): letter 'Ä' at position 4"),
    "gap": (fasta_of(">a\nAC-GT\n"), r"record 1 \(a\): gap or stop letter '-' at position 3.*gaps=.drop."),
    "stop": (fasta_of(">a\nMKVLQ*\n"), r"gap or stop letter '\*' at position 6"),
    "amidation": (fasta_of(">a\nMKVLQW-NH2\n"), r"letter '-' at position 7 is no amino acid: '-NH2' writes a modif"),
    "a ring": (fasta_of(">a\ncyclo(MKVLQW)\n"), "writes a modification, and none is read"),
    "a bound group": (fasta_of(">a\nMK(ac)VLQW\n"), r"letter '\(' at position 3 is no amino acid: '\(ac\)' writes"),
    "no weight at all": (csv_of("sequence,label,weight\nAC,x,0\nCC,y,0\nCA,y,0\n"), "x.csv: every weight is 0"),
    "Latin-1 further down": (raw_bytes(b">a\nAC\n" * 40000 + b">b label=caf\xe9\nAC\n"), "line 80001: not UTF-8"),
    "only gaps": (fasta_of(">a\nACGT\n>b\n--\n", gaps="drop"), r"record 2 \(b\): .*empty without its gaps"),
    "protein read as dna": (fasta_of(">a\nMKVL\n", alphabet="dna"), "letter 'L' at position 4 is not dna. Its letters"),
    "empty sequence": (fasta_of(">a\nACGT\n>b\n>c\nAC\n"), r"x.fa, record 2 \(b\): the sequence is empty"),
    "no id": (fasta_of(">a\nACGT\n>\nAC\n"), "x.fa, record 2: the record has no id"),
    "duplicate id": (fasta_of(">a\nAC\n>b\nAC\n>a\nCC\n"), r"record 3 \(a\): duplicate id 'a'; .*, record 1"),
    "unknown split": (fasta_of(">a split=tset\nAC\n"), r"record 1 \(a\): unknown split 'tset'. Use train, valid"),
    "bad weight": (fasta_of(">a weight=-1\nAC\n"), r"record 1 \(a\): weight '-1' is not a number"),
    "NaN weight": (fasta_of(">a weight=nan\nAC\n"), r"record 1 \(a\): weight 'nan' is not a number"),
    "too long": (fasta_of(">a\nAC\n>b\nACGTA\n", max_length=4), r"record 2 \(b\): 5 letters, above max_length=4 "),
    "all short": (fasta_of(">a\nAC\n>b\nACG\n", filter_width=4), "shorter than the filter: .* 3 letters, the filter 4"),
    "missing label": (
        fasta_of(">a label=x\nAC\n>b\nACG\n", require_labels=True),
        r"record 2 \(b\): a sequence without a label \(1 in all\)",
    ),
    "one class": (csv_of("sequence,label\nAC,x\nCC,x\n"), "only one class, 'x', in 2 sequences"),
    "one per class": (csv_of("sequence,label\nAC,x\nCC,y\n"), r"one sequence per class \(2 in all\)"),
    "no sequence column": (csv_of("id,seq,label\na,AC,x\n"), "x.csv: no column 'sequence'; the header has 'id', 'seq'"),
    "empty label": (csv_of("id,sequence,label\na,AC,x\nb,AC,\n"), r"record 2 \(b\): a sequence without a label"),
    "empty cell": (csv_of("id,sequence,label\na,,x\n"), r"record 1 \(a\): the sequence is empty"),
    "empty id": (csv_of("id,sequence,label\n,AC,x\n"), "record 1: the id is empty"),
    "ragged row": (csv_of("id,sequence,label\na,AC\n"), "x.csv, record 1: the row has 2 fields, the header 3"),
    "column twice": (csv_of("label,sequence,label\na,AC,x\n"), "names the column 'label' twice"),
    "header only": (csv_of("id,sequence,label\n"), "x.csv: no sequences"),
    "unknown id": (labels_of("id\tlabel\na\tx\nb\ty\nz\ty\n"), r"y.tsv, record 3 \(z\): a label for an unknown id"),
    "no row": (labels_of("id\tlabel\na\tx\n"), r"x.fa, record 2 \(b\): a sequence without a label: .*y.tsv has no row"),
    "row twice": (labels_of("id\tlabel\na\tx\na\tx\n"), r"y.tsv, record 2 \(a\): a second row for this id"),
    "no label column": (labels_of("id\tclass\na\tx\n"), "y.tsv: no column 'label'"),
    "open quote": (
        csv_of('id,sequence,label\na,AC,"x\nb,CC,y\nc,CA,x\n'),
        "x.csv, line 2: a quote is not closed, or not where its cell ends",
    ),
    "quote too early": (csv_of('id,sequence,label\na,AC,"x"y\n'), "x.csv, line 2: a quote is not closed, or not where"),
    "open quote in the header": (csv_of('id,sequence,"label\na,AC,x\n'), "x.csv, line 1: a quote is not closed"),
    "rows within a cell": (
        csv_of('id,sequence,label\na,AC,"x\nb,CC,y"\nc,CA,x\n'),
        "x.csv, line 2, record 1: the row goes on to line 3: a quote is not closed, or a cell holds a line break",
    ),
    "control character in a label": (csv_of("id,sequence,label\na,AC,x\x07\n"), r"record 1: the label 'x\\x07' holds"),
    "line separator in a label": (csv_of("id,sequence,label\na,AC,x\u2028y\n"), r"the label 'x\\u2028y' holds"),
    "control character in an id": (fasta_of(">a\x7f\nAC\n"), r"record 1: the id 'a\\x7f' holds '\\x7f'"),
    "label among words": (
        fasta_of(">a a kinase label=x\nAC\n", require_labels=True),
        r"record 1 \(a\): a sequence without a label \(1 in all\).*nothing else but such fields",
    ),
    "one odd label": (
        csv_of("sequence,label\nAC,x\nCC,y\nCA,x;y\n"),
        r"record 3 \(seq3\): label 'x;y' is the only one of 3 with ';'.*task=.multi-label",
    ),
    "labels that end in the separator": (
        fasta_of(">a label=x; split=train\nAC\n>b label=y; split=train\nCC\n", require_labels=True),
        r"record 1 \(a\): label 'x;' joins no two labels, as no other does, by ';'.*Remove the ';'",
    ),
    "several labels in a classification": (
        lambda folder: replace(csv_of("sequence,label\nAC,x;y\nCC,x;y\n")(folder), task="classification"),
        r"record 1 \(seq1\): label 'x;y': a classification gives every sequence exactly one class",
    ),
    "one number written in two ways": (
        csv_of("sequence,label\nAC,1\nCC,0\nCA,1.0\n"),
        r"record 3 \(seq3\): label '1.0' is the same number as label '1'",
    ),
    "old FASTA": (fasta_of("; a comment\nACGT\n"), "begins with ';': neither FASTA, whose headers begin with '>'"),
    "empty file": (fasta_of(""), "x.fa: the file is empty"),
    "blank file": (fasta_of("\n\n"), "x.fa: no sequences"),
    "FASTQ": (fasta_of("@a\nACGT\n+\nIIII\n"), "FASTQ is not read"),
    "missing file": (lambda folder: InputSpec(input=folder / "none.fa"), "none.fa: no such file"),
    "folder": (lambda folder: InputSpec(input=folder), "is a folder"),
    "truncated gzip": (raw_bytes(gzip.compress(fasta(ROWS * 99).encode())[:-30]), "truncated or damaged gzip"),
    "damaged gzip": (raw_bytes(b"\x1f\x8b\x08\x00" + b"junk" * 20), "truncated or damaged gzip"),
    "binary junk": (raw_bytes(bytes(range(256))), "binary data, not text"),
    "Latin-1": (raw_bytes(">a label=caf\xe9\nAC\n".encode("latin-1")), "not UTF-8"),
    "spreadsheet": (raw_bytes(b"PK\x03\x04rest"), "a damaged workbook"),
    "foreign HDF5 header": (raw_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 99), "the store is damaged"),
    "region too long": (bed_of("c1\t2\t9\n"), r"x.bed, record 1 \(c1:2-9\): the region ends at 9, but .* 8 letters"),
    "unknown chromosome": (bed_of("c1\t2\t4\nc2\t2\t4\n"), r"record 2 \(c2:2-4\): .*g.fa has no sequence 'c2'"),
    "empty region": (bed_of("c1\t4\t4\n"), "region 4-4 is empty"),
    "not a region": (bed_of("c1\tfour\t5\n"), "x.bed, record 1: not a BED line"),
    "strand in the column of names": (
        bed_of("c1\t1\t4\t+\n"),
        r"record 1 \(c1:1-4\): '\+' stands in column 4, which holds the name",
    ),
    "bad strand": (bed_of("c1\t1\t4\tx\t0\tminus\n"), "strand 'minus' is none of"),
    "genome is no FASTA": (bed_of("c1\t1\t4\n", "ACGT\n"), "g.fa: not a FASTA file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case: str, tmp_path: Path) -> None:
    make, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        read_input(make(tmp_path))
    assert caught.value.exit_code == 2


STREAMED = ("unknown letter", "gap", "empty sequence", "duplicate id", "truncated gzip", "binary junk", "unknown id")


@pytest.mark.parametrize("case", STREAMED)
def test_bad_input_is_named_in_a_stream(case: str, tmp_path: Path) -> None:
    make, message = BAD[case]
    with pytest.raises(InputError, match=message.split(";")[0]):
        list(stream_batches(make(tmp_path), DNA, batch=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "got none"),
        ({"input": "x.fa", "pos": "y.fa"}, "got input and pos/neg"),
        ({"bed": "x.bed"}, 'bed="regions.bed" genome='),
        ({"labels": "y.tsv", "input": "x.fa"}, 'fasta="x.fa" labels="y.tsv"'),
        ({"pos": "-", "neg": "-"}, "only once"),
        ({"input": "x.fa", "alphabet": "dan"}, "Did you mean 'dna'"),
        ({"bed": "x.bed", "genome": "g.fa", "alphabet": "protein"}, "not protein"),
        ({"input": "x.fa", "gaps": "keep"}, "gaps must be reject or drop"),
    ],
)
def test_unclear_choices_of_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        InputSpec(**options)


def test_an_unknown_name_is_corrected() -> None:
    with pytest.raises(UsageError, match=r"Unknown data set 'spliec'\. Did you mean 'splice'"):
        read_input(InputSpec(input="spliec"))


def test_a_dna_store_serves_an_rna_model(tmp_path: Path) -> None:
    write_store(tmp_path / "x.h5", read_strings(["ACGT", "TTT"]))
    (piece,) = stream_batches(InputSpec(input=tmp_path / "x.h5"), RNA)
    assert piece.sequence(0) == "ACGU"
    with pytest.raises(InputError, match="holds dna, not protein"):
        list(stream_batches(InputSpec(input=tmp_path / "x.h5"), PROTEIN))


def test_labels_in_headers_give_way_to_the_class_of_the_file(tmp_path: Path) -> None:
    pos = written(tmp_path, "p.fa", ">a label=x\nAC\n>b\nCC\n")
    neg = written(tmp_path, "n.fa", ">c\nAC\n>d\nCA\n")
    found = read_input(InputSpec(pos=pos, neg=neg, require_labels=True))
    assert found.classes == ("negative", "positive")
    assert found.y is not None
    assert found.y.tolist() == [1, 1, 0, 0]
    assert found.warnings[0] == "labels in FASTA headers ignored, as the file names the class: 1"


def test_a_file_read_in_many_pieces_remembers_every_id(tmp_path: Path) -> None:
    rows = [(f"r{i}", "ACGT", "x") for i in range(500)]
    path = written(tmp_path, "x.fa", fasta([*rows, ("r137", "AC", "x")]))
    with pytest.raises(InputError, match=r"record 501 \(r137\): duplicate id"):
        list(stream_batches(InputSpec(input=path), DNA, batch=7))


texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


def reads_or_names(path: Path) -> SequenceSet | None:
    try:
        return read_input(InputSpec(input=path))
    except InputError as error:
        if path.name not in str(error):
            raise AssertionError(f"the file is not named: {error}") from error
        return None


@given(text=texts, kind=st.sampled_from([">a\n", "sequence,label\n", "id,sequence\n", ""]))
def test_any_text_is_read_or_refused_with_a_message(text: str, kind: str, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.txt"
    path.write_bytes((kind + text).encode())
    found = reads_or_names(path)
    assert found is None or (found.lengths.min() > 0 and found.codes.max() < found.alphabet.pad)


@given(raw=st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_with_a_message(raw: bytes, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.bin"
    path.write_bytes(raw)
    found = reads_or_names(path)
    assert found is None or found.lengths.min() > 0


@given(rows=st.lists(st.tuples(st.text("ACGTN", min_size=1), st.sampled_from("xyz")), min_size=1, max_size=9))
def test_fasta_round_trip(rows: list[tuple[str, str]], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "round.fa"
    found = read_strings([text for text, _ in rows], [label for _, label in rows])
    write_fasta(path, found)
    again = read_input(InputSpec(input=path))
    assert content(again) == content(found)
    assert list(again.names) == list(found.names)


def test_letters_are_gathered_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("ACGT"), length)) for length in generator.integers(1, 20, 40)]
    data, chosen = read_strings(texts, ["a", "b"] * 20, alphabet="dna"), generator.permutation(40)[:29]
    for size in (1, 7, 29, 1000):
        monkeypatch.setattr(sequence_set, "GATHERED", size)
        part, ids = data.subset(chosen), data.padded(chosen)
        assert [part.sequence(i) for i in range(29)] == [texts[i] for i in chosen]
        assert [data.alphabet.decode(row[row != data.alphabet.pad]) for row in ids] == [texts[i] for i in chosen]
        assert data.symbol_counts().tolist() == [[text.count(each) for each in data.alphabet.symbols] for text in texts]
        assert ids.shape == (29, max(len(texts[i]) for i in chosen))
        assert len(data.subset(chosen[:0]).codes) == data.padded(chosen[:0]).size == 0


def test_batches_are_as_large_as_they_may_be() -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 60)
    for most, letters in ((1, 100), (7, 100), (60, 100), (7, 5)):
        expected: list[list[int]] = [[]]
        for i in range(len(lengths)):
            together = [*expected[-1], i]
            if expected[-1] and (len(together) > most or len(together) * lengths[together].max() > letters):
                expected.append([])
            expected[-1].append(i)
        assert [batch.tolist() for batch in padded_batches(lengths, most, letters)] == expected
