"""Regularizing a sum: what acts on it sees the logits of all parts added up, and every part feels it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqreg.alphabet import DNA, PROTEIN
from seqreg.certificates import hamming_certificate
from seqreg.errors import UsageError
from seqreg.metrics import log_loss
from seqreg.networks import AlignmentNet, Part, Sum, SumNet, parts_of
from seqreg.penalties import PENALTIES
from seqreg.penalties.hamming import Hamming
from seqreg.sequences import SequenceSet, read_strings, write_fasta
from seqreg.training import TrainConfig, learn, loop, with_defaults
from seqreg.training.stacking import Stacked, fit
from seqreg.training.together import FACTORS, NAME, nearest_line, shrink, where_it_acts
from tests import oracles

SPEC = Sum(spectrum=2, filters=4, width=4, pooling=("max", "position"))
PLAIN: dict[str, Callable[..., Tensor]] = {
    "gradient": oracles.plain_gradient,
    "loss-gradient": oracles.plain_loss_gradient,
    "adversarial": oracles.plain_adversarial,
    "virtual-adversarial": oracles.plain_virtual_adversarial,
}


def planted(n: int = 60, length: int = 14) -> SequenceSet:
    """DNA in which every second sequence begins with TGAC."""
    letters = np.random.default_rng(0).choice(list("ACGT"), (n, length))
    letters[::2, :4] = list("TGAC")
    return read_strings(["".join(row) for row in letters], ["yes", "no"] * (n // 2), alphabet="dna")


def built(outputs: int = 1) -> SumNet:
    torch.manual_seed(0)
    return SPEC.build(DNA, outputs=outputs, length=14).double().eval()


def fitted(folder: Path | None = None, resume: bool = False, **asked: Any) -> tuple[SumNet, list[dict[str, Any]]]:
    data = planted()
    config = with_defaults(TrainConfig(model=SPEC, epochs=3, threads=1, **asked), data, None)
    torch.manual_seed(0)
    net = SPEC.build(DNA, outputs=1, length=14)
    return net, fit(net, config, data, None, folder=folder, resume=resume)


def logits(net: SumNet) -> Tensor:
    with torch.no_grad():
        return net(torch.from_numpy(planted().padded()))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", PLAIN)
def test_a_penalty_is_that_of_the_logits_added_up(name: str, outputs: int) -> None:
    net, data = built(outputs), planted(6)
    ids = torch.from_numpy(data.padded())
    x = nn.functional.one_hot(ids.long(), 4).transpose(1, 2).double()
    y = torch.arange(6) % max(2, outputs)
    penalty: Any = PENALTIES[name](weight=1.0, **({"epsilon": 1.0} if "adversarial" in name else {}))
    heads = [part.output.weight for part in parts_of(net)]
    values = [penalty(net, ids, y), PLAIN[name](net, x, y)]
    torch.testing.assert_close(*values, rtol=1e-10, atol=1e-14)
    slopes = [torch.autograd.grad(value, heads) for value in values]
    torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-14)


# Those that search hold what they found fixed, so that differences are not their slopes.
@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "rkhs" and "adversarial" not in name])
def test_every_part_feels_a_penalty(name: str) -> None:
    net, ids, y = built(3), torch.from_numpy(planted(6).padded()), torch.arange(6) % 3
    penalty: Any = PENALTIES[name](weight=1.0)

    def value() -> Tensor:
        return penalty(net, ids, y, progress=1.0)

    heads = [part.output.weight for part in parts_of(net)]
    slopes = torch.autograd.grad(value(), heads, allow_unused=True, materialize_grads=True)
    for head, slope in zip(heads, slopes, strict=True):
        step, whole = 1e-5 * torch.randn_like(head), head.detach().clone()
        found = []
        for sign in (1, -1):
            head.data.copy_(whole + sign * step)
            found.append(float(value().detach()))
        head.data.copy_(whole)
        assert slope.any()
        assert float((slope * step).sum()) == pytest.approx((found[0] - found[1]) / 2, rel=1e-3, abs=1e-9)


def test_what_is_asked_for_acts_on_the_sum_after_its_parts_have_learned() -> None:
    plain, _ = fitted()
    net, history = fitted(penalty=("gradient:weight=0.001",))
    assert [row["part"] for row in history if "gradient" in row][-1] == NAME
    near, far = logits(net) - logits(plain), logits(plain)
    assert 0 < near.norm() < far.norm()
    moved = [
        not torch.equal(one.output.weight, other.output.weight)
        for one, other in zip(parts_of(net), parts_of(plain), strict=True)
        if other.output.weight.any()
    ]
    assert len(moved) > 1
    assert all(moved), "but for parts that tell nothing"


@pytest.mark.parametrize("name", ["gradient", "hamming", "weight-decay"])
def test_a_large_strength_makes_the_sum_a_constant(name: str) -> None:
    net, _ = fitted(penalty=(f"{name}:weight=1e6",))
    assert float(logits(net).std()) < 0.01 * float(logits(fitted()[0]).std())
    assert abs(float(logits(net).mean())) < 0.5, "as many of one class as of the other"


def proteins(n: int = 60, length: int = 12) -> SequenceSet:
    """Every second sequence begins with WCHK."""
    letters = np.random.default_rng(0).choice(list(PROTEIN.letters), (n, length))
    letters[::2, :4] = list("WCHK")
    return read_strings(["".join(row) for row in letters], ["yes", "no"] * (n // 2), alphabet="protein")


def with_alignments(penalty: tuple[str, ...]) -> tuple[SumNet, TrainConfig, SequenceSet, float]:
    """A sum of few parts, of which alignments are one, trained, and its slope beside what was stacked."""
    data, spec = proteins(), Sum(spectrum=1, positions=False, filters=4, width=3, alignments=10)
    config = with_defaults(TrainConfig(model=spec, epochs=3, threads=1, penalty=penalty or None), data, None)
    torch.manual_seed(0)
    net, kept = spec.build(PROTEIN, outputs=1, length=12), list[Stacked]()
    fit(net, config, data, None, keep=kept.append)
    return net, config, data, kept[0].slope


def said(net: SumNet | Part, data: SequenceSet) -> Tensor:
    with torch.no_grad():
        return net(torch.from_numpy(data.padded()))


def test_alignments_are_shrunk_with_the_parts_on_which_a_penalty_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, *_ = with_alignments(())
    monkeypatch.setattr(AlignmentNet, "features_at", None)  # nor are their gradients asked for
    trained, beside = loop.fit, []
    monkeypatch.setattr(loop, "fit", lambda *a, **k: beside.append(k.get("beside")) or trained(*a, **k))
    net, config, data, slope = with_alignments(("gradient:weight=0.5",))
    torch.testing.assert_close(torch.from_numpy(beside.pop()).float(), said(net.part("alignments"), data))
    assert all(each is None for each in beside)
    line, _ = nearest_line(*(said(each, data).double().numpy() for each in (plain, net)), np.ones(len(data)))
    assert slope == pytest.approx(line, rel=1e-4)
    own, first = (each.part("alignments").output.weight.detach() for each in (net, plain))
    factor = float(own.norm() / first.norm())
    assert 0 < factor < 1
    assert any(factor == pytest.approx(each) for each in FACTORS)
    torch.testing.assert_close(own, factor * first)
    (told,) = where_it_acts(net, config)
    assert "all parts but alignments" in told
    assert "sum:alignments=0" in told
    constant, *_ = with_alignments(("gradient:weight=1e6",))
    assert float(said(constant, data).std()) < 1e-3


def test_what_is_to_be_proved_is_asked_of_alignments_too() -> None:
    net, config, *_ = with_alignments(("hamming:weight=1e6",))
    assert where_it_acts(net, config) == ["Penalties, constraints and attacks act on the sum of all parts"]
    assert not net.part("alignments").output.weight.any()


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({}, True),
        ({"penalty": ("gradient", "weight-decay")}, True),
        ({"penalty": ("adversarial",)}, True),
        ({"penalty": ("gradient", "hamming")}, False),
        ({"penalty": (lambda model, x, y, *, progress: x.sum(),)}, False),
        ({"constraint": ("spectral-norm",)}, False),
        ({"attack": "substitution"}, False),
    ],
)
def test_the_default_keeps_alignments_where_they_may_follow(asked: dict[str, Any], kept: bool) -> None:
    model = with_defaults(TrainConfig(**asked), proteins(), None).model
    assert isinstance(model, Sum)
    assert bool(model.alignments) is kept


def test_logits_beside_a_network_count_in_its_loss() -> None:
    data = planted()
    config = replace(
        with_defaults(TrainConfig(model=SPEC, epochs=1, threads=1), data, None), penalty=(), start="random"
    )
    sure = np.where(data.labelled()[1] == 1, 50.0, -50.0)[:, None]
    rows = [loop.fit(built().float(), config, data, None, beside=beside) for beside in (None, sure, -sure)]
    losses = [row[0]["loss"] for row in rows]
    assert losses[0] == pytest.approx(0.7, abs=0.3)
    assert losses[1] < 1e-6
    assert losses[2] == pytest.approx(50, abs=1)


def test_progress_goes_on_epoch_by_epoch() -> None:
    data, told = planted(), []
    config = with_defaults(TrainConfig(model=SPEC, epochs=3, threads=1, penalty=("gradient",)), data, None)
    torch.manual_seed(0)
    fit(SPEC.build(DNA, outputs=1, length=14), config, data, None, report=told.append)
    assert [(each.epoch, each.epochs) for each in told][-3:] == [(1, 3), (2, 3), (3, 3)]


def test_a_constraint_bounds_every_part_and_so_the_sum() -> None:
    radius = 0.05
    net, _ = fitted(constraint=(f"spectral-norm:radius={radius},decay=0.1",))
    for part in parts_of(net):
        assert torch.linalg.matrix_norm(part.output.weight.detach(), 2) <= radius * 1.001


def test_a_sum_that_was_hardened_is_proved_at_more_letters() -> None:
    data = planted()
    ids, y = torch.from_numpy(data.padded()), torch.from_numpy(data.labelled()[1])
    plain, hard = (
        hamming_certificate(net, ids, y, most=6).radius.double().mean()
        for net in (fitted()[0], fitted(penalty=("hamming:weight=0.3",))[0])
    )
    assert hard > plain


def test_an_attack_trains_the_sum() -> None:
    net, history = fitted(attack="substitution:budget=1")
    assert history[-1]["part"] == NAME
    assert not torch.equal(logits(net), logits(fitted()[0]))


def test_going_on_ends_at_the_same_bits(tmp_path: Path) -> None:
    whole, _ = fitted(penalty=("gradient",))
    fitted(folder=tmp_path, penalty=("gradient",))
    (tmp_path / "checkpoint" / NAME / "part.safetensors").unlink()
    again, _ = fitted(folder=tmp_path, resume=True, penalty=("gradient",))
    assert torch.equal(logits(again), logits(whole))


def test_shrinking_finds_the_least_of_loss_and_penalty() -> None:
    data = planted()
    config = with_defaults(TrainConfig(model=SPEC, penalty=("weight-decay:weight=1e-9",)), data, None)
    net, _ = fitted()
    begun, whole = [part.output.weight.detach().clone() for part in parts_of(net)], logits(net)
    assert set(shrink(net, config, data).values()) == {1.0}
    assert torch.equal(logits(net), whole)
    penalty = Hamming(weight=0.2)
    found = shrink(net, replace(config, penalty=(penalty,)), data)
    (factor,) = set(found.values())
    assert 0 < factor < 1
    torch.testing.assert_close(logits(net), whole * factor + whole.mean() * (1 - factor), atol=1e-4, rtol=1e-4)
    ids, y = torch.from_numpy(data.padded()), torch.from_numpy(data.labelled()[1])

    def at(factor: float) -> float:
        for part, weight in zip(parts_of(net), begun, strict=True):
            part.output.weight.data.copy_(weight * factor)
        scores = logits(net)[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(scores - scores.mean() + whole.mean(), y.float())
        return float(loss + penalty(net, ids, y, progress=1.0).detach())

    assert at(factor) == min(map(at, FACTORS))


def test_a_part_that_costs_too_much_is_left_out_before_nothing_is_left() -> None:
    data = planted()
    config = with_defaults(TrainConfig(model=SPEC, penalty=("hamming:weight=0.2",)), data, None)
    net, _ = fitted()
    ids, y = torch.from_numpy(data.padded()), torch.from_numpy(data.labelled()[1])
    costly = net.part("cnn-max")
    with torch.no_grad():  # large weights for words that are nowhere
        costly.convs[0].bias.fill_(-100)
        costly.output.weight.fill_(1000)
    assert float(Hamming(weight=0.2)(net, ids, y).detach()) > 20
    found = shrink(net, config, data)
    assert found.pop("cnn-max") == 0
    assert len(set(found.values())) == 1
    assert min(found.values()) > 0


def test_what_cannot_act_on_a_sum_is_refused_before_anything_is_learned() -> None:
    with pytest.raises(UsageError, match="rkhs"):
        fitted(penalty=("rkhs",), attack="substitution")


def noisy(n: int, seed: int, labels: str = "classes") -> SequenceSet:
    """DNA of which one in four begins with TGAC, mostly; of several labels, or values, that and how it ends."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(list("ACGT"), (n, 14))
    begins, ends = rng.random(n) < 0.25, rng.random(n) < 0.4
    letters[begins ^ (rng.random(n) < 0.1), :4] = list("TGAC")
    letters[ends ^ (rng.random(n) < 0.1), -4:] = list("GGCC")
    texts = ["".join(row) for row in letters]
    if labels == "values":
        return read_strings(texts, 2.0 * begins + ends + rng.normal(0, 0.3, n), alphabet="dna", task="regression")
    if labels == "several":
        names = [";".join(["a"] * int(a) + ["b"] * int(b)) or "none" for a, b in zip(begins, ends, strict=True)]
        return read_strings(texts, names, alphabet="dna", task="multi-label")
    if labels == "three":
        return read_strings(texts, np.where(begins, "a", np.where(ends, "b", "c")).tolist(), alphabet="dna")
    return read_strings(texts, np.where(begins, "yes", "no").tolist(), alphabet="dna")


