"""Kinds of parts that several trainings have in common: learned by one of them, and read by the others.

The trainings of a search learn from the same sequences, and most of them differ in one kind of part only, or in what
acts on the sum of all. What a kind becomes depends on how it begins, on the sequences, and on some of the options: all
of that is its name here, so that what is read is what would have been learned, bit for bit. Sequences count by their
checksum: what was learned from others is never read.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqreg.linear import Array
from seqreg.networks import Part
from seqreg.predictors.network import on_host
from seqreg.training.config import TrainConfig
from seqreg.training.part_loops import History
from seqreg.unfinished import Once, named, read_piece, unfinished, write_piece

# Fields of a configuration that are no business of any kind: which kinds there are, and who is held out of the training
# part. How a kind begins says the rest of the first.
OF_THE_SUM = ("model", "encoding", "valid", "test")
# Those that are no business of a kind whose head is solved for.
OF_LOOPS = (
    *("penalty", "constraint", "attack", "augment", "weight_decay"),
    *("epochs", "batch_size", "lr", "patience", "start"),
)


class LearnedKind(NamedTuple):
    """scores (n, K) of what was held out, and the rows of a history."""

    scores: Array
    history: History


@dataclass(frozen=True, kw_only=True)
class SharedParts:
    """Kinds of parts in a folder, a file for each."""

    path: Path

    def learned(
        self, parts: Mapping[str, Part], about: Mapping[str, Any], learn: Callable[[Once], LearnedKind]
    ) -> LearnedKind:
        """What `learn` makes of the parts of a kind, by name, and returns; or the same from the file of this kind.

        about: all that decides it beside how the parts begin. learn is given what keeps its pieces until it is over.
        """
        name = named({"begun": {name: begun_as(part) for name, part in parts.items()}, **about})
        file = self.path / f"{name}.kind"
        known = read_piece(file)
        if known is None:
            pieces = self.path / f"{name}.pieces"
            with unfinished(pieces, name=name) as once:
                found = learn(once)
            write_piece(file, {"scores": found.scores, "history": found.history, **_weights(parts)})
            pieces.unlink(missing_ok=True)
            return found
        for name, part in parts.items():
            weights = {each: torch.from_numpy(known[f"{name}/{each}"]) for each in part.state_dict()}
            part.load_state_dict(weights)
        return LearnedKind(known["scores"], known["history"])


def decides(config: TrainConfig, *, solved: bool) -> dict[str, Any]:
    """The options that decide what becomes of a kind, whose head is solved for or not."""
    none_of = (*OF_THE_SUM, *(OF_LOOPS if solved else ()))
    return {name: value for name, value in config.to_plain().items() if name not in none_of}


def begun_as(part: Part) -> str:
    """A checksum of all that an untrained part is: its layers with what they were told, and every number in them."""
    digest = hashlib.sha256()
    for name, module in part.named_modules():
        told = {key: value for key, value in vars(module).items() if isinstance(value, bool | int | float | str)}
        digest.update(json.dumps([name, type(module).__qualname__, told], sort_keys=True).encode())
    for name, values in [*part.named_parameters(), *part.named_buffers()]:
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
        digest.update(on_host({name: values})[name].numpy().tobytes())
    return digest.hexdigest()


def _weights(parts: Mapping[str, Part]) -> dict[str, Any]:
    return {
        f"{name}/{each}": values.numpy()
        for name, part in parts.items()
        for each, values in on_host(part.state_dict()).items()
    }
