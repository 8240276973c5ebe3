"""Numbers as targets, from reading to run folders: every form of input, baselines, training, intervals, commands."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from seqreg.alphabet import DNA, Alphabet
from seqreg.baselines import OF_VALUES, FittedBaseline, fit_baseline, fit_baselines
from seqreg.certificates import certified_shifts, hamming_certificate
from seqreg.errors import InputError, UsageError
from seqreg.evaluation import evaluate
from seqreg.explain import explain
from seqreg.linear import fit_ridge, fit_svr, inner_folds
from seqreg.metrics import UndefinedMetricError
from seqreg.networks import Value
from seqreg.predictors import TrainedNetwork, load_trained
from seqreg.predictors.loading import load_predictor
from seqreg.predictors.network import Architecture
from seqreg.records import read_json, read_tsv
from seqreg.sensitivity import evaluate_shifts
from seqreg.sequences import (
    InputSpec,
    SequenceSet,
    folds,
    holdout,
    join_parts,
    read_input,
    read_store,
    train_subset,
    write_fasta,
    write_store,
)
from seqreg.sequences.collect import weights_of_deviations
from seqreg.targets import Values
from seqreg.training import TrainConfig, train
from seqreg.value_metrics import VALUE_METRICS, spearman

Call = Callable[..., CompletedProcess[str]]


def additive(n: int, length: int = 12, *, noise: float = 0.2, seed: int = 0, unit: str = "log") -> SequenceSet:
    """n DNA sequences of one length whose value is a sum over positions of a weight for the letter, and noise."""
    rng = np.random.default_rng(seed)
    weight = np.random.default_rng(99).normal(size=(length, 4))
    codes = rng.integers(4, size=(n, length)).astype(np.uint8)
    y = 10 + 5 * (weight[np.arange(length), codes].sum(1) + noise * rng.normal(size=n))
    return SequenceSet(
        alphabet=DNA,
        names=[f"s{i}" for i in range(n)],
        codes=codes.ravel(),
        offsets=np.arange(n + 1) * length,
        target=Values(title="activity", unit=unit),
        y=y,
        source="additive",
    )


TEXT = "id,sequence,value\na,ACGTACGT,0.5\nb,ACGTTCGT,-1e3\nc,ACGGACGT,2\nd,ACTTTCGT,3\n"


# ---- reading


FORMS: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "a column": ({"in.csv": TEXT}, {"input": "in.csv"}),
    "another column": ({"in.csv": TEXT.replace("value", "Activity")}, {"input": "in.csv", "target": "activity"}),
    "a column of labels": ({"in.csv": TEXT.replace("value", "label")}, {"input": "in.csv", "task": "regression"}),
    "headers": (
        {"in.fa": ">a value=0.5\nACGTACGT\n>b value=-1e3\nACGTTCGT\n>c value=2\nACGGACGT\n>d value=3\nACTTTCGT\n"},
        {"input": "in.fa"},
    ),
    "a table": (
        {
            "in.fa": ">a\nACGTACGT\n>b\nACGTTCGT\n>c\nACGGACGT\n>d\nACTTTCGT\n",
            "y.tsv": "id\tvalue\na\t0.5\nb\t-1e3\nc\t2\nd\t3\n",
        },
        {"fasta": "in.fa", "labels": "y.tsv"},
    ),
    "a table with another column": (
        {
            "in.fa": ">a\nACGTACGT\n>b\nACGTTCGT\n>c\nACGGACGT\n>d\nACTTTCGT\n",
            "y.tsv": "id\tkcat\na\t0.5\nb\t-1e3\nc\t2\nd\t3\n",
        },
        {"fasta": "in.fa", "labels": "y.tsv", "target": "kcat"},
    ),
    "both, and which": (
        {"in.csv": TEXT.replace("value", "value,label").replace("\n", ",x\n").replace("label,x", "label")},
        {"input": "in.csv", "task": "regression"},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_values(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, spec = FORMS[form]
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        Path(name).write_text(text)
    found = read_input(InputSpec(**spec, require_labels=True, unit="mM"))  # pyright: ignore[reportArgumentType]
    assert isinstance(found.target, Values)
    assert found.target.unit == "mM"
    assert found.target.title == spec.get("target", "value")
    assert found.y is not None
    assert found.y.dtype == np.float64
    assert found.y.tolist() == [0.5, -1000.0, 2.0, 3.0]


def test_classes_of_numbers_stay_classes_where_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(TEXT.replace("value", "label"))
    with pytest.raises(InputError, match=r"label '0\.5' is a number, as all labels are, and not a whole one") as caught:
        read_input(InputSpec(input=path))
    assert 'task="regression"' in str(caught.value)
    assert 'task="classification"' in str(caught.value)
    assert caught.value.record_id == "a"
    found = read_input(InputSpec(input=path, task="classification"))
    assert found.classes == ("-1e3", "0.5", "2", "3")
    path.write_text("id,sequence,label\na,ACGT,1\nb,ACGG,2\nc,ACCC,1\n")
    assert read_input(InputSpec(input=path)).classes == ("1", "2")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    data = replace(additive(20), weight=np.linspace(1, 2, 20), group=np.array(["g", "h"] * 10))
    write_store(tmp_path / "x.h5", data)
    write_fasta(tmp_path / "x.fa", data)
    stored = read_store(tmp_path / "x.h5")
    assert stored.target == data.target
    fasta = read_input(InputSpec(input=tmp_path / "x.fa", alphabet="dna", unit="log"))
    for one in (stored, fasta):
        np.testing.assert_array_equal(one.y, data.y)
        assert one.sha256 == data.sha256
    together = join_parts({"train": data, "test": replace(fasta, names=[f"t{i}" for i in range(20)])})
    np.testing.assert_array_equal(together.y, np.tile(data.y, 2))


def test_units_that_differ_are_refused() -> None:
    one, other = additive(20), additive(20, unit="kcal/mol", seed=1)
    with pytest.raises(InputError, match="the test part has values in 'log', while the others are in 'kcal/mol'"):
        join_parts({"train": other, "test": one})


def test_measured_deviations_become_weights(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,sequence,value,sd\na,ACGT,1,0\nb,ACGG,2,0.5\nc,ACCC,3,1.5\nd,AGGG,4,.\n")
    weight = read_input(InputSpec(input=path)).weight
    square = np.array([0.0, 0.5, 1.5, 0.5]) ** 2 + 0.5**2
    np.testing.assert_allclose(weight, 1 / square / (1 / square).mean())
    assert weights_of_deviations(np.zeros(3)).tolist() == [1, 1, 1]
    path.write_text("id,sequence,value,sd\na,ACGT,1,-2\n")
    with pytest.raises(InputError, match="sd '-2' is not a number of at least 0"):
        read_input(InputSpec(input=path))


# ---- splits


def test_splits_folds_and_subsets_keep_the_distribution() -> None:
    data = additive(400)
    split = holdout(data, seed=3)
    quantiles = [np.quantile(data.y[split.index(part)], (0.1, 0.5, 0.9)) for part in split.parts]
    spread = data.y.std()
    for found in quantiles:
        assert np.abs(found - quantiles[0]).max() < 0.35 * spread
    parts = folds(data, 4, seed=1)
    means = [data.y[parts.index(part)].mean() for part in parts.parts]
    assert np.ptp(means) < 0.1 * spread  # by chance 0.2 and more
    small, large = (train_subset(data, n, seed=5) for n in (50, 120))
    assert set(small) <= set(large)
    assert abs(data.y[small].mean() - data.y.mean()) < 0.1 * spread
    inner = inner_folds(data, 5, seed=0)
    strata = data.target.strata(data.y)
    assert all(np.ptp(np.bincount(strata[outer], minlength=10)) == 0 for _, outer in inner)


# ---- metrics


def test_metrics_are_those_of_scipy_and_scikit_learn(rng: np.random.Generator) -> None:
    y, p = rng.integers(0, 6, 50) / 7.0, rng.integers(0, 9, 50) / 3.0
    oracles = {
        "spearman": lambda y, p: spearmanr(y, p).statistic,
        "pearson": lambda y, p: pearsonr(y, p).statistic,
        "r2": r2_score,
        "rmse": root_mean_squared_error,
        "mae": mean_absolute_error,
    }
    assert oracles.keys() == VALUE_METRICS.keys()
    counts = rng.integers(0, 4, (7, 50))
    for name, oracle in oracles.items():
        metric = VALUE_METRICS[name]
        assert metric(y, p[:, None]) == pytest.approx(oracle(y, p), abs=1e-12)
        wanted = [oracle(np.repeat(y, n), np.repeat(p, n)) for n in counts]
        np.testing.assert_allclose(metric(y, p, counts=counts), wanted, atol=1e-12)


def test_a_correlation_of_what_does_not_vary_is_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="all predictions are the same"):
        spearman([1.0, 2.0], [[5.0], [5.0]])
    with pytest.raises(UndefinedMetricError, match="all true values are the same"):
        spearman([2.0, 2.0], [1.0, 3.0])
    found = evaluate(Values(), np.array([1.0, 2.0, 3.0]), np.full((3, 1), 7.0))
    assert found.values["spearman"] is None
    assert found.reason["spearman"] == "all predictions are the same"
    assert found.values["rmse"] == pytest.approx(np.sqrt((36 + 25 + 16) / 3))
    assert np.isnan(spearman([1.0, 2.0], [1.0, 3.0], counts=[[2, 0], [1, 1]])).tolist() == [True, False]


def test_the_record_of_values_names_target_and_unit() -> None:
    y = np.arange(30.0)
    found = evaluate(Values(title="kcat", unit="1/s"), y, (y + np.sin(y))[:, None], resamples=200).to_plain()
    assert list(found)[:4] == ["n", "target", "unit", "split"]
    assert (found["target"], found["unit"], found["spearman"]) == ("kcat", "1/s", 1.0)
    assert found["intervals"].keys() == VALUE_METRICS.keys()
    assert "confusion" not in found
    with pytest.raises(UsageError, match=r"predicted values must be \(N, 1\)"):
        evaluate(Values(), y, np.zeros((30, 2)))


# ---- linear models


@pytest.mark.parametrize("d", [5, 60])
@pytest.mark.parametrize("sparse", [False, True])
def test_ridge_is_solved_to_its_optimum(d: int, sparse: bool, rng: np.random.Generator) -> None:
    from scipy.sparse import csr_array

    rows, y, weight = rng.normal(size=(30, d)), 4 + rng.normal(size=30), rng.integers(0, 4, 30).astype(float)
    coef, intercept = fit_ridge(csr_array(rows) if sparse else rows, y, 2.0, weight, 0)
    known = Ridge(alpha=0.5).fit(rows, y, sample_weight=weight)
    np.testing.assert_allclose(coef[0], known.coef_, atol=1e-9)
    np.testing.assert_allclose(intercept, known.intercept_, atol=1e-9)
    repeated = np.repeat(np.arange(30), weight.astype(int))
    again, _ = fit_ridge(rows[repeated], y[repeated], 2.0, None, 0)
    np.testing.assert_allclose(coef, again, atol=1e-9)


def test_support_vectors_find_a_line(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(80, 3))
    coef, intercept = fit_svr(rows, rows @ [1.0, -2.0, 0.5] + 3, 100.0, None, 0)
    np.testing.assert_allclose(coef[0], [1, -2, 0.5], atol=0.1)
    np.testing.assert_allclose(intercept, 3, atol=0.15)  # it is blind to 0.1


# ---- baselines


def test_the_baseline_that_fits_is_picked_without_the_test_part() -> None:
    data, fresh = additive(150), additive(100, seed=1)
    fitted = fit_baselines(data)
    assert set(fitted) == set(OF_VALUES) - {"vector-ridge"}
    assert next(iter(fitted)) == "one-hot-ridge"
    assert list(fitted)[-1] == "mean"
    best = fitted["one-hot-ridge"]
    assert spearman(fresh.y, best.probabilities(fresh)) > 0.95
    assert VALUE_METRICS["r2"](fresh.y, best.probabilities(fresh)) > 0.9  # in the unit, not only in order
    np.testing.assert_allclose(fitted["mean"].probabilities(fresh), data.y.mean())
    assert best.errors is not None
    assert np.quantile(best.errors, 0.5) < data.y.std()


@pytest.mark.parametrize("name", [name for name in OF_VALUES if name != "vector-ridge"])
def test_a_saved_baseline_predicts_the_same(name: str, tmp_path: Path) -> None:
    data = additive(40)
    text = f"{name}:k=2,folds=2" if name.startswith("kmer") else name if name == "mean" else f"{name}:folds=2"
    fitted = fit_baseline(text, data)
    fitted.save(tmp_path)
    loaded = FittedBaseline.load(tmp_path)
    np.testing.assert_array_equal(loaded.probabilities(data), fitted.probabilities(data))
    assert loaded.target == fitted.target
    assert loaded.describe() == fitted.describe()


def test_a_baseline_of_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match=r"baseline kmer-svm does not learn values\. Choose from: kmer-ridge"):
        fit_baseline("kmer-svm", additive(20))


# ---- training


def quick(**fields: object) -> TrainConfig:
    known: dict[str, object] = {
        "model": "sum:pooling=none,spectrum=2",
        "epochs": 2,
        "threads": 1,
        "reverse_complement": False,
    }
    return TrainConfig(**{**known, **fields})  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("values") / "run"
    train(additive(160, noise=1.0), quick(), folder)
    return folder


def test_a_run_says_what_the_contract_says(run: Path) -> None:
    metrics = read_json(run / "metrics.json")
    assert {"n", "target", "unit", "split", "spearman", "pearson", "r2", "rmse", "mae"} <= metrics.keys()
    assert {"coverage", "mean_width", "intervals", "baselines"} <= metrics.keys()
    assert (metrics["target"], metrics["unit"], metrics["split"]) == ("activity", "log", "test")
    assert metrics["spearman"] > 0.7
    assert metrics["baselines"].keys() == set(OF_VALUES) - {"vector-ridge"}
    rows = read_tsv(run / "predictions.tsv")
    assert list(rows[0])[:5] == ["id", "value", "prediction", "low", "high"]
    y, p, low, high = (np.array([float(row[name]) for row in rows]) for name in ("value", "prediction", "low", "high"))
    assert metrics["spearman"] == pytest.approx(spearmanr(y, p).statistic, abs=1e-3)
    assert metrics["coverage"] == pytest.approx(((low <= y) & (y <= high)).mean(), abs=0.04)
    np.testing.assert_allclose(high - p, p - low, rtol=1e-4)
    about = read_json(run / "model.json")
    assert (about["task"], about["target"], about["unit"]) == ("regression", "activity", "log")
    parts = {row["id"]: row["split"] for row in read_tsv(run / "splits.tsv")}
    data = additive(160, noise=1.0)
    trained = np.array([parts[name] == "train" for name in data.names])
    assert about["centre"] == pytest.approx(data.y[trained].mean())
    assert about["scale"] == pytest.approx(data.y[trained].std())
    errors = read_json(run / "calibration.json")
    assert (errors["part"], errors["n"]) == ("folds", trained.sum())


def test_the_report_shows_values(run: Path) -> None:
    page = (run / "report.html").read_text() if (run / "report.html").exists() else None
    from seqreg.report import write_report

    page = write_report(run).read_text()
    for words in ("Predicted and measured", "Residuals by prediction", "Finding the highest", "activity (log)"):
        assert words in page
    card = (run / "MODEL_CARD.md").read_text()
    assert "Predicts: activity" in card
    assert "Prediction sets" not in card


def test_the_same_command_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    train(additive(160, noise=1.0), quick(), tmp_path / "again")
    for name in ("model.safetensors", "predictions.tsv", "calibration.json"):
        assert (tmp_path / "again" / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_a_cnn_learns_values_by_either_loss(loss: str, tmp_path: Path) -> None:
    config = quick(model="cnn:filters=8,width=12,pooling=position", epochs=60, lr=0.01, loss=loss, baselines=False)
    train(additive(120, noise=0.1), replace(config, penalty=(), batch_size=16), tmp_path / "run")
    assert read_json(tmp_path / "run" / "metrics.json")["spearman"] > 0.6
    assert read_json(tmp_path / "run" / "config.json")["loss"] == loss
    assert f"{loss} error" in read_tsv(tmp_path / "run" / "history.tsv")[0]


def test_a_loss_is_for_values_only(tmp_path: Path, dna: SequenceSet) -> None:
    with pytest.raises(UsageError, match='loss="huber" is for values; what is learned here are classes'):
        train(dna, quick(loss="huber"), tmp_path / "run")


def test_intervals_of_a_validation_part_hold_what_they_promise(tmp_path: Path) -> None:
    data = additive(900, noise=1.5)
    train(data, quick(valid=0.2, test=0.3, model="cnn:filters=4,width=4", epochs=1), tmp_path / "run")
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert read_json(tmp_path / "run" / "calibration.json")["part"] == "valid"
    assert 0.82 < metrics["coverage"] < 0.97


def test_weights_reach_every_part(tmp_path: Path) -> None:
    """A sequence of weight 2 is two sequences, of weight 0 none, for the linear parts of a sum."""
    data = additive(60, noise=1.0)
    weight = np.array([0.0, 1.0, 2.0] * 20)
    target = data.target.learned_from(data.y, weight)
    learned = target.learned(data.y)
    features = np.eye(4)[data.codes.reshape(60, -1)].reshape(60, -1)
    coef, _ = fit_ridge(features, learned, 1.0, weight, 0)
    twice = np.repeat(np.arange(60), weight.astype(int))
    again, _ = fit_ridge(features[twice], learned[twice], 1.0, None, 0)
    np.testing.assert_allclose(coef, again, atol=1e-9)


# ---- commands


def test_commands_on_values(run: Path, tmp_path: Path, call: Call) -> None:
    data = additive(160, noise=1.0)
    write_store(tmp_path / "x.h5", data)
    done = call("predict", run, tmp_path / "x.h5", "-o", tmp_path / "p.tsv")
    assert done.returncode == 0, done.stderr
    rows = read_tsv(tmp_path / "p.tsv")
    assert list(rows[0]) == ["id", "prediction", "low", "high", "reason"]
    width = float(rows[0]["high"]) - float(rows[0]["low"])
    assert call("predict", run, tmp_path / "x.h5", "--coverage", "0.5", "-o", tmp_path / "half.tsv").returncode == 0
    narrow = read_tsv(tmp_path / "half.tsv")[0]
    assert float(narrow["high"]) - float(narrow["low"]) < width
    done = call("evaluate", run, tmp_path / "x.h5", "--part", "test", "--json")
    assert done.returncode == 0, done.stderr
    own = read_json(run / "metrics.json")
    found = json.loads(done.stdout)
    assert {name: found[name] for name in ("spearman", "coverage")} == {
        name: own[name] for name in ("spearman", "coverage")
    }
    for words, problem in (
        (("--abstain", "0.9"), "--abstain is for classes"),
        (("--coverage", "1.5"), "a coverage lies between 0 and 1"),
    ):
        done = call("predict", run, tmp_path / "x.h5", *words)
        assert done.returncode == 2
        assert problem in done.stderr


BAD = {
    "text": (TEXT + "e,ACGTAAAA,high\n", (), "record 5 (e): value 'high' is not a number"),
    "a comma": (TEXT.replace(",", ";") + "e;ACGTAAAA;0,25\n", (), "value '0,25' is not a number"),
    "nan": (TEXT + "e,ACGTAAAA,nan\n", (), "value 'nan' is not a finite number"),
    "infinite": (TEXT + "e,ACGTAAAA,inf\n", (), "value 'inf' is not a finite number"),
    "missing": (TEXT + "e,ACGTAAAA,.\n", (), "record 5 (e): a sequence without a value (1 in all)"),
    "empty": (TEXT + "e,ACGTAAAA,\n", (), "record 5 (e): a sequence without a value (1 in all)"),
    "constant": ("id,sequence,value\na,ACGT,2\nb,ACGG,2.0\nc,ACTT,2\n", (), "every value is 2. Nothing can be learned"),
    "two values": (TEXT + "e,ACGTACGT,0.75\n", (), "the sequence of 'a' again, with 0.75 in place of 0.5"),
    "labels and values": (
        "id,sequence,label,value\na,ACGT,x,1.5\nb,ACGG,y,2\n",
        (),
        "the input has labels and values. Say which to learn: --task regression or --task classification",
    ),
    "labels of numbers": (
        TEXT.replace("value", "label"),
        (),
        "label '0.5' is a number, as all labels are, and not a whole one. Say --task regression",
    ),
    "no such column": (
        TEXT,
        ("--target", "activity"),
        "no column 'activity'; the header has 'id', 'sequence', 'value'",
    ),
    "a unit of something else": (None, ("--unit", "mM"), "values in 'kcal/mol', not in 'mM'"),
    "a positive class": (TEXT, ("--positive", "0.5"), "what is learned are numbers, which have no positive class"),
    "class weights": (TEXT, ("--class-weight", "balanced"), "these sequences have values, not classes"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_values_are_refused_in_a_sentence(kind: str, tmp_path: Path, call: Call) -> None:
    text, words, message = BAD[kind]
    path = tmp_path / "in.csv"
    if text is not None:
        path.write_text(text)
    source = "gb1-stability" if text is None else path
    done = call("train", source, "-o", tmp_path / "run", *words)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split()), done.stderr
    assert not (tmp_path / "run" / "model.json").exists()


def test_the_embedded_set_is_as_described() -> None:
    data = read_input(InputSpec(input="gb1-stability", require_labels=True))
    assert (len(data), data.target) == (813, Values(title="value", unit="kcal/mol"))


@pytest.mark.slow
def test_the_embedded_set_from_training_to_variants(tmp_path: Path, call: Call) -> None:
    """With every default, as users type it."""
    folder = tmp_path / "run"
    done = call("train", "gb1-stability", "-o", folder, "--quiet")
    assert done.returncode == 0, done.stderr
    metrics = read_json(folder / "metrics.json")
    assert metrics["spearman"] > 0.6
    assert 0.8 < metrics["coverage"] < 1.0
    assert metrics["verdict"]["outcome"] == "ahead"
    words = ("gb1-stability", "--part", "test", "--sample", "20", "--max-substitutions", "2")
    done = call("robustness", folder, *words, "-o", tmp_path / "robustness.json")
    assert done.returncode == 0, done.stderr
    found = read_json(tmp_path / "robustness.json")
    for kind in ("median", "quantile_90"):
        assert all(a <= c for a, c in zip(*(found[f"{x}_shift"][kind] for x in ("attacked", "certified")), strict=True))
    data = read_input(InputSpec(input="gb1-stability"))
    (tmp_path / "one.fa").write_text(f">one\n{data.sequence(0)}\n")
    assert call("explain", folder, tmp_path / "one.fa", "-o", tmp_path / "explained").returncode == 0
    (tmp_path / "variants.tsv").write_text(f"one\tp.{data.sequence(0)[9]}10W\n")
    listed = ("--variants", tmp_path / "variants.tsv", "-o", tmp_path / "v.tsv")
    assert call("predict", folder, tmp_path / "one.fa", *listed).returncode == 0
    done = call("predict", folder, tmp_path / "one.fa", "--all-substitutions", "-o", tmp_path / "all.tsv")
    assert done.returncode == 0, done.stderr
    matrix = {row["position"]: row for row in read_tsv(tmp_path / "all.tsv")}
    assert float(matrix["10"]["W"]) == pytest.approx(float(read_tsv(tmp_path / "v.tsv")[0]["change"]), abs=1e-4)


# ---- shifts


def small_network(model: str, alphabet: Alphabet = DNA, length: int = 6, **target: float) -> TrainedNetwork:
    """An untrained network of values with random weights, in float64."""
    architecture = Architecture(
        model=model,
        encoding="one-hot",
        alphabet=alphabet.name,
        target=Values(title="activity", unit="log", **target),
        length=length,
        shortest=length,
        reverse_complement=False,
    )
    module = architecture.build().double()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.requires_grad:
                weight.copy_(torch.randn_like(weight))
    return TrainedNetwork(architecture=architecture, module=module.eval())


def true_shifts(network: TrainedNetwork, data: SequenceSet, most: int) -> NDArray[np.float64]:
    """(N, most + 1) largest change over all sequences up to m substitutions away, by running the network on each."""
    ids, scale = torch.from_numpy(data.padded()), network.target.predict([1.0]) - network.target.predict([0.0])
    worst = np.zeros((len(data), most + 1))
    with torch.no_grad():
        for row, m in itertools.product(range(len(data)), range(1, most + 1)):
            mutants = []
            for places in itertools.combinations(range(ids.shape[1]), m):
                for new in itertools.product(range(4), repeat=m):
                    mutants.append(ids[row].clone())
                    mutants[-1][list(places)] = torch.tensor(new, dtype=torch.uint8)
            moved = network.module(torch.stack(mutants)) - network.module(ids[row : row + 1])
            worst[row, m] = float(moved.abs().max())
    return worst * scale


NETWORKS = [
    "cnn:filters=3,width=3,pooling=max",
    "cnn:filters=2,width=2,pooling=position",
    "cnn:filters=3,width=3,hidden=2",
]


@pytest.mark.parametrize("model", [*NETWORKS, "sum:filters=4,width=3,pooling=max+position,spectrum=2"])
def test_the_true_shift_lies_between_what_is_found_and_what_is_proved(model: str) -> None:
    network, data = small_network(model, scale=2.5, centre=-1.0), additive(3, 6)
    truth = true_shifts(network, data, 2)
    for i in range(len(data)):
        found = evaluate_shifts(network, data.subset(np.array([i])), max_substitutions=2)
        attacked, certified = (np.array(each["median"]) for each in (found.attacked_shift, found.certified_shift))
        assert (attacked <= truth[i] + 1e-9).all()
        assert (truth[i] <= certified + 1e-9).all()
        np.testing.assert_allclose(certified[1], truth[i, 1], atol=1e-6)  # one substitution is settled exactly
        np.testing.assert_allclose(attacked[1], truth[i, 1], atol=1e-6)
        assert (np.diff(attacked) >= 0).all()
        assert (np.diff(certified) >= 0).all()


def edited_once(text: str) -> set[str]:
    """The text after each substitution, insertion and deletion of a letter."""
    cuts = [(text[:i], text[i:]) for i in range(len(text) + 1)]
    longer = {before + letter + after for before, after in cuts for letter in "ACGT"}
    return longer | {before + new + after[1:] for before, after in cuts if after for new in ("", *"ACGT")}


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_true_shift_of_edits_lies_between_what_is_found_and_what_is_proved(pooling: str) -> None:
    """One edit is settled exactly; of more only a mean over windows has a bound."""
    network, data = small_network(f"cnn:filters=3,width=3,pooling={pooling}", scale=2.5), additive(4, 6)
    for i in range(len(data)):
        alone = data.subset(np.array([i]))
        found = evaluate_shifts(network, alone, max_substitutions=2, edits=("substitution", "insertion", "deletion"))
        attacked, certified = (np.array(each["median"]) for each in (found.attacked_shift, found.certified_shift))
        within, here = {DNA.decode(alone.codes)}, network.module(torch.from_numpy(alone.padded()))
        for m in (1, 2):
            within |= set().union(*map(edited_once, within))
            ids = np.array([[*DNA.encode(text), *[DNA.pad] * (8 - len(text))] for text in within], np.uint8)
            with torch.no_grad():
                truth = 2.5 * float((network.module(torch.from_numpy(ids)) - here).abs().max())
            assert attacked[m] <= truth + 1e-9
            assert truth <= certified[m] + 1e-9
            if m == 1:
                np.testing.assert_allclose([attacked[m], certified[m]], truth, atol=1e-6)
        assert np.isfinite(certified[2]) == (pooling == "mean")


def test_the_shift_of_a_linear_model_is_known_exactly() -> None:
    """A sum over positions: the largest changes of m positions in one direction add up."""
    network, data = small_network("sum:spectrum=0,pooling=none", scale=3.0), additive(4, 6)
    weight = network.module.part("positions").output.weight.detach().numpy().reshape(4, 6)  # letters, positions
    found = evaluate_shifts(network, data, max_substitutions=4, tolerance=5.0)
    codes = data.codes.reshape(4, 6)
    change = weight[:, :, None] - weight[codes, np.arange(6)].T  # new letter, position, sequence
    up, down = (np.sort(each, 0)[::-1].cumsum(0) for each in (change.max(0), (-change).max(0)))
    truth = 3.0 * np.maximum(up, down)[:4].T  # sequence, m
    for shift in (found.attacked_shift, found.certified_shift):
        np.testing.assert_allclose(shift["quantile_90"][1:], truth.max(0), atol=1e-6)
    within = (truth <= 5.0).mean(0)
    np.testing.assert_allclose(found.attacked_within[1:], within)
    np.testing.assert_allclose(found.certified_within[1:], within)
    assert found.certified_within[0] == 1


def test_a_value_is_certified_by_the_mathematics_of_calls() -> None:
    """The radius of a call, "within the tolerance", is the number of edits at which the shift is below it."""
    network, data = small_network("cnn:filters=3,width=3"), additive(5, 6)
    ids = torch.from_numpy(data.padded())
    clean = network.module(ids)[:, 0].detach()
    shifts = certified_shifts(network.module, ids, most=3).amax(2)
    for tolerance in (0.5, 1.5, 3.0, 8.0):
        network.module.learns(Value(tolerance=tolerance))
        radius = hamming_certificate(network.module, ids, clean, most=3).radius
        within = (shifts < tolerance - 1e-6).long().cumprod(1).sum(1) - 1
        assert radius.tolist() == within.tolist()


def test_robustness_of_values_on_the_command_line(run: Path, tmp_path: Path, call: Call) -> None:
    write_store(tmp_path / "x.h5", additive(160, noise=1.0))
    words = ("robustness", run, tmp_path / "x.h5", "--part", "test", "--max-substitutions", "2", "--workers", "1")
    done = call(*words, "-o", tmp_path / "robustness.json")
    assert done.returncode == 0, done.stderr
    found = read_json(tmp_path / "robustness.json")
    assert found["tolerance"] == pytest.approx(read_json(run / "model.json")["scale"] / 2)
    for kind in ("median", "quantile_90"):
        attacked, certified = (np.array(found[f"{name}_shift"][kind]) for name in ("attacked", "certified"))
        assert (attacked <= certified).all()
    assert all(a >= c for a, c in zip(found["attacked_within"], found["certified_within"], strict=True))
    assert (tmp_path / "robustness.svg").exists()
    assert list(read_tsv(tmp_path / "robustness.tsv")[0])[:4] == ["id", "value", "prediction", "attacked_shift"]
    assert call(*words, "--tolerance", "-1").returncode == 2


def test_explanations_are_in_the_unit(run: Path) -> None:
    network = load_trained(run)
    data = additive(160, noise=1.0).subset(np.arange(3))
    found = explain(network, data)
    p = network.probabilities(data)[:, 0]
    np.testing.assert_allclose([each.logits[0] for each in found.sequences], p, rtol=1e-5)
    mutant = data.codes.reshape(3, -1).copy()
    mutant[:, 4] = 2
    changed = network.probabilities(replace(data, codes=mutant.ravel()))[:, 0] - p
    np.testing.assert_allclose([each.mutagenesis[4, 2, 0] for each in found.sequences], changed, atol=1e-4)
    assert found.logit_of == ("activity",)


def test_variants_and_comparisons_of_values(run: Path, tmp_path: Path, call: Call) -> None:
    data = additive(160, noise=1.0)
    write_store(tmp_path / "x.h5", data)
    old, new = data.sequence(3)[4], "ACGT"[("ACGT".index(data.sequence(3)[4]) + 1) % 4]
    (tmp_path / "variants.tsv").write_text(f"s3\t5{old}>{new}\ns3\t5{old}>{new};1{data.sequence(3)[0]}>G\n")
    done = call("predict", run, tmp_path / "x.h5", "--variants", tmp_path / "variants.tsv", "-o", tmp_path / "v.tsv")
    assert done.returncode == 0, done.stderr
    rows = read_tsv(tmp_path / "v.tsv")
    network = load_trained(run)
    mutant = data.codes.reshape(160, -1).copy()
    mutant[3, 4] = "ACGT".index(new)
    before, after = (network.probabilities(replace(data, codes=each.ravel()))[3, 0] for each in (data.codes, mutant))
    assert list(rows[0])[:5] == ["id", "variant", "value_before", "value_after", "change"]
    assert float(rows[0]["change"]) == pytest.approx(after - before, abs=1e-4)
    assert rows[0]["certified"] == ("yes" if abs(after - before) < network.target.scale / 2 else "no")  # pyright: ignore[reportAttributeAccessIssue]
    done = call("compare", run, "-o", tmp_path / "c.json")
    assert done.returncode == 0, done.stderr
    assert list(read_tsv(tmp_path / "c.tsv")[0])[3:] == list(VALUE_METRICS)


@pytest.mark.parametrize("kind", ["network", "baseline"])
def test_all_substitutions_are_a_matrix_of_changes_in_the_unit(
    kind: str, run: Path, tmp_path: Path, call: Call
) -> None:
    data = additive(160, noise=1.0)
    model = run if kind == "network" else run / "baseline"
    write_store(tmp_path / "x.h5", data.subset(np.array([3, 1])))
    done = call("predict", model, tmp_path / "x.h5", "--all-substitutions", "-o", tmp_path / "s.tsv")
    assert done.returncode == 0, done.stderr
    rows = read_tsv(tmp_path / "s.tsv")
    assert list(rows[0]) == ["id", "position", "letter", "A", "C", "G", "T"]
    assert [(row["id"], row["position"]) for row in rows] == [(f"s{i}", str(1 + j)) for i in (3, 1) for j in range(12)]
    predictor = load_predictor(model)
    codes = data.codes.reshape(160, -1)
    before = predictor.probabilities(data)[:, 0]
    for row in rows[::5]:
        i, position = int(row["id"][1:]), int(row["position"]) - 1
        assert row["letter"] == data.sequence(i)[position]
        assert row[row["letter"]] == "0"
        for letter in "ACGT":
            mutant = codes.copy()
            mutant[i, position] = "ACGT".index(letter)
            change = predictor.probabilities(replace(data, codes=mutant.ravel()))[i, 0] - before[i]
            assert float(row[letter]) == pytest.approx(change, abs=2e-4)
    both = call("predict", model, tmp_path / "x.h5", "--all-substitutions", "--scan", "1")
    assert both.returncode == 2
    assert "--scan and --all-substitutions do not go together" in both.stderr


def test_settings_are_searched_by_rank_correlation(tmp_path: Path, call: Call) -> None:
    write_store(tmp_path / "x.h5", additive(120, noise=1.0))
    how = ("--model", "cnn:filters=4,width=3", "--epochs", "3", "--workers", "1", "--folds", "2", "--trials", "8")
    done = call("tune", tmp_path / "x.h5", "-o", tmp_path / "tuned", *how, "--seed", "1")
    assert done.returncode == 0, done.stderr
    found = read_json(tmp_path / "tuned" / "tuning.json")
    assert (found["metric"], found["tie_breaker"]) == ("spearman", "rmse")
    rows = read_tsv(tmp_path / "tuned" / "trials.tsv")
    assert {"one-hot-ridge", "kmer-ridge", "default"} <= {row["what"] for row in rows}
    scored = {row["what"]: float(row["spearman"]) for row in rows if row["status"] in ("chosen", "finalist")}
    assert scored["one-hot-ridge"] > 0.5  # values are sums over positions
    assert found["what"] == "one-hot-ridge"
    assert all(float(row["rmse"]) > 0 for row in rows if row["rmse"])
    assert "Spearman" in (tmp_path / "tuned" / "report.html").read_text(encoding="utf-8")
    assert read_json(tmp_path / "tuned" / "metrics.json")["spearman"] > 0.5


def test_one_group_has_no_intervals_to_learn_from(tmp_path: Path) -> None:
    data = additive(60)
    test = replace(additive(20, seed=1), names=[f"t{i}" for i in range(20)])
    config = quick(baselines=False)
    train(replace(data, group=np.full(60, "only")), config, tmp_path / "run", test=test)
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics["coverage"] is None
    assert metrics["coverage_reason"] == "nothing was held out from which intervals could be learned"
    assert {row["low"] for row in read_tsv(tmp_path / "run" / "predictions.tsv")} == {""}
