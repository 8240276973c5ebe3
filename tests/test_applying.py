"""What one does with a trained run: scans, variants, prediction sets, calibration, and the model card."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from scipy.stats import binom

from seqreg import SequenceClassifier
from seqreg.alphabet import DNA, PROTEIN, RNA, Alphabet
from seqreg.attacks import AppliedEdit, apply_edits, read_edits
from seqreg.baselines import fit_baseline
from seqreg.cli import app, predicting, using
from seqreg.cli.loading import side_by_side
from seqreg.errors import InputError, ModelError, UsageError
from seqreg.evaluation.calibration import calibration_effect, fit_temperature
from seqreg.evaluation.conformal import Conformal, load_conformal
from seqreg.metrics import log_loss
from seqreg.predictors.network import TrainedNetwork
from seqreg.records import read_json, read_tsv
from seqreg.sensitivity.substitutions import all_substitutions, columns_of_substitutions
from seqreg.sensitivity.variants import score_variants
from seqreg.sequences import (
    InputSpec,
    ListedVariant,
    Scan,
    SequenceSet,
    read_input,
    read_strings,
    read_variants,
    write_fasta,
)
from seqreg.sequences.windows import slide
from seqreg.targets import Classes, Labels, Target
from seqreg.training import Progress, TrainConfig, train
from tests.conftest import planted, put_json
from tests.untrained import untrained

Call = Callable[..., CompletedProcess[str]]
QUICK = ["--epochs", "3", "--model", "cnn:filters=6,width=5", "--no-baselines", "--device", "cpu", "--threads", "1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`run` reads both strands as one, `strands` does not; `long.fa` holds sequences of many lengths."""
    folder = tmp_path_factory.mktemp("applying")
    write_fasta(folder / "data.fa", planted(DNA, "TGACGTCA"))
    for name, word in (("run", "--reverse-complement"), ("strands", "--no-reverse-complement")):
        with pytest.raises(SystemExit, match="0"):
            app(["train", str(folder / "data.fa"), "-o", str(folder / name), *QUICK, word, "--quiet"])
    rng = np.random.default_rng(1)
    texts = {name: "".join(rng.choice(list("ACGTN"), n)) for name, n in (("a", 150), ("b", 34), ("c", 9), ("d", 35))}
    texts["gap"] = "N" * 80 + texts["b"]
    wrapped = [
        f">{name} told\n" + "".join(f"{t[i : i + 13]}\n" for i in range(0, len(t), 13)) for name, t in texts.items()
    ]
    (folder / "long.fa").write_text("".join(wrapped))
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


# ------------------------------------------------------------------------------------------------------- scanning


@pytest.mark.parametrize(
    ("length", "window", "step"), [(1, 1, 1), (20, 7, 3), (22, 7, 3), (5, 7, 3), (40, 4, 9), (7, 7, 2)]
)
@pytest.mark.parametrize("cut", [1, 5, 64])
def test_windows_are_those_of_the_definition(length: int, window: int, step: int, cut: int) -> None:
    codes = np.arange(length, dtype=np.uint8)
    found = list(slide([codes[i : i + cut] for i in range(0, length, cut)], window, step))
    starts = list(range(0, length - window + 1, step))
    if not starts or starts[-1] + window < length:
        starts.append(max(0, length - window))
    assert [at + k * step for at, count, _ in found for k in range(count)] == starts
    for at, count, letters in found:
        np.testing.assert_array_equal(letters, codes[at : at + (count - 1) * step + min(window, length)])


