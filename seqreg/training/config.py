"""What a training is told, and the defaults that fill in what it is not told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seqreg.errors import UsageError, option
from seqreg.networks import OneHot, Sum
from seqreg.penalties import PENALTIES
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet, class_weights
from seqreg.settings import TrainSettings
from seqreg.specs import Spec, hyper, name_of
from seqreg.training.families import FAMILIES

# Position means something in sequences that begin somewhere: proteins and RNA up to this length, and DNA that is
# anchored, of one common length up to that one. Measured: a part that keeps positions brought .04 to .07 of auroc on
# coiled coils and .02 to .03 on QKI sites at 50 to 300 sequences, and cost no more than .01 on peptides
# (what each part adds: benchmarks/default_parts.py). The two lengths themselves are a choice.
SHORT_LENGTH, ANCHORED_LENGTH = 200, 100
# Values of proteins of one length are compared with those of so many training sequences. Beside the other parts it
# raised Spearman's correlation from .56 to .60 on amyloid-nucleation, .36 to .42 and .50 to .64 on gb1-four-sites (100
# and 300 sequences, draws 10 to 12, test part), and did nothing for DNA. The number is a choice for time.
MOST_NEIGHBOURS = 500
# With fewer sequences than this to hold out, early stopping follows noise: train for a fixed number of epochs. Weights
# for the parts of a sum need more: below that they come from a cross-validation. Choices by rule of thumb, not by a
# measurement: a loss on n sequences is known to about 1 / sqrt(n), 16 % of its spread at 40 and 8 % at 150.
SMALLEST_VALIDATION, SMALLEST_VALIDATION_OF_SUM = 40, 150
# A choice: 66 epochs of 300 sequences, 10 at least and 100 at most.
EXAMPLES_SEEN_WITHOUT_VALIDATION = 20_000
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

    def to_plain(self) -> dict[str, Any]:
        """What `config.json` holds: objects as texts, with every field spelled out."""
        values = {name: getattr(self, name) for name in self.get_params()}
        return to_plain({**values, **{name: family.written(values[name]) for name, family in FAMILIES.items()}})


def with_defaults(config: TrainConfig, train: SequenceSet, valid: SequenceSet | None) -> TrainConfig:
    """The configuration with every None filled in from the training part.

    No penalty being chosen stays None for a sum of several CNNs: each then has its own default. Raises UsageError for
    class weights where a sequence may carry several labels.
    """
    target, y = train.labelled()
    if config.class_weight in EVEN and target.one_class(y) is None:
        asked = option("class_weight", config.class_weight)
        raise UsageError(f"{asked}: these sequences {target.without_classes}")
    model = (config.model or default_model(train)).for_alphabet(train.alphabet)
    strands = config.reverse_complement
    if strands is None:
        strands = train.alphabet.name == "dna" and model.scores_both_strands
    epochs = config.epochs
    if epochs is None:
        epochs = 100 if valid is not None else max(10, min(100, EXAMPLES_SEEN_WITHOUT_VALIDATION // len(train)))
    penalty = model.default_penalty if config.penalty is None else config.penalty
    return replace(
        config,
        model=model,
        encoding=config.encoding or OneHot(),
        penalty=penalty,
        weight_decay=0.01 if config.weight_decay is None else config.weight_decay,
        epochs=epochs,
        batch_size=config.batch_size or (32 if len(train) < LARGE else 64),
        lr=config.lr or 3e-3,
        patience=config.patience or 20,
        class_weight=config.class_weight or "none",
        loss=target.loss_name,
        reverse_complement=strands,
        positive=target.with_positive(y, config.positive).positive,
    )


def smallest_validation(config: TrainConfig) -> int:
    """The number of sequences below which none are held out but all are trained on."""
    return SMALLEST_VALIDATION_OF_SUM if config.model is None or config.model.of_parts else SMALLEST_VALIDATION


def default_model(train: SequenceSet) -> Sum:
    """Linear models and a motif-anywhere CNN, and a position-keeping one where position may mean something."""
    protein = train.alphabet.name == "protein"
    longest, median = train.lengths.max(), np.median(train.lengths)
    anchored = longest <= ANCHORED_LENGTH and median == longest
    begins = anchored or (train.alphabet.name != "dna" and longest <= SHORT_LENGTH)
    width = min(8 if protein else 12, max(1, int(median)))
    target, _ = train.labelled()
    alike = protein and not target.probabilistic and longest <= SHORT_LENGTH and train.lengths.min() == longest
    neighbours = min(len(train), MOST_NEIGHBOURS) if alike else 0
    return Sum(width=(width,), pooling=("max", "position") if begins else ("max",), neighbours=neighbours)


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
