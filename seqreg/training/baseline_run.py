"""A run folder for the best k-mer baseline, split, tested and described as a network's is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from seqreg.baselines import BASELINES, FittedBaseline, fit_baseline, fit_baselines
from seqreg.evaluation.conformal import FILE, FOLDS, Conformal
from seqreg.records import to_plain, write_json, write_tsv
from seqreg.sequences import SequenceSet, write_seen
from seqreg.specs import parse
from seqreg.training.calibration import effect_on_test, write_conformal
from seqreg.training.checkpoint import PIECES
from seqreg.training.claim import alone, claim_folder
from seqreg.training.config import TrainConfig
from seqreg.training.folder import complete, measure, now, write_predictions
from seqreg.training.judging import check_run, keep, opponent, score_all, verdict_of, write_thresholds
from seqreg.training.next_steps import steps_after_baseline
from seqreg.training.parts import split_parts
from seqreg.unfinished import unfinished

DECIDING = ("valid", "test", "by", "similarity", "identity", "leave_out", "train_size", "reverse_complement", "seed")


@alone
def train_baseline(
    data: SequenceSet,
    config: TrainConfig,
    output: Path,
    *,
    baseline: str | None = None,
    valid: SequenceSet | None = None,
    test: SequenceSet | None = None,
    command: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    tuned: Mapping[str, Any] | None = None,
    finish: Callable[[Path], object] | None = None,
) -> FittedBaseline:
    """Tune a baseline, or all of them to keep the best by cross-validation, and write a run folder.

    config: its shares, sizes, seed, positive class and `reverse_complement` (whether a k-mer and its reverse
    complement are one) count; what concerns networks does not. The validation part is learned from too, as baselines
    tune by cross-validation; prediction sets are learned from the test part, the only one held out, but intervals of
    values from the errors in the folds. tuned, resume,
    finish: as for `train`. Raises UsageError for an unknown baseline or a folder in the way, InputError for data that
    cannot be used.
    """
    chosen = None if baseline is None else parse("baseline", BASELINES, baseline)
    started = now()
    parts = split_parts(data, config, valid=valid, test=test)
    target, y = parts.train_and_valid.labelled()
    positive = target.with_positive(y, config.positive).positive
    parts = parts.with_positive(positive)
    deciding = {name: getattr(config, name) for name in DECIDING}
    resolved = to_plain({"baseline": baseline, **deciding, "positive": positive, "input_sha256": data.sha256})
    resolved |= {"tune": tuned} if tuned else {}
    if claim_folder(output, resolved, resume=resume or tuned is not None, overwrite=overwrite):
        return FittedBaseline.load(output)
    write_json(output / "config.json", resolved, "config")

    clock = perf_counter()
    learned_from = parts.train_and_valid
    how: dict[str, Any] = {"seed": config.seed, "strand_free": config.reverse_complement}
    with unfinished(output / PIECES, config=resolved) as once:
        if chosen is None:
            fitted = fit_baselines(learned_from, once=once, **how)
            best = next(iter(fitted.values()))
        else:
            best = fit_baseline(chosen, learned_from, once=once, **how)
            fitted = {best.name: best}
    seconds = perf_counter() - clock

    write_tsv(output / "splits.tsv", ("id", "split", "group"), parts.rows())
    best.save(output)
    conformal = Conformal.of_errors(best.errors, FOLDS) if best.errors is not None else None
    if conformal is not None:
        write_json(output / FILE, conformal, "calibration")
    write_seen(output, parts.train_and_valid)
    if parts.test is not None:
        p = best.probabilities(parts.test)
        others = score_all({name: each for name, each in fitted.items() if each is not best}, parts.test, config.seed)
        metrics, rival = measure(parts.test, p, config.seed), opponent(others)
        steps = steps_after_baseline(command, output, data.source, rival and rival[0])
        keep(output, rival)
        if target.probabilistic:
            conformal = write_conformal(output, ("test", parts.test), best.probabilities)
        write_predictions(output, parts.test, p, conformal)
        written = {
            **metrics.to_plain(),
            **effect_on_test(parts.test, p, p, best.temperature, conformal),
            "baselines": {name: each.metrics.to_plain() for name, each in others.items()},
            "verdict": verdict_of(parts.test, p, metrics, rival, steps, config.seed),
        }
        plain = {best.name: metrics.to_plain(), **written["baselines"]}
        written["checks"] = check_run(output, data, parts, p, plain, config)
        write_thresholds(output, parts.test, p, config.prevalence)
        write_json(output / "metrics.json", written, "metrics")
    facts = {
        "seed": config.seed,
        "device": "cpu",
        "command": list(command),
        "started": started,
        "timings": {"training": round(seconds, 3)},
    }
    complete(output, facts, data, parts, finish)
    return best