@pytest.mark.parametrize("name", ["run", "strands"])
def test_scanning_is_predicting_each_window(folder: Path, call: Call, name: str) -> None:
    done = call("predict", name, "long.fa", "--scan", "11", "--window", "30", "-o", "out.bed")
    assert (done.returncode, "windows without a known letter left out" in done.stderr) == (0, True)
    header, *lines = (line.split("\t") for line in Path("out.bed").read_text().splitlines())
    assert header == ["#chrom", "start", "end", "class", "score", "strand", "probability"]
    letters = {n: read_input(InputSpec(input="long.fa")).sequence(i) for i, n in enumerate("abcd")}
    assert {line[5] for line in lines} == ({"."} if name == "run" else {"+", "-"})
    mirror = str.maketrans("ACGT", "TGCA")
    texts = []
    for chrom, start, end, *_ in lines:
        text = letters.get(chrom, "N" * 80 + letters["b"])[int(start) : int(end)]
        texts.append(text)
    texts = [t.translate(mirror)[::-1] if line[5] == "-" else t for t, line in zip(texts, lines, strict=True)]
    Path("windows.fa").write_text("".join(f">w{i}\n{text}\n" for i, text in enumerate(texts)))
    assert call("predict", name, "windows.fa", "-o", "each.tsv").returncode == 0
    wanted = [row["p_with"] for row in read_tsv("each.tsv")]
    assert [line[6] for line in lines] == wanted
    assert [line[4] for line in lines] == [str(round(1000 * float(p))) for p in wanted]
    assert {line[3] for line in lines} == {"with"}
    assert {"c"} < {line[0] for line in lines}

    values = sorted(set(map(float, wanted)))
    some = sum(values[len(values) // 2 :][:2]) / 2
    done = call("predict", name, "long.fa", "--scan", "11", "--window", "30", "--threshold", some, "--quiet")
    assert [line.split("\t")[6] for line in done.stdout.splitlines()[1:]] == [p for p in wanted if float(p) >= some]


@pytest.mark.parametrize("what", [("--scan", 3, "--window", 30), ("--all-substitutions",), ()], ids=str)
@pytest.mark.usefixtures("forked")
def test_processes_side_by_side_write_the_same_bytes(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch, what: tuple[object, ...]
) -> None:
    asked = ("predict", "strands", "long.fa", *what, "--batch-size", 5)
    assert call(*asked, "--workers", 1, "-o", "alone.tsv").returncode == 0
    monkeypatch.setattr(using, "side_by_side", lambda *about: replace(side_by_side(*about), pays=1e-9))
    monkeypatch.setattr("seqreg.sequences.windows._WINDOWS", 7)
    for name in ("PIECE", "MUTATED"):
        monkeypatch.setattr(predicting, name, 1)
    assert call(*asked, "--workers", 2, "-o", "beside.tsv").returncode == 0
    assert Path("beside.tsv").read_bytes() == Path("alone.tsv").read_bytes()


def test_a_scan_holds_no_more_of_a_longer_chromosome_in_one_line(tmp_path: Path) -> None:
    peaks = []
    for letters in (1_000_000, 4_000_000):
        (tmp_path / "one.fa").write_text(">one\n" + "ACGTTGCANN" * (letters // 10))
        scan = Scan(InputSpec(input=tmp_path / "one.fa"), DNA, window=200, step=100, both_strands=True)
        tracemalloc.start()
        total = sum(map(len, scan))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == 2 * ((letters - 200) // 100 + 1)
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (">a\nACGT\n>b\nACXGT\n", "record 2 (b): letter 'X' at position 3 is not dna"),
        (">a\nACGT\n>a\nACGT\n", "record 2 (a): the id was there before"),
        (">a\nACGT\n>b\n", "record 2 (b): the sequence is empty"),
        (">\nACGT\n", "record 1: the record has no id"),
    ],
)
def test_scanning_names_what_is_wrong(folder: Path, call: Call, text: str, problem: str) -> None:
    Path("bad.fa").write_text(text)
    done = call("predict", "run", "bad.fa", "--scan", "5", "-o", "bad.bed")
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
    assert not Path("bad.bed").exists()


def test_options_that_do_not_go_together(folder: Path, call: Call) -> None:
    for words in (
        ["--scan", "0"],
        ["--window", "5"],
        ["--scan", "5", "--gaps", "drop"],
        ["--scan", "5", "--threshold", "1.5"],
        ["--scan", "5", "--abstain", "0.9"],
        ["--abstain", "1"],
    ):
        assert call("predict", "run", "long.fa", *words).returncode == 2, words


def test_other_forms_of_input_are_scanned_too(folder: Path, call: Call) -> None:
    call("encode", "data.fa", "-o", "store.h5")
    data = read_input(InputSpec(input="data.fa"))
    rows = [(name, data.sequence(i), data.label(i)) for i, name in enumerate(data.names)]
    Path("data.csv").write_text("id,sequence,label\n" + "".join(",".join(row) + "\n" for row in rows))
    Path("labels.tsv").write_text("id\tlabel\n" + "".join(f"{row[0]}\t{row[2]}\n" for row in rows))
    for label in ("absent", "with"):
        Path(f"{label}.fa").write_text("".join(f">{row[0]}\n{row[1]}\n" for row in rows if row[2] == label))
    forms = ["data.fa", "store.h5", "data.csv", "--fasta data.fa", "--fasta data.fa --labels labels.tsv"]
    forms.append("--class absent=absent.fa --class with=with.fa")
    beds = {}
    for form in forms:
        done = call("predict", "run", *form.split(), "--scan", "10", "--window", "12", "--quiet")
        assert done.returncode == 0, done.stderr
        beds[form] = [line.split("\t")[1:] for line in done.stdout.splitlines()]
    wanted = beds.pop("data.fa")
    assert len(wanted) > len(rows)
    for form, lines in beds.items():
        assert sorted(lines) == sorted(wanted), form


# ------------------------------------------------------------------------------------------------------- variants


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN])
def test_edits_are_read_as_they_are_written(alphabet: Alphabet, rng: np.random.Generator) -> None:
    codes = rng.integers(alphabet.size, size=30).astype(np.uint8)
    edits = (
        AppliedEdit(3, "deletion", int(codes[3]) if alphabet is PROTEIN else -1, -1),
        AppliedEdit(3, "insertion", -1, 1),
        AppliedEdit(7, "substitution", int(codes[7]), 2),
        AppliedEdit(30, "insertion", -1, 0),
    )
    text = ";".join(edit.written(alphabet) for edit in edits)
    assert read_edits(text, alphabet) == edits
    wanted = [*codes[:3], 1, *codes[4:7], 2, *codes[8:], 0]
    assert apply_edits(codes, edits, alphabet).tolist() == wanted


@pytest.mark.parametrize("text", ["A12V", "12A>", "12A>N", "x", "0A>C", "12A>J", "3A>C;3A>G", "5_9insA", "p.A1C", ""])
def test_what_is_no_variant_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        apply_edits(DNA.encode("AAAAAAAAAAAAAAAA"), read_edits(text, DNA), DNA)


@pytest.mark.parametrize(
    ("alphabet", "text", "edited"),
    [
        (PROTEIN, "p.Ala2Val", "MVKLW"),
        (PROTEIN, "p.(Ala2Val)", "MVKLW"),
        (PROTEIN, "A2V", "MVKLW"),
        (PROTEIN, "p.Ala2_Leu4del", "MW"),
        (PROTEIN, "p.A2_K3delinsGG", "MGGLW"),
        (PROTEIN, "p.2_3insV", "MAVKLW"),
        (PROTEIN, "p.Ala2_Lys3insVal;p.W5Y", "MAVKLY"),
        (DNA, "c.2G>C", "ACTTA"),
        (DNA, "G2C", "ACTTA"),
        (DNA, "2_4del", "AA"),
        (DNA, "2delG", "ATTA"),
        (DNA, "g.2_3delinsAA", "AAATA"),
        (DNA, "2_3delGTinsAA", "AAATA"),
        (RNA, "r.3U>G", "AGGUA"),
        (PROTEIN, "p.2_3insVG", "MAVGKLW"),
        (PROTEIN, "p.Ala2_Lys3insGlyVal", "MAGVKLW"),
        (PROTEIN, "p.A2_K3delinsG", "MGLW"),
        (PROTEIN, "p.Ala2delinsTrpTyrVal", "MWYVKLW"),
        (PROTEIN, "p.Ala2dup", "MAAKLW"),
        (PROTEIN, "p.Ala2_Leu4dup", "MAKLAKLW"),
        (DNA, "2_4dupGTT;1del", "GTTGTTA"),
        (DNA, "5_6insGTC", "AGTTAGTC"),
        (DNA, "2_4delinsC", "ACA"),
    ],
)
def test_variants_are_read_as_geneticists_write_them(alphabet: Alphabet, text: str, edited: str) -> None:
    codes = alphabet.encode("MAKLW" if alphabet is PROTEIN else "AGTTA")
    assert alphabet.decode(apply_edits(codes, read_edits(text, alphabet, codes), alphabet)) == edited


@pytest.mark.parametrize(
    "text",
    [
        *(
            "p.Ala2fs",
            "p.Ala2Ter",
            "p.Ala2=",
            "p.Ala2dup",
            "p.A2_K3dupAL",
            "p.2_4insVG",
            "p.K2V",
            "p.A2_L3del",
            "12V",
        ),
        *("p.A4_K2del", "c.A2V", "p.A2>V", "p.Ala2ins V", "p.A2_K3V"),
    ],
)
def test_other_variants_of_proteins_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        apply_edits(PROTEIN.encode("MAKLW"), read_edits(text, PROTEIN), PROTEIN)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "s1\tp.A1C\n",
            "id\tvariant\ns1\tp.A1C\n",
            "ID\tVariant\ns1\tp.A1C\n",
            "# x\n\nVariant,Note,ID\np.A1C,n,s1\n",
        ),
        "gene\tid\tvariant\tnote\ng\ts1\tp.A1C\t\n",
    ],
)
def test_lists_of_variants_under_any_header(text: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(text)
    (found,) = read_variants(tmp_path / "list")
    assert (found.id, found.text) == ("s1", "p.A1C")


def network(data: SequenceSet, target: Target, **fields: object) -> TrainedNetwork:
    spec = ",".join(f"{name}={value}" for name, value in {"filters": 5, "width": 4, **fields}.items())
    found = untrained(f"cnn:{spec}", data, target=target, temperature=0.7)
    found.module.eval()
    return found


@pytest.mark.parametrize(
    "target", [Classes(names=("a", "b"), asked_for="a"), Classes(names=("a", "b", "c")), Labels(names=("a", "b", "c"))]
)
def test_all_substitutions_are_the_variants_of_one_letter(protein: SequenceSet, target: Target) -> None:
    model = network(protein, target, depth=2)
    found = all_substitutions(model, protein.subset(np.array([4, 9])))
    places = [(4, 2), (9, 0), (9, 20)]
    listed = [
        ListedVariant("list", 1, protein.names[row], f"p.{protein.sequence(row)[i]}{i + 1}W") for row, i in places
    ]
    for score, (_, i) in zip(
        score_variants(model, protein, listed),
        [place for place in places for _ in range(3 if isinstance(target, Labels) else 1)],
        strict=True,
    ):
        (matrix,) = (each for each in found if (each.id, each.named) == (score.id, score.named))
        change = matrix.changes[i, PROTEIN.letters.index("W")]
        assert change == pytest.approx(score.logit_after - score.logit_before, abs=1e-9)
    (row, *_) = found[0].rows(target)
    assert dict(zip(columns_of_substitutions(model), row, strict=True))["class"] == found[0].named


@pytest.mark.parametrize(
    "target", [Classes(names=("a", "b"), asked_for="a"), Classes(names=("a", "b", "c")), Labels(names=("a", "b", "c"))]
)
def test_variants_score_as_edited_sequences_do(protein: SequenceSet, target: Target) -> None:
    model = network(protein, target, depth=2)
    first, second = protein.sequence(4), protein.sequence(9)
    texts = [
        f"p.{first[6]}7W",
        f"{first[0]}1C;p.{first[20]}21del",
        f"p.{second[2]}3{second[2]}",
        "p.4_5insK",
        f"p.{first[6]}7A",
    ]
    rows = [4, 4, 9, 9, 4]
    listed = [
        ListedVariant("list", i + 1, protein.names[row], text)
        for i, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]
    edited = [
        first[:6] + "W" + first[7:],
        "C" + first[1:20] + first[21:],
        second,
        second[:4] + "K" + second[4:],
        first[:6] + "A" + first[7:],
    ]
    scores = score_variants(model, protein, listed)
    several = isinstance(target, Labels)
    per_variant = 3 if several else 1
    assert [score.variant for score in scores] == [text for text in texts for _ in range(per_variant)]

    def p_of(text: str) -> np.ndarray:
        ids = torch.from_numpy(PROTEIN.encode(text).copy())[None]
        return model.architecture.probabilities(model.module(ids).detach().numpy())[0]

    for i, score in enumerate(scores):
        before, after = p_of((first, second)[rows[i // per_variant] == 9]), p_of(edited[i // per_variant])
        k = target.names.index(score.named)
        assert score.p_before == pytest.approx(before[k], abs=1e-6)
        assert score.p_after == pytest.approx(after[k], abs=1e-6)
        assert score.logit_after == pytest.approx(np.log(after[k] / (1 - after[k])), abs=1e-4)
        called = [
            ";".join(np.array(target.names)[p >= 0.5]) if several else target.names[p.argmax()] for p in (before, after)
        ]
        assert [score.prediction_before, score.prediction_after] == called
        assert score.certified == (called[0] == called[1])
        assert (score.certified_any is None) == ("ins" in score.variant or "del" in score.variant)
        assert score.certified or not score.certified_any
    same = scores[2 * per_variant]
    assert same.logit_before == pytest.approx(same.logit_after, abs=1e-12)


def test_a_certificate_of_any_letter_is_that_of_all_single_mutants(protein: SequenceSet) -> None:
    model = network(protein, Classes(names=("a", "b"), asked_for="a"), pooling="mean")
    with torch.no_grad():  # calls near the middle, of which some can be changed
        model.module.output.bias -= model.module(torch.from_numpy(protein.padded())).median()
    listed = [
        ListedVariant("list", 1, name, f"{protein.sequence(i)[0]}1A") for i, name in enumerate(protein.names[:12])
    ]
    found = {score.id: score.certified_any for score in score_variants(model, protein, listed)}
    for i, name in enumerate(protein.names[:12]):
        text = protein.sequence(i)
        mutants = [text[:at] + new + text[at + 1 :] for at in range(len(text)) for new in PROTEIN.letters]
        ids = torch.from_numpy(np.stack([PROTEIN.encode(mutant) for mutant in mutants]))
        calls = model.module(ids)[:, 0] > 0
        assert found[name] == (len(calls.unique()) == 1)
    assert len(set(found.values())) == 2


def test_variants_of_a_baseline(dna: SequenceSet) -> None:
    model = fit_baseline("kmer-logistic:k=2", dna)
    text = dna.sequence(3)
    listed = [ListedVariant("list", 1, "s3", f"5{text[4]}>{'A' if text[4] != 'A' else 'C'}")]
    (score,) = score_variants(model, dna, listed)
    assert score.p_before == pytest.approx(model.probabilities(dna)[3, dna.classes.index(score.named)])
    assert score.certified_any is None
    assert score.p_after != score.p_before


def test_variants_of_a_baseline_of_several_labels(dna: SequenceSet) -> None:
    assert dna.y is not None
    labels = np.stack([dna.y, np.arange(len(dna)) % 3 == 0], axis=1).astype(np.uint8)
    data = replace(dna, y=labels, target=Labels(names=("cre", "third")))
    model = fit_baseline("kmer-logistic:k=2", data)
    site = next(i for i in range(len(dna)) if "TGACGTCA" in dna.sequence(i))
    text = dna.sequence(site)
    start = text.index("TGACGTCA")
    other = text[: start + 2] + "C" + text[start + 3 :]
    found = score_variants(model, data, [ListedVariant("list", 1, dna.names[site], f"{start + 3}A>C")])
    assert [score.named for score in found] == ["cre", "third"]
    p = model.probabilities(read_strings([text, other], alphabet="dna"))
    for k, score in enumerate(found):
        assert (score.p_before, score.p_after) == pytest.approx(tuple(p[:, k]))
        assert (score.logit_before, score.logit_after) == pytest.approx(tuple(np.log(p[:, k] / (1 - p[:, k]))))
        calls = [";".join(np.array(data.classes)[row >= 0.5]) for row in p]
        assert [score.prediction_before, score.prediction_after] == calls
        assert score.certified == (calls[0] == calls[1])
        assert score.certified_any is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("s1\t1{other}>A", "list.tsv, line 3, record s1: letter 1 is "),
        ("s1\t99A>C", "list.tsv, line 3, record s1: 99A>C is outside the "),
        ("nobody\t1A>C", "list.tsv, line 3, record nobody: data.fa has no sequence of this id"),
        ("s1\tp.A1C", "list.tsv, line 3, record s1: 'p.A1C' is not a variant of dna that is read; write it like 12A>G"),
        ("s1 1A>C", "list.tsv, line 3: not a variant: 's1 1A>C'"),
    ],
)
def test_variants_that_cannot_be(folder: Path, call: Call, line: str, problem: str) -> None:
    first = read_input(InputSpec(input="data.fa")).sequence(1)[0]
    other = next(letter for letter in "CGT" if letter != first)
    Path("list.tsv").write_text(f"id\tvariant\n# a remark\n{line.format(other=other)}\n")
    done = call("predict", "run", "data.fa", "--variants", "list.tsv")
    assert (done.returncode, done.stdout, problem in done.stderr) == (2, "", True), done.stderr


def test_the_list_of_robustness_is_a_list_of_variants(folder: Path, call: Call) -> None:
    words = ["data.fa", "--part", "test", "--max-substitutions", "2", "--sample", "6"]
    assert call("robustness", "run", *words, "-o", "found/robustness.json").returncode == 0
    rows = [row for row in read_tsv("found/robustness.tsv") if row["edits"]]
    Path("list.tsv").write_text("".join(f"{row['id']}\t{row['edits']}\n" for row in rows))
    assert call("predict", "run", "data.fa", "--variants", "list.tsv", "-o", "scored.tsv").returncode == 0
    for row, scored in zip(rows, read_tsv("scored.tsv"), strict=True):
        sign = 1 if row["label"] == scored["class"] else -1
        temperature = read_json("run/model.json")["temperature"]
        assert sign * float(scored["logit_after"]) * temperature == pytest.approx(float(row["margin_after"]), abs=1e-4)
        assert scored["prediction_before"] == row["prediction"]


# ---------------------------------------------------------------------------------------------------- calibration


def drawn(target: Target, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, K) and y drawn from the very probabilities they give."""
    logits = rng.normal(size=(n, target.outputs)) * 2
    p = target.predict(logits)
    if isinstance(target, Labels):
        return logits, (rng.random(p.shape) < p).astype(np.int64)
    return logits, (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(max=len(target.names) - 1)


TWO = Classes(names=("a", "b"))
KINDS = [TWO, Classes(names=("a", "b", "c", "d")), Labels(names=("a", "b", "c"))]


@pytest.mark.parametrize("target", KINDS)
def test_temperature_is_found_again_and_changes_no_call(target: Target, rng: np.random.Generator) -> None:
    logits, y = drawn(target, 4000, rng)
    for scale in (0.4, 1.0, 3.0):
        found = fit_temperature(target, y, scale * logits)
        assert found == pytest.approx(scale, rel=0.08)
        before, after = (target.predict(scale * logits / t) for t in (1.0, found))
        np.testing.assert_array_equal(target.call(before), target.call(after))
        assert log_loss(y, after) <= log_loss(y, before) + 1e-6


def test_temperature_is_the_minimum_of_what_it_says(rng: np.random.Generator) -> None:
    target = Classes(names=("a", "b", "c"))
    logits, y = drawn(target, 50, rng)
    found = fit_temperature(target, y, 2 * logits)
    grid = np.exp(np.linspace(-2, 2, 4001))
    objective = [
        -np.log(softmax(2 * logits / t, axis=1)[np.arange(50), y]).sum() + np.log(t) ** 2 / (2 * 0.25) for t in grid
    ]
    assert found == pytest.approx(grid[np.argmin(objective)], rel=2e-3)


def test_too_few_sequences_move_the_temperature_little(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(5, 1)) * 3
    y = (logits[:, 0] > 0).astype(np.int64)  # all right: without a prior T would be 0
    assert 0.3 < fit_temperature(TWO, y, logits) < 1


def test_probabilities_at_extreme_logits_are_probabilities() -> None:
    z = np.array([[900.0], [-900.0]])
    np.testing.assert_array_equal(TWO.predict(z / 0.1), [[0, 1], [1, 0]])
    np.testing.assert_allclose(TWO.predict(z / 900)[:, 1], expit([1, -1]))


@pytest.mark.parametrize("target", KINDS)
def test_log_odds_are_those_of_the_probabilities(target: Target, rng: np.random.Generator) -> None:
    logits = rng.normal(size=(7, target.outputs))
    p = target.predict(logits)
    np.testing.assert_allclose(target.log_odds(logits), np.log(p / (1 - p)), rtol=1e-9)


def test_training_calibrates_unless_told_not_to(tmp_path: Path, dna: SequenceSet) -> None:
    config = TrainConfig(model="cnn:filters=6,width=5", epochs=4, baselines=False, threads=1, device="cpu")
    told: dict[str, list[Progress]] = {"none": [], "temperature": []}
    runs = {
        how: train(dna, replace(config, calibration=how), tmp_path / how, report=seen.append)
        for how, seen in told.items()
    }
    assert [(each.stage, each.epoch, each.epochs) for each in told["temperature"]] == [
        *(("training", epoch, 4) for epoch in range(1, 5)),
        *(("calibration", epoch, 12) for epoch in range(1, 13)),
    ]
    assert told["none"] == told["temperature"][:4]
    assert runs["none"].network.architecture.temperature == 1
    found = read_json(tmp_path / "temperature" / "model.json")["temperature"]
    assert found == runs["temperature"].network.architecture.temperature != 1
    assert (tmp_path / "none" / "model.safetensors").read_bytes() == (
        tmp_path / "temperature" / "model.safetensors"
    ).read_bytes()
    plain, calibrated = (read_json(tmp_path / how / "metrics.json") for how in ("none", "temperature"))
    assert plain["accuracy"] == calibrated["accuracy"]
    assert plain["auroc"] == calibrated["auroc"]
    effect = calibrated["calibration"]
    assert effect["temperature"] == found
    assert [effect["ece"][when] for when in ("before", "after")] == pytest.approx([plain["ece"], calibrated["ece"]])
    # Without a validation part, sets come from the test part, which then cannot judge them.
    assert read_json(tmp_path / "none" / "calibration.json")["part"] == "test"
    assert (effect["abstain"], "trained on" in effect["reason"]) == (None, True)


def test_the_command_says_what_follows_the_training(folder: Path, call: Call) -> None:
    said = call("train", "data.fa", "-o", "told", *QUICK, "--baselines").stderr
    assert "Epoch 3 of 3: loss " in said
    assert "\nCalibration epoch 9 of 9: loss " in said
    assert "\nBaseline 3 of 3\n" in said


def test_the_estimator_calibrates_as_training_does(tmp_path: Path, dna: SequenceSet) -> None:
    options: dict[str, Any] = {
        "model": "cnn:filters=6,width=5",
        "epochs": 4,
        "device": "cpu",
        "calibration": "temperature",
    }
    network = train(
        dna, TrainConfig(**options, test=0, baselines=False, threads=1, positive="with"), tmp_path / "run"
    ).network
    texts, labels = zip(*((dna.sequence(i), dna.label(i)) for i in range(len(dna))), strict=True)
    model = SequenceClassifier(**options, random_state=0, positive="with").fit(texts, labels)
    assert model.network_.architecture == network.architecture
    np.testing.assert_array_equal(model.predict_proba(texts), network.probabilities(dna))


def test_a_large_validation_part_gives_the_temperature_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqreg.training.calibration.ENOUGH_TO_CALIBRATE", 30)
    data = planted(DNA, "TGACGTCA", n=160)
    config = TrainConfig(model="cnn:filters=6,width=5", epochs=4, baselines=False, threads=1, valid=0.4, device="cpu")
    network = train(data, config, tmp_path / "run").network
    part = {row["id"]: row["split"] for row in read_tsv(tmp_path / "run" / "splits.tsv")}
    valid = data.subset(np.flatnonzero([part[name] == "valid" for name in data.names]))
    assert network.architecture.temperature == pytest.approx(
        fit_temperature(network.target, valid.y, network.outputs(valid))
    )
    stored = load_conformal(tmp_path / "run")
    assert stored is not None
    assert stored.part == "valid"
    np.testing.assert_allclose(
        stored.nonconformity,
        Conformal.of(*valid.labelled(), network.probabilities(valid), "valid").nonconformity,
        atol=1e-8,
    )
    rows = read_json(tmp_path / "run" / "metrics.json")["calibration"]["abstain"]
    assert [row["coverage"] for row in rows] == [0.8, 0.9, 0.95]


# ------------------------------------------------------------------------------------------------ prediction sets


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_sets_hold_the_truth_as_often_as_asked(target: Target, coverage: float, rng: np.random.Generator) -> None:
    trials, held_out, covered = 600, 39, 0
    for _ in range(trials):
        logits, y = drawn(target, held_out + 1, rng)
        p = target.predict(logits * 2.5)  # overconfident: the law holds for any model
        sets = target.sets(p[-1:], Conformal.of(target, y[:-1], p[:-1], "valid").threshold(coverage))
        covered += int(sets.covers(y[-1:])[0])
    # Exactly ceil((n + 1) c) / (n + 1) where there are no ties, as here: 20, 32 and 36 of 40.
    exact = np.ceil(40 * coverage) / 40
    low, high = binom.ppf([0.0005, 0.9995], trials, exact)
    assert low <= covered <= high


def test_sets_are_nested_and_hold_everything_where_little_was_held_out() -> None:
    conformal = Conformal.of(TWO, np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), "valid")
    np.testing.assert_allclose(conformal.nonconformity, [0.1, 0.2, 0.6])
    assert [conformal.threshold(c) for c in (0.25, 0.5, 0.75, 0.8)] == pytest.approx([0.1, 0.2, 0.6, np.inf])
    p = np.array([[0.85, 0.15], [0.5, 0.5], [0.3, 0.7]])
    smaller, larger, whole = (TWO.sets(p, conformal.threshold(c)).may for c in (0.5, 0.75, 0.8))
    assert (smaller <= larger).all()
    assert whole.all()
    assert TWO.sets(p, 0.2).written(["a", "b"]) == ["a", "", ""]
    assert TWO.sets(p, 0.6).written(["a", "b"]) == ["a", "a;b", "b"]
    for wrong in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="between 0 and 1"):
            conformal.threshold(wrong)


def test_sets_of_labels_hold_combinations() -> None:
    p = np.array([[0.95, 0.5, 0.02], [0.96, 0.97, 0.1]])
    sets = Labels(names=("x", "y", "z")).sets(p, 0.6)
    assert sets.written(["x", "y", "z"]) == ["x;y?", "x;y"]
    assert sets.single.tolist() == [False, True]
    assert sets.covers(np.array([[1, 0, 0], [1, 1, 1]])).tolist() == [True, False]


def test_predict_abstains_and_evaluate_says_how_often_it_is_right(folder: Path, call: Call) -> None:
    assert call("predict", "run", "long.fa", "--abstain", "0.6", "-o", "sets.tsv").returncode == 0
    conformal = load_conformal(Path("run"))
    assert conformal is not None
    rows = read_tsv("sets.tsv")
    assert list(rows[0]) == ["id", "prediction", "p_absent", "p_with", "prediction_set", "decision", "reason"]
    limit = conformal.threshold(0.6)
    for row in rows:
        held = [name for name in ("absent", "with") if 1 - float(row[f"p_{name}"]) <= limit]
        assert row["prediction_set"] == ";".join(held)
        assert row["decision"] == (held[0] if len(held) == 1 else "abstain")

    rng = np.random.default_rng(3)
    lines = [f"n{i},{''.join(rng.choice(list('ACGT'), 25))},{('absent', 'with')[i % 2]}\n" for i in range(30)]
    Path("fresh.csv").write_text("id,sequence,label\n" + "".join(lines))
    call("evaluate", "run", "fresh.csv", "-o", "fresh.json")
    effect = read_json("fresh.json")["calibration"]
    data = read_input(InputSpec(input="fresh.csv", require_labels=True))
    call("predict", "run", "fresh.csv", "--abstain", "0.9", "-o", "sets.tsv")
    held = [data.label(i) in row["prediction_set"].split(";") for i, row in enumerate(read_tsv("sets.tsv"))]
    assert {row["coverage"]: row["covered"] for row in effect["abstain"]}[0.9] == pytest.approx(np.mean(held))
    assert effect["ece"]["after"] == pytest.approx(read_json("fresh.json")["ece"])


def test_a_run_that_held_nothing_out_cannot_abstain(folder: Path, call: Call) -> None:
    call("train", "data.fa", "-o", "all", *QUICK, "--valid", "0", "--test", "0", "--calibration", "none")
    done = call("predict", "all", "long.fa", "--abstain", "0.9")
    assert (done.returncode, "all has no calibration.json" in done.stderr) == (2, True)
    assert (
        calibration_effect(TWO, np.array([0, 1]), [[1, 0], [0, 1]], [[1, 0], [0, 1]], temperature=1.0)["abstain"]
        is None
    )
    put_json("all/calibration.json", {"part": "test"})
    with pytest.raises(ModelError, match=r"all/calibration.json cannot be read"):
        load_conformal(Path("all"))


# ----------------------------------------------------------------------------------------------------- model card


def test_the_card_says_what_the_files_say(folder: Path, call: Call) -> None:
    card = Path("run/MODEL_CARD.md").read_text()
    metrics = read_json("run/metrics.json")
    assert "# Model card: run\n" in card
    assert f"| AUROC | {metrics['auroc']:.3f} (" in card
    assert f"temperature of {metrics['calibration']['temperature']:.3g} before" in card
    assert "| absent | 24 | 6 |" in card
    assert read_json("run/run.json")["data"]["sha256"] in card
    assert "Not measured. `seqreg robustness run INPUT -o run/robustness.json`" in card
    assert "classify DNA sequences" in card
    assert "{{" not in card
    call("train", "data.fa", "-o", "studied", *QUICK, "--calibration", "none")
    call(
        "robustness",
        "studied",
        "data.fa",
        "--part",
        "test",
        "--max-substitutions",
        "1",
        "-o",
        "studied/robustness.json",
    )
    found = read_json("studied/robustness.json")
    renewed = Path("studied/MODEL_CARD.md").read_text()
    assert (
        f"| 1 | {100 * found['attacked_accuracy'][1]:.1f}\u00a0% | {100 * found['certified_accuracy'][1]:.1f}\u00a0% |"
        in renewed
    )


def test_the_card_of_a_baseline(folder: Path, call: Call) -> None:
    call("baseline", "data.fa", "-o", "kmers", "--model", "kmer-logistic:k=2")
    card = Path("kmers/MODEL_CARD.md").read_text()
    assert "Kind: linear baseline kmer-logistic" in card
    assert "attacks and certificates are for networks" in card
    assert call("predict", "kmers", "long.fa", "--abstain", "0.9", "--quiet").returncode == 0
    assert call("predict", "kmers", "long.fa", "--scan", "9", "--quiet").returncode == 0
    assert call("predict", "kmers", "long.fa", "--scan", "9", "--window", "30", "--quiet").returncode == 0


def test_hostile_names_stay_text_in_the_card(folder: Path, call: Call) -> None:
    data = planted(DNA, "TGACGTCA")
    rows = [f"{data.names[i]},{data.sequence(i)},{('<b>a|b', '*c*')[i % 2]}\n" for i in range(len(data))]
    Path("odd.csv").write_text("id,sequence,label\n" + "".join(rows))
    done = call("train", "odd.csv", "-o", "odd", *QUICK, "--calibration", "none")
    assert done.returncode == 0, done.stderr
    card = Path("odd/MODEL_CARD.md").read_text()
    assert r"| \<b\>a\|b | 24 | 6 |" in card
    assert "<b>" not in card


def test_a_list_without_variants(tmp_path: Path) -> None:
    (tmp_path / "none.tsv").write_text("id\tvariant\n")
    with pytest.raises(InputError, match="no variants"):
        read_variants(tmp_path / "none.tsv")


def test_the_card_of_a_run_that_kept_a_validation_part_and_no_test_part(folder: Path, call: Call) -> None:
    data = planted(DNA, "TGACGTCA")
    rows = [
        f"{data.names[i]},{data.sequence(i)},{data.classes[int(data.y[i])]},{('train', 'train', 'valid')[i % 3]}\n"
        for i in range(len(data))
        if data.y is not None
    ]
    Path("kept.csv").write_text("id,sequence,label,split\n" + "".join(rows))
    done = call("train", "kept.csv", "-o", "kept", *QUICK)
    assert done.returncode == 0, done.stderr
    card = Path("kept/MODEL_CARD.md").read_text()
    assert "No test part was held out" in card
    assert "sequences of the valid part" in card


# ------------------------------------------------------------------------------------------ lengths, and refused input


def lengths_of(run: str) -> int:
    return read_json(f"{run}/model.json")["length"]


def test_sequences_longer_than_those_learned_from_are_counted(folder: Path, call: Call, tmp_path: Path) -> None:
    most = lengths_of("run")
    rng = np.random.default_rng(0)
    sizes = (most, most + 1, 10 * most, 10 * most + 1, 20 * most)
    texts = {str(n): "".join(rng.choice(list("ACGT"), n)) for n in sizes}
    fasta = tmp_path / "x.fa"
    for more in ((), ("--abstain", "0.6")):
        fasta.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
        done = call("predict", "run", fasta, *more, "-o", tmp_path / "x.tsv")
        assert done.returncode == 0, done.stderr
        rows = {row["id"]: row for row in read_tsv(tmp_path / "x.tsv")}
        assert list(rows) == list(texts)
        for name, row in rows.items():
            scored = int(name) <= 10 * most
            assert {bool(row[key]) for key in row if key not in ("id", "reason", "prediction_set")} == {scored}
            assert row["reason"] == ("" if scored else f"longer than {10 * most} letters: use --scan")
        assert f"Warning: 4 sequences are longer than the longest of training ({most} letters); --scan" in done.stderr
        assert "Warning: 2 sequences are longer than ten times that and not scored; --scan" in done.stderr
        fasta.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items() if int(name) <= 10 * most))
        assert call("predict", "run", fasta, *more, "-o", tmp_path / "y.tsv").returncode == 0
        assert read_tsv(tmp_path / "y.tsv") == [row for row in rows.values() if not row["reason"]]
    fasta.write_text(f">chr1\n{texts[str(20 * most)]}\n>chr2\n{texts[str(10 * most + 1)]}\n")
    for output in ("-", tmp_path / "z.tsv"):
        done = call("predict", "run", fasta, "-o", output)
        assert (done.returncode, done.stdout) == (2, "")
        assert "2 sequences are longer than" in done.stderr
        assert "--scan STEP" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.fa", "x.tsv", "y.tsv"]


def test_the_row_of_a_chromosome_comes_first_where_it_stands_first(
    folder: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqreg.cli.predicting.PIECE", 1)
    long = "ACGT" * 5 * lengths_of("run")
    (tmp_path / "x.fa").write_text(f">chr\n{long}\n>short\n{'ACGT' * 5}\n>chr2\n{long}\n")
    done = call("predict", "run", tmp_path / "x.fa")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["id", "chr", "short", "chr2"]


@pytest.mark.parametrize("words", [(), ("--json",), ("--abstain", "0.6"), ("--scan", "5")])
def test_nothing_is_printed_before_a_record_is_accepted(
    folder: Path, call: Call, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "x.fa").write_text(">a\nACXGT\n")
    done = call("predict", "run", tmp_path / "x.fa", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert call("predict", "run", "no-such-file.fa", *words).stdout == ""


def test_a_scan_without_hits_is_a_table_without_rows(folder: Path, call: Call) -> None:
    done = call("predict", "run", "long.fa", "--scan", "9", "--threshold", "1", "--quiet")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stderr
