"""What is learned: one contract for every kind of target, in NumPy and in PyTorch alike."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from seqreg.errors import UsageError
from seqreg.networks import objective, objective_for, objective_of
from seqreg.targets import (
    TARGETS,
    Classes,
    LabelError,
    Labels,
    Target,
    Values,
    common_target,
    fractional,
    from_plain,
    target_of_labels,
)

KINDS: dict[str, Target] = {
    "two classes": Classes(names=("no", "yes"), asked_for="no"),
    "four classes": Classes(names=("a", "b", "c", "d")),
    "three labels": Labels(names=("er", "golgi", "nucleus")),
    "two labels": Labels(names=("er", "golgi")),
    "values": Values(title="activity", unit="kcal/mol", centre=-3.0, scale=2.5),
    "values with outliers": Values(title="activity", centre=7.0, scale=0.5, loss="huber"),
}
N = 40

each_kind = pytest.mark.parametrize("target", KINDS.values(), ids=KINDS)


def some(target: Target, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, K) and y, in no relation."""
    outputs = 3 * rng.normal(size=(N, target.outputs))
    if isinstance(target, Labels):
        return outputs, rng.integers(0, 2, (N, len(target.names))).astype(np.uint8)
    if isinstance(target, Values):
        return outputs, target.centre + 3 * target.scale * rng.normal(size=N)
    return outputs, rng.integers(0, len(target.names), N)


def test_every_kind_is_here() -> None:
    assert {type(target) for target in KINDS.values()} == set(TARGETS.values())


@each_kind
def test_files_give_a_target_and_its_labels_back(target: Target, rng: np.random.Generator) -> None:
    assert from_plain(target.to_plain()) == target
    _, y = some(target, rng)
    texts = target.texts(y)
    np.testing.assert_array_equal(target.read(texts), y)
    settled = target.task if isinstance(target, Values) else None
    found, read = target_of_labels([text or ";" for text in texts], settled)
    assert (type(found), found.names) == (type(target), target.names)
    np.testing.assert_array_equal(read, y)


def test_what_older_files_say_is_read() -> None:
    about = {"classes": ["a", "b"], "positive": "b"}
    assert from_plain({**about, "multi_label": False}) == Classes(names=("a", "b"), asked_for="b")
    assert from_plain({**about, "multi_label": True, "positive": None}) == Labels(names=("a", "b"))


@each_kind
def test_torch_and_numpy_agree(target: Target, rng: np.random.Generator) -> None:
    outputs, y = some(target, rng)
    torch_half, p = objective(target), target.predict(outputs)
    tensor, labels = torch.from_numpy(outputs), torch.from_numpy(target.learned(y))
    assert p.shape == (N, target.columns)
    np.testing.assert_allclose(torch_half.predict(tensor), p, atol=1e-12)
    if isinstance(target, Values):
        np.testing.assert_allclose(torch_half.call(tensor), target.learned(target.call(p)))
        error = np.abs(y - p[:, 0]) / target.scale
        wanted = error**2 if target.loss == "squared" else np.where(error < 1, error**2, 2 * error - 1)
        np.testing.assert_allclose(torch_half.loss(tensor, labels), wanted)
        return
    assert torch_half is objective_of(labels, target.outputs)
    np.testing.assert_array_equal(torch_half.call(tensor), target.call(p))
    of_truth = np.where(target.members(y), p, 1 - p) if isinstance(target, Labels) else p[np.arange(N), y][:, None]
    np.testing.assert_allclose(torch_half.loss(tensor, labels), -np.log(of_truth).sum(1), atol=1e-10)


@each_kind
def test_a_call_stands_where_all_directions_are_above_zero(target: Target, rng: np.random.Generator) -> None:
    outputs, y = some(target, rng)
    u, b = objective(target).stands(torch.from_numpy(target.learned(y)), target.outputs)
    stands = (np.einsum("npk,nk->np", u.numpy(), outputs) + b.numpy() > 0).all(1)
    called = target.call(target.predict(outputs))
    same = np.abs(called - y) < target.scale / 2 if isinstance(target, Values) else called == y
    np.testing.assert_array_equal(stands, same.reshape(N, -1).all(1))
    assert stands.any()
    assert not stands.all()


@each_kind
def test_odds_margins_and_confidence_are_those_of_the_probabilities(target: Target, rng: np.random.Generator) -> None:
    outputs, y = some(target, rng)
    p = target.predict(outputs)
    if isinstance(target, Values):
        np.testing.assert_array_equal(np.argsort(target.log_odds(outputs)[:, 0]), np.argsort(p[:, 0]))
        np.testing.assert_allclose(target.nonconformity(y, p), -target.confidence(y, p))
        assert not target.check_probabilities(p).any()
        assert target.check_probabilities(np.where(p > 0, np.inf, np.nan)).all()
        near = target.scale * np.array([0.0, 0.49, -0.49, 0.51, -2.0])
        margins = [target.call_margin(p[0], p[0] + shift) for shift in near]
        np.testing.assert_allclose(margins, 0.5 - np.abs(near) / target.scale)
        return
    np.testing.assert_allclose(target.log_odds(outputs), np.log(p / (1 - p)), rtol=1e-7)
    np.testing.assert_allclose(target.nonconformity(y, p), 1 - target.confidence(y, p), atol=1e-12)
    assert not target.check_probabilities(p).any()
    assert target.check_probabilities(p + 2).all()
    before, after = p[:-1], p[1:]
    for one, other in zip(before, after, strict=True):
        same = (target.call(one[None]) == target.call(other[None])).all()
        assert (target.call_margin(one, other) > 0) == same


