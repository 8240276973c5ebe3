"""Peak memory and time of reading proteins of 300 residues: a million must stay within 1.5 GB and a few minutes.

    python benchmarks/encode_memory.py               # up to 100,000 proteins, half a minute
    python benchmarks/encode_memory.py 1000000       # the claim itself
    python benchmarks/encode_memory.py --keep FOLDER # FASTA files are kept there and used again

Each reading runs in a process of its own, whose peak resident memory the system reports. `encode` also writes the
HDF5 store; `stream` reads the file in pieces of 1,024, whose memory must not grow with the input.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from seqreg.alphabet import PROTEIN
from seqreg.sequences import InputSpec, read_input, stream_batches, write_store
from seqreg.writing import atomic_write

LENGTH = 300
LINE = 60


def write_proteins(path: Path, n: int) -> None:
    """n random proteins as FASTA, a block at a time."""
    rng = np.random.default_rng(0)
    letters = np.frombuffer(PROTEIN.letters.encode(), dtype=np.uint8)
    with atomic_write(path, "wb") as handle:
        for start in range(0, n, 10_000):
            block = letters[rng.integers(20, size=(min(10_000, n - start), LENGTH // LINE, LINE), dtype=np.uint8)]
            for index, lines in enumerate(block, start=start):
                label = "signal" if index % 3 else "other"
                body = b"\n".join(line.tobytes() for line in lines)
                handle.write(f">sp|P{index:08d}|TEST label={label}\n".encode() + body + b"\n")


def measure(mode: str, path: Path) -> None:
    """Read the file in this process and print what it took."""
    start = time.perf_counter()
    spec = InputSpec(input=path, require_labels=mode != "stream")
    if mode == "stream":
        n = sum(len(piece) for piece in stream_batches(spec, PROTEIN, batch=1024))
    else:
        sequences = read_input(spec)
        n = len(sequences)
        if mode == "encode":
            write_store(path.with_suffix(".h5"), sequences)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(json.dumps({"n": n, "seconds": seconds, "mebibytes": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int, nargs="*", default=[10_000, 100_000], help="numbers of proteins")
    parser.add_argument("--keep", type=Path, help="folder for the FASTA files")
    parser.add_argument("--measure", nargs=2, metavar=("MODE", "FILE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure(chosen.measure[0], Path(chosen.measure[1]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        print(f"{'mode':8} {'proteins':>10} {'seconds':>8} {'peak MiB':>9}")
        for n in chosen.n:
            fasta = folder / f"proteins-{n}.fa"
            if not fasta.exists():
                write_proteins(fasta, n)
            for mode in ("read", "encode", "stream"):
                command = [sys.executable, __file__, "--measure", mode, str(fasta)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                row = json.loads(done.stdout)
                print(f"{mode:8} {row['n']:10,} {row['seconds']:8.1f} {row['mebibytes']:9.0f}")


if __name__ == "__main__":
    main()
