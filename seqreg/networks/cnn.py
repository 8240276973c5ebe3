"""The networks people choose by name, as specs that build modules."""

from dataclasses import dataclass

import torch

from seqreg.alphabet import Alphabet
from seqreg.networks.base import NetworkSpec
from seqreg.networks.convnet import ConvNet, default_penalty
from seqreg.networks.encodings import Encoding, OneHot
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class CNN(NetworkSpec):
    """Convolution layers, one pooling over windows, a linear or one-hidden-layer head."""

    filters: int = hyper(64, "filters per convolution layer", low=1)
    width: int = hyper(10, "letters per filter", low=1)
    depth: int = hyper(1, "convolution layers", low=1, high=1000)
    activation: str = hyper("relu", "nonlinearity", choices=("relu", "smoothed-relu", "identity"))
    pooling: str = hyper("max", "over windows; position keeps where a motif lies", choices=("max", "mean", "position"))
    hidden: int = hyper(0, "units of a hidden layer in the head, 0 for a linear head", low=0)
    dropout: float = hyper(0.0, "share of pooled features dropped in training", low=0, below=1)

    @property
    def scores_both_strands(self) -> bool:
        """Unless positions count, which are others on the other strand."""
        return self.pooling != "position"

    @property
    def default_penalty(self) -> tuple[str, ...]:
        """Weight decay where weights belong to positions, else the gradient."""
        return default_penalty(self.pooling)

    @property
    def in_words(self) -> str:
        """Filters, their width and layers."""
        layers = "" if self.depth == 1 else f" in each of {self.depth} layers"
        where = " that keep their position" if self.pooling == "position" else ""
        return f"a convolutional network with {self.filters} filters of {self.width} letters{layers}{where}"

    def build(
        self,
        alphabet: Alphabet,
        *,
        outputs: int,
        length: int,
        encoding: Encoding | None = None,
        reverse_complement: bool = False,
    ) -> ConvNet:
        """An untrained network; `length` is the longest training sequence, `encoding` a member of ENCODINGS."""
        matrix = (encoding or OneHot()).matrix(alphabet)
        return ConvNet(
            alphabet,
            torch.as_tensor(matrix),
            channels=[self.filters] * self.depth,
            widths=[self.width] * self.depth,
            outputs=outputs,
            length=length,
            activation=self.activation,
            pooling=self.pooling,
            hidden=self.hidden,
            dropout=self.dropout,
            reverse_complement=reverse_complement,
        )
