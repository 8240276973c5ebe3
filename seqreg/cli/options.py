"""Options that several commands share, as dataclasses which `app.command` spreads over a command's parameters.

Fields carry the names of the library's parameters; heavy types are built in methods, which import what they need.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from seqreg.cli.config_file import apply_config
from seqreg.cli.terminal import Terminal
from seqreg.errors import UsageError
from seqreg.settings import TrainSettings
from seqreg.specs import holds_several

if TYPE_CHECKING:
    from seqreg.sequences import InputSpec, SequenceSet
    from seqreg.vectors import VectorTable

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


_SETTINGS = {entry.name: entry for entry in fields(TrainSettings)}
_HINTS = get_type_hints(TrainSettings)


def option(panel: str, flag: str, metavar: str | None, about: str, *more: str, default: bool = False) -> Any:
    """An option in a panel of the help; `default` shows its default value."""
    return typer.Option(flag, *more, metavar=metavar, help=about, rich_help_panel=panel, show_default=default)


def option_of(name: str) -> Any:
    """The option of a training that `TrainSettings` declares under this name."""
    entry, hint = _SETTINGS[name], _HINTS[name]
    about = entry.metadata
    flag = f"--{name.replace('_', '-')}"
    metavar: str | None = about.get("metavar") or ("SPEC" if "family" in about else _metavar(hint))
    if bool in (hint, *get_args(hint)):
        flag, metavar = (flag if entry.default is False else f"{flag}/--no-{flag[2:]}"), ""
    shown = not isinstance(entry.default, bool | tuple) and entry.default is not None
    return option(about["panel"], flag, None if about["choices"] else metavar, about["meaning"], default=shown)


def _metavar(hint: Any) -> str | None:
    return next((word for kind, word in ((int, "N"), (float, "NUMBER")) if kind in (hint, *get_args(hint))), None)


def type_of_option(name: str) -> Any:
    """The type that Typer reads an option of `TrainSettings` as: texts, or one of its choices."""
    entry, hint = _SETTINGS[name], _HINTS[name]
    if "family" in entry.metadata:
        return (list[str] if holds_several(hint) else str) | None
    if choices := entry.metadata["choices"]:
        one: Any = Literal[*choices]
        return one | None if NoneType in get_args(hint) else one
    return hint


Output = Annotated[Path, option(OUTPUT, "--output", "PATH", "Where the result goes.", "-o")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that train or baseline wrote.", show_default=False)]
Positive = Annotated[str | None, option_of("positive")]
Prevalence = Annotated[float | None, option_of("prevalence")]
Seed = Annotated[int, option_of("seed")]
By = Annotated[Literal["stratified", "group", "homology"] | None, option_of("by")]
Similarity = Annotated[float, option_of("similarity")]
Identity = Annotated[float, option_of("identity")]
LeaveOut = Annotated[bool, option_of("leave_out")]
ReverseComplement = Annotated[bool | None, option_of("reverse_complement")]
TrainSize = Annotated[int | None, option_of("train_size")]
Part = Annotated[
    str | None,
    option(PARTS, "--part", "train|valid|test", "Only this part: of the split in RUN if it was trained on this input."),
]
BatchSize = Annotated[int, option(FITTING, "--batch-size", "N", "Sequences scored at once.", default=True)]
Device = Annotated[str, option_of("device")]
Threads = Annotated[int | None, option_of("threads")]
Workers = Annotated[
    int | None, option(MACHINE, "--workers", "N", "Processes of one thread each; one per core without it.")
]
EmbedWith = Annotated[
    list[str] | None,
    option(MACHINE, "--embed-with", "[NAME=]MODEL", "Compute the vectors of edited sequences by this language model."),
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
            help="FASTA (>id label=NAME), CSV, TSV or .xlsx (sequence, label), an HDF5 store, a data set, or -.",
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
        str | None, option(SEQUENCES, "--labels", "FILE", "A table: id, label or value [, split, group, weight].")
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
    task: Annotated[
        str | None,
        option(
            SEQUENCES,
            "--task",
            "classification|multi-label|regression",
            "One label each, several, or a number; else as the data say.",
        ),
    ] = None
    target: Annotated[
        str | None, option(SEQUENCES, "--target", "COLUMN", "The column to learn; label or value without it.")
    ] = None
    unit: Annotated[str | None, option(SEQUENCES, "--unit", "UNIT", "Of values, for axes and tables.")] = None
    max_length: Annotated[
        int | None, option(SEQUENCES, "--max-length", "LETTERS", "Refuse longer sequences (train: above 10000).")
    ] = None
    vectors: Annotated[
        list[str] | None,
        option(
            SEQUENCES, "--vectors", "NAME=FILE", "Vectors of a language model, by id; repeat it. See: seqreg embed."
        ),
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
            "task": self.task,
            "target": self.target,
            "unit": self.unit,
            "max_length": self.max_length,
        }
        return InputSpec(**{**options, **asked})

    @property
    def words(self) -> list[str]:
        """These options as a command line writes them."""
        flags = {"class_files": "class"}
        words = [] if self.input is None else [self.input]
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == "input" or value in (None, (), [], entry.default):
                continue
            each = value if isinstance(value, list | tuple) else [value]
            flag = f"--{flags.get(entry.name, entry.name.replace('_', '-'))}"
            words += [word for one in each for word in (flag, str(one))]
        return words

    def tables(self) -> "dict[str, VectorTable]":
        """The files of vectors that were named, open."""
        from seqreg.vectors import named_tables

        return named_tables(self.vectors) if self.vectors else {}

    def read(self, terminal: Terminal, **asked: Any) -> "SequenceSet":
        """All sequences with their vectors, having said what they are and what is noteworthy about them."""
        from seqreg.sequences import read_input
        from seqreg.vectors import with_vectors

        sequences = with_vectors(read_input(self.spec(**asked)), self.tables())
        lengths = sequences.lengths
        how = "as asked" if self.alphabet else "as the data say"
        terminal.note(
            f"Read {len(sequences):,} sequences of {lengths.min():,} to {lengths.max():,} letters; "
            f"alphabet {sequences.alphabet.name} ({how})"
        )
        if sequences.target is not None and sequences.y is not None:
            terminal.note(sequences.target.summary(sequences.y))
        for name, vectors in sequences.vectors.items():
            terminal.note(f"Vectors: {name}, {vectors.shape[1]:,} numbers per sequence")
        for text in sequences.notes:
            terminal.note(text)
        terminal.warn(sequences.warnings)
        return sequences


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """How sequences without a split of their own are divided, or the split that they are given."""

    valid: Annotated[
        str, option(PARTS, "--valid", "FRACTION|INPUT", "Share of the rest, 0 for none, or an input.", default=True)
    ] = "0.15"
    test: Annotated[
        str | None,
        option(PARTS, "--test", "FRACTION|INPUT", "Share of all (0.2 without folds), 0 for none, or an input."),
    ] = None
    splits: Annotated[Path | None, option(PARTS, "--splits", "FILE", "Parts or folds that seqreg split wrote.")] = None
    fold: Annotated[int | None, option(PARTS, "--fold", "K", "Of the folds in --splits, the one to test on.")] = None

    @property
    def shares(self) -> dict[str, Any]:
        """What is a share of the input."""
        return {name: float(text) for name, text in self._given if _is_number(text)}

    @property
    def inputs(self) -> dict[str, str]:
        """What is an input of its own."""
        return {name: text for name, text in self._given if not _is_number(text)}

    @property
    def _given(self) -> tuple[tuple[str, str], ...]:
        return ("valid", self.valid), ("test", self.test or "0.2")

    def divide(self, sequences: "SequenceSet", by: str | None) -> "SequenceSet":
        """The sequences with the parts that --splits gives them; as they are without it."""
        from seqreg.sequences import read_split, with_split

        if self.splits is None:
            if self.fold is not None:
                raise UsageError("--fold chooses among the folds of --splits FILE, which seqreg split --folds writes")
            return sequences
        if by is not None:
            raise UsageError("--splits says which sequences are tested on; leave out --by")
        return with_split(sequences, read_split(self.splits, sequences), self.fold)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
