"""The state of a training in one safetensors file, replaced atomically: resuming continues to the same bits."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqreg.predictors.network import on_host
from seqreg.records import to_plain
from seqreg.writing import atomic_write

FILE = Path("checkpoint") / "state.safetensors"
PIECES = FILE.with_name("pieces")  # what is done beside the loop (see `seqreg.unfinished`)


@dataclass
class FitState:
    """Where a training stands: the next epoch, steps done, the best validation so far, and the history rows."""

    epoch: int = 0
    step: int = 0
    best_epoch: int = -1
    best_loss: float = float("inf")
    history: list[dict[str, float]] = field(default_factory=list)
    best_weights: dict[str, Tensor] | None = None


def save_checkpoint(
    folder: Path, state: FitState, model: torch.nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> None:
    """Write all that the next epoch depends on, random-number generators included."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in (state.best_weights or {}).items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    tensors |= {"random.order": generator.get_state(), "random.torch": torch.get_rng_state()}
    device = next(model.parameters()).device
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    numbers = {
        "epoch": state.epoch,
        "step": state.step,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss if state.best_epoch >= 0 else None,
        "history": state.history,
    }
    content = save(on_host(tensors), {"state": json.dumps(to_plain(numbers))})
    with atomic_write(folder / FILE, "wb") as handle:
        handle.write(content)


def load_checkpoint(
    folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> FitState | None:
    """Restore model, optimizer and generators in place; None where there is nothing whole to resume."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            numbers: dict[str, Any] = json.loads((stored.metadata() or {})["state"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError):
        return None
    if not tensors.keys() >= {"random.order", "random.torch", *(f"model.{name}" for name in model.state_dict())}:
        return None
    model.load_state_dict(_under(tensors, "model."))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under(tensors, "optimizer.").items():
        number, _, entry = name.partition(".")
        moments.setdefault(int(number), {})[entry] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    generator.set_state(tensors["random.order"])
    torch.set_rng_state(tensors["random.torch"])
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
    best = numbers["best_loss"]
    return FitState(
        epoch=numbers["epoch"],
        step=numbers["step"],
        best_epoch=numbers["best_epoch"],
        best_loss=float("inf") if best is None else best,
        history=numbers["history"],
        best_weights=_under(tensors, "best.") or None,
    )


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
