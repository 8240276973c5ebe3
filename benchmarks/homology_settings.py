"""What networks of the homology suite share, chosen on families that have nothing in common with those reported on.

Of scop159, sequences that scop153 holds too and every superfamily with a positive of scop153's 54 tasks are left out;
of what is left each family with relatives enough is held out once. Resumable: a setting and family is a row of
results/homology_settings.tsv. Takes both data sets (put their folders on SEQREG_DATA); some minutes per setting.
"""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import torch
from cells import Rows, minutes_of_sitting, trained
from numpy.typing import NDArray
from page import markdown_table, write_section

from seqreg.benchmark.tasks import two_class_task
from seqreg.errors import SeqregError
from seqreg.metrics import auroc, auroc50
from seqreg.sequences import InputSpec, SequenceSet, find_data_set, read_input, table_of, tasks_of
from seqreg.training import TrainConfig, with_defaults

LEARNED, REPORTED = "scop159", "scop153"
FEWEST_FOUND, FEWEST_RELATIVES = 5, 12
NEGATIVES = 1200  # to learn from at most, and as many to test on
LONGEST = 1000
SHARED = TrainConfig(
    model="cnn:filters=128,width=15",
    encoding="blosum62",
    class_weight="resampled",
    epochs=20,
    weight_decay=0.0,
    penalty=("weight-decay:weight=0.01",),
    threads=1,
    device="cpu",
)
WIDE: dict[str, object] = {"model": "cnn:filters=256,width=20"}
WINDOWS: dict[str, object] = {"start": "windows"}
SIMILAR: dict[str, object] = {"augment": ("similar:rate=0.2",)}
BOTH = {**WIDE, **WINDOWS, **SIMILAR}
HALF: dict[str, object] = {**BOTH, "encoding": "blosum62:identity=0.5"}
SETTINGS: dict[str, dict[str, object]] = {
    "128 filters of 15 on BLOSUM62, classes drawn alike, weight decay .01, 20 epochs": {},
    "10 epochs": {"epochs": 10},
    "class weights in the loss, 10 epochs": {"class_weight": "balanced", "epochs": 10},
    "class weights in the loss, 10 epochs, another seed": {"class_weight": "balanced", "epochs": 10, "seed": 1},
    "class weights in the loss, 10 epochs, one-hot": {
        "class_weight": "balanced",
        "epochs": 10,
        "encoding": "one-hot",
    },
    "one-hot": {"encoding": "one-hot"},
    "weight decay .003": {"penalty": ("weight-decay:weight=0.003",)},
    "weight decay .03": {"penalty": ("weight-decay:weight=0.03",)},
    "256 filters of 20": WIDE,
    "256 filters of 30": {"model": "cnn:filters=256,width=30"},
    "dropout .5": {"model": "cnn:filters=128,width=15,dropout=0.5"},
    "256 filters of 20, letters replaced by similar ones": {**WIDE, **SIMILAR},
    "256 filters of 20 that start as windows": {**WIDE, **WINDOWS},
    "256 filters of 20 that start as windows, letters replaced by similar ones": BOTH,
    "the same on one-hot": {**BOTH, "encoding": "one-hot"},
    "the same on half BLOSUM62, half one-hot": HALF,
    "the same on half BLOSUM62, half one-hot, average of four, two of 20 and two of 30": {
        **HALF,
        "model": "sum:spectrum=0,positions=false,filters=256,width=20+30,networks=2,average=true",
    },
    "the same on half BLOSUM62, half one-hot, averaged with local alignments to 512 sequences": {
        **HALF,
        "model": "sum:spectrum=0,positions=false,alignments=512,filters=256,width=20,average=true",
    },
    "the same on BLOSUM62, 40 epochs": {**BOTH, "epochs": 40},
    "256 filters of 20 that start as windows, letters replaced by similar ones, inserted and lost": {
        **BOTH,
        "augment": ("similar:rate=0.2", "indel:rate=0.02"),
    },
}
COLUMNS = ("setting", "family", "auroc", "auroc50")


