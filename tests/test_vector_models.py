"""Models that read vectors beside letters: the part of a sum, the baseline, and what is refused."""

import hashlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from sklearn.model_selection import GridSearchCV, cross_val_score

from seqreg import KmerClassifier, SequenceClassifier, VectorTable
from seqreg.alphabet import PROTEIN
from seqreg.baselines import FittedBaseline, fit_baseline, fit_baselines
from seqreg.benchmark.cells import cells_of
from seqreg.benchmark.learners import inapplicable
from seqreg.benchmark.suite import read_suite
from seqreg.benchmark.tasks import Library, task_of
from seqreg.certificates import lipschitz_upper_bound
from seqreg.errors import InputError, UsageError
from seqreg.estimator.inputs import read_sequences
from seqreg.explain.attributions import attributions
from seqreg.export import export_onnx
from seqreg.linear import fit_logistic
from seqreg.metrics import auroc
from seqreg.mutagenesis import substitution_scores
from seqreg.networks import KernelNet, Vectors, embed_with
from seqreg.predictors import TrainedNetwork, load_predictor, load_trained
from seqreg.records import read_json, read_tsv
from seqreg.sensitivity.robustness import evaluate_robustness
from seqreg.sensitivity.variants import score_variants
from seqreg.sequences import (
    ListedVariant,
    SequenceSet,
)
from seqreg.training import TrainConfig, learn
from seqreg.training.heads import STRENGTHS
from seqreg.training.stacking import fit_parts
from tests.conftest import embedded, planted


def by_vectors(n: int = 160) -> SequenceSet:
    """Proteins whose class can be read off a vector, and hardly off the letters."""
    data = embedded(planted(PROTEIN, "W", n=n), size=4)
    noise = np.random.default_rng(3).normal(size=n)
    assert data.y is not None
    vectors = data.vectors["esm2"].copy()
    vectors[:, 2] = 1000 + 5 * (data.y * 2 - 1 + 0.8 * noise)  # far from 0, so that it matters to standardise
    return replace(data, vectors={"esm2": vectors, "flat": np.ones((n, 2), dtype=np.float32)})


