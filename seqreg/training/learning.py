"""What a training computes: a calibrated network, and the baselines beside it; nothing that is kept is written here."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from seqreg.evaluation.conformal import Conformal
from seqreg.networks import ENCODINGS, MODELS
from seqreg.predictors.network import Architecture, TrainedNetwork
from seqreg.sequences import SequenceSet, check_filter_width
from seqreg.specs import write
from seqreg.training.calibration import calibrated, intervals_from
from seqreg.training.checkpoint import PIECES
from seqreg.training.config import TrainConfig
from seqreg.training.defaults import with_defaults
from seqreg.training.loop import Progress
from seqreg.training.machine import choose_device, reproducible
from seqreg.training.parts import Parts, split_parts
from seqreg.training.shared import SharedParts
from seqreg.training.stacking import Stacked, fit
from seqreg.unfinished import Once, unfinished

MOST_REFERENCES = 500  # training sequences that vectors are compared with


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A trained network, the configuration with every choice made, and a row per epoch.

    seconds: what training and calibration took. conformal: what intervals of values are made from.
    """

    network: TrainedNetwork
    config: TrainConfig
    history: list[dict[str, Any]]
    seconds: dict[str, float]
    conformal: Conformal | None = None


def learn(
    data: SequenceSet,
    config: TrainConfig,
    *,
    valid: SequenceSet | None = None,
    report: Callable[[Progress], None] | None = None,
    most_folds: int | None = None,
    folder: Path | None = None,
    shared: SharedParts | None = None,
) -> Learned:
    """A training that leaves no files, on all of `data` but the share that decides when to stop.

    valid: sequences that decide it instead. most_folds: as `fit` has it. folder: where what is done
    of it is kept, and gone on with if it is there; remove it afterwards. shared: as `fit` has it. Raises as `train`
    does.
    """
    device = choose_device(config.device)
    parts = split_parts(data, replace(config, test=0.0), valid=valid)
    config = with_defaults(config, parts.train, parts.valid)
    place = None if folder is None else folder / PIECES
    about = {"config": config.get_params(), "sha256": data.sha256}
    with reproducible(config, device), unfinished(place, **about) as once:
        network = untrained(config, parts.train, device)
        how: dict[str, Any] = {"folder": folder, "once": once, "report": report, "shared": shared}
        return learn_from_parts(network, config, parts, resume=True, most_folds=most_folds, **how)


def untrained(config: TrainConfig, train: SequenceSet, device: torch.device) -> TrainedNetwork:
    """The network of a complete configuration before training. Raises InputError where its filters are too wide."""
    architecture = architecture_of(config, train)
    module = architecture.build().to(device, getattr(torch, config.precision))
    check_filter_width(train, module.receptive_field)
    return TrainedNetwork(architecture=architecture, module=module)


def learn_from_parts(
    network: TrainedNetwork,
    config: TrainConfig,
    parts: Parts,
    *,
    folder: Path | None,
    resume: bool,
    once: Once,
    report: Callable[[Progress], None] | None,
    most_folds: int | None = None,
    shared: SharedParts | None = None,
) -> Learned:
    """Train the network in place as a complete configuration says, and calibrate it. Arguments are those of `fit`."""
    going_on: dict[str, Any] = {"folder": folder, "once": once, "report": report}
    start = perf_counter()
    kept = [Stacked()]
    how: dict[str, Any] = {"resume": resume, "most_folds": most_folds, "keep": kept.append, "shared": shared}
    history = fit(network.module, config, parts.train, parts.valid, **how, **going_on)
    trained = perf_counter()
    stacked = kept[-1]
    network = calibrated(network, parts, config, slope=stacked.slope, **going_on)
    conformal = intervals_from(network, parts, config, stacked.unseen, **going_on)
    seconds = {"training": trained - start, "calibration": perf_counter() - trained}
    return Learned(network=network, config=config, history=history, seconds=seconds, conformal=conformal)


def architecture_of(config: TrainConfig, train: SequenceSet) -> Architecture:
    """The architecture of a complete configuration for this training part."""
    target, y = train.labelled()
    vectors = {name: each.shape[1] for name, each in train.vectors.items()} if config.model.reads_vectors else {}
    return Architecture(
        model=write(MODELS, config.model),
        encoding=write(ENCODINGS, config.encoding),
        alphabet=train.alphabet.name,
        target=target.with_positive(y, config.positive),
        length=int(train.lengths.max()),
        shortest=int(train.lengths.min()),
        reverse_complement=bool(config.reverse_complement),
        vectors=vectors,
        references=min(len(train), MOST_REFERENCES) if vectors else 0,
    )
