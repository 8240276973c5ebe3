"""A trained network with all that is needed to score sequences, as one safetensors and one JSON file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from scipy.special import expit, softmax
from torch import Tensor

from seqreg.alphabet import ALPHABETS, Alphabet
from seqreg.errors import ModelError
from seqreg.networks import ENCODINGS, MODELS, Part, SequenceNetwork
from seqreg.records import atomic_write, read_json, write_json
from seqreg.sequences import SequenceSet, padded_batches
from seqreg.specs import parse

FORMAT = 1
# Bounds the memory of a batch of long sequences: some hundred MiB with 128 filters.
LETTERS_PER_BATCH = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What model.json says: everything about a network but its weights.

    model, encoding: spec texts. alphabet: its name. classes: sorted names. positive: the positive class of a binary
    task. multi_label: several labels at once. length, shortest: longest and shortest training sequence.
    temperature: logits are divided by it before they become probabilities.
    """

    model: str
    encoding: str
    alphabet: str
    classes: tuple[str, ...]
    positive: str | None
    multi_label: bool
    length: int
    shortest: int
    reverse_complement: bool
    temperature: float = 1.0
    format: int = FORMAT

    @property
    def outputs(self) -> int:
        """K: one logit, for the second class, in a binary task; one per class or label otherwise."""
        return 1 if len(self.classes) == 2 and not self.multi_label else len(self.classes)

    @property
    def sign(self) -> int:
        """-1 where the one logit of a binary task speaks against the positive class, as that is the first by name."""
        return -1 if self.outputs == 1 and self.positive == self.classes[0] else 1

    @property
    def logit_of(self) -> tuple[str, ...]:
        """The K classes that `sign` times the logits speak for: the positive one of two, otherwise all of them."""
        return (self.positive or self.classes[1],) if self.outputs == 1 else self.classes

    def build(self) -> SequenceNetwork:
        """The untrained network, its weights drawn from PyTorch's global generator."""
        return parse("model", MODELS, self.model).build(
            ALPHABETS[self.alphabet],
            outputs=self.outputs,
            length=self.length,
            encoding=parse("encoding", ENCODINGS, self.encoding),
            reverse_complement=self.reverse_complement,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedNetwork:
    """A network and its architecture; scores sets of sequences, saves itself and is loaded by `load_trained`."""

    architecture: Architecture
    module: SequenceNetwork

    @property
    def alphabet(self) -> Alphabet:
        """The alphabet it was trained on."""
        return ALPHABETS[self.architecture.alphabet]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return self.architecture.classes

    @property
    def positive(self) -> str | None:
        """The positive class of a binary task."""
        return self.architecture.positive

    @property
    def multi_label(self) -> bool:
        """Whether a sequence may carry several labels."""
        return self.architecture.multi_label

    def logits(self, data: SequenceSet, batch_size: int = 256) -> NDArray[np.float32]:
        """Logits (N, K) in evaluation mode, sequences of like length together so that little padding is computed."""
        return logits_of(self.module, data, self.architecture.outputs, batch_size)

    def probabilities(self, data: SequenceSet, batch_size: int = 256) -> NDArray[np.float64]:
        """Probabilities (N, number of classes) in the order of `classes`; rows sum to 1 unless labels are several."""
        return probabilities(self.logits(data, batch_size), self.architecture)

    def both_probabilities(self, data: SequenceSet, batch_size: int = 256) -> tuple[NDArray[np.float64], ...]:
        """Probabilities (N, number of classes) at temperature 1, and as they are; the network runs once."""
        logits = self.logits(data, batch_size)
        return tuple(probabilities(logits, each.architecture) for each in (self.at_temperature(1.0), self))

    def weights(self) -> dict[str, Tensor]:
        """All weights by name, in host memory."""
        return on_host(self.module.state_dict())

    def at_temperature(self, temperature: float) -> "TrainedNetwork":
        """The same network with its logits divided by `temperature` before they become probabilities."""
        return replace(self, architecture=replace(self.architecture, temperature=temperature))

    def save(self, folder: Path) -> None:
        """Write model.json and, last, model.safetensors."""
        write_json(folder / "model.json", asdict(self.architecture))
        with atomic_write(folder / "model.safetensors", "wb") as handle:
            handle.write(save(self.weights()))

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies, and pickles that others make, hold architecture and weights: no device, no layout of classes.
        return restored, (self.architecture, self.weights())


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
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            for rows in padded_batches(data.lengths[order], batch_size, LETTERS_PER_BATCH):
                index = order[rows]
                result[index] = function(data, index).cpu().numpy()
    finally:
        module.train(training)
    return result


def restored(architecture: Architecture, weights: dict[str, Tensor], device: str = "cpu") -> TrainedNetwork:
    """The network with these weights, in evaluation mode; PyTorch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        module = architecture.build()
    module.to(next((weight.dtype for weight in weights.values()), torch.float32)).load_state_dict(weights)
    return TrainedNetwork(architecture=architecture, module=module.to(device).eval())


def probabilities(logits: NDArray[np.floating], architecture: Architecture) -> NDArray[np.float64]:
    """Probabilities (N, number of classes) from logits (N, K)."""
    scaled = np.asarray(logits, dtype=np.float64) / architecture.temperature
    if architecture.multi_label:
        return expit(scaled)
    if architecture.outputs == 1:
        scaled = np.concatenate([np.zeros_like(scaled), scaled], axis=1)
    return softmax(scaled, axis=1)


def load_trained(folder: Path, device: str = "cpu") -> TrainedNetwork:
    """The network saved in a run folder; raises ModelError for anything that is not one, or is damaged."""
    description, weights = folder / "model.json", folder / "model.safetensors"
    for path in (description, weights):
        if not path.is_file():
            raise ModelError(f"{folder} is not a seqreg model: it has no {path.name}. Give the folder `train` wrote")
    try:
        content = read_json(description)
        if content.get("format") != FORMAT:
            raise ModelError(f"{description} has format {content.get('format')!r}; this seqreg reads {FORMAT}")
        architecture = Architecture(**{**content, "classes": tuple(content["classes"])})
        network = restored(architecture, load_file(weights), device)
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ModelError(
            f"{description} is not a model description of seqreg ({error}). Train the model again"
        ) from None
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{weights} is damaged or belongs to another model ({reason}). Train the model again"
        ) from None
    return network
