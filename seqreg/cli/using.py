"""Commands that use a run folder: predict, evaluate and export."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from seqreg.cli.app import command
from seqreg.cli.going_on import (
    input_identity,
    model_identity,
    remove_unfinished,
    unfinished_file,
    vectors_identity,
)
from seqreg.cli.loading import (
    check_alphabet,
    check_vectors,
    compute_vectors,
    is_own,
    load_model,
    load_network,
    only_part,
    side_by_side,
    tell_embedded,
)
from seqreg.cli.options import (
    OUTPUT,
    BatchSize,
    Device,
    EmbedWith,
    InputOptions,
    Part,
    Prevalence,
    Run,
    Seed,
    Threads,
    Workers,
    option,
)
from seqreg.cli.scores import show_metrics, show_verdict
from seqreg.cli.terminal import Terminal
from seqreg.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqreg.evaluation import Metrics
    from seqreg.evaluation.verdict import Verdict
    from seqreg.predictors import Predictor
    from seqreg.sequences import SequenceSet

PANEL = "Models"
SETS, LONG, LISTED = "Prediction sets", "Long sequences", "Variants"

Predictions = Annotated[str, option(OUTPUT, "--output", "FILE", "The table; without it, standard output.", "-o")]
Abstain = Annotated[
    float | None,
    option(SETS, "--abstain", "COVERAGE", "Sets that hold the truth this often (0.9, say), and no call but from one."),
]
Coverage = Annotated[
    float | None,
    option(SETS, "--coverage", "COVERAGE", "Of values: intervals that hold the truth this often; 0.9 without it."),
]
Step = Annotated[
    int | None,
    option(LONG, "--scan", "STEP", "Slide windows over long sequences, STEP letters at a time, and write BED."),
]
Window = Annotated[int | None, option(LONG, "--window", "LETTERS", "Length of a window; else as trained on.")]
Threshold = Annotated[
    float | None, option(LONG, "--threshold", "P", "Only windows of at least this probability, or value.")
]
VariantList = Annotated[
    Path | None,
    option(LISTED, "--variants", "FILE", "Score variants of the sequences: id, tab, p.A12V or 12A>G a line; or VCF."),
]
AllSubstitutions = Annotated[
    bool,
    option(LISTED, "--all-substitutions", None, "Change of the score by each letter at each position, as a matrix."),
]


@command(panel=PANEL, example="seqreg predict runs/promoters new.fa.gz -o predictions.tsv")
def predict(
    terminal: Terminal,
    run: Run,
    data: InputOptions,
    output: Predictions = "-",
    abstain: Abstain = None,
    coverage: Coverage = None,
    scan: Step = None,
    window: Window = None,
    threshold: Threshold = None,
    variants: VariantList = None,
    all_substitutions: AllSubstitutions = False,
    batch_size: BatchSize = 256,
    embed_with: EmbedWith = None,
    device: Device = "auto",
    threads: Threads = None,
    workers: Workers = None,
) -> None:
    """Score sequences of any number, windows of long sequences, or variants, with a trained model.

    Without --scan, --variants and --all-substitutions: a table of id, prediction, p_CLASS ... [, prediction_set,
    decision], reason; of values id, prediction, low, high, reason.
    """
    from seqreg.cli import predicting
    from seqreg.sequences import read_ahead, read_seen
    from seqreg.unfinished import unfinished
    from seqreg.writing import refuse_folder

    modes = {"--abstain": abstain, "--coverage": coverage, "--scan": scan, "--variants": variants}
    modes |= {"--all-substitutions": all_substitutions or None}
    chosen = [name for name, value in modes.items() if value is not None]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} do not go together: run predict once for each")
    if scan is None and (threshold is not None or (window is not None and variants is None)):
        raise UsageError("--window and --threshold are for --scan STEP")
    if embed_with and not (all_substitutions or scan is not None or variants is not None):
        asked = "--scan, --variants and --all-substitutions"
        raise UsageError(f"--embed-with is for {asked}; give vectors of whole sequences by --vectors")
    if output != "-":
        refuse_folder(output)
    model = load_model(terminal, run, device, threads, batch_size)
    predicting.check_modes(model.target, abstain=abstain, coverage=coverage, threshold=threshold)
    tables, language_models = data.tables(), {}
    if scan is not None or variants is not None or all_substitutions:
        language_models = compute_vectors(model, embed_with or (), device)
    read = None if variants is not None else input_identity(data.spec())
    about = {"read": read, "scan": scan, "window": window, "threshold": threshold}
    about |= {"all_substitutions": True} if all_substitutions else {}
    about |= {**model_identity(run, device), "abstain": abstain, "coverage": coverage, "batch_size": batch_size}
    about |= {"embed_with": embed_with} if embed_with else {}
    about |= {"vectors": vectors_identity(data.vectors)} if data.vectors else {}
    kept = None if output == "-" or read is None else unfinished_file(Path(output))
    with terminal.progress("Scored") as moved, unfinished(kept, **about) as once:
        tell_embedded(language_models, moved)
        few = 1 if embed_with else workers  # a language model fits into memory once
        processes = partial(side_by_side, terminal, few, threads, getattr(model, "device", None), once)
        if scan is not None:
            pieces = predicting.make_scan(model, data.spec(), scan, window)
            columns = predicting.bed_columns(model)
            least = -math.inf if threshold is None else threshold
            _write(terminal, output, columns, predicting.window_rows(model, pieces, least, processes(), moved))
        elif variants is not None:
            from seqreg.sensitivity.variants import columns_of

            pieces = None
            _write(
                terminal,
                output,
                columns_of(model.target),
                predicting.variant_rows(terminal, model, data, variants, window),
            )
        elif all_substitutions:
            from seqreg.sensitivity.substitutions import columns_of_substitutions

            # What a language model has to embed is much for each sequence: it shows, and is kept, one by one.
            pieces = predicting.stream(model, data.spec(), 1 if language_models else predicting.MUTATED)
            rows = predicting.substitution_rows(model, pieces, processes(), moved)
            _write(terminal, output, columns_of_substitutions(model), rows)
        else:
            level, conformal = predicting.held_to(model.target, run, abstain, coverage)
            pieces = predicting.stream(model, data.spec())
            scores = predicting.Scores(model=model, conformal=conformal, coverage=level, seen=read_seen(run))
            rows = scores.rows(read_ahead(predicting.with_embeddings(model, pieces, tables)), processes(), moved)
            _write(terminal, output, predicting.sequence_columns(model, conformal), rows)
            terminal.warn(scores.warnings())
    terminal.warn(pieces.warnings if pieces is not None else ())
    if output != "-":
        remove_unfinished(Path(output))
        terminal.wrote(Path(output))


def _write(terminal: Terminal, output: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as the rows come: into a file, or to standard output, with --json as a line of JSON each.

    Nothing is printed before the first row: what reads on should see no table where the input is refused.
    """
    from seqreg.records import write_rows, write_tsv

    if output != "-":
        write_tsv(output, columns, rows)
    elif terminal.as_json:
        for row in rows:
            print(json.dumps(dict(zip(columns, row, strict=True))))
    else:
        rows = iter(rows)
        first = list(islice(rows, 1))
        write_rows(sys.stdout, columns, chain(first, rows))


