"""The methods of Bietti et al. (ICML 2019) on their protein task: 100 training sequences, a family held out.

A task of `scop159` holds one family out of its superfamily. Training: 50 sequences of the superfamily's other families
(topped up with copies in which 10 % of the letters are changed) against 50 of other folds; test: the held-out family
against 1,000 sequences of other folds that are not trained on. Hyperparameters are chosen per method on 6 tasks and
reported on 12 of other superfamilies. Resumable: each task, method, setting and augmentation is a row of
results/homology_small.tsv, computed once. Without `scop159` on SEQREG_DATA there is nothing to do, and it says so.
"""

import csv
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from page import SECTIONS, markdown_table, write_section
from scipy import stats

from seqreg.deformations import AUGMENTATIONS
from seqreg.errors import SeqregError
from seqreg.metrics import auroc, auroc50
from seqreg.networks.trained import TrainedNetwork
from seqreg.sequences import InputSpec, SequenceSet, find_data_set, read_input, table_of, tasks_of
from seqreg.training import TrainConfig, architecture_of, fit, reproducible, with_defaults

DATA_SET = "scop159"
CHOOSING, REPORTED = 6, 12
OF_EACH_CLASS, TESTED_NEGATIVES = 50, 1000
CHANGED_LETTERS = 0.1
AUGMENTATION = "noise:rate=0.1"
SEED = 0
ROWS = SECTIONS / "homology_small.tsv"
COLUMNS = ("task", "method", "setting", "augment", "auroc50", "auroc", "seconds")
TRAINING = TrainConfig(
    model="cnn:filters=64,width=10,pooling=max",
    penalty=(),
    weight_decay=0.0,
    epochs=50,
    batch_size=25,
    lr=1e-2,
    baselines=False,
    threads=1,
    device="cpu",
    seed=SEED,
)

