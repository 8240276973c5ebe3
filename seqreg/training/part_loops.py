"""The parts of a sum that are trained by the loop, one after another: each with a checkpoint of its own."""

import copy
import itertools
import json
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqreg.linear import Array
from seqreg.networks import SequenceNetwork, SumNet
from seqreg.predictors.network import logits_of, on_host
from seqreg.sequences import SequenceSet
from seqreg.training import loop
from seqreg.training.checkpoint import FILE as CHECKPOINT
from seqreg.training.config import TrainConfig
from seqreg.training.held_out import HeldOut
from seqreg.training.loop import Progress
from seqreg.writing import atomic_write

History = list[dict[str, Any]]
Network = TypeVar("Network", bound=SequenceNetwork)


class Loops:
    """Runs of the training loop one after the other, each with a checkpoint and a place in the progress bar."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path | None,
        resume: bool,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self.config, self.folder, self.resume, self.report = config, folder, resume, report
        self.planned = self.done = 0

    def run(
        self,
        name: str,
        part: Network,
        train: SequenceSet,
        valid: SequenceSet | None,
        seed: int = 0,
        *,
        heads: Callable[[Network], Collection[Tensor]] | None = None,
        beside: Array | None = None,
    ) -> tuple[Network, History]:
        """A copy of the part, trained; taken from its file where an interrupted run had finished it.

        seed: added to that of the configuration. heads: those of a network that is to be trained on nearby.
        beside: logits (N, K) of other parts.
        """
        torch.manual_seed(self.config.seed + seed)  # one that is taken from its file has drawn nothing
        part = copy.deepcopy(part)
        folder = None if self.folder is None else self.folder / CHECKPOINT.parent / name
        finished = None if folder is None else folder / "part.safetensors"
        history = _finished_part(finished, part) if self.resume and finished is not None else None
        if history is None:
            config = replace(self.config, seed=self.config.seed + seed)
            if config.penalty is None:
                config = replace(config, penalty=part.default_penalty)
            how: dict[str, Any] = {"folder": folder, "resume": self.resume, "report": self._report}
            history = loop.fit(part, config, train, valid, **how, nearby=heads and heads(part), beside=beside)
            if finished is not None:
                with atomic_write(finished, "wb") as handle:
                    handle.write(save(on_host(part.state_dict()), {"history": json.dumps(history)}))
        self.done += 1
        return part, history

    def _report(self, progress: Progress) -> None:
        if self.report is not None:
            self.report(progress.among(self.done, self.planned))


def _finished_part(file: Path, part: SequenceNetwork) -> History | None:
    """The history of a part whose training was over, its weights restored in place; None without a whole file."""
    try:
        with safe_open(file, framework="pt") as stored:
            history = json.loads((stored.metadata() or {})["history"])
            part.load_state_dict({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError):
        return None
    return history


def fit_cnns(
    names: list[str], model: SumNet, train: SequenceSet, held_out: HeldOut, loops: Loops
) -> tuple[Array, History]:
    """Train the parts of a kind in place; scores (n, K) of what was held out, and their history.

    A single one is trained on all, after one for each fold that is not kept. Several are each without a fold of their
    own; where there are fewer folds, or a validation part instead, they differ in what they start from and in the order
    of sequences.
    """
    valid = held_out.data if held_out.data is not train else None
    scores = np.zeros((len(held_out.data), model.part(names[0]).outputs))
    history: History = []
    without = held_out.folds
    if len(names) == 1:
        for number, (inner, outer) in enumerate(held_out.folds):
            trained, _ = loops.run(f"{names[0]}-{number + 1}", model.part(names[0]), train.subset(inner), None)
            scores[outer] = logits_of(trained, train.subset(outer), scores.shape[1])
        without = []
    for number, (name, fold) in enumerate(itertools.zip_longest(names, without[: len(names)])):
        part = model.part(name)
        trained, rows = loops.run(name, part, train if fold is None else train.subset(fold[0]), valid, seed=number)
        part.load_state_dict(trained.state_dict())
        history += [{"part": name, **row} for row in rows]
        if fold is not None:
            scores[fold[1]] = logits_of(part, train.subset(fold[1]), scores.shape[1])
        elif not held_out.folds:
            scores += logits_of(part, held_out.data, scores.shape[1]) / len(names)
    return scores[held_out.rows], history
