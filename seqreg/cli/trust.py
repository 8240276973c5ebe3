"""Commands about how far a network can be trusted: robustness and norm."""

from pathlib import Path
from typing import Annotated, Any

from seqreg.cli.app import command
from seqreg.cli.going_on import file_identity, model_identity, remove_unfinished, unfinished_file
from seqreg.cli.loading import by_fold, compute_vectors, load_network, only_part, side_by_side, tell_embedded
from seqreg.cli.options import (
    EDITS,
    FITTING,
    OUTPUT,
    BatchSize,
    Device,
    EmbedWith,
    InputOptions,
    Part,
    Run,
    Seed,
    Threads,
    Workers,
    option,
)
from seqreg.cli.terminal import Terminal
from seqreg.errors import UsageError
from seqreg.specs import unknown_name

PANEL = "Models"
KINDS = ["substitution", "insertion", "deletion"]
Sample = Annotated[int, option(FITTING, "--sample", "N", "Sequences looked at for lower bounds.", default=True)]
Figures = Annotated[Path | None, option(OUTPUT, "--output", "FILE", "All figures as JSON.", "-o")]


@command(panel=PANEL, example="seqreg robustness runs/promoters test.csv -o robustness.json --max-substitutions 3")
def robustness(
    terminal: Terminal,
    run: Run,
    data: InputOptions,
    output: Figures = None,
    part: Part = None,
    max_substitutions: Annotated[
        int, option(EDITS, "--max-substitutions", "N", "Edits of each sequence, at most.", default=True)
    ] = 5,
    edits: Annotated[
        str, option(EDITS, "--edits", "KIND+...", "Of substitution, insertion and deletion.", default=True)
    ] = "substitution",
    allowed: Annotated[
        str,
        option(
            EDITS,
            "--allowed",
            "RULE|FILE",
            "any, blosum62:1, transitions, synonymous:0, or a table of position, letters [, id].",
            default=True,
        ),
    ] = "any",
    protect: Annotated[
        Path | None, option(EDITS, "--protect", "FILE", "Regions that never change: BED, table, or masked FASTA.")
    ] = None,
    beam: Annotated[int, option(EDITS, "--beam", "N", "Variants kept while searching; 1 is greedy.", default=True)] = 1,
    pairs: Annotated[
        int,
        option(EDITS, "--pairs", "N", "Of substitutions, tried at most where two are not settled.", default=True),
    ] = 30_000,
    tolerance: Annotated[
        float | None,
        option(
            EDITS, "--tolerance", "X", "Of values: a prediction that moves by at most X, in their unit, has not moved."
        ),
    ] = None,
    sample: Annotated[int | None, option(FITTING, "--sample", "N", "Only N sequences, chosen by class.")] = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    embed_with: EmbedWith = None,
    device: Device = "auto",
    threads: Threads = None,
    workers: Workers = None,
) -> None:
    """Accuracy after the worst edits that were found, and whatever the edits are, for 0, 1, 2, ... edits.

    Of values: how far predictions move, found and proved, and the share that moves by at most --tolerance. With -o
    x.json, x.tsv beside it says for every sequence what changes its prediction, and x.svg shows the curves and the
    positions that are edited most.
    """
    from seqreg.records import write_json, write_tsv
    from seqreg.report import write_robustness_figure
    from seqreg.sensitivity import robustness as of_calls
    from seqreg.sensitivity import shifts as of_values
    from seqreg.sequences import editable, file_and_sheet, in_terms_of
    from seqreg.sequences.splits import train_subset
    from seqreg.training.claim import note_written
    from seqreg.unfinished import unfinished
    from seqreg.writing import is_stream, refuse_folder

    if output is not None:
        refuse_folder(output)
    network = load_network(terminal, run, device, threads)
    called = network.target.probabilistic
    columns = of_calls.COLUMNS if called else of_values.COLUMNS
    if called and tolerance is not None:
        raise UsageError("--tolerance is for values; a class stays or changes")
    language_models = compute_vectors(network, embed_with or (), device)
    kinds = edits.split("+")
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("kind of edit", kind, KINDS)
    sequences = data.read(
        terminal, require_labels=True, min_classes=1, alphabet=network.alphabet.name, task=network.target.task
    )
    unseen = by_fold(terminal, run, sequences, device, language_models) if part is None else None
    if unseen is None:
        sequences = only_part(terminal, run, sequences, part)
    sequences = in_terms_of(sequences, network.target)
    if sample is not None and sample < len(sequences):
        rows = train_subset(sequences, sample, seed=seed, by="stratified")
        sequences, unseen = sequences.subset(rows), None if unseen is None else unseen.subset(rows)
    table = allowed if file_and_sheet(allowed)[0].is_file() else None
    mask = None if protect is None and table is None else editable(sequences, protect=protect, allowed=table)
    asked: dict[str, Any] = {
        "max_substitutions": max_substitutions,
        "edits": kinds,
        "rule": "any" if table else allowed,
        "beam": beam,
        "batch_size": batch_size,
        **({"pairs": pairs} if called else {"tolerance": tolerance}),
    }
    about = {**asked, **model_identity(run, device), "sha256": sequences.sha256, "names": sequences.names}
    about |= {"embed_with": embed_with} if embed_with else {}
    about |= {} if unseen is None else {"folds": unseen.fold.tolist()}
    about |= {name: file_identity(path) for name, path in (("allowed", table), ("protect", protect)) if path}
    with terminal.progress("Attacked") as moved, unfinished(unfinished_file(output), **about) as once:
        tell_embedded(language_models, moved)
        few = 1 if embed_with else workers  # a language model fits into memory once
        spread = side_by_side(terminal, few, threads, network.device, once)
        evaluate: Any = of_calls.evaluate_robustness if called else of_values.evaluate_shifts
        found = evaluate(network, sequences, unseen=unseen, mask=mask, spread=spread, progress=moved, **asked)
    if output is not None:
        rows = found.rows()
        table, figure = output.with_suffix(".tsv"), output.with_suffix(".svg")
        note_written(output.parent, [path.name for path in (output, table, figure)])
        write_json(output, found.to_plain(), "robustness")
        if not is_stream(output):
            write_tsv(table, columns, rows)
            write_robustness_figure(found.to_plain(), [row[columns.index("edits")] for row in rows], figure)
        remove_unfinished(output)
    if terminal.as_json:
        terminal.json(found.to_plain(), "robustness")
    elif output is None or not terminal.quiet:
        _show_robustness(terminal, found, called=called)
    _saved(terminal, run, output)


