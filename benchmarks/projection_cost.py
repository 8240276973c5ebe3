"""What the constraint `spectral-norm` adds to a training step, relative to a plain step in PyTorch.

The yardstick is that of step_cost.py: `nn.Conv1d` on one-hot of 100 random proteins of 400 residues, no regularizer.
The projection is timed on the weights of a network of the same shape, outside the ball at every turn. All run in turn
in one process on one thread.
"""

import json
import statistics
from collections.abc import Callable
from typing import Any

import torch
from page import SECTIONS, markdown_table, write_section
from step_cost import A, C, L, N, W, measure, quartiles, steps
from torch import nn

from seqreg.alphabet import PROTEIN
from seqreg.constraints import SpectralNorm
from seqreg.networks import CNN

GOALS = {"reshaped": 0.05, "operator": 0.15}
ROUNDS = {1: 61, 3: 11}  # by depth
OUTSIDE = 3.0  # norm of every weight before the projection onto the ball of radius 1
EXPLAINED = f"""Processor time of one projection of all weights, by which `spectral-norm` lengthens a step, as a share
of a training step in plain PyTorch ({N} proteins of {L} residues, {C} filters of width {W}, global maximum, Adam).
Medians with quartiles over {ROUNDS[1]} rounds ({ROUNDS[3]} for three layers). The first layer is a kernel of
({C}, {A}, {W}), deeper ones are of ({C}, {C}, {W}), whose eigenvalues cost far more in mode `operator`."""


def projection(model: nn.Module, mode: str) -> Callable[[], None]:
    """Puts the weights outside the ball, which costs next to nothing, and projects them."""
    constraint = SpectralNorm(radius=1.0, mode=mode)
    outside = {
        weight: OUTSIDE * weight.detach() / torch.linalg.matrix_norm(weight.detach().flatten(1), 2)
        for weight in model.parameters()
        if weight.dim() > 1
    }

    def run() -> None:
        with torch.no_grad():
            for weight, value in outside.items():
                weight.copy_(value)
        constraint.project_(model, epoch=1000)

    return run


def measured(depth: int) -> list[dict[str, Any]]:
    """One row per mode for a network of that many layers."""
    table = {("step", "by hand"): steps(depth, 1)["plain", "by hand"]}
    # The allocator gives the memory of a dense step back within the next small operation: one that does not count.
    table["settling", "by hand"] = projection(CNN(filters=C, width=W).build(PROTEIN, outputs=1, length=L), "reshaped")
    for mode in GOALS:
        model = CNN(filters=C, width=W, depth=depth).build(PROTEIN, outputs=1, length=L)
        table[mode, "seqreg"] = projection(model, mode)
    times = measure(table, ROUNDS[depth])
    unit = statistics.median(times["step", "by hand"])
    rows = []
    for mode, goal in GOALS.items():
        values = times[mode, "seqreg"]
        low, high = quartiles(values)
        rows.append(
            {
                "depth": depth,
                "mode": mode,
                "step_ms": unit * 1e3,
                "projection_ms": statistics.median(values) * 1e3,
                "ratio": statistics.median(values) / unit,
                "quartiles": [low / unit, high / unit],
                "goal": goal if depth == 1 else None,
            }
        )
    return rows


def main() -> None:
    torch.set_num_threads(1)
    rows = [row for depth in ROUNDS for row in measured(depth)]
    lines = [
        [
            f"{row['mode']}, {row['depth']} layer(s)",
            f"{row['projection_ms']:.1f} ms",
            f"{row['step_ms']:.0f} ms",
            f"{row['ratio']:.1%}",
            f"{row['quartiles'][0]:.1%}-{row['quartiles'][1]:.1%}",
            "" if row["goal"] is None else f"{row['goal']:.0%}",
        ]
        for row in rows
    ]
    table = markdown_table(["mode", "projection", "plain step", "adds", "quartiles", "goal"], lines)
    print(table)
    write_section(__file__, "The cost of a projection", f"{EXPLAINED}\n\n{table}")
    (SECTIONS / "projection_cost.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
