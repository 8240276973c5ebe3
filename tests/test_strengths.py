"""Every regularizer at any strength: weights stay finite, or training ends with an error that says where and why."""

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqreg.attacks import ATTACKS
from seqreg.constraints import CONSTRAINTS
from seqreg.errors import DivergedError
from seqreg.penalties import PENALTIES
from seqreg.sequences import InputSpec, SequenceSet, read_input
from seqreg.specs import parse
from seqreg.spectral import reshaped_norm
from seqreg.training import TrainConfig, architecture_of, fit, reproducible, with_defaults

CONFIG = TrainConfig(penalty=(), epochs=3, batch_size=16, threads=1, device="cpu", reverse_complement=False)
FEW = (1e-4, 1, 1e4)
MANY = tuple(10.0**exponent for exponent in range(-4, 5))
NETWORKS = {
    "amp": ("cnn:filters=7,width=6", "cnn:filters=4,width=3,depth=3,pooling=mean,dropout=0.1"),
    "splice": ("cnn:filters=4,width=8,pooling=position", "cnn:filters=5,width=4,hidden=6,activation=smoothed-relu"),
}
# By the field of each family that is its strength; the other fields are as people get them, or named here.
STRENGTH = {"pgd": "epsilon", "spectral-norm": "radius", "beam": "", "substitution": ""}
VARIANTS = [
    "adversarial:epsilon={}", "adversarial:weight={},signs=2,over=mean", "gradient:weight={},over=mean",
    "loss-gradient:weight={},norm=l1", "virtual-adversarial:epsilon={}", "deformation:weight={},over=mean",
    "tangent:weight={},reduce=sum", "certified:weight={},warmup=0", "pgd:epsilon={},norm=linf", "pgd:step_size={}",
    "spectral:weight={},mode=operator", "spectral-norm:radius={},mode=operator",
]  # fmt: skip
COMBINATIONS = [
    ("adversarial:epsilon={}", "spectral-norm:radius=1,mode=operator"),
    ("adversarial:epsilon=1", "spectral-norm:radius={},mode=operator"),
    ("gradient:weight={}", "spectral-norm:radius={}"),
    ("loss-gradient:weight={}", "weight-decay:weight={}", "pgd:epsilon={}"),
    ("virtual-adversarial:weight={}", "tangent:weight={}", "spectral-norm:radius={}"),
    ("hamming:weight={}", "certified:weight={}", "substitution:budget=2", "spectral-norm:radius=1,mode=operator"),
    (
        "deformation:weight={}",
        "adversarial:weight={}",
        "gradient:weight={}",
        "pgd:epsilon={}",
        "spectral-norm:radius={}",
    ),
]
ONE_BY_ONE = [f"{name}:{field}={{}}" if (field := STRENGTH.get(name, "weight")) else name
              for name in (*PENALTIES, *CONSTRAINTS, *ATTACKS) if name != "rkhs"]  # fmt: skip
ALONE = [(each,) for each in (*ONE_BY_ONE, *VARIANTS)]


@cache
def few(name: str) -> SequenceSet:
    """48 sequences, as many of each class, on which a training takes milliseconds."""
    data = read_input(InputSpec(input=name, require_labels=True))
    assert data.y is not None
    share = 48 // len(data.classes)
    return data.subset(np.concatenate([np.flatnonzero(data.y == k)[:share] for k in range(len(data.classes))]))


def told(specs: tuple[str, ...], strength: float) -> dict[str, Any]:
    """What a configuration is told to use these penalties, constraints and attacks at this strength."""
    specs = tuple(spec.format(f"{strength:g}") for spec in specs)
    penalties, constraints, attacks = (
        tuple(spec for spec in specs if spec.partition(":")[0] in family)
        for family in (PENALTIES, CONSTRAINTS, ATTACKS)
    )
    return {"penalty": penalties, "constraint": constraints, "attack": attacks[0] if attacks else None}


