"""A sum of networks: linear models on k-mers, positions and alignments, and CNNs beside them.

All that is known about its parts is known about the sum: scores and the effects of edits add up, influences add up
place by place, bounds add up. Each part is a ConvNet, but for the one that aligns. The linear parts are ConvNets whose
first layer is fixed: one filter per k-mer that fires on that k-mer alone, averaged over windows, or one filter per
letter, kept by position. As functions of one-hot input they live in RKHSs of their own, and the sum in the sum of these
spaces.
"""

import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError
from seqreg.networks.alignments import AlignmentNet
from seqreg.networks.base import SequenceNetwork
from seqreg.networks.cnn import CNN
from seqreg.networks.convnet import ConvNet
from seqreg.specs import Spec, hyper

MOST_KMERS = 1024
POSITIONS = 200

Part = ConvNet | AlignmentNet


class SumNet(SequenceNetwork):
    """Logits that are the sum of the logits of `parts`, by name, of one alphabet and one K.

    Names are KIND or, where several networks of a kind are averaged, KIND#1, KIND#2 ...
    average: whether training is to make it the average of the kinds, rather than to fit their weights.
    """

    def __init__(self, parts: Mapping[str, Part], *, average: bool = False) -> None:
        super().__init__(next(iter(parts.values())).alphabet)
        self.parts = nn.ModuleDict(parts)
        self.average = average
        self.receptive_field = max(part.receptive_field for part in parts.values())

    def part(self, name: str) -> Part:
        """The part of this name."""
        part = self.parts[name]
        assert isinstance(part, ConvNet | AlignmentNet)
        return part

    def kinds(self) -> dict[str, list[str]]:
        """The names of the parts of each kind."""
        found: dict[str, list[str]] = {}
        for name in self.parts:
            found.setdefault(name.partition("#")[0], []).append(name)
        return found

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (N, K) from ids (N, L), or from one-hot x (N, A, L) with the sequences' `lengths` (N,)."""
        return added(part(x, lengths=lengths) for part in parts_of(self))

    def forward_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Logits (N, K) at x (N, A, L), which must hold the one-hot of ids (N, L): fast, and differentiable in x."""
        return added(part.forward_at(x, ids) for part in parts_of(self))


class SpectrumNet(ConvNet):
    """A linear function of the share of windows that read each k-mer, `sum_v w[v] (count of v) / T + b`.

    Filter v, with bias 1 - k and ReLU, is 1 on its k-mer and 0 on any other, so in a window of k plain letters exactly
    one filter fires. One mixture in a window counts in parts, two count as nothing. Only the head is trained.
    """

    def __init__(
        self, alphabet: Alphabet, k: int, *, outputs: int, length: int, reverse_complement: bool = False
    ) -> None:
        super().__init__(
            alphabet,
            torch.eye(alphabet.size),
            channels=[alphabet.size**k],
            widths=[k],
            outputs=outputs,
            length=length,
            pooling="mean",
            reverse_complement=reverse_complement,
        )
        kmers = torch.tensor(list(itertools.product(range(alphabet.size), repeat=k)))  # A^k, k
        _fix(self, torch.eye(alphabet.size)[kmers].transpose(1, 2), 1.0 - k)

    def kmers(self, ids: Tensor) -> Tensor:
        """(N, T) int64 number of the k-mer that each window of ids (N, L) reads; A^k for one that is not all letters.

        The k-mer a_1 .. a_k has number sum_i a_i A^(k - i), and its filter that index.
        """
        windows = self.pad_ids(ids).long().unfold(1, self.receptive_field, 1)
        plain = (windows < self.alphabet.size).all(2)
        powers = self.alphabet.size ** torch.arange(self.receptive_field - 1, -1, -1, device=ids.device)
        return torch.where(plain, (windows * powers).sum(2), len(self.first_bias()))


def positional_linear(alphabet: Alphabet, *, outputs: int, length: int, reverse_complement: bool = False) -> ConvNet:
    """A linear function of the letter at each of the first `length` positions; only its head is trained."""
    model = ConvNet(
        alphabet,
        torch.eye(alphabet.size),
        channels=[alphabet.size],
        widths=[1],
        outputs=outputs,
        length=length,
        activation="identity",
        pooling="position",
        reverse_complement=reverse_complement,
    )
    _fix(model, torch.eye(alphabet.size)[:, :, None], 0.0)
    return model


@torch.no_grad()
def _fix(model: ConvNet, kernel: Tensor, bias: float) -> None:
    """Set the filters of a model that only its head is trained of."""
    model.fixed_filters = True
    model.convs.requires_grad_(False)
    (conv,) = model.convs
    assert isinstance(conv, nn.Conv1d)
    assert conv.bias is not None
    conv.weight.copy_(kernel)
    conv.bias.fill_(bias)


def parts_of(model: SequenceNetwork) -> list[Part]:
    """The networks whose logits add up to those of the network: its parts, or itself alone."""
    parts = list(model.parts.values()) if isinstance(model, SumNet) else [model]
    assert all(isinstance(part, ConvNet | AlignmentNet) for part in parts)
    return parts  # pyright: ignore[reportReturnType]


def added(of_parts: Iterable[Tensor]) -> Tensor:
    """The sum of what the parts of a network give, tensors of one shape; that of a single part as it is."""
    return functools.reduce(torch.add, of_parts)


def is_linear(model: Part) -> bool:
    """Whether logits are affine in x: one convolution, no activation, a pooling that is linear, no hidden layer."""
    if isinstance(model, AlignmentNet):
        return False
    plain = model.activation_name == "identity" and model.hidden is None
    return plain and len(model.convs) == 1 and model.pooling != "max"


@dataclass(frozen=True, kw_only=True)
class Sum(Spec):
    """Linear models and one-layer CNNs, weighed by held-out sequences or averaged."""

    spectrum: int = hyper(4, "letters of the k-mers that are counted, 0 for none", low=0, high=5)
    positions: bool = hyper(True, f"a weight for each letter at each of the first {POSITIONS} positions")
    alignments: int = hyper(0, "training sequences, at most, that local alignments (protein) compare with", low=0)
    filters: int = hyper(128, "filters of a CNN; a quarter of them where positions are kept", low=1)
    width: tuple[int, ...] = hyper((10,), "letters per filter, one CNN for each, joined by +", low=1)
    pooling: tuple[str, ...] = hyper(
        ("max",), "one CNN for each, joined by +; none is no CNN", choices=("max", "mean", "position", "none")
    )
    networks: int = hyper(1, "CNNs of each kind; of several each is trained without one of as many folds", low=1)
    average: bool = hyper(False, "parts count alike, each trained on all; else held-out sequences weigh them")

    def build(
        self,
        alphabet: Alphabet,
        *,
        outputs: int,
        length: int,
        encoding: Spec | None = None,
        reverse_complement: bool = False,
    ) -> SumNet:
        """An untrained network; `length` is the longest training sequence, `encoding`, for the CNNs, of ENCODINGS.

        CNNs are cnn-POOLING by name, and cnn-POOLING-WIDTH where there are several widths. Raises UsageError for more
        than 1,024 k-mers, for a pooling or width given twice, and where no part is left.
        """
        if alphabet.size**self.spectrum > MOST_KMERS:
            raise UsageError(
                f"sum: spectrum={self.spectrum} is {alphabet.size**self.spectrum} k-mers of {alphabet.name}; "
                f"at most {MOST_KMERS} are counted: spectrum={2 if alphabet.size > 4 else 5} or less"
            )
        for name, given in (("pooling", self.pooling), ("width", self.width)):
            if len(set(given)) < len(given):
                raise UsageError(
                    f"sum: {name}={'+'.join(map(str, given))} repeats itself; several CNNs of a kind are networks=2"
                )
        shape = {"outputs": outputs, "length": length, "reverse_complement": reverse_complement}
        parts: dict[str, Part] = {}
        if self.spectrum:
            parts["spectrum"] = SpectrumNet(alphabet, self.spectrum, **shape)
        if self.positions:
            parts["positions"] = positional_linear(alphabet, **{**shape, "length": min(length, POSITIONS)})
        if self.alignments:
            parts["alignments"] = AlignmentNet(alphabet, self.alignments, outputs=outputs, length=length)
        for pooling, width in itertools.product(self.pooling, self.width):
            if pooling != "none":
                filters = max(1, self.filters // 4) if pooling == "position" else self.filters
                cnn = CNN(filters=filters, width=width, pooling=pooling)
                kind = f"cnn-{pooling}" + (f"-{width}" if len(self.width) > 1 else "")
                for number in range(1, self.networks + 1):
                    name = kind + (f"#{number}" if self.networks > 1 else "")
                    parts[name] = cnn.build(alphabet, encoding=encoding, **shape)
        if not parts:
            raise UsageError("sum: no part is left. Count k-mers, take positions or alignments, or give a pooling")
        return SumNet(parts, average=self.average)