def apart(table: list[dict[str, str]]) -> NDArray[np.bool_]:
    """(N,) whether a sequence has nothing to do with the reported tasks: neither it nor one of its superfamily."""
    reported = table_of(find_data_set(REPORTED))
    positive = {row["id"] for row in tasks_of(find_data_set(REPORTED)) if row["role"].endswith("+")}
    domains, sequences = {row["id"][:6].lower() for row in reported}, {row["sequence"] for row in reported}
    found_domains = {name[:6].lower() for name in positive}
    found_sequences = {row["sequence"] for row in reported if row["id"] in positive}
    related = {
        row["superfamily"]
        for row in table
        if row["sequence"] in found_sequences or row["id"][:6].lower() in found_domains
    }
    return np.array(
        [
            row["superfamily"] not in related
            and row["sequence"] not in sequences
            and row["id"][:6].lower() not in domains
            for row in table
        ]
    )


def families(table: list[dict[str, str]], free: NDArray[np.bool_]) -> list[str]:
    """Families with enough members to be found, and relatives outside them to learn from."""
    rows = list(itertools.compress(table, free))
    members, relatives = (Counter(row[level] for row in rows) for level in ("family", "superfamily"))
    superfamily = {row["family"]: row["superfamily"] for row in rows}
    return sorted(
        family
        for family, n in members.items()
        if n >= FEWEST_FOUND and relatives[superfamily[family]] - n >= FEWEST_RELATIVES
    )


def task(
    data: SequenceSet, table: list[dict[str, str]], free: NDArray[np.bool_], family: str
) -> tuple[SequenceSet, SequenceSet]:
    """Learn from the superfamily without the family, find the family; negatives are of other folds."""
    of = {level: np.array([row[level] for row in table]) for level in ("family", "superfamily", "fold")}
    first = int(np.flatnonzero(of["family"] == family)[0])
    found = np.flatnonzero(free & (of["family"] == family))
    relatives = np.flatnonzero(free & (of["superfamily"] == of["superfamily"][first]) & (of["family"] != family))
    others = np.flatnonzero(free & (of["fold"] != of["fold"][first]) & (data.lengths < LONGEST))
    drawn = np.random.default_rng(int.from_bytes(family.encode(), "little") % 2**32).permutation(others)
    half = min(NEGATIVES, len(drawn) // 2)
    learned, tested = np.concatenate([relatives, drawn[:half]]), np.concatenate([found, drawn[half : 2 * half]])
    return two_class_task(data, learned, len(relatives)), two_class_task(data, tested, len(found))


def measure(setting: dict[str, object], train: SequenceSet, test: SequenceSet) -> tuple[str, str]:
    """auroc and auroc50 on the family."""
    config = with_defaults(replace(SHARED, **setting), train, None)
    p = trained(config, train, None).probabilities(test)
    assert test.y is not None
    return f"{auroc(test.y, p):.5f}", f"{auroc50(test.y, p):.5f}"


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    torch.set_num_threads(1)
    try:
        table = table_of(find_data_set(LEARNED))
        data = read_input(InputSpec(input=LEARNED))
        free = apart(table)
    except SeqregError as error:
        print(f"{error}\nSkipped: put the folders of {LEARNED} and {REPORTED} on SEQREG_DATA to measure this.")
        return
    rows = Rows(__file__, COLUMNS, key=2)
    names = families(table, free)
    for setting, family in rows.missing(itertools.product(SETTINGS, names), minutes):
        rows.add([(setting, family, *measure(SETTINGS[setting], *task(data, table, free, family)))])
    report(rows, len(names))


def report(rows: Rows, n: int) -> None:
    """The section, of the settings that all n families were tried with."""
    measured, lines = rows.read(), []
    for setting in SETTINGS:
        here = [row for row in measured if row["setting"] == setting]
        if len(here) == n:
            means = [np.mean([float(row[column]) for row in here]) for column in ("auroc50", "auroc")]
            lines.append([setting, *(f"{mean:.3f}" for mean in means)])
    write_section(
        __file__,
        "What networks of the homology suite share",
        f"Means over {n} families of `{LEARNED}` that share no sequence and no superfamily with the tasks of "
        f"`{REPORTED}`, each found among up to {NEGATIVES:,} proteins of other folds after learning from its relatives "
        "and as many others. The others differ from the first line as they say; the suite reports the best single "
        "network and both averages. One seed: differences of .02 are noise.\n\n"
        + markdown_table(["setting", "auroc50", "auroc"], lines),
    )


if __name__ == "__main__":
    main()
