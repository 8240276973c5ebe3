"""What a cross-validation shows: scores within folds and their means, the verdict, and predictions out of fold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.baselines import GUESSING
from seqreg.evaluation.calibration import held_out_effect
from seqreg.evaluation.learning_curve import learning_curve
from seqreg.evaluation.over_folds import judge_folds, metric_interval
from seqreg.evaluation.scores import evaluate
from seqreg.records import to_plain, write_tsv
from seqreg.targets import Target
from seqreg.training.folds import SHARES, Work
from seqreg.training.next_steps import Steps

NETWORK, PICKED = "network", "picked"
SPLIT = "cross-validation"
Array = NDArray[np.float64]
Scores = Mapping[str, float | None]


def of_folds(work: Work, records: Sequence[Mapping[str, Any]], steps: Steps, temperature: float) -> dict[str, Any]:
    """What metrics.json holds of a cross-validation.

    The metrics are means over all folds, each computed within its fold; an interval is that of the mean. `folds` lists
    every fold. Numbers per class, confusion and reliability describe the predictions of the first repeat, all together.
    """
    target, y = work.data.labelled()
    scores = [_scores(work, key, record) for key, record in zip(work.keys(), records, strict=True)]
    names = [name for name in scores[0] if all(name in each for each in scores)]
    means = {name: _mean(work, target, [each[name] for each in scores]) for name in names if name != PICKED}
    headline = next((name for name in target.headline if means[NETWORK][name] is not None), target.headline[-1])
    rival = rival_of(records)
    found = {name: [each[name][headline] for each in scores if name in each] for name in (NETWORK, PICKED)}
    ours, theirs = ([value for value in values if value is not None] for values in found.values())
    verdict = None
    if all(None not in values for values in found.values()):
        verdict = judge_folds(
            target,
            headline,
            ours,
            theirs if rival is not None else None,
            rival=rival,
            folds=work.asked.folds,
            n=len(y),
        )
    before, after = (out_of_fold(work, records, said) for said in ("before", "p"))
    return {
        **_described(work, records, "p"),
        **means[NETWORK],
        "folds": _table(work, records, scores, target),
        "repeats": work.asked.repeats,
        **held_out_effect(target, y, before, after, temperature=temperature),
        "baselines": {name: {**_described(work, records, name), **means[name]} for name in means if name != NETWORK},
        **_curve(work, target, headline, scores),
        "verdict": None if verdict is None else verdict.advising(steps).to_plain(),
    }


def preferred_baseline(record: Mapping[str, Any]) -> str | None:
    """The baseline that inner cross-validation on the fold's training part prefers; None where none was fitted."""
    names = [name for name in record["baselines"] if name not in GUESSING]
    return names[0] if names else None


def rival_of(records: Sequence[Mapping[str, Any]]) -> str | None:
    """The baseline that is picked in most folds, the first of several; None where none was fitted."""
    chosen = Counter(pick for record in records if (pick := preferred_baseline(record)) is not None)
    return chosen.most_common(1)[0][0] if chosen else None


def out_of_fold(work: Work, records: Sequence[Mapping[str, Any]], said: str = "p") -> Array:
    """(N, K) what was said of sequences by models that had not seen them, averaged over the repeats in the records.

    said: "p" of networks, "before" of these without their temperature, or the name of a baseline.
    """
    total = np.zeros((len(work.data), work.data.labelled()[0].columns))
    times = np.zeros((len(work.data), 1))
    for (_, repeat, fold), record in zip(work.keys(), records, strict=False):
        _, held_out = work.rows(repeat, fold)
        total[held_out] += np.asarray(record[said] if said in record else record["baselines"][said])
        times[held_out] += 1
    with np.errstate(invalid="ignore"):
        return total / times


def _described(work: Work, records: Sequence[Mapping[str, Any]], said: str) -> dict[str, Any]:
    """Numbers per class and confusion of the first repeat's predictions, put together."""
    target, y = work.data.labelled()
    known = np.sort(np.concatenate([work.rows(0, fold)[1] for fold in work.folds]))
    p = out_of_fold(work, records[: work.asked.folds], said)
    return evaluate(target, y[known], p[known], split=SPLIT, resamples=0).to_plain()


