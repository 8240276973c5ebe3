"""Peak memory of `seqreg predict` on FASTA of 20 and of 200 MB, and of `--scan` over one record of 200 million letters.

Takes some minutes; `--small` shrinks all files for a quick look. Memory is of the whole process, Python and PyTorch
included.
"""

import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from clock import cost
from page import markdown_table, write_section

from seqreg.predictors.network import Architecture, TrainedNetwork
from seqreg.targets import Classes

LENGTH = 1000
LINE = 100  # letters
ARCHITECTURE = Architecture(
    model="cnn:filters=2,width=8",
    encoding="one-hot",
    alphabet="dna",
    target=Classes(names=("no", "yes"), asked_for="yes"),
    length=LENGTH,
    shortest=LENGTH,
    reverse_complement=False,
)


def letters(n: int, seed: int) -> bytes:
    return np.random.default_rng(seed).choice(np.frombuffer(b"ACGT", np.uint8), n).tobytes()


def write_records(path: Path, megabytes: float) -> None:
    """Records of 1,000 letters."""
    with path.open("wb") as handle:
        number = 0
        while handle.tell() < megabytes * 1e6:
            block = letters(LENGTH * 1000, number)
            handle.writelines(b">s%d\n%s\n" % (number + i, block[i * LENGTH : (i + 1) * LENGTH]) for i in range(1000))
            number += 1000


def write_chromosome(path: Path, millions: float) -> None:
    """One record, in lines of 100 letters."""
    with path.open("wb") as handle:
        handle.write(b">chr1\n")
        for seed in range(math.ceil(millions)):
            n = round(1_000_000 * min(1, millions - seed))
            rows = np.frombuffer(letters(n, seed), np.uint8).reshape(-1, LINE)
            handle.write(np.pad(rows, ((0, 0), (0, 1)), constant_values=ord("\n")).tobytes())


def predict(run: Path, fasta: Path, *more: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of the whole command."""
    found = cost("predict", run, fasta, "-o", fasta.with_suffix(".tsv"), "--workers", 1, *more)
    return found.seconds, found.mebibytes


def main() -> None:
    torch.set_num_threads(1)
    small, large, chromosome = (1, 10, 10) if "--small" in sys.argv else (20, 200, 200)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        torch.manual_seed(0)
        TrainedNetwork(architecture=ARCHITECTURE, module=ARCHITECTURE.build()).save(folder / "run")
        rows: list[list[str]] = []
        peaks: list[float] = []
        for megabytes in (small, large):
            write_records(folder / "x.fa", megabytes)
            seconds, peak = predict(folder / "run", folder / "x.fa")
            peaks.append(peak)
            rows.append([f"{megabytes} MB of records of {LENGTH:,} letters", f"{peak:,.0f}", f"{seconds:.0f}"])
        write_chromosome(folder / "x.fa", chromosome)
        seconds, peak = predict(folder / "run", folder / "x.fa", "--scan", "5000")
        rows.append([f"one record of {chromosome} million letters, --scan 5000", f"{peak:,.0f}", f"{seconds:.0f}"])
    said = f"Peak memory on the large file is {peaks[1] / peaks[0]:.2f} times that on the small one."
    table = markdown_table(["input", "peak, MiB", "seconds"], rows)
    if "--small" not in sys.argv:
        write_section(__file__, "Memory of predict", f"{table}\n\n{said}")
    print(table, said, sep="\n")


if __name__ == "__main__":
    main()
