"""A trained network with all that is needed to score sequences, as one safetensors and one JSON file."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from seqreg.alphabet import ALPHABETS, Alphabet
from seqreg.errors import ModelError
from seqreg.model_files import (
    DESCRIPTION,
    WEIGHTS,
    check_description,
    check_format,
    check_weights,
    is_count,
    is_names,
    is_positive,
    is_text,
    read_model,
    write_model,
)
from seqreg.networks import ENCODINGS, MODELS, Part, SequenceNetwork, objective
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet, Windows, padded_batches
from seqreg.specs import parse
from seqreg.targets import Target, from_plain

FORMAT = 2  # 1 said `multi_label` where 2 says `task`
# Bounds the memory of a batch of long sequences: some hundred MiB with 128 filters.
LETTERS_PER_BATCH = 1 << 18
_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("model", "encoding"), is_text),
    "alphabet": lambda value: is_text(value) and value in ALPHABETS,
    "classes": is_names,
    "reverse_complement": lambda value: isinstance(value, bool),
    "temperature": is_positive,
    **dict.fromkeys(("length", "shortest"), is_count),
    "references": is_count,
    "vectors": lambda value: (
        isinstance(value, dict) and all(map(is_text, value)) and all(map(is_count, value.values()))
    ),
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What model.json says: everything about a network but its weights.

    model, encoding: spec texts. alphabet: its name. target: what is learned. length, shortest: longest and shortest
    training sequence. temperature: logits are divided by it before they become probabilities. vectors: numbers of
    dimensions of the vectors that are read beside letters, by name, and references: training sequences, at most, that
    they are compared with; model.json names them where there are any.
    """

    model: str
    encoding: str
    alphabet: str
    target: Target
    length: int
    shortest: int
    reverse_complement: bool
    temperature: float = 1.0
    vectors: Mapping[str, int] = field(default_factory=dict)
    references: int = 0

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Architecture":
        """What `to_plain` gave, of this format or the one before. Raises KeyError or TypeError for anything else."""
        own = {entry.name for entry in fields(cls)} - {"target"}
        target = from_plain(content)
        known = own | {"format", "multi_label"} | target.to_plain().keys()
        if unknown := sorted(content.keys() - known):
            raise KeyError(unknown[0])
        return cls(**{name: content[name] for name in own & content.keys()}, target=target)

    def to_plain(self) -> dict[str, Any]:
        """What model.json holds."""
        about = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        about = {name: value for name, value in about.items() if value or name not in ("vectors", "references")}
        return {"format": FORMAT, **about.pop("target").to_plain(), **about}

    @property
    def outputs(self) -> int:
        """K: numbers that the network gives for each sequence."""
        return self.target.outputs

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities (N, number of names), or values (N, 1), from logits (N, K)."""
        return self.target.predict(np.asarray(logits, dtype=np.float64) / self.temperature)

    def build(self) -> SequenceNetwork:
        """The untrained network, its weights drawn from PyTorch's global generator."""
        beside: dict[str, Any] = {"vectors": self.vectors, "references": self.references} if self.vectors else {}
        module = parse("model", MODELS, self.model).build(
            ALPHABETS[self.alphabet],
            outputs=self.outputs,
            length=self.length,
            encoding=parse("encoding", ENCODINGS, self.encoding),
            reverse_complement=self.reverse_complement,
            **beside,
        )
        return module.learns(objective(self.target))


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedNetwork:
    """A network and its architecture; a `Predictor`, loaded by `load_trained`. batch_size: sequences scored at once."""

    architecture: Architecture
    module: SequenceNetwork
    batch_size: int = 256

    @property
    def alphabet(self) -> Alphabet:
        """The alphabet it was trained on."""
        return ALPHABETS[self.architecture.alphabet]

    @property
    def target(self) -> Target:
        """What it has learned."""
        return self.architecture.target

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.module.mixtures.device

    @property
    def title(self) -> str:
        """The text form of the network."""
        return self.architecture.model

    @property
    def length(self) -> int:
        """Letters of the longest training sequence."""
        return self.architecture.length

    @property
    def strand_free(self) -> bool:
        """Whether both strands are scored with the same weights."""
        return self.architecture.reverse_complement

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become probabilities."""
        return self.architecture.temperature

    @property
    def vectors(self) -> Mapping[str, int]:
        """Numbers of dimensions of the vectors that it reads, by name."""
        return self.architecture.vectors

    def reads(self, data: SequenceSet) -> bool:
        """Always: a sequence of any length has a score."""
        return True

    def outputs(self, data: SequenceSet) -> NDArray[np.float32]:
        """Logits (N, K) in evaluation mode, sequences of like length together so that little padding is computed."""
        return logits_of(self.module, data, self.architecture.outputs, self.batch_size)

    def window_outputs(self, windows: Windows) -> NDArray[np.float32]:
        """Logits (M, K) of windows that slide over long sequences, in evaluation mode; what they share is done once."""
        with evaluating(self.module):
            return self.module.score_windows(windows).cpu().numpy()

    def probabilities(self, data: SequenceSet) -> NDArray[np.float64]:
        """Probabilities (N, number of names) in the order of the target's names; values (N, 1) in their unit."""
        return self.architecture.probabilities(self.outputs(data))

    def window_probabilities(self, windows: Windows) -> NDArray[np.float64]:
        """Probabilities (M, number of names) of windows that slide over long sequences."""
        return self.architecture.probabilities(self.window_outputs(windows))

    def both_probabilities(self, data: SequenceSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities (N, number of names) at temperature 1, and as they are; the network runs once."""
        logits = self.outputs(data)
        return self.target.predict(logits), self.architecture.probabilities(logits)

    def weights(self) -> dict[str, Tensor]:
        """All weights by name, in host memory."""
        return on_host(self.module.state_dict())

    def at_temperature(self, temperature: float) -> "TrainedNetwork":
        """The same network with its logits divided by `temperature` before they become probabilities."""
        return replace(self, architecture=replace(self.architecture, temperature=temperature))

    def describe(self) -> dict[str, Any]:
        """What model.json holds."""
        return to_plain(self.architecture.to_plain())

    def save(self, folder: Path) -> None:
        """Write model.json and, last, model.safetensors."""
        write_model(folder, self.describe(), save(self.weights()))

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies, and pickles that others make, hold architecture and weights: no device, no layout of classes.
        return restored, (self.architecture, self.weights(), "cpu", self.batch_size)


def on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors stores them: in host memory, each in one piece."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def logits_of(module: SequenceNetwork, data: SequenceSet, outputs: int, batch_size: int = 256) -> NDArray[np.float32]:
    """Logits (N, K), K = outputs, of a network in evaluation mode."""
    return _in_batches(module, module.score, data, outputs, batch_size)


def features_of(part: Part, data: SequenceSet, batch_size: int = 256) -> NDArray[np.float32]:
    """(N, F) features that the head of a part in evaluation mode reads."""
    return _in_batches(part, part.read, data, part.width, batch_size)


def _in_batches(
    module: SequenceNetwork,
    function: Callable[[SequenceSet, NDArray[np.int64]], Tensor],
    data: SequenceSet,
    columns: int,
    batch_size: int,
) -> NDArray[np.float32]:
    """(N, columns) that the function of rows gives, in batches of sequences of like length."""
    result = np.empty((len(data), columns), dtype=np.float32)
    order = np.argsort(data.lengths, kind="stable")
    with evaluating(module):
        for rows in padded_batches(data.lengths[order], batch_size, LETTERS_PER_BATCH):
            index = order[rows]
            result[index] = function(data, index).cpu().numpy()
    return result


@contextmanager
def evaluating(module: SequenceNetwork) -> Iterator[None]:
    """Evaluation mode, without derivatives; afterwards the network is in the mode it was in."""
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        module.train(training)


def restored(
    architecture: Architecture, weights: dict[str, Tensor], device: str = "cpu", batch_size: int = 256
) -> TrainedNetwork:
    """The network with these weights, in evaluation mode; PyTorch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        module = architecture.build()
    kinds = (weight.dtype for weight in weights.values() if weight.is_floating_point())  # references are letters
    module.to(next(kinds, torch.float32)).load_state_dict(weights)
    return TrainedNetwork(architecture=architecture, module=module.to(device).eval(), batch_size=batch_size)


def load_trained(folder: Path, device: str = "cpu") -> TrainedNetwork:
    """The network saved in a run folder; raises ModelError for anything that is not one, or is damaged.

    Nothing is allocated that the file of the weights does not account for, and no code of the folder runs.
    """
    about, content = read_model(folder)
    description, weights = folder / DESCRIPTION, folder / WEIGHTS
    check_format(folder, about.get("format"), FORMAT)
    check_description(folder, about, _FIELDS)
    try:
        architecture = Architecture.from_plain(about)
        with torch.device("meta"):  # shapes without memory
            wanted = architecture.build().state_dict()
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"{description} is not a model description of seqreg ({error}). Train the model again"
        ) from None
    try:
        tensors = load(content)
    except (SafetensorError, RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"{weights} is damaged ({error}). Train the model again") from None
    if absent := sorted(wanted.keys() ^ tensors.keys()):
        raise ModelError(
            f"{weights} is damaged or belongs to another model: {absent[0]} is in one of {WEIGHTS} and "
            f"{DESCRIPTION} only. Train the model again"
        )
    for name, tensor in tensors.items():
        finite = bool(torch.isfinite(tensor).all())
        check_weights(folder, name, tuple(tensor.shape), tuple(wanted[name].shape), finite=finite)
    return restored(architecture, tensors, device)