def _show_robustness(terminal: Terminal, found: Any, *, called: bool) -> None:
    if called:
        accuracies = zip(found.substitutions, found.attacked_accuracy, found.certified_accuracy, strict=True)
        terminal.table(("edits", "attacked accuracy", "certified accuracy"), list(accuracies))
        return
    about = found.to_plain()
    shifts = [about[name]["median"] for name in ("attacked_shift", "certified_shift")]
    shares = [about[name] for name in ("attacked_within", "certified_within")]
    unit = f" ({found.unit})" if found.unit else ""
    head = (f"median attacked shift{unit}", f"certified{unit}", f"attacked within {found.tolerance:.3g}", "certified")
    terminal.table(("edits", *head), list(zip(found.substitutions, *shifts, *shares, strict=True)))


@command(panel=PANEL, example="seqreg norm runs/promoters test.csv -o norm.json")
def norm(
    terminal: Terminal,
    run: Run,
    data: InputOptions,
    output: Figures = None,
    sample: Sample = 200,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    workers: Workers = None,
) -> None:
    """Bound how fast a network can change its mind: from above for all inputs, from below on sequences.

    Of a cross-validated run, on its own input: the largest figures of the networks of the folds, each on what it had
    not seen.
    """
    from seqreg.records import to_plain, write_json
    from seqreg.sensitivity.norm import norm_of_folds, norm_report
    from seqreg.sequences import in_terms_of
    from seqreg.training.claim import note_written
    from seqreg.writing import refuse_folder

    if output is not None:
        refuse_folder(output)
    network = load_network(terminal, run, device, threads)
    sequences, unseen = None, None
    if data.given:
        sequences = data.read(terminal, alphabet=network.alphabet.name, task=network.target.task)
        unseen = by_fold(terminal, run, sequences, device)
        sequences = in_terms_of(sequences, network.target)
    with terminal.progress("Climbed from sequences, some at a time:") as moved:
        spread = side_by_side(terminal, workers, threads, network.device)
        how: dict[str, Any] = {"sample": sample, "seed": seed, "spread": spread, "progress": moved}
        if unseen is not None and sequences is not None:
            found = norm_of_folds(unseen, sequences, **how)
        else:
            found = norm_report(network, sequences, **how)
    report: dict[str, Any] = to_plain(found)
    if output is not None:
        note_written(output.parent, [output.name])
        write_json(output, report, "norm")
    if terminal.as_json:
        terminal.json(report, "norm")
    elif output is None or not terminal.quiet:
        _show_norm(terminal, report)
    _saved(terminal, run, output)


def _saved(terminal: Terminal, run: Path, output: Path | None) -> None:
    """Say where the figures are; inside the run's folder, the report shows them too."""
    if output is None:
        return
    terminal.note(f"Wrote {output}")
    if output.resolve().parent == run.resolve() and (run / "report.html").exists():
        from seqreg.report import write_report

        write_report(run)
        terminal.note(f"Report: {run / 'report.html'}")


def _show_norm(terminal: Terminal, report: dict[str, Any]) -> None:
    rows = [(f"norm of {row['name']}, reshaped", row["reshaped_norm"]) for row in report["layers"]]
    rows += [(f"norm of {row['name']}, upper bound", row["operator_norm_upper_bound"]) for row in report["layers"]]
    rows += [
        ("Lipschitz constant, upper bound", report["lipschitz_upper_bound"]),
        ("RKHS norm, upper bound", report["rkhs"]["upper_bound"]),
    ]
    rows += [(f"lower bound, {name}", value) for name, value in report["lower_bounds"].items()]
    margin = report["margin_bound"]
    if margin is not None:
        rows += [("training margin g, tenth percentile", margin["margin"])]
        rows += [("norm / (g sqrt(n)), the margin bound's term", margin["complexity_term"])]
        terminal.note(margin["remark"])
    terminal.table(("figure", "value"), [row for row in rows if row[1] is not None])
