"""`seqreg predict` on a small and a large FASTA: its peak memory, and its speed beside the network's own forward pass.

Takes some minutes; `--small` shrinks both files for a quick look.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from clock import cost
from page import markdown_table, write_section

from seqreg.alphabet import PROTEIN
from seqreg.predictors.network import Architecture, TrainedNetwork
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes

LENGTHS = (30, 60)
BLOCK = 20_000
ARCHITECTURE = Architecture(
    model="cnn:filters=32,width=8",
    encoding="one-hot",
    alphabet="protein",
    target=Classes(names=("no", "yes"), asked_for="yes"),
    length=LENGTHS[1],
    shortest=LENGTHS[0],
    reverse_complement=False,
)


def random_proteins(n: int, seed: int) -> SequenceSet:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(*LENGTHS, n)
    return SequenceSet(
        alphabet=PROTEIN,
        names=[f"s{seed}_{i}" for i in range(n)],
        codes=generator.integers(0, PROTEIN.size, int(lengths.sum()), dtype=np.uint8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
    )


def write_fasta(path: Path, n: int) -> None:
    with path.open("w") as handle:
        for seed in range(n // BLOCK):
            block = random_proteins(BLOCK, seed)
            handle.writelines(f">{name}\n{block.sequence(i)}\n" for i, name in enumerate(block.names))


def predict(run: Path, fasta: Path) -> tuple[float, float]:
    """Seconds and peak memory in MiB of the whole command."""
    found = cost("predict", run, fasta, "-o", fasta.with_suffix(".tsv"), "--workers", 1)
    return found.seconds, found.mebibytes


def forward_rate(network: TrainedNetwork) -> float:
    """Sequences per second of the network alone on sequences already in memory."""
    data = random_proteins(BLOCK, 0)
    network.outputs(data)
    rates = []
    for _ in range(3):
        begun = time.perf_counter()
        network.outputs(data)
        rates.append(BLOCK / (time.perf_counter() - begun))
    return float(np.median(rates))


def main() -> None:
    torch.set_num_threads(1)
    sizes = (BLOCK, 5 * BLOCK) if "--small" in sys.argv else (BLOCK, 100 * BLOCK)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        torch.manual_seed(0)
        network = TrainedNetwork(architecture=ARCHITECTURE, module=ARCHITECTURE.build())
        network.save(folder / "run")
        rows, memory = [], []
        for size in sizes:
            fasta = folder / f"{size}.fa"
            write_fasta(fasta, size)
            before = forward_rate(network)
            seconds, peak = predict(folder / "run", fasta)
            alone = (before + forward_rate(network)) / 2
            memory.append(peak)
            rows.append(
                [
                    f"{size:,}",
                    f"{seconds:.1f}",
                    f"{peak:.0f}",
                    f"{size / seconds:,.0f}",
                    f"{alone:,.0f}",
                    f"{size / seconds / alone:.2f}",
                ]
            )
            print(*rows[-1])
    columns = ["sequences", "seconds", "peak MiB", "per second", "network alone per second", "ratio"]
    write_section(
        __file__,
        "Predicting from a stream",
        f"Random proteins of {LENGTHS[0]} to {LENGTHS[1]} residues, 32 filters of width 8, one thread; seconds are of "
        "the whole command, start-up included.\n\n"
        + markdown_table(columns, rows)
        + f"\n\nPeak memory on the large file is {memory[1] / memory[0]:.2f} times that on the small one.",
    )


if __name__ == "__main__":
    main()
