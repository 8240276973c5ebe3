"""The command about what a network looks at: explain."""

from typing import Annotated

from seqreg.cli.app import command
from seqreg.cli.loading import by_fold, load_network, only_part
from seqreg.cli.options import OUTPUT, BatchSize, Device, InputOptions, Output, Part, Run, Threads, option
from seqreg.cli.terminal import Terminal
from seqreg.errors import UsageError

PANEL = "Models"


@command(panel=PANEL, example="seqreg explain runs/promoters test.csv -o explained")
def explain(
    terminal: Terminal,
    run: Run,
    data: InputOptions,
    output: Output,
    part: Part = None,
    sequences: Annotated[
        int, option(OUTPUT, "--sequences", "N", "Draw N sequences, the most confident of each class.", default=True)
    ] = 12,
    show: Annotated[
        list[str] | None, option(OUTPUT, "--show", "ID", "Draw this sequence as well, before them; repeat it.")
    ] = None,
    batch_size: BatchSize = 64,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Show what each letter does to the score, and the motifs that the network has learned.

    Writes a folder: explain.html to read, attributions.h5, motifs.meme, motifs.tsv, and logos as figures.
    """
    import hashlib

    from seqreg.explain import write_explanation
    from seqreg.report import write_explain_page, write_report
    from seqreg.sequences import in_terms_of

    if sequences < 0:
        raise UsageError(f"--sequences must be at least 0; got {sequences}")
    network = load_network(terminal, run, device, threads)
    given = data.read(terminal, alphabet=network.alphabet.name, task=network.target.task)
    unseen = by_fold(terminal, run, given, device) if part is None else None
    given = in_terms_of(given if unseen is not None else only_part(terminal, run, given, part), network.target)
    with terminal.progress("Explained") as moved:
        write_explanation(
            output,
            network,
            given,
            model_sha256=hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest(),
            unseen=unseen,
            run=run.resolve().name,
            pictures=sequences,
            show=show or (),
            batch=batch_size,
            progress=moved,
        )
    page = write_explain_page(output)
    if output.resolve().parent == run.resolve() and (run / "report.html").exists():
        write_report(run)  # it shows the way there
    terminal.wrote(output, {"page": page})
    terminal.note(f"Page: {page}")
