"""What a run folder holds, network or baseline, ready to score sequences."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seqreg.cli.terminal import Moved, Terminal
from seqreg.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import torch

    from seqreg.predictors import ByFold, Predictor, TrainedNetwork
    from seqreg.sequences import InputSpec, SequenceSet
    from seqreg.unfinished import Once
    from seqreg.vectors.language_model import LanguageModel
    from seqreg.workers import SideBySide

TOLD_FROM = 20  # seconds that are worth saying before they pass


def load_model(terminal: Terminal, folder: Path, device: str, threads: int | None, batch_size: int) -> "Predictor":
    """The model of a run folder; raises ModelError for anything else."""
    from seqreg.predictors import holds_baseline, load_predictor

    if not holds_baseline(folder):
        return replace(load_network(terminal, folder, device, threads), batch_size=batch_size)
    baseline = load_predictor(folder)
    terminal.note(f"Model: {baseline.title} of {folder}; {baseline.target.said}")
    return baseline


def load_network(terminal: Terminal, folder: Path, device: str, threads: int | None) -> "TrainedNetwork":
    """The network of a run folder, on the device; raises ModelError for anything else, baselines included."""
    import torch

    from seqreg.predictors import holds_baseline, load_trained
    from seqreg.training import choose_device

    if holds_baseline(folder):
        raise ModelError(f"{folder} holds a baseline, and this needs a network. Give a folder that `train` wrote")
    place = choose_device(device)
    network = load_trained(folder, str(place))
    torch.set_num_threads(threads or min(2, torch.get_num_threads()))
    terminal.note(f"Model: {network.title} of {folder}; {network.target.said}; device {place}")
    for sentence in _decided(folder):
        terminal.note(sentence)
    return network


def _decided(folder: Path) -> list[str]:
    """What the training of a run decided, in sentences; none for other folders, and for damaged ones."""
    from seqreg.records import read_json

    try:
        said = read_json(folder / "config.json").get("decided", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [sentence for sentence in said if isinstance(sentence, str)] if isinstance(said, list) else []


def side_by_side(
    terminal: Terminal,
    workers: int | None,
    threads: int | None,
    place: "torch.device | None",
    once: "Once | None" = None,
) -> "SideBySide":
    """Processes for long work: one per core that this process may use, or one of more threads, or one on a GPU.

    place: of the network; None for a model that does without PyTorch. What is left is estimated from the first piece,
    and said. Raises UsageError for less than one process.
    """
    from seqreg.unfinished import afresh
    from seqreg.workers import SideBySide, usual_processes

    prepare = None
    if place is not None:
        import torch

        prepare = partial(torch.set_num_threads, threads or 1)
        prepare()
    alone = (place is not None and place.type != "cpu") or (threads or 1) > 1
    return SideBySide(
        workers=usual_processes(workers, alone=alone),
        prepare=prepare,
        once=once or afresh,
        estimate=lambda seconds: terminal.note(f"About {lasting(seconds)} to go") if seconds > TOLD_FROM else None,
    )


def lasting(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def check_alphabet(model: "Predictor", spec: "InputSpec") -> "InputSpec":
    """The same input; raises UsageError if it is known to be in another alphabet than the model's."""
    known = spec.known_alphabet
    if known is not None and {known.name, model.alphabet.name} not in ({known.name}, {"dna", "rna"}):
        raise UsageError(f"the model reads {model.alphabet.name}, and the input is {known.name}")
    return spec


def check_vectors(model: "Predictor", given: "Iterable[str]", named: "Iterable[str]" = ()) -> None:
    """Raises UsageError unless the vectors that the model reads are given, and for those named that it does not read.

    A store may bring more than a model reads, and a baseline that it is compared with may read more.
    """
    wanted, given = list(model.vectors), list(given)
    missing = [name for name in wanted if name not in given]
    if missing:
        flags = " ".join(f"--vectors {name}=FILE" for name in missing)
        raise UsageError(f"the model reads vectors of sequences beside their letters: give {flags}")
    unknown = [name for name in named if name not in wanted]
    if unknown:
        reads = f"those called {', '.join(wanted)}" if wanted else "none"
        raise UsageError(f"--vectors {unknown[0]}=...: the model reads {reads}")


