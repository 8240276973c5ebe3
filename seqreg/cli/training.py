"""Commands that make a run folder: train, tune and baseline."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from seqreg.cli.app import command
from seqreg.cli.options import (
    MACHINE,
    NETWORK,
    OUTPUT,
    PARTS,
    SEARCH,
    By,
    Identity,
    InputOptions,
    LeaveOut,
    Output,
    Overwrite,
    PartOptions,
    Positive,
    Prevalence,
    ReverseComplement,
    Seed,
    Similarity,
    TrainSize,
    option,
)
from seqreg.cli.scores import show_metrics, show_verdict
from seqreg.cli.terminal import Moved, Terminal
from seqreg.errors import UsageError
from seqreg.settings import TrainSettings

if TYPE_CHECKING:
    from seqreg.sequences import SequenceSet
    from seqreg.training import CrossValidation, Progress, TrainConfig
    from seqreg.tuning import Outcome
    from seqreg.tuning import Progress as SearchProgress

PANEL = "Models"
MAX_LENGTH = 10_000
UNSHOWN = ("epoch", "learning_rate")
STAGES = {"folds": "Fold", "training": "Epoch", "calibration": "Calibration epoch", "baselines": "Baseline"}
RESOLVED = ("model", "encoding", "penalty", "constraint", "attack", "augment", "positive", "device", "epochs")

Workers = Annotated[
    int | None, option(MACHINE, "--workers", "N", "Processes of one thread each; one per core without it.")
]
Resume = Annotated[bool, option(OUTPUT, "--resume", "", "Continue an interrupted run; start if there is none.")]


@command(panel=PANEL, example="seqreg train --pos pos.fa.gz --neg neg.fa.gz -o runs/promoters --penalty gradient")
def train(
    terminal: Terminal,
    data: InputOptions,
    output: Output,
    parts: PartOptions,
    settings: TrainSettings,
    folds: Annotated[
        int | None,
        option(PARTS, "--folds", "K", "Cross-validate: 5 folds twice below 500 sequences; 0 for one test part."),
    ] = None,
    repeats: Annotated[int | None, option(PARTS, "--repeats", "R", "Draw the folds R times.")] = None,
    learning_curve: Annotated[
        bool, option(PARTS, "--learning-curve", "", "Would more data help? Train on shares of every fold's rest too.")
    ] = False,
    workers: Workers = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a network on labelled sequences, test it beside k-mer baselines, and write a report.

    Below 500 sequences without a split, --test or --folds, it is cross-validated: every fold is held out in turn, and
    what is kept is trained on all.
    """
    from seqreg.report import write_report
    from seqreg.training import choose_device
    from seqreg.training import train as run_training
    from seqreg.workers import usual_processes

    config = _config(settings, parts)
    sequences, sets = _read(terminal, data, parts, settings.by)
    validation = _cross_validation(terminal, sequences, parts, config, folds, repeats)
    if learning_curve and validation is None:
        raise UsageError("--learning-curve is measured on folds: give --folds K")
    processes = usual_processes(workers, alone=choose_device(config.device).type == "cuda")
    if validation is not None:
        validation = replace(validation, learning_curve=learning_curve)
        validation = replace(validation, workers=min(validation.total, processes))
    try:
        with terminal.progress("Epoch") as moved:
            result = run_training(
                sequences,
                config,
                output,
                **sets,
                folds=validation,
                workers=processes,
                command=terminal.command,
                resume=resume,
                overwrite=overwrite,
                chosen=partial(_say_choice, terminal),
                report=lambda progress: _show_epoch(moved, progress),
                finish=write_report,
            )
    except KeyboardInterrupt:
        terminal.note(f"Stopped. The same command with --resume continues {output}")
        raise
    _show_run(terminal, result.folder)


