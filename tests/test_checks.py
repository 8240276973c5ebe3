"""The checks: each situation in which people fool themselves is called so, and none where there is none."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

import seqreg
from seqreg.checks import CHECKS, COLUMNS, Evidence, find_all, suspects
from seqreg.checks.base import Finding
from seqreg.checks.references import composition, from_learned, stand_in
from seqreg.checks.relatives import nearest_similarity
from seqreg.checks.scores import ece_if_calibrated
from seqreg.errors import UsageError
from seqreg.evaluation.thresholds import threshold_rows
from seqreg.metrics import ece
from seqreg.records import dump_json, read_json, read_tsv
from seqreg.sequences import SequenceSet, read_strings, shuffled_background, write_fasta
from seqreg.targets import Classes, Labels, Target

Call = Callable[..., CompletedProcess[str]]
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def proteins(n: int, rng: np.random.Generator, shortest: int = 25, longest: int = 40) -> list[str]:
    return ["".join(rng.choice(list(LETTERS), size=rng.integers(shortest, longest + 1))) for _ in range(n)]


def with_motif(texts: Iterable[str]) -> list[str]:
    return [f"{text[:8]}WKWKHF{text[14:]}" for text in texts]


def clean(n: int = 160, seed: int = 0) -> SequenceSet:
    """As many proteins with a motif as without it."""
    rng = np.random.default_rng(seed)
    texts = proteins(n, rng)
    return read_strings([*with_motif(texts[: n // 2]), *texts[n // 2 :]], ["with"] * (n // 2) + ["absent"] * (n // 2))


def found(data: SequenceSet, **more: Any) -> dict[str, Finding]:
    return {each.name: each for each in find_all(Evidence(data=data, **more))}


def divided(data: SequenceSet, tested: Iterable[int]) -> dict[str, Any]:
    held_out = np.zeros(len(data), dtype=bool)
    held_out[list(tested)] = True
    return {"learned": data.subset(np.flatnonzero(~held_out)), "tested": data.subset(np.flatnonzero(held_out))}


def test_clean_data_have_no_warning() -> None:
    data = clean()
    checks = found(data)
    assert [name for name, each in checks.items() if each.status == "warn"] == []
    assert list(checks) == [name for name in CHECKS if name not in ("calibration", "below-chance")]
    assert all(each.message and (each.status == "ok") == (not each.remedy) for each in checks.values())
    json.loads(dump_json(list(checks.values())))


def test_length_alone_that_tells_the_classes_apart_is_a_warning() -> None:
    """Negatives of which half are cut to 50 to 70 letters and called positive."""
    rng = np.random.default_rng(1)
    texts = proteins(160, rng, 100, 140)
    cut = [text[: rng.integers(50, 71)] for text in texts[:80]]
    checks = found(read_strings([*cut, *texts[80:]], ["positive"] * 80 + ["negative"] * 80))
    assert checks["length-only"].status == "warn"
    assert checks["length-only"].value["value"] > 0.99
    assert checks["length-by-class"].status == "note"
    assert checks["composition-only"].status != "warn"


def test_letters_alone_that_tell_the_classes_apart_are_a_warning_unless_the_model_knows_more() -> None:
    rng = np.random.default_rng(2)
    share = np.where(np.isin(list(LETTERS), list("KR")), 3.0, 1.0)
    rich = ["".join(rng.choice(list(LETTERS), size=30, p=share / share.sum())) for _ in range(100)]
    data = read_strings([*rich, *proteins(100, rng, 30, 30)], ["positive"] * 100 + ["negative"] * 100)
    _, y = data.labelled()
    parts = divided(data, range(0, 200, 2))
    perfect = np.where(y[::2, None] == [0, 1], 0.98, 0.02)
    known = found(data, **parts, p=perfect)["composition-only"]
    assert (known.status, known.value["model"]) == ("ok", 1.0)
    assert 0.7 < known.value["value"] < 1
    together = Evidence(data=data, **parts).together
    assert together is not None
    letters = composition(together)
    blind = found(data, **parts, p=from_learned(parts["learned"], parts["tested"], letters, 0))["composition-only"]
    assert (blind.status, blind.value["model"]) == ("warn", pytest.approx(blind.value["value"]))


def test_copies_are_counted_with_their_labels_and_parts() -> None:
    data = clean(60)
    texts, labels = [data.sequence(i) for i in range(60)], data.label_texts()
    more = read_strings([*texts, *texts[:10]], [*labels, *labels[:9], "absent"])
    check = found(more)["duplicates"]
    assert (check.status, check.value) == ("warn", {"copies": 10, "conflicting": 1, "across_parts": 0})
    across = found(more, **divided(more, range(60, 65)))["duplicates"]
    assert across.value["across_parts"] == 5
    alike = read_strings([*texts, *texts[:9]], [*labels, *labels[:9]])
    assert found(alike)["duplicates"].status == "note"
    dna = read_strings(["ACGGT", "ACCGT", "AACCA", "TTTTC"], ["x", "x", "y", "y"], alphabet="dna")
    assert found(dna)["duplicates"].value["copies"] == 1


def test_near_copies_in_both_parts_are_a_warning() -> None:
    """60 families of five that differ in one letter, parted at random: against the largest similarity, pair by pair."""
    rng = np.random.default_rng(3)
    texts = []
    for text in proteins(30, rng, 60, 60):
        for _ in range(4):
            place = rng.integers(60)
            texts.append(f"{text[:place]}A{text[place + 1 :]}")
    data = read_strings(texts, ["x", "y"] * 60)
    parts = divided(data, range(0, 120, 4))
    check = found(data, **parts)["similarity"]
    assert (check.status, check.value["near_copies"] > 0.9) == ("warn", True)

    together = Evidence(data=data, **parts).together
    assert together is not None

    def words(text: str) -> set[str]:
        return {text[i : i + 5] for i in range(len(text) - 4)}

    sets = {name: [words(part.sequence(i)) for i in range(len(part))] for name, part in parts.items()}
    slow = [max(len(a & b) / min(len(a), len(b)) for b in sets["learned"]) for a in sets["tested"]]
    assert nearest_similarity(together, len(parts["learned"])) == pytest.approx(slow)
    assert found(clean(), **divided(clean(), range(40)))["similarity"].status == "ok"


def test_labels_that_look_missing_are_a_warning() -> None:
    data = clean(40)
    labels = [*data.label_texts()[:-4], "NA", "nan", "?", "unknown"]
    check = found(read_strings([data.sequence(i) for i in range(40)], labels))["missing-like-labels"]
    assert (check.status, check.value) == ("warn", 4)


@pytest.mark.parametrize("target", [Classes(names=("a", "b"), asked_for="a"), Classes(names=tuple("abc"))])
def test_ece_under_perfect_calibration_is_that_of_labels_drawn_one_by_one(target: Target) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(len(target.names)), size=70)
    slow = []
    for _ in range(400):
        y = np.array([rng.choice(len(row), p=row) for row in p])
        slow.append(ece(y, p, positive=target.positive_index))
    quick = ece_if_calibrated(target, p, np.random.default_rng(1), 400)
    assert quick.mean() == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / 20)
    assert quick.std() == pytest.approx(np.std(slow), rel=0.2)


def test_ece_of_labels_under_perfect_calibration() -> None:
    target, p = Labels(names=("a", "b")), np.random.default_rng(0).random((60, 2))
    rng = np.random.default_rng(2)
    slow = [ece((rng.random(p.shape) < p).astype(int), p) for _ in range(400)]
    assert ece_if_calibrated(target, p, rng, 400).mean() == pytest.approx(np.mean(slow), rel=0.1)


@pytest.mark.parametrize(
    ("n", "sharpened", "status", "answer"),
    [(2000, 1.0, "ok", "consistent"), (76, 1.0, "note", "not distinguishable"), (400, 6.0, "warn", "off")],
)
def test_calibration_has_three_answers(n: int, sharpened: float, status: str, answer: str) -> None:
    rng = np.random.default_rng(4)
    data = read_strings(proteins(n, rng, 8, 9), ["a", "b"] * (n // 2))
    logit = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    data = SequenceSet(**{**vars_of(data), "y": y})
    p = 1 / (1 + np.exp(-sharpened * logit))
    evidence = Evidence(data=data, learned=data, tested=data, p=np.stack([1 - p, p], axis=1))
    check = CHECKS["calibration"](evidence)
    assert check is not None
    assert (check.status, check.value["answer"]) == (status, answer)


def vars_of(data: SequenceSet) -> dict[str, Any]:
    return {name: getattr(data, name) for name in SequenceSet.__dataclass_fields__}


def test_a_baseline_below_chance_is_a_warning() -> None:
    data = clean(40)
    low = {"auroc": 0.25, "intervals": {"auroc": [0.1, 0.4]}}
    usual = {"auroc": 0.45, "intervals": {"auroc": [0.3, 0.6]}}
    parts = divided(data, range(10))
    check = found(data, **parts, baselines={"a": usual, "kmer-svm": low})["below-chance"]
    assert (check.status, check.value) == ("warn", {"kmer-svm": 0.25})
    assert "group=" in check.remedy
    assert found(data, **parts, baselines={"a": usual})["below-chance"].status == "ok"


def test_shuffles_on_the_other_side_of_a_split_are_called_so_and_groups_mend_it(tmp_path: Path) -> None:
    """What a sequence and its shuffle share is all that pairs of letters tell, and their labels are opposite."""
    from seqreg.training import TrainConfig, train_baseline

    rng = np.random.default_rng(7)
    positives = read_strings(proteins(60, rng, 12, 16))
    shuffled = shuffled_background(positives, seed=1)
    texts = [part.sequence(i) for part in (positives, shuffled) for i in range(len(part))]
    labels = ["positive"] * 60 + ["negative"] * len(shuffled)
    groups = [*positives.names, *(shuffled.group if shuffled.group is not None else ())]
    how: dict[str, Any] = {"baseline": "kmer-logistic:k=2"}
    found = {}
    for name, group in (("alone", None), ("together", groups)):
        train_baseline(read_strings(texts, labels, groups=group), TrainConfig(test=0.4), tmp_path / name, **how)
        metrics = read_json(tmp_path / name / "metrics.json")
        checks = {each["name"]: each["status"] for each in metrics["checks"]}
        found[name] = (checks["below-chance"], metrics["verdict"]["outcome"])
    assert found == {"alone": ("warn", "behind"), "together": ("ok", "guessing")}


def test_suspects_are_those_of_confident_learning_one_by_one() -> None:
    rng = np.random.default_rng(5)
    y, p = rng.integers(3, size=80), rng.dirichlet([0.5] * 3, size=80)
    p[7] = np.nan
    known = [i for i in range(80) if i != 7]
    threshold = [np.mean([p[i, k] for i in known if y[i] == k]) for k in range(3)]
    expected = []
    for i in known:
        confident = [k for k in range(3) if p[i, k] >= threshold[k]]
        if confident and max(confident, key=lambda k: p[i, k]) != y[i] and p[i, y[i]] < min(0.1, max(p[i])):
            expected.append((p[i, y[i]] - max(p[i]), i))
    rows = suspects(Classes(names=tuple("abc")), y, p).tolist()
    assert rows == [i for _, i in sorted(expected)]
    assert rows


def test_labels_that_the_others_agree_with_are_not_suspect() -> None:
    """Of a frequent class, members reach a rare class's low threshold while their own is still the most probable."""
    y = np.array([0] * 8 + [1] * 2)
    p_rare = np.array([0.3, 0.3, *[0.05] * 6, 0.25, 0.3])
    p = np.stack([1 - p_rare, p_rare], axis=1)
    target = Classes(names=("common", "rare"))
    assert suspects(target, y, p).tolist() == []
    p[:2] = [[0.2, 0.8], [0.05, 0.95]]
    assert suspects(target, y, p).tolist() == [1]


