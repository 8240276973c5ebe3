"""Fingerprints of what the commands write: whether a change of the code changes any result.

Trains small networks and baselines that together pass through every alphabet, model, penalty, constraint, attack and
way of splitting, on data drawn from a seed, then uses some of them. Prints one line a case: its name and the start of
the SHA-256 of each result, of a table by column and of a JSON file by key, so that what is new stands beside what has
changed. How a run was made (configuration, versions, times, pages) is left out. The same commit with the same
versions on the same machine prints the same lines:

    python benchmarks/fingerprints.py > before.txt
    python benchmarks/fingerprints.py --compare before.txt

The second says what has changed, gone or come, and exits 1 if anything has changed or gone.
"""

import argparse
import contextlib
import csv
import hashlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from seqreg.alphabet import DNA, PROTEIN, RNA, Alphabet
from seqreg.cli import app

# Results of a run or of a command on it. Other files say how a run was made or show the same results again.
RESULTS = (
    "model.safetensors", "predictions.tsv", "metrics.json", "history.tsv", "splits.tsv", "examples.tsv",
    "calibration.json", "motifs.json", "trials.tsv", "out.tsv", "out.json", "attributions.h5", "motifs.tsv",
    "motifs.meme",
)  # fmt: skip
VOLATILE = {"seconds", "timings", "version", "versions", "path", "schema_version"}
SHORT = 10

