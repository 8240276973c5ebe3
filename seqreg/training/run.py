"""One training and its folder: every file of a run, written whole or not at all, the mark of completion last."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg import __version__
from seqreg.baselines import fit_baselines
from seqreg.errors import InputError, UsageError
from seqreg.evaluation.scores import Metrics, evaluate
from seqreg.explain.motifs import filter_motifs
from seqreg.networks.trained import Architecture, TrainedNetwork, load_trained
from seqreg.records import read_json, to_plain, write_json, write_tsv
from seqreg.sequences import SequenceSet, check_filter_width
from seqreg.training.checkpoint import FILE as CHECKPOINT
from seqreg.training.config import TrainConfig, with_defaults
from seqreg.training.loop import Progress, fit
from seqreg.training.parts import Parts, split_parts

MARKS_OF_A_RUN = ("run.json", "config.json", "model.safetensors")
OTHER_FILES_OF_A_RUN = (
    *("model.json", "splits.tsv", "history.tsv", "metrics.json", "predictions.tsv", "examples.tsv", "motifs.json"),
    *("robustness.json", "norm.json", "report.html"),  # what was found about the model that is overwritten
)
WORST_EXAMPLES = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """What `train` leaves behind: the folder, the network, and its metrics on the test part where there is one."""

    folder: Path
    network: TrainedNetwork
    metrics: Metrics | None
    baselines: dict[str, Metrics]


def train(
    data: SequenceSet,
    config: TrainConfig,
    output: Path,
    *,
    valid: SequenceSet | None = None,
    test: SequenceSet | None = None,
    command: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    report: Callable[[Progress], None] | None = None,
    finish: Callable[[Path], object] | None = None,
) -> RunResult:
    """Split, train, evaluate beside the baselines, and write a run folder.

    valid, test: parts given as data of their own instead of shares. finish: called with the folder when everything
    but the mark of completion is written (the HTML report is made there). Raises UsageError for a folder in the way
    or a configuration that differs from the one resumed, InputError for data that cannot be trained on.
    """
    started = datetime.now(UTC)
    device = choose_device(config.device)
    threads = config.threads or min(2, os.cpu_count() or 1)
    parts = split_parts(data, config, valid=valid, test=test)
    config = replace(with_defaults(config, parts.train, parts.valid), device=str(device), threads=threads)
    given = {"input": data, "valid": valid, "test": test}
    checksums = {f"{name}_sha256": part.sha256 for name, part in given.items() if part is not None}
    resolved = to_plain({**config.get_params(), **checksums})
    architecture = architecture_of(config, parts.train)
    with reproducible(config, device):
        clock = perf_counter()
        module = architecture.build().to(device, getattr(torch, config.precision))
        check_filter_width(parts.train, getattr(module, "receptive_field", 1))
        if _is_complete(output, resolved, resume=resume, overwrite=overwrite):
            return _finished_run(output)
        write_json(output / "config.json", resolved)
        write_tsv(output / "splits.tsv", ("id", "split", "group"), parts.rows())

        history = fit(module, config, parts.train, parts.valid, folder=output, resume=resume, report=report)  # pyright: ignore[reportArgumentType]
        seconds = {"training": perf_counter() - clock}
        network = TrainedNetwork(architecture=architecture, module=module)
        write_tsv(output / "history.tsv", list(history[0]), [list(row.values()) for row in history])
        motifs = filter_motifs(module, parts.train)  # pyright: ignore[reportArgumentType]
        write_json(output / "motifs.json", motifs)
        network.save(output)

        metrics, scores = None, {}
        if parts.test is not None:
            metrics = _evaluate_on_test(network, parts.test, output, config.seed)
            clock = perf_counter()
            if config.baselines:
                scores = _baseline_metrics(parts, network.positive, config.seed)
            seconds["baselines"] = perf_counter() - clock
            write_json(
                output / "metrics.json",
                {**metrics.to_plain(), "baselines": {name: each.to_plain() for name, each in scores.items()}},
            )

    run = {
        "versions": _versions(),
        "seed": config.seed,
        "device": str(device),
        "threads": threads,
        "command": list(command),
        "started": started.isoformat(timespec="seconds"),
        "timings": {name: round(value, 3) for name, value in seconds.items()},
        "data": _describe(data, parts),
        "complete": False,
    }
    write_json(output / "run.json", run)
    if finish:
        finish(output)
    shutil.rmtree(output / CHECKPOINT.parent, ignore_errors=True)
    write_json(
        output / "run.json", {**run, "finished": datetime.now(UTC).isoformat(timespec="seconds"), "complete": True}
    )
    return RunResult(folder=output, network=network, metrics=metrics, baselines=scores)


def architecture_of(config: TrainConfig, train: SequenceSet) -> Architecture:
    """The architecture of a complete configuration for this training part."""
    return Architecture(
        model=str(config.model),
        encoding=str(config.encoding),
        alphabet=train.alphabet.name,
        classes=train.classes,
        positive=config.positive,
        multi_label=train.multi_label,
        length=int(train.lengths.max()),
        shortest=int(train.lengths.min()),
        reverse_complement=bool(config.reverse_complement),
    )


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
            f"device {name} is not there: PyTorch sees {torch.cuda.device_count()} GPUs. Use --device cpu or auto"
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
        torch.use_deterministic_algorithms(config.deterministic and bool(devices))
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)


def _is_complete(output: Path, resolved: dict[str, Any], *, resume: bool, overwrite: bool) -> bool:
    """Whether the folder holds this very run, finished; UsageError if it holds another, unless overwriting."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file. Choose a folder with --output")
    found = [name for name in MARKS_OF_A_RUN if (output / name).exists()]
    if resume and (output / "config.json").exists():
        before = read_json(output / "config.json")
        changed = sorted(key for key in {*before, *resolved} if before.get(key) != resolved.get(key))
        if changed:
            difference = ", ".join(f"{key} was {before.get(key)!r}, now {resolved.get(key)!r}" for key in changed[:3])
            raise UsageError(
                f"cannot resume {output}: {difference}. Use the same options, or --overwrite to start anew"
            )
        return (output / "run.json").exists() and bool(read_json(output / "run.json").get("complete"))
    if found and not overwrite:
        raise UsageError(f"{output} already holds a run ({found[0]}). Use --resume, --overwrite or another --output")
    for name in (*MARKS_OF_A_RUN, *OTHER_FILES_OF_A_RUN):
        (output / name).unlink(missing_ok=True)
    shutil.rmtree(output / CHECKPOINT.parent, ignore_errors=True)
    return False