def test_letters_at_their_places_stand_in_where_these_tell_more() -> None:
    """Sequences of one length whose class is the letter in the middle, of letters that are all as frequent."""
    rng = np.random.default_rng(6)
    texts = ["".join(rng.permutation(list("ACGT" * 5))) for _ in range(120)]
    data = read_strings(texts, ["x" if text[10] in "AC" else "y" for text in texts])
    assert "label-issues" in found(data)
    assert found(data)["label-issues"].value <= 2
    _, y = data.labelled()
    assert (stand_in(data, 0).argmax(axis=1) == y).mean() > 0.95


def test_suspects_are_written_for_sequences_of_one_class_each(tmp_path: Path, call: Call) -> None:
    """Before any training and after it, of values nothing is written in either."""
    rng = np.random.default_rng(0)
    texts = proteins(40, rng, 12, 12)
    rows = [f"s{i},{text},{text.count('K') + rng.normal(0, 0.1):.4f}" for i, text in enumerate(texts)]
    (tmp_path / "values.csv").write_text("\n".join(["id,sequence,value", *rows]) + "\n")
    done = call("check", tmp_path / "values.csv", "-o", tmp_path / "checks.json")
    assert done.returncode == 0, done.stderr
    labels = [f"s{i},{text},{'a;b' if i % 2 else 'a'}" for i, text in enumerate(texts)]
    (tmp_path / "labels.csv").write_text("\n".join(["id,sequence,label", *labels]) + "\n")
    assert call("check", tmp_path / "labels.csv", "-o", tmp_path / "checks.json").returncode == 0
    assert not (tmp_path / "suspects.tsv").exists()