# name -> words of a command; its output goes to a folder of that name. Names of files are those of `write_data`.
FEW = "--max-substitutions 2 --sample 12"
FAST = "--no-baselines --epochs 3 --batch-size 16"
CNN = "--lr 0.01 --model cnn:filters=6,width=6"
SMOOTH = "--model smooth-cnn:filters=6,width=6"
TRAININGS = {
    # the default, which is chosen from the data
    "default-dna-fixed": "train dna-fixed.csv --epochs 3",
    "default-dna-lengths": f"train dna.csv {FAST}",
    "default-protein-lengths": f"train protein.csv {FAST}",
    "default-rna-fixed": f"train rna-fixed.csv {FAST}",
    "default-several-classes": f"train classes.csv {FAST}",
    "default-multi-label": f"train labels.csv {FAST}",
    "default-splice": "train splice --train-size 60 --valid 0 --no-baselines --epochs 2",
    "default-amp": "train amp --train-size 60 --no-baselines --epochs 2",
    # models
    "sum-averaged": f"train dna-fixed.csv {FAST} --model sum:filters=8,width=5+7,pooling=max+mean,average=true",
    "sum-networks": f"train dna.csv {FAST} --model sum:spectrum=3,positions=false,filters=8,width=6,networks=2",
    "sum-heads-only": f"train classes.csv {FAST} --model sum:spectrum=3,pooling=none",
    "sum-weighted": f"train weights.csv {FAST} --model sum:spectrum=2,filters=8,width=6 --class-weight balanced",
    "alignments": f"train protein.csv {FAST} --model sum:spectrum=2,alignments=12,filters=8,width=6",
    "alignments-multi-label": f"train labels.csv {FAST} --model sum:spectrum=2,alignments=8,pooling=none",
    "cnn-max": f"train dna.csv {FAST} {CNN},pooling=max",
    "cnn-mean": f"train rna.csv {FAST} {CNN},pooling=mean",
    "cnn-position": f"train dna-fixed.csv {FAST} {CNN},pooling=position --no-reverse-complement",
    "cnn-depth": f"train protein.csv {FAST} {CNN},depth=2,activation=smoothed-relu",
    "cnn-hidden-dropout": f"train dna.csv {FAST} {CNN},hidden=5,dropout=0.3",
    "cnn-identity": f"train dna.csv {FAST} {CNN},activation=identity --penalty none",
    "cnn-several-classes": f"train classes.csv {FAST} {CNN} --penalty gradient:over=mean",
    "cnn-multi-label": f"train labels.csv {FAST} {CNN} --penalty gradient --constraint spectral-norm",
    "cnn-baselines": f"train protein.csv {CNN} --epochs 3",
    "smooth-cnn-rkhs": f"train dna-fixed.csv {FAST} {SMOOTH} --no-reverse-complement --penalty rkhs",
    "smooth-cnn-lengths": f"train protein.csv {FAST} {SMOOTH} --penalty rkhs",
    # what regularizes
    "weight-decay": f"train dna.csv {FAST} {CNN} --penalty weight-decay --weight-decay 0.1",
    "gradient": f"train dna.csv {FAST} {CNN} --penalty gradient --encoding one-hot",
    "adversarial": f"train dna.csv {FAST} {CNN} --penalty adversarial:steps=2,signs=2",
    "loss-gradient": f"train dna.csv {FAST} {CNN} --penalty loss-gradient:norm=l1 --penalty loss-gradient:norm=l2",
    "virtual-adversarial": f"train classes.csv {FAST} {CNN} --penalty virtual-adversarial",
    "virtual-adversarial-multi-label": f"train labels.csv {FAST} {CNN} --penalty virtual-adversarial",
    "deformation": f"train protein.csv {FAST} {CNN} --penalty deformation",
    "tangent": f"train protein.csv {FAST} {CNN} --penalty tangent:reduce=sum,over=mean",
    "spectral": f"train dna.csv {FAST} {CNN},depth=2 --penalty spectral --penalty spectral:mode=operator",
    "hamming": f"train dna-fixed.csv {FAST} {CNN},pooling=position --penalty hamming",
    "certified": f"train dna.csv {FAST} {CNN} --penalty certified:m=1",
    "spectral-norm": f"train dna.csv {FAST} {CNN},depth=2 --constraint spectral-norm:radius=1",
    "spectral-norm-operator": f"train rna.csv {FAST} {CNN} --constraint spectral-norm:mode=operator,radius=0.5",
    "attack-pgd": f"train dna.csv {FAST} {CNN} --attack pgd:steps=2",
    "attack-substitution": f"train protein.csv {FAST} {CNN} --attack substitution:budget=2,allowed=blosum62:1",
    "attack-beam": f"train dna.csv {FAST} {CNN} --attack beam:budget=1",
    "augment-nucleotides": f"train dna.csv {FAST} {CNN} --augment noise --augment shift --augment reverse-complement",
    "augment-proteins": f"train protein.csv {FAST} {CNN} --augment indel --augment similar --encoding blosum62",
    # parts, weights and the loop
    "reverse-complement": f"train dna-fixed.csv {FAST} {CNN} --reverse-complement --penalty hamming",
    "groups": f"train groups.csv {FAST} {CNN}",
    "homology": f"train relatives.csv {FAST} {CNN} --by homology",
    "sample-weights": f"train weights.csv {FAST} {CNN}",
    "class-weights": f"train classes.csv {FAST} {CNN} --class-weight balanced",
    "resampled": f"train weights.csv {FAST} {CNN} --class-weight resampled --start windows",
    "patience": f"train dna.csv {FAST} {CNN} --epochs 12 --patience 2",
    "no-parts": f"train dna.csv {FAST} {CNN} --valid 0 --test 0",
    "train-size": f"train dna.csv {FAST} {CNN} --train-size 40 --positive without --seed 3",
    "other-inputs": f"train dna.csv {FAST} {CNN} --valid dna-fixed.csv --test dna-fixed.csv --calibration none",
    "float64": f"train dna.csv {FAST} {CNN} --precision float64",
    "headers": f"train headers.fa {FAST} {CNN}",
    "fold": f"train relatives.csv {FAST} {CNN} --splits folds.tsv --fold 2",
    # chosen by cross-validation
    "tune": "tune dna.csv --trials 2 --workers 1 --epochs 2 --no-baselines",
    "tune-model": f"tune classes.csv {CNN} --trials 2 --workers 1 --epochs 2 --no-baselines",
    "tune-ensemble": "tune dna.csv --model sum:spectrum=2,filters=8 --trials 2 --workers 1 --epochs 2 --ensemble",
    "tune-multi-label": f"tune labels.csv {CNN} --trials 2 --workers 1 --epochs 2 --no-baselines",
    "baseline": "baseline dna.csv",
    "baseline-svm": "baseline classes.csv --model kmer-svm",
    "baseline-one-hot": "baseline rna-fixed.csv --model one-hot-logistic",
    "baseline-multi-label": "baseline labels.csv",
    "baseline-weights": "baseline weights.csv --model kmer-logistic --no-reverse-complement",
}  # fmt: skip