PLAIN, WEIGHT_DECAY, SPECTRAL = "no weight decay", "weight decay", "SN projection"
# What a configuration is told beyond TRAINING. Weight decay is cheap and gets more settings than its rivals.
ALONE: dict[str, list[dict[str, Any]]] = {
    PLAIN: [{}],
    WEIGHT_DECAY: [{"penalty": (f"weight-decay:weight={weight}",)} for weight in (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)],
    SPECTRAL: [{"constraint": (f"spectral-norm:radius={radius}",)} for radius in (0.5, 1, 2)],
    "PGD-l2": [{"attack": f"pgd:epsilon={epsilon}"} for epsilon in (0.5, 1, 2)],
    "grad-l2": [{"penalty": (f"loss-gradient:weight={weight}",)} for weight in (1, 5, 25)],
    "adversarial": [{"penalty": (f"adversarial:epsilon={epsilon}",)} for epsilon in (0.5, 1, 2)],
    "gradient": [{"penalty": (f"gradient:weight={weight}",)} for weight in (0.03, 0.3, 3)],
}
# A combination keeps what was chosen for its second part alone.
COMBINED = [
    *((lower, SPECTRAL) for lower in ("PGD-l2", "grad-l2", "adversarial", "gradient")),
    *((lower, WEIGHT_DECAY) for lower in ("adversarial", "gradient")),
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One held-out family: what is trained on and what is scored, the superfamily being class 1."""

    name: str
    train: SequenceSet
    test: SequenceSet
    copies: int


def chosen_tasks() -> tuple[list[str], list[str]]:
    """Families held out for choosing and for the report: one task per superfamily, drawn once."""
    generator = np.random.default_rng(SEED)
    rows = tasks_of(find_data_set(DATA_SET))
    superfamilies = sorted({row["superfamily"] for row in rows})
    drawn = generator.permutation(len(superfamilies))[: CHOOSING + REPORTED]
    families = []
    for i in drawn:
        members = sorted(row["held_out_family"] for row in rows if row["superfamily"] == superfamilies[i])
        families.append(members[int(generator.integers(len(members)))])
    return families[:CHOOSING], families[CHOOSING:]


def make_task(data: SequenceSet, table: list[dict[str, str]], family: str, number: int) -> Task:
    generator = np.random.default_rng([SEED, number])
    of = {level: np.array([row[level] for row in table]) for level in ("family", "superfamily", "fold")}
    member = of["family"] == family
    superfamily, fold = of["superfamily"][member][0], of["fold"][member][0]
    others = generator.permutation(np.flatnonzero((of["superfamily"] == superfamily) & ~member))[:OF_EACH_CLASS]
    strangers = generator.permutation(np.flatnonzero(of["fold"] != fold))
    copies = OF_EACH_CLASS - len(others)
    copied = generator.choice(others, copies) if copies else others[:0]
    train = data.subset(np.concatenate([others, copied, strangers[:OF_EACH_CLASS]]))
    changed = np.arange(len(others), OF_EACH_CLASS)
    return Task(
        name=family,
        train=labelled(with_changed_letters(train, changed, number), OF_EACH_CLASS),
        test=labelled(
            data.subset(np.concatenate([np.flatnonzero(member), strangers[OF_EACH_CLASS:][:TESTED_NEGATIVES]])),
            int(member.sum()),
        ),
        copies=copies,
    )


def labelled(data: SequenceSet, positives: int) -> SequenceSet:
    """The first so many sequences belong to the superfamily, the rest do not."""
    return replace(data, classes=("other", "superfamily"), y=(np.arange(len(data)) < positives).astype(np.int64))


def with_changed_letters(data: SequenceSet, rows: NDArray[np.int64], seed: int) -> SequenceSet:
    """The set with every letter of the chosen sequences changed with probability CHANGED_LETTERS."""
    noise = AUGMENTATIONS["noise"](rate=CHANGED_LETTERS)  # pyright: ignore[reportCallIssue]
    codes, generator = data.codes.copy(), torch.Generator().manual_seed(seed)
    for i in rows:
        piece = slice(data.offsets[i], data.offsets[i + 1])
        codes[piece] = noise(torch.from_numpy(codes[piece])[None], generator, data.alphabet)[0].numpy()  # pyright: ignore[reportCallIssue]
    return replace(data, codes=codes)


class Results:
    """The rows measured so far; a cell that is missing is measured when it is asked for."""

    def __init__(self, tasks: dict[str, Task]) -> None:
        self.tasks = tasks
        self.rows: dict[tuple[str, ...], dict[str, float]] = {}
        if ROWS.exists():
            for row in csv.DictReader(ROWS.open(), delimiter="\t"):
                key = (row["task"], row["method"], row["setting"], row["augment"])
                self.rows[key] = {name: float(row[name]) for name in ("auroc50", "auroc")}
        else:
            ROWS.parent.mkdir(exist_ok=True)
            ROWS.write_text("\t".join(COLUMNS) + "\n")

    def scores(
        self, tasks: list[str], method: str, setting: dict[str, Any], augment: str = "none", metric: str = "auroc50"
    ) -> NDArray[np.float64]:
        """(n,) scores on these tasks."""
        return np.array([self._cell(task, method, setting, augment)[metric] for task in tasks])

    def _cell(self, name: str, method: str, setting: dict[str, Any], augment: str) -> dict[str, float]:
        key = (name, method, written(setting), augment)
        if key not in self.rows:
            begun = time.perf_counter()
            cell = measure(self.tasks[name], setting, augment)
            line = (*key, *(f"{value:.5f}" for value in cell.values()), f"{time.perf_counter() - begun:.1f}")
            with ROWS.open("a") as handle:
                handle.write("\t".join(line) + "\n")
            print(*line, flush=True)
            self.rows[key] = {metric: round(value, 5) for metric, value in cell.items()}
        return self.rows[key]


def measure(task: Task, setting: dict[str, Any], augment: str) -> dict[str, float]:
    """auroc50 and auroc of a network trained on the task."""
    augmented = () if augment == "none" else (augment,)
    config = with_defaults(replace(TRAINING, augment=augmented, **setting), task.train, None)
    with reproducible(config, torch.device("cpu")):
        architecture = architecture_of(config, task.train)
        module = architecture.build()
        fit(module, config, task.train, None)  # pyright: ignore[reportArgumentType]
    scores = TrainedNetwork(architecture=architecture, module=module).logits(task.test)[:, 0]
    assert task.test.y is not None
    return {"auroc50": auroc50(task.test.y, scores), "auroc": auroc(task.test.y, scores)}


def written(setting: dict[str, Any]) -> str:
    """A setting as text: the specs that it consists of."""
    return " ".join(spec for value in setting.values() for spec in ((value,) if isinstance(value, str) else value))


def best(results: Results, tasks: list[str], method: str, settings: list[dict[str, Any]]) -> dict[str, Any]:
    """The setting of highest mean auroc50 on the tasks for choosing."""
    return max(settings, key=lambda setting: results.scores(tasks, method, setting).mean())


def together(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both settings at once; penalties add up."""
    penalties = (*first.get("penalty", ()), *second.get("penalty", ()))
    return {**first, **second, "penalty": penalties}


def table(results: Results, chosen: dict[str, dict[str, Any]], tasks: list[str], augment: str) -> str:
    """Means over tasks with 95 % intervals, and paired differences to weight decay."""
    baseline = results.scores(tasks, WEIGHT_DECAY, chosen[WEIGHT_DECAY], augment)
    lines = []
    for method, setting in chosen.items():
        scores = results.scores(tasks, method, setting, augment)
        difference = "" if method == WEIGHT_DECAY else interval(scores - baseline, "+.3f")
        area = results.scores(tasks, method, setting, augment, "auroc").mean()
        lines.append([method, interval(scores, ".3f"), difference, f"{area:.3f}", f"`{written(setting) or '-'}`"])
    return markdown_table(["method", "auroc50", "against weight decay", "auroc", "chosen setting"], lines)


def verdict(results: Results, chosen: dict[str, dict[str, Any]], tasks: list[str], augment: str) -> str:
    """Which methods differ from the two baselines by more than the interval of the paired difference."""
    sentences = []
    for baseline in (WEIGHT_DECAY, PLAIN):
        against = results.scores(tasks, baseline, chosen[baseline], augment)
        differences = {
            method: results.scores(tasks, method, setting, augment) - against
            for method, setting in chosen.items()
            if method not in (PLAIN, WEIGHT_DECAY)
        }
        for word, sign in (("above", 1), ("below", -1)):
            found = [method for method, each in differences.items() if (sign * each).mean() > half_width(each)]
            sentences.append(f"{word} {baseline}: {', '.join(found) or 'none'}")
    return "Regularized networks clearly " + "; ".join(sentences) + "."


def interval(values: NDArray[np.float64], form: str) -> str:
    """Mean and half width of Student's 95 % interval for it."""
    return f"{values.mean():{form}} ± {half_width(values):.3f}"


def half_width(values: NDArray[np.float64]) -> float:
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def main() -> None:
    try:
        table_of_domains = table_of(find_data_set(DATA_SET))
        data = read_input(InputSpec(input=DATA_SET))
    except SeqregError as error:
        print(f"{error}\nSkipped: put the folder that holds {DATA_SET} on SEQREG_DATA to measure this.")
        return
    choosing, reported = chosen_tasks()
    families = [*choosing, *reported]
    results = Results({family: make_task(data, table_of_domains, family, i) for i, family in enumerate(families)})
    chosen = {method: best(results, choosing, method, settings) for method, settings in ALONE.items()}
    for lower, upper in COMBINED:
        method = f"{lower} + {'SN' if upper == SPECTRAL else upper}"
        settings = [together(setting, chosen[upper]) for setting in ALONE[lower]]
        chosen[method] = best(results, choosing, method, settings)
    copies = [results.tasks[family].copies for family in reported]
    write_section(
        __file__,
        "A family held out, 100 training sequences",
        f"{len(reported)} tasks of `{DATA_SET}`, each one SCOP family held out of its superfamily: "
        f"{OF_EACH_CLASS} training sequences of the superfamily's other families (in {np.count_nonzero(copies)} tasks "
        f"filled up with copies, {CHANGED_LETTERS:.0%} of their letters changed) and {OF_EACH_CLASS} of other folds; "
        f"tested on the family against {TESTED_NEGATIVES:,} unseen sequences of other folds. One network for all "
        f"(`{TRAINING.model}`, {TRAINING.epochs} epochs of Adam at {TRAINING.lr}, no validation part, no decoupled "
        f"decay), one setting per method, chosen by mean auroc50 on {len(choosing)} tasks of other superfamilies; "
        "combinations keep what was chosen for their second part. Means over tasks ± Student's 95 % interval, "
        "differences paired by task; *clearly* means that the interval of the difference excludes 0.\n\n"
        + "\n\n".join(
            f"{title}:\n\n{table(results, chosen, reported, augment)}\n\n{verdict(results, chosen, reported, augment)}"
            for title, augment in (
                ("Without augmentation", "none"),
                (f"With `{AUGMENTATION}`, same settings", AUGMENTATION),
            )
        ),
    )


if __name__ == "__main__":
    main()
