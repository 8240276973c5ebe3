"""Where a training computes, and how it comes to the same numbers again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seqreg.errors import UsageError, option
from seqreg.training.config import TrainConfig


def choose_device(name: str) -> torch.device:
    """The device asked for; `auto` takes a GPU where there is one, `gpu` is `cuda`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name.replace("gpu", "cuda"))
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}. Choose auto, cpu, cuda or cuda:i") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UsageError(
            f"device {name} is not there: PyTorch sees {torch.cuda.device_count()} GPUs. "
            f"Use {option('device', 'cpu')} or {option('device', 'auto')}"
        )
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} is not supported. Choose auto, cpu, cuda or cuda:i")
    return device


@contextmanager
def reproducible(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Seed PyTorch and fix its threads and kernels for the duration; leave all as found."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    devices = [device] if device.type == "cuda" else []
    if config.deterministic and devices:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it at its first call
    torch.set_num_threads(config.threads or threads)
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(config.seed)
        _use_deterministic_algorithms(config.deterministic and bool(devices))
        try:
            yield
        finally:
            _use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)


def _use_deterministic_algorithms(wanted: bool) -> None:
    """Nothing where they are as wanted: a first call takes PyTorch two seconds, for a compiler that it loads."""
    if torch.are_deterministic_algorithms_enabled() != wanted:
        torch.use_deterministic_algorithms(wanted)
