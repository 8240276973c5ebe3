"""seqreg compare, and the folds that it is mostly for: means against the definition, files, and what is refused."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from scipy.stats import t as student

from seqreg.alphabet import DNA
from seqreg.errors import ModelError, UsageError
from seqreg.evaluation import compare_runs
from seqreg.metrics import METRICS
from seqreg.records import read_json, read_tsv
from seqreg.sequences import Split, with_split, write_fasta
from tests.conftest import planted, put_json

Call = Callable[..., CompletedProcess[str]]
QUICK = ["--epochs", "2", "--model", "cnn:filters=4,width=5", "--device", "cpu", "--threads", "1", "--quiet"]


def test_the_folds_of_a_split_are_tested_on_in_turn(tmp_path: Path, call: Call) -> None:
    dna = planted(DNA, "TGACGTCA")
    write_fasta(tmp_path / "x.fa", dna)
    assert call("split", tmp_path / "x.fa", "--folds", 3, "-o", tmp_path / "folds.tsv").returncode == 0
    fold_of = {row["id"]: row["split"] for row in read_tsv(tmp_path / "folds.tsv")}
    for fold in (1, 2):
        words = ["--splits", tmp_path / "folds.tsv", "--fold", fold, "-o", tmp_path / f"run{fold}"]
        done = call("train", tmp_path / "x.fa", *words, *QUICK)
        assert done.returncode == 0, done.stderr
        part_of = {row["id"]: row["split"] for row in read_tsv(tmp_path / f"run{fold}" / "splits.tsv")}
        assert {name for name, part in part_of.items() if part == "test"} == {
            name for name, held_out in fold_of.items() if held_out == f"fold{fold}"
        }
        assert part_of.keys() == fold_of.keys()

    done = call("compare", tmp_path / "run1", tmp_path / "run2", "-o", tmp_path / "folds.json")
    assert done.returncode == 0, done.stderr
    found = read_json(tmp_path / "folds.json")
    rows = read_tsv(tmp_path / "folds.tsv")
    own = [read_json(tmp_path / f"run{fold}" / "metrics.json")["auroc"] for fold in (1, 2)]
    assert found["values"]["network"]["auroc"] == own
    assert [float(row["auroc"]) for row in rows if row["model"] == "network"] == own
    assert {row["model"] for row in rows} == found["spread"].keys() > {"network", "majority"}
    page = (tmp_path / "folds.html").read_text(encoding="utf-8")
    assert "2 runs side by side" in page
    assert f"{statistics.mean(own):.3f}" in page


def fake_run(folder: Path, *, model: dict[str, str], values: dict[str, float | None], **baselines: float) -> Path:
    folder.mkdir()
    put_json(folder / "model.json", model)
    beside = {name: {"n": 7, "auroc": value} for name, value in baselines.items()}
    put_json(folder / "metrics.json", {"n": 7, **values, "baselines": beside})
    return folder


def cross_validated(folder: Path, scores: list[float], fold: list[int] | None = None) -> Path:
    """A run of 3 folds, drawn twice, of 6 sequences."""
    run = fake_run(folder, model={"kind": "network"}, values={"auroc": statistics.mean(scores)})
    keys = [(repeat, number) for repeat in (1, 2) for number in (1, 2, 3)]
    folds = [{"repeat": r, "fold": f, "network": {"auroc": score}} for (r, f), score in zip(keys, scores, strict=True)]
    put_json(run / "metrics.json", {**read_json(run / "metrics.json"), "folds": folds})
    rows = [f"s{i}\t{number}\t{repeat}" for repeat in (1, 2) for i, number in enumerate(fold or [1, 2, 3, 1, 2, 3])]
    (run / "predictions.tsv").write_text("\n".join(["id\tfold\trepeat", *rows]) + "\n")
    return run


def test_runs_on_the_same_folds_are_tested_in_pairs(tmp_path: Path, call: Call) -> None:
    """Against the corrected resampled t-test and Holm's rule, written out."""
    rng = np.random.default_rng(0)
    good = rng.normal(0.9, 0.01, size=6)
    scores = {
        "good": good,
        "fair": good + rng.normal(0, 0.02, size=6),
        "poor": good - 0.1 + rng.normal(0, 0.01, size=6),
    }
    runs = [cross_validated(tmp_path / name, values.tolist()) for name, values in scores.items()]
    found = compare_runs(runs)
    slow = []
    for first, second in (("good", "fair"), ("good", "poor"), ("fair", "poor")):
        apart = scores[first] - scores[second]
        error = np.sqrt(apart.var(ddof=1) * (1 / 6 + (1 / 3) / (2 / 3)))
        slow.append(2 * student.sf(abs(apart.mean()) / error, 5))
    assert [each.p for each in found.tests] == pytest.approx(slow)
    order = np.argsort(slow)
    steps = [slow[i] * (3 - rank) for rank, i in enumerate(order)]
    adjusted = dict(zip(order.tolist(), np.minimum(1, np.maximum.accumulate(steps)).tolist(), strict=True))
    assert [each.adjusted for each in found.tests] == pytest.approx([adjusted[i] for i in range(3)])
    assert [each.outcome for each in found.tests] == ["tie", "ahead", "ahead"]
    assert found.verdict is not None
    best, other = sorted(("good", "fair"), key=lambda name: -scores[name].mean())
    assert (found.verdict.outcome, found.verdict.against) == ("tie", str(tmp_path / other))
    assert f"a tie with {tmp_path / other} (+0." in found.verdict.sentence
    assert f"ahead of {tmp_path / 'poor'} (+0." in found.verdict.sentence
    assert f"predict {tmp_path / best} INPUT" in found.verdict.next
    done = call("compare", *runs, "-o", tmp_path / "c.json")
    assert f"Verdict: {found.verdict.sentence}" in done.stderr
    assert "Which is better?" in (tmp_path / "c.html").read_text(encoding="utf-8")
    two = compare_runs([runs[2], runs[0]])
    assert two.verdict is not None
    assert (two.verdict.outcome, two.tests[0].outcome) == ("ahead", "behind")
    assert two.verdict.difference == -two.tests[0].difference > 0


