"""The verdict: its outcomes, what its interval is against formulas for it, and that it says the same everywhere."""

import shlex
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from seqreg.alphabet import DNA, PROTEIN
from seqreg.evaluation.intervals import Units
from seqreg.evaluation.verdict import difference_interval, judge
from seqreg.metrics import METRICS
from seqreg.records import read_json
from seqreg.sequences import write_fasta
from seqreg.targets import Classes, Labels
from seqreg.training.next_steps import steps_after_baseline, steps_after_evaluation, steps_after_training, without
from tests.conftest import planted, without_baselines

Array = NDArray[np.float64]
Call = Callable[..., CompletedProcess[str]]
TARGET = Classes(names=("a", "b"), asked_for="b")


def scores(y: NDArray[np.int64], apart: float, seed: int) -> Array:
    p = 1 / (1 + np.exp(-apart * y - np.random.default_rng(seed).normal(size=len(y))))
    return np.stack([1 - p, p], axis=1)


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome", "says"),
    [
        (4.0, 1.0, "ahead", "Ahead of the best simple model, “kmer-svm”: AUROC"),
        (1.0, 4.0, "behind", "Behind the simple model “kmer-svm”"),
        (2.0, 2.0, "tie", "cannot tell them apart"),
        (0.0, 2.0, "guessing", "No better than guessing"),
        (0.0, 0.0, "guessing", "holds 0.5"),
    ],
)
def test_outcomes(ours: float, theirs: float, outcome: str, says: str) -> None:
    y = np.repeat([0, 1], [50, 40])
    found = judge(TARGET, y, scores(y, ours, 1), ("kmer-svm", scores(y, theirs, 2)))
    assert found is not None
    assert (found.outcome, found.against, found.metric) == (outcome, "kmer-svm", "auroc")
    assert says in found.sentence
    assert found.interval[0] < found.interval[1]
    areas = [METRICS["auroc"](y, scores(y, apart, seed)) for apart, seed in ((ours, 1), (theirs, 2))]
    assert found.difference == pytest.approx(areas[0] - areas[1])


def test_a_metric_of_which_less_is_better_turns_ahead_round() -> None:
    class Surprise(Classes):
        headline = ("log_loss",)

    target, y = Surprise(names=("a", "b"), asked_for="b"), np.repeat([0, 1], [50, 40])
    found = judge(target, y, scores(y, 4, 1), ("kmer-svm", scores(y, 0, 2)))
    assert found is not None
    assert (found.outcome, found.metric, found.difference < 0) == ("ahead", "log_loss", True)


def test_labels_and_a_part_of_one_class() -> None:
    y = np.random.default_rng(0).integers(0, 2, size=(60, 3))
    p = np.clip(0.2 + 0.5 * y + 0.2 * np.random.default_rng(1).normal(size=y.shape), 0, 1)
    found = judge(Labels(names=("a", "b", "c")), y, p, ("kmer-svm", np.full(p.shape, 0.5)))
    assert found is not None
    assert found.outcome == "ahead"
    one = judge(TARGET, np.ones(9, dtype=int), scores(np.ones(9, dtype=int), 1, 0), None)
    assert one is None or one.metric != "auroc"
    assert judge(TARGET, np.zeros(0, dtype=int), np.zeros((0, 2)), None) is None


def test_the_order_of_the_sequences_changes_nothing() -> None:
    y, turned = np.repeat([0, 1], [50, 40]), np.random.default_rng(3).permutation(90)
    ours, theirs, groups = scores(y, 2, 1), scores(y, 1, 2), np.array([f"g{i % 30}" for i in range(90)])
    first = judge(TARGET, y, ours, ("x", theirs), groups=groups)
    assert judge(TARGET, y[turned], ours[turned], ("x", theirs[turned]), groups=groups[turned]) == first


def test_the_interval_of_a_difference_of_means_is_students() -> None:
    """For normal differences the expanded percentile interval is mean +- t s / sqrt(n), as a t test has it."""
    rng = np.random.default_rng(0)
    n = 12
    x = rng.normal(0.3, 1, size=n)
    drawn = x[rng.integers(n, size=(40_000, n))].mean(axis=1)
    found = difference_interval(METRICS["accuracy"], drawn, (x.mean(), 0.0), Units.of(n, None), n)
    half = student.ppf(0.975, n - 1) * x.std(ddof=1) / np.sqrt(n)
    assert found == pytest.approx((x.mean() - half, x.mean() + half), abs=0.1 * half)
    narrow = x.mean() + norm.ppf([0.025, 0.975]) * x.std(ddof=0) / np.sqrt(n)
    assert found is not None
    assert found[0] < narrow[0] < narrow[1] < found[1]


