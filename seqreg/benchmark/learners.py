"""What a method of a suite can be made of: the network, every baseline, and LS-GKM where it is installed.

One contract: `fit(learner, fields, train, seed=, device=)` sees training sequences and nothing else.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from seqreg.baselines import BASELINES, baselines_of
from seqreg.benchmark.ls_gkm import LsGkm
from seqreg.errors import UsageError
from seqreg.evaluation.conformal import FOLDS, Conformal
from seqreg.predictors.network import TrainedNetwork
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec, fits, holds_several, unknown_name
from seqreg.training import TrainConfig, learn

NETWORK = "network"
LEARNERS: dict[str, type[Spec]] = {NETWORK: TrainConfig, **BASELINES, "ls-gkm": LsGkm}
# Fields of TrainConfig that the protocol, the cell or the command line decide.
_NOT_OF_A_METHOD = {
    *("seed", "device", "threads", "deterministic", "test", "by", "similarity", "identity", "leave_out", "train_size"),
    *("positive", "baselines", "calibration", "prevalence"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A trained method. predict: p (N, K). network: the network, where it is one. conformal: what intervals of values
    are made from, where there are any.

    cv_score: what the method's own inner cross-validation promised, None where it has none.
    settings_tried: settings that its own inner cross-validation compared.
    """

    predict: Callable[[SequenceSet], NDArray[np.float64]]
    conformal: Conformal | None = None
    network: TrainedNetwork | None = None
    cv_score: float | None = None
    settings_tried: int = 1


def fit(learner: str, setting: Mapping[str, Any], train: SequenceSet, *, seed: int = 0, device: str = "cpu") -> Fitted:
    """A learner with the fields of a setting, trained on one thread."""
    if learner != NETWORK:
        fitted: Any = LEARNERS[learner](**setting)
        model = fitted(train, seed=seed)
        errors = getattr(model, "errors", None)
        conformal = None if errors is None else Conformal.of_errors(errors, FOLDS)
        return Fitted(
            conformal=conformal,
            predict=model.probabilities,
            cv_score=model.cv_score,
            settings_tried=max(1, len(model.trials)),
        )
    how: dict[str, Any] = {"seed": seed, "device": device, "threads": 1, "baselines": False}
    # Where folds are held out anyhow, intervals of values are for nothing.
    calibration = "none" if train.labelled()[0].probabilistic else TrainConfig().calibration
    learned = learn(replace(train, split=None), TrainConfig(**setting, **how, calibration=calibration))
    network = learned.network
    return Fitted(predict=network.probabilities, network=network, conformal=learned.conformal)


def unavailable(learner: str) -> str | None:
    """Why a learner cannot be used on this machine; None where it can."""
    if learner == "ls-gkm":
        return LsGkm.missing_program(os.environ.get("PATH", ""))
    return None


def inapplicable(learner: str, train: SequenceSet, test: SequenceSet) -> str | None:
    """Why a learner cannot learn from these sequences, or not read the others; None where it can."""
    if learner.startswith("one-hot") and len(np.unique(np.concatenate([train.lengths, test.lengths]))) > 1:
        return "sequences of several lengths"
    if learner in ("vectors", "vector-ridge") and not train.vectors:
        return "sequences without vectors"
    target, _ = train.labelled()
    if learner in BASELINES and learner not in baselines_of(target):
        return f"{target.noun} are learned"
    if learner == "ls-gkm" and (train.alphabet.name != "dna" or train.target is None or not train.target.binary):
        return "not two classes of DNA"
    return None


def checked_fields(learner: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as fields of the learner, lists as tuples. Raises UsageError for what it would not take."""
    cls = LEARNERS[learner]
    hints = get_type_hints(cls)
    known = [entry.name for entry in fields(cls)]  # pyright: ignore[reportArgumentType]
    if learner == NETWORK:
        known = [name for name in known if name not in _NOT_OF_A_METHOD]
    checked: dict[str, Any] = {}
    for written, value in values.items():
        name = written.removeprefix("+").replace("-", "_")
        if name not in known:
            raise unknown_name(f"field of {learner}", written, known)
        several = holds_several(hints[name])
        if written.startswith("+") and not several:
            raise UsageError(f"{learner}: {name} is one value, to which nothing can be added")
        if several and not isinstance(value, list | tuple):
            value = (value,)
        if isinstance(value, list):
            value = tuple(value)
        if not fits(value, hints[name]):
            raise UsageError(f"{learner}: {written} cannot be {value!r}")
        checked["+" * written.startswith("+") + name] = value
    cls(**{name.removeprefix("+"): value for name, value in checked.items()})
    return checked