@each_kind
def test_sets_hold_what_is_no_stranger_than_the_threshold(target: Target, rng: np.random.Generator) -> None:
    outputs, y = some(target, rng)
    p = target.predict(outputs)
    strange = target.nonconformity(y, p)
    for threshold in np.quantile(strange, (0, 0.3, 0.8)):
        np.testing.assert_array_equal(target.sets(p, threshold).covers(y), strange <= threshold)


@each_kind
def test_strata_and_members(target: Target, rng: np.random.Generator) -> None:
    _, y = some(target, rng)
    members, strata, classes = target.members(y), target.strata(y), target.one_class(y)
    if isinstance(target, Values):
        assert (members.shape, classes) == ((N, 0), None)
        assert np.bincount(strata).tolist() == [10] * 4  # quarters, as ten sequences are the fewest of one
        assert all(y[strata == k].max() <= y[strata == k + 1].min() for k in range(3))
        assert set(target.strata(np.arange(500.0))) == set(range(10))
        return
    sizes = members.sum(0)
    for carried, stratum in zip(members, strata, strict=True):
        rarest = min((sizes[k], k) for k in np.flatnonzero(carried))[1] if carried.any() else len(target.names)
        assert stratum == rarest
    if classes is None:
        assert members.sum(1).max() > 1
    else:
        np.testing.assert_array_equal(members.argmax(1), classes)
        np.testing.assert_array_equal(members.sum(1), 1)


@each_kind
def test_one_thing_is_told_of_exclusive_answers(target: Target, rng: np.random.Generator) -> None:
    p = target.predict(some(target, rng)[0])
    told = [list(target.reported(row)) for row in p]
    wanted = {"no": [0], "a": None, "er": list(range(len(target.names))), "": [0]}[(*target.names, "")[0]]
    assert told == [wanted or [int(row.argmax())] for row in p]
    assert len(target.output_names) == target.outputs


@each_kind
@pytest.mark.parametrize("wrong", [np.array([[[0]]]), np.array([7]), np.array([[0, 9]]), np.array([-1])])
def test_y_of_another_kind_is_refused(target: Target, wrong: np.ndarray) -> None:
    if isinstance(target, Values) and wrong.ndim == 1:
        wrong = np.array([np.inf]) if wrong[0] > 0 else np.array(["x"])
    with pytest.raises(UsageError, match="y must"):
        target.check(wrong)


@pytest.mark.parametrize(
    ("target", "texts", "position", "says"),
    [
        (KINDS["two classes"], ["no", "maybe"], 1, "label 'maybe' is not a class of the model"),
        (KINDS["four classes"], ["a", "b", "a;c"], 2, "label 'a;c': the model gives every sequence exactly one class"),
        (KINDS["four classes"], ["a;e"], 0, "label 'a;e' is not a class of the model"),
        (KINDS["two labels"], ["er", ";", "er;vacuole"], 2, "label 'er;vacuole' is not a class of the model"),
        (KINDS["values"], ["1", "high"], 1, "value 'high' is not a number"),
        (KINDS["values"], ["1", "2", "0,5"], 2, "value '0,5' is not a number"),
        (KINDS["values"], ["1_000"], 0, "value '1_000' is not a number"),
        (KINDS["values"], ["nan"], 0, "value 'nan' is not a finite number"),
        (KINDS["values"], ["-1e3", "-inf"], 1, "value '-inf' is not a finite number"),
        (KINDS["values"], ["."], 0, "the value is missing"),
    ],
)
def test_unknown_labels_are_named(target: Target, texts: Sequence[str], position: int, says: str) -> None:
    with pytest.raises(LabelError) as caught:
        target.read(texts)
    assert (caught.value.position, caught.value.problem) == (position, says)


def test_labels_of_several_sets_have_one_target() -> None:
    two, more, labels = Classes(names=("a", "c"), asked_for="c"), Classes(names=("b",)), Labels(names=("c", "d"))
    assert common_target([two, Classes(names=("a",))]) == two
    assert common_target([two, more]).names == ("a", "b", "c")
    assert common_target([two, labels]) == Labels(names=("a", "c", "d"))
    assert common_target([two, labels]).read(["a", "c;d", ";"]).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]


def test_values_are_learned_in_standard_deviations_of_training() -> None:
    rng = np.random.default_rng(0)
    y, weight = rng.normal(5, 3, 200), rng.integers(0, 3, 200).astype(float)
    target = Values(title="x").learned_from(y, weight)
    repeated = np.repeat(y, weight.astype(int))
    assert (target.centre, target.scale) == pytest.approx((repeated.mean(), repeated.std()))
    learned = target.learned(y)
    np.testing.assert_allclose(target.predict(learned[:, None])[:, 0], y)
    assert Values().learned_from(np.full(4, 2.0)).scale == 1.0


def test_numbers_that_are_not_all_whole_measure_something() -> None:
    assert fractional(["1", "2.50", "0.5"]) == "2.50"
    assert fractional(["1e-3", "1"]) == "1e-3"
    assert fractional(["1", "2.0", "-3"]) is None
    assert fractional(["0.5", "high"]) is None


def test_a_network_that_knows_what_it_learns_says_what_y_means() -> None:
    y = torch.tensor([0.0, 1.0])
    value = objective(KINDS["values"])

    def network() -> None: ...

    assert objective_for(network, y, 1) is objective_of(y, 1)
    network.objective = value
    assert objective_for(network, y, 1) is value
