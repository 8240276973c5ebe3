"""Robustness of a trained network: between what is proved and what is found lies the truth."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seqreg.alphabet import DNA
from seqreg.attacks import exhaustive_search
from seqreg.errors import InputError, UnknownLayerError, UsageError
from seqreg.evaluation import Robustness, evaluate_robustness
from seqreg.evaluation.robustness import COLUMNS
from seqreg.networks.trained import Architecture, TrainedNetwork
from seqreg.records import dump_json
from seqreg.report.robustness_figure import damaging_positions
from seqreg.sequences import SequenceSet


def network(data: SequenceSet, model: str = "cnn:filters=8,width=5", *, steps: int = 60) -> TrainedNetwork:
    """A network that has learned the data's labels more or less."""
    architecture = Architecture(
        model=model,
        encoding="one-hot",
        alphabet=data.alphabet.name,
        classes=data.classes,
        positive=data.positive,
        multi_label=data.multi_label,
        length=int(data.lengths.max()),
        shortest=int(data.lengths.min()),
        reverse_complement=False,
    )
    module = architecture.build()
    ids, y = torch.from_numpy(data.padded()), torch.from_numpy(np.asarray(data.y))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(steps):
        logits = module(ids)
        if data.multi_label or architecture.outputs == 1:
            target = y if data.multi_label else y[:, None]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target.float())
        else:
            loss = torch.nn.functional.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return TrainedNetwork(architecture=architecture, module=module.eval())


def check(found: Robustness) -> None:
    """The laws of the record."""
    for attacked, certified in (
        (found.attacked_accuracy, found.certified_accuracy),
        (found.attacked_balanced_accuracy, found.certified_balanced_accuracy),
        (found.l2["attacked_accuracy"], found.l2["certified_accuracy"]),
    ):
        assert attacked is not None
        assert certified is not None
        assert all(low <= high for low, high in zip(certified, attacked, strict=True))
        for curve in (attacked, certified):
            assert all(later <= earlier for earlier, later in itertools.pairwise(curve))
    plain = json.loads(dump_json(found.to_plain()))
    assert plain["substitutions"] == list(range(len(plain["attacked_accuracy"])))
    assert "sequences" not in plain
    assert all(len(row) == len(COLUMNS) for row in found.rows())


@pytest.mark.parametrize(
    "model", ["cnn:filters=8,width=5", "cnn:filters=6,width=4,pooling=mean", "smooth-cnn:filters=6"]
)
def test_certified_is_below_attacked(dna: SequenceSet, model: str) -> None:
    net = network(dna, model)
    found = evaluate_robustness(net, dna, max_substitutions=3, beam=2, l2_steps=5, batch_size=17)
    check(found)
    right = net.probabilities(dna).argmax(1) == dna.y
    assert found.attacked_accuracy[0] == pytest.approx(right.mean())
    assert found.n == len(dna)
    for k, name in enumerate(dna.classes):
        assert found.per_class[name]["attacked_accuracy"][0] == pytest.approx(right[dna.y == k].mean())
    assert found.damage.shape == (len(dna), dna.lengths.max())
    assert (np.isnan(found.damage) == (np.arange(dna.lengths.max()) >= dna.lengths[:, None])).all()


def test_every_sequence_is_told_apart(dna: SequenceSet) -> None:
    net = network(dna)
    found = evaluate_robustness(net, dna, max_substitutions=3, epsilons=())
    for position, one in enumerate(found.sequences):
        assert one.id == dna.names[position]
        logit = net.logits(dna)[position, 0]
        assert one.margin == pytest.approx(logit if dna.y[position] else -logit, abs=1e-4)
        assert (one.certified_radius == -1) == (one.margin <= 0)
        codes = dna.sequence(position)
        for edit in one.edits:  # such as 12A>G
            at, (old, new) = int(edit[:-3]) - 1, edit[-3:].split(">")
            assert codes[at] == old
            codes = codes[:at] + new + codes[at + 1 :]
        after = net.module(torch.as_tensor(dna.alphabet.encode(codes).copy())[None]).item()
        assert one.margin_after == pytest.approx(after if dna.y[position] else -after, abs=1e-4)
        if one.edits_to_change is not None:
            assert len(one.edits) == one.edits_to_change > one.certified_radius
            assert one.margin_after <= 0
    changed = [one.edits_to_change for one in found.sequences if one.margin > 0]
    for m, share in enumerate(found.attacked_accuracy):
        assert share * len(dna) == pytest.approx(sum(at is None or at > m for at in changed))
        proved = sum(one.certified_radius >= m for one in found.sequences)
        assert found.certified_accuracy[m] * len(dna) == pytest.approx(proved)


def test_the_truth_lies_between(plant) -> None:
    data = plant(DNA, "TGACG", n=16, shortest=8, longest=10)
    net = network(data, "cnn:filters=6,width=4")
    found = evaluate_robustness(net, data, max_substitutions=2, epsilons=())
    ids, y = torch.from_numpy(data.padded()), torch.from_numpy(data.y)
    margin = exhaustive_search(net.module, ids, y, budget=2).margin
    truth = (margin > 0).double().mean(0).tolist()
    for low, true, high in zip(found.certified_accuracy, truth, found.attacked_accuracy, strict=True):
        assert low <= true <= high
    assert found.certified_accuracy[1] == truth[1]  # one substitution is settled exactly