def test_flipped_labels_come_first_among_suspects(tmp_path: Path, call: Call) -> None:
    data = clean(160)
    labels = data.label_texts()
    for i in range(6):
        labels[i * 12] = "absent" if labels[i * 12] == "with" else "with"
    write_fasta(tmp_path / "x.fa", read_strings([data.sequence(i) for i in range(160)], labels, names=data.names))
    done = call("check", tmp_path / "x.fa", "-o", tmp_path / "checks.json")
    assert done.returncode == 0, done.stderr
    rows = read_tsv(tmp_path / "suspects.tsv")
    flipped = {data.names[i * 12] for i in range(6)}
    assert len(flipped & {row["id"] for row in rows[:5]}) >= 3
    assert len(rows) < 12
    assert all(row["label"] != row["suggested"] for row in rows)
    checks = {each["name"]: each for each in read_json(tmp_path / "checks.json")["checks"]}
    assert checks["label-issues"]["value"] == len(rows)
    assert all(list(each) == ["name", "status", "value", "message", "remedy"] for each in checks.values())


def test_strict_ends_with_1_where_a_check_warns(tmp_path: Path, call: Call) -> None:
    data = clean(40)
    write_fasta(tmp_path / "good.fa", data)
    labels = [*data.label_texts()[:-4], *["unknown"] * 4]
    write_fasta(tmp_path / "bad.fa", read_strings([data.sequence(i) for i in range(40)], labels))
    assert call("check", tmp_path / "good.fa", "--strict").returncode == 0
    assert call("check", tmp_path / "bad.fa").returncode == 0
    done = call("check", tmp_path / "bad.fa", "--strict", "--json")
    assert done.returncode == 1
    checks = {each["name"]: each["status"] for each in json.loads(done.stdout)["checks"]}
    assert checks["missing-like-labels"] == "warn"
    assert call("check", tmp_path / "none.fa").returncode == 2