@command(panel=PANEL, example="seqreg tune amp -o runs/amp --budget 10")
def tune(
    terminal: Terminal,
    data: InputOptions,
    output: Output,
    parts: PartOptions,
    settings: TrainSettings,
    trials: Annotated[
        int | None, option(SEARCH, "--trials", "N", "Settings tried, at most; 30 where no budget is given.")
    ] = None,
    budget: Annotated[
        float | None, option(SEARCH, "--budget", "MINUTES", "Time for trying; then what was chosen is trained.")
    ] = None,
    folds: Annotated[int, option(SEARCH, "--folds", "K", "Folds of the cross-validation.", default=True)] = 3,
    ensemble: Annotated[
        bool, option(SEARCH, "--ensemble", "", "Of what is chosen, train one CNN without each fold and average them.")
    ] = False,
    workers: Workers = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Choose network and regularization by cross-validation in the training part, then train and test what was chosen.

    Options that are given are kept; what they leave open is chosen. A k-mer baseline that does better is kept instead.
    """
    from seqreg.report import write_report
    from seqreg.tuning import Halving
    from seqreg.tuning import tune as run_tuning

    effort = Halving(trials=trials, budget=budget, folds=folds, workers=workers, ensemble=ensemble)
    config = _config(settings, parts)
    sequences, sets = _read(terminal, data, parts, settings.by)

    def found(outcome: "Outcome") -> None:
        terminal.note("\n".join([f"Chosen: {outcome.what}", *outcome.why]))

    try:
        with terminal.progress("Training") as moved:
            result = run_tuning(
                sequences,
                config,
                output,
                effort,
                **sets,
                command=terminal.command,
                resume=resume,
                overwrite=overwrite,
                report=lambda progress: moved(progress.trainings, remark=_remark(progress)),
                found=found,
                training=lambda progress: _show_epoch(moved, progress),
                finish=write_report,
            )
    except KeyboardInterrupt:
        terminal.note(f"Stopped. The same command with --resume continues {output}")
        raise
    _show_run(terminal, result.folder)


@command(panel=PANEL, example="seqreg baseline splice -o runs/kmers")
def baseline(
    terminal: Terminal,
    data: InputOptions,
    output: Output,
    parts: PartOptions,
    model: Annotated[
        str | None,
        option(
            NETWORK, "--model", "NAME", "kmer-logistic, kmer-svm, one-hot-logistic, vectors, majority, or the best."
        ),
    ] = None,
    by: By = None,
    similarity: Similarity = 0.3,
    identity: Identity = 0.7,
    leave_out: LeaveOut = False,
    train_size: TrainSize = None,
    reverse_complement: ReverseComplement = None,
    positive: Positive = None,
    prevalence: Prevalence = None,
    seed: Seed = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Train linear models on k-mers, tuned by cross-validation, and keep the best of them."""
    from seqreg.report import write_report
    from seqreg.training import TrainConfig, train_baseline

    config = TrainConfig(
        **parts.shares,
        by=by,
        similarity=similarity,
        identity=identity,
        leave_out=leave_out,
        train_size=train_size,
        reverse_complement=reverse_complement,
        positive=positive,
        prevalence=prevalence,
        seed=seed,
    )
    sequences, sets = _read(terminal, data, parts, by)
    best = train_baseline(
        sequences,
        config,
        output,
        baseline=model,
        **sets,
        command=terminal.command,
        resume=resume,
        overwrite=overwrite,
        finish=write_report,
    )
    features = best.describe()["features"] or {}
    settings = ", ".join(f"{name} {value}" for name, value in {**features, "c": best.c}.items() if name != "name")
    terminal.note(f"Model: {best.name}: {settings}")
    if best.target.positive is not None:
        terminal.note(f"Positive: {best.target.positive}")
    _show_run(terminal, output)


def _cross_validation(
    terminal: Terminal,
    sequences: "SequenceSet",
    parts: PartOptions,
    config: "TrainConfig",
    folds: int | None,
    repeats: int | None,
) -> "CrossValidation | None":
    """What is asked for, or what a small set without a split has by itself; None for one test part."""
    from seqreg.training import CrossValidation, usual
    from seqreg.training.folds import SMALL

    given = parts.test is not None or parts.splits is not None or sequences.split is not None
    if folds is None:
        if repeats is not None:
            raise UsageError("--repeats draws the folds of --folds K again")
        chosen = None if given or config.train_size is not None else usual(sequences)
        if chosen is None:
            return None
        terminal.note(
            f"Fewer than {SMALL} sequences: {chosen.folds} folds, drawn {chosen.repeats} times, are held out in turn "
            "(--folds 0 holds out one test part)"
        )
    elif folds == 0:
        return None
    else:
        if parts.test is not None or parts.splits is not None:
            raise UsageError("--folds holds out every sequence in turn: leave out --test and --splits")
        chosen = CrossValidation(folds=folds, repeats=repeats or 1)
    return chosen


def _config(settings: TrainSettings, parts: PartOptions) -> "TrainConfig":
    """What the options say of a training; `--penalty none` is no penalty instead of the default one."""
    from seqreg.training import TrainConfig

    given = settings.get_params()
    if given["penalty"] == ("none",):
        given["penalty"] = ()
    return TrainConfig(**given, **parts.shares)


def _read(
    terminal: Terminal, data: InputOptions, parts: PartOptions, by: str | None
) -> tuple["SequenceSet", dict[str, Any]]:
    """The sequences to divide and train on, and the validation and test parts that are inputs of their own."""
    sequences = data.read(terminal, require_labels=True, max_length=data.max_length or MAX_LENGTH)
    same = {"alphabet": sequences.alphabet.name, "gaps": data.gaps, "max_length": data.max_length}
    same |= {"vectors": data.vectors, "unit": data.unit, "target": data.target}
    same["task"] = None if sequences.target is None else sequences.target.task
    sets = {
        name: InputOptions(input=text, **same).read(terminal, require_labels=True, min_classes=1)
        for name, text in parts.inputs.items()
    }
    return parts.divide(sequences, by), sets


def _remark(progress: "SearchProgress") -> str:
    words = [f"trial {progress.trials}" + (f" of {progress.most}" if progress.most else "")]
    if progress.best is not None:
        words.append(f"best {progress.metric} {progress.best[1]:.3f} ({progress.best[0]})")
    return ", ".join(words)


def _say_choice(terminal: Terminal, config: "TrainConfig", reasons: Sequence[str]) -> None:
    """What is trained, every choice made, and why where evidence made it."""
    for reason in reasons:
        terminal.note(reason)
    values = config.to_plain()
    for name in RESOLVED:
        if values[name] not in (None, []):
            said = values[name]
            terminal.note(f"{name.capitalize()}: {', '.join(said) if isinstance(said, list) else said}")


def _show_epoch(moved: Moved, progress: "Progress") -> None:
    """An epoch and its losses."""
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in progress.row.items() if name not in UNSHOWN)
    moved(progress.epoch, progress.epochs, numbers, STAGES[progress.stage])


def _show_run(terminal: Terminal, folder: Path) -> None:
    """The headline of a finished run."""
    from seqreg.records import read_json

    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").exists() else None
    if terminal.as_json:
        terminal.json({"output": folder, "metrics": metrics}, "printed")
        return
    if metrics is not None and not terminal.quiet:
        show_metrics(terminal, metrics)
    terminal.note(f"Wrote {folder}")
    if (folder / "report.html").exists():
        terminal.note(f"Report: {folder / 'report.html'}")
    show_verdict(terminal, metrics or {})
