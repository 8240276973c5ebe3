"""Prototypes: windows of training sequences vote by their best match, as counted letter by letter."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN
from seqreg.networks import BLOSUM62, Blosum62, Sum, SumNet, has_prototypes
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, fit, train, with_defaults
from seqreg.training.prototypes import draw_windows, fit_prototypes
from seqreg.training.stacking import fit_parts, stacking_weights

Plant = Callable[..., SequenceSet]
WIDTH, NUMBER, SILENT = 6, 20, 0.7
ALONE = Sum(spectrum=0, positions=False, pooling=("none",), width=(WIDTH,), prototypes=NUMBER, silent=SILENT)


def labelled(data: SequenceSet, kind: str) -> SequenceSet:
    """The same sequences with two classes, three, or several labels at once."""
    third = np.arange(len(data)) % 3
    if kind == "two":
        return data
    if kind == "three":
        return replace(data, classes=("a", "b", "c"), y=third, positive=None)
    return replace(data, y=np.stack([third == 0, third < 2], 1).astype(np.uint8), positive=None)


def best_match(window: np.ndarray, codes: np.ndarray, similarity: np.ndarray) -> float:
    """The highest score of a window against a sequence without gaps; beyond the end of a short one nothing counts."""
    codes = np.concatenate([codes, np.full(max(0, len(window) - len(codes)), -1)])
    scores = [
        sum(similarity[a, b] for a, b in zip(window, codes[start:], strict=False) if a >= 0 and b >= 0)
        for start in range(len(codes) - len(window) + 1)
    ]
    return max(0.0, *scores)


def counted_votes(
    data: SequenceSet, windows: np.ndarray, rows: np.ndarray, similarity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Votes (n, K) by definition: those of all windows, and those of windows of other sequences (groups)."""
    sequences = np.split(data.codes.astype(int), data.offsets[1:-1])
    windows = np.where(windows < data.alphabet.size, windows.astype(int), -1)
    best = np.array([[best_match(window, codes, similarity) for window in windows] for codes in sequences])
    assert data.y is not None
    answers = np.maximum(best - np.quantile(best, SILENT, axis=0), 0)
    home = np.arange(len(data)) if data.group is None else data.group
    one_each = np.eye(len(data.classes))[data.y]
    labels = data.y if data.multi_label else one_each[:, -1:] if len(data.classes) == 2 else one_each
    whole, others = np.zeros(labels.shape), np.zeros(labels.shape)
    for i in range(len(data)):
        for k in range(labels.shape[1]):
            for votes, heard in ((whole, rows >= 0), (others, home[rows] != home[i])):
                for sign, carries in ((1, labels[rows, k] == 1), (-1, labels[rows, k] == 0)):
                    votes[i, k] += sign * np.mean(answers[i, heard & carries]) if (heard & carries).any() else 0
    return whole, others


def test_windows_are_drawn_of_each_class_and_again_only_when_all_are(plant: Plant) -> None:
    data = plant(DNA, "TGAC", n=6, shortest=4, longest=9)
    windows, rows = draw_windows(data, 81, WIDTH, seed=1)
    texts = [data.codes[start:end] for start, end in zip(data.offsets[:-1], data.offsets[1:], strict=True)]
    possible = [
        (i, bytes(np.pad(text[start : start + WIDTH], (0, max(0, WIDTH - len(text))), constant_values=DNA.pad)))
        for i, text in enumerate(texts)
        for start in range(max(1, len(text) - WIDTH + 1))
    ]
    assert data.y is not None
    found = list(zip(rows.tolist(), map(bytes, windows), strict=True))
    for label, number in ((0, 41), (1, 40)):
        times = [found.count(each) for each in possible if data.y[each[0]] == label]
        assert sum(times) == number
        assert max(times) - min(times) <= 1


@pytest.mark.parametrize("kind", ["two", "three", "labels"])
@pytest.mark.parametrize("grouped", [False, True])
def test_votes_are_mean_answers_of_windows_counted_one_by_one(plant: Plant, kind: str, grouped: bool) -> None:
    data = labelled(plant(DNA, "TGAC", n=24, shortest=4, longest=15), kind)
    if grouped:
        data = replace(data, group=np.array([f"g{i // 4}" for i in range(24)]))
    part = ALONE.build(DNA, outputs=1 if kind == "two" else len(data.classes), length=15).double().part("prototypes")
    found = fit_prototypes(part, data, SILENT, seed=3)
    windows, rows = draw_windows(data, NUMBER, WIDTH, seed=3)
    whole, others = counted_votes(data, windows, rows, np.eye(4))
    np.testing.assert_allclose(found, others, atol=1e-6)
    np.testing.assert_allclose(part(torch.from_numpy(data.padded())).detach(), whole, atol=1e-6)


