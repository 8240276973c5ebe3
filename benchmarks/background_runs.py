"""What people get who only have positives: `seqreg background`, then `seqreg train --pos --neg`, no other option.

Two hundred antimicrobial peptides of `amp` a draw. Resumable: each draw is a row of results/background_runs.tsv.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from cells import Rows, minutes_of_sitting
from page import data_sets, markdown_table, write_section

from seqreg.metrics import METRICS
from seqreg.records import read_json
from seqreg.sequences import SequenceSet

POSITIVES = 200
DRAWS = range(10)
COLUMNS = ("draw", "auroc", "baselines", "wholly_below", "warned", "outcome", "seconds")


def row(data: SequenceSet, draw: int) -> tuple[object, ...]:
    """One draw, through the two commands."""
    positive = np.flatnonzero(np.array(data.label_texts()) == "amp")
    chosen = np.sort(np.random.default_rng(draw).permutation(positive)[:POSITIVES])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        drawn = data.subset(chosen)
        lines = (f">{drawn.names[i]}\n{drawn.sequence(i)}\n" for i in range(len(drawn)))
        (place / "pos.fa").write_text("".join(lines), encoding="utf-8")
        _seqreg(place, "background", "pos.fa", "-o", "neg.fa")
        begun = time.perf_counter()
        _seqreg(place, "train", "--pos", "pos.fa", "--neg", "neg.fa", "-o", "run", "--workers", "1", "--quiet")
        seconds = time.perf_counter() - begun
        metrics = read_json(place / "run" / "metrics.json")
    simple = {name: each for name, each in metrics["baselines"].items() if name != "majority"}
    half = METRICS["auroc"].chance or 0.5
    below = [name for name, each in simple.items() if each["intervals"]["auroc"][1] < half]
    warned = [each["name"] for each in metrics["checks"] if each["status"] == "warn"]
    scores = "+".join(f"{name}:{each['auroc']:.3f}" for name, each in simple.items())
    said = metrics["verdict"]["outcome"]
    return (
        *(draw, round(metrics["auroc"], 4), scores, "+".join(below) or "-", "+".join(warned) or "-", said),
        round(seconds),
    )


def _seqreg(place: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "seqreg", *words], cwd=place, check=True)


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    rows = Rows(__file__, COLUMNS, key=1)
    data = data_sets(["amp"])[0]["amp"]
    for (draw,) in rows.missing([(draw,) for draw in DRAWS], minutes):
        rows.add([row(data, draw)])
    read = rows.read()
    mean = np.mean([float(each["auroc"]) for each in read])
    shown = ("draw", "auroc", "baselines", "wholly_below", "warned", "outcome")
    lines = [[each[column].replace("+", ", ").replace(":", " ") for column in shown] for each in read]
    write_section(
        __file__,
        "Positives alone, and a background",
        f"{POSITIVES} peptides of `amp`, their shuffles from `seqreg background`, and `seqreg train --pos --neg` with "
        f"no other option. Mean auroc {mean:.3f} over {len(read)} draws.\n\n"
        + markdown_table(["draw", "auroc", "baselines", "wholly below .5", "warned", "verdict"], lines),
    )


if __name__ == "__main__":
    main()
