"""Stopped anywhere and resumed, a training ends in the same bytes as one that was left alone.

A whole run is watched: before every file that it puts in place, and after every epoch, its folder is copied. Each copy
is what a machine that failed at that moment would have left; from each of them the run is resumed.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqreg import writing
from seqreg.alphabet import DNA, PROTEIN
from seqreg.attacks import ATTACKS
from seqreg.constraints import CONSTRAINTS
from seqreg.deformations import AUGMENTATIONS
from seqreg.evaluation import evaluate
from seqreg.networks import SequenceNetwork
from seqreg.penalties import PENALTIES
from seqreg.records import read_tsv
from seqreg.sequences import SequenceSet
from seqreg.training import Progress, TrainConfig, fit, train, with_defaults
from seqreg.training.learning import architecture_of
from seqreg.training.loop import ResidentData, validation_loss
from seqreg.tuning import Halving, tune
from seqreg.tuning.search import Candidate
from seqreg.tuning.trials import Trials
from tests.conftest import planted

CNN = TrainConfig(
    model="cnn:filters=4,width=5,dropout=0.3", augment=("noise:rate=0.1",), epochs=20, lr=0.05, patience=3, threads=1,
    batch_size=16, baselines=False, calibration="none", device="cpu", penalty=(), reverse_complement=False,
)  # fmt: skip
SUM = replace(CNN, model="sum:spectrum=1,filters=3,width=4", epochs=2, batch_size=64)
RESULTS = ("model.safetensors", "model.json", "predictions.tsv", "history.tsv", "calibration.json", "metrics.json")


@pytest.fixture(autouse=True)
def a_checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqreg.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)


@pytest.fixture(autouse=True)
def few_are_enough_to_hold_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMALLEST_VALIDATION", "SMALLEST_VALIDATION_OF_SUM"):
        monkeypatch.setattr(f"seqreg.training.config.{name}", 15)


@pytest.fixture(autouse=True)
def no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time of a run of a second, and depend on nothing but its predictions."""
    monkeypatch.setattr("seqreg.training.folder.evaluate", partial(evaluate, resamples=0))


