"""The command that looks for what could fool a model, before there is one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqreg.cli.app import command
from seqreg.cli.options import OUTPUT, InputOptions, Seed, Similarity, option
from seqreg.cli.terminal import Terminal

if TYPE_CHECKING:
    from seqreg.checks import Finding

MARKS = {"ok": "ok", "note": "note", "warn": "WARN"}
Found = Annotated[Path | None, option(OUTPUT, "--output", "FILE", "All of it as JSON; suspects.tsv beside it.", "-o")]
Strict = Annotated[bool, option(OUTPUT, "--strict", "", "End with exit code 1 where a check warns.")]


@command(panel="Data", example="seqreg check --pos pos.fa.gz --neg neg.fa.gz")
def check(
    terminal: Terminal,
    data: InputOptions,
    output: Found = None,
    strict: Strict = False,
    similarity: Similarity = 0.3,
    seed: Seed = 0,
) -> None:
    """Look for what could fool a model on these sequences: copies, relatives, lengths, letters, labels."""
    from seqreg.checks import COLUMNS, Evidence, find_all, suspect_rows
    from seqreg.records import to_plain, write_json, write_tsv
    from seqreg.writing import is_stream

    sequences = data.read(terminal)
    evidence = Evidence(data=sequences, similarity=similarity, seed=seed, **_parts(sequences))
    found = find_all(evidence)
    plain = {"n": len(sequences), "checks": to_plain(found)}
    if output is not None:
        rows = None if is_stream(output) else suspect_rows(evidence)
        if rows is not None:
            write_tsv(output.with_name("suspects.tsv"), COLUMNS, rows)
        write_json(output, plain, "checks")
    if terminal.as_json:
        terminal.json(plain, "checks")
    elif output is None or not terminal.quiet:
        terminal.table(("check", "result", "what was found"), [(f.name, MARKS[f.status], f.message) for f in found])
    show_remedies(terminal, found)
    if output is not None:
        terminal.note(f"Wrote {output}")
    if strict and any(each.status == "warn" for each in found):
        raise typer.Exit(1)


def show_remedies(terminal: Terminal, found: "tuple[Finding, ...]") -> None:
    """Say what to do about each warning."""
    terminal.warn(f"{each.name}: {each.remedy}" for each in found if each.status == "warn")


def _parts(sequences: Any) -> dict[str, Any]:
    """The training and the test part, where the input says which sequences these are."""
    import numpy as np

    if sequences.split is None or not (sequences.split == "test").any():
        return {}
    tested = sequences.split == "test"
    learned = np.flatnonzero((sequences.split == "train") | (sequences.split == "valid"))
    return {"learned": sequences.subset(learned), "tested": sequences.subset(np.flatnonzero(tested))}
