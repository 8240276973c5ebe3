"""train, baseline, predict, evaluate, robustness and norm on tiny data: folders, tables, streams, and what is said."""

import csv
import io
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from seqreg.alphabet import DNA
from seqreg.baselines import FittedBaseline
from seqreg.cli import app
from seqreg.evaluation import evaluate
from seqreg.predictors.network import load_trained
from seqreg.records import read_json, read_tsv
from seqreg.sequences import InputSpec, read_input, write_fasta
from tests.conftest import planted, printed
from tests.pages import provide, start

Call = Callable[..., CompletedProcess[str]]
QUICK = [
    "--epochs",
    "3",
    "--calibration",
    "none",
    "--model",
    "cnn:filters=6,width=5",
    "--no-baselines",
    "--device",
    "cpu",
    "--threads",
    "1",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sequences as FASTA with labels in headers, one FASTA per class, and a table; `new.fa` without labels.

    `run` is a run on the first of them; tests that change a run make their own.
    """
    folder = tmp_path_factory.mktemp("made")
    dna = planted(DNA, "TGACGTCA")
    write_fasta(folder / "headers.fa", dna)
    records = [(dna.names[i], dna.sequence(i), dna.label(i)) for i in range(len(dna))]
    for label in dna.classes:
        (folder / f"{label}.fa").write_text("".join(f">{n}\n{s}\n" for n, s, wanted in records if wanted == label))
    (folder / "new.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence, _ in records))
    rows = sorted(records, key=lambda record: record[2])
    (folder / "sorted.csv").write_text("id,sequence,label\n" + "".join(",".join(row) + "\n" for row in rows))
    with pytest.raises(SystemExit, match="0"):
        app(["train", str(folder / "headers.fa"), "-o", str(folder / "run"), *QUICK, "--quiet"])
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`made` as the working directory."""
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def run(folder: Path) -> Path:
    """The trained run in the working directory."""
    return folder / "run"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_train_leaves_a_run_and_says_what_it_chose(folder: Path, call: Call) -> None:
    done = call("train", "headers.fa", "-o", "new", *QUICK)
    assert done.returncode == 0
    names = {path.name for path in Path("new").iterdir()}
    assert names >= {"config.json", "run.json", "model.json", "model.safetensors", "splits.tsv", "history.tsv"}
    assert names >= {"metrics.json", "predictions.tsv", "report.html"}
    assert "checkpoint" not in names
    metrics = read_json("new/metrics.json")
    shown = {row["metric"]: row["value"] for row in table(done.stdout)}
    assert shown["auroc"] == f"{metrics['auroc']:.4g}"
    for said in (
        "alphabet dna (as the data say)",
        "Classes: absent 30, with 30",
        "Model: cnn:filters=6,width=5,",
        "Positive: with",
        "Device: cpu",
        "Epoch 3 of 3: ",
        "Wrote new\n",
    ):
        assert said in done.stderr
    assert read_json("new/run.json")["command"] == ["seqreg", "train", "headers.fa", "-o", "new", *QUICK]


def test_quiet_and_json(folder: Path, call: Call) -> None:
    done = call("train", "headers.fa", "-o", "one", *QUICK, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    done = call("train", "headers.fa", "-o", "two", *QUICK, "--json", "--quiet")
    assert printed(done) == {"output": "two", "metrics": read_json("two/metrics.json")}
    assert done.stderr == ""


def test_every_form_of_input_gives_the_same_model(folder: Path, call: Call) -> None:
    assert call("encode", "sorted.csv", "-o", "store.h5").returncode == 0
    forms = [
        "sorted.csv",
        "store.h5",
        "--class absent=absent.fa --class with=with.fa",
        "--config options.toml",
    ]
    Path("options.toml").write_text('class = ["absent=absent.fa", "with=with.fa"]\n')
    weights = set()
    for number, words in enumerate(forms):
        assert call("train", *words.split(), "-o", f"run{number}", *QUICK).returncode == 0
        weights.add(Path(f"run{number}/model.safetensors").read_bytes())
    assert len(weights) == 1


def test_a_run_in_the_way_is_kept_unless_told_otherwise(folder: Path, run: Path, call: Call) -> None:
    other = shutil.copytree(run, folder / "other")
    before = (run / "model.safetensors").read_bytes()

    def weights_after(*words: str, code: int) -> bytes:
        assert call("train", "headers.fa", "-o", "other", *QUICK, *words).returncode == code
        return (other / "model.safetensors").read_bytes()

    assert weights_after(code=2) == before
    assert weights_after("--seed", "1", "--resume", code=2) == before
    assert weights_after("--resume", code=0) == before
    assert weights_after("--seed", "1", "--overwrite", code=0) != before


def test_parts_may_be_inputs_or_absent(folder: Path, call: Call) -> None:
    call("train", "headers.fa", "-o", "none", *QUICK, "--valid", "0", "--test", "0")
    assert {row["split"] for row in read_tsv("none/splits.tsv")} == {"train"}
    assert not Path("none/metrics.json").exists()
    done = call("train", "headers.fa", "-o", "given", *QUICK, "--valid", "0", "--test", "sorted.csv")
    assert done.returncode == 0
    assert read_json("given/metrics.json")["n"] == 60


def test_names_reach_the_training(folder: Path, call: Call) -> None:
    words = "--penalty gradient:weight=0.5 --penalty weight-decay --encoding one-hot --class-weight balanced"
    assert call("train", "headers.fa", "-o", "named", *QUICK, *words.split()).returncode == 0
    config = read_json("named/config.json")
    assert [text.partition(":")[0] for text in config["penalty"]] == ["gradient", "weight-decay"]
    assert config["class_weight"] == "balanced"
    assert call("train", "headers.fa", "-o", "plain", *QUICK, "--penalty", "none").returncode == 0
    assert read_json("plain/config.json")["penalty"] == []


def test_interrupted_training_continues_to_the_same_bytes(folder: Path, call: Call, warm: str) -> None:
    words = ["train", "headers.fa", *QUICK, "--epochs", "150", "--valid", "0", "--folds", "0"]
    assert call(*words, "-o", "whole").returncode == 0
    provide(folder, warm)
    with start(folder, *words, "-o", "stopped") as running:
        while running.poll() is None and not Path("stopped/config.json").exists():
            time.sleep(0.01)
        os.kill(int(Path("number").read_text()), signal.SIGINT)
        said = running.communicate()[1]
    assert running.returncode == 130, said
    # Between the two lines may stand what Python hides from users: that a file was open at that moment.
    assert "\nStopped. The same command with --resume continues stopped\n" in said
    assert said.endswith("\nError: Interrupted\n")
    assert not Path("stopped/model.safetensors").exists()
    assert call(*words, "-o", "stopped", "--resume").returncode == 0
    assert Path("stopped/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


def test_predictions_are_those_of_the_network_in_the_order_of_the_input(run: Path, call: Call) -> None:
    done = call("predict", "run", "new.fa", "-o", "p.tsv", "--batch-size", "7")
    rows = read_tsv("p.tsv")
    assert (done.stdout, done.stderr.splitlines()[-1]) == ("", "Wrote p.tsv")
    data = read_input(InputSpec(input="new.fa"))
    wanted = load_trained(run).probabilities(data)
    assert [row["id"] for row in rows] == list(data.names)
    assert np.allclose([[float(row["p_absent"]), float(row["p_with"])] for row in rows], wanted, atol=1e-6)
    assert [row["prediction"] for row in rows] == [("absent", "with")[k] for k in wanted.argmax(1)]

    to_a_pipe = call("predict", "run", "new.fa", "--quiet")
    assert (to_a_pipe.stdout, to_a_pipe.stderr) == (Path("p.tsv").read_text(), "")
    as_json = call("predict", "run", "new.fa", "-o", "-", "--json").stdout.splitlines()
    assert [json.loads(line) for line in as_json] == rows


def test_predictions_do_not_depend_on_how_the_input_is_cut(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = table(call("predict", "run", "new.fa").stdout)
    monkeypatch.setattr("seqreg.cli.predicting.PIECE", 8)
    assert table(call("predict", "run", "new.fa").stdout) == whole


def test_metrics_are_those_of_the_evaluation(run: Path, call: Call) -> None:
    done = call("evaluate", "run", "sorted.csv", "-o", "out/m.json")
    data = read_input(InputSpec(input="sorted.csv", require_labels=True))
    assert data.y is not None
    network = load_trained(run)
    p = network.probabilities(data)
    found = read_json("out/m.json")
    assert found.pop("calibration")["temperature"] == 1
    assert [check["name"] for check in found.pop("checks")][:1] == ["duplicates"]
    assert found.pop("verdict")["metric"] == "auroc"
    assert found == evaluate(network.target, data.y, p, split="all").to_plain()
    assert {row["metric"] for row in table(done.stdout)} >= {"auroc", "auroc50", "auprc", "mcc", "accuracy", "ece"}
    assert printed(call("evaluate", "run", "sorted.csv", "--json")) == read_json("out/m.json")


def test_evaluating_on_what_was_trained_on_is_remarked(run: Path, call: Call) -> None:
    remark = "Warning: the model was trained on a part of these sequences"
    assert remark in call("evaluate", "run", "headers.fa").stderr
    assert remark not in call("evaluate", "run", "sorted.csv").stderr
    done = call("evaluate", "run", "headers.fa", "--part", "test", "--json")
    assert remark not in done.stderr
    own = read_json("run/metrics.json")
    found = printed(done)
    for about in (own, found):
        del about["checks"], about["verdict"]["next"]  # the training knows its training part, and what comes next
    del own["baselines"]
    assert found == own


def test_the_parts_of_a_run_that_was_given_them_are_known_without_them(folder: Path, call: Call) -> None:
    call("split", "headers.fa", "-o", "parts.tsv", "--seed", "5")
    trained = call("baseline", "headers.fa", "--splits", "parts.tsv", "-o", "divided", "--model", "kmer-logistic:k=3")
    assert trained.returncode == 0
    done = call("evaluate", "divided", "headers.fa", "--part", "test", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["auroc"] == read_json("divided/metrics.json")["auroc"]


def test_a_baseline_is_a_run_like_another(folder: Path, call: Call) -> None:
    done = call("baseline", "headers.fa", "-o", "kmers", "--model", "kmer-logistic:k=3", "--seed", "3")
    assert done.returncode == 0
    assert "Model: kmer-logistic" in done.stderr
    assert {row["split"] for row in read_tsv("kmers/splits.tsv")} == {"train", "test"}
    assert read_json("kmers/run.json")["command"][:2] == ["seqreg", "baseline"]
    metrics = read_json("kmers/metrics.json")
    assert {row["metric"]: row["value"] for row in table(done.stdout)}["auroc"] == f"{metrics['auroc']:.4g}"

    data = read_input(InputSpec(input="new.fa"))
    wanted = FittedBaseline.load("kmers").probabilities(data)
    rows = table(call("predict", "kmers", "new.fa").stdout)
    assert np.allclose([[float(row["p_absent"]), float(row["p_with"])] for row in rows], wanted, atol=1e-6)
    assert call("evaluate", "kmers", "sorted.csv", "-o", "kmers.json").returncode == 0
    assert call("baseline", "headers.fa", "-o", "kmers").returncode == 2


def test_the_best_baseline_is_kept_and_the_others_measured(folder: Path, call: Call) -> None:
    assert call("baseline", "headers.fa", "-o", "best").returncode == 0
    about, metrics = read_json("best/model.json"), read_json("best/metrics.json")
    assert {about["baseline"], *metrics["baselines"]} == {"kmer-logistic", "kmer-svm", "majority"}
    assert about["baseline"] != "majority"


def test_norms_are_bounded_from_above_and_below(run: Path, call: Call) -> None:
    done = call("norm", "run", "sorted.csv", "-o", "norm.json", "--sample", "5")
    report = read_json("norm.json")
    assert [row["name"] for row in report["layers"]]
    assert report["n"] == 5
    assert max(value for value in report["lower_bounds"].values() if value) <= report["lipschitz_upper_bound"]
    shown = {row["figure"]: row["value"] for row in table(done.stdout)}
    assert shown["Lipschitz constant, upper bound"] == f"{report['lipschitz_upper_bound']:.4g}"
    without = printed(call("norm", "run", "--json"))
    assert without["lipschitz_upper_bound"] == pytest.approx(report["lipschitz_upper_bound"])
    assert set(without["lower_bounds"].values()) == {None}


def test_norms_are_of_networks(folder: Path, call: Call) -> None:
    call("baseline", "headers.fa", "-o", "majority", "--model", "majority")
    done = call("norm", "majority")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: majority holds a baseline")


def test_robustness_is_written_shown_and_put_into_the_report(folder: Path, run: Path, call: Call) -> None:
    own = shutil.copytree(run, folder / "studied")
    words = ["robustness", "studied", "headers.fa", "--part", "test", "--max-substitutions", "2", "--sample", "7"]
    done = call(*words, "-o", "studied/robustness.json")
    found = read_json("studied/robustness.json")
    assert (found["n"], found["substitutions"]) == (7, [0, 1, 2])
    assert all(low <= high for low, high in zip(found["certified_accuracy"], found["attacked_accuracy"], strict=True))
    assert [row["attacked accuracy"] for row in table(done.stdout)] == [f"{x:.4g}" for x in found["attacked_accuracy"]]
    assert len(read_tsv("studied/robustness.tsv")) == 7
    assert Path("studied/robustness.svg").read_text().count("<svg") == 1
    assert "Most damaging positions" in (own / "report.html").read_text()
    assert 'id="robustness"' in (own / "report.html").read_text()
    assert 'id="robustness"' not in (run / "report.html").read_text()
    assert printed(call(*words, "--json", "--quiet")) == found


def test_protected_sequences_withstand_everything(run: Path, call: Call) -> None:
    Path("all.bed").write_text("* 0 1000\n")
    done = call("robustness", "run", "sorted.csv", "--protect", "all.bed", "--json", "--sample", "5")
    found = json.loads(done.stdout)
    assert len(set(found["attacked_accuracy"])) == 1
    assert found["attack"]["protected"]
