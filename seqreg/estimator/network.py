"""What a network has as an estimator, whatever it learns: training, explanation, saving and loading."""

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from seqreg.errors import UsageError
from seqreg.estimator.base import SequenceEstimator, folder_to_save, read_config
from seqreg.estimator.inputs import read_labelled
from seqreg.explain import STEPS, Explanation, explain
from seqreg.predictors.network import TrainedNetwork, load_trained
from seqreg.records import write_json
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec, resolve
from seqreg.training import FAMILIES, Progress, TrainConfig, choose_device, learn
from seqreg.training.folder import write_history
from seqreg.training.learning import Learned
from seqreg.training.parts import split_parts
from seqreg.tuning import SEARCHES, Halving, Outcome, prepare_trials, run_search


class NetworkEstimator(SequenceEstimator):
    """A 1-D convolutional network over sequences, regularized as its parameters say."""

    families: ClassVar[Mapping[str, Mapping[str, type[Spec]]]] = {
        **{name: family.members for name, family in FAMILIES.items()},
        "tune": SEARCHES,
    }
    valid: Any
    tune: Any
    n_jobs: int | None
    verbose: int
    network_: TrainedNetwork
    history_: list[dict[str, Any]]
    config_: TrainConfig
    tuning_: Outcome

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train on sequences X and labels or values y.

        sample_weight: (N,) weights in the loss. groups: (N,) what must stay on one side when sequences are held out for
        early stopping. Raises ValueError for X or y that cannot be learned from, DivergedError where training does not
        stay finite.
        """
        data = self._learn_from(X, y, sample_weight, groups)
        share, held_out = self._validation(data)
        config = self._settled(data, self._config(share), held_out)
        self._keep(learn(data, config, valid=held_out, report=_report if self.verbose else None))
        return self

    def explain(self, X: Any, y: Any = None, *, batch_size: int = 64, steps: int = STEPS) -> Explanation:
        """What each letter of sequences X does to their scores, and the motifs that the network finds in them.

        An `Explanation`: `motifs`, most important first, and for each of the N sequences, in `sequences`, an
        `Attribution` whose arrays, for l letters of an alphabet of A and K logits (1 for two classes or values), are
        mutagenesis (l, A, K), gradient_times_input (l, K), integrated_gradients (l, K), logits (K,) and
        baseline_logits (K,). All are in float32, in logits of the classes that `logit_of` names, or in the unit of
        values.

        y: labels or values, by which motifs are said to fire and to be enriched; without them, the predicted ones.
        batch_size: sequences at a time. steps: points of the integral along which integrated gradients are taken.
        Raises UsageError for a label that was not there at `fit`.
        """
        check_is_fitted(self)
        known: dict[str, Any] = {"alphabet": self.network_.alphabet.name, "vectors": self.vectors}
        data = self._read(X) if y is None else read_labelled(X, y, self._known, **known)
        return explain(self.network_, data, batch=batch_size, steps=steps)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a run folder that `load`, and every command that takes a run, understands.

        What has no form as text, a callable for example, is written as Python shows it: `load` gives an estimator that
        predicts, but cannot be fitted again. Raises UsageError if something is in the way.

        overwrite: a model that is there is replaced, with all that seqreg wrote about it.
        """
        check_is_fitted(self)
        with folder_to_save(folder, overwrite=overwrite) as place:
            write_json(place / "config.json", {**self.config_.to_plain(), "estimator": self._described()}, "config")
            write_history(place, self.history_)
            self._save_more(place)
            self.network_.save(place)

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto") -> Self:
        """The estimator saved in a folder, or one for the network that `seqreg train` left there.

        Raises ModelError for a folder without a network, and for damaged files.
        """
        folder = Path(folder)
        network = load_trained(folder, str(choose_device(device)))
        stored = read_config(folder)
        about = stored.pop("estimator", None)
        known = {entry.name for entry in fields(TrainConfig)}
        config: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name in known
        }
        if about is None:
            renamed = {"random_state": config.get("seed"), "n_jobs": config.get("threads")}
            about = {"params": {**config, **renamed, "alphabet": network.alphabet.name}}
        loaded = cls()
        loaded._restore(about, network.target)
        loaded.network_ = network
        loaded._load_more(folder)
        loaded.config_ = TrainConfig(**{name: value for name, value in config.items() if _is_readable(name, value)})
        return loaded

    def _keep(self, learned: Learned) -> None:
        """What `fit` leaves."""
        self.network_, self.history_, self.config_ = learned.network, learned.history, learned.config

    def _settled(self, data: SequenceSet, config: TrainConfig, held_out: SequenceSet | None) -> TrainConfig:
        """The configuration with what it leaves open chosen on the sequences, where that is asked for."""
        if self.tune is None:
            return config
        if isinstance(self.tune, str | Halving):
            effort: Halving = resolve("search", SEARCHES, self.tune)
        elif isinstance(self.tune, int | np.integer) and not isinstance(self.tune, bool):
            effort = Halving(trials=int(self.tune))
        else:
            raise UsageError(f"tune must be a number of settings to try, a text or Halving(); got {self.tune!r:.60}")
        with TemporaryDirectory() as folder:
            parts = split_parts(data, config, valid=held_out)
            trials = prepare_trials(parts, config, effort, Path(folder), valid=held_out)
            workers = effort.workers or effective_n_jobs(self.n_jobs)  # pyright: ignore[reportArgumentType]
            self.tuning_ = run_search(trials, replace(effort, workers=workers))
        return replace(config, **self.tuning_.setting)

    def _config(self, share: float) -> TrainConfig:
        same = {entry.name for entry in fields(TrainConfig)} & self.get_params(deep=False).keys()
        given = {name: getattr(self, name) for name in same}
        given |= {name: given[name] or () for name in ("constraint", "augment")}
        if isinstance(given.get("class_weight"), dict):
            given["class_weight"] = None  # it is in the sequences' weights already
        return TrainConfig(
            **{
                **given,
                "valid": share,
                "test": 0.0,
                "positive": self._positive(),
                "seed": self._seed(),
                "threads": effective_n_jobs(self.n_jobs),  # pyright: ignore[reportArgumentType]  # None is allowed
                "baselines": False,
            }
        )

    def _validation(self, data: SequenceSet) -> tuple[float, SequenceSet | None]:
        """The share to hold out, or the sequences given for it."""
        if isinstance(self.valid, int | float):
            return float(self.valid), None
        if not isinstance(self.valid, tuple | list) or len(self.valid) != 2:
            raise UsageError(f"valid must be a share of at least 0 and below 1, or (X, y); got {self.valid!r:.60}")
        X, y = self.valid
        return 0.0, read_labelled(X, y, self._known, data.alphabet.name, vectors=self.vectors)

    def _predictor(self) -> TrainedNetwork:
        return self.network_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")


def _is_readable(name: str, value: Any) -> bool:
    """Whether a value of config.json can be read again: what had no form as text cannot."""
    try:
        FAMILIES[name].resolve(value or ())
    except KeyError:
        return True
    except UsageError:
        return False
    return True


def _report(progress: Progress) -> None:
    terms = ", ".join(f"{name} {value:.4g}" for name, value in progress.row.items() if name != "epoch")
    stage = "" if progress.stage == "training" else f"{progress.stage} "
    sys.stderr.write(f"{stage}epoch {progress.epoch}/{progress.epochs}: {terms}\n")
