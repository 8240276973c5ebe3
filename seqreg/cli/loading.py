"""What a run folder holds, network or baseline, ready to score sequences."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqreg.cli.terminal import Terminal
from seqreg.errors import ModelError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seqreg.alphabet import Alphabet
    from seqreg.baselines import FittedBaseline
    from seqreg.networks.trained import TrainedNetwork
    from seqreg.sequences import InputSpec, SequenceSet


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a run folder holds, network or baseline.

    trained: the object itself. probabilities: set -> (N, K), a column per class; both_probabilities: those at
    temperature 1, and these. length: letters of the longest training sequence, where known. strand_free: a sequence and
    its reverse complement score the same.
    """

    trained: "TrainedNetwork | FittedBaseline"
    alphabet: "Alphabet"
    classes: tuple[str, ...]
    positive: str | None
    multi_label: bool
    probabilities: "Callable[[SequenceSet], NDArray[Any]]"
    both_probabilities: "Callable[[SequenceSet], tuple[NDArray[Any], ...]]"
    temperature: float
    length: int | None
    strand_free: bool


def load_model(terminal: Terminal, folder: Path, device: str, threads: int | None, batch_size: int) -> Model:
    """The model of a run folder; raises ModelError for anything else."""
    if not _holds_baseline(folder):
        network = load_network(terminal, folder, device, threads)
        return Model(
            trained=network,
            alphabet=network.alphabet,
            classes=network.classes,
            positive=network.positive,
            multi_label=network.multi_label,
            probabilities=lambda sequences: network.probabilities(sequences, batch_size),
            both_probabilities=lambda sequences: network.both_probabilities(sequences, batch_size),
            temperature=network.architecture.temperature,
            length=network.architecture.length,
            strand_free=network.architecture.reverse_complement,
        )
    from seqreg.baselines import FittedBaseline

    baseline = FittedBaseline.load(folder)
    terminal.note(f"Model: {baseline.name} of {folder}; classes {', '.join(baseline.classes)}")
    return Model(
        trained=baseline,
        alphabet=baseline.alphabet,
        classes=baseline.classes,
        positive=baseline.positive,
        multi_label=baseline.multi_label,
        probabilities=baseline.predict_proba,
        both_probabilities=lambda sequences: (baseline.predict_proba(sequences),) * 2,
        temperature=1.0,
        length=getattr(baseline.features, "length", None),
        strand_free=baseline.features is None or getattr(baseline.features, "both_strands", False),
    )


def load_network(terminal: Terminal, folder: Path, device: str, threads: int | None) -> "TrainedNetwork":
    """The network of a run folder, on the device; raises ModelError for anything else, baselines included."""
    if _holds_baseline(folder):
        raise ModelError(f"{folder} holds a baseline, and this needs a network. Give a folder that `train` wrote")
    import torch

    from seqreg.networks.trained import load_trained
    from seqreg.training import choose_device

    place = choose_device(device)
    network = load_trained(folder, str(place))
    torch.set_num_threads(threads or min(2, torch.get_num_threads()))
    terminal.note(
        f"Model: {network.architecture.model} of {folder}; classes {', '.join(network.classes)}; device {place}"
    )
    return network


def _holds_baseline(folder: Path) -> bool:
    from seqreg.records import read_json

    try:
        return read_json(folder / "model.json").get("kind") == "baseline"
    except (OSError, ValueError, AttributeError):
        return False  # load_trained says what is wrong


def check_alphabet(model: Model, spec: "InputSpec") -> "InputSpec":
    """The same input; raises UsageError if it is known to be in another alphabet than the model's."""
    known = spec.known_alphabet
    if known is not None and {known.name, model.alphabet.name} not in ({known.name}, {"dna", "rna"}):
        raise UsageError(f"the model reads {model.alphabet.name}, and the input is {known.name}")
    return spec


def only_part(terminal: Terminal, run: Path, sequences: "SequenceSet", part: str | None) -> "SequenceSet":
    """The sequences of a part: as the run divided them if it was trained on these, else as the input says.

    Raises UsageError for a part that does not exist. Without a part, a warning if the run was trained on them.
    """
    import numpy as np

    from seqreg.records import read_tsv
    from seqreg.specs import unknown_name

    own = is_own(run, sequences)
    if part is None:
        if own:
            terminal.warn(["the model was trained on a part of these sequences; --part test leaves that out"])
        return sequences
    if own:
        part_of = {row["id"]: row["split"] for row in read_tsv(run / "splits.tsv")}
        parts = np.array([part_of.get(name, "") for name in sequences.names])
    else:
        if sequences.split is None:
            raise UsageError(f"--part {part}: neither {run} nor the input says which sequences these are")
        parts = sequences.split
    if part not in parts:
        raise unknown_name("part", part, [str(name) for name in np.unique(parts) if name])
    return sequences.subset(np.flatnonzero(parts == part))


def is_own(run: Path, sequences: "SequenceSet") -> bool:
    """Whether these are the sequences, all of them, that the run divided into its parts, in whatever way."""
    return sequences.content_sha256 == _trained_on(run)


def _trained_on(run: Path) -> str | None:
    """Checksum of the input of a run, where it is known."""
    from seqreg.records import read_json

    try:
        return read_json(run / "run.json")["data"]["sha256"]
    except (OSError, ValueError, KeyError):
        return None  # a model may be moved about without its run.json
