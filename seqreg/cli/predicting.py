"""What `predict` writes: rows per sequence, per window of long sequences, or per variant."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqreg.cli.loading import check_alphabet
from seqreg.cli.terminal import Moved, Terminal
from seqreg.errors import UsageError

if TYPE_CHECKING:
    from seqreg.evaluation.conformal import Conformal
    from seqreg.predictors import Predictor
    from seqreg.sequences import InputSpec, Scan, SequenceSet, Windows
    from seqreg.unfinished import Once

PIECE = 8192  # sequences read, sorted by length and scored at a time
BED = ("#chrom", "start", "end", "class", "score", "strand", "probability")


def sequence_columns(model: "Predictor", conformal: "Conformal | None") -> tuple[str, ...]:
    """Names of what `sequence_rows` gives."""
    sets = () if conformal is None else ("prediction_set", "decision")
    return ("id", "prediction", *(f"p_{name}" for name in model.target.names), *sets)


def sequence_rows(
    model: "Predictor",
    pieces: "Iterable[SequenceSet]",
    once: "Once",
    moved: Moved,
    conformal: "Conformal | None",
    coverage: float,
) -> Iterator[Sequence[str]]:
    """A row per sequence: its most probable class, all probabilities and, where asked for, the prediction set."""
    done = 0
    for sequences in pieces:
        yield from once(lambda sequences=sequences: {"rows": _rows_of(model, sequences, conformal, coverage)})["rows"]
        done += len(sequences)
        moved(done)


def _rows_of(
    model: "Predictor", sequences: "SequenceSet", conformal: "Conformal | None", coverage: float
) -> list[tuple[str, ...]]:
    from seqreg.evaluation.conformal import ABSTAIN

    target, p = model.target, model.probabilities(sequences)
    rows = [
        (name, call, *[f"{value:.6g}" for value in row])
        for name, call, row in zip(sequences.names, target.texts(target.call(p)), p.tolist(), strict=True)
    ]
    if conformal is None:
        return rows
    sets = target.sets(p, conformal.threshold(coverage))
    written, single = sets.written(target.names), sets.single.tolist()
    return [(*row, text, text if one else ABSTAIN) for row, text, one in zip(rows, written, single, strict=True)]


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
    model: "Predictor", scan: "Scan", threshold: float, once: "Once", moved: Moved
) -> Iterator[Sequence[str]]:
    """BED lines of the windows: of the positive class of a binary task, of the most probable of more classes, and of
    every label of a multi-label task; those of at least the threshold.
    """
    done = 0
    for windows in scan:
        yield from once(lambda windows=windows: {"rows": list(_rows_of_windows(model, windows, threshold))})["rows"]
        done += len(windows.sequences)
        moved(done)


def _rows_of_windows(model: "Predictor", windows: "Windows", threshold: float) -> Iterator[tuple[str, ...]]:
    import numpy as np

    target, p = model.target, model.probabilities(windows.sequences)
    column = np.array([target.reported(each) for each in p])
    row, column = np.repeat(np.arange(len(p)), column.shape[1]), column.ravel()
    kept = p[row, column] >= threshold
    for i, k in zip(row[kept].tolist(), column[kept].tolist(), strict=True):
        value = float(p[i, k])
        place = windows.chrom[i], str(windows.start[i]), str(windows.end[i])
        yield (*place, target.names[k], str(round(1000 * value)), windows.strand[i], f"{value:.6g}")


def variant_rows(terminal: Terminal, model: "Predictor", spec: "InputSpec", variants: Path) -> list[tuple[str, ...]]:
    """A row per variant, in the order of the list; of the sequences, only those that it names are kept."""
    from seqreg.sensitivity.variants import score_variants
    from seqreg.sequences import only_named, read_variants, stream_batches

    listed = read_variants(variants)
    stream = stream_batches(check_alphabet(model, spec), model.alphabet, batch=PIECE)
    sequences = only_named(stream, {one.id for one in listed})
    if sequences is None:
        raise listed[0].error(f"{spec.source} has no sequence of this id")
    terminal.warn(stream.warnings)
    return [score.row() for score in score_variants(model, sequences, listed)]
