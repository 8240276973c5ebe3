"""What `predict` writes: rows per sequence, per window of long sequences, or per variant."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from seqreg.cli.loading import check_alphabet, check_vectors
from seqreg.cli.terminal import Moved, Terminal
from seqreg.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqreg.cli.options import InputOptions
    from seqreg.evaluation.conformal import Conformal
    from seqreg.predictors import Predictor
    from seqreg.sequences import InputSpec, ListedVariant, Scan, SequenceSet, SequenceStream, Windows
    from seqreg.targets import Target
    from seqreg.unfinished import Piece
    from seqreg.vectors import VectorTable
    from seqreg.workers import SideBySide

COUNTED = ("longer", "too_long", "shorter", "known", "letters", "nucleotides")
NUCLEOTIDES = 0.95  # share of A, C, G, T and N from which on letters are hardly those of proteins
TIMES_AS_LONG = 10  # as the longest sequence of training is a sequence that is still scored
PIECE = 8192  # sequences read, sorted by length and scored at a time
MUTATED = 256  # the same where each becomes a table
BED = ("#chrom", "start", "end", "class", "score", "strand", "probability")
BED_OF_VALUES = ("#chrom", "start", "end", "name", "score", "strand", "value")


def bed_columns(model: "Predictor") -> tuple[str, ...]:
    """Names of what `window_rows` gives."""
    return BED if model.target.probabilistic else BED_OF_VALUES


def sequence_columns(model: "Predictor", conformal: "Conformal | None") -> tuple[str, ...]:
    """Names of what `Scores.rows` gives."""
    sets = () if conformal is None or not model.target.probabilistic else ("prediction_set", "decision")
    return ("id", *model.target.prediction_columns, *sets, "reason")


def check_modes(target: "Target", *, abstain: float | None, coverage: float | None, threshold: float | None) -> None:
    """Raises UsageError for an option that is for another kind of target, and for an impossible threshold."""
    if target.probabilistic:
        if coverage is not None:
            raise UsageError("--coverage is of the intervals of values; of classes say --abstain COVERAGE")
        if threshold is not None and not 0 <= threshold <= 1:
            raise UsageError(f"--threshold is a probability, between 0 and 1; got {threshold:g}")
    elif abstain is not None:
        raise UsageError("--abstain is for classes; how often an interval is to hold the truth, --coverage says")


def held_to(
    target: "Target", run: Path, abstain: float | None, coverage: float | None
) -> "tuple[float, Conformal | None]":
    """The coverage of prediction sets or intervals, and what they are made from; None where there are none."""
    from seqreg.evaluation.conformal import COVERAGE, load_conformal

    if target.probabilistic:
        return abstain or 0.0, None if abstain is None else conformal_of(run, abstain)
    if coverage is not None:
        return coverage, conformal_of(run, coverage)
    return COVERAGE, load_conformal(run)


@dataclass(kw_only=True)
class Scores:
    """The rows of sequences, and how many of them are unlike those that were learned from, or the very same.

    Far longer ones are not scored: of a chromosome, one confident line would say nothing. coverage: of the prediction
    sets, where `conformal` is given. seen: digests of what was learned from.
    """

    model: "Predictor"
    conformal: "Conformal | None" = None
    coverage: float = 0.0
    seen: frozenset[str] = frozenset()
    longer: int = 0
    too_long: int = 0
    shorter: int = 0
    known: int = 0
    letters: int = 0
    nucleotides: int = 0

    def rows(self, pieces: "Iterable[SequenceSet]", beside: "SideBySide", moved: Moved) -> Iterator[Sequence[str]]:
        """A row per sequence: its most probable class, all probabilities, where asked for the prediction set, and why
        it has none of these. Nothing is given before a sequence has been scored; raises InputError if none can be.
        """
        done, first = 0, ""
        waiting: list[Sequence[str]] = []
        for sequences, piece in beside.stream(self._piece, pieces):
            for name in COUNTED:
                setattr(self, name, getattr(self, name) + piece[name])
            done += len(sequences)
            first = first or sequences.names[0]
            waiting += piece["rows"]
            if self.too_long < done:
                yield from waiting
                waiting = []
            moved(done)
        if waiting:
            raise InputError(
                f"{_counted(done)} longer than {self._most:,} letters, ten times the longest of training, the first "
                f"{first!r}: none was scored",
                remedy="Slide windows over long sequences with --scan STEP.",
            )

    def warnings(self) -> list[str]:
        """What to say of letters and lengths, once all rows were given."""
        texts = []
        if self.letters and self.nucleotides >= NUCLEOTIDES * self.letters:
            share = self.nucleotides / self.letters
            texts.append(
                f"{share:.0%} of the letters are A, C, G, T or N: these look like DNA, and the model reads proteins; "
                "its answers mean nothing"
            )
        if self.known:
            texts.append(
                f"{_counted(self.known)} among those that the model learned from: its answers are no test of it"
            )
        if self.shorter:
            texts.append(f"{_counted(self.shorter)} shorter than the shortest of training ({self._shortest:,} letters)")
        if self.longer:
            texts.append(
                f"{_counted(self.longer)} longer than the longest of training ({self.model.length:,} letters); "
                "--scan STEP slides windows over long sequences"
            )
        if self.too_long:
            texts.append(
                f"{_counted(self.too_long)} longer than ten times that and not scored; --scan STEP scores their windows"
            )
        return texts

    @property
    def _most(self) -> float:
        """Letters of the longest sequence that is scored."""
        return math.inf if self.model.length is None else TIMES_AS_LONG * self.model.length

    def _piece(self, sequences: "SequenceSet") -> dict[str, Any]:
        import numpy as np

        from seqreg.sequences import are_seen

        lengths, most = sequences.lengths, self._most
        scored = lengths <= most
        if scored.all():
            rows = self._scored(sequences)
        else:
            of_scored = iter(self._scored(sequences.subset(scored.nonzero()[0])))
            empty = [""] * (len(sequence_columns(self.model, self.conformal)) - 2)
            rows = [
                next(of_scored) if each else [name, *empty, f"longer than {most:,} letters: use --scan"]
                for name, each in zip(sequences.names, scored.tolist(), strict=True)
            ]
        counted = {
            "longer": 0 if self.model.length is None else int((lengths > self.model.length).sum()),
            "too_long": int((~scored).sum()),
            "shorter": 0 if self._shortest is None else int((lengths < self._shortest).sum()),
            "known": int(are_seen(sequences, self.seen).sum()) if self.seen else 0,
            "letters": 0,
            "nucleotides": 0,
        }
        if self.model.alphabet.name == "protein":
            counted["letters"] = len(sequences.codes)
            counted["nucleotides"] = int(np.isin(sequences.codes, self.model.alphabet.encode("ACGTN")).sum())
        return {"rows": rows, **counted}

    @property
    def _shortest(self) -> int | None:
        """Letters of the shortest sequence that was learned from, where it is known."""
        architecture = getattr(self.model, "architecture", None)
        return None if architecture is None else architecture.shortest

    def _scored(self, sequences: "SequenceSet") -> list[list[str]]:
        from seqreg.evaluation.conformal import ABSTAIN
        from seqreg.targets import Classes, Labels

        target, p = self.model.target, self.model.probabilities(sequences)
        threshold = None if self.conformal is None else self.conformal.threshold(self.coverage)
        cells = zip(sequences.names, target.prediction_rows(p, threshold), strict=True)
        rows = [[name, *row] for name, row in cells]
        if threshold is None or not isinstance(target, Classes | Labels):
            return [[*row, ""] for row in rows]
        sets = target.sets(p, threshold)
        written, single = sets.written(target.names), sets.single.tolist()
        return [
            [*row, text, text if one else ABSTAIN, ""] for row, text, one in zip(rows, written, single, strict=True)
        ]


def with_embeddings(
    model: "Predictor", pieces: "Iterable[SequenceSet]", tables: "Mapping[str, VectorTable]"
) -> "Iterator[SequenceSet]":
    """The pieces with the vectors that the model reads. Raises UsageError where others are named."""
    from seqreg.vectors import with_vectors

    for piece in pieces:
        piece = with_vectors(piece, tables)
        check_vectors(model, piece.vectors, named=tables)
        yield piece


def _counted(n: int) -> str:
    return "1 sequence is" if n == 1 else f"{n:,} sequences are"


def conformal_of(run: Path, coverage: float) -> "Conformal":
    """What prediction sets of a coverage are made from. Raises UsageError where the run held nothing out."""
    from seqreg.evaluation.conformal import FILE, load_conformal

    conformal = load_conformal(run)
    if conformal is None:
        raise UsageError(
            f"{run} has no {FILE}: prediction sets are learned from sequences that training held out. "
            "Train with a share for --valid or --test"
        )
    conformal.threshold(coverage)
    return conformal


def make_scan(model: "Predictor", spec: "InputSpec", step: int, window: int | None) -> "Scan":
    """The windows to score, both strands of DNA unless the model reads them as one."""
    from seqreg.sequences import Scan

    length = window or model.length
    if length is None:
        raise UsageError("this baseline reads sequences of any length: say how long a window is by --window")
    both = model.alphabet.name == "dna" and not model.strand_free
    return Scan(check_alphabet(model, spec), model.alphabet, window=length, step=step, both_strands=both)


def window_rows(
    model: "Predictor", scan: "Scan", threshold: float, beside: "SideBySide", moved: Moved
) -> Iterator[Sequence[str]]:
    """BED lines of the windows: of the positive class of a binary task, of the most probable of more classes, of every
    label of a multi-label task, and of values, scored 500 at the mean of training and 100 more a standard deviation;
    those of at least the threshold.
    """
    done = 0
    for windows, piece in beside.stream(partial(_scored_windows, model), scan):
        yield from _rows_of_windows(model.target, windows, piece["p"], threshold)
        done += len(windows)
        moved(done)


def _scored_windows(model: "Predictor", windows: "Windows") -> "Piece":
    return {"p": model.window_probabilities(windows)}


def _rows_of_windows(
    target: "Target", windows: "Windows", p: "NDArray[np.float64]", threshold: float
) -> Iterator[tuple[str, ...]]:
    import numpy as np

    column = np.array([target.reported(each) for each in p])
    row, column = np.repeat(np.arange(len(p)), column.shape[1]), column.ravel()
    told = p[row, column]
    kept = told >= threshold
    chrom, start, end, strand = windows.place
    for i, k, value in zip(row[kept].tolist(), column[kept].tolist(), told[kept].tolist(), strict=True):
        place = chrom[i], str(start[i]), str(end[i])
        yield (*place, target.shown_names[k], str(target.bed_score(value)), strand[i], f"{value:.6g}")


def substitution_rows(
    model: "Predictor", pieces: "Iterable[SequenceSet]", beside: "SideBySide", moved: Moved
) -> Iterator[Sequence[str]]:
    """A row per position of each sequence: by what each letter there would change what the model says."""
    done = 0
    for sequences, piece in beside.stream(partial(_substituted, model), pieces):
        yield from piece["rows"]
        done += len(sequences)
        moved(done)


def _substituted(model: "Predictor", sequences: "SequenceSet") -> "Piece":
    from seqreg.sensitivity.substitutions import all_substitutions

    return {"rows": [row for each in all_substitutions(model, sequences) for row in each.rows(model.target)]}


def variant_rows(
    terminal: Terminal, model: "Predictor", data: "InputOptions", variants: Path, window: int | None
) -> list[tuple[str, ...]]:
    """A row per variant, in the order of the list; of the sequences, only those that it names are kept.

    Of VCF, the alleles in regions of a genome or in sequences called like its chromosomes; where a genome alone is
    given, in windows around them, as long as the longest sequence of training.
    """
    from seqreg.sequences import is_vcf, read_variants
    from seqreg.sequences.vcf import in_regions, in_windows, read_vcf

    around = data.genome if data.bed is None else None
    listing = not is_vcf(variants)
    if window is not None and (listing or around is None):
        raise UsageError("--window goes with --scan STEP, or with VCF and --genome alone, where windows are taken")
    if listing:
        return _scored_variants(terminal, model, data.spec(), read_variants(variants))
    remarks: Counter[str] = Counter()
    alleles = read_vcf(variants, remarks)
    with TemporaryDirectory() as folder:
        if around is not None:
            length = window or model.length
            if length is None:
                raise UsageError("this baseline reads sequences of any length: say how long a window is by --window")
            bed = Path(folder, "windows.bed")
            listed = in_windows(bed, alleles, around, length)
            spec = replace(data, bed=str(bed)).spec()
        else:
            spec = data.spec()
            if "-" in map(str, spec.paths):
                raise UsageError("with VCF the sequences are read twice: give a file, not standard input")
            names = (name for piece in stream(model, spec) for name in piece.names)
            listed = in_regions(alleles, names, remarks)
        if not listed:
            where = f"no variant lies in the sequences of {spec.source}"
            remedy = (
                "Give sequences that are called like the chromosomes, or --bed with --genome; --genome alone takes "
                "windows around the variants."
            )
            raise alleles[0].error(where, remedy)
        terminal.warn(f"{what}: {count}" for what, count in remarks.items() if count)
        return _scored_variants(terminal, model, spec, listed)


def _scored_variants(
    terminal: Terminal, model: "Predictor", spec: "InputSpec", listed: "list[ListedVariant]"
) -> list[tuple[str, ...]]:
    from seqreg.sensitivity.variants import score_variants
    from seqreg.sequences import only_named

    pieces = stream(model, spec)
    sequences = only_named(pieces, {one.id for one in listed})
    if sequences is None:
        raise listed[0].error(f"{spec.source} has no sequence of this id")
    terminal.warn(pieces.warnings)
    return [
        (score.row() if model.target.probabilistic else score.row_of_value())
        for score in score_variants(model, sequences, listed)
    ]


def stream(model: "Predictor", spec: "InputSpec", batch: int | None = None) -> "SequenceStream":
    """The sequences of an input, `batch` at a time, or PIECE."""
    from seqreg.sequences import stream_batches

    return stream_batches(check_alphabet(model, spec), model.alphabet, batch=batch or PIECE)