def _scores(work: Work, key: tuple[str, int, int], record: Mapping[str, Any]) -> dict[str, Scores]:
    """Model -> metrics on the fold: of the network, every baseline, and the one that was picked."""
    _, held_out = work.rows(*key[1:])
    target, y = work.data.subset(held_out).labelled()
    said = {NETWORK: record["p"], **record["baselines"]}
    found: dict[str, Scores] = {
        name: evaluate(target, y, np.asarray(p), resamples=0).values for name, p in said.items()
    }
    best = preferred_baseline(record)
    return found if best is None else {**found, PICKED: found[best]}


def _mean(work: Work, target: Target, scores: Sequence[Scores]) -> dict[str, Any]:
    """Means over the folds in which a metric is defined, None where there is none, with their intervals."""
    values: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for name, metric in target.metrics.items():
        known = [value for each in scores if (value := each[name]) is not None]
        values[name] = float(np.mean(known)) if known else None
        intervals[name] = metric_interval(metric, known, work.asked.folds, len(work.data)) if known else None
    return {**values, "intervals": intervals}


def _curve(work: Work, target: Target, headline: str, scores: Sequence[Mapping[str, Scores]]) -> dict[str, Any]:
    """The learning curve of the first repeat, where it was asked for; nothing where too little is defined."""
    if not work.asked.learning_curve:
        return {}
    sizes: list[float] = []
    values: list[list[float | None]] = []
    for share in SHARES:
        parts = work.partial_records(share)
        sizes.append(float(np.mean([each["trained_on"] for each in parts])))
        values.append([])
        for fold, each in zip(work.folds, parts, strict=True):
            _, held_out = work.rows(0, fold)
            tested = evaluate(*work.data.subset(held_out).labelled(), np.asarray(each["p"]), resamples=0)
            values[-1].append(tested.values[headline])
    sizes.append(float(np.mean([len(work.rows(0, fold)[0]) for fold in work.folds])))
    values.append([each[NETWORK][headline] for each in scores[: work.asked.folds]])
    found = learning_curve(target.metrics[headline], sizes, values)
    return {} if found is None else {"learning_curve": found.to_plain(headline, len(work.data))}


def _table(
    work: Work, records: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Scores]], target: Target
) -> list[dict[str, Any]]:
    """A row per fold: sizes, the network's metrics, the baseline that was picked and its metrics."""
    rows = []
    for (_, repeat, fold), record, found in zip(work.keys(), records, scores, strict=True):
        rows.append(
            {
                "repeat": repeat + 1,
                "fold": fold + 1,
                "n": len(record["p"]),
                "trained_on": record["trained_on"],
                "network": {name: found[NETWORK][name] for name in target.metrics},
                "picked": preferred_baseline(record),
                "baseline": None if PICKED not in found else {name: found[PICKED][name] for name in target.metrics},
            }
        )
    return to_plain(rows)


def write_out_of_fold(output: Path, work: Work, records: Sequence[Mapping[str, Any]]) -> None:
    """Write predictions.tsv, a row per sequence and repeat with its fold, and splits.tsv of the first repeat."""
    target, y = work.data.labelled()
    shown = target.texts(y)
    rows: list[tuple[Any, ...]] = []
    for (_, repeat, fold), record in zip(work.keys(), records, strict=True):
        _, held_out = work.rows(repeat, fold)
        p = np.asarray(record["p"])
        for i, row in zip(held_out.tolist(), target.prediction_rows(p), strict=True):
            rows.append((work.data.names[i], shown[i], *row, fold + 1, repeat + 1))
    columns = ("id", target.field, *target.prediction_columns, "fold", "repeat")
    write_tsv(output / "predictions.tsv", columns, rows)
    first = work.splits[0]
    groups = [""] * len(work.data) if work.data.group is None else work.data.group
    write_tsv(output / "splits.tsv", ("id", "split", "group"), zip(work.data.names, first.part, groups, strict=True))