@pytest.mark.parametrize("labels", ["classes", "three", "several"])
def test_a_sum_that_was_held_down_says_as_much_as_it_knows(labels: str) -> None:
    train, fresh = noisy(80, 0, labels), noisy(300, 1, labels)
    config = TrainConfig(model=SPEC, epochs=1, threads=1)
    plain = learn(train, config).network
    found = learn(train, replace(config, penalty=("weight-decay:weight=0.1",))).network
    _, y = fresh.labelled()
    assert plain.temperature == 1
    assert found.temperature < 0.7
    before, after = found.both_probabilities(fresh)
    assert log_loss(y, after) < log_loss(y, before) - 0.03
    assert log_loss(y, after) < log_loss(y, plain.probabilities(fresh)) + 0.03


def test_a_sum_that_was_held_down_is_a_multiple_of_the_stacked_one() -> None:
    train, penalty = noisy(80, 0), ("gradient:weight=0.1",)
    kept: list[Stacked] = []
    nets: list[SumNet] = []
    for asked in (None, penalty):
        config = with_defaults(TrainConfig(model=SPEC, epochs=3, threads=1, penalty=asked), train, None)
        torch.manual_seed(0)
        nets.append(SPEC.build(DNA, outputs=1, length=14))
        fit(nets[-1], config, train, None, keep=kept.append)
    before, after = (net(torch.from_numpy(train.padded())).detach().double().numpy()[:, 0] for net in nets)
    slope, offset = np.polyfit(before, after, 1)
    assert offset == pytest.approx(0, abs=1e-5)
    assert [each.slope for each in kept] == [1, pytest.approx(slope, rel=1e-5)]
    unseen, held_down = (each.unseen for each in kept)
    assert unseen is not None
    assert held_down is not None
    np.testing.assert_allclose(held_down[1], slope * unseen[1], rtol=1e-4)
    found = learn(train, TrainConfig(model=SPEC, epochs=3, threads=1, penalty=penalty)).network
    assert found.temperature == pytest.approx(slope, rel=1e-5)


