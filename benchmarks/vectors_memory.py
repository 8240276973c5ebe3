"""`seqreg predict` of a model that reads vectors, a million of 1,280 half-precision numbers: its peak memory.

Takes some minutes and 3 GB of disk; `--small` takes a twentieth of the vectors for a quick look.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from clock import cost
from page import markdown_table, write_section

from seqreg.predictors.network import Architecture, TrainedNetwork
from seqreg.targets import Classes

SIZE = 1280
BLOCK = 10_000
ARCHITECTURE = Architecture(
    model="vectors",
    encoding="one-hot",
    alphabet="protein",
    target=Classes(names=("no", "yes"), asked_for="yes"),
    length=30,
    shortest=5,
    reverse_complement=False,
    vectors={"esm2": SIZE},
    references=300,
)


def write_vectors(path: Path, n: int) -> None:
    """What `numpy.savez(path, ids=..., vectors=...)` writes, a block at a time."""
    block = np.random.default_rng(0).normal(size=(BLOCK, SIZE)).astype(np.float16)
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("ids.npy", "w") as handle:
            np.lib.format.write_array(handle, np.array([f"p{i}" for i in range(n)]))
        with archive.open("vectors.npy", "w", force_zip64=True) as handle:
            about = {"descr": "<f2", "fortran_order": False, "shape": (n, SIZE)}
            np.lib.format.write_array_header_1_0(handle, about)
            for _ in range(n // BLOCK):
                handle.write(block.tobytes())


def predict(*words: object) -> tuple[float, float]:
    """Seconds and peak memory in MB of the whole command."""
    found = cost("predict", *words, "--workers", 1)
    return found.seconds, found.mebibytes * 1024**2 / 1e6


def main() -> None:
    sizes = (BLOCK, 50_000 if "--small" in sys.argv else 1_000_000)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        torch.manual_seed(0)
        TrainedNetwork(architecture=ARCHITECTURE, module=ARCHITECTURE.build()).save(folder / "run")
        for n in sizes:
            write_vectors(folder / "v.npz", n)
            with (folder / "x.fa").open("w") as handle:
                handle.writelines(f">p{i}\nMKV{'ACDEFGHIKL'[i % 10]}W\n" for i in range(n))
            given = ("--vectors", f"esm2={folder / 'v.npz'}", "-o", folder / "p.tsv")
            seconds, peak = predict(folder / "run", folder / "x.fa", *given)
            rows.append([f"{n:,}", f"{seconds:.0f}", f"{peak:,.0f}"])
            print(*rows[-1], flush=True)
    write_section(
        __file__,
        "Predicting from vectors",
        f"Vectors of {SIZE:,} half-precision numbers in an `.npz`, read where they lie; seconds are of the whole "
        "command, start-up included, on a busy machine.\n\n"
        + markdown_table(["sequences", "seconds", "peak MB"], rows),
    )


if __name__ == "__main__":
    main()