def test_balanced_accuracy_does_not_reward_the_majority(dna: SequenceSet) -> None:
    some = dna.subset(np.flatnonzero((dna.y == 0) | (np.arange(len(dna)) < 9)))
    net = network(dna)
    with torch.no_grad():
        net.module.output.bias.copy_(torch.tensor([-100.0]))  # pyright: ignore[reportCallIssue]
    found = evaluate_robustness(net, some, max_substitutions=2, epsilons=(0.0, 1.0), l2_steps=2)
    assert found.certified_accuracy[2] == pytest.approx((some.y == 0).mean())
    assert found.certified_balanced_accuracy == pytest.approx([0.5] * 3)
    check(found)


def test_what_may_not_change_is_not_changed(dna: SequenceSet) -> None:
    net = network(dna)

    def unprotected(index: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        open_ = np.arange(length) < 4
        return np.broadcast_to(open_[None, :, None], (len(index), length, 4)).copy()

    free = evaluate_robustness(net, dna, max_substitutions=3, epsilons=())
    narrow = evaluate_robustness(net, dna, max_substitutions=3, mask=unprotected, rule="transitions", epsilons=())
    assert sum(narrow.certified_accuracy) > sum(free.certified_accuracy)
    assert sum(narrow.attacked_accuracy) > sum(free.attacked_accuracy)
    for one in narrow.sequences:
        for edit in one.edits:
            assert int(edit[:-3]) <= 4
            assert edit[-3:] in ("A>G", "G>A", "C>T", "T>C")
    assert np.isnan(narrow.damage[:, 4:]).all()
    check(dataclasses.replace(narrow, l2={"attacked_accuracy": [], "certified_accuracy": []}))


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_insertions_and_deletions_count_as_edits(dna: SequenceSet, pooling: str) -> None:
    net = network(dna, f"cnn:filters=6,width=4,pooling={pooling}")
    kinds = ("substitution", "insertion", "deletion")
    found = evaluate_robustness(net, dna, max_substitutions=2, edits=kinds, l2_steps=2)
    check(found)
    alone = evaluate_robustness(net, dna, max_substitutions=1, epsilons=())
    assert found.attacked_accuracy[1] <= alone.attacked_accuracy[1]
    assert found.certified_accuracy[1] <= alone.certified_accuracy[1]
    assert any("del" in edit or "ins" in edit for one in found.sequences for edit in one.edits)


def test_several_classes_and_several_labels(dna: SequenceSet) -> None:
    y = np.arange(len(dna)) % 3
    three = dataclasses.replace(dna, classes=("a", "b", "c"), y=y.astype(np.int64), positive=None)
    check(evaluate_robustness(network(three), three, max_substitutions=2, l2_steps=2))
    labels = np.stack([dna.y == 1, np.arange(len(dna)) % 3 > 0, dna.lengths > 28], 1).astype(np.uint8)
    several = dataclasses.replace(dna, classes=("a", "b", "c"), y=labels, positive=None)
    found = evaluate_robustness(network(several), several, max_substitutions=2, l2_steps=2)
    assert found.attacked_balanced_accuracy is None
    assert all(low <= high for low, high in zip(found.certified_accuracy, found.attacked_accuracy, strict=True))
    assert found.per_class["a"]["n"] == int(labels[:, 0].sum())


def test_what_cannot_be_asked_is_refused(dna: SequenceSet) -> None:
    net = network(dna, steps=1)
    with pytest.raises(InputError, match="need labels"):
        evaluate_robustness(net, dataclasses.replace(dna, y=None, classes=()))
    with pytest.raises(UsageError, match="radii must rise"):
        evaluate_robustness(net, dna, epsilons=(2.0, 1.0))
    with pytest.raises(UsageError, match="for protein"):
        evaluate_robustness(net, dna, rule="blosum62:1")
    with pytest.raises(UsageError, match="edits are substitution"):
        evaluate_robustness(net, dna, edits=("inversion",))
    with pytest.raises(UnknownLayerError, match="Sequential"):
        evaluate_robustness(dataclasses.replace(net, module=torch.nn.Sequential()), dna)


def test_progress_is_told(dna: SequenceSet) -> None:
    told: list[tuple[int, int]] = []
    evaluate_robustness(
        network(dna, steps=1),
        dna,
        max_substitutions=1,
        epsilons=(),
        batch_size=25,
        progress=lambda *at: told.append(at),
    )
    assert told == [(25, 60), (50, 60), (60, 60)]


def test_positions_are_counted_once_per_sequence_whatever_the_edit() -> None:
    edits = ["p.A2V;p.R4K", "2A>G", "", "4_5insA;4del"]
    assert damaging_positions(edits).tolist() == [0, 0.5, 0, 0.5]
    assert not len(damaging_positions(["", ""]))