def test_two_perfect_models_are_as_far_apart_as_newcombe_says() -> None:
    """Method 10 for 17 of 17 against 17 of 17: the square of each side is that of Wilson's interval of 17 of 17."""
    y = np.repeat([0, 1], [19, 17])
    certain = np.where(y[:, None] == [0, 1], 0.999, 0.001)
    found = judge(TARGET, y, certain, ("kmer-svm", certain))
    assert found is not None
    lost = norm.ppf(0.975) ** 2 / (17 + norm.ppf(0.975) ** 2)
    assert found.interval == pytest.approx((-lost, lost))
    assert found.outcome == "tie"


def test_members_of_a_group_are_no_more_than_one_sequence() -> None:
    """Ten exact copies of each sequence: by groups the interval stays what it was, alone it is far too narrow."""
    y = np.repeat([0, 1], [25, 25])
    ours, theirs = scores(y, 1.5, 1), scores(y, 1.0, 2)
    names = np.array([f"g{i}" for i in range(50)])
    one = judge(TARGET, y, ours, ("x", theirs))
    many = [np.repeat(each, 10, axis=0) for each in (y, ours, theirs, names)]
    together = judge(TARGET, many[0], many[1], ("x", many[2]), groups=many[3])
    apart = judge(TARGET, many[0], many[1], ("x", many[2]))
    assert one is not None
    assert together is not None
    assert apart is not None
    width = [found.interval[1] - found.interval[0] for found in (one, together, apart)]
    assert width[1] == pytest.approx(width[0], rel=0.12)
    assert width[2] < 0.6 * width[0]