MetricsFile = Annotated[
    Path | None, option(OUTPUT, "--output", "FILE", "The metrics as JSON; beside it FILE.thresholds.tsv.", "-o")
]


@command(panel=PANEL, example="seqreg evaluate runs/promoters test.csv -o metrics.json")
def evaluate(
    terminal: Terminal,
    run: Run,
    data: InputOptions,
    output: MetricsFile = None,
    part: Part = None,
    prevalence: Prevalence = None,
    batch_size: BatchSize = 256,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure a trained model on labelled sequences, with bootstrap 95 % intervals.

    Also what calibration did, and how often prediction sets (predict --abstain) hold the truth.
    """
    from seqreg.checks import Evidence, find_all
    from seqreg.evaluation import evaluate as measure
    from seqreg.evaluation.calibration import held_out_effect
    from seqreg.evaluation.conformal import load_conformal
    from seqreg.evaluation.thresholds import COLUMNS as THRESHOLDS
    from seqreg.evaluation.thresholds import threshold_rows
    from seqreg.records import to_plain, write_json, write_tsv
    from seqreg.sequences import in_terms_of
    from seqreg.writing import is_stream, refuse_folder

    if output is not None:
        refuse_folder(output)
    model = load_model(terminal, run, device, threads, batch_size)
    check_alphabet(model, data.spec())
    sequences = data.read(
        terminal, require_labels=True, min_classes=1, alphabet=model.alphabet.name, task=model.target.task
    )
    check_vectors(model, sequences.vectors)
    own = is_own(run, sequences)
    sequences = only_part(terminal, run, sequences, part)
    sequences = in_terms_of(sequences, model.target)
    target, y = sequences.labelled()
    before, p = model.both_probabilities(sequences)
    conformal = load_conformal(run)
    found = measure(target, y, p, groups=sequences.group, split=part or "all", seed=seed)
    metrics = found.to_plain()
    metrics |= held_out_effect(
        target,
        y,
        before,
        p,
        temperature=model.temperature,
        conformal=conformal,
        unseen=not own or (part == "test" and (conformal is None or conformal.part != "test")),
    )
    seen = own and part != "test"
    evidence = Evidence(data=sequences, tested=sequences, p=p, seed=seed)
    metrics["checks"] = to_plain(find_all(evidence))
    metrics["verdict"] = None if seen else to_plain(_verdict(run, model, data.words, part, sequences, p, found, seed))
    thresholds = threshold_rows(target, y, p, prevalence)
    if output is not None:
        if thresholds and not is_stream(output):
            write_tsv(output.with_suffix(".thresholds.tsv"), THRESHOLDS, thresholds)
        write_json(output, metrics, "metrics")
    if terminal.as_json:
        terminal.json(metrics, "metrics")
    elif output is None or not terminal.quiet:
        show_metrics(terminal, metrics)
    if output is not None:
        terminal.note(f"Wrote {output}")
    show_verdict(terminal, metrics)


def _verdict(
    run: Path,
    model: "Predictor",
    words: Sequence[str],
    part: str | None,
    sequences: "SequenceSet",
    p: "NDArray[np.float64]",
    metrics: "Metrics",
    seed: int,
) -> "Verdict | None":
    """The verdict beside the baseline that the run keeps; beside chance where it keeps none that reads these."""
    from seqreg.evaluation.verdict import judge
    from seqreg.training.judging import kept_baseline
    from seqreg.training.next_steps import steps_after_evaluation

    rival, (target, y) = kept_baseline(run), sequences.labelled()
    against = None
    if rival is not None and rival.reads(sequences) and rival.target.names == target.names:
        against = (rival.name, rival.probabilities(sequences))
    own = next((metrics.intervals[name] for name in target.headline if metrics.values[name] is not None), None)
    found = judge(target, y, p, against, groups=sequences.group, own=own, seed=seed)
    steps = steps_after_evaluation(run, words, part, model.vectors, () if rival is None else rival.vectors)
    return None if found is None else found.advising(steps)


Form = Annotated[
    Literal["onnx", "safetensors"],
    option(OUTPUT, "--format", None, "A graph for other programs, or the weights with a description.", default=True),
]
ExportFile = Annotated[Path, option(OUTPUT, "--output", "FILE", "Where the model goes.", "-o")]


@command(panel=PANEL, example="seqreg export runs/promoters --format onnx -o promoters.onnx")
def export(terminal: Terminal, run: Run, output: ExportFile, form: Form = "onnx") -> None:
    """Write a trained model for other programs.

    onnx: inputs x, one-hot (N, letters, L), and lengths (N,); outputs logits and probabilities. Needs the extra export.
    safetensors: the weights, and beside them FILE.json with all that describes the model.
    """
    from seqreg.export import export_onnx, export_safetensors

    if form == "onnx":
        export_onnx(load_network(terminal, run, "cpu", None), output)
    else:
        export_safetensors(load_model(terminal, run, "cpu", None, 1), output)
    terminal.wrote(output)
