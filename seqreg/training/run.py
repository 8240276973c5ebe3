"""One training and its folder: every file of a run, written whole or not at all, the mark of completion last."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from seqreg.baselines import fit_baselines
from seqreg.evaluation.scores import Metrics
from seqreg.explain.motifs import filter_motifs
from seqreg.networks import ENCODINGS, MODELS
from seqreg.predictors.network import Architecture, TrainedNetwork, load_trained
from seqreg.records import write_json, write_tsv
from seqreg.sequences import SequenceSet, check_filter_width
from seqreg.specs import write
from seqreg.training.calibration import calibrated, effect_on_test, held_out, write_conformal
from seqreg.training.checkpoint import PIECES
from seqreg.training.claim import alone, claim_folder
from seqreg.training.config import TrainConfig, with_defaults
from seqreg.training.folder import complete, measure, now, write_history, write_predictions
from seqreg.training.loop import Progress
from seqreg.training.machine import choose_device, reproducible
from seqreg.training.parts import Parts, split_parts
from seqreg.training.stacking import fit
from seqreg.unfinished import Once, unfinished


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """What `train` leaves behind: the folder, the network, and its metrics on the test part where there is one."""

    folder: Path
    network: TrainedNetwork
    metrics: Metrics | None
    baselines: dict[str, Metrics]


@alone
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
    tuned: Mapping[str, Any] | None = None,
    report: Callable[[Progress], None] | None = None,
    finish: Callable[[Path], object] | None = None,
) -> RunResult:
    """Split, train, evaluate beside the baselines, and write a run folder.

    valid, test: parts given as data of their own instead of shares. tuned: what a search was asked that chose the
    configuration, into whose folder the run goes. finish: called with the folder when everything but the mark of
    completion is written (the HTML report is made there). Raises UsageError for a folder in the way or a configuration
    that differs from the one resumed, InputError for data that cannot be trained on.
    """
    started = now()
    device = choose_device(config.device)
    threads = config.threads or min(2, torch.get_num_threads())  # OMP_NUM_THREADS has its say
    parts = split_parts(data, config, valid=valid, test=test)
    config = replace(with_defaults(config, parts.train, parts.valid), device=str(device), threads=threads)
    parts = parts.with_positive(config.positive)
    given = {"input": data, "valid": valid, "test": test}
    checksums = {f"{name}_sha256": part.sha256 for name, part in given.items() if part is not None}
    resolved = {**config.to_plain(), **checksums, **({"tune": tuned} if tuned else {})}
    resume = resume or tuned is not None
    architecture = architecture_of(config, parts.train)
    with reproducible(config, device), ExitStack() as stack:
        clock = perf_counter()
        module = architecture.build().to(device, getattr(torch, config.precision))
        check_filter_width(parts.train, module.receptive_field)
        if claim_folder(output, resolved, resume=resume, overwrite=overwrite):
            return _finished_run(output)
        write_json(output / "config.json", resolved)
        write_tsv(output / "splits.tsv", ("id", "split", "group"), parts.rows())

        once = stack.enter_context(unfinished(output / PIECES, config=resolved))
        going_on: dict[str, Any] = {"folder": output, "once": once, "report": report}
        history = fit(module, config, parts.train, parts.valid, resume=resume, **going_on)
        seconds = {"training": perf_counter() - clock}
        clock = perf_counter()
        network = calibrated(TrainedNetwork(architecture=architecture, module=module), parts, config, **going_on)
        seconds["calibration"] = perf_counter() - clock
        write_history(output, history)
        motifs = filter_motifs(module, parts.train)
        write_json(output / "motifs.json", motifs)
        network.save(output)
        conformal = write_conformal(output, held_out(parts), network.probabilities)

        metrics, scores = None, {}
        if parts.test is not None:
            before, p = network.both_probabilities(parts.test)
            write_predictions(output, parts.test, p)
            metrics = measure(parts.test, p, config.seed)
            clock = perf_counter()
            if config.baselines:
                scores = _baseline_metrics(parts, config.seed, once, report)
            seconds["baselines"] = perf_counter() - clock
            write_json(
                output / "metrics.json",
                {
                    **metrics.to_plain(),
                    "calibration": effect_on_test(
                        parts.test,
                        before,
                        p,
                        network.temperature,
                        conformal,
                    ),
                    "baselines": {name: each.to_plain() for name, each in scores.items()},
                },
            )

    facts = {
        "seed": config.seed,
        "device": str(device),
        "threads": threads,
        "command": list(command),
        "started": started,
        "timings": {name: round(value, 3) for name, value in seconds.items()},
    }
    complete(output, facts, data, parts, finish)
    return RunResult(folder=output, network=network, metrics=metrics, baselines=scores)


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A trained network, the configuration with every choice made, and a row per epoch."""

    network: TrainedNetwork
    config: TrainConfig
    history: list[dict[str, Any]]


def learn(
    data: SequenceSet,
    config: TrainConfig,
    *,
    valid: SequenceSet | None = None,
    report: Callable[[Progress], None] | None = None,
    most_folds: int | None = None,
    folder: Path | None = None,
) -> Learned:
    """A training that leaves no files, on all of `data` but the share that decides when to stop.

    valid: sequences that decide it instead. most_folds: as `fit` has it. folder: where what is done
    of it is kept, and gone on with if it is there; remove it afterwards. Raises as `train` does.
    """
    device = choose_device(config.device)
    parts = split_parts(data, replace(config, test=0.0), valid=valid)
    config = with_defaults(config, parts.train, parts.valid)
    place = None if folder is None else folder / PIECES
    about = {"config": config.get_params(), "sha256": data.sha256}
    with reproducible(config, device), unfinished(place, **about) as once:
        architecture = architecture_of(config, parts.train)
        module = architecture.build().to(device, getattr(torch, config.precision))
        check_filter_width(parts.train, module.receptive_field)
        going_on: dict[str, Any] = {"folder": folder, "once": once, "report": report}
        history = fit(module, config, parts.train, parts.valid, resume=True, most_folds=most_folds, **going_on)
        network = calibrated(TrainedNetwork(architecture=architecture, module=module), parts, config, **going_on)
    return Learned(network=network, config=config, history=history)


def architecture_of(config: TrainConfig, train: SequenceSet) -> Architecture:
    """The architecture of a complete configuration for this training part."""
    target, y = train.labelled()
    return Architecture(
        model=write(MODELS, config.model),
        encoding=write(ENCODINGS, config.encoding),
        alphabet=train.alphabet.name,
        target=target.with_positive(y, config.positive),
        length=int(train.lengths.max()),
        shortest=int(train.lengths.min()),
        reverse_complement=bool(config.reverse_complement),
    )


def _finished_run(output: Path) -> RunResult:
    return RunResult(folder=output, network=load_trained(output), metrics=None, baselines={})


def _baseline_metrics(
    parts: Parts, seed: int, once: Once, report: Callable[[Progress], None] | None
) -> dict[str, Metrics]:
    """The baselines, tuned on what the network had (training and validation part), on the same test part; best first.

    A one-hot baseline that learned from sequences of one length is left out where a test sequence has another.
    """

    def told(done: int, of: int) -> None:
        if report is not None:
            report(Progress(stage="baselines", epoch=done, epochs=of, row={}))

    test = parts.test
    assert test is not None
    fitted = fit_baselines(parts.train_and_valid, seed=seed, report=told, once=once)
    return {name: measure(test, each.probabilities(test), seed) for name, each in fitted.items() if each.reads(test)}
