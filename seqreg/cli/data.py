"""Commands about data: named sets, validated stores, splits."""

import shlex
from dataclasses import replace
from typing import Annotated, Any, Literal

import typer

from seqreg.cli.app import app, command
from seqreg.cli.options import By, Identity, InputOptions, LeaveOut, Output, Positive, Seed, Similarity
from seqreg.cli.terminal import Terminal

PANEL = "Data"

datasets = typer.Typer(help="Named data sets: those that come with seqreg, and folders on the path SEQREG_DATA.")
app.add_typer(datasets, name="datasets", rich_help_panel=PANEL)

SetName = Annotated[str, typer.Argument(metavar="NAME", help="A data set, or a folder with a dataset.toml.")]


@command(panel=PANEL, group=datasets, name="list", example="seqreg datasets list --json")
def list_(terminal: Terminal) -> None:
    """Every named data set in a line."""
    from seqreg.sequences import list_data_sets, unreadable_data_sets

    found = list_data_sets()
    terminal.warn(f"{name} is left out: {error}" for name, error in unreadable_data_sets().items())
    if terminal.as_json:
        terminal.json({"datasets": found}, "printed")
        return
    rows = [(each.name, each.alphabet, each.kind, each.sequences, len(each.classes), each.title) for each in found]
    terminal.table(("name", "alphabet", "kind", "sequences", "classes", "title"), rows)


@command(panel=PANEL, group=datasets, example="seqreg datasets show splice")
def show(terminal: Terminal, name: SetName) -> None:
    """What is known about a data set: classes, origin, licence, checksum."""
    from seqreg.records import to_plain
    from seqreg.sequences import find_data_set

    about: dict[str, Any] = to_plain(find_data_set(name))
    if terminal.as_json:
        terminal.json(about, "printed")
        return
    texts = {key: ", ".join(map(str, value)) if isinstance(value, list) else value for key, value in about.items()}
    terminal.table(("entry", "value"), [(key, value) for key, value in texts.items() if value not in (None, "")])


@command(panel=PANEL, group=datasets, example="seqreg datasets check splice")
def check(
    terminal: Terminal, name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)] = None
) -> None:
    """Read a data set (without a name: all of them) and compare it with its checksum and description."""
    from seqreg.errors import InputError
    from seqreg.sequences import DataSetCheck, check_data_set, list_data_sets, unreadable_data_sets

    names = [each.name for each in list_data_sets()] if name is None else [name]
    checks = [check_data_set(each) for each in names]
    if name is None:
        checks += [
            DataSetCheck(name=each, sequences=0, classes={}, problem=str(error))
            for each, error in unreadable_data_sets().items()
        ]
    if terminal.as_json:
        terminal.json({"checks": checks}, "printed")
    else:
        rows = [(each.name, each.sequences, _counts(each.classes), each.problem or "ok") for each in checks]
        terminal.table(("name", "sequences", "classes", "result"), rows)
    wrong = [each for each in checks if each.problem]
    if wrong:
        raise InputError(
            f"{len(wrong)} of {len(checks)} data sets are not as described: {wrong[0].name}: {wrong[0].problem}"
        )


def _counts(classes: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in classes.items()) or "-"


@command(panel=PANEL, example="seqreg encode --pos pos.fa.gz --neg neg.fa.gz -o sequences.h5")
def encode(terminal: Terminal, data: InputOptions, output: Output, positive: Positive = None) -> None:
    """Check sequences and write them to an HDF5 store, which loads at once."""
    from seqreg.sequences import with_positive, write_store

    sequences = data.read(terminal)
    if positive is not None:
        sequences = with_positive(sequences, positive)
    write_store(output, sequences)
    terminal.wrote(
        output, {"sequences": len(sequences), "letters": int(sequences.offsets[-1]), "sha256": sequences.sha256}
    )


