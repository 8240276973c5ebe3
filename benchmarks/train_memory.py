"""Peak memory and time of training on many DNA sequences of 200 letters from a store: a million stays in 4 GiB.

    python benchmarks/train_memory.py            # up to 100,000 sequences, some minutes
    python benchmarks/train_memory.py 1000000    # the claim itself, half an hour

One epoch of the default network, and its page; memory is of the largest process, Python and PyTorch included. Half of
the sequences carry a motif. Resumable: a row of results/train_memory.tsv per number.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from cells import Rows
from clock import cost
from page import markdown_table, write_section

LENGTH = 200
MOTIF = np.frombuffer(b"TGACGTCA", np.uint8)
BLOCK = 10_000
COLUMNS = ("sequences", "encode_seconds", "encode_mebibytes", "train_seconds", "train_mebibytes")


def write_sequences(path: Path, n: int) -> None:
    """n random sequences as FASTA, a block at a time, every other with the motif somewhere."""
    rng = np.random.default_rng(0)
    with path.open("wb") as handle:
        for start in range(0, n, BLOCK):
            block = rng.choice(np.frombuffer(b"ACGT", np.uint8), (min(BLOCK, n - start), LENGTH))
            places = rng.integers(LENGTH - len(MOTIF) + 1, size=len(block))
            for row, place in zip(block[::2], places[::2], strict=True):
                row[place : place + len(MOTIF)] = MOTIF
            handle.writelines(
                b">s%d label=%s\n%s\n" % (start + i, b"site" if i % 2 == 0 else b"other", row.tobytes())
                for i, row in enumerate(block)
            )


def measured(n: int, folder: Path) -> tuple[object, ...]:
    """A row."""
    write_sequences(folder / "x.fa", n)
    store = cost("encode", "x.fa", "-o", "x.h5", folder=folder)
    (folder / "x.fa").unlink()
    found = cost("train", "x.h5", "-o", "run", "--epochs", 1, "--no-baselines", "--workers", 1, folder=folder)
    figures = [each for one in (store, found) for each in (one.processor_seconds, one.mebibytes)]
    return n, *(round(each) for each in figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int, nargs="*", default=[10_000, 100_000], help="numbers of sequences")
    rows = Rows(__file__, COLUMNS, key=1)
    for (n,) in rows.missing((n,) for n in parser.parse_args().n):
        with tempfile.TemporaryDirectory() as scratch:
            rows.add([measured(n, Path(scratch))])
    said = "`seqreg encode`, and one epoch of `seqreg train` on the store: seconds of the processor and peak memory."
    found = sorted([int(value) for value in row.values()] for row in rows.read())
    table = markdown_table(
        ["sequences of 200 letters", "encode, s", "MiB", "train, s", "MiB"],
        [[f"{each:,}" for each in row] for row in found],
    )
    write_section(__file__, "The memory of a training", f"{said}\n\n{table}")


if __name__ == "__main__":
    main()