def _finished_run(output: Path) -> RunResult:
    return RunResult(folder=output, network=load_trained(output), metrics=None, baselines={})


def _targets(data: SequenceSet) -> NDArray[Any]:
    if data.y is None:
        raise InputError("these sequences have no labels", file=data.source or None)
    return data.y


def _evaluate_on_test(network: TrainedNetwork, test: SequenceSet, output: Path, seed: int) -> Metrics:
    """Score the test part; write predictions.tsv and the examples the network is most wrong about."""
    p = network.probabilities(test)
    truth = _targets(test)
    shown = [_label(test.classes, row) for row in truth]
    guesses = [_label(test.classes, row) for row in (p >= 0.5 if test.multi_label else p.argmax(1))]
    columns = ("id", "label", "prediction", *(f"p_{name}" for name in test.classes))
    rows = zip(test.names, shown, guesses, p, strict=True)
    write_tsv(
        output / "predictions.tsv",
        columns,
        ((name, label, guess, *map(_short, row)) for name, label, guess, row in rows),
    )
    right = (p * truth + (1 - p) * (1 - truth)).min(1) if test.multi_label else p[np.arange(len(p)), truth]
    worst = np.argsort(right, kind="stable")[:WORST_EXAMPLES]
    write_tsv(
        output / "examples.tsv",
        ("id", "sequence", "label", "prediction", "p"),
        ((test.names[i], test.sequence(int(i)), shown[i], guesses[i], _short(right[i])) for i in worst),
    )
    return _metrics(test, p, network.positive, seed)


def baseline_probabilities(train: SequenceSet, test: SequenceSet, seed: int) -> dict[str, NDArray[np.float64]]:
    """Class probabilities (N, number of classes) on `test` of every baseline, tuned inside `train`; the best first.

    A one-hot baseline that learned from sequences of one length is left out where a test sequence has another.
    """
    scores = {}
    for name, fitted in fit_baselines(train, seed=seed).items():
        if name == "one-hot-logistic" and not np.isin(test.lengths, train.lengths).all():
            continue
        scores[name] = fitted.predict_proba(test)
    return scores


def _baseline_metrics(parts: Parts, positive: str | None, seed: int) -> dict[str, Metrics]:
    """The baselines, tuned on what the network had (training and validation part), on the same test part."""
    assert parts.test is not None
    return {
        name: _metrics(parts.test, p, positive, seed)
        for name, p in baseline_probabilities(parts.train_and_valid, parts.test, seed).items()
    }


def _metrics(test: SequenceSet, p: NDArray[np.float64], positive: str | None, seed: int) -> Metrics:
    return evaluate(_targets(test), p, test.classes, positive, multi_label=test.multi_label, split="test", seed=seed)


def _label(classes: tuple[str, ...], row: Any) -> str:
    return (
        classes[int(row)] if np.ndim(row) == 0 else ";".join(name for name, on in zip(classes, row, strict=True) if on)
    )


def _short(p: Any) -> str:
    return f"{p:.6g}"


def _versions() -> dict[str, str]:
    names = ("torch", "numpy", "scipy", "scikit-learn", "biopython", "safetensors")
    return {"seqreg": __version__, "python": platform.python_version(), "platform": sys.platform} | {
        name: version(name) for name in names
    }


def _describe(data: SequenceSet, parts: Parts) -> dict[str, Any]:
    """What the run was trained on, for run.json and the report."""
    present = {
        name: part for name, part in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)) if part
    }
    counts = {
        name: {
            part: int(np.sum(_targets(each)[:, k] if each.multi_label else _targets(each) == k))
            for part, each in present.items()
        }
        for k, name in enumerate(data.classes)
    }
    lengths = np.concatenate([each.lengths for each in present.values()])
    return {
        "source": data.source,
        "sha256": data.sha256,
        "alphabet": data.alphabet.name,
        "n": sum(map(len, present.values())),
        "lengths": [int(lengths.min()), float(np.median(lengths)), int(lengths.max())],
        "classes": counts,
        "warnings": [*data.warnings, *parts.warnings],
    }
