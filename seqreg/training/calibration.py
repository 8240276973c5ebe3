"""What a run learns from its held-out sequences once the network is trained: a temperature, and prediction sets."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.evaluation.calibration import fit_temperature, held_out_effect
from seqreg.evaluation.conformal import FILE, FOLDS, Conformal
from seqreg.predictors import TrainedNetwork
from seqreg.records import write_json
from seqreg.sequences import SequenceSet, folds
from seqreg.training.checkpoint import FILE as CHECKPOINT
from seqreg.training.config import TrainConfig
from seqreg.training.loop import Progress
from seqreg.training.machine import reproducible
from seqreg.training.parts import Parts
from seqreg.training.stacking import fit
from seqreg.unfinished import Once, afresh

# A CNN on amp and on splice with 300 training sequences, 45 of them for validation: a temperature from those 45 brought
# the mean log loss on the test part from 0.446 to 0.429 and from 0.214 to 0.213; cross-fitting, to 0.426 and 0.196
# (benchmarks/calibration.py).
# For sums of networks cross-fitting gave temperatures above 0.9: not worth three more trainings, each of many.
ENOUGH_TO_CALIBRATE = 200  # no mutant: measured in steps
CROSS_FITTED = 3


def calibrated(
    network: TrainedNetwork,
    parts: Parts,
    config: TrainConfig,
    *,
    slope: float = 1.0,
    folder: Path | None = None,
    once: Once = afresh,
    report: Callable[[Progress], None] | None = None,
) -> TrainedNetwork:
    """The network at the temperature that held-out predictions ask for, or as it is where config says "none".

    A validation part of 200 sequences or more gives them. From fewer the temperature would be noise, so that they come
    from cross-fitting then: networks like this one, each trained on two thirds of the training and validation parts.
    A sum needs none of it where the weights of its parts are fitted to held-out predictions already. slope: of the
    logits of one on which something acted then, beside those it had (`stacking.Stacked`): its temperature.
    folder, once: as `fit` has them, to go on where an earlier attempt was. report: told how cross-fitting goes on,
    epoch by epoch over all of its networks.
    """
    if config.calibration == "none" or not network.target.probabilistic:
        return network
    if parts.valid is not None and len(parts.valid) >= ENOUGH_TO_CALIBRATE:
        y, logits, weight = parts.valid.labelled()[1], network.outputs(parts.valid), parts.valid.weight
    elif network.module.weighed:
        return network.at_temperature(slope or 1.0)
    else:
        y, logits, weight = _cross_fitted(network, parts, config, folder, once, report)
    return network.at_temperature(fit_temperature(network.target, y, logits, weight)) if len(y) else network


def intervals_from(
    network: TrainedNetwork,
    parts: Parts,
    config: TrainConfig,
    unseen: tuple[NDArray[Any], NDArray[Any]] | None,
    *,
    folder: Path | None = None,
    once: Once = afresh,
    report: Callable[[Progress], None] | None = None,
) -> Conformal | None:
    """What intervals of values are made from; None for probabilities, and where nothing is held out.

    The errors on the validation part, otherwise of predictions out of fold: unseen, y and outputs (N, K), where the
    training has made some, or of cross-fitting. folder, once, report: as for `calibrated`.
    """
    if network.target.probabilistic:
        return None
    if parts.valid is not None:
        return Conformal.of(*parts.valid.labelled(), network.probabilities(parts.valid), "valid")
    if config.calibration == "none":
        return None
    y, outputs = unseen or _cross_fitted(network, parts, config, folder, once, report)[:2]
    return Conformal.of(network.target, y, network.target.predict(outputs), FOLDS) if len(y) else None


def _cross_fitted(
    network: TrainedNetwork,
    parts: Parts,
    config: TrainConfig,
    folder: Path | None,
    once: Once,
    report: Callable[[Progress], None] | None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]:
    """Targets, logits (N, K) and weights of the training and validation parts, from networks not trained on them.

    None at all where there are too few groups of sequences to hold any out.
    Training stops as the network's own did: by the loss on what is held out if there is a validation part.
    """
    data = parts.train_and_valid
    parameter = next(network.module.parameters())
    related: dict[str, Any] = {"by": config.by, "similarity": config.similarity, "identity": config.identity}
    fold_of = np.zeros(len(data), dtype=np.int64)
    if len(data) >= CROSS_FITTED:
        with suppress(InputError):  # too few groups, equal sequences being one, for any to be held out
            fold_of = folds(data, CROSS_FITTED, **related, seed=config.seed).part
    logits: list[NDArray[Any]] = []
    rows: list[NDArray[np.int64]] = []
    numbers = np.unique(fold_of)
    for done, fold in enumerate(numbers):
        learned_from = data.subset(np.flatnonzero(fold_of != fold))
        rows_of_fold = np.flatnonzero(fold_of == fold)
        rest = data.subset(rows_of_fold)
        if not len(learned_from):
            continue  # all are one group: nothing can be held out
        told = report and partial(_tell, report, done, len(numbers))
        within = None if folder is None else folder / CHECKPOINT.parent / f"without-fold-{done + 1}"
        stop = None if parts.valid is None else rest
        with reproducible(config, parameter.device):
            module = network.architecture.build().to(parameter.device, parameter.dtype)
            fit(module, config, learned_from, stop, folder=within, resume=True, once=once, report=told)
        rows.append(rows_of_fold)
        logits.append(replace(network, module=module).outputs(rest))
    if not rows:
        return np.empty(0), np.empty((0, 1)), None
    order = np.concatenate(rows)
    weight = None if data.weight is None else data.weight[order]
    return data.labelled()[1][order], np.concatenate(logits), weight


def _tell(report: Callable[[Progress], None], done: int, of: int, progress: Progress) -> None:
    """Report one of several trainings, of which nothing but predictions is kept."""
    report(replace(progress.among(done, of), stage="calibration"))


def write_conformal(
    output: Path, held_out: tuple[str, SequenceSet | None], predict: Callable[[SequenceSet], NDArray[Any]]
) -> Conformal | None:
    """Write calibration.json from a part by name; nothing, and None, where there is no such part."""
    name, part = held_out
    if part is None:
        return None
    conformal = Conformal.of(*part.labelled(), predict(part), name)
    write_json(output / FILE, conformal, "calibration")
    return conformal


def held_out(parts: Parts) -> tuple[str, SequenceSet | None]:
    """The part that prediction sets are learned from: validation, so that the test part can judge them, else test."""
    return ("test", parts.test) if parts.valid is None else ("valid", parts.valid)


def effect_on_test(
    test: SequenceSet,
    before: NDArray[Any],
    after: NDArray[Any],
    temperature: float,
    conformal: Conformal | None,
) -> dict[str, Any]:
    """What metrics.json says beside metrics, from p (N, K) on the test part before and after the temperature."""
    return held_out_effect(
        *test.labelled(),
        before,
        after,
        temperature=temperature,
        conformal=conformal,
        unseen=conformal is None or conformal.part != "test",
    )
