"""The one reader behind every command: any form of input into a checked `SequenceSet`."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from seqreg.alphabet import Alphabet
from seqreg.errors import InputError, SeqregError, option
from seqreg.sequences.collect import Collector
from seqreg.sequences.datasets import DESCRIPTION, DataSetCheck, find_data_set, table_of, tasks_of
from seqreg.sequences.duplicates import duplicate_remarks, first_equal, first_three
from seqreg.sequences.input_spec import InputSpec, raw_records
from seqreg.sequences.labels import missing_like, with_labels
from seqreg.sequences.raw import FIELDS
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.store import read_store
from seqreg.sequences.together import joined_to_sources
from seqreg.targets import SEPARATOR, Classes, LabelError, Labels, Values, fractional


def read_input(spec: InputSpec) -> SequenceSet:
    """All sequences of an input, with their labels if all have one.

    Raises InputError, with file, record number and id, for whatever is wrong with them.
    """
    data_set = spec.data_set
    if data_set is not None and not data_set.labelled and spec.require_labels:
        raise InputError(
            f"data set {data_set.name!r} is of kind {data_set.kind}: it has tasks, not labels",
            remedy="Use it in a homology benchmark, or choose a data set of kind classification or regression.",
        )
    if data_set is not None and data_set.unit and spec.unit and data_set.unit != spec.unit:
        problem = f"values in {data_set.unit!r}, not in {spec.unit!r}"
        raise InputError(problem, file=data_set.folder / DESCRIPTION, remedy=f"Leave {option('unit')} out.")
    if spec.store is not None:
        sequences = as_alphabet(read_store(spec.store), spec.chosen_alphabet, spec.store)
        check(sequences, spec, error_at(sequences, spec.store))
        return sequences
    remarks: Counter[str] = Counter()
    collector = Collector()
    for record in raw_records(spec, remarks):
        collector.add(record)
    if not len(collector):
        raise InputError("no sequences", file=spec.source)
    sequences = replace(collector.finish(spec.known_alphabet, spec.gaps, remarks), source=spec.source)
    if spec.of_either_strand(sequences.names):
        sequences = replace(sequences, both_strands=True)
    if data_set is not None and data_set.kind == "regression":
        task = spec.task or Values.task
        spec = replace(spec, task=task, target=spec.target or data_set.target, unit=spec.unit or data_set.unit)
    return labelled(sequences, collector, spec, remarks, positive=data_set.positive if data_set else None)


Blame = Callable[[int, str, str | None], InputError]


def error_at(sequences: SequenceSet, file: str | Path) -> Blame:
    """Makes the error at a sequence of a set that was read from one file, record by record."""

    def error(position: int, problem: str, remedy: str | None = None) -> InputError:
        name = sequences.names[position]
        return InputError(problem, file=file, record=position + 1, record_id=name, remedy=remedy)

    return error


def as_alphabet(sequences: SequenceSet, alphabet: Alphabet | None, file: str | Path) -> SequenceSet:
    """The same codes read in the alphabet asked for: dna and rna share theirs, as U and T are one letter."""
    if alphabet is None or alphabet is sequences.alphabet:
        return sequences
    if alphabet.complement is None or sequences.alphabet.complement is None:
        raise InputError(f"the store holds {sequences.alphabet.name}, not {alphabet.name}", file=file)
    return replace(sequences, alphabet=alphabet)


def remark_texts(remarks: Counter[str]) -> tuple[str, ...]:
    """Counted remarks as text."""
    return tuple(f"{what}: {count}" for what, count in remarks.items() if count)


def labelled(
    sequences: SequenceSet, collector: Collector, spec: InputSpec, remarks: Counter[str], positive: str | None = None
) -> SequenceSet:
    """The checked set with classes and targets, where every sequence has a label, and with all warnings."""
    labels, task = what_is_learned(collector, spec)
    measured = task == Values.task
    missing = [position for position, label in enumerate(labels) if not label or (measured and label == ".")]
    if not missing:
        try:
            sequences = with_labels(sequences, labels, positive, task)
        except LabelError as error:
            raise collector.error(error.position, error.problem, error.remedy) from None
        if isinstance(sequences.target, Values):
            said = {"title": spec.target or Values.field, "unit": spec.unit or ""}
            sequences = replace(sequences, target=replace(sequences.target, **said))
            refuse_two_values(sequences, collector.error)
        else:
            remarks.update(missing_like(labels))
    elif spec.require_labels:
        remedy = _HOW_VALUES_ARE_GIVEN if measured else _HOW_LABELS_ARE_GIVEN
        what = Values.field if measured else "label"
        raise collector.error(missing[0], f"a sequence without a {what} ({len(missing)} in all)", remedy)
    elif len(missing) < len(labels):
        which = first_three(sequences, missing)
        remarks[f"sequences without a label, so that no label is used ({which})"] = len(missing)
    check(sequences, spec, collector.error)
    if collector.unread:
        which = first_three(sequences, collector.unread)
        remarks[f"headers with fields among other words, of which none was read ({which})"] = len(collector.unread)
    remarks.update(duplicate_remarks(sequences))
    sequences = joined_to_sources(sequences)
    notes = [_from_headers(collector.from_headers)] if collector.from_headers else []
    if isinstance(sequences.target, Labels):
        several = sum(SEPARATOR in label for label in labels)
        notes.append(f"A sequence may have several labels: {several} of {len(labels)} are written with {SEPARATOR!r}")
    return replace(sequences, warnings=remark_texts(remarks), notes=tuple(notes))


_HOW_LABELS_ARE_GIVEN = (
    "Write it in the header (>id label=NAME, with nothing else but such fields), in a column `label`, or give "
    "one FASTA per class."
)
_HOW_VALUES_ARE_GIVEN = (
    "Write it in the header (>id value=NUMBER, with nothing else but such fields) or in a column `value`, or leave the "
    "sequence out."
)


def what_is_learned(collector: Collector, spec: InputSpec) -> tuple[list[str], str | None]:
    """The texts to be read, and the task where it is not for the texts to say: regression of values or classification.

    Values are what fields called so hold, or what a task says. Raises InputError where both labels and values are
    there, and for labels that measure rather than name, as 0.25 does.
    """
    values, labels = any(collector.values), any(collector.labels)
    if spec.task is not None:
        measured = values if spec.task == Values.task else not labels
        return (collector.values if measured else collector.labels), spec.task
    remedy = f"Say which to learn: {option('task', Values.task)} or {option('task', Classes.task)}."
    if values and labels:
        first = next(position for position, text in enumerate(collector.values) if text)
        raise collector.error(first, "the input has labels and values", remedy)
    if values:
        return collector.values, Values.task
    number = fractional(collector.labels) if labels else None
    if number is None:
        return collector.labels, None
    if spec.target is not None:
        return collector.labels, Values.task
    remedy = (
        f"Say {option('task', Values.task)} to learn the numbers, or {option('task', Classes.task)} to take each as a "
        "class."
    )
    problem = f"label {number!r} is a number, as all labels are, and not a whole one"
    raise collector.error(collector.labels.index(number), problem, remedy)


def refuse_two_values(sequences: SequenceSet, error: Blame) -> None:
    """Raises InputError for a sequence that is there twice, with values that differ."""
    target, y = sequences.labelled()
    first = first_equal(sequences)
    second = target.conflict(y, first)
    if second is not None:
        one, other = int(first[second]), second
        differ = len(np.unique(first[y != y[first]]))
        problem = (
            f"the sequence of {sequences.names[one]!r} again, with {y[other]:g} in place of {y[one]:g}: two values for "
            f"one sequence ({differ} such sequences in all)"
        )
        raise error(other, problem, "Give each sequence once: the mean of its values, their spread in a column `sd`.")


def _from_headers(fields: Counter[str]) -> str:
    named = [field for field in FIELDS if fields[field]]
    return f"{len(named)} field{'s' if len(named) > 1 else ''} from headers: {', '.join(named)}"


def check(sequences: SequenceSet, spec: InputSpec, error: Blame) -> None:
    """Raises InputError if the set is not what the input was asked for."""
    check_max_length(sequences, spec.max_length, error)
    if spec.filter_width is not None:
        check_filter_width(sequences, spec.filter_width)
    if not spec.require_labels:
        return
    if sequences.weight is not None and not sequences.weight.any():
        raise InputError("every weight is 0", file=spec.source, remedy="Give some sequence a weight above 0.")
    if sequences.y is None:
        raise error(0, "a sequence without a label", None)
    target, y = sequences.labelled()
    if (refused := target.check_learnable(y, spec.min_classes)) is not None:
        problem, remedy = refused
        if spec.pos is not None and len(sequences.classes) == 1:
            remedy += f" `seqreg background {spec.pos} -o negatives.fa` makes negatives of them."
        raise InputError(problem, file=spec.source, remedy=remedy)


def check_max_length(sequences: SequenceSet, longest: int | None, error: Blame) -> None:
    """Raises InputError at the first sequence longer than allowed."""
    if longest is None:
        return
    too_long = np.flatnonzero(sequences.lengths > longest)
    if len(too_long):
        first = int(too_long[0])
        limit = option("max_length", longest)
        problem = f"{sequences.lengths[first]} letters, above {limit} ({len(too_long)} such in all)"
        raise error(first, problem, f"Cut or remove them, or raise {option('max_length')}.")


def check_filter_width(sequences: SequenceSet, width: int) -> None:
    """Raises InputError if every sequence is shorter than a filter of this width, so that none fills a window."""
    longest = int(sequences.lengths.max(initial=0))
    if longest < width:
        raise InputError(
            f"every sequence is shorter than the filter: the longest has {longest} letters, the filter {width}",
            file=sequences.source or None,
            remedy="Choose a smaller width.",
        )


def check_data_set(name: str | Path) -> DataSetCheck:
    """Reads a named data set whole: checksum, letters, labels, counts and, for a homology set, its tasks."""
    data_set = find_data_set(name)
    counts: dict[str, int] = {}
    n = 0
    problem = None
    try:
        classified = data_set.kind == "classification"
        sequences = read_input(InputSpec(input=data_set.folder, require_labels=data_set.labelled))
        n = len(sequences)
        counts = dict(zip(sequences.classes, sequences.members.sum(axis=0).tolist(), strict=True))
        if classified and set(data_set.classes) != set(sequences.classes):
            problem = f"classes are {', '.join(sequences.classes)}, not {', '.join(data_set.classes)}"
        elif data_set.sequences not in (None, n):
            problem = f"{n} sequences, not {data_set.sequences}"
        elif not data_set.labelled:
            table_of(data_set)
            tasks_of(data_set)
    except SeqregError as error:
        problem = str(error)
    return DataSetCheck(name=data_set.name, sequences=n, classes=counts, problem=problem)
