"""What a training is told, and the defaults that fill in what it is not told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seqreg.attacks import ATTACKS
from seqreg.constraints import CONSTRAINTS
from seqreg.deformations import AUGMENTATIONS
from seqreg.errors import UsageError
from seqreg.networks import ENCODINGS, MODELS, NetworkSpec
from seqreg.penalties import PENALTIES
from seqreg.sequences import SequenceSet, choose_positive, class_weights
from seqreg.specs import Spec, hyper, parse, resolve, write

# Position means something in sequences that begin somewhere: proteins and RNA up to this length, and DNA that is
# anchored, of one common length up to that one.
SHORT_LENGTH, ANCHORED_LENGTH = 200, 100
# With fewer sequences than this to hold out, early stopping follows noise: train for a fixed number of epochs. Weights
# for the parts of a sum need more: below that they come from a cross-validation.
SMALLEST_VALIDATION, SMALLEST_VALIDATION_OF_SUM = 40, 150
EXAMPLES_SEEN_WITHOUT_VALIDATION = 20_000
# Class weights by which all classes count alike: in the loss, or in how often their sequences are drawn.
EVEN = ("balanced", "resampled")
# From this many training sequences on, steps are twice as large and an epoch half as many.
LARGE = 1000


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Spec):
    """Everything that decides a training, named like the command line's options; None means chosen from the data."""

    model: str | Spec | None = hyper(None, "network")
    encoding: str | Spec | None = hyper(None, "fixed letter encoding")
    penalty: tuple[str | Spec | Callable[..., torch.Tensor], ...] | None = hyper(None, "terms added to the loss")
    constraint: tuple[str | Spec, ...] = hyper((), "projections after each step")
    attack: str | Spec | None = hyper(None, "worst-case inputs trained on")
    augment: tuple[str | Spec, ...] = hyper((), "random deformations of training sequences")
    weight_decay: float | None = hyper(None, "AdamW's decoupled decay", low=0)
    epochs: int | None = hyper(None, "passes over the training part, at most", low=1)
    batch_size: int | None = hyper(None, "sequences per step", low=1)
    lr: float | None = hyper(None, "peak learning rate", above=0)
    patience: int | None = hyper(None, "epochs without a better validation loss before stopping", low=1)
    class_weight: str | None = hyper(
        None, "of rare classes: weighed more, or drawn more often", choices=("balanced", "resampled", "none")
    )
    start: str = hyper(
        "random", "filters before training: random, or windows of sequences", choices=("random", "windows")
    )
    reverse_complement: bool | None = hyper(None, "score both strands with the same weights")
    valid: float = hyper(0.15, "share of the training part held out for early stopping", low=0, below=1)
    test: float = hyper(0.2, "share of all sequences held out for testing", low=0, below=1)
    by: str | None = hyper(None, "how parts are split", choices=("stratified", "group", "homology"))
    similarity: float = hyper(0.3, "k-mer similarity above which sequences stay on one side", above=0, high=1)
    identity: float = hyper(0.7, "identity of an alignment from which on they stay on one side", above=0, high=1)
    leave_out: bool = hyper(False, "use some sequences nowhere rather than have relatives on two sides")
    train_size: int | None = hyper(None, "training sequences used, drawn by class", low=2)
    positive: str | None = hyper(None, "positive class of a binary task")
    seed: int = hyper(0, "seed of every random choice", low=0)
    device: str = hyper("auto", "auto, cpu, cuda or cuda:i")
    threads: int | None = hyper(None, "CPU threads", low=1)
    precision: str = hyper("float32", "floating-point type of weights", choices=("float32", "float64"))
    deterministic: bool = hyper(False, "bit-reproducible kernels on a GPU")
    calibration: str = hyper("temperature", "of probabilities, on the validation part", choices=("none", "temperature"))
    baselines: bool = hyper(True, "train the k-mer baselines beside the network")