def test_runs_on_other_folds_are_not_tested(tmp_path: Path) -> None:
    runs = [cross_validated(tmp_path / "a", [0.9] * 6), cross_validated(tmp_path / "b", [0.8] * 6, [1, 1, 2, 2, 3, 3])]
    assert compare_runs(runs).tests == ()
    assert compare_runs(runs).verdict is None
    one_split = fake_run(tmp_path / "c", model={}, values={"auroc": 0.5})
    assert compare_runs([runs[0], one_split]).verdict is None
    same = compare_runs([runs[0], cross_validated(tmp_path / "d", [0.9] * 6)])
    assert [(each.p, each.difference, each.outcome) for each in same.tests] == [(1.0, 0.0, "tie")]
    assert same.tests[0].interval[0] < 0 < same.tests[0].interval[1]


def test_means_are_over_the_runs_that_define_a_metric(tmp_path: Path) -> None:
    network, baseline = {"kind": "network"}, {"kind": "baseline", "baseline": "kmers"}
    runs = [
        fake_run(tmp_path / "a", model=network, values={"auroc": 0.75, "mcc": None}, kmers=0.5),
        fake_run(tmp_path / "b", model=network, values={"auroc": 0.85, "mcc": 0.25}, kmers=0.7),
        fake_run(tmp_path / "c", model=baseline, values={"auroc": 0.9, "mcc": 0.5}),
    ]
    found = compare_runs(runs)
    assert found.values["network"]["auroc"] == (0.75, 0.85, None)
    assert found.values["kmers"]["auroc"] == (0.5, 0.7, 0.9)
    kmers = found.spread["kmers"]["auroc"]
    assert kmers.runs == 3
    assert kmers.mean == pytest.approx(statistics.mean([0.5, 0.7, 0.9]))
    assert kmers.standard_deviation == pytest.approx(statistics.stdev([0.5, 0.7, 0.9]))
    single, none = found.spread["network"]["mcc"], found.spread["network"]["ece"]
    assert (single.runs, single.mean, single.standard_deviation) == (1, 0.25, None)
    assert (none.runs, none.mean) == (0, None)
    assert [row[:3] for row in found.rows()] == [
        (str(runs[i]), model, 7)
        for i, model in [(0, "network"), (0, "kmers"), (1, "network"), (1, "kmers"), (2, "kmers")]
    ]
    assert len(found.rows()[0]) == 3 + len(METRICS)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "a", model={}, values={"auroc": 0.5})
    with pytest.raises(UsageError, match="given twice"):
        compare_runs([run, run])
    with pytest.raises(ModelError, match=r"has no metrics\.json"):
        compare_runs([run, tmp_path / "nothing"])
    (run / "metrics.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        compare_runs([run])


def test_a_split_says_which_fold_is_tested() -> None:
    sequences = planted(DNA, "TGACGTCA", n=6)
    part = np.array(["fold1", "fold2", "fold3", "fold1", "", "fold2"])
    split = Split(names=sequences.names, part=part, group=np.array(["g"] * 6), by="group", seed=0)
    divided = with_split(sequences, split, fold=2)
    assert divided.split is not None
    assert divided.split.tolist() == ["train", "test", "train", "train", "", "test"]
    assert divided.group is not None
    assert set(divided.group) == {"g"}
    with pytest.raises(UsageError, match="has no fold 4; it has folds 1 to 3"):
        with_split(sequences, split, fold=4)
    with pytest.raises(UsageError, match="with fold, from 1 to 3"):
        with_split(sequences, split)
    plain = Split(names=sequences.names, part=np.array(["train", "test"] * 3), group=np.array([""] * 6), by="x", seed=0)
    assert with_split(sequences, plain).group is None
    with pytest.raises(UsageError, match="has no fold 1; it has train, test"):
        with_split(sequences, plain, fold=1)


def test_options_of_splits_belong_together(tmp_path: Path, call: Call) -> None:
    write_fasta(tmp_path / "x.fa", planted(DNA, "TGACGTCA"))
    alone = call("train", tmp_path / "x.fa", "-o", tmp_path / "run", "--fold", 1)
    assert (alone.returncode, "--splits FILE" in alone.stderr) == (2, True)
    absent = call("train", tmp_path / "x.fa", "-o", tmp_path / "run", "--splits", tmp_path / "no.tsv")
    assert (absent.returncode, "no.tsv: no such file" in absent.stderr) == (2, True)
    both = call("train", tmp_path / "x.fa", "-o", tmp_path / "run", "--splits", "s.tsv", "--by", "group")
    assert (both.returncode, "leave out --by" in both.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_resuming_may_replace_a_different_run(tmp_path: Path, call: Call) -> None:
    write_fasta(tmp_path / "x.fa", planted(DNA, "TGACGTCA"))
    words = ["train", tmp_path / "x.fa", "-o", tmp_path / "run", "--resume", "--no-baselines", *QUICK]
    assert call(*words, "--overwrite").returncode == 0
    finished = (tmp_path / "run" / "run.json").read_text()
    assert call(*words, "--overwrite").returncode == 0
    assert (tmp_path / "run" / "run.json").read_text() == finished
    assert call(*words, "--seed", 1).returncode == 2
    assert call(*words, "--seed", 1, "--overwrite").returncode == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["seed"] == 1
