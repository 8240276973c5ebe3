"""How long `seqreg robustness` takes on 500 proteins of 300 residues, with the default network and 5 substitutions."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from page import write_section

from seqreg.alphabet import PROTEIN
from seqreg.records import read_json

PROTEINS, LEARNED_FROM, LENGTH = 500, 400, 300
MOTIFS = ("WCHW", "KKRK")
MOST_EDITS = 5


def write_proteins(path: Path, n: int, seed: int) -> None:
    """n random proteins with labels; every second one carries both motifs."""
    generator = np.random.default_rng(seed)
    with path.open("w") as handle:
        for i in range(n):
            letters = generator.choice(list(PROTEIN.letters), LENGTH)
            for motif in MOTIFS[: 2 * (i % 2)]:
                at = int(generator.integers(0, LENGTH - len(motif)))
                letters[at : at + len(motif)] = list(motif)
            handle.write(f">s{i} label={'signal' if i % 2 else 'other'}\n{''.join(letters)}\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        train, test, run = (Path(folder) / name for name in ("train.fa", "test.fa", "run"))
        write_proteins(train, LEARNED_FROM, seed=0)
        write_proteins(test, PROTEINS, seed=1)
        seqreg = [sys.executable, "-m", "seqreg"]
        subprocess.run([*seqreg, "train", train, "-o", run, "--no-baselines", "--quiet"], check=True)
        words = ["robustness", run, test, "-o", run / "robustness.json", "--max-substitutions", str(MOST_EDITS)]
        begun = time.perf_counter()
        subprocess.run([*seqreg, *words, "--quiet"], check=True)
        seconds = time.perf_counter() - begun
        model = read_json(run / "model.json")["model"]
        found = read_json(run / "robustness.json")
    attacked, certified = (
        ", ".join(f"{v:.3f}" for v in found[f"{name}_accuracy"]) for name in ("attacked", "certified")
    )
    write_section(
        __file__,
        "The time `seqreg robustness` takes",
        f"{PROTEINS} random proteins of {LENGTH} residues with two planted motifs, network `{model}` trained on "
        f"{LEARNED_FROM} others, {MOST_EDITS} substitutions, all of the command with its start: {seconds:.0f} s. "
        f"Accuracy under 0 to {MOST_EDITS} substitutions, attacked: {attacked}; certified: {certified}.",
    )
    print(f"{seconds:.1f} s")


if __name__ == "__main__":
    main()