def with_defaults(config: TrainConfig, train: SequenceSet, valid: SequenceSet | None) -> TrainConfig:
    """The configuration with every None filled in from the training part; specs in their full text form.

    No penalty being chosen stays None for a sum of several CNNs: each then has its own default. Raises UsageError for
    class weights where a sequence may carry several labels.
    """
    if config.class_weight in EVEN and train.multi_label:
        raise UsageError(f"--class-weight {config.class_weight}: these sequences may carry several labels each")
    model = config.model or default_model(train)
    spec: NetworkSpec = resolve("model", MODELS, model)
    strands = config.reverse_complement
    if strands is None:
        strands = train.alphabet.name == "dna" and spec.scores_both_strands
    batch_size = config.batch_size or (32 if len(train) < LARGE else 64)
    epochs = config.epochs
    if epochs is None:
        epochs = 100 if valid is not None else max(10, min(100, EXAMPLES_SEEN_WITHOUT_VALIDATION // len(train)))
    penalty = spec.default_penalty if config.penalty is None else config.penalty
    return replace(
        config,
        model=_text("model", MODELS, model),
        encoding=_text("encoding", ENCODINGS, config.encoding or "one-hot"),
        penalty=None if penalty is None else tuple(_text("penalty", PENALTIES, each) for each in penalty),
        constraint=tuple(_text("constraint", CONSTRAINTS, each) for each in config.constraint),
        attack=None if config.attack is None else _text("attack", ATTACKS, config.attack),
        augment=tuple(_text("augmentation", AUGMENTATIONS, each) for each in config.augment),
        weight_decay=0.01 if config.weight_decay is None else config.weight_decay,
        epochs=epochs,
        batch_size=batch_size,
        lr=config.lr or 3e-3,
        patience=config.patience or 20,
        class_weight=config.class_weight or "none",
        reverse_complement=strands,
        positive=choose_positive(train, config.positive),
    )


def smallest_validation(config: TrainConfig) -> int:
    """The number of sequences below which none are held out but all are trained on."""
    model = "sum" if config.model is None else config.model
    return SMALLEST_VALIDATION_OF_SUM if resolve("model", MODELS, model).of_parts else SMALLEST_VALIDATION


def default_model(train: SequenceSet) -> str:
    """Linear models and a motif-anywhere CNN, and a position-keeping one where position may mean something."""
    protein = train.alphabet.name == "protein"
    longest, median = train.lengths.max(), np.median(train.lengths)
    anchored = longest <= ANCHORED_LENGTH and median == longest
    begins = anchored or (train.alphabet.name != "dna" and longest <= SHORT_LENGTH)
    width = min(8 if protein else 12, max(1, int(median)))
    return f"sum:spectrum={2 if protein else 4},width={width},pooling={'max+position' if begins else 'max'}"


def example_weights(data: SequenceSet, class_weight: str | None) -> NDArray[np.float64]:
    """(N,) weights of the classification loss, of mean 1: sample weights times inverse class frequencies."""
    weights = np.ones(len(data)) if data.weight is None else data.weight.astype(np.float64)
    if class_weight in EVEN and data.y is not None and not data.multi_label:
        weights = weights * class_weights(data)[data.y]
    return weights / weights.mean()


@dataclass(frozen=True, kw_only=True)
class Regularizers:
    """The objects behind the names: what the training loop shows at work."""

    augment: tuple[Callable[..., torch.Tensor], ...]
    attack: Callable[..., torch.Tensor] | None
    penalties: dict[str, Callable[..., torch.Tensor]]
    constraints: tuple[Spec, ...]

    @classmethod
    def of(cls, config: TrainConfig) -> "Regularizers":
        """Resolve the names of a configuration."""
        penalties = [(_name(each), resolve("penalty", PENALTIES, each)) for each in config.penalty or ()]
        names = [name for name, _ in penalties]
        unique = [name if names.count(name) == 1 else f"{name} {i + 1}" for i, name in enumerate(names)]
        return cls(
            augment=tuple(resolve("augmentation", AUGMENTATIONS, each) for each in config.augment),
            attack=None if config.attack is None else resolve("attack", ATTACKS, config.attack),
            penalties={name: penalty for name, (_, penalty) in zip(unique, penalties, strict=True)},
            constraints=tuple(resolve("constraint", CONSTRAINTS, each) for each in config.constraint),
        )

    def project_(self, model: nn.Module, epoch: int) -> None:
        """Apply every constraint to the weights."""
        for constraint in self.constraints:
            constraint.project_(model, epoch)  # pyright: ignore[reportAttributeAccessIssue]


def _text(kind: str, family: Mapping[str, type[Spec]], value: Any) -> Any:
    """Names are spelled out in full; a caller's own object or callable stays as it is."""
    if isinstance(value, str):
        value = parse(kind, family, value)
    return write(family, value) if type(value) in family.values() else value


def _name(value: str | Spec | Callable[..., torch.Tensor]) -> str:
    return value.partition(":")[0] if isinstance(value, str) else type(value).__name__
