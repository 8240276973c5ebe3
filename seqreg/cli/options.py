"""Options that several commands share, as dataclasses which `app.command` spreads over a command's parameters.

Fields carry the names of the library's parameters; heavy types are built in methods, which import what they need.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seqreg.cli.config_file import apply_config
from seqreg.cli.terminal import Terminal
from seqreg.errors import UsageError

if TYPE_CHECKING:
    from seqreg.sequences import InputSpec, SequenceSet

SEQUENCES, NETWORK, REGULARIZATION, FITTING, SEARCH, EDITS, PARTS, MACHINE, OUTPUT = (
    "Sequences",
    "Network",
    "Regularization",
    "Fitting",
    "Search",
    "Edits",
    "Train, validation and test parts",
    "Machine",
    "Output",
)


def option(panel: str, flag: str, metavar: str | None, about: str, *more: str, default: bool = False) -> Any:
    """An option in a panel of the help; `default` shows its default value."""
    return typer.Option(flag, *more, metavar=metavar, help=about, rich_help_panel=panel, show_default=default)


Output = Annotated[Path, option(OUTPUT, "--output", "PATH", "Where the result goes.", "-o")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that train or baseline wrote.", show_default=False)]
Positive = Annotated[
    str | None,
    option(SEQUENCES, "--positive", "CLASS", "The positive class of a binary task, else chosen and printed."),
]
Seed = Annotated[int, option(MACHINE, "--seed", "N", "Seed of every random choice.", default=True)]
By = Annotated[
    Literal["stratified", "group", "homology"] | None,
    option(PARTS, "--by", None, "Keep groups, or similar sequences, on one side; by group where there are groups."),
]
Similarity = Annotated[
    float,
    option(PARTS, "--similarity", "SHARE", "Sequences that share so many k-mers stay together.", default=True),
]
Identity = Annotated[
    float,
    option(PARTS, "--identity", "SHARE", "Sequences aligned with this identity stay together too.", default=True),
]
LeaveOut = Annotated[
    bool,
    option(PARTS, "--leave-out", "", "Leave sequences out, as few as needed, rather than relatives in two parts."),
]
ReverseComplement = Annotated[
    bool | None,
    option(NETWORK, "--reverse-complement/--no-reverse-complement", "", "Read both strands as one."),
]
Part = Annotated[
    str | None,
    option(PARTS, "--part", "train|valid|test", "Only this part: of the split in RUN if it was trained on this input."),
]
BatchSize = Annotated[int, option(FITTING, "--batch-size", "N", "Sequences scored at once.", default=True)]
Device = Annotated[str, option(MACHINE, "--device", "auto|cpu|cuda[:i]", "Where to compute.", default=True)]
Threads = Annotated[
    int | None, option(MACHINE, "--threads", "N", "CPU threads; at most 2, or OMP_NUM_THREADS, without it.")
]
Overwrite = Annotated[
    bool, option(OUTPUT, "--overwrite", "", "Replace the run that is there; with --resume, only a different one.")
]


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Where sequences come from: exactly one of the forms, and how to read it."""

    input: Annotated[
        str | None,
        typer.Argument(
            metavar="INPUT",
            help="FASTA (>id label=NAME), CSV or TSV (sequence, label), an HDF5 store, the name of a data set, or - .",
            show_default=False,
        ),
    ] = None
    class_files: Annotated[
        list[str] | None, option(SEQUENCES, "--class", "NAME=FILE", "A FASTA file per class; repeat it.")
    ] = None
    pos: Annotated[str | None, option(SEQUENCES, "--pos", "FILE", "Short for --class positive=FILE.")] = None
    neg: Annotated[str | None, option(SEQUENCES, "--neg", "FILE", "Short for --class negative=FILE.")] = None
    fasta: Annotated[str | None, option(SEQUENCES, "--fasta", "FILE", "A FASTA file whose labels are in --labels.")] = (
        None
    )
    labels: Annotated[
        str | None, option(SEQUENCES, "--labels", "FILE", "A table: id, label [, split, group, weight].")
    ] = None
    bed: Annotated[
        str | None, option(SEQUENCES, "--bed", "FILE", "Regions of --genome; the name column is the label.")
    ] = None
    genome: Annotated[str | None, option(SEQUENCES, "--genome", "FILE", "The FASTA file that --bed refers to.")] = None
    alphabet: Annotated[
        str | None, option(SEQUENCES, "--alphabet", "dna|rna|protein", "Without it, inferred from all sequences.")
    ] = None
    gaps: Annotated[
        str, option(SEQUENCES, "--gaps", "reject|drop", "What to do with gaps and stops (- . *); reject without it.")
    ] = "reject"
    max_length: Annotated[
        int | None, option(SEQUENCES, "--max-length", "LETTERS", "Refuse longer sequences (train: above 10000).")
    ] = None

    @property
    def given(self) -> bool:
        """Whether any input was named."""
        return any((self.input, self.class_files, self.pos, self.neg, self.fasta, self.labels, self.bed, self.genome))

    def spec(self, **asked: Any) -> "InputSpec":
        """What the sequences room reads; `asked` are its further fields, which may replace options."""
        from seqreg.sequences import InputSpec

        options: dict[str, Any] = {
            "input": self.input,
            "class_files": [_class_file(text) for text in self.class_files or ()],
            "pos": self.pos,
            "neg": self.neg,
            "fasta": self.fasta,
            "labels": self.labels,
            "bed": self.bed,
            "genome": self.genome,
            "alphabet": self.alphabet,
            "gaps": self.gaps,
            "max_length": self.max_length,
        }
        return InputSpec(**{**options, **asked})

    def read(self, terminal: Terminal, **asked: Any) -> "SequenceSet":
        """All sequences, having said what they are and what is noteworthy about them."""
        from seqreg.sequences import carried_classes, read_input

        sequences = read_input(self.spec(**asked))
        lengths = sequences.lengths
        how = "as asked" if self.alphabet else "as the data say"
        terminal.note(
            f"Read {len(sequences):,} sequences of {lengths.min():,} to {lengths.max():,} letters; "
            f"alphabet {sequences.alphabet.name} ({how})"
        )
        if sequences.classes:
            counts = carried_classes(sequences).sum(axis=0, dtype=int).tolist()
            shown = [f"{name} {count:,}" for name, count in zip(sequences.classes, counts, strict=True)]
            terminal.note(f"Classes: {', '.join(shown[:20])}{', ...' if len(shown) > 20 else ''}")
        terminal.warn(sequences.warnings)
        return sequences


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """How sequences without a split of their own are divided, or the split that they are given."""

    valid: Annotated[
        str, option(PARTS, "--valid", "FRACTION|INPUT", "Share of the rest, 0 for none, or an input.", default=True)
    ] = "0.15"
    test: Annotated[
        str, option(PARTS, "--test", "FRACTION|INPUT", "Share of all, 0 for none, or an input.", default=True)
    ] = "0.2"
    by: By = None
    similarity: Similarity = 0.3
    identity: Identity = 0.7
    leave_out: LeaveOut = False
    train_size: Annotated[
        int | None, option(PARTS, "--train-size", "N", "Train on N sequences only, chosen by class.")
    ] = None
    splits: Annotated[Path | None, option(PARTS, "--splits", "FILE", "Parts or folds that seqreg split wrote.")] = None
    fold: Annotated[int | None, option(PARTS, "--fold", "K", "Of the folds in --splits, the one to test on.")] = None

    def divide(self, sequences: "SequenceSet") -> "SequenceSet":
        """The sequences with the parts that --splits gives them; as they are without it."""
        from seqreg.sequences import read_split, with_split

        if self.splits is None:
            if self.fold is not None:
                raise UsageError("--fold chooses among the folds of --splits FILE, which seqreg split --folds writes")
            return sequences
        if self.by is not None:
            raise UsageError("--splits says which sequences are tested on; leave out --by")
        return with_split(sequences, read_split(self.splits, sequences), self.fold)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What decides a training; what is not given is chosen from the data, printed and stored."""

    model: Annotated[str | None, option(NETWORK, "--model", "SPEC", "See: seqreg models.")] = None
    encoding: Annotated[str | None, option(NETWORK, "--encoding", "SPEC", "See: seqreg encodings.")] = None
    reverse_complement: ReverseComplement = None
    penalty: Annotated[
        list[str] | None,
        option(REGULARIZATION, "--penalty", "SPEC", "Added to the loss; repeat it, or none. See: seqreg penalties."),
    ] = None
    constraint: Annotated[
        list[str] | None,
        option(REGULARIZATION, "--constraint", "SPEC", "After each step; repeat it. See: seqreg constraints."),
    ] = None
    attack: Annotated[
        str | None, option(REGULARIZATION, "--attack", "SPEC", "Train on worst cases. See: seqreg attacks.")
    ] = None
    augment: Annotated[
        list[str] | None,
        option(REGULARIZATION, "--augment", "SPEC", "Random edits; repeat it. See: seqreg augmentations."),
    ] = None
    weight_decay: Annotated[
        float | None, option(REGULARIZATION, "--weight-decay", "NUMBER", "Decoupled weight decay of AdamW.")
    ] = None
    epochs: Annotated[int | None, option(FITTING, "--epochs", "N", "Passes over the training part, at most.")] = None
    batch_size: Annotated[int | None, option(FITTING, "--batch-size", "N", "Sequences per step.")] = None
    lr: Annotated[float | None, option(FITTING, "--lr", "NUMBER", "Peak learning rate.")] = None
    patience: Annotated[
        int | None, option(FITTING, "--patience", "N", "Epochs without a better validation loss before stopping.")
    ] = None
    class_weight: Annotated[
        Literal["balanced", "resampled", "none"] | None,
        option(FITTING, "--class-weight", None, "Let rare classes weigh more, or draw them more often."),
    ] = None
    start: Annotated[
        Literal["random", "windows"],
        option(FITTING, "--start", None, "Filters before training: random, or windows of sequences.", default=True),
    ] = "random"
    calibration: Annotated[
        Literal["none", "temperature"],
        option(FITTING, "--calibration", None, "Make probabilities honest on the validation part.", default=True),
    ] = "temperature"
    precision: Annotated[
        Literal["float32", "float64"], option(MACHINE, "--precision", None, "Of weights and scores.", default=True)
    ] = "float32"
    deterministic: Annotated[
        bool, option(MACHINE, "--deterministic", "", "The same bytes again on a GPU too, more slowly.")
    ] = False
    baselines: Annotated[
        bool, option(FITTING, "--baselines/--no-baselines", "", "Compare with k-mer models on the test part.")
    ] = True


def _class_file(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(f"--class takes NAME=FILE, as in --class promoter=pos.fa; got {text!r}")
    return name, path


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """What every command takes."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.toml",
            help="Options from a file; those on the command line win.",
            is_eager=True,
            callback=apply_config,
            rich_help_panel=OUTPUT,
        ),
    ] = None
    quiet: Annotated[bool, option(OUTPUT, "--quiet", "", "Print results and errors only.", "-q")] = False
    as_json: Annotated[bool, option(OUTPUT, "--json", "", "Print the result as JSON on standard output.")] = False
    debug: Annotated[bool, option(OUTPUT, "--debug", "", "Show where an error arose.")] = False
