"""Commands about how far a model can be trusted: norm."""

from pathlib import Path
from typing import Annotated, Any

from seqreg.cli.app import command
from seqreg.cli.loading import load_network
from seqreg.cli.options import FITTING, OUTPUT, Device, InputOptions, Run, Seed, Threads, option
from seqreg.cli.terminal import Terminal

PANEL = "Models"
Sample = Annotated[int, option(FITTING, "--sample", "N", "Sequences looked at for lower bounds.", default=True)]
Figures = Annotated[Path | None, option(OUTPUT, "--output", "FILE", "All figures as JSON.", "-o")]


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
) -> None:
    """Bound how fast a network can change its mind: from above for all inputs, from below on sequences."""
    from seqreg.evaluation.norm import norm_report
    from seqreg.records import to_plain, write_json
    from seqreg.sequences import with_classes

    network = load_network(terminal, run, device, threads)
    sequences = None
    if data.given:
        sequences = data.read(terminal, alphabet=network.alphabet.name)
        sequences = with_classes(sequences, network.classes, multi_label=network.multi_label)
    report: dict[str, Any] = to_plain(norm_report(network, sequences, sample=sample, seed=seed))
    if output is not None:
        write_json(output, report)
    if terminal.as_json:
        terminal.json(report)
    elif output is None or not terminal.quiet:
        _show_norm(terminal, report)
    if output is not None:
        terminal.note(f"Wrote {output}")


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
