"""What a training may be told, each option once: its name, type, range, default and meaning.

The command line makes its flags of these fields, `SequenceClassifier` its parameters, benchmarks the fields of a
method; `seqreg.training` adds what only a library can be told.
"""

from dataclasses import dataclass
from typing import Any

from seqreg.specs import Spec, hyper


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Spec):
    """Everything that decides a training but the shares held out. None means chosen from the data.

    model, encoding, penalty, constraint, attack, augment: members of their families, as objects or as texts.
    """

    model: Any = hyper(None, "See: seqreg models.", family="model", panel="Network")
    encoding: Any = hyper(None, "See: seqreg encodings.", family="encoding", panel="Network")
    reverse_complement: bool | None = hyper(None, "Read both strands as one.", panel="Network")
    penalty: tuple[Any, ...] | None = hyper(
        None,
        "Added to the loss; repeat it, or none. See: seqreg penalties.",
        family="penalty",
        panel="Regularization",
    )
    constraint: tuple[Any, ...] = hyper(
        (), "After each step; repeat it. See: seqreg constraints.", family="constraint", panel="Regularization"
    )
    attack: Any = hyper(None, "Train on worst cases. See: seqreg attacks.", family="attack", panel="Regularization")
    augment: tuple[Any, ...] = hyper(
        (), "Random edits; repeat it. See: seqreg augmentations.", family="augment", panel="Regularization"
    )
    weight_decay: float | None = hyper(None, "Decoupled weight decay of AdamW.", low=0, panel="Regularization")
    epochs: int | None = hyper(None, "Passes over the training part, at most.", low=1, panel="Fitting")
    batch_size: int | None = hyper(None, "Sequences per step.", low=1, panel="Fitting")
    lr: float | None = hyper(None, "Peak learning rate.", above=0, panel="Fitting")
    patience: int | None = hyper(
        None, "Epochs without a better validation loss before stopping.", low=1, panel="Fitting"
    )
    class_weight: str | None = hyper(
        None,
        "Let rare classes weigh more, or draw them more often.",
        choices=("balanced", "resampled", "none"),
        panel="Fitting",
    )
    loss: str | None = hyper(
        None,
        "Of values: squared errors, or huber, to which outliers matter less.",
        choices=("squared", "huber"),
        panel="Fitting",
    )
    start: str = hyper(
        "random",
        "Filters before training: random, or windows of sequences.",
        choices=("random", "windows"),
        panel="Fitting",
    )
    calibration: str = hyper(
        "temperature",
        "Make probabilities honest on the validation part.",
        choices=("none", "temperature"),
        panel="Fitting",
    )
    baselines: bool = hyper(True, "Compare with k-mer models on the test part.", panel="Fitting")
    by: str | None = hyper(
        None,
        "Keep groups, or similar sequences, on one side; by group where there are groups.",
        choices=("stratified", "group", "homology"),
        panel="Train, validation and test parts",
    )
    similarity: float = hyper(
        0.3,
        "Sequences that share so many k-mers stay together.",
        above=0,
        high=1,
        metavar="SHARE",
        panel="Train, validation and test parts",
    )
    identity: float = hyper(
        0.7,
        "Sequences aligned with this identity stay together too.",
        above=0,
        high=1,
        metavar="SHARE",
        panel="Train, validation and test parts",
    )
    leave_out: bool = hyper(
        False,
        "Leave sequences out, as few as needed, rather than relatives in two parts.",
        panel="Train, validation and test parts",
    )
    train_size: int | None = hyper(
        None, "Train on N sequences only, chosen by class.", low=2, panel="Train, validation and test parts"
    )
    positive: str | None = hyper(
        None, "The positive class of a binary task, else chosen and printed.", metavar="CLASS", panel="Sequences"
    )
    prevalence: float | None = hyper(
        None,
        "Share of positives where the model will be used, for thresholds.tsv.",
        above=0,
        below=1,
        metavar="SHARE",
        panel="Sequences",
    )
    seed: int = hyper(0, "Seed of every random choice.", low=0, panel="Machine")
    device: str = hyper("auto", "Where to compute.", metavar="auto|cpu|cuda[:i]", panel="Machine")
    threads: int | None = hyper(None, "CPU threads; at most 2, or OMP_NUM_THREADS, without it.", low=1, panel="Machine")
    precision: str = hyper("float32", "Of weights and scores.", choices=("float32", "float64"), panel="Machine")
    deterministic: bool = hyper(False, "The same bytes again on a GPU too, more slowly.", panel="Machine")
