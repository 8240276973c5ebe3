"""A search on training sequences, and the run folder that its answer leaves."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqreg.baselines import GUESSING, baselines_for
from seqreg.errors import UsageError, option
from seqreg.records import to_plain, write_json
from seqreg.sequences import SequenceSet, with_positive
from seqreg.specs import Spec, hyper
from seqreg.training import FAMILIES, TrainConfig, choose_device, train, train_baseline, with_defaults
from seqreg.training import Progress as TrainingProgress
from seqreg.training.claim import TUNING, alone, claim_folder, settle
from seqreg.training.parts import Parts, split_parts
from seqreg.tuning.choice import choose
from seqreg.tuning.folds import inner_splits, most_folds, with_groups
from seqreg.tuning.outcome import Outcome
from seqreg.tuning.search import Search
from seqreg.tuning.space import space_of
from seqreg.tuning.trials import Report, Trials
from seqreg.workers import Results, usual_processes

TRIALS = 30
# With more sequences than this, one partition into folds tells the best apart.
TWO_PARTITIONS_UP_TO = 2000


@dataclass(frozen=True, kw_only=True)
class Halving(Spec):
    """How much is searched, generation after generation of which the better half goes on; without limits, 30 trials."""

    trials: int | None = hyper(None, "settings tried, at most", low=1)
    budget: float | None = hyper(None, "minutes for trying, at most", above=0)
    folds: int = hyper(3, "folds of a partition", low=2)
    workers: int | None = hyper(None, "processes of one thread each; none: one per core, on a GPU one", low=1)
    ensemble: bool = hyper(False, "of what is chosen, train one CNN without each fold and average them")

    @property
    def most_trials(self) -> int | None:
        """Candidates at most, None where only time ends the search."""
        return TRIALS if self.trials is None and self.budget is None else self.trials


@dataclass(frozen=True, kw_only=True)
class TunedRun:
    """The folder, and what the search found."""

    folder: Path
    outcome: Outcome


@alone
def tune(
    data: SequenceSet,
    config: TrainConfig,
    output: Path,
    effort: Halving,
    *,
    valid: SequenceSet | None = None,
    test: SequenceSet | None = None,
    command: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    found: Callable[[Outcome], None] | None = None,
    training: Callable[[TrainingProgress], None] | None = None,
    finish: Callable[[Path], object] | None = None,
) -> TunedRun:
    """Search on the training part, train what was chosen on all of it, and write a run folder as `train` does.

    What `config` says is kept; what it leaves open is chosen. Its `baselines` says whether baselines take part.
    found: told what was chosen before it is trained, and `training` how that goes on. Raises as `train` does.
    """
    if config.model is not None:
        config = replace(config, model=config.model.for_alphabet(data.alphabet))
    parts = split_parts(data, config, valid=valid, test=test)
    given = {"input": data, "valid": valid, "test": test}
    tuned = to_plain(
        {
            **config.to_plain(),
            **{name: getattr(effort, name) for name in ("trials", "budget", "folds", "ensemble")},
            **{f"{name}_sha256": part.sha256 for name, part in given.items() if part is not None},
        }
    )
    search = prepare_trials(parts, config, effort, output / TUNING, valid=valid)
    if claim_folder(output, {"tune": tuned}, resume=resume, overwrite=overwrite):
        shutil.rmtree(output / TUNING, ignore_errors=True)
        outcome = Outcome.load(output)
        assert outcome is not None
        return TunedRun(folder=output, outcome=outcome)
    outcome = Outcome.load(output)
    if outcome is None:
        write_json(output / "config.json", {"tune": tuned}, "config")
        outcome = run_search(search, effort, report=report)
        outcome.save(output)
    if found:
        found(outcome)
    how: dict[str, Any] = {"valid": valid, "test": test, "command": command, "tuned": tuned, "finish": finish}
    if "baseline" in outcome.setting:
        train_baseline(data, config, output, baseline=outcome.setting["baseline"], **how)
    else:
        config = replace(config, **outcome.setting)
        train(data, config, output, report=training, workers=_processes(effort, config), **how)
    shutil.rmtree(output / TUNING, ignore_errors=True)
    settle(output)
    return TunedRun(folder=output, outcome=outcome)


def run_search(trials: Trials, effort: Halving, *, report: Report | None = None) -> Outcome:
    """Search, or go on searching, and choose."""
    trials.results.create()
    trials.run(budget=effort.budget, workers=_processes(effort, trials.config), report=report)
    state, scores = trials.state(exploring=effort.budget is None)
    outcome = Outcome.of(trials.search, state, scores, choose(trials.search, state, scores))
    return with_several_networks(outcome, trials.config, effort.folds) if effort.ensemble else outcome


def _processes(effort: Halving, config: TrainConfig) -> int:
    return usual_processes(effort.workers, alone=choose_device(config.device).type == "cuda")


def with_several_networks(outcome: Outcome, config: TrainConfig, networks: int) -> Outcome:
    """The outcome with several CNNs in place of one; a baseline stays what it is."""
    if "baseline" in outcome.setting:
        return outcome
    model = outcome.setting.get("model", config.model)
    assert model is not None, "what the configuration leaves open, the setting says"
    network = FAMILIES["model"].resolve(model)
    setting = {**outcome.setting, "model": replace(network, networks=networks)}
    return replace(outcome, setting=setting, what=f"{outcome.what}, {networks} CNNs averaged")


def prepare_trials(
    parts: Parts, config: TrainConfig, effort: Halving, path: Path, *, valid: SequenceSet | None = None
) -> Trials:
    """The search on the training part, with its results under `path`.

    Raises InputError for too few sequences, UsageError for an ensemble of networks that are no sums.
    """
    default = with_defaults(config, parts.train, parts.valid)
    assert default.model is not None
    if effort.ensemble and not default.model.of_parts:
        remedy = f"leave {option('model')} out, or name {option('model', 'sum')}"
        raise UsageError(f"{option('ensemble', True)} averages the CNNs of a sum: {remedy}")
    sequences = with_positive(parts.train_and_valid, config.positive)
    sequences, by = with_groups(sequences, by=config.by, similarity=config.similarity, identity=config.identity)
    folds = most_folds(sequences, effort.folds, by, config.seed)
    first, second = (inner_splits(sequences, folds=folds, by=by, seed=config.seed + i) for i in range(2))
    splits = [*first, *(second if len(sequences) <= TWO_PARTITIONS_UP_TO else ())]
    held_out = parts.valid is not None and valid is None and not _has_valid(parts)
    one_length = all(
        part is None or len(set(part.lengths.tolist())) == 1 for part in (parts.train_and_valid, parts.test)
    )
    reads = [name for name in baselines_for(parts.train_and_valid) if name not in GUESSING]
    reads = [name for name in reads if one_length or not name.startswith("one-hot")]
    search = Search(
        space=space_of(config, default, parts.train, held_out=held_out and config.valid == TrainConfig().valid),
        trials=effort.most_trials,
        baselines=tuple(reads) if config.baselines else (),
        folds=len(first),
        more=len(splits) - len(first),
        seed=config.seed,
        metric=sequences.labelled()[0].headline[0],
        tie_breaker=sequences.labelled()[0].tie_breaker,
    )
    return Trials(search=search, results=Results(path=path), splits=splits, valid=valid, config=config, by=by)


def _has_valid(parts: Parts) -> bool:
    """Whether the input itself says which sequences decide when to stop."""
    split = parts.train_and_valid.split
    return split is not None and bool((split == "valid").any())
