"""Networks over sequences.

Three contracts. A member of `MODELS` is a spec whose `build(alphabet, outputs=, length=, encoding=,
reverse_complement=)` gives a `SequenceNetwork`: it maps ids (N, L) uint8, or one-hot x (N, A, L) with `lengths` (N,),
to logits (N, K), and padding never changes a score. A member of `ENCODINGS` has `matrix(alphabet) -> (A, D)`. What
logits are the sum of is a `Part`, by whose members all other rooms deal with it (`seqreg.networks.part`).
"""

from seqreg.networks.activations import ACTIVATIONS, smoothed_relu
from seqreg.networks.alignments import AlignmentNet
from seqreg.networks.answers import Answers
from seqreg.networks.base import NetworkSpec, SequenceNetwork
from seqreg.networks.cnn import CNN
from seqreg.networks.convnet import ConvNet
from seqreg.networks.encodings import Blosum62, Encoding, OneHot
from seqreg.networks.foreign import ForeignNetwork
from seqreg.networks.inputs import InputView, Loss, as_onehot, input_gradient, open_batch
from seqreg.networks.neighbours import NeighbourNet
from seqreg.networks.objectives import Objective, Value, objective, objective_for, objective_of, per_example_loss
from seqreg.networks.part import Ability, Part, Profile, added, can, parts_of
from seqreg.networks.positions import positional_linear
from seqreg.networks.residual import Residual
from seqreg.networks.smooth import SmoothCNN, SmoothConvNet
from seqreg.networks.spectrum import SpectrumNet
from seqreg.networks.sum import Sum, SumNet, Vectors
from seqreg.networks.vectors import Embedder, KernelNet, VectorNet, embed_with
from seqreg.networks.weights import linear_maps_of, weights_of

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "ENCODINGS",
    "MODELS",
    "Ability",
    "AlignmentNet",
    "Answers",
    "Blosum62",
    "ConvNet",
    "Embedder",
    "Encoding",
    "ForeignNetwork",
    "InputView",
    "KernelNet",
    "Loss",
    "NeighbourNet",
    "NetworkSpec",
    "Objective",
    "OneHot",
    "Part",
    "Profile",
    "Residual",
    "SequenceNetwork",
    "SmoothCNN",
    "SmoothConvNet",
    "SpectrumNet",
    "Sum",
    "SumNet",
    "Value",
    "VectorNet",
    "Vectors",
    "added",
    "as_onehot",
    "can",
    "embed_with",
    "input_gradient",
    "linear_maps_of",
    "objective",
    "objective_for",
    "objective_of",
    "open_batch",
    "parts_of",
    "per_example_loss",
    "positional_linear",
    "smoothed_relu",
    "weights_of",
]

MODELS: dict[str, type[NetworkSpec]] = {"sum": Sum, "cnn": CNN, "smooth-cnn": SmoothCNN, "vectors": Vectors}
ENCODINGS: dict[str, type[Encoding]] = {"one-hot": OneHot, "blosum62": Blosum62}