def trained(data: str, model: str, **fields: Any) -> nn.Module:
    train = few(data)
    config = with_defaults(replace(CONFIG, model=model, **fields), train, None)
    with reproducible(config, torch.device("cpu")):
        module = architecture_of(config, train).build()
        fit(module, config, train, None)  # pyright: ignore[reportArgumentType]
    return module


def divergence(data: str, model: str, **fields: Any) -> str | None:
    """None where it trained to finite weights, within what constraints allow them, otherwise the error.

    It names the epoch and the term at fault.
    """
    message = None
    try:
        module = trained(data, model, **fields)
        assert all(bool(weight.isfinite().all()) for weight in module.state_dict().values())
        for spec in fields.get("constraint", ()):
            radius = parse("constraint", CONSTRAINTS, spec).radius_at(CONFIG.epochs - 1)
            for layer in filter(lambda each: isinstance(each, nn.Conv1d | nn.Linear), module.modules()):
                assert reshaped_norm(layer.weight) <= radius * (1 + 1e-4)
    except DivergedError as error:
        message = str(error)
    if message is not None:
        assert re.search(rf"diverged in epoch [1-3]: ({'|'.join(PENALTIES)}|classification|weights)", message)
    return message


@pytest.mark.parametrize("strength", FEW)
@pytest.mark.parametrize("specs", [*ALONE, *COMBINATIONS], ids="+".join)
def test_a_small_network_trains_at_any_strength(specs: tuple[str, ...], strength: float) -> None:
    assert divergence("amp", NETWORKS["amp"][0], **told(specs, strength)) is None


@pytest.mark.parametrize("strength", FEW)
def test_smooth_cnn_trains_at_any_strength(strength: float) -> None:
    assert divergence("splice", "smooth-cnn:filters=6,width=5", **told(("rkhs:weight={}",), strength)) is None


@pytest.mark.slow
@pytest.mark.parametrize("specs", [*ALONE, *COMBINATIONS], ids="+".join)
@pytest.mark.parametrize(("data", "model"), [(data, model) for data, models in NETWORKS.items() for model in models])
def test_every_network_trains_at_every_strength(data: str, model: str, specs: tuple[str, ...]) -> None:
    for strength in MANY:
        assert divergence(data, model, **told(specs, strength)) is None, strength


@pytest.mark.slow
@pytest.mark.parametrize("data", NETWORKS)
@pytest.mark.parametrize("smoothing", [0.1, 1, 10])
def test_smooth_cnn_trains_at_every_strength_and_smoothing(data: str, smoothing: float) -> None:
    """With little smoothing the bound of an untrained network is beyond all numbers: then that is said."""
    model = f"smooth-cnn:filters=6,width=5,smoothing={smoothing}"
    for strength in MANY:
        message = divergence(data, model, **told(("rkhs:weight={}",), strength))
        assert (message is None) == (smoothing >= 1), message
        assert message is None or "in epoch 1: rkhs" in message


@pytest.mark.parametrize("specs", [*ALONE, *COMBINATIONS], ids="+".join)
def test_a_hopeless_learning_rate_ends_with_an_error(specs: tuple[str, ...]) -> None:
    """Constraints may well hold weights that are thrown far each step; nothing else can."""
    fields = told(specs, 1)
    assert divergence("amp", NETWORKS["amp"][1], lr=1e20, **fields) or fields["constraint"]


def explodes(after: int) -> Any:
    """A penalty that is no number from a step on, while the classification loss still is one."""
    steps = iter(range(1000))

    def penalty(model: nn.Module, x: Tensor, y: Tensor, *, progress: float = 1.0) -> Tensor:
        weight = next(model.parameters()).sum()
        return weight * torch.nan if next(steps) >= after else weight * 0

    return penalty


@pytest.mark.parametrize(("after", "epoch"), [(0, 1), (2, 1), (3, 2), (8, 3)])
def test_the_first_term_to_fail_is_named_and_not_those_it_takes_along(after: int, epoch: int) -> None:
    with pytest.raises(DivergedError, match=rf"in epoch {epoch}: function is nan\. Lower") as caught:
        trained("amp", NETWORKS["amp"][0], penalty=("gradient", explodes(after)))
    assert "classification" not in str(caught.value)
