"""What the command line may say about an input, and the raw records that any of its forms gives."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from seqreg.alphabet import ALPHABETS, DNA, Alphabet
from seqreg.errors import InputError, UsageError, option
from seqreg.sequences.bed import bed_records
from seqreg.sequences.datasets import DataSet, data_set_records, find_data_set, is_data_set
from seqreg.sequences.fasta import fasta_records, read_fasta
from seqreg.sequences.ids import class_records
from seqreg.sequences.opening import first_line, is_hdf5, name_of, open_text
from seqreg.sequences.raw import RawRecord
from seqreg.sequences.tables import fasta_with_table, table_records
from seqreg.specs import unknown_name

FastaReader = Callable[[TextIO, str], Iterator[RawRecord]]


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Where sequences come from and what is asked of them; exactly one form of input.

    input: a path, `-` for standard input, or the name of a data set. class_files: (class, path) pairs; pos and neg are
    short for the classes positive and negative. fasta + labels: a FASTA file and its table. bed + genome: regions.
    alphabet: None to infer it over the whole input. gaps: whether gaps and stops are rejected or dropped.
    max_length: the longest sequence accepted. require_labels: every sequence needs a label, and `min_classes` classes
    are needed with more than one sequence in one of them. filter_width: some sequence must be at least this long.
    task: "classification", "multi-label" or "regression", None for what the data say. target: the column of a table
    that holds what is learned, whatever its name. unit: of values.
    """

    input: str | Path | None = None
    class_files: Sequence[tuple[str, str | Path]] = ()
    pos: str | Path | None = None
    neg: str | Path | None = None
    fasta: str | Path | None = None
    labels: str | Path | None = None
    bed: str | Path | None = None
    genome: str | Path | None = None
    alphabet: str | Alphabet | None = None
    gaps: Literal["reject", "drop"] = "reject"
    max_length: int | None = None
    require_labels: bool = False
    min_classes: int = 2
    filter_width: int | None = None
    task: str | None = None
    target: str | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for an incomplete or ambiguous choice of input."""
        if (self.bed is None) != (self.genome is None):
            both = f"{option('bed', 'regions.bed')} {option('genome', 'genome.fa')}"
            raise UsageError(f"Regions need both: {both}")
        if self.labels is not None and self.fasta is None:
            both = f"{option('fasta', 'x.fa')} {option('labels', 'y.tsv')}"
            raise UsageError(f"A table of labels belongs to a FASTA file: {both}")
        forms = {
            option("input"): self.input is not None,
            option("class_files"): bool(self.class_files),
            f"{option('pos')}/{option('neg')}": self.pos is not None or self.neg is not None,
            option("fasta"): self.fasta is not None,
            option("bed"): self.bed is not None,
        }
        chosen = [form for form, given in forms.items() if given]
        if len(chosen) != 1:
            given = f"got {' and '.join(chosen)}" if chosen else "got none"
            _, files, pair, fasta, bed = forms
            raise UsageError(f"Give one input, as a path, a data set, {files}, {pair}, {fasta} or {bed}; {given}")
        if [str(path) for path in self.paths].count("-") > 1:
            raise UsageError("Standard input can be read only once")
        if self.gaps not in ("reject", "drop"):
            raise UsageError(f"{option('gaps')} must be reject or drop; got {self.gaps!r}")
        if self.target is not None and (self.classes or self.bed is not None):
            raise UsageError(
                f"{option('target', self.target)} names a column of a table; class files and BED have none"
            )
        if self.chosen_alphabet is None:
            return
        if self.bed is not None and self.chosen_alphabet.complement is None:
            raise UsageError("Regions of a genome are dna or rna, not protein")

    @property
    def chosen_alphabet(self) -> Alphabet | None:
        """The alphabet asked for, by object."""
        if self.alphabet is None or isinstance(self.alphabet, Alphabet):
            return self.alphabet
        if self.alphabet not in ALPHABETS:
            raise unknown_name("alphabet", self.alphabet, ALPHABETS)
        return ALPHABETS[self.alphabet]

    @property
    def classes(self) -> list[tuple[str, str | Path]]:
        """Class and path of every FASTA file that holds one class."""
        pairs = [("positive", self.pos), ("negative", self.neg), *self.class_files]
        return [(name, path) for name, path in pairs if path is not None]

    @property
    def source(self) -> str:
        """The input in a few words, for messages and reports."""
        return ", ".join(name_of(path) for path in self.paths)

    @property
    def paths(self) -> list[str | Path]:
        """What is read: files, `-`, or the name of a data set."""
        single = (self.input, self.fasta, self.labels, self.bed, self.genome)
        return [path for path in single if path is not None] + [path for _, path in self.classes]

    @property
    def data_set(self) -> DataSet | None:
        """The named data set, if the input is one. Raises UsageError for a bare name that is nothing."""
        if self.input is None or str(self.input) == "-":
            return None
        bare = Path(self.input).name == str(self.input) and not Path(self.input).suffix
        if is_data_set(self.input) or (bare and not Path(self.input).exists()):
            return find_data_set(self.input)
        return None

    @property
    def store(self) -> str | Path | None:
        """The path of the HDF5 store, if the input is one."""
        return self.input if self.input is not None and self.data_set is None and is_hdf5(self.input) else None

    @property
    def known_alphabet(self) -> Alphabet | None:
        """The alphabet asked for, else that of the data set or the genome; None where it must be inferred."""
        if self.chosen_alphabet is not None:
            return self.chosen_alphabet
        if self.bed is not None:
            return DNA
        return ALPHABETS[self.data_set.alphabet] if self.data_set else None

    def of_either_strand(self, names: Sequence[str]) -> bool:
        """Whether the input says that its sequences, of these names, are of either strand: a data set by its `strand`,
        a BED file by naming none.
        """
        if self.bed is not None:
            return not any(mark in name for name in names for mark in ("(+)", "(-)"))
        return self.data_set is not None and self.data_set.strand == "both"


def raw_records(spec: InputSpec, remarks: Counter[str]) -> Iterator[RawRecord]:
    """The records of any input but a store, one at a time and unchecked; `remarks` counts what was noteworthy."""
    if spec.classes:
        for name, path in spec.classes:
            if not name.strip():
                raise UsageError(f"The class of {name_of(path)} has no name: name it in {option('class_files')}")
        yield from class_records([(name.strip(), path) for name, path in spec.classes], remarks)
    elif spec.labels is not None and spec.fasta is not None:
        yield from fasta_with_table(spec.fasta, spec.labels, require_labels=spec.require_labels, column=spec.target)
    elif spec.bed is not None and spec.genome is not None:
        yield from bed_records(spec.bed, spec.genome)
    elif spec.fasta is not None:
        yield from read_fasta(spec.fasta)
    elif (data_set := spec.data_set) is not None:
        yield from data_set_records(data_set, spec.target)
    elif spec.input is not None:
        yield from file_records(spec.input, column=spec.target)


def file_records(
    path: str | Path, fasta: FastaReader = fasta_records, column: str | None = None
) -> Iterator[RawRecord]:
    """The records of a FASTA file, as a reader of open ones gives them, or of a table; told apart by how it begins.

    column: of the table, where labels or values are.
    """
    file = name_of(path)
    with open_text(path) as (handle, start):
        if first_line(start).startswith(">"):
            if column is not None:
                problem = f"a FASTA file, which has no column {column!r}"
                remedy = "Write value=NUMBER or label=NAME in its headers, or give a table."
                raise InputError(problem, file=file, remedy=remedy)
            yield from fasta(handle, file)
        elif start.startswith(";"):
            problem = "begins with ';': neither FASTA, whose headers begin with '>', nor a table"
            raise InputError(problem, file=file, remedy="Write '>' before the ids.")
        elif start.startswith("@"):
            raise InputError("FASTQ is not read", file=file, remedy="Convert it to FASTA first.")
        else:
            yield from table_records(handle, file, column)
