"""Cross-validation as one command: no leak, means within folds, the corrected test, the same bytes for any workers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from seqreg.alphabet import DNA, PROTEIN
from seqreg.baselines import OF_VALUES, fit_baseline
from seqreg.errors import InputError, UsageError
from seqreg.evaluation.over_folds import holm, judge_folds, mean_over_folds
from seqreg.explain.attributions import attributions
from seqreg.metrics import METRICS
from seqreg.predictors import ByFold, TrainedNetwork
from seqreg.predictors.network import load_trained
from seqreg.records import read_json, read_tsv
from seqreg.sensitivity import evaluate_shifts
from seqreg.sensitivity.norm import norm_report
from seqreg.sensitivity.robustness import evaluate_robustness
from seqreg.sequences import InputSpec, SequenceSet, read_attributions, read_input, read_strings, write_fasta
from seqreg.targets import Classes
from seqreg.training import CrossValidation, TrainConfig, train, usual
from seqreg.training.folds import plan_folds
from seqreg.training.judging import kept_baseline
from tests.conftest import different, planted, without_baselines

Call = Callable[..., CompletedProcess[str]]
FOLDS = ("fold1", "fold2", "fold3")
TARGET = Classes(names=("a", "b"), asked_for="b")
TINY = TrainConfig(
    model="cnn:filters=4,width=5", penalty=(), epochs=2, threads=1, device="cpu", calibration="none", by="stratified",
)  # fmt: skip
FLAGS = ["--model", "cnn:filters=4,width=5", "--penalty", "none", "--epochs", 2, "--calibration", "none"]


def slow_interval(scores: Any, folds: int) -> tuple[float, float]:
    """Nadeau and Bengio, term by term."""
    n = len(scores)
    mean = sum(scores) / n
    variance = sum((each - mean) ** 2 for each in scores) / (n - 1)
    half = student.ppf(0.975, n - 1) * (variance * (1 / n + (1 / folds) / (1 - 1 / folds))) ** 0.5
    return mean - half, mean + half


@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (5, 2), (3, 4)])
def test_the_interval_over_folds_is_that_of_nadeau_and_bengio(folds: int, repeats: int) -> None:
    scores = np.random.default_rng(0).normal(0.02, 0.03, size=folds * repeats)
    found = mean_over_folds(scores, folds)
    assert found.interval == pytest.approx(slow_interval(scores, folds))
    assert found.p is not None
    assert (found.p < 0.05) == (found.interval is not None and found.interval[0] > 0)
    flat = mean_over_folds([0.5] * folds, folds)
    assert (flat.value, flat.interval, flat.p) == (0.5, None, None)


def test_verdicts_over_folds() -> None:
    rng = np.random.default_rng(1)
    good, fair = rng.normal(0.9, 0.02, size=10), rng.normal(0.75, 0.02, size=10)
    said = {"rival": "kmer-svm", "folds": 5, "n": 100}
    for ours, theirs, outcome in ((good, fair, "ahead"), (fair, good, "behind"), (good, good[::-1], "tie")):
        found = judge_folds(TARGET, "auroc", ours.tolist(), theirs.tolist(), **said)
        assert found is not None
        assert (found.outcome, "speaks of the procedure" in found.sentence) == (outcome, True)
        assert found.interval == pytest.approx(slow_interval(ours - theirs, 5))
    guessing = judge_folds(TARGET, "auroc", rng.normal(0.5, 0.05, size=10).tolist(), fair.tolist(), **said)
    assert guessing is not None
    assert guessing.outcome == "guessing"
    perfect = judge_folds(TARGET, "auroc", [1.0] * 10, [1.0] * 10, **said)
    assert perfect is not None
    assert (perfect.outcome, perfect.interval[0] < 0 < perfect.interval[1]) == ("tie", True)
    alone = judge_folds(TARGET, "auroc", good.tolist(), None, rival=None, folds=5, n=100)
    assert alone is not None
    assert (alone.outcome, alone.against) == ("ahead", None)


def test_the_test_over_folds_keeps_its_level_where_folds_depend_on_each_other() -> None:
    """Differences with the correlation 1 / K that the correction is for; the plain t-test errs five times as often."""
    rng = np.random.default_rng(2)
    wrong, plain = 0, 0
    for _ in range(2000):
        scores = np.sqrt(0.2) * rng.normal() + np.sqrt(0.8) * rng.normal(size=10)
        p = mean_over_folds(scores, 5).p
        wrong += p is not None and p < 0.05
        plain += abs(scores.mean()) / (scores.std(ddof=1) / np.sqrt(10)) > student.ppf(0.975, 9)
    assert wrong / 2000 < 0.065
    assert plain / 2000 > 0.2


def test_holm_is_the_rule_step_by_step() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_folds_by_default_are_for_small_sets_without_a_split() -> None:
    data = planted(DNA, "TGACGTCA")
    assert usual(data) == CrossValidation(folds=5, repeats=2)
    few = read_strings(different(20), ["x"] * 17 + ["y"] * 3)
    assert usual(few) == CrossValidation(folds=3, repeats=2)
    assert usual(read_strings(different(20), ["x"] * 19 + ["y"])) is None
    many = read_strings(["ACGTACGT"[: 1 + i % 8] + "ACGT" for i in range(500)], ["x", "y"] * 250)
    assert usual(many) is None
    for wrong in ({"folds": 1}, {"repeats": 0}, {"workers": 0}):
        with pytest.raises(UsageError, match="must be at least"):
            CrossValidation(**wrong)


def test_relatives_stay_in_one_fold(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    texts = []
    for _ in range(12):
        text = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=40))
        texts += [text, f"{text[:20]}A{text[21:]}"]
    data = read_strings(texts, ["x", "y"] * 12)
    work = plan_folds(data, TrainConfig(), CrossValidation(folds=4), tmp_path)
    assert work.splits[0].by == "homology"
    assert [work.splits[0].part[i] == work.splits[0].part[i + 1] for i in range(0, 24, 2)] == [True] * 12
    twice = plan_folds(data, TrainConfig(), CrossValidation(folds=4, repeats=2), tmp_path)
    assert (twice.splits[0].part == work.splits[0].part).all()
    assert [each.by for each in twice.splits] == ["homology", "homology"]
    assert [twice.splits[1].part[i] == twice.splits[1].part[i + 1] for i in range(0, 24, 2)] == [True] * 12
    assert (
        plan_folds(planted(PROTEIN, "WKHFCC"), TrainConfig(), CrossValidation(), tmp_path).splits[0].by == "stratified"
    )
    rare = read_strings(different(12), ["x"] * 10 + ["y", "z"], alphabet="dna")
    with pytest.raises(InputError, match="left to learn from"):
        plan_folds(rare, TrainConfig(by="stratified"), CrossValidation(folds=3), tmp_path)


@pytest.fixture(scope="module")
def proteins() -> SequenceSet:
    return planted(PROTEIN, "WKHFCC", n=60)


def one_quick_baseline(patch: pytest.MonkeyPatch) -> None:
    """Logistic regression on single letters."""
    without_baselines(patch, "kmer-svm", "one-hot-logistic")
    patch.setattr("seqreg.baselines.models._PROTEIN_LENGTHS", ((1, 1),))
    patch.setattr("seqreg.baselines.models._LOGISTIC_STRENGTHS", (1.0, 10.0))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, proteins: SequenceSet) -> Path:
    """Three folds, twice, of a tiny network beside one baseline."""
    from seqreg.report import write_report

    folder = tmp_path_factory.mktemp("folds") / "run"
    with pytest.MonkeyPatch.context() as patch:
        one_quick_baseline(patch)
        asked = CrossValidation(folds=3, repeats=2)
        words = ["seqreg", "train", "x.fa", "-o", "run", "--folds", "3"]
        train(proteins, TINY, folder, folds=asked, command=words, finish=write_report)
    return folder


def test_every_sequence_is_scored_by_a_network_that_has_not_seen_it(run: Path, proteins: SequenceSet) -> None:
    rows = read_tsv(run / "predictions.tsv")
    assert len(rows) == 120
    assert {(row["id"], row["repeat"]) for row in rows} == {(name, r) for name in proteins.names for r in "12"}
    fold_of = {row["id"]: row["split"] for row in read_tsv(run / "splits.tsv")}
    place = {name: i for i, name in enumerate(proteins.names)}
    for fold in (1, 2, 3):
        network = load_trained(run / "folds" / f"fold{fold}")
        mine = [row for row in rows if row["repeat"] == "1" and row["fold"] == str(fold)]
        assert {fold_of[row["id"]] for row in mine} == {f"fold{fold}"}
        p = network.probabilities(proteins.subset(np.array([place[row["id"]] for row in mine])))
        assert [float(row["p_with"]) for row in mine] == pytest.approx(p[:, 1].tolist(), rel=1e-4)


def test_scores_are_computed_within_folds_and_averaged(run: Path) -> None:
    metrics, rows = read_json(run / "metrics.json"), read_tsv(run / "predictions.tsv")
    assert (metrics["n"], metrics["split"], len(metrics["folds"]), metrics["repeats"]) == (60, "cross-validation", 6, 2)
    areas = []
    for each in metrics["folds"]:
        key = (str(each["repeat"]), str(each["fold"]))
        mine = [row for row in rows if (row["repeat"], row["fold"]) == key]
        assert (each["n"], each["trained_on"]) == (len(mine), 60 - len(mine))
        y = np.array([row["label"] == "with" for row in mine]).astype(int)
        areas.append(METRICS["auroc"](y, np.array([float(row["p_with"]) for row in mine])))
        assert each["network"]["auroc"] == pytest.approx(areas[-1])
        assert each["picked"] == "kmer-logistic"
    assert metrics["auroc"] == pytest.approx(np.mean(areas))
    low, high = slow_interval(areas, 3)
    assert metrics["intervals"]["auroc"] == pytest.approx([max(0, low), min(1, high)])
    theirs = [each["baseline"]["auroc"] for each in metrics["folds"]]
    assert metrics["baselines"]["kmer-logistic"]["auroc"] == pytest.approx(np.mean(theirs))
    verdict = metrics["verdict"]
    assert (verdict["against"], verdict["metric"]) == ("kmer-logistic", "auroc")
    assert verdict["difference"] == pytest.approx(np.mean(areas) - np.mean(theirs))
    checks = {each["name"]: each for each in metrics["checks"]}
    assert checks["similarity"]["message"].count("another fold") == 1


def test_the_model_that_is_kept_has_learned_from_all(run: Path, proteins: SequenceSet, tmp_path: Path) -> None:
    alone = train(proteins, TrainConfig(**{**vars(TINY), "test": 0.0}), tmp_path / "alone")
    assert alone.metrics is None
    assert (run / "model.safetensors").read_bytes() == (tmp_path / "alone" / "model.safetensors").read_bytes()
    assert read_json(run / "run.json")["data"]["n"] == 60
    assert not (run / "cross-validation").exists()
    assert set(read_json(run / "files.json")["files"]) >= {"baseline", "folds", "metrics.json", "suspects.tsv"}


def test_the_simple_model_of_folds_is_kept_for_what_is_measured_later(
    run: Path, proteins: SequenceSet, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has learned from all sequences too, and stands beside the network on new ones."""
    one_quick_baseline(monkeypatch)
    kept = kept_baseline(run)
    assert kept is not None
    again = fit_baseline("kmer-logistic", proteins)
    assert kept.probabilities(proteins) == pytest.approx(again.probabilities(proteins))
    write_fasta(tmp_path / "new.fa", planted(PROTEIN, "WKHFCC", n=40, longest=33))
    done = call("evaluate", run, tmp_path / "new.fa", "-o", tmp_path / "e.json")
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "e.json")["verdict"]["against"] == "kmer-logistic"