@command(panel=PANEL, example="seqreg split proteins.fa -o splits.tsv --by homology --similarity 0.3")
def split(
    terminal: Terminal,
    data: InputOptions,
    output: Output,
    test: Annotated[float, typer.Option("--test", metavar="FRACTION", help="Share of all for testing.")] = 0.2,
    valid: Annotated[
        float, typer.Option("--valid", metavar="FRACTION", help="Share of the rest for validation.")
    ] = 0.15,
    folds: Annotated[
        int | None, typer.Option("--folds", metavar="K", help="Folds for cross-validation instead.")
    ] = None,
    by: By = None,
    similarity: Similarity = 0.3,
    identity: Identity = 0.7,
    leave_out: LeaveOut = False,
    tool: Annotated[
        Literal["kmers", "mmseqs"],
        typer.Option(
            "--tool",
            help="What clusters homologous sequences before they are aligned: shared k-mers, or an installed mmseqs.",
        ),
    ] = "kmers",
    seed: Seed = 0,
) -> None:
    """Divide sequences into train, validation and test parts, or into folds."""
    from seqreg.sequences import folds as into_folds
    from seqreg.sequences import holdout, part_sizes

    sequences = data.read(terminal)
    how: dict[str, Any] = {"by": by, "similarity": similarity, "identity": identity, "tool": tool, "seed": seed}
    how["leave_out"] = leave_out
    parts = holdout(sequences, test=test, valid=valid, **how) if folds is None else into_folds(sequences, folds, **how)
    terminal.warn(parts.warnings)
    if parts.largest_similarity is not None:
        terminal.note(f"Largest similarity across parts: {parts.largest_similarity:.3g}")
    if parts.across is not None:
        terminal.note(f"Pairs with an identity of {identity:g} or more across parts: {len(parts.across)}")
    parts.write(output)
    sizes = part_sizes(parts, sequences)
    if terminal.as_json:
        plain = {name: {"n": n, "classes": classes} for name, (n, classes) in sizes.items()}
        about: dict[str, Any] = {"by": parts.by, "largest_similarity": parts.largest_similarity, "parts": plain}
        if parts.across is not None:
            about |= {"identity": identity, "pairs_across": len(parts.across), "left_out": parts.left_out}
        terminal.wrote(output, about)
        return
    if not terminal.quiet:
        rows = [(name, n, *classes.values()) for name, (n, classes) in sizes.items()]
        terminal.table(("part", "sequences", *sequences.classes), rows)
    terminal.wrote(output)


@command(panel=PANEL, example="seqreg background pos.fa -o neg.fa --from genome.fa")
def background(
    terminal: Terminal,
    data: InputOptions,
    output: Output,
    pool: Annotated[
        str | None,
        typer.Option("--from", metavar="INPUT", help="Draw windows of these instead, matched in length and letters."),
    ] = None,
    k: Annotated[
        int, typer.Option("--k", metavar="N", help="Shuffles keep how often each word of N letters occurs.")
    ] = 2,
    copies: Annotated[int, typer.Option("--copies", metavar="N", help="Negatives per sequence.")] = 1,
    seed: Seed = 0,
) -> None:
    """Make negatives where there are only positives: shuffles, or matched draws from other sequences.

    Both FASTA files that are written say in `group=` what must stay on one side when parts are made: the negatives, and
    beside them, in NAME.positives.fa, the positives.
    """
    import numpy as np

    from seqreg.sequences import matched_background, shuffled_background, source_groups, write_fasta
    from seqreg.writing import is_stream

    positives = data.read(terminal)
    if pool is None:
        negatives = shuffled_background(positives, k=k, copies=copies, seed=seed)
    else:
        others = replace(InputOptions(input=pool), gaps=data.gaps)
        drawn_from = others.read(terminal, alphabet=positives.alphabet.name)
        negatives = matched_background(positives, drawn_from, copies=copies, seed=seed)
    terminal.warn(negatives.warnings)
    write_fasta(output, negatives)
    if is_stream(output):
        terminal.wrote(output, {"sequences": len(negatives)})
        return
    beside = output.with_name(f"{output.name.removesuffix('.gz').rpartition('.')[0] or output.name}.positives.fa")
    write_fasta(beside, replace(positives, target=None, y=None, group=np.array(source_groups(positives))))
    terminal.wrote(output, {"sequences": len(negatives), "positives": beside})
    terminal.note(f"Positives with their groups: {beside}")
    terminal.note(f"Next: seqreg train --pos {shlex.quote(str(beside))} --neg {shlex.quote(str(output))} -o RUN")
