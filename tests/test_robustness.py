"""Robustness of a trained network: between what is proved and what is found lies the truth."""

import copy
import dataclasses
import itertools
import json
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.attacks import PGD, RULES, Allowed, exhaustive_search
from seqreg.errors import InputError, UnknownLayerError, UsageError
from seqreg.networks import per_example_loss
from seqreg.predictors.network import TrainedNetwork
from seqreg.records import dump_json
from seqreg.report.robustness_figure import damaging_positions
from seqreg.sensitivity import Robustness, evaluate_robustness
from seqreg.sensitivity.robustness import COLUMNS
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes, Labels
from seqreg.workers import SideBySide
from tests.untrained import untrained


def network(
    data: SequenceSet, model: str = "cnn:filters=8,width=5", *, steps: int = 60, strands: bool = False
) -> TrainedNetwork:
    """A network that has learned the data's labels more or less."""
    found = untrained(model, data, reverse_complement=strands)
    module, (_, labels) = found.module, data.labelled()
    ids, y = torch.from_numpy(data.padded()), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(steps):
        logits = module(ids)
        loss = per_example_loss(logits, y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.eval()
    return found


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


@pytest.mark.usefixtures("forked")
def test_processes_find_what_one_finds(dna: SequenceSet) -> None:
    net = network(dna, "sum:filters=8,width=5,pooling=max+position,spectrum=2")
    each = [
        evaluate_robustness(net, dna, max_substitutions=2, l2_steps=2, batch_size=20, spread=spread)
        for spread in (None, SideBySide(workers=2, pays=1e-9, prepare=partial(torch.set_num_threads, 1)))
    ]
    assert dump_json(each[0].to_plain()) == dump_json(each[1].to_plain())
    assert each[0].rows() == each[1].rows()
    np.testing.assert_array_equal(each[0].damage, each[1].damage)


@pytest.mark.parametrize(
    "model", ["cnn:filters=8,width=5", "cnn:filters=6,width=4,pooling=mean", "smooth-cnn:filters=6"]
)
def test_certified_is_below_attacked(dna: SequenceSet, model: str) -> None:
    net = network(dna, model)
    found = evaluate_robustness(net, dna, max_substitutions=2, beam=2, l2_steps=3, batch_size=17)
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
        logit = net.outputs(dna)[position, 0]
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


def labelled(alphabet: Alphabet, sequences: list[str]) -> SequenceSet:
    """Sequences of two classes in turn."""
    return SequenceSet(
        alphabet=alphabet,
        names=[f"s{i}" for i in range(len(sequences))],
        codes=np.concatenate([alphabet.encode(text) for text in sequences]),
        offsets=np.concatenate([[0], np.cumsum([len(text) for text in sequences])]),
        target=Classes(names=("absent", "with"), asked_for="with"),
        y=np.arange(len(sequences)) % 2,
    )


def true_radii(net: TrainedNetwork, data: SequenceSet, rule: str, most: int) -> NDArray[np.int64]:
    """(N,) most substitutions that change no right prediction, by trying them all; -1 where it is wrong."""
    ids, y = torch.from_numpy(data.padded()), torch.from_numpy(np.asarray(data.y))
    double = copy.deepcopy(net.module).double()
    margin = exhaustive_search(double, ids, y, budget=most, allowed=Allowed(data.alphabet, rule)).margin
    return ((margin > 0).long().cumprod(1).sum(1) - 1).numpy()


@pytest.mark.parametrize("strands", [False, True])
@pytest.mark.parametrize("rule", ["any", "transitions", "synonymous", "synonymous:1"])
def test_the_truth_lies_between(rule: str, strands: bool) -> None:
    """For the shortest sequences, ambiguous letters and up to three substitutions."""
    assert {each.partition(":")[0] for each in ("any", "transitions", "synonymous", "blosum62")} == set(RULES)
    data = labelled(DNA, ["CTGA", "CTGTT", "NACG", "CGNTA", "ATA", "CGT", "G", "N", "AN", "TC", "TTACG", "AGRAT"])
    net = network(data, "cnn:filters=6,width=3", strands=strands)
    found = evaluate_robustness(net, data, max_substitutions=3, rule=rule, epsilons=(), batch_size=5)
    truth = true_radii(net, data, rule, 3)
    for one, radius in zip(found.sequences, truth, strict=True):
        assert one.certified_radius <= radius
        assert one.edits_to_change is None or one.edits_to_change > radius
        if not rule.startswith("synonymous"):  # whose certificates speak of more than what may be combined
            assert min(one.certified_radius, 2) == min(radius, 2)  # one and two are settled exactly


def set_weights(net: TrainedNetwork, **weights: object) -> None:
    with torch.no_grad():
        for name, value in weights.items():
            parameter = net.module.get_parameter(name.replace("__", "."))
            parameter.copy_(torch.as_tensor(value, dtype=parameter.dtype).view_as(parameter))


@pytest.mark.parametrize("classes", ["two", "three", "labels"])
@pytest.mark.parametrize(
    "model", ["cnn:filters=8,width=5", "cnn:filters=4,width=3,depth=2", "sum:spectrum=1+2,filters=4"]
)
def test_two_substitutions_are_settled_by_trying_pairs(model: str, classes: str) -> None:
    """Sequences rich in one letter of each class, which a letter or two hide from some."""
    generator = np.random.default_rng(3)
    rich = np.arange(40) % (2 if classes == "two" else 3)
    shares = np.eye(4)[rich] * 0.6 + 0.1
    data = labelled(DNA, ["".join(generator.choice(list("ACGT"), generator.integers(8, 15), p=p)) for p in shares])
    if classes == "three":
        data = dataclasses.replace(data, target=Classes(names=("a", "b", "c")), y=rich)
    if classes == "labels":
        y = np.stack([rich > 0, rich != 1], 1).astype(int)
        data = dataclasses.replace(data, target=Labels(names=("a", "b")), y=y)
    net = network(data, model, steps=200)
    asked = {"max_substitutions": 2, "epsilons": ()}
    found = {pairs: evaluate_robustness(net, data, **asked, pairs=pairs) for pairs in (0, 200, 10**6)}
    radii = {pairs: np.array([one.certified_radius for one in each.sequences]) for pairs, each in found.items()}
    settled = {pairs: each.certificate["proofs"].get("all pairs", 0) for pairs, each in found.items()}
    assert (radii[10**6] == true_radii(net, data, "any", 2)).all()
    assert (radii[0] <= radii[200]).all()
    assert (radii[200] <= radii[10**6]).all()
    assert settled == {pairs: (each > radii[0]).sum() for pairs, each in radii.items()}
    assert settled[10**6] > settled[200] or not model.startswith("cnn:filters=8")


def test_letters_that_come_only_after_others_count() -> None:
    """CGT may become AGA by way of CGA, though no single substitution brings the A: greedy search takes CGC."""
    data = labelled(DNA, ["CGT", "CGT"]).subset(np.array([1]))
    net = network(data, "cnn:filters=1,width=3,activation=identity", steps=0)
    worth = [[-3.0, 0, -0.5], [0, 0, -1], [0, 0, 0], [0, 0, 0]]
    set_weights(net, convs__0__weight=worth, convs__0__bias=0, output__weight=1, output__bias=2)
    found = evaluate_robustness(net, data, max_substitutions=3, rule="synonymous", epsilons=())
    assert found.sequences[0].edits_to_change is None
    assert true_radii(net, data, "synonymous", 3).tolist() == [1]
    assert found.sequences[0].certified_radius <= 1


@pytest.mark.parametrize(("alphabet", "rule"), [(DNA, "any"), (DNA, "transitions"), (PROTEIN, "blosum62:1")])
def test_nothing_is_between_where_a_network_is_linear(alphabet: Alphabet, rule: str) -> None:
    """What is not proved is found: substitutions, on masked positions too, and moves in l2."""
    generator = np.random.default_rng(1)
    letters = np.array(list(alphabet.letters))
    data = labelled(alphabet, ["".join(generator.choice(letters, 6)) for _ in range(24)])
    net = network(data, "cnn:filters=1,width=1,activation=identity,pooling=mean")

    def open_(index: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        mask = np.arange(length)[None, :, None] + index[:, None, None] % 3 < length
        return np.broadcast_to(mask, (len(index), length, alphabet.size)).copy()

    radii = (0.0, 0.2, 0.4, 0.8, 1.6)
    for mask in (None, open_):
        found = evaluate_robustness(
            net, data, max_substitutions=4, rule=rule, mask=mask, epsilons=radii, l2_steps=3, batch_size=7
        )
        assert found.certified_accuracy == found.attacked_accuracy
        assert len(set(found.certified_accuracy)) >= 3
        assert found.l2["certified_accuracy"] == found.l2["attacked_accuracy"]
        assert len(set(found.l2["certified_accuracy"])) >= 3


def test_each_sequence_is_judged_by_itself(dna: SequenceSet) -> None:
    """In whatever order, in whatever batch, however often; and a larger budget adds to what a smaller one says."""
    net = network(dna)
    few = dna.subset(np.arange(14))

    def study(rows: list[int], batch_size: int = 32, most: int = 2) -> Robustness:
        data = few.subset(np.array(rows))
        return evaluate_robustness(
            net, data, max_substitutions=most, epsilons=(0.0, 1.0, 3.0), l2_steps=2, batch_size=batch_size
        )

    def told(found: Robustness) -> list[tuple[object, ...]]:
        return [(one.id, one.certified_radius, one.edits_to_change, one.edits) for one in found.sequences]

    whole = study([*range(14)])
    order = np.random.default_rng(0).permutation(14).tolist()
    shuffled, twice = study(order, batch_size=3), study([*range(14), *range(14)])
    assert told(shuffled) == [told(whole)[row] for row in order]
    assert told(twice) == 2 * told(whole)
    longest = shuffled.damage.shape[1]
    np.testing.assert_allclose(shuffled.damage, whole.damage[order][:, :longest], atol=1e-6)
    for other in (shuffled, twice):
        for name in ("attacked_accuracy", "certified_accuracy"):
            assert getattr(other, name) == pytest.approx(getattr(whole, name))
            assert other.l2[name] == pytest.approx(whole.l2[name])
            assert getattr(other, name.replace("acc", "balanced_acc")) == pytest.approx(
                getattr(whole, name.replace("acc", "balanced_acc"))
            )
    assert told(study([5], most=2)) == [told(whole)[5]]
    more = study([*range(14)], most=3)
    for small, large in zip(whole.sequences, more.sequences, strict=True):
        assert small.certified_radius == min(large.certified_radius, 2)
        assert small.edits_to_change == (large.edits_to_change if (large.edits_to_change or 3) < 3 else None)
    assert more.attacked_accuracy[:3] == whole.attacked_accuracy
    assert more.certified_accuracy[:3] == whole.certified_accuracy


def test_what_a_small_move_changes_a_large_one_may_change_too(
    dna: SequenceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the attack fails at the larger radius."""

    @dataclasses.dataclass
    class Once:
        epsilon: float
        steps: int

        def __call__(self, model: torch.nn.Module, ids: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            x = model.one_hot(ids)  # pyright: ignore[reportCallIssue]
            return PGD(epsilon=40.0, steps=9)(model, ids, y) if self.epsilon == 1 else x

    monkeypatch.setattr("seqreg.sensitivity.study.PGD", Once)
    found = evaluate_robustness(network(dna), dna, max_substitutions=0, epsilons=(0.0, 0.5, 1.0, 2.0, 3.0))
    clean, half, one, two, three = found.l2["attacked_accuracy"]
    assert clean == half > one == two == three


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
    three = dataclasses.replace(dna, target=Classes(names=("a", "b", "c")), y=y.astype(np.int64))
    check(evaluate_robustness(network(three), three, max_substitutions=2, l2_steps=2))
    labels = np.stack([dna.y == 1, np.arange(len(dna)) % 3 > 0, dna.lengths > 28], 1).astype(np.uint8)
    several = dataclasses.replace(dna, target=Labels(names=("a", "b", "c")), y=labels)
    found = evaluate_robustness(network(several), several, max_substitutions=2, l2_steps=2)
    assert found.attacked_balanced_accuracy is None
    assert all(low <= high for low, high in zip(found.certified_accuracy, found.attacked_accuracy, strict=True))
    assert found.per_class["a"]["n"] == int(labels[:, 0].sum())


def test_what_cannot_be_asked_is_refused(dna: SequenceSet) -> None:
    net = network(dna, steps=1)
    with pytest.raises(InputError, match="need labels"):
        evaluate_robustness(net, dataclasses.replace(dna, target=None, y=None))
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