# Commands on those runs.
USES = (
    "predict default-dna-lengths dna.csv",
    "predict default-several-classes classes.csv",
    "predict cnn-multi-label labels.csv",
    "predict alignments protein.csv",
    "predict smooth-cnn-lengths protein.csv",
    "predict tune dna.csv",
    "predict baseline dna.csv",
    "predict baseline-multi-label labels.csv",
    "predict default-dna-fixed dna-fixed.csv --abstain 0.8",
    "predict cnn-multi-label labels.csv --abstain 0.8",
    "predict cnn-max long.fa --scan 5 --window 24",
    "predict cnn-max dna.csv --variants variants.tsv",
    "predict default-dna-lengths dna.csv --variants variants.tsv",
    "predict baseline dna.csv --variants variants.tsv",
    "evaluate default-protein-lengths protein.csv",
    "evaluate cnn-several-classes classes.csv",
    "evaluate cnn-multi-label labels.csv",
    "evaluate baseline dna.csv",
    "evaluate baseline-multi-label labels.csv",
    f"robustness default-dna-fixed dna-fixed.csv {FEW}",
    f"robustness cnn-max dna.csv {FEW}",
    f"robustness cnn-max dna.csv {FEW} --edits substitution+insertion+deletion",
    f"robustness cnn-mean rna.csv {FEW}",
    f"robustness cnn-depth protein.csv {FEW} --allowed blosum62:0",
    f"robustness cnn-hidden-dropout dna.csv {FEW} --beam 2",
    f"robustness cnn-position dna-fixed.csv {FEW} --allowed transitions",
    f"robustness reverse-complement dna-fixed.csv {FEW}",
    f"robustness cnn-several-classes classes.csv {FEW}",
    f"robustness cnn-multi-label labels.csv {FEW}",
    f"robustness smooth-cnn-rkhs dna-fixed.csv {FEW}",
    f"robustness smooth-cnn-lengths protein.csv {FEW} --edits substitution+insertion+deletion",
    f"robustness alignments protein.csv {FEW}",
    "norm default-dna-fixed dna-fixed.csv --sample 12",
    "norm cnn-depth protein.csv --sample 12",
    "norm cnn-several-classes classes.csv --sample 12",
    "norm smooth-cnn-rkhs dna-fixed.csv --sample 12",
    "norm alignments protein.csv --sample 12",
    "explain default-dna-lengths dna.csv --sequences 0",
    "explain cnn-several-classes classes.csv --sequences 0",
    "explain cnn-multi-label labels.csv --sequences 0",
    "explain alignments protein.csv --sequences 0",
    "explain reverse-complement dna-fixed.csv --sequences 0",
    "explain smooth-cnn-rkhs dna-fixed.csv --sequences 0",
)
OUTPUTS = {"predict": "out.tsv", "evaluate": "out.json", "robustness": "out.json", "norm": "out.json", "explain": "."}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compare", type=Path, metavar="FILE", help="what an earlier commit printed")
    parser.add_argument("--only", metavar="TEXT", default="", help="only cases whose name holds this text")
    arguments = parser.parse_args()
    earlier = read_lines(arguments.compare.read_text(encoding="utf-8")) if arguments.compare else None
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that `tune` starts
    torch.set_num_threads(1)
    lines = []
    for name, hashes in cases(arguments.only):
        lines.append(" ".join([name, *(f"{key}={value}" for key, value in hashes.items())]))
        print(lines[-1], flush=True)
    return 0 if earlier is None else compare(earlier, read_lines("\n".join(lines)), complete=not arguments.only)