def test_the_rate_of_verdicts_on_equals_is_at_most_what_it_should_be() -> None:
    """400 pairs of equally good models at 10 + 66 sequences; benchmarks/verdicts.py has thousands, at other sizes."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [66, 10])
    said = {"ahead": 0, "behind": 0, "tie": 0, "guessing": 0}
    for _ in range(400):
        shared = rng.normal(size=(76, 1))
        both = 1.5 * y[:, None] + np.sqrt(0.4) * shared + np.sqrt(0.6) * rng.normal(size=(76, 2))
        ours, theirs = (np.stack([1 - p, p], axis=1) for p in (1 / (1 + np.exp(-both))).T)
        found = judge(TARGET, y, ours, ("x", theirs), resamples=300)
        assert found is not None
        said[found.outcome] += 1
    # 400 draws at 5 % give more than 30 once in a hundred times; the plain percentile interval gives 36 on average.
    assert said["ahead"] + said["behind"] <= 30
    assert said["tie"] > 300


# ------------------------------------------------------------------------------------------------------ what is next


def test_the_command_of_a_baseline_is_that_of_the_training_without_what_baselines_lack() -> None:
    words = [
        "seqreg",
        "train",
        "--pos",
        "a b.fa",
        "--neg",
        "n.fa",
        "-o",
        "runs/x",
        "--penalty",
        "gradient",
        "--epochs=3",
    ]
    words += ["--no-baselines", "--by", "group", "--seed", "4", "--quiet", "--test", "0.3"]
    steps = steps_after_training(words, Path("runs/x"), "a b.fa", "kmer-svm")
    assert shlex.join(steps["behind"]) == (
        "seqreg baseline --pos 'a b.fa' --neg n.fa --by group --seed 4 --test 0.3 -o runs/x-baseline --model kmer-svm"
    )
    assert shlex.join(steps["ahead"]) == (
        "seqreg robustness runs/x --pos 'a b.fa' --neg n.fa --part test -o runs/x/robustness.json"
    )
    assert shlex.join(steps["guessing"]) == "seqreg check --pos 'a b.fa' --neg n.fa"
    other = steps_after_training([*words, "--test", "held out.fa"], Path("runs/x"), "a b.fa", "kmer-svm")
    assert other["ahead"][3] == "held out.fa"
    joined = steps_after_training([*words, "--test=held out.fa"], Path("runs/x"), "a b.fa", "kmer-svm")
    assert joined["ahead"] == other["ahead"]
    share = steps_after_training([*words, "--test=0.25"], Path("runs/x"), "a b.fa", "kmer-svm")
    assert share["ahead"] == steps["ahead"]
    assert steps_after_training((), Path("runs/x"), "y.fa", None)["tie"] == [
        *("seqreg", "baseline", "y.fa", "-o", "runs/x-baseline")
    ]
    embedded = steps_after_training([*words, "--vectors", "t5=v.h5"], Path("runs/x"), "a b.fa", None, vectors=["t5"])
    assert shlex.join(embedded["ahead"]).endswith(
        "--vectors t5=v.h5 --part test --embed-with t5=MODEL -o runs/x/robustness.json"
    )
    for reads, told in (((), []), (("t5",), ["--vectors", "t5=v.h5"])):  # a baseline on k-mers, and one on vectors
        after = steps_after_evaluation(Path("x"), ["y.fa", "--vectors", "t5=v.h5"], "test", ["t5"], reads)
        assert after["behind"] == ["seqreg", "predict", "x/baseline", "y.fa", *told]
        assert after["ahead"][-2:] == ["--embed-with", "t5=MODEL"]
    assert without(["--fold", "2", "--folds", "3", "x"], ["folds"]) == ["--fold", "2", "x"]
    simple = steps_after_baseline(
        ["seqreg", "baseline", "amp", "-o", "b", "--model", "kmer-svm"], Path("b"), "amp", "m"
    )
    assert simple["behind"] == ["seqreg", "baseline", "amp", "-o", "b-m", "--model", "m"]
    assert simple["tie"] == ["seqreg", "train", "amp", "-o", "b-network"]


def test_the_sentence_is_the_same_everywhere(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the terminal, in metrics.json, in the report, in the model card; and `next` is a command that works."""
    write_fasta(tmp_path / "x.fa", planted(PROTEIN, "WKHFCC", n=60))
    quick = ["--epochs", 2, "--model", "cnn:filters=4,width=5", "--threads", 1, "--device", "cpu"]
    quick += ["--calibration", "none"]
    without_baselines(monkeypatch, "kmer-svm")
    run = tmp_path / "run"
    done = call("train", tmp_path / "x.fa", "-o", run, *quick)
    assert done.returncode == 0, done.stderr
    verdict = read_json(run / "metrics.json")["verdict"]
    assert verdict["outcome"] in ("ahead", "tie", "behind", "guessing")
    assert verdict["against"] in read_json(run / "metrics.json")["baselines"]
    assert f"Verdict: {verdict['sentence']}\nNext: {verdict['next']}\n" in done.stderr
    assert verdict["sentence"] in (run / "report.html").read_text(encoding="utf-8")
    assert verdict["sentence"].split(":")[0].split(",")[0] in (run / "MODEL_CARD.md").read_text(encoding="utf-8")

    rows = (run / "predictions.tsv").read_text().splitlines()
    again = call("evaluate", run, tmp_path / "x.fa", "--part", "test", "-o", tmp_path / "again.json")
    assert again.returncode == 0, again.stderr
    found = read_json(tmp_path / "again.json")["verdict"]
    assert read_json(tmp_path / "again.json")["n"] == len(rows) - 1
    assert (found["outcome"], found["against"]) == (verdict["outcome"], verdict["against"])
    assert found["difference"] == pytest.approx(verdict["difference"])
    assert f"Verdict: {found['sentence']}" in again.stderr
    for part, told in (("test", ["--part", "test"]), (None, [])):
        steps = steps_after_evaluation(run, ["x.fa"], part)
        assert steps["ahead"] == ["seqreg", "robustness", str(run), "x.fa", *told]
    seen = call("evaluate", run, tmp_path / "x.fa", "-o", tmp_path / "seen.json")
    assert seen.returncode == 0
    assert read_json(tmp_path / "seen.json")["verdict"] is None

    simple = call("predict", run / "baseline", tmp_path / "x.fa", "-o", tmp_path / "simple.tsv")
    assert simple.returncode == 0, simple.stderr
    kept = call("baseline", tmp_path / "x.fa", "-o", tmp_path / "kept", "--model", "majority")
    assert kept.returncode == 0, kept.stderr
    alone = read_json(tmp_path / "kept" / "metrics.json")["verdict"]
    assert (alone["against"], alone["outcome"], alone["difference"]) == (None, "guessing", 0)


def test_without_a_test_part_there_is_no_verdict(tmp_path: Path, call: Call) -> None:
    write_fasta(tmp_path / "x.fa", planted(DNA, "TGACGTCA", n=40))
    done = call("baseline", tmp_path / "x.fa", "-o", tmp_path / "run", "--test", 0, "--model", "majority")
    assert done.returncode == 0, done.stderr
    assert "Verdict" not in done.stderr
    assert not (tmp_path / "run" / "metrics.json").exists()