def compute_vectors(model: "Predictor", language_models: "Sequence[str]", device: str) -> "Mapping[str, LanguageModel]":
    """Let a model that reads vectors compute those of edited sequences and of windows by language models: these, by
    the names of the vectors.

    language_models: MODEL, or NAME=MODEL where the model reads several. Raises UsageError where the model needs some
    and has none, for a name that it does not read, and for a language model whose vectors have another size.
    """
    if not model.vectors:
        if language_models:
            raise UsageError("--embed-with: the model reads no vectors")
        return {}
    names = ", ".join(model.vectors)
    if not language_models:
        raise UsageError(
            f"this model reads the vectors {names} beside letters, and those of windows and of edited sequences are "
            "not known. Name the language model that makes them, --embed-with MODEL, or train a model without --vectors"
        )
    from seqreg.networks import embed_with
    from seqreg.predictors import TrainedNetwork
    from seqreg.training import choose_device
    from seqreg.vectors.language_model import LanguageModel

    if not isinstance(model, TrainedNetwork):
        raise UsageError("--embed-with is for networks, and this is a baseline. Train with --model vectors")
    found = {}
    for text in language_models:
        name, equals, path = text.partition("=")
        if not equals and len(model.vectors) == 1:
            name, path = names, text
        if name not in model.vectors:
            raise UsageError(f"--embed-with takes NAME=MODEL, with NAME of {names}; got {text!r}")
        found[name] = LanguageModel(path, choose_device(device))
        if found[name].dimension != model.vectors[name]:
            raise UsageError(
                f"--embed-with {text}: its vectors have {found[name].dimension:,} numbers; those called {name} that "
                f"the model was trained on have {model.vectors[name]:,}"
            )
    embed_with(model.module, found)
    return found


def tell_embedded(language_models: "Mapping[str, LanguageModel]", moved: Moved) -> None:
    """Say how many edited sequences or windows language models have been through, while they are at it."""
    for each in language_models.values():
        each.report = partial(moved, what="Embedded")


def only_part(terminal: Terminal, run: Path, sequences: "SequenceSet", part: str | None) -> "SequenceSet":
    """The sequences of a part: as the run divided them if it was trained on these, else as the input says.

    Raises UsageError for a part that does not exist. Without a part, a warning if the run was trained on them.
    """
    import numpy as np

    from seqreg.records import read_tsv
    from seqreg.sequences import keys_in
    from seqreg.specs import unknown_name

    own = is_own(run, sequences)
    if part is None:
        if own:
            terminal.warn(["the model was trained on a part of these sequences; --part test leaves that out"])
        return sequences
    if own:
        row_of = {row["id"]: row for row in read_tsv(run / "splits.tsv")}
        keys = keys_in(row_of, sequences)
        parts, groups = (
            np.array([row_of.get(name, {}).get(column, "") for name in keys]) for column in ("split", "group")
        )
        if (groups != "").any():
            sequences = replace(sequences, group=groups)
    else:
        if sequences.split is None:
            raise UsageError(f"--part {part}: neither {run} nor the input says which sequences these are")
        parts = sequences.split
    if part not in parts and (run / "folds").is_dir():
        raise UsageError(f"--part {part}: {run} was cross-validated and has folds in place of parts; leave it out")
    if part not in parts:
        raise unknown_name("part", part, [str(name) for name in np.unique(parts) if name])
    return sequences.subset(np.flatnonzero(parts == part))


def by_fold(
    terminal: Terminal,
    run: Path,
    sequences: "SequenceSet",
    device: str,
    language_models: "Mapping[str, LanguageModel] | None" = None,
) -> "ByFold | None":
    """The networks of a cross-validated run that have not seen these sequences, which it was trained on, said.

    language_models: as `compute_vectors` found them. None for other runs, and for other sequences.
    """
    import numpy as np

    from seqreg.networks import embed_with
    from seqreg.predictors import ByFold, load_trained
    from seqreg.records import read_tsv
    from seqreg.training import choose_device

    if not (run / "folds").is_dir() or not is_own(run, sequences):
        return None
    held_out = [row["split"] for row in read_tsv(run / "splits.tsv")]  # in the order of the input, whatever its ids
    names, fold = np.unique(held_out, return_inverse=True)
    if len(held_out) != len(sequences):
        raise ModelError(f"{run / 'splits.tsv'} lists {len(held_out)} sequences of {len(sequences)}. Train again")
    networks = tuple(load_trained(run / "folds" / str(name), str(choose_device(device))) for name in names)
    for each in networks if language_models else ():
        embed_with(each.module, dict(language_models or {}))
    terminal.note("Each sequence is looked at through the network that had not seen it")
    return ByFold(networks=networks, fold=fold)


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