def test_the_head_is_the_optimum_of_a_logistic_regression_on_standardised_vectors() -> None:
    data = by_vectors()
    learned = learn(data, TrainConfig(model="vectors", valid=0.0, seed=1)).network
    module: Any = learned.module
    part = module.part("vectors-esm2")
    x = data.vectors["esm2"].astype(np.float64)
    standard = (x - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(part.read(data, np.arange(len(data))).numpy(), standard, rtol=1e-3, atol=1e-3)
    # One of the strengths of a head, with the weight of the part as a factor, gives exactly these logits.
    rows = standard / np.sqrt(np.square(standard).sum(1).mean())
    logits = part.score(data, np.arange(len(data)))[:, 0].detach().double().numpy()
    fits = [fit_logistic(rows, data.labelled()[1], c, None, 0)[0][0] for c in STRENGTHS]
    correlations = [np.corrcoef(rows @ coef, logits)[0, 1] for coef in fits]
    assert max(correlations) > 1 - 1e-6
    assert module.part("vectors-flat").read(data, np.arange(3)).abs().max() == 0


def test_the_kernel_part_is_a_kernel_logistic_regression() -> None:
    data = by_vectors(60)
    part = KernelNet(PROTEIN, "esm2", 4, 60, outputs=1)
    part.prepare(data, seed=0)
    x = data.vectors["esm2"].astype(np.float64)
    x = (x - x.mean(0)) / x.std(0)
    kernel = np.exp(-0.5 / 4 * np.square(x[:, None] - x[None]).sum(2))
    found = part.read(data, np.arange(60)).double().numpy()
    np.testing.assert_allclose(found, kernel, atol=1e-4)
    basis = part.coordinates()
    assert basis is not None
    coordinates = kernel @ basis  # whose inner products are the kernel
    np.testing.assert_allclose(coordinates @ coordinates.T, kernel, atol=1e-3)
    few = KernelNet(PROTEIN, "esm2", 4, 70, outputs=1)  # of more references than there are sequences
    few.prepare(data, seed=0)
    np.testing.assert_allclose(few.read(data, np.arange(5)).numpy()[:, :60], kernel[:5], atol=1e-4)
    assert few.read(data, np.arange(5)).numpy()[:, 60:].max() == 0
    rng = np.random.default_rng(0)
    ring = rng.normal(size=(120, 30)).astype(np.float32)
    y = (np.linalg.norm(ring[:, :3], axis=1) > 1.5).astype(np.int64)  # no linear function tells these apart
    data = replace(planted(PROTEIN, "A", n=120), y=y, vectors={"esm2": ring[:, :3]})
    alone, both = (
        fit_parts(vectors_alone(references), TrainConfig(model="vectors", valid=0.0), data, None).scores
        for references in (0, 120)
    )
    areas = [float(np.ravel(auroc(y, scores[:, 0]))[0]) for scores in (alone[0], both[1])]
    assert areas[0] < 0.7 < 0.85 < areas[1]


def vectors_alone(references: int) -> Any:
    """An untrained network on the vectors of a set."""
    return Vectors().build(PROTEIN, outputs=1, length=34, vectors={"esm2": 3}, references=references)


@pytest.mark.parametrize("model", ["vectors", "sum:pooling=none"])
def test_models_with_vectors_are_saved_and_ask_for_the_same_vectors(model: str, tmp_path: Path) -> None:
    data = by_vectors(80)
    network = learn(data, TrainConfig(model=model, valid=0.0)).network
    network.save(tmp_path)
    assert read_json(tmp_path / "model.json")["vectors"] == {"esm2": 4, "flat": 2}
    loaded = load_trained(tmp_path)
    assert loaded.vectors == {"esm2": 4, "flat": 2}
    linear = replace(network.architecture, references=0)
    TrainedNetwork(architecture=linear, module=linear.build()).save(tmp_path / "linear")
    assert load_trained(tmp_path / "linear").architecture.references == 0
    np.testing.assert_array_equal(loaded.outputs(data), network.outputs(data))
    order = np.random.default_rng(0).permutation(80)
    np.testing.assert_allclose(loaded.outputs(data.subset(order)), network.outputs(data)[order], atol=1e-5)
    with pytest.raises(UsageError, match="give the file that holds them, vectors="):
        loaded.outputs(replace(data, vectors={}))
    with pytest.raises(UsageError, match="have 3 numbers; the model was trained on 4"):
        loaded.outputs(replace(data, vectors={**data.vectors, "esm2": data.vectors["esm2"][:, :3]}))


def test_without_vectors_nothing_is_said_of_them(tmp_path: Path) -> None:
    data = planted(PROTEIN, "WKHFCC", n=40)
    learn(data, TrainConfig(model="sum:pooling=none", valid=0.0)).network.save(tmp_path)
    assert "vectors" not in read_json(tmp_path / "model.json")
    with pytest.raises(UsageError, match="have no vectors"):
        learn(data, TrainConfig(model="vectors", valid=0.0))


def test_the_baseline_is_a_logistic_regression_on_vectors_as_they_are(tmp_path: Path) -> None:
    data = by_vectors()
    fitted = fit_baseline("vectors", data)
    fitted.save(tmp_path)
    loaded = FittedBaseline.load(tmp_path)
    assert loaded.vectors == {"esm2": 4, "flat": 2}
    raw = np.concatenate([data.vectors[name] for name in ("esm2", "flat")], 1)
    np.testing.assert_allclose(loaded.outputs(data), raw @ fitted.coef.T + fitted.intercept)
    assert (fitted.coef[:, 4:] == 0).all()
    assert float(np.ravel(auroc(data.labelled()[1], fitted.probabilities(data)[:, 1]))[0]) > 0.85
    assert next(iter(fit_baselines(data))) == "vectors"
    with pytest.raises(UsageError, match="of 4 numbers, and there are none"):
        loaded.outputs(replace(data, vectors={}))


def test_what_letters_alone_allow_is_refused_in_a_sentence() -> None:
    data = by_vectors(60)
    network = learn(data, TrainConfig(model="sum:pooling=none", valid=0.0)).network
    ids = torch.from_numpy(data.padded(np.arange(3)))
    about = r"reads the vectors 'esm2' beside letters, and those of edited sequences are not known"
    for refused in (
        lambda: substitution_scores(network.module, ids),
        lambda: evaluate_robustness(network, data, max_substitutions=1),
        lambda: network.module(ids),
    ):
        with pytest.raises(UsageError, match=about):
            refused()
    with pytest.raises(UsageError, match=r"have no gradient in letters.* all_substitutions=True"):
        list(attributions(network, data))
    for refused in (lambda: lipschitz_upper_bound(network.module), lambda: export_onnx(network, Path("x.onnx"))):
        with pytest.raises(UsageError, match="nothing is proved of them"):
            refused()


# ---- the commands


def files(data: SequenceSet, folder: Path, without: str | None = None) -> list[object]:
    """The words that name the sequences, with labels in their headers, and their vectors."""
    fasta = [f">{name} label={data.label(i)}\n{data.sequence(i)}\n" for i, name in enumerate(data.names)]
    (folder / "x.fa").write_text("".join(fasta))
    known = np.array([name != without for name in data.names])
    np.savez(folder / "v.npz", ids=np.array(data.names)[known], vectors=data.vectors["esm2"][known])
    return [folder / "x.fa", "--vectors", f"esm2={folder / 'v.npz'}"]


def test_commands_take_vectors_and_ask_for_the_same(call: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    data = by_vectors(120)
    given = files(data, tmp_path)
    fasta, run = given[0], tmp_path / "run"
    done = call("train", *given, "-o", run, "--model", "sum:pooling=none", "--quiet")
    assert done.returncode == 0, done.stderr
    metrics = read_json(run / "metrics.json")
    assert {"vectors", "kmer-logistic"} <= metrics["baselines"].keys()
    assert metrics["auroc"] > 0.8
    again = call("train", *given, "-o", run, "--model", "sum:pooling=none", "--resume", "--quiet")
    assert again.returncode == 0, again.stderr  # complete, with the same vectors
    scored = call("predict", run, *given, "-o", tmp_path / "p.tsv", "--quiet")
    assert scored.returncode == 0, scored.stderr
    rows = {row["id"]: float(row["p_with"]) for row in read_tsv(tmp_path / "p.tsv")}
    p = load_trained(run).probabilities(replace(data, vectors={"esm2": data.vectors["esm2"]}))[:, 1]
    np.testing.assert_allclose([rows[name] for name in data.names], p, atol=1e-5)
    assert call("evaluate", run, *given, "--part", "test", "--quiet").returncode == 0
    refused = {
        "give --vectors esm2=FILE": ("predict", run, fasta),
        "reads those called esm2": ("predict", run, fasta, "--vectors", f"t5={tmp_path / 'v.npz'}", *given[1:]),
        "NAME=FILE": ("predict", run, fasta, "--vectors", tmp_path / "v.npz"),
        "of windows and of edited sequences are not known": ("predict", run, *given, "--scan", 5),
        "of edited sequences are not known": ("robustness", run, *given),
    }
    for sentence, words in refused.items():
        found = call(*words)
        assert found.returncode == 2
        assert sentence in found.stderr
    np.savez(tmp_path / "v.npz", ids=np.array(data.names), vectors=data.vectors["esm2"] + 1)
    assert "input_sha256 was" in call("train", *given, "-o", run, "--model", "sum:pooling=none", "--resume").stderr


@pytest.mark.usefixtures("few_strengths")
def test_tuning_tries_models_of_vectors_and_keeps_one(
    call: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    data = by_vectors(120)
    given, run = files(data, tmp_path), tmp_path / "run"
    words = ("--model", "vectors", "--trials", 4, "--folds", 2, "--workers", 1, "--quiet")
    done = call("tune", *given, "-o", run, *words)
    assert done.returncode == 0, done.stderr
    trials = {row["what"]: row for row in read_tsv(run / "trials.tsv")}
    of_letters = max(float(trials[name]["auroc"]) for name in ("kmer-logistic", "kmer-svm"))
    assert min(float(trials[name]["auroc"]) for name in ("default", "vectors")) > max(0.85, of_letters)
    assert read_json(run / "model.json")["vectors"] == {"esm2": 4}
    assert call("predict", run, *given, "-o", tmp_path / "p.tsv", "--quiet").returncode == 0
    p = load_predictor(run).probabilities(replace(data, vectors={"esm2": data.vectors["esm2"]}))[:, 1]
    rows = {row["id"]: float(row["p_with"]) for row in read_tsv(tmp_path / "p.tsv")}
    np.testing.assert_allclose([rows[name] for name in data.names], p, atol=1e-5)
    assert auroc(data.labelled()[1], p) > 0.85


def test_a_missing_vector_is_named(call: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    data = replace(planted(PROTEIN, "W", n=1000), vectors={"esm2": np.ones((1000, 3), dtype=np.float32)})
    given = files(data, tmp_path, without="s617")
    done = call("train", *given, "-o", tmp_path / "run")
    assert done.returncode == 2
    assert f"{tmp_path / 'v.npz'}, record s617: no vector for this sequence" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_store_brings_its_vectors(call: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    data = by_vectors(60)
    stored = call("encode", *files(data, tmp_path), "-o", tmp_path / "x.h5")
    assert stored.returncode == 0, stored.stderr
    trained = call("train", tmp_path / "x.h5", "-o", tmp_path / "run", "--model", "vectors", "--quiet")
    assert trained.returncode == 0, trained.stderr
    assert read_json(tmp_path / "run" / "model.json")["vectors"] == {"esm2": 4}
    call("baseline", tmp_path / "x.h5", "-o", tmp_path / "kmers", "--model", "kmer-logistic", "--quiet")
    for run in ("run", "kmers"):  # one reads the vectors of the store, the other leaves them
        done = call("predict", tmp_path / run, tmp_path / "x.h5", "-o", tmp_path / "p.tsv", "--quiet")
        assert done.returncode == 0, done.stderr


# ---- Python


def sizes(texts: list[str]) -> np.ndarray:
    """Vectors that a function computes: what it is given must be what the user wrote."""
    assert all(text.startswith("m") for text in texts)
    return np.array([[text.count("w"), len(text)] for text in texts])


def test_estimators_take_tables_and_functions(tmp_path: Path) -> None:
    data = by_vectors(80)
    X, y = [f"m{data.sequence(i).lower()}" for i in range(80)], data.labelled()[1].tolist()
    clf = SequenceClassifier(model="vectors", vectors=sizes, random_state=0, alphabet="protein")
    found = cross_val_score(clf, X, y, cv=3)
    assert found.mean() > 0.6
    copied = pickle.loads(pickle.dumps(clf.fit(X, y)))
    np.testing.assert_array_equal(copied.predict_proba(X), clf.predict_proba(X))

    hashes = [hashlib.sha256(f"{text}_{len(text)}".encode()).hexdigest() for text in X]
    with h5py.File(tmp_path / "v.h5", "w") as file:
        for key, vector in zip(hashes, data.vectors["esm2"], strict=True):
            file.create_dataset(key, data=vector)
    table = VectorTable.open(tmp_path / "v.h5")
    grid = GridSearchCV(
        SequenceClassifier(model="vectors", vectors=table, random_state=0, alphabet="protein"),
        {"valid": [0.0, 0.1]},
        cv=2,
    ).fit(X, y)
    best = grid.best_estimator_
    assert best.score(X, y) > 0.8
    best.save(tmp_path / "run")
    loaded = SequenceClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(X), best.predict_proba(X))
    baseline = KmerClassifier("vectors", vectors={"esm2": tmp_path / "v.h5"}, alphabet="protein").fit(X, y)
    assert baseline.score(X, y) > 0.8
    with pytest.raises(InputError, match="no vector for this sequence"):
        best.predict(["MKV"])
    with pytest.raises(UsageError, match="takes a VectorTable"):
        SequenceClassifier(vectors=3).fit(X, y)
    with pytest.raises(UsageError, match="of edited sequences are not known"):
        best.robustness(X, y)


def test_records_are_found_by_their_ids(tmp_path: Path) -> None:
    data = by_vectors(40)
    records = [SeqRecord(Seq(data.sequence(i)), id=name) for i, name in enumerate(data.names)]
    np.savez(tmp_path / "v.npz", ids=np.array(data.names), vectors=data.vectors["esm2"])
    found = read_sequences(records, "protein", vectors=tmp_path / "v.npz").vectors["vectors"]
    np.testing.assert_array_equal(found, data.vectors["esm2"])
    with pytest.raises(InputError, match="40 of 40"):  # the names that texts are given are no ids
        read_sequences([data.sequence(i) for i in range(40)], "protein", vectors=tmp_path / "v.npz")


# ---- a language model at hand: exact, slow, and nothing is proved


def test_edits_are_embedded_and_scored_whole_where_that_can_be_done() -> None:
    data = planted(PROTEIN, "W", n=60, shortest=6, longest=9)
    texts = [data.sequence(i) for i in range(60)]
    data = replace(data, vectors={"esm2": letters_of(texts)})
    network = learn(data, TrainConfig(model="sum:pooling=none", valid=0.0)).network
    few = data.subset(np.arange(4))
    with pytest.raises(UsageError, match="no language model is given"):
        embed_with(network.module, {"t5": letters_of})
    embed_with(network.module, {"esm2": letters_of})
    ids = torch.from_numpy(few.padded())
    with torch.no_grad():
        np.testing.assert_allclose(network.module(ids).numpy(), network.outputs(few), atol=1e-4)
        found = substitution_scores(network.module, ids)
        edited = ids.clone()
        edited[2, 3] = 7
        torch.testing.assert_close(found[2, 3, 7], network.module(edited)[2], atol=1e-4, rtol=1e-4)
        windows = replace(few, vectors={})
        np.testing.assert_allclose(network.outputs(windows), network.outputs(few), atol=1e-4)
    study = evaluate_robustness(network, few, max_substitutions=1)
    assert study.l2["epsilon"] == []
    assert study.certified_accuracy[1] == 0  # whatever is found, nothing is proved
    assert study.attacked_accuracy[1] <= study.attacked_accuracy[0] == study.certified_accuracy[0]
    old = few.sequence(1)[2]
    new = "W" if old != "W" else "A"
    listed = [ListedVariant(file="list", line=1, id=few.names[1], text=f"p.{old}3{new}")]
    (score,) = score_variants(network, few, listed)
    assert score.logit_after == pytest.approx(float(found[1, 2, PROTEIN.letters.index(new), 0]), abs=1e-3)
    assert (score.certified, score.certified_any) == (None, None)
    with pytest.raises(UsageError, match="nothing is proved of them"):
        lipschitz_upper_bound(network.module)


class Shares:
    """In the place of `LanguageModel`: shares of letters, 20 numbers, and a sentence on how many there have been."""

    dimension = 20

    def __init__(self, name: str, device: object) -> None:
        self.report: Callable[[int], None] | None = None
        self.count = 0

    def __deepcopy__(self, memo: object) -> "Shares":
        return self

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.count += len(texts)
        if self.report is not None:
            self.report(self.count)
        return letters_of(texts)


def test_commands_on_edits_embed_every_one_and_say_so(
    call: Callable[..., CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqreg.vectors.language_model.LanguageModel", Shares)
    monkeypatch.setattr("seqreg.cli.terminal.SECONDS_BETWEEN_LINES", 0)
    data = planted(PROTEIN, "W", n=60, shortest=6, longest=9)
    data = replace(data, vectors={"esm2": letters_of([data.sequence(i) for i in range(60)])})
    network = learn(data, TrainConfig(model="vectors", valid=0.0)).network
    run, few = tmp_path / "run", data.subset(np.arange(3))
    network.save(run)
    (tmp_path / "x.fa").write_text("".join(f">{name}\n{few.sequence(i)}\n" for i, name in enumerate(few.names)))
    words = (tmp_path / "x.fa", "--embed-with", "model")

    def log_odds(texts: Sequence[str]) -> np.ndarray:
        logits = network.outputs(replace(data.subset(np.arange(len(texts))), vectors={"esm2": letters_of(texts)}))
        return logits[:, 0] / network.temperature

    done = call("predict", run, *words, "--all-substitutions", "-o", tmp_path / "all.tsv")
    assert done.returncode == 0, done.stderr
    assert "Scored 2" in done.stderr  # one by one
    letters = int(few.lengths.sum())
    # All mutants and each sequence as it is, once for the two parts that read their vectors.
    assert f"Embedded {20 * letters + len(few)}\n" in done.stderr
    rows = iter(read_tsv(tmp_path / "all.tsv"))
    for i in range(3):
        text = few.sequence(i)
        for place in range(len(text)):
            row = next(rows)
            mutants = [text[:place] + letter + text[place + 1 :] for letter in PROTEIN.letters]
            found = [float(row[letter]) for letter in PROTEIN.letters]
            np.testing.assert_allclose(found, log_odds(mutants) - log_odds([text]), atol=1e-4)

    text = few.sequence(1)
    (tmp_path / "v.tsv").write_text(f"s1\tp.{text[2]}3{'W' if text[2] != 'W' else 'A'}\ns1\t2del\n")
    scored = call("predict", run, *words, "--variants", tmp_path / "v.tsv", "-o", tmp_path / "out.tsv")
    assert scored.returncode == 0, scored.stderr
    edited = [text[:2] + ("W" if text[2] != "W" else "A") + text[3:], text[0] + text[2:]]
    variants = read_tsv(tmp_path / "out.tsv")
    np.testing.assert_allclose([float(row["logit_after"]) for row in variants], log_odds(edited), atol=1e-4)
    assert {(row["certified"], row["certified_any"]) for row in variants} == {("", "")}  # nothing is proved
    assert "Embedded" in scored.stderr
    refused = call("explain", run, tmp_path / "x.fa", "-o", tmp_path / "explained")
    assert refused.returncode == 2
    assert "predict with --all-substitutions and --embed-with MODEL" in refused.stderr
    assert not (tmp_path / "explained").exists()


def letters_of(texts: Sequence[str]) -> np.ndarray:
    """(n, 20) shares of letters, in the place of a language model."""
    return np.array([[text.count(letter) / len(text) for letter in PROTEIN.letters] for text in texts], np.float32)


def test_suites_give_data_sets_their_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = by_vectors(40)
    rows = [f"{name},{data.sequence(i)},{data.label(i)}\n" for i, name in enumerate(data.names)]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.csv").write_text("id,sequence,label\n" + "".join(rows))
    digest = hashlib.sha256((tmp_path / "mine" / "x.csv").read_bytes()).hexdigest()
    about = {"name": "mine", "title": "t", "alphabet": "protein", "kind": "classification", "file": "x.csv"}
    about |= {"sha256": digest, "source": "s", "licence": "l", "positive": "with"}
    lines = [f'{key} = "{value}"\n' for key, value in about.items()]
    (tmp_path / "mine" / "dataset.toml").write_text("".join(lines) + 'classes = ["absent", "with"]\n')
    np.savez(tmp_path / "mine.npz", ids=np.array(data.names), vectors=data.vectors["esm2"])
    monkeypatch.setenv("SEQREG_DATA", str(tmp_path))
    (tmp_path / "s.toml").write_text(
        f"""title = "t"
protocol = "small-data"
data = ["mine"]
vectors = ["esm2={tmp_path}/{{data}}.npz"]
sizes = [20]
reference = "vectors"
[[methods]]
name = "vectors"
learner = "vectors"
"""
    )
    suite = read_suite(tmp_path / "s.toml")
    assert cells_of(suite)[0].key != cells_of(replace(suite, vectors=()))[0].key
    library = Library(vectors=suite.vectors)
    task = task_of(suite, library, data="mine", task="", size=20, seed=0, stage="report")
    row = data.names.index(task.test.names[0])
    np.testing.assert_array_equal(task.test.vectors["esm2"][0], data.vectors["esm2"][row])
    assert inapplicable("vectors", task.train, task.test) is None
    assert inapplicable("vectors", replace(task.train, vectors={}), task.test) == "sequences without vectors"
