"""One training and its folder: every file of a run, written whole or not at all, the mark of completion last."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from seqreg.baselines import FittedBaseline, fit_baseline
from seqreg.baselines.beside import Beside
from seqreg.errors import UsageError, option
from seqreg.evaluation import Metrics
from seqreg.evaluation.conformal import FILE as CONFORMAL
from seqreg.evaluation.conformal import FOLDS, Conformal
from seqreg.explain.motifs import filter_motifs
from seqreg.predictors.network import TrainedNetwork, load_trained
from seqreg.records import write_json, write_tsv
from seqreg.sequences import SequenceSet, with_positive, write_seen
from seqreg.training.beside import baselines_beside
from seqreg.training.calibration import effect_on_test, held_out, write_conformal
from seqreg.training.checkpoint import PIECES
from seqreg.training.claim import BASELINE, WORK, alone, claim_folder
from seqreg.training.config import TrainConfig
from seqreg.training.cross_validation import of_folds, out_of_fold, rival_of, write_out_of_fold
from seqreg.training.defaults import decided
from seqreg.training.folder import complete, measure, now, write_history, write_predictions
from seqreg.training.folds import CrossValidation, Work, plan_folds
from seqreg.training.judging import check_folds, check_run, keep, opponent, score_all, verdict_of, write_thresholds
from seqreg.training.learning import Learned, learn_from_parts, untrained
from seqreg.training.loop import Progress
from seqreg.training.machine import choose_device, reproducible
from seqreg.training.next_steps import steps_after_training
from seqreg.training.parts import Parts, split_parts
from seqreg.training.together import where_it_acts
from seqreg.unfinished import unfinished


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
    folds: CrossValidation | None = None,
    workers: int = 1,
    command: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    tuned: Mapping[str, Any] | None = None,
    chosen: Callable[[TrainConfig, Sequence[str]], object] | None = None,
    report: Callable[[Progress], None] | None = None,
    finish: Callable[[Path], object] | None = None,
) -> RunResult:
    """Split, train, evaluate beside the baselines, and write a run folder.

    valid, test: parts given as data of their own instead of shares. folds: cross-validate instead of holding out a test
    part, and train what is kept on all sequences. workers: with more than one process, baselines learn beside the
    network, with the same results. tuned: what a search was asked that chose the
    configuration, into whose folder the run goes. chosen: told, before training begins, the configuration with every
    choice made, and sentences on what evidence decided. finish: called with the folder when everything but the mark of
    completion is written (the HTML report is made there). Raises UsageError for a folder in the way or a configuration
    that differs from the one resumed, InputError for data that cannot be trained on.
    """
    started = now()
    device = choose_device(config.device)
    threads = config.threads or min(2, torch.get_num_threads())  # OMP_NUM_THREADS has its say
    work = None
    if folds is not None:
        if test is not None:
            raise UsageError(
                f"{option('folds')} and {option('test')}: either folds are held out in turn, or a test part"
            )
        config = replace(config, test=0.0)
        work = plan_folds(data, config, folds, output)
        data = work.data
    parts = split_parts(data, config, valid=valid, test=test)
    asked = config
    config, reasons = decided(config, parts.train, parts.valid)
    config = replace(config, device=str(device), threads=threads)
    parts = parts.with_positive(config.positive)
    given = {"input": data, "valid": valid, "test": test}
    checksums = {f"{name}_sha256": part.sha256 for name, part in given.items() if part is not None}
    resolved = {**config.to_plain(), **checksums, **({"tune": tuned} if tuned else {})}
    resolved |= {"folds": folds.folds, "repeats": folds.repeats} if folds is not None else {}
    resolved |= {"learning_curve": True} if folds is not None and folds.learning_curve else {}
    resume = resume or tuned is not None
    with reproducible(config, device):
        network = untrained(config, parts.train, device)
        reasons = (*reasons, *where_it_acts(network.module, config))
        resolved |= {"decided": list(reasons)} if reasons else {}
        if claim_folder(output, resolved, resume=resume, overwrite=overwrite):
            return RunResult(folder=output, network=load_trained(output), metrics=None, baselines={})
        write_json(output / "config.json", resolved, "config")
        write_tsv(output / "splits.tsv", ("id", "split", "group"), parts.rows())
        if chosen is not None:
            chosen(config, reasons)
        records: Sequence[Mapping[str, Any]] = ()
        clock = perf_counter()
        if work is not None:
            settled = replace(asked, positive=config.positive, device=config.device)
            work = replace(work, config=settled, data=with_positive(work.data, config.positive))
            records = work.run(report and partial(_tell_folds, report))
        seconds_of_folds = perf_counter() - clock
        beside = nullcontext(dict)
        if config.baselines and parts.test is not None:
            rivals = Beside(data=parts.train_and_valid, files=output / PIECES.parent, seed=config.seed, about=resolved)
            beside = baselines_beside(rivals, workers, report)
        with unfinished(output / PIECES, config=resolved) as once, beside as fitted:
            learned = learn_from_parts(network, config, parts, folder=output, resume=resume, once=once, report=report)
            conformal = _write_learned(output, learned, parts)
            metrics, baselines, seconds = None, {}, learned.seconds
            if parts.test is not None:
                metrics, baselines, took = _test(output, data, learned, parts, conformal, fitted, command)
                seconds = {**seconds, "baselines": took}
    if work is not None:
        _write_folds(output, work, records, config, command, learned.network)
        seconds = {**seconds, "folds": seconds_of_folds}

    facts = {
        "seed": config.seed,
        "device": str(device),
        "threads": threads,
        "command": list(command),
        "started": started,
        "timings": {name: round(value, 3) for name, value in seconds.items()},
    }
    complete(output, facts, data, parts, finish)
    return RunResult(folder=output, network=learned.network, metrics=metrics, baselines=baselines)


def _write_folds(
    output: Path,
    work: Work,
    records: Sequence[Mapping[str, Any]],
    config: TrainConfig,
    command: Sequence[str],
    network: TrainedNetwork,
) -> None:
    """Write what a cross-validation shows, and remove what is only needed until it is over."""
    data, mean = work.data, out_of_fold(work, records)
    rival = rival_of(records)
    if rival is not None:
        fit_baseline(rival, data, seed=config.seed).save(output / BASELINE)
    steps = steps_after_training(command, output, data.source, rival, folds=True, vectors=network.vectors)
    found = of_folds(work, records, steps, network.temperature)
    write_predictions(output, data, mean, None)
    write_out_of_fold(output, work, records)
    found["checks"] = check_folds(output, work, mean, found["baselines"])
    write_thresholds(output, data, mean, config.prevalence)
    write_json(output / "metrics.json", found, "metrics")
    if not (output / CONFORMAL).exists():  # no part was held out besides
        known = np.flatnonzero(~np.isnan(mean).any(axis=1))
        target, y = data.labelled()
        write_json(output / CONFORMAL, Conformal.of(target, y[known], mean[known], FOLDS), "calibration")
    shutil.rmtree(output / WORK, ignore_errors=True)


def _tell_folds(report: Callable[[Progress], None], done: int, of: int) -> None:
    report(Progress(stage="folds", epoch=done, epochs=of, row={}))


def _write_learned(output: Path, learned: Learned, parts: Parts) -> Conformal | None:
    """Write the network, how it was trained, its motifs, and what its prediction sets are drawn from, if anything."""
    write_history(output, learned.history)
    motifs = filter_motifs(learned.network.module, parts.train)
    write_json(output / "motifs.json", {"motifs": motifs}, "motifs")
    learned.network.save(output)
    write_seen(output, parts.train_and_valid)
    if not learned.network.target.probabilistic:
        if learned.conformal is not None:
            write_json(output / CONFORMAL, learned.conformal, "calibration")
        return learned.conformal
    return write_conformal(output, held_out(parts), learned.network.probabilities)


def _test(
    output: Path,
    data: SequenceSet,
    learned: Learned,
    parts: Parts,
    conformal: Conformal | None,
    baselines_of_parts: Callable[[], dict[str, FittedBaseline]],
    command: Sequence[str],
) -> tuple[Metrics, dict[str, Metrics], float]:
    """Write what the test part shows of the network and of the baselines; both, and the seconds that baselines took."""
    network, seed, test = learned.network, learned.config.seed, parts.test
    assert test is not None
    before, p = network.both_probabilities(test)
    write_predictions(output, test, p, conformal)
    metrics = measure(test, p, seed)
    clock = perf_counter()
    fitted = baselines_of_parts()
    scored = score_all(fitted, test, seed)
    seconds = perf_counter() - clock
    rival = opponent(scored)
    keep(output, rival)
    steps = steps_after_training(command, output, data.source, rival and rival[0], vectors=network.vectors)
    baselines = {name: each.metrics for name, each in scored.items()}
    written = {
        **metrics.to_plain(),
        **effect_on_test(test, before, p, network.temperature, conformal),
        "baselines": {name: each.to_plain() for name, each in baselines.items()},
        "verdict": verdict_of(test, p, metrics, rival, steps, seed),
    }
    written["checks"] = check_run(output, data, parts, p, written["baselines"], learned.config)
    write_thresholds(output, test, p, learned.config.prevalence)
    write_json(output / "metrics.json", written, "metrics")
    return metrics, baselines, seconds
