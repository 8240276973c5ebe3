"""A training step never waits for a GPU: it runs where no number can be looked at, on PyTorch's meta device.

There every operation raises whose shape, or whose branch, depends on numbers, and so does every mix of devices.
"""

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor

from seqreg.alphabet import DNA
from seqreg.attacks import PGD, Substitution
from seqreg.constraints import CONSTRAINTS
from seqreg.networks import CNN, NetworkSpec, SmoothCNN, Sum
from seqreg.penalties import PENALTIES
from seqreg.training.loop import weighted_loss
from seqreg.training.optimizer import FlatAdamW

N, L, WIDTH = 4, 20, 3
NETWORKS: dict[str, NetworkSpec] = {
    "deep": CNN(filters=4, width=WIDTH, depth=2, hidden=3, dropout=0.2, activation="smoothed-relu"),
    "smooth-cnn": SmoothCNN(filters=4, width=WIDTH),
    "sum": Sum(spectrum=2, filters=4, width=(WIDTH,), pooling=("max", "mean", "position")),
}
OUTPUTS = {"two classes": 1, "three classes": 3, "labels": 2}


@pytest.fixture(autouse=True)
def _no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch has no autocast for the meta device, not even to switch it off."""
    known = torch.autocast

    def autocast(device: str, **how: Any) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if device == "meta" else known(device, **how)

    monkeypatch.setattr(torch, "autocast", autocast)


CASES = [
    ("sum", "two classes", True),
    ("sum", "three classes", False),
    ("sum", "labels", True),
    ("deep", "three classes", True),
    ("smooth-cnn", "two classes", False),
]  # name of network and target, and whether both strands are scored


def step(
    network: str, target: str, both: bool, *, penalty: Any = None, attack: Any = None, constraint: Any = None
) -> None:
    """What `fit` does with a batch."""
    net = NETWORKS[network].build(DNA, outputs=OUTPUTS[target], length=L, reverse_complement=both).to("meta")
    optimizer = FlatAdamW(net, 1e-3, 0.01)
    ids = torch.empty(N, L, dtype=torch.uint8, device="meta")
    y = torch.empty((N, 2) if target == "labels" else (N,), dtype=torch.int64, device="meta")
    optimizer.zero_grad()
    x = ids if attack is None else attack(net, ids, y)
    outputs = net(x) if x.dim() == 2 else net(x, lengths=net.lengths(ids))
    terms = [weighted_loss(outputs, y, torch.empty(N, device="meta"))]
    if penalty is not None:
        terms.append(penalty(net, ids, y, progress=0.7))
    torch.stack(terms).sum().backward()
    optimizer.step()
    if constraint is not None:
        constraint.project_(net, 0)


@pytest.mark.parametrize(("network", "target", "both"), CASES)
def test_penalties_look_at_no_number(network: str, target: str, both: bool) -> None:
    step(network, target, both)
    for name, penalty in PENALTIES.items():
        if name != "rkhs" or network == "smooth-cnn":
            step(network, target, both, penalty=penalty())


@pytest.mark.parametrize(("network", "both"), [("sum", True), ("deep", False), ("smooth-cnn", False)])
def test_attacks_and_constraints_look_at_no_number(network: str, both: bool) -> None:
    for attack in (PGD(), PGD(norm="linf"), Substitution()):
        step(network, "three classes", both, attack=attack)
    for constraint in CONSTRAINTS.values():
        for mode in ("reshaped", "operator"):
            step(network, "two classes", both, constraint=constraint(mode=mode))


def test_what_looks_at_a_number_raises() -> None:
    def looks(net: Any, ids: Tensor, y: Tensor, *, progress: float) -> Tensor:
        return net(ids).sum() * float(y.sum())

    with pytest.raises(RuntimeError):
        step("sum", "two classes", False, penalty=looks)