def test_folds_are_in_report_and_card(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    verdict = read_json(run / "metrics.json")["verdict"]
    assert "Fold by fold" in page
    assert "Means over 6 folds" in page
    assert verdict["sentence"] in page
    assert "speaks of the procedure" in (run / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_folds_go_on_where_they_were_and_end_in_the_same_bytes(
    run: Path, proteins: SequenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqreg.training import folds

    one_quick_baseline(monkeypatch)
    attempt, done = folds.Work.attempt, []

    def stopped(self: folds.Work, repeat: int, fold: int) -> dict[str, Any]:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append((repeat, fold))
        return attempt(self, repeat, fold)

    monkeypatch.setattr(folds.Work, "attempt", stopped)
    asked = CrossValidation(folds=3, repeats=2)
    with pytest.raises(KeyboardInterrupt):
        train(proteins, TINY, tmp_path / "run", folds=asked)
    monkeypatch.setattr(folds.Work, "attempt", attempt)
    train(proteins, TINY, tmp_path / "run", folds=asked, resume=True)
    assert len(done) == 4
    for name in ("predictions.tsv", "model.safetensors", "splits.tsv", "thresholds.tsv", "suspects.tsv"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes(), name
    with pytest.raises(UsageError, match="repeats was 2, now 1"):
        train(proteins, TINY, tmp_path / "run", folds=CrossValidation(folds=3), resume=True)


@pytest.mark.slow
def test_folds_by_several_processes_are_the_same_bytes(proteins: SequenceSet, tmp_path: Path) -> None:
    for workers in (1, 2):
        train(proteins, TINY, tmp_path / f"{workers}", folds=CrossValidation(folds=3, workers=workers))
    for name in ("predictions.tsv", "model.safetensors", "folds/fold2/model.safetensors"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_folds_on_the_command_line(
    tmp_path: Path, call: Call, proteins: SequenceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_baselines(monkeypatch, "kmer-svm", "kmer-logistic", "one-hot-logistic")
    write_fasta(tmp_path / "x.fa", proteins)
    monkeypatch.setattr("seqreg.training.folds.USUAL_FOLDS", 2)
    words = [tmp_path / "x.fa", *FLAGS, "--by", "stratified", "--device", "cpu", "--threads", 1, "--workers", 1]
    done = call("train", *words, "-o", tmp_path / "usual")
    assert done.returncode == 0, done.stderr
    assert "Fewer than 500 sequences: 2 folds, drawn 2 times" in done.stderr
    assert "Verdict: " in done.stderr
    config = read_json(tmp_path / "usual" / "config.json")
    assert (config["folds"], config["repeats"]) == (2, 2)
    one = call("train", *words, "-o", tmp_path / "one", "--folds", 0)
    assert one.returncode == 0, one.stderr
    assert "folds" not in read_json(tmp_path / "one" / "config.json")
    assert read_json(tmp_path / "one" / "metrics.json")["split"] == "test"
    held_out = call("train", *words, "-o", tmp_path / "held", "--test", 0.3)
    assert read_json(tmp_path / "held" / "metrics.json")["split"] == "test", held_out.stderr
    for wrong in (["--folds", 1], ["--repeats", 2], ["--folds", 3, "--test", 0.2]):
        assert call("train", *words, "-o", tmp_path / "wrong", *wrong).returncode == 2


def test_folds_of_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What decides is the rank correlation within folds."""
    from seqreg.report import write_report

    without_baselines(monkeypatch, *(name for name in OF_VALUES if name not in ("composition-ridge", "mean")))
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACDEFGHIKL"), size=20)) for _ in range(40)]
    rows = [f"s{i},{text},{text.count('K') + rng.normal(0, 0.1):.4f}" for i, text in enumerate(texts)]
    (tmp_path / "x.csv").write_text("\n".join(["id,sequence,value", *rows]) + "\n")
    data = read_input(InputSpec(input=tmp_path / "x.csv", require_labels=True))
    train(data, TINY, tmp_path / "run", folds=CrossValidation(folds=2), finish=write_report)
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics["spearman"] == pytest.approx(np.mean([each["network"]["spearman"] for each in metrics["folds"]]))
    assert (metrics["verdict"]["metric"], metrics["verdict"]["against"]) == ("spearman", "composition-ridge")
    assert len(read_tsv(tmp_path / "run" / "predictions.tsv")) == 40
    assert not (tmp_path / "run" / "suspects.tsv").exists()


def test_robustness_of_folds_is_of_networks_that_have_not_seen_the_sequences(
    run: Path, proteins: SequenceSet, tmp_path: Path, call: Call
) -> None:
    """Against each fold by itself, put together by hand; under other ids, and in two processes."""
    others = [f"other{i}" for i in range(60)]
    write_fasta(tmp_path / "x.fa", replace(proteins, names=others))
    words = ["--max-substitutions", 2, "--threads", 1, "--device", "cpu"]
    done = call("robustness", run, tmp_path / "x.fa", "-o", tmp_path / "r.json", "--workers", 2, *words)
    assert done.returncode == 0, done.stderr
    assert "had not seen it" in done.stderr
    found, rows = read_json(tmp_path / "r.json"), {row["id"]: row for row in read_tsv(tmp_path / "r.tsv")}
    fold_of = [row["split"] for row in read_tsv(run / "splits.tsv")]
    attacked, certified, areas, exact = np.zeros(3), np.zeros(3), [], []
    for fold in (1, 2, 3):
        mine = replace(proteins, names=others).subset(np.flatnonzero([each == f"fold{fold}" for each in fold_of]))
        part = evaluate_robustness(load_trained(run / "folds" / f"fold{fold}"), mine, max_substitutions=2)
        attacked += len(mine) * np.array(part.attacked_accuracy)
        certified += len(mine) * np.array(part.certified_accuracy)
        areas.append(part.clean_auroc)
        exact.append(part.l2["attacked_accuracy"])
        for one in part.sequences:
            assert rows[one.id]["margin"] == f"{one.margin:.6g}"
            assert rows[one.id]["edits_to_change"] == str(one.edits_to_change or "")
    assert found["attacked_accuracy"] == pytest.approx((attacked / 60).tolist())
    assert found["certified_accuracy"] == pytest.approx((certified / 60).tolist())
    assert found["clean_auroc"] == pytest.approx(np.mean(areas))
    assert found["l2"]["attacked_accuracy"] == pytest.approx(np.mean(exact, axis=0).tolist())
    assert list(rows) == others
    assert call("robustness", run, tmp_path / "x.fa", "--part", "test").returncode == 2


def test_language_models_are_given_to_the_networks_of_folds(
    run: Path, proteins: SequenceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqreg.cli.loading import by_fold
    from seqreg.cli.terminal import Terminal

    given: list[Any] = []
    monkeypatch.setattr("seqreg.networks.embed_with", lambda module, models: given.append((module, models)))
    language_models: Any = {"esm2": len}
    found = by_fold(Terminal(quiet=True), run, proteins, "cpu", language_models)
    assert found is not None
    assert [(module, models) for module, models in given] == [(each.module, {"esm2": len}) for each in found.networks]
    assert by_fold(Terminal(quiet=True), run, proteins.subset(np.arange(59)), "cpu") is None


def networks_of_folds(run: Path) -> Iterator[tuple[TrainedNetwork, NDArray[np.int64]]]:
    """Each of three networks, with the places of the sequences that it has not seen."""
    folds = np.array([row["split"] for row in read_tsv(run / "splits.tsv")])
    for fold in FOLDS:
        yield load_trained(run / "folds" / fold), np.flatnonzero(folds == fold)


def test_explanations_of_folds_are_of_networks_that_have_not_seen_the_sequences(
    run: Path, proteins: SequenceSet, tmp_path: Path, call: Call
) -> None:
    """Against the attributions of each network by itself, in the order of the input."""
    write_fasta(tmp_path / "x.fa", proteins)
    done = call("explain", run, tmp_path / "x.fa", "-o", tmp_path / "e", "--sequences", 2, "--batch-size", 7)
    assert done.returncode == 0, done.stderr
    assert "had not seen it" in done.stderr
    found = read_attributions(tmp_path / "e" / "attributions.h5")
    assert [each.id for each in found] == list(proteins.names)
    for network, rows in networks_of_folds(run):
        for i, alone in zip(rows.tolist(), attributions(network, proteins.subset(rows)), strict=True):
            assert found[i].mutagenesis == pytest.approx(alone.mutagenesis, abs=1e-6)
            assert found[i].integrated_gradients == pytest.approx(alone.integrated_gradients, abs=1e-6)
    about = read_json(tmp_path / "e" / "explain.json")
    assert about["networks"] == 3
    rows = {row["id"]: row for row in read_tsv(run / "predictions.tsv") if row["repeat"] == "1"}
    for each in about["sequences"]:
        assert each["p"] == pytest.approx(float(rows[each["id"]][f"p_{each['prediction']}"]), rel=1e-3)


def test_norms_of_folds_are_the_largest_of_networks_that_have_not_seen_the_sequences(
    run: Path, proteins: SequenceSet, tmp_path: Path, call: Call
) -> None:
    write_fasta(tmp_path / "x.fa", proteins)
    done = call("norm", run, tmp_path / "x.fa", "-o", tmp_path / "n.json", "--workers", 1, "--threads", 1)
    assert done.returncode == 0, done.stderr
    found = read_json(tmp_path / "n.json")
    alone = [norm_report(network, proteins.subset(rows)) for network, rows in networks_of_folds(run)]
    assert (found["n"], found["networks"], found["margin_bound"]) == (60, 3, None)
    assert found["lipschitz_upper_bound"] == pytest.approx(max(each.lipschitz_upper_bound or 0 for each in alone))
    for name in ("gradient", "adversarial"):
        assert found["lower_bounds"][name] == pytest.approx(max(each.lower_bounds[name] or 0 for each in alone))
        assert found["lower_bounds"][name] <= found["lipschitz_upper_bound"]
    layers = [row["operator_norm_upper_bound"] for row in found["layers"]]
    each_layer = zip(*([row["operator_norm_upper_bound"] for row in each.layers] for each in alone), strict=True)
    assert layers == pytest.approx([max(of_one) for of_one in each_layer])
    assert read_json(run / "run.json")["data"]["n"] == 60


def test_robustness_of_folds_of_values_is_in_their_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of folds have scales of their own: each prediction is that of its own network."""
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(list("ACDEFGHIKL"), size=12)) for _ in range(16)]
    rows = [f"s{i},{text},{100 * text.count('K') + rng.normal():.4f}" for i, text in enumerate(texts)]
    (tmp_path / "x.csv").write_text("\n".join(["id,sequence,value", *rows]) + "\n")
    data = read_input(InputSpec(input=tmp_path / "x.csv", require_labels=True))
    quick = TrainConfig(**{**vars(TINY), "baselines": False, "epochs": 1})
    train(data, quick, tmp_path / "run", folds=CrossValidation(folds=2))
    network, folds = load_trained(tmp_path / "run"), [load_trained(tmp_path / "run" / "folds" / f) for f in FOLDS[:2]]
    held_out = np.array([row["split"] for row in read_tsv(tmp_path / "run" / "splits.tsv")])
    fold = np.array([FOLDS.index(each) for each in held_out])
    found = evaluate_shifts(network, data, unseen=ByFold(networks=tuple(folds), fold=fold), max_substitutions=1)
    for number, each in enumerate(folds):
        mine = np.flatnonzero(fold == number)
        alone = evaluate_shifts(each, data.subset(mine), max_substitutions=1)
        for i, one in zip(mine.tolist(), alone.sequences, strict=True):
            both = [(each.edits, each.prediction, each.attacked_shift) for each in (found.sequences[i], one)]
            assert (both[0][0], both[0][1:]) == (both[1][0], pytest.approx(both[1][1:]))
            assert found.sequences[i].certified_shift == pytest.approx(one.certified_shift)
    assert found.tolerance == pytest.approx(evaluate_shifts(network, data, max_substitutions=0).tolerance)