@pytest.fixture(autouse=True)
def few_folds(few_strengths: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqreg.training.held_out.FOLDS_OF_FEW", 2)
    monkeypatch.setattr("seqreg.training.calibration.CROSS_FITTED", 2)


@contextmanager
def watched(output: Path, copies: Path) -> Iterator[list[Path]]:
    """Copies of the folder before each file that is put in place."""
    moments: list[Path] = []
    put_in_place = writing.os.replace

    def copied_before(source: Any, target: Any) -> None:
        if output in Path(target).parents:
            moments.append(copies / f"{len(moments)}" / "run")
            shutil.copytree(output, moments[-1], ignore=shutil.ignore_patterns(".*"))
        put_in_place(source, target)

    writing.os.replace = copied_before
    try:
        yield moments
    finally:
        writing.os.replace = put_in_place


def results(run: Path) -> dict[str, bytes]:
    """Without the place of the run, which the next command names."""
    present = [name for name in RESULTS if (run / name).exists()]
    return {name: (run / name).read_bytes().replace(str(run).encode(), b"RUN") for name in present}


# ------------------------------------------------------------------------------------------------------- one network


@dataclass(kw_only=True, eq=False)
class Fitted:
    model: SequenceNetwork
    history: list[dict[str, float]]

    def bits(self) -> tuple[Any, ...]:
        return self.history, {name: value.numpy().tobytes() for name, value in self.model.state_dict().items()}


def fitted(
    config: TrainConfig,
    data: SequenceSet,
    valid: SequenceSet | None,
    folder: Path,
    *,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> Fitted:
    """A network trained from the same start, with a checkpoint in the folder."""
    config = with_defaults(config, data, valid)
    torch.manual_seed(0)
    model: Any = architecture_of(config, data).build()
    torch.manual_seed(1)
    history = fit(model, config, data, valid, folder=folder, resume=resume, report=report)
    return Fitted(model=model, history=history)


@pytest.mark.parametrize(("motif", "at_once"), [("TGACGT", False), ("TGAC", True)])
def test_every_epoch_is_a_place_to_stop_and_the_best_one_is_kept(tmp_path: Path, motif: str, at_once: bool) -> None:
    """Before and after the best epoch, while patience lasts, and when all is done."""
    both = planted(DNA, motif, n=124)
    data, held_out = both.subset(np.arange(64)), both.subset(np.arange(64, 124))

    def keep(progress: Progress) -> None:
        shutil.copytree(tmp_path / "whole", tmp_path / f"{progress.epoch}")

    whole = fitted(CNN, data, held_out, tmp_path / "whole", report=keep)
    losses = [row["valid_loss"] for row in whole.history]
    best, last = int(np.argmin(losses)) + 1, len(losses)
    assert (best == 1) is at_once, f"no such epochs to stop at: the best of {last} is {best}"
    assert last == best + 3 < 20
    resident = ResidentData.of(held_out, "none", torch.device("cpu"), torch.float32)
    for epoch in range(1, last + 1):
        torch.rand(epoch)  # whatever the process that goes on has drawn
        again: list[int] = []
        resumed = fitted(
            CNN, data, held_out, tmp_path / f"{epoch}", resume=True, report=lambda p, again=again: again.append(p.epoch)
        )
        assert again == list(range(epoch + 1, last + 1))
        assert resumed.bits() == whole.bits()
        assert validation_loss(resumed.model, resident) == losses[best - 1]


FAMILIES = [
    *(("penalty", (name,)) for name in PENALTIES),
    *(("constraint", (name,)) for name in CONSTRAINTS),
    *(("attack", name) for name in ATTACKS),
    *(("augment", (name,)) for name in AUGMENTATIONS),
    *(("class_weight", name) for name in ("balanced", "resampled")),
    ("start", "windows"),
    ("precision", "float64"),
]


@pytest.mark.parametrize(("field", "value"), FAMILIES, ids=lambda value: "+".join(np.atleast_1d(value)))
def test_nothing_that_regularizes_remembers_what_a_checkpoint_forgets(tmp_path: Path, field: str, value: Any) -> None:
    data = planted(PROTEIN if value == ("similar",) else DNA, "", n=24)
    smooth = {"model": "smooth-cnn:filters=4,width=4"} if value == ("rkhs",) else {}
    config = replace(CNN, **{"epochs": 3, "augment": (), "penalty": (), **smooth, field: value})

    def keep(progress: Progress) -> None:
        if progress.epoch == 1:
            shutil.copytree(tmp_path / "whole", tmp_path / "cut")

    whole = fitted(config, data, None, tmp_path / "whole", report=keep)
    again: list[int] = []
    resumed = fitted(config, data, None, tmp_path / "cut", resume=True, report=lambda p: again.append(p.epoch))
    assert again == [2, 3]
    assert resumed.bits() == whole.bits()


# ----------------------------------------------------------------------------------------------------------- a run

RUNS = {
    "network": replace(CNN, epochs=4, batch_size=64),
    "network with a temperature": replace(CNN, epochs=1, batch_size=64, calibration="temperature"),
    "sum by folds": replace(SUM, valid=0.0),
    "sum with a validation part": replace(SUM, model="sum:spectrum=1,filters=3,width=4,pooling=max+position"),
    "sum of several": replace(SUM, model="sum:spectrum=1,filters=3,width=4,networks=2", valid=0.0),
    "average with a temperature": replace(
        SUM, epochs=1, model="sum:spectrum=1,filters=3,width=4,average=true", calibration="temperature"
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_from_every_file_that_it_writes(tmp_path: Path, name: str) -> None:
    data, config = planted(DNA, "TGACGTCA", n=120), replace(RUNS[name], test=0.1)
    output = tmp_path / "whole"
    with watched(output, tmp_path) as moments:
        train(data, config, output)
    expected = results(output)
    assert {"model.safetensors", "predictions.tsv", "history.tsv"} <= set(expected)
    assert not (output / "checkpoint").exists()
    for moment in moments:
        train(data, config, moment, resume=True)
        assert results(moment) == expected, sorted(path.name for path in moment.iterdir())


def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path: Path) -> None:
    data, config = planted(DNA, "TGACGTCA", n=60), RUNS["sum by folds"]
    output = tmp_path / "whole"
    with watched(output, tmp_path) as moments:
        train(data, config, output)
    cut = next(each for each in reversed(moments) if (each / "checkpoint").exists())
    damaged = list((cut / "checkpoint").rglob("*.safetensors"))
    assert {path.name for path in damaged} == {"part.safetensors", "state.safetensors"}
    for path in damaged:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    train(data, config, cut, resume=True)
    assert results(cut) == results(output)


# ---------------------------------------------------------------------------------------------------------- a search


def table(run: Path) -> list[dict[str, str]]:
    """trials.tsv without the times."""
    return [{**row, "seconds": ""} for row in read_tsv(run / "trials.tsv")]


def test_a_search_goes_on_from_every_file_that_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between trials, between folds, between the choice and its training, and in that."""
    data = planted(DNA, "TGACGTCA", n=48)
    config = replace(CNN, epochs=2, augment=(), patience=None, test=0.2, valid=0.0, baselines=False)
    effort, output = Halving(trials=3, folds=2, workers=1), tmp_path / "whole"
    again: list[str] = []
    attempt = Trials.attempt

    def counted(self: Trials, candidate: Candidate, fold: int) -> dict[str, Any]:
        again.append(candidate.key(fold))
        return attempt(self, candidate, fold)

    monkeypatch.setattr(Trials, "attempt", counted)
    with watched(output, tmp_path) as moments:
        tune(data, config, output, effort)
    total = len(again)
    for moment in moments:
        again.clear()
        kept = {path.stem for path in (moment / "tuning" / "cells").glob("*.json")}
        over = (moment / "tuning.json").exists()
        tune(data, config, moment, effort, resume=True)
        assert results(moment) == results(output), kept
        assert table(moment) == table(output)
        assert len(again) == (0 if over else total - len(kept))
        assert not kept & set(again), "no training is done twice"
