"""Networks over sequences.

One contract: a member of `MODELS` is a spec whose `build(alphabet, outputs=, length=, encoding=, reverse_complement=)`
gives a `torch.nn.Module`; the module maps ids (N, L) uint8, or one-hot x (N, A, L) with `lengths` (N,), to logits
(N, K), and padding never changes a score. A member of `ENCODINGS` has `matrix(alphabet) -> (A, D)`.
"""

from seqreg.networks.alignments import AlignmentNet
from seqreg.networks.base import SequenceNetwork
from seqreg.networks.cnn import CNN
from seqreg.networks.convnet import ACTIVATIONS, ConvNet, smoothed_relu
from seqreg.networks.encodings import BLOSUM62, Blosum62, OneHot
from seqreg.networks.inputs import InputView, as_onehot
from seqreg.networks.losses import per_example_loss
from seqreg.networks.residual import Residual
from seqreg.networks.smooth import SmoothCNN, SmoothConvNet
from seqreg.networks.sum import Part, SpectrumNet, Sum, SumNet, added, is_linear, parts_of
from seqreg.specs import Spec

__all__ = [
    "ACTIVATIONS",
    "BLOSUM62",
    "CNN",
    "ENCODINGS",
    "MODELS",
    "AlignmentNet",
    "Blosum62",
    "ConvNet",
    "InputView",
    "OneHot",
    "Part",
    "Residual",
    "SequenceNetwork",
    "SmoothCNN",
    "SmoothConvNet",
    "SpectrumNet",
    "Sum",
    "SumNet",
    "added",
    "as_onehot",
    "is_linear",
    "parts_of",
    "per_example_loss",
    "smoothed_relu",
]

MODELS: dict[str, type[Spec]] = {"sum": Sum, "cnn": CNN, "smooth-cnn": SmoothCNN}
ENCODINGS: dict[str, type[Spec]] = {"one-hot": OneHot, "blosum62": Blosum62}
