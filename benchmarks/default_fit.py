"""What a default fit takes, beside an earlier commit.

    git worktree add ../before bd150cb
    OMP_NUM_THREADS=1 python benchmarks/default_fit.py ../before        # resumes; --minutes ends it before all is done

`SequenceClassifier().fit` on 300 sequences, in a process of its own, after a first small fit that loads and compiles;
`KmerClassifier` beside it as what has not changed. The two commits take turns. Times are of the processor, on one
thread: on a shared machine they also measure the neighbours, which taking turns makes alike for both. Needs the data
sets named in `SETS` (a folder on SEQREG_DATA) where they are not embedded.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from cells import Rows, sitting
from page import markdown_table, write_section

SETS = ("amp", "ecoli-sigma70", "splice")
LEARNERS = ("SequenceClassifier", "KmerClassifier")
TURNS = range(5)
# Run by both commits: no more of seqreg than both have.
FIT = """
import sys, time
import numpy as np
import seqreg
from seqreg.sequences import InputSpec, read_input
from seqreg.sequences.splits import train_subset
name, learner, seed = sys.argv[1], getattr(seqreg, sys.argv[2]), int(sys.argv[3])
data = read_input(InputSpec(input=name))
train = np.arange(len(data)) if data.split is None else np.flatnonzero(data.split != "test")
order = np.random.default_rng(seed).permutation(train)
rows = order[train_subset(data.subset(order), 300, seed=seed)]
rest = np.setdiff1d(np.arange(len(data)), rows)[:2000]
X, y = ([data.sequence(int(i)) for i in rows], [data.classes[k] for k in data.y[rows]])
learner().fit(X[::5], y[::5])
begun = time.process_time()
model = learner(random_state=seed).fit(X, y)
seconds = time.process_time() - begun
truth = [data.classes[k] for k in data.y[rest]]
print(seconds, model.score([data.sequence(int(i)) for i in rest], truth))
"""


def fitted(tree: Path, *words: str) -> tuple[float, float]:
    """Seconds of a fit by the code of a tree, and its accuracy on sequences that it has not seen."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIT, *words],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, score = map(float, done.stdout.split())
    return seconds, score


def table(rows: Rows) -> str:
    """Medians over turns, and means of scores, as Markdown."""
    cells = []
    for name in SETS:
        for learner in LEARNERS:
            mine = [row for row in rows.read() if (row["data"], row["learner"]) == (name, learner)]
            if mine:
                before, after = (statistics.median(float(row[key]) for row in mine) for key in ("before", "after"))
                scores = (statistics.mean(float(row[key]) for row in mine) for key in ("score_before", "score_after"))
                cells.append(
                    [name, learner, f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}", str(len(mine))]
                    + [f"{score:.4f}" for score in scores]
                )
    columns = ["", "", "before, s", "after, s", "ratio", "turns", "accuracy before", "after"]
    return markdown_table(columns, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a tree of the commit to compare with")
    sitting(parser)
    options = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    rows = Rows(__file__, ("data", "learner", "turn", "before", "after", "score_before", "score_after"), key=3)
    for cell in rows.missing(
        ((name, learner, turn) for turn in TURNS for name in SETS for learner in LEARNERS), options.minutes
    ):
        name, learner, turn = cell
        trees = (options.before, here) if turn % 2 else (here, options.before)
        found = {tree: fitted(tree, name, learner, str(turn)) for tree in trees}
        (before, score_before), (after, score_after) = found[options.before], found[here]
        rows.add([(name, learner, turn, before, after, score_before, score_after)])
    commit = subprocess.run(
        ["git", "-C", str(options.before), "describe", "--always"], capture_output=True, text=True, check=True
    ).stdout.strip()
    said = (
        f"Seconds of the processor for a fit of 300 sequences, medians; *before* is commit {commit}. Another draw and "
    )
    said += "seed in every turn; accuracy is on up to 2,000 other sequences."
    write_section(__file__, "The time of a default fit", f"{said}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