def cases(only: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each case with its hashes. Runs that only serve a chosen use are made as well, and not shown."""
    uses = [use for use in USES if only in use]
    needed = {use.split()[1] for use in uses}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_data()
        for name, words in TRAININGS.items():
            if only in name or name in needed:
                seqreg(*words.split(), "-o", name)
                if only in name:
                    yield name, fingerprint(Path(name))
        for number, use in enumerate(uses):
            place = Path(f"use{number}")
            place.mkdir()
            seqreg(*use.split(), "-o", str(place / OUTPUTS[use.split()[0]]))
            yield use.replace(" ", "_"), fingerprint(place)


def seqreg(*words: str) -> None:
    """Run a command line in this process; what it says is shown only if it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            app([*words, "--debug"])
            code = 0
        except SystemExit as end:
            code = end.code
    if code:
        raise SystemExit(f"seqreg {' '.join(words)} ended with {code}:\n{said.getvalue()}")


def fingerprint(folder: Path) -> dict[str, str]:
    """File, or file/column and file/key -> hash, of the results in a folder."""
    found = {}
    for name in RESULTS:
        path = folder / name
        if not path.exists():
            continue
        pieces = pieces_of(path)
        if not isinstance(pieces, dict):
            found[name] = short(pieces)
            continue
        found |= {f"{name}/{key}": short(value) for key, value in pieces.items() if key not in VOLATILE}
    return found


def pieces_of(path: Path) -> dict[str, bytes] | bytes:
    """What a file holds: by column or key where it has such, else its bytes."""
    if path.suffix == ".tsv":
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {key: "\n".join(row[i] for row in rows).encode() for i, key in enumerate(header)}
    if path.suffix == ".json":
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return {key: json.dumps(steady(value)).encode() for key, value in content.items()}
    if path.suffix == ".h5":
        arrays: dict[str, bytes] = {}

        def keep(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = np.asarray(item[()]).tobytes() if item.dtype != object else repr(item[()]).encode()

        with h5py.File(path) as file:
            file.visititems(keep)
        return arrays
    return path.read_bytes()


def steady(value: Any) -> Any:
    """JSON without what changes from one time to the next."""
    if isinstance(value, dict):
        return {key: steady(entry) for key, entry in value.items() if key not in VOLATILE}
    return [steady(entry) for entry in value] if isinstance(value, list) else value


def short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:SHORT]


def read_lines(text: str) -> dict[str, dict[str, str]]:
    """Case -> key -> hash."""
    found = (line.partition(" ") for line in text.splitlines() if line)
    return {name: dict(re.findall(rf"(\S.*?)=([0-9a-f]{{{SHORT}}})(?= |$)", rest)) for name, _, rest in found}


def compare(earlier: dict[str, dict[str, str]], now: dict[str, dict[str, str]], *, complete: bool) -> int:
    """Say what is not as it was; 1 if anything changed or is gone, else 0. Of a part of the cases, none is gone."""
    differences = 0
    for name in {**earlier, **now} if complete else now:
        before, after = earlier.get(name, {}), now.get(name, {})
        changed = [key for key in before if key in after and before[key] != after[key]]
        for what, keys in (
            ("changed", changed),
            ("gone", [key for key in before if key not in after]),
            ("new", [key for key in after if key not in before]),
        ):
            if keys:
                print(f"{what}: {name}: {' '.join(keys)}", file=sys.stderr)
            differences += len(keys) if what != "new" else 0
    print(f"{len(now)} cases, {differences} differences", file=sys.stderr)
    return int(differences > 0)


# ------------------------------------------------------------------------------------------------------------- data


def write_data() -> None:
    """The inputs that the cases name, into the current folder, from one seed."""
    rng = np.random.default_rng(20)
    motifs = {DNA: "TGACGTCA", RNA: "UGACGUCA", PROTEIN: "WKHFCC"}
    for alphabet, motif in motifs.items():
        planted = [row(rng, alphabet, motif if i % 2 else "", 18, 34) for i in range(120)]
        write_table(f"{alphabet.name}.csv", planted, labels=[("without", "with")[i % 2] for i in range(120)])
        planted = [row(rng, alphabet, motif if i % 2 else "", 24, 24) for i in range(100)]
        write_table(f"{alphabet.name}-fixed.csv", planted, labels=[("without", "with")[i % 2] for i in range(100)])
    three = {"a": "ACGTAC", "b": "GGATCC", "c": ""}
    names = [list(three)[i % 3] for i in range(150)]
    write_table("classes.csv", [row(rng, DNA, three[name], 20, 30) for name in names], labels=names)
    several = [[name for name in ("heart", "liver") if rng.random() < 0.5] for _ in range(140)]
    tissues = {"heart": "WKHFCC", "liver": "MYDEEQ"}
    joined = ["".join(tissues[name] for name in names) for names in several]
    texts = [row(rng, PROTEIN, motif, 20, 32) for motif in joined]
    write_table("labels.csv", texts, labels=[";".join(names) or "none" for names in several])
    rare = ["yes" if i % 5 == 0 else "no" for i in range(150)]
    texts = [row(rng, DNA, "TTGACA" if name == "yes" else "", 22, 22) for name in rare]
    write_table("weights.csv", texts, labels=rare, weight=[f"{w:.2f}" for w in rng.uniform(0.2, 3, len(rare))])
    families = [i // 5 for i in range(120)]
    ancestors = [row(rng, DNA, "TGACGTCA" if i % 2 else "", 30, 36) for i in range(24)]
    children = [mutated(rng, ancestors[family]) for family in families]
    labels = [("without", "with")[family % 2] for family in families]
    write_table("relatives.csv", children, labels=labels)
    write_table("groups.csv", children, labels=labels, group=[f"g{family}" for family in families])
    with Path("headers.fa").open("w", encoding="utf-8") as file:
        for i, (text, label) in enumerate(zip(children, labels, strict=True)):
            part = ("train", "train", "train", "valid", "test")[i % 5]
            print(f">h{i} label={label} split={part}\n{text}", file=file)
    with Path("long.fa").open("w", encoding="utf-8") as file:
        for i in range(3):
            print(f">long{i}\n{row(rng, DNA, 'TGACGTCA', 150, 200)}", file=file)
    first = next(csv.reader(Path("dna.csv").read_text(encoding="utf-8").splitlines()[1:]))
    variants = [
        f"{first[0]}\t{place + 1}{first[1][place]}>{letter}" for place, letter in ((3, "A"), (9, "C"), (15, "T"))
    ]
    Path("variants.tsv").write_text("id\tvariant\n" + "".join(f"{line}\n" for line in variants), encoding="utf-8")
    seqreg("split", "relatives.csv", "-o", "folds.tsv", "--folds", "3", "--by", "homology")


def row(rng: np.random.Generator, alphabet: Alphabet, motif: str, shortest: int, longest: int) -> str:
    """A random sequence, mostly with the motif written over it somewhere."""
    letters = rng.choice(list(alphabet.letters), rng.integers(shortest, longest + 1))
    if rng.random() < 0.15:  # without errors to make, too many figures would be 0 or 1
        return "".join(letters)
    start = rng.integers(len(letters) - len(motif) + 1)
    letters[start : start + len(motif)] = list(motif)
    return "".join(letters)


def mutated(rng: np.random.Generator, text: str) -> str:
    """The sequence with about one letter in ten replaced."""
    return "".join(rng.choice(list("ACGT")) if rng.random() < 0.1 else letter for letter in text)


def write_table(name: str, sequences: list[str], *, labels: list[str], **columns: list[str]) -> None:
    stem, ids = Path(name).stem, count()
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "sequence", "label", *columns])
        writer.writerows(
            [f"{stem}{next(ids)}", *values] for values in zip(sequences, labels, *columns.values(), strict=True)
        )


if __name__ == "__main__":
    sys.exit(main())