def test_similar_letters_match_as_the_encoding_has_it(plant: Plant) -> None:
    data = plant(PROTEIN, "WKHF", n=16, shortest=5, longest=14)
    part = ALONE.build(PROTEIN, outputs=1, length=14, encoding=Blosum62()).double().part("prototypes")
    found = fit_prototypes(part, data, SILENT, seed=0)
    values, vectors = np.linalg.eigh(BLOSUM62)
    positive = (vectors * np.clip(values, 0, None)) @ vectors.T
    windows, rows = draw_windows(data, NUMBER, WIDTH, seed=0)
    _, others = counted_votes(data, windows, rows, positive * 20 / np.trace(positive))
    np.testing.assert_allclose(found, others, atol=1e-5)


def test_votes_on_many_sequences_are_those_on_few(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    data = plant(DNA, "TGACG", n=40)
    part = ALONE.build(DNA, outputs=1, length=34).part("prototypes")
    whole = fit_prototypes(part, data, SILENT, seed=0)
    silence = part.first_bias().clone()
    monkeypatch.setattr("seqreg.training.prototypes.MATCHED", 39)  # one fewer says when windows are silent
    pieces = fit_prototypes(part, data, SILENT, seed=0)
    assert torch.equal(part.first_bias(), silence)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


@pytest.mark.parametrize("held_out", [False, True])
def test_logits_are_votes_by_a_factor_and_an_offset(plant: Plant, held_out: bool) -> None:
    everything = plant(DNA, "TGACGTCATTGCAGAACT", n=100)
    data, valid = everything.subset(np.arange(80)), everything.subset(np.arange(80, 100)) if held_out else None
    config = with_defaults(TrainConfig(model="sum", threads=1), data, valid)
    net = ALONE.build(DNA, outputs=1, length=34)
    fitted = fit_parts(net, config, data, valid)
    logits = net(torch.from_numpy(data.padded())).detach().numpy()
    windows, rows = draw_windows(data, NUMBER, WIDTH, config.seed)
    whole, others = counted_votes(data, windows, rows, np.eye(4))
    (factor,), offset = stacking_weights(others[None], np.asarray(data.y), np.ones(len(data)))
    assert factor > 0
    np.testing.assert_allclose(logits, factor * whole + offset, atol=1e-4)
    if valid is None:
        np.testing.assert_allclose(fitted.scores[0], factor * others + offset, atol=1e-4)
    else:
        expected = net(torch.from_numpy(valid.padded())).detach().numpy()
        np.testing.assert_allclose(fitted.scores[0], expected, atol=1e-6)


def test_prototypes_find_relatives_and_one_sequence_per_class_is_enough(plant: Plant) -> None:
    everything = plant(DNA, "TGACGTCATTGCAGAACT", n=200)
    data, unseen = everything.subset(np.arange(100)), everything.subset(np.arange(100, 200))
    config = with_defaults(TrainConfig(model="sum", threads=1), data, None)
    net = replace(ALONE, width=(6, 8), prototypes=200).build(DNA, outputs=1, length=34)
    assert net.kinds() == {"prototypes": ["prototypes#6", "prototypes#8"]}
    assert all(has_prototypes(net.part(name)) for name in net.parts)
    fit(net, config, data, None)
    right = (net(torch.from_numpy(unseen.padded()))[:, 0] > 0).numpy() == unseen.y
    assert right.mean() > 0.8
    two = data.subset(np.array([0, 1]))
    fit(net, config, two, None)
    assert torch.isfinite(net(torch.from_numpy(two.padded()))).all()


def test_windows_stay_as_they_are_whatever_regularizes_the_networks(plant: Plant, tmp_path: Path) -> None:
    data = plant(DNA, "TGACGTCA", n=60)
    model = "sum:spectrum=0,positions=false,filters=4,width=5,prototypes=8,average=true"
    config = TrainConfig(
        model=model, epochs=2, threads=1, constraint=("spectral-norm:radius=0.1",), penalty=("gradient",)
    )
    folder = tmp_path / "run"
    net = train(data, config, folder).network.module
    assert isinstance(net, SumNet)
    windows = net.part("prototypes").first_kernel()
    assert torch.equal(windows.unique(), torch.tensor([0.0, 1.0]))
    assert torch.equal(windows.sum(1), torch.ones(8, 5))
