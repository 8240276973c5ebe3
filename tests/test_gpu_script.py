"""The script for a GPU runs, small, on a CPU: all that it says of a device is there, and it agrees with itself."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import gpu  # a script, not a package


@pytest.mark.slow
def test_every_part_is_measured() -> None:
    kept: list[dict[str, Any]] = []
    gpu.measure(torch.device("cpu"), small=True, minutes=5, kept=kept.append)
    assert [set(gpu.PARTS) & each.keys() for each in kept] == [set(list(gpu.PARTS)[: i + 1]) for i in range(4)]
    rows = kept[-1]["agreement"]
    assert {(row["model"], row["penalty"]) for row in rows} == {
        (model, penalty) for model in gpu.MODELS for penalty in (None, *gpu.PENALTIES)
    }
    assert all(row["agree"] for row in rows if "left_out" not in row)


def test_what_begins_too_late_is_left_out_and_named() -> None:
    kept: list[dict[str, Any]] = []
    gpu.measure(torch.device("cpu"), small=True, minutes=-1, kept=kept.append)
    assert kept[-1]["left_out"] == list(gpu.PARTS)


def test_a_stack_is_its_models() -> None:
    """Values and gradients: each model's own, whatever stands beside it."""
    cpu = torch.device("cpu")
    torch.manual_seed(3)
    nets = [gpu.CNN(filters=4, width=gpu.WIDTH).build(gpu.PROTEIN, outputs=1, length=25) for _ in range(3)]
    stack = gpu.Stack(nets)
    ids = torch.stack([gpu.letters(gpu.PROTEIN, 5, 25, cpu, seed)[0] for seed in range(3)])
    stacked = stack(ids)
    (kernels,) = torch.autograd.grad(stacked.square().sum(), stack.kernel)
    for net, own, logits, gradient in zip(nets, ids, stacked, kernels, strict=True):
        alone = net(own)
        torch.testing.assert_close(logits, alone)
        window = net.windowed()
        assert window is not None
        (wanted,) = torch.autograd.grad(alone.square().sum(), window.first_conv().weight)
        torch.testing.assert_close(gradient, wanted.detach())
