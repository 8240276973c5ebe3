"""How the network learned: its losses, epoch by epoch."""

from typing import Any

import numpy as np

from seqreg.report import figures
from seqreg.report.figures import Series
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card, spoken


def section(run: Run) -> list[dict[str, Any]]:
    """Loss terms per epoch, for each part of a sum by itself."""
    parts = dict.fromkeys(row.get("part", "") for row in run.history)
    rows = {part: [row for row in run.history if row.get("part", "") == part] for part in parts}
    return [figure for part in parts for figure in _course(part, rows[part])]


def _course(part: str, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The course of one training; a term that is not this part's is left out."""
    of = f" of {part}" if part else ""
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0] if name != "part"}
    epochs = columns.pop("epoch", np.arange(len(rows)) + 1.0)
    for other in ("learning_rate", "seconds"):
        columns.pop(other, None)
    losses = {name: y for name, y in columns.items() if np.isfinite(y).any()}
    if "loss" in losses and len(losses.keys() - {"loss", "valid_loss"}) == 1 and "valid_loss" not in losses:
        losses.pop("loss")  # the sum of one term
    best = None
    if "valid_loss" in losses and np.isfinite(losses["valid_loss"]).any():
        best = float(epochs[np.nanargmin(losses["valid_loss"])])
    kept = (
        " A validation loss that rises while the training loss falls means that the network has begun to learn the "
        f"training sequences by heart. The dotted line marks epoch {best:.0f}, which had the lowest one and was kept."
        if best is not None
        else ""
    )
    shown: list[dict[str, Any]] = []
    if losses:
        names = {"loss": "whole loss", "valid_loss": "validation loss"}
        lines = [
            Series(name=names.get(name, name), note=f"ends at {y[-1]:.3g}", x=epochs, y=y) for name, y in losses.items()
        ]
        values = np.concatenate([y[np.isfinite(y)] for y in losses.values()])
        log = bool(values.min() > 0 and values.max() > 50 * values.min())
        drawn = figures.learning(
            lines, name=f"loss{part}", alt=f"Loss{of} per epoch. " + spoken(lines), y_label="loss", best=best, log=log
        )
        caption = f"What training made small, each term by itself.{kept}{' Logarithmic scale.' if log else ''}"
        shown.append(figure_card(drawn, f"Loss{of}", caption, figures.legend(lines)))
    return shown
