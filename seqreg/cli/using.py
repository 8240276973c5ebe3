"""Commands that use a run folder: predict and evaluate."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from seqreg.cli.app import command
from seqreg.cli.loading import Model, check_alphabet, load_model, only_part
from seqreg.cli.options import OUTPUT, BatchSize, Device, InputOptions, Part, Run, Seed, Threads, option
from seqreg.cli.scores import show_metrics
from seqreg.cli.terminal import Moved, Terminal

if TYPE_CHECKING:
    from seqreg.sequences import SequenceSet

PANEL = "Models"
PIECE = 8192  # sequences read, sorted by length and scored at a time


Predictions = Annotated[
    str, option(OUTPUT, "--output", "FILE", "A table: id, prediction, p_CLASS ...; without it, standard output.", "-o")
]


@command(panel=PANEL, example="seqreg predict runs/promoters new.fa.gz -o predictions.tsv")
def predict(
    terminal: Terminal,
    run: Run,
    data: InputOptions,
    output: Predictions = "-",
    batch_size: BatchSize = 256,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Score sequences of any number with a trained model."""
    from seqreg.records import write_tsv
    from seqreg.sequences import read_ahead, stream_batches

    model = load_model(terminal, run, device, threads, batch_size)
    pieces = stream_batches(check_alphabet(model, data.spec()), model.alphabet, batch=PIECE)
    columns = ("id", "prediction", *(f"p_{name}" for name in model.classes))
    with terminal.progress("Scored") as moved:
        rows = _predictions(model, read_ahead(pieces), moved)
        if output == "-" and terminal.as_json:
            for row in rows:
                print(json.dumps(dict(zip(columns, row, strict=True))))
        elif output == "-":
            writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        else:
            write_tsv(output, columns, rows)
    terminal.warn(pieces.warnings)
    if output != "-":
        terminal.wrote(Path(output))


def _predictions(model: Model, pieces: "Iterable[SequenceSet]", moved: Moved) -> Iterator[tuple[str, ...]]:
    done = 0
    for sequences in pieces:
        p = model.probabilities(sequences)
        if model.multi_label:
            called = [_labels(model.classes, row) for row in (p >= 0.5).tolist()]
        else:
            called = [model.classes[k] for k in p.argmax(axis=1).tolist()]
        for name, call, row in zip(sequences.names, called, p.tolist(), strict=True):
            yield (name, call, *[f"{value:.6g}" for value in row])
        done += len(sequences)
        moved(done)


def _labels(classes: tuple[str, ...], on: list[bool]) -> str:
    """The labels of a multi-label prediction, joined as they are on input."""
    return ";".join(name for name, called in zip(classes, on, strict=True) if called)


MetricsFile = Annotated[Path | None, option(OUTPUT, "--output", "FILE", "The metrics as JSON.", "-o")]


@command(panel=PANEL, example="seqreg evaluate runs/promoters test.csv -o metrics.json")
def evaluate(
    terminal: Terminal,
    run: Run,
    data: InputOptions,
    output: MetricsFile = None,
    part: Part = None,
    batch_size: BatchSize = 256,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure a trained model on labelled sequences, with bootstrap 95 % intervals."""
    from seqreg.evaluation import evaluate as measure
    from seqreg.records import write_json
    from seqreg.sequences import with_classes

    model = load_model(terminal, run, device, threads, batch_size)
    check_alphabet(model, data.spec())
    sequences = data.read(terminal, require_labels=True, min_classes=1, alphabet=model.alphabet.name)
    sequences = only_part(terminal, run, sequences, part)
    sequences = with_classes(sequences, model.classes, multi_label=model.multi_label)
    assert sequences.y is not None
    metrics = measure(
        sequences.y,
        model.probabilities(sequences),
        model.classes,
        model.positive,
        multi_label=model.multi_label,
        split=part or "all",
        seed=seed,
    ).to_plain()
    if output is not None:
        write_json(output, metrics)
    if terminal.as_json:
        terminal.json(metrics)
    elif output is None or not terminal.quiet:
        show_metrics(terminal, metrics)
    if output is not None:
        terminal.note(f"Wrote {output}")
