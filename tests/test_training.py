"""Training: the same bits again, what it starts from, and clear ends for hopeless settings."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

import seqreg.baselines.models
import seqreg.training.beside
from seqreg.alphabet import DNA
from seqreg.baselines.beside import Beside
from seqreg.errors import DivergedError, InputError, UsageError
from seqreg.locks import Lock
from seqreg.networks import MODELS, Sum
from seqreg.predictors import load_trained
from seqreg.records import read_json, read_tsv
from seqreg.sequences import SequenceSet, read_strings
from seqreg.targets import Classes, Labels
from seqreg.training import Progress, TrainConfig, train, with_defaults
from seqreg.training.beside import baselines_beside
from seqreg.training.config import example_weights
from seqreg.training.learning import architecture_of
from seqreg.training.loop import epoch_order, learning_rate
from seqreg.training.parts import split_parts
from seqreg.training.start import start_from_windows
from tests.conftest import embedded

MOTIF = "TGACTCA"
SMALL = TrainConfig(
    model="cnn:filters=6,width=7", epochs=8, batch_size=16, baselines=False, threads=1, calibration="none"
)


def planted(n: int = 120, length: int = 30, seed: int = 0) -> SequenceSet:
    """DNA in which every second sequence carries a motif."""
    generator = np.random.default_rng(seed)
    texts = ["".join(row) for row in generator.choice(list("ACGT"), (n, length))]
    for i in range(0, n, 2):
        at = int(generator.integers(0, length - len(MOTIF)))
        texts[i] = texts[i][:at] + MOTIF + texts[i][at + len(MOTIF) :]
    return SequenceSet(
        alphabet=DNA,
        names=[f"s{i}" for i in range(n)],
        codes=DNA.encode("".join(texts)),
        offsets=np.arange(n + 1) * length,
        target=Classes(names=("motif", "none")),
        y=np.arange(n) % 2,
    )


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_run_learns_and_leaves_every_file(tmp_path: Path) -> None:
    seen: list[Progress] = []
    data = planted(300)
    result = train(data, replace(SMALL, epochs=40, lr=0.01), tmp_path / "run", report=seen.append, command=["seqreg"])
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "calibration.json", "config.json", "examples.tsv", "files.json", "history.tsv", "metrics.json", "model.json",
        "model.safetensors", "motifs.json", "predictions.tsv", "run.json", "seen.txt", "splits.tsv", "suspects.tsv",
        "thresholds.tsv",
    }  # fmt: skip
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["auroc"] > 0.9
    assert metrics["positive"] in data.classes
    assert [progress.epoch for progress in seen] == list(range(1, len(seen) + 1))
    parts = [line.split("\t")[1] for line in (tmp_path / "run" / "splits.tsv").read_text().splitlines()[1:]]
    assert len(parts) == 300
    assert parts.count("test") == 60
    np.testing.assert_array_equal(load_trained(tmp_path / "run").outputs(data), result.network.outputs(data))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    data = planted()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(data, replace(SMALL, seed=seed), tmp_path / name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_baselines_that_learn_beside_the_network_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, config = planted(60, length=12), replace(SMALL, epochs=1, baselines=True)
    train(data, config, tmp_path / "one", workers=1)
    monkeypatch.setattr(seqreg.training.beside, "_PAYS", 1)
    train(data, config, tmp_path / "two", workers=2)
    for name in ("metrics.json", "model.safetensors", "predictions.tsv"):
        beside = (tmp_path / "two" / name).read_bytes()
        assert beside.replace(b"/two", b"/one") == (tmp_path / "one" / name).read_bytes()


def test_of_two_processes_one_learns_a_baseline_and_the_other_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baselines = Beside(files=tmp_path, data=planted(60, length=12), seed=0, about={})
    others = Lock(tmp_path / "baseline-kmer-svm.lock")
    assert others.take()
    mine = baselines.learn(baselines.names)
    assert [each.name for each in mine] == [name for name in baselines.names if name != "kmer-svm"]
    others.give_back(remove=True)
    monkeypatch.setattr(seqreg.baselines.models, "fit_logistic", None)
    with baselines_beside(baselines, 1, None) as fitted:
        assert set(fitted()) == set(baselines.names)


SUM = {"model": "sum:spectrum=2,filters=8,width=4,pooling=max+position", "penalty": None}


def test_resume_refuses_another_configuration_and_returns_at_once_when_done(tmp_path: Path) -> None:
    data = planted()
    told: list[Any] = []
    train(data, SMALL, tmp_path / "run", chosen=lambda config, reasons: told.append(config), report=told.append)
    chosen, *epochs = told
    written = read_json(tmp_path / "run" / "config.json")
    assert {**written, **json.loads(json.dumps(chosen.to_plain()))} == written, "what was chosen comes first, and whole"
    assert all(isinstance(each, Progress) for each in epochs)
    before = weights(tmp_path / "run")
    again = {"chosen": lambda *_: pytest.fail("chosen again"), "report": lambda _: pytest.fail("trained again")}
    train(data, SMALL, tmp_path / "run", resume=True, **again)
    with pytest.raises(UsageError, match="epochs was 8, now 9"):
        train(data, replace(SMALL, epochs=9), tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match="already holds a run"):
        train(data, SMALL, tmp_path / "run")
    train(data, replace(SMALL, epochs=2), tmp_path / "run", overwrite=True)
    assert weights(tmp_path / "run") != before


def test_without_validation_exactly_the_epochs_asked_for_are_done(tmp_path: Path) -> None:
    train(planted(50), replace(SMALL, valid=0, test=0, epochs=3), tmp_path / "run")
    rows = (tmp_path / "run" / "history.tsv").read_text().splitlines()
    assert len(rows) == 1 + 3
    assert "valid_loss" not in rows[0]
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_divergence_ends_with_a_message_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="diverged in epoch 1"):
        train(planted(), replace(SMALL, lr=1e30), tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_unusable_data_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = planted()
    with pytest.raises(InputError, match="no labels"):
        train(replace(data, target=None, y=None), SMALL, tmp_path / "run")
    with pytest.raises(InputError, match="only one class"):
        train(
            replace(data, target=Classes(names=("motif",)), y=np.zeros(len(data), dtype=np.int64)),
            SMALL,
            tmp_path / "run",
        )
    with pytest.raises(InputError, match="no training sequence of class 'rare'"):
        train(replace(data, target=Classes(names=("motif", "none", "rare"))), SMALL, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_kind_of_target_trains(tmp_path: Path) -> None:
    data = planted(90)
    several = np.stack([np.arange(90) % 2, np.arange(90) % 3 == 0, np.ones(90)], 1).astype(np.uint8)
    for name, kind in {
        "three": replace(data, target=Classes(names=("a", "b", "c")), y=np.arange(90) % 3),
        "several": replace(data, target=Labels(names=("a", "b", "c")), y=several),
        "grouped": replace(data, group=np.array([f"g{i // 3}" for i in range(90)])),
    }.items():
        class_weight = None if name == "several" else "balanced"
        result = train(kind, replace(SMALL, epochs=2, class_weight=class_weight), tmp_path / name)
        assert result.network.probabilities(data).shape == (90, len(kind.classes))
    with pytest.raises(UsageError, match='class_weight="balanced": these sequences may carry several labels each'):
        train(
            replace(data, target=Labels(names=("a", "b", "c")), y=several),
            replace(SMALL, class_weight="balanced"),
            tmp_path,
        )


def test_class_weights_give_every_class_the_same_total() -> None:
    data = replace(planted(30), y=(np.arange(30) < 6).astype(np.int64))
    balanced = example_weights(data, "balanced")
    assert balanced.mean() == pytest.approx(1)
    assert balanced[:6].sum() == pytest.approx(balanced[6:].sum())
    assert (example_weights(data, "none") == 1).all()


def test_resampling_draws_every_class_alike_and_no_sequence_much_more_than_another() -> None:
    y = torch.tensor([0] * 80 + [1] * 3 + [2] * 17)
    generator = torch.Generator().manual_seed(0)
    drawn = [epoch_order(y, generator, resampled=True) for _ in range(30)]
    assert all(torch.bincount(y[order]).tolist() == [34, 33, 33] for order in drawn)
    times = torch.bincount(torch.cat(drawn), minlength=100)
    assert times[80:83].tolist() == [330] * 3
    assert ((times[83:] >= 30) & (times[83:] <= 60)).all()
    assert (times[:80] > 0).all()
    assert not torch.equal(*drawn[:2])
    plain = epoch_order(y, generator, resampled=False)
    assert torch.equal(plain.sort().values, torch.arange(100))


def test_resampling_finds_a_rare_class(tmp_path: Path) -> None:
    data = planted(400)
    kept = np.concatenate([np.flatnonzero(data.y == 0), np.flatnonzero(data.y == 1)[:12]])
    calls = {
        name: train(data.subset(kept), replace(SMALL, epochs=6, class_weight=name), tmp_path / name)
        .network.probabilities(data)
        .argmax(1)
        .mean()
        for name in ("none", "resampled")
    }
    assert calls["resampled"] > calls["none"] + 0.1


@pytest.mark.parametrize("encoding", ["one-hot", "blosum62"])
@pytest.mark.parametrize("several", [False, True])
def test_filters_start_as_windows_of_every_class(encoding: str, several: bool) -> None:
    texts = ["MKLVAWYDERMKLVAWY", "GHSTPNQGHSTPNQGHST", "MK", "GH"]  # two are shorter than a filter
    data = read_strings(texts, labels=["first", "second"] * 2, alphabet="protein")
    if several:
        data = replace(data, target=Labels(names=data.classes), y=np.eye(2, dtype=np.uint8)[data.y])
    config = TrainConfig(model="cnn:filters=8,width=5", encoding=encoding)
    model = architecture_of(with_defaults(config, data, None), data).build()
    random = model.convs[0].weight.detach().clone()
    start_from_windows(model, data, seed=0)

    def shape(values: np.ndarray) -> np.ndarray:
        return (values - values.mean()) / values.std()

    x = model.one_hot(torch.from_numpy(data.padded(length=17))).numpy()
    for number, kernel in enumerate(model.convs[0].weight.detach().numpy()):
        alike = [
            np.allclose(shape(kernel), shape(model.encoding.numpy().T @ x[row][:, place : place + 5]), atol=1e-5)
            for row in np.flatnonzero(np.arange(4) % 2 == number % 2)
            for place in range(max(1, int(data.lengths[row]) - 4))
        ]
        assert any(alike)
        assert kernel.std() == pytest.approx(float(random.std()), rel=0.02)
        assert abs(kernel.mean()) < 1e-6
    assert not torch.equal(model.convs[0].weight, random)


@pytest.mark.parametrize("name", MODELS)
def test_the_defaults_of_a_model_fit_it(name: str) -> None:
    data = embedded(planted(60))
    network = architecture_of(with_defaults(TrainConfig(model=name), data, None), data).build()
    assert network.score(data, np.arange(60)).shape == (60, 1)


def test_only_filters_can_start_as_windows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SumNet has no filters"):
        start_from_windows(Sum(spectrum=2).build(DNA, outputs=1, length=9), planted(), seed=0)
    starts = [
        train(planted(300), replace(SMALL, epochs=1, lr=1e-9, start=start, **more), tmp_path / f"{start}{len(more)}")
        for start in ("random", "windows")
        for more in ({}, SUM)
    ]
    plain, summed, plain_windows, summed_windows = [run.network.module for run in starts]
    assert not torch.allclose(plain.convs[0].weight, plain_windows.convs[0].weight, atol=1e-3)
    for name in ("cnn-max", "cnn-position"):
        kernels = [network.part(name).convs[0].weight for network in (summed, summed_windows)]
        assert not torch.allclose(*kernels, atol=1e-3)


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [learning_rate(step, 200, 0.5) for step in range(200)]
    assert max(rates) == 0.5
    assert rates[0] < rates[5] < rates[9]
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert rates[-1] < 0.001


def test_the_callers_world_is_left_as_found(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    train(planted(40), replace(SMALL, epochs=1), tmp_path / "run")
    torch.testing.assert_close(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_fewer_training_sequences_are_nested_and_leave_the_test_part_alone(tmp_path: Path) -> None:
    data = planted(120)
    rare = replace(data, y=(np.arange(120) % 4 == 0).astype(np.int64))
    whole = split_parts(rare, SMALL)
    before: set[str] = set()
    for size in (12, 40, 80):
        parts = split_parts(rare, replace(SMALL, train_size=size))
        assert parts.test is not None
        assert whole.test is not None
        assert parts.test.names == whole.test.names
        names = set(parts.train_and_valid.names)
        assert len(names) == size == len(parts.train) + (0 if parts.valid is None else len(parts.valid))
        assert before < names < set(whole.train_and_valid.names)
        assert parts.train_and_valid.y is not None
        assert int(parts.train_and_valid.y.sum()) == size // 4
        before = names
    train(data, replace(SMALL, epochs=1, train_size=20), tmp_path / "run")
    assert [row["split"] for row in read_tsv(tmp_path / "run" / "splits.tsv")].count("train") == 20
    assert (
        split_parts(rare, replace(SMALL, train_size=40, seed=1)).train.names
        != split_parts(rare, replace(SMALL, train_size=40)).train.names
    )
    with pytest.raises(UsageError, match="must be 1 to 96; got 1000"):
        split_parts(rare, replace(SMALL, train_size=1000))


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "of another network"])
def test_a_damaged_checkpoint_is_no_checkpoint(damage: str, tmp_path: Path) -> None:
    def interrupted(_: Progress) -> None:
        raise KeyboardInterrupt

    config = replace(SMALL, epochs=3)
    train(planted(), config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqreg.training.loop.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
        with pytest.raises(KeyboardInterrupt):
            train(planted(), config, tmp_path / "run", report=interrupted)
    (kept,) = (tmp_path / "run").rglob("state.safetensors")
    raw = kept.read_bytes()
    other = save({"model.x": torch.zeros(2)}, {"state": "{}"})
    foreign = save({"x": torch.zeros(2)}, {"of": "another program"})
    kept.write_bytes({"empty": b"", "cut": raw[:-100], "foreign": foreign, "of another network": other}[damage])
    train(planted(), config, tmp_path / "run", resume=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_three_sequences_are_trained_on_without_a_temperature(tmp_path: Path) -> None:
    """Two are left to learn from, too few to hold any out."""
    data = planted(6).subset(np.array([0, 1, 2]))
    found = train(data, replace(SMALL, epochs=1, calibration="temperature"), output=tmp_path / "run")
    assert found.network.temperature == 1
