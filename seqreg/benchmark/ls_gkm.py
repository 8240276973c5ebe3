"""LS-GKM, a gapped k-mer SVM for DNA, by the programs `gkmtrain` and `gkmpredict` where they are installed."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import SeqregError, UsageError
from seqreg.sequences import SequenceSet, write_fasta
from seqreg.specs import Spec, hyper

PROGRAMS = ("gkmtrain", "gkmpredict")


@dataclass(frozen=True, kw_only=True)
class LsGkm(Spec):
    """Gapped k-mer SVM (Lee, 2016), called like a baseline; binary tasks of DNA only."""

    word: int = hyper(11, "letters in a word, gaps included (-l)", low=3, high=12)
    informative: int = hyper(7, "letters of a word that must match (-k)", low=1, high=12)
    mismatches: int = hyper(3, "most mismatches (-d)", low=0, high=9)
    c: float = hyper(1.0, "strength of fit (-c)", above=0)
    kernel: int = hyper(4, "kernel number of gkmtrain (-t)", low=0, high=5)

    def __call__(self, train: SequenceSet, *, seed: int = 0, strand_free: bool | None = None) -> "FittedGkm":
        """The kernel reads both strands, whatever `strand_free`. Raises UsageError for other than two DNA classes."""
        if train.alphabet.name != "dna" or train.target is None or not train.target.binary:
            raise UsageError("ls-gkm learns two classes of DNA sequences")
        options = {"-l": self.word, "-k": self.informative, "-d": self.mismatches, "-c": self.c, "-t": self.kernel}
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for name, label in (("positive", 1), ("negative", 0)):
                _write(folder / f"{name}.fa", train.subset(np.flatnonzero(train.y == label)))
            _run(
                "gkmtrain",
                *(str(word) for pair in options.items() for word in pair),
                *("-T", "1", "-r", str(seed + 1)),
                *(str(folder / name) for name in ("positive.fa", "negative.fa", "trained")),
            )
            return FittedGkm(model=(folder / "trained.model.txt").read_text(encoding="utf-8"))

    @staticmethod
    def missing_program(path: str) -> str | None:
        """What is not on the search path, as a reason to leave LS-GKM out."""
        missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
        return f"{' and '.join(missing)} not found on the PATH" if missing else None


@dataclass(frozen=True, kw_only=True)
class FittedGkm:
    """A trained LS-GKM: the text of its model file."""

    model: str = field(repr=False)
    cv_score: None = None
    trials: tuple[()] = ()

    def probabilities(self, sequences: SequenceSet) -> NDArray[np.float64]:
        """(N, 2): the logistic function of the score, which ranks as the score does and is not calibrated."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "model.txt").write_text(self.model, encoding="utf-8")
            _write(folder / "test.fa", sequences)
            _run("gkmpredict", "-T", "1", *(str(folder / name) for name in ("test.fa", "model.txt", "scores.tsv")))
            lines = (folder / "scores.tsv").read_text(encoding="utf-8").splitlines()
        score_of = {name: float(score) for name, score in (line.split("\t")[:2] for line in lines)}
        scores = np.array([score_of[f"s{i}"] for i in range(len(sequences))])
        p = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
        return np.stack([1 - p, p], axis=1)


def _write(path: Path, sequences: SequenceSet) -> None:
    """FASTA with short names and without labels: names of users may hold what these programs do not read."""
    names = [f"s{i}" for i in range(len(sequences))]
    write_fasta(path, replace(sequences, names=names, target=None, y=None, split=None, group=None, weight=None))


def _run(program: str, *words: str) -> None:
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise SeqregError(f"{program} failed: {said[-1] if said else f'exit code {done.returncode}'}")
