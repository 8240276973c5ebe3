"""Regularizing a sum: what acts on it sees the logits of all parts added up, and every part feels it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqreg.alphabet import DNA
from seqreg.certificates import hamming_certificate
from seqreg.errors import UsageError
from seqreg.networks import Sum, SumNet, parts_of
from seqreg.penalties import PENALTIES
from seqreg.sequences import SequenceSet, read_strings
from seqreg.training import TrainConfig, with_defaults
from seqreg.training.stacking import fit
from seqreg.training.together import NAME, shrink
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
    net, data = built(), planted()
    config = with_defaults(TrainConfig(model=SPEC, penalty=("weight-decay:weight=1e-9",)), data, None)
    assert shrink(net, config, data) in (0.0, 0.06, 1.0), "untrained logits are best as they are or gone"
    trained, _ = fitted()
    assert shrink(trained, config, data) == 1.0


def test_what_cannot_act_on_a_sum_is_refused_before_anything_is_learned() -> None:
    with pytest.raises(UsageError, match="rkhs"):
        fitted(penalty=("rkhs",), attack="substitution")