def test_the_same_in_python() -> None:
    data = clean(40)
    texts = [data.sequence(i) for i in range(40)]
    assert seqreg.check(texts, data.label_texts()) == find_all(Evidence(data=read_strings(texts, data.label_texts())))
    groups = [f"g{i // 2}" for i in range(40)]
    assert {each.name for each in seqreg.check(texts, data.label_texts(), groups)} >= {"duplicates", "length-only"}
    assert {each.name for each in seqreg.check(texts)} == {"duplicates", "similarity"}


# ------------------------------------------------------------------------------------------------ runs, and predict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline trained on 60 proteins of which one is there twice."""
    from seqreg.training import TrainConfig, train_baseline

    folder = tmp_path_factory.mktemp("checked")
    data = clean(60)
    texts, labels = [*(data.sequence(i) for i in range(60)), data.sequence(0)], [*data.label_texts(), "with"]
    data = read_strings(texts, labels)
    write_fasta(folder / "x.fa", data)
    from seqreg.report import write_report

    config = TrainConfig(prevalence=0.01)
    train_baseline(data, config, folder / "run", baseline="kmer-logistic:k=2", finish=write_report)
    return folder


def test_a_run_keeps_its_checks_suspects_and_thresholds(run: Path, call: Call) -> None:
    metrics = read_json(run / "run" / "metrics.json")
    checks = {each["name"]: each for each in metrics["checks"]}
    assert list(checks) == list(CHECKS)
    assert checks["duplicates"]["status"] == "note"
    page = (run / "run" / "report.html").read_text(encoding="utf-8")
    card = (run / "run" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Could it be fooling you?" in page
    assert "Could it be fooling you?" in card
    assert all(each["message"].split(":")[0].split(",")[0] in page for each in metrics["checks"])
    assert (run / "run" / "suspects.tsv").read_text().splitlines()[0].split("\t") == list(COLUMNS)
    for row in read_tsv(run / "run" / "thresholds.tsv"):
        found, passed = float(row["sensitivity"]), float(row["specificity"])
        hits, misses = 0.01 * found, 0.99 * (1 - passed)
        assert float(row["prevalence"]) == 0.01
        assert float(row["false_hits"]) == pytest.approx(1000 * misses, rel=1e-3)
        if hits + misses:
            assert float(row["expected_precision"]) == pytest.approx(hits / (hits + misses), rel=1e-3)
    done = call("evaluate", run / "run", run / "x.fa", "--part", "test", "-o", run / "e.json", "--prevalence", 0.5)
    assert done.returncode == 0, done.stderr
    again = {each["name"]: each for each in read_json(run / "e.json")["checks"]}
    assert again["calibration"]["value"]["ece"] == checks["calibration"]["value"]["ece"]
    assert {row["prevalence"] for row in read_tsv(run / "e.thresholds.tsv")} == {"0.5"}


def test_thresholds_are_counted_one_by_one() -> None:
    y, score = np.array([0, 0, 0, 1, 1]), np.array([0.05, 0.4, 0.7, 0.35, 0.95])
    rows = threshold_rows(Classes(names=("a", "b"), asked_for="b"), y, np.stack([1 - score, score], axis=1))
    for level, sensitivity, specificity, precision, *_ in rows:
        called = score >= float(level)
        assert float(sensitivity) == pytest.approx(called[y == 1].mean(), abs=1e-3)
        assert float(specificity) == pytest.approx(1 - called[y == 0].mean(), abs=1e-3)
        assert precision == (f"{y[called].mean():.4g}" if called.any() else "")
    assert threshold_rows(Classes(names=tuple("abc")), y, np.full((5, 3), 1 / 3)) == ()
    with pytest.raises(UsageError, match="prevalence"):
        threshold_rows(Classes(names=("a", "b"), asked_for="b"), y, np.stack([1 - score, score], axis=1), 1.0)


def test_predict_warns_of_letters_and_of_sequences_it_learned_from(run: Path, call: Call) -> None:
    (run / "dna.fa").write_text(">a\nACGTACGTACGTACGTACGTACGTAAN\n>b\nACGGGTTTACGTACGTACGTACGTAAT\n")
    done = call("predict", run / "run", run / "dna.fa", "-o", run / "p.tsv")
    assert done.returncode == 0, done.stderr
    assert "look like DNA" in done.stderr
    assert "learned from" not in done.stderr
    done = call("predict", run / "run", run / "x.fa", "-o", run / "p.tsv")
    assert "look like DNA" not in done.stderr
    learned = sum(row["split"] != "test" for row in read_tsv(run / "run" / "splits.tsv"))
    assert f"{learned} sequences are among those that the model learned from" in done.stderr
