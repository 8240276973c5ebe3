"""What a training is told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seqreg.penalties import PENALTIES
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet, class_weights
from seqreg.settings import TrainSettings
from seqreg.specs import Spec, hyper, name_of
from seqreg.training.families import FAMILIES

# With fewer sequences than this to hold out, early stopping follows noise: train for a fixed number of epochs. Weights
# for the parts of a sum need more: below that they come from a cross-validation. Choices by rule of thumb, not by a
# measurement: a loss on n sequences is known to about 1 / sqrt(n), 16 % of its spread at 40 and 8 % at 150.
SMALLEST_VALIDATION, SMALLEST_VALIDATION_OF_SUM = 40, 150
# Class weights by which all classes count alike: in the loss, or in how often their sequences are drawn.
EVEN = ("balanced", "resampled")
# From this many training sequences on, steps are twice as large and an epoch half as many: a choice for time alone.
LARGE = 1000


@dataclass(frozen=True, kw_only=True)
class TrainConfig(TrainSettings):
    """Everything that decides a training; None means chosen from the data.

    Texts of penalties and the like become the objects they name at once. A penalty may be any callable
    `penalty(model, x, y, *, progress)`. Raises UsageError for unknown names, and for values out of range.
    """

    valid: float = hyper(0.15, "share of the training part held out for early stopping", low=0, below=1)
    test: float = hyper(0.2, "share of all sequences held out for testing", low=0, below=1)

    def __post_init__(self) -> None:
        for name, family in FAMILIES.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, family.resolve(value))
        super().__post_init__()

    @property
    def regularized(self) -> bool:
        """Whether a penalty, constraint or attack is asked for."""
        return bool(self.penalty or self.constraint or self.attack)

    @property
    def parts_may_follow(self) -> bool:
        """Whether parts of a sum that are dear may be left out of what is asked for, and be shrunk with the others."""
        known = all(getattr(penalty, "parts_may_follow", False) for penalty in self.penalty or ())
        return known and not self.constraint and not self.attack

    def to_plain(self) -> dict[str, Any]:
        """What `config.json` holds: objects as texts, with every field spelled out."""
        values = {name: getattr(self, name) for name in self.get_params()}
        return to_plain({**values, **{name: family.written(values[name]) for name, family in FAMILIES.items()}})


def smallest_validation(config: TrainConfig) -> int:
    """The number of sequences below which none are held out but all are trained on."""
    return SMALLEST_VALIDATION_OF_SUM if config.model is None or config.model.of_parts else SMALLEST_VALIDATION


def example_weights(data: SequenceSet, class_weight: str | None) -> NDArray[np.float64]:
    """(N,) weights of the classification loss, of mean 1: sample weights times inverse class frequencies."""
    weights = np.ones(len(data)) if data.weight is None else data.weight.astype(np.float64)
    target, y = data.labelled()
    classes = target.one_class(y)
    if class_weight in EVEN and classes is not None:
        weights = weights * class_weights(data)[classes]
    return weights / weights.mean()


@dataclass(frozen=True, kw_only=True)
class Regularizers:
    """What the training loop shows at work."""

    augment: tuple[Callable[..., torch.Tensor], ...]
    attack: Callable[..., torch.Tensor] | None
    penalties: dict[str, Callable[..., torch.Tensor]]
    constraints: tuple[Spec, ...]

    @classmethod
    def of(cls, config: TrainConfig) -> "Regularizers":
        """Those of a configuration, penalties by name."""
        names = [_name(each) for each in config.penalty or ()]
        unique = [name if names.count(name) == 1 else f"{name} {i + 1}" for i, name in enumerate(names)]
        return cls(
            augment=config.augment,
            attack=config.attack,
            penalties=dict(zip(unique, config.penalty or (), strict=True)),
            constraints=config.constraint,
        )

    def project_(self, model: nn.Module, epoch: int) -> None:
        """Apply every constraint to the weights."""
        for constraint in self.constraints:
            constraint.project_(model, epoch)  # pyright: ignore[reportAttributeAccessIssue]


def _name(penalty: Callable[..., torch.Tensor]) -> str:
    """What a penalty is called in the history: its name in the family, or its class."""
    return name_of(PENALTIES, penalty) or type(penalty).__name__
