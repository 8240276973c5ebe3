"""Trained models for other programs: an ONNX graph, or weights with a description.

The graph takes one-hot letters x (N, A, L) float32, a mixture of letters for an ambiguous symbol and zeros for padding,
and lengths (N,) int64, for any N and L; it gives logits (N, K) and probabilities (N, number of classes). A length
beyond L is an error of whatever runs the graph. Its metadata say the rest: `classes`, `logit_of` (the K classes that
logits speak for, the positive one of two), `task`, `positive`, `multi_label`, `alphabet`, `letters` (the order of A),
`temperature` (by which the probabilities have divided the logits already), `reverse_complement` and `seqreg` (the
version).
"""

import json
import logging
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from seqreg import __version__
from seqreg.alphabet import Alphabet
from seqreg.errors import SeqregError, UsageError
from seqreg.model_files import with_checksum
from seqreg.networks import objective, parts_of
from seqreg.predictors import Predictor, TrainedNetwork
from seqreg.predictors.network import restored
from seqreg.records import write_json
from seqreg.targets import Labels
from seqreg.writing import atomic_write, is_stream

NEEDED = ("onnx", "onnxscript", "onnxruntime")
_TOLERANCE = 1e-3


class Graph(nn.Module):
    """What is exported: logits and probabilities of a network by its dense path, `model(x, lengths=lengths)`."""

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.model, self.temperature = network.module, network.temperature
        self.link, self.sign = objective(network.target), network.target.sign
        # A graph cannot ask whether x fills a window, so that it is always padded as if it held one letter.
        self.room = network.module.receptive_field - 1

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K) and probabilities (N, number of classes) of x (N, A, L) and lengths (N,)."""
        # A look-up is what every runtime refuses out of bounds; a graph has no other way to raise an error.
        lengths = torch.arange(x.shape[2] + 1, device=x.device).index_select(0, lengths)
        logits = self.model(F.pad(x, (0, self.room)), lengths=lengths)
        return self.sign * logits, self.link.predict(logits / self.temperature)


def onnx_bytes(network: TrainedNetwork) -> bytes:
    """The graph of a network as an ONNX model, compared with the network on sequences of several lengths.

    Raises UsageError where the extra `export` is not installed, SeqregError if the graph computes something else.
    """
    for name in NEEDED:
        try:
            import_module(name)
        except ImportError:
            raise UsageError(
                f"ONNX needs the extra 'export', which is not installed (no module {name}). "
                "In the checkout: pip install -c constraints.txt -e '.[export]'"
            ) from None
    for part in parts_of(network.module):
        part.demand("graph")
    network = _single_precision(network)
    graph = Graph(network).eval()
    x, lengths = _letters(network.alphabet, (graph.room + 3, graph.room + 1))
    n, length = torch.export.Dim("N"), torch.export.Dim("L")
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it warns of libraries that no network here uses
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # what PyTorch and ONNX say to each other
            program: Any = torch.onnx.export(
                graph,
                (x, lengths),
                dynamo=True,
                input_names=["x", "lengths"],
                output_names=["logits", "probabilities"],
                dynamic_shapes={"x": {0: n, 2: length}, "lengths": {0: n}},
                verbose=False,
            )
    finally:
        exporter.setLevel(level)
    program.model.metadata_props.update(metadata(network))
    content = program.model_proto.SerializeToString()
    _compare(content, graph, network.alphabet)
    return content


def metadata(network: TrainedNetwork) -> dict[str, str]:
    """What the graph says about itself; lists and truth values are JSON."""
    about = network.architecture
    return {
        "seqreg": __version__,
        "classes": json.dumps(about.target.names),
        "logit_of": json.dumps(about.target.logit_of),
        "task": about.target.task,
        "positive": about.target.positive or "",
        "multi_label": json.dumps(isinstance(about.target, Labels)),
        "alphabet": about.alphabet,
        "letters": network.alphabet.letters,
        "temperature": repr(about.temperature),
        "reverse_complement": json.dumps(about.reverse_complement),
        "longest_training_sequence": str(about.length),
    }


def export_onnx(network: TrainedNetwork, output: Path) -> None:
    """Write the graph of a network to a file. Raises as `onnx_bytes` does."""
    content = onnx_bytes(network)
    with atomic_write(output, "wb") as handle:
        handle.write(content)


def export_safetensors(model: Predictor, output: Path) -> None:
    """Write the weights to a file, and beside it, as FILE.json, all that describes the model, letters included."""
    weights = save({name: torch.as_tensor(value) for name, value in model.weights().items()})
    about = {"seqreg": __version__, "letters": model.alphabet.letters, **with_checksum(model.describe(), weights)}
    if not is_stream(output):
        write_json(output.with_suffix(".json"), about, "model")
    with atomic_write(output, "wb") as handle:
        handle.write(weights)


def _single_precision(network: TrainedNetwork) -> TrainedNetwork:
    """A copy on the host, in float32, whose `eval` and casts leave the caller's alone."""
    return restored(network.architecture, {name: value.float() for name, value in network.weights().items()})


def _letters(alphabet: Alphabet, lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """One-hot x (N, A, L) of sequences of these lengths, padded with zeros, and the lengths."""
    x = torch.zeros(len(lengths), alphabet.size, max(lengths))
    for row, length in enumerate(lengths):
        x[row, (torch.arange(length) * 7 + row) % alphabet.size, torch.arange(length)] = 1
    return x, torch.tensor(lengths)


def _compare(content: bytes, graph: Graph, alphabet: Alphabet) -> None:
    """Raises SeqregError unless ONNX Runtime and PyTorch agree, for other N and L than those of the export."""
    session: Any = import_module("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    for lengths in ((1,), (2 * graph.room + 9, graph.room + 2, 1)):
        x, counts = _letters(alphabet, lengths)
        with torch.no_grad():
            wanted = [value.numpy() for value in graph(x, counts)]
        found = session.run(None, {"x": x.numpy(), "lengths": counts.numpy()})
        if not all(np.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE) for a, b in zip(found, wanted, strict=True)):
            raise SeqregError("the exported graph does not compute what the network does; nothing was written")