def test_the_nearest_line_is_that_of_weighted_least_squares() -> None:
    rng = np.random.default_rng(0)
    before, weight, offset = rng.normal(1, 2, (30, 3)), rng.uniform(0, 2, 30), np.array([1.0, -2.0, 0.5])
    slope, found = nearest_line(before, 0.3 * before + offset, weight)
    assert slope == pytest.approx(0.3)
    np.testing.assert_allclose(found, offset)
    after = 0.3 * before + rng.normal(0, 1, (30, 3))
    columns = np.concatenate([before.reshape(-1, 1), np.tile(np.eye(3), (30, 1))], 1)
    root = np.sqrt(np.repeat(weight, 3))
    expected = np.linalg.lstsq(columns * root[:, None], after.ravel() * root, rcond=None)[0]
    slope, found = nearest_line(before, after, weight)
    np.testing.assert_allclose([slope, *found], expected)
    assert nearest_line(before, np.ones((30, 3)), weight)[0] == 0, "a constant"
    assert nearest_line(before, -before, weight)[0] == 0


def test_commands_and_the_report_say_on_what_a_penalty_acted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., CompletedProcess[str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_fasta("data.fa", planted())
    few = ["--epochs", "1", "--valid", "0", "--no-baselines", "--device", "cpu", "--threads", "1"]
    sentence = "Penalties, constraints and attacks act on the sum of all parts"
    for name, penalty in (("held-down", ["--penalty", "hamming"]), ("plain", [])):
        done = call("train", "data.fa", "-o", name, "--model", "sum:spectrum=2,filters=4,width=4", *few, *penalty)
        asked = ["--sample", "4", "--device", "cpu", "--threads", "1", "--workers", "1"]
        norm = call("norm", name, "data.fa", *asked, "-o", f"{name}-norm.json")
        proved = call("robustness", name, "data.fa", *asked, "--max-substitutions", "1", "-o", f"{name}.json")
        assert [each.returncode for each in (done, norm, proved)] == [0, 0, 0]
        told = [each.stderr for each in (done, norm, proved)]
        told.append((tmp_path / name / "report.html").read_text())
        assert [sentence in each for each in told] == [bool(penalty)] * 4


def test_intervals_of_values_hold_as_often_as_they_say_under_a_penalty() -> None:
    train, fresh = noisy(150, 0, "values"), noisy(400, 1, "values")
    held_down = learn(train, TrainConfig(model=SPEC, epochs=1, threads=1, penalty=("weight-decay:weight=0.03",)))
    assert held_down.conformal is not None
    target, y = fresh.labelled()
    p = held_down.network.probabilities(fresh)
    assert np.polyfit(y, p[:, 0], 1)[0] < 0.7, "predictions are nearer to their mean than values"
    sets = target.sets(p, held_down.conformal.threshold(0.9))
    assert 0.84 < sets.covers(y).mean() < 0.96
