"""The command that runs a language model: embed."""

from pathlib import Path
from typing import Annotated

from seqreg.cli.app import command
from seqreg.cli.going_on import input_identity, remove_unfinished, unfinished_file
from seqreg.cli.options import NETWORK, OUTPUT, Device, InputOptions, Output, Threads, option
from seqreg.cli.terminal import Terminal

PANEL = "Data"
PIECE = 8192

Model = Annotated[
    str, option(NETWORK, "--with", "MODEL", "A folder, or a cached name, that transformers loads: ESM-2, ProtT5 ...")
]


@command(panel=PANEL, example="seqreg embed proteins.fa --with models/esm2_t6_8M -o vectors.h5")
def embed(
    terminal: Terminal,
    data: InputOptions,
    model: Model,
    output: Output,
    per_residue: Annotated[
        bool, option(OUTPUT, "--per-residue", "", "Keep the vector of each residue, not their mean.")
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Compute the vectors that a language model has of sequences, for --vectors NAME=FILE.

    Writes HDF5, a data set of half precision for each id. Killed, the same command goes on where it was. Letters are
    held in memory where the alphabet is to be inferred over all of them; with --alphabet, a piece of them at a time.
    """
    import torch

    from seqreg.sequences import read_ahead, stream_batches
    from seqreg.training import choose_device
    from seqreg.unfinished import unfinished
    from seqreg.vectors.embedding import embed as run
    from seqreg.vectors.language_model import LanguageModel

    place = choose_device(device)
    torch.set_num_threads(threads or torch.get_num_threads())
    language_model = LanguageModel(model, place)
    terminal.note(f"Model: {model}, {language_model.dimension:,} numbers per sequence; device {place}")
    spec = data.spec()
    known = spec.known_alphabet
    stream = None if known is None else stream_batches(spec, known, batch=PIECE)
    pieces = [data.read(terminal)] if stream is None else read_ahead(stream)
    about = {"read": input_identity(spec), "model": str(Path(model).resolve()), "per_residue": per_residue}
    kept = None if about["read"] is None else unfinished_file(Path(output))
    with terminal.progress("Embedded") as moved, unfinished(kept, **about, device=str(place)) as once:
        number, size = run(pieces, language_model, output, per_residue=per_residue, once=once, progress=moved)
    terminal.warn(() if stream is None else stream.warnings)
    remove_unfinished(Path(output))
    terminal.wrote(output, {"sequences": number, "dimension": size})
