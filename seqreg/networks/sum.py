"""A sum of networks: linear models on k-mers, positions, likenesses, alignments and vectors, and CNNs beside them.

All that is known about its parts (`seqreg.networks.part`) is known about the sum: scores and the effects of edits add
up, influences add up place by place, bounds add up. The linear parts on k-mers and positions are ConvNets whose first
layer is fixed. As functions of one-hot input parts live in RKHSs of their own, and the sum in the sum of these spaces.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError, option
from seqreg.networks.alignments import AlignmentNet
from seqreg.networks.base import NetworkSpec, SequenceNetwork
from seqreg.networks.cnn import CNN
from seqreg.networks.encodings import Encoding
from seqreg.networks.neighbours import NeighbourNet
from seqreg.networks.part import Part, added
from seqreg.networks.positions import positional_linear
from seqreg.networks.spectrum import SPECTRUM, SpectrumNet
from seqreg.networks.vectors import KernelNet, VectorNet
from seqreg.sequences import SequenceSet, Windows
from seqreg.specs import hyper

MOST_KMERS = 1024
NUCLEOTIDES = 4  # letters of DNA and RNA
POSITIONS = 200
# Lengths of k-mers where none are chosen. Of 100 sequences, draws 10 to 12, by this part alone: 5-mers beside 1- to
# 4-mers brought .04 of auroc on `nfe2` and .002 to .003 on `rbp-qki` and `ecoli-sigma70`; 6-mers .02 and .002 to .003
# more, of four times as many; 3-mers of proteins .01 to .02, of twenty times as many, .000 to .003 in the whole sum.
OF_PROTEINS, OF_NUCLEOTIDES = (1, 2), (1, 2, 3, 4, 5)


class SumNet(SequenceNetwork):
    """Logits that are the sum of the logits of `parts`, by name, of one alphabet and one K.

    Names are KIND or, where several networks of a kind are averaged, KIND#1, KIND#2 ... Spectra of several k,
    spectrum-K by name, are one kind: they are solved for together, and have one weight.
    average: whether training is to make it the average of the kinds, rather than to fit their weights.
    """

    def __init__(self, parts: Mapping[str, Part], *, average: bool = False) -> None:
        super().__init__(next(iter(parts.values())).alphabet)
        self.parts = nn.ModuleDict(parts)
        self.average, self.weighed = average, not average
        self.receptive_field = max(part.receptive_field for part in parts.values())

    def part(self, name: str) -> Part:
        """The part of this name."""
        part = self.parts[name]
        assert isinstance(part, Part)
        return part

    def parts_within(self) -> list[Part]:
        """The parts whose logits add up to those of the network, those of sums within it one by one."""
        return [each for name in self.parts for each in self.part(name).parts_within()]

    def kinds(self) -> dict[str, list[str]]:
        """The names of the parts of each kind."""
        found: dict[str, list[str]] = {}
        for name in self.parts:
            found.setdefault(self.part(name).solved_together or name.partition("#")[0], []).append(name)
        return found

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (N, K) from ids (N, L), or from one-hot x (N, A, L) with the sequences' `lengths` (N,)."""
        return added(self.part(name)(x, lengths=lengths) for name in self.parts)

    def forward_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Logits (N, K) at x (N, A, L), which must hold the one-hot of ids (N, L): fast, and differentiable in x."""
        return added(self.part(name).forward_at(x, ids) for name in self.parts)

    def score(self, data: SequenceSet, rows: NDArray[np.int64]) -> Tensor:
        """Logits (n, K) of sequences of a set, each part reading of them what it needs."""
        return added(self.part(name).score(data, rows) for name in self.parts)

    def score_windows(self, windows: Windows) -> Tensor:
        """Logits (M, K) of windows that slide over long sequences, each part sharing between them what it can."""
        return added(self.part(name).score_windows(windows) for name in self.parts)


@dataclass(frozen=True, kw_only=True)
class Sum(NetworkSpec):
    """Linear models and one-layer CNNs, weighed by held-out sequences or averaged."""

    spectrum: tuple[int, ...] | None = hyper(
        None, "letters of the k-mers counted, joined by +; 0: none; without it 1 to 5, proteins 1 and 2", low=0, high=5
    )
    positions: bool = hyper(True, f"a weight for each letter at each of the first {POSITIONS} positions")
    alignments: int = hyper(0, "training sequences, at most, that local alignments (protein) compare with", low=0)
    neighbours: int = hyper(
        0, "training sequences, at most, that are compared with position by position, by a Gaussian kernel", low=0
    )
    filters: int = hyper(128, "filters of a CNN; a quarter of them where positions are kept", low=1)
    width: tuple[int, ...] = hyper((10,), "letters per filter, one CNN for each, joined by +", low=1)
    pooling: tuple[str, ...] = hyper(
        ("max",), "one CNN for each, joined by +; none is no CNN", choices=("max", "mean", "position", "none")
    )
    networks: int = hyper(
        1, "CNNs of each kind; of several each is trained without one of as many folds", low=1, high=1000
    )
    average: bool = hyper(False, "parts count alike, each trained on all; else held-out sequences weigh them")

    of_parts = reads_vectors = True

    @property
    def scores_both_strands(self) -> bool:
        """Unless positions count, which are others on the other strand."""
        return "position" not in self.pooling

    @property
    def default_penalty(self) -> None:
        """None on the sum: each of its CNNs has its own."""

    def for_alphabet(self, alphabet: Alphabet) -> Self:
        """The same with k-mers of lengths of which there are up to about a thousand, where none were chosen."""
        usual = OF_PROTEINS if alphabet.size > NUCLEOTIDES else OF_NUCLEOTIDES
        return replace(self, spectrum=usual if self.spectrum is None else self.spectrum)

    @property
    def counted(self) -> tuple[int, ...] | None:
        """Lengths of the k-mers that are counted, none if empty; None where that is left to the alphabet."""
        return None if self.spectrum is None else tuple(k for k in self.spectrum if k)

    @property
    def in_words(self) -> str:
        """Its parts, one after the other."""
        kmers = "k-mers" if self.counted is None else f"{_lengths(self.counted)}mers"
        parts = [f"a linear model on {kmers}"] * (self.counted != ())
        parts += ["a linear model on positions"] * self.positions
        parts += [f"local alignments with up to {self.alignments:,} training sequences"] * bool(self.alignments)
        widths = " and ".join(map(str, self.width))
        parts += [f"likeness, position by position, to up to {self.neighbours:,} training sequences"] * bool(
            self.neighbours
        )
        parts += [f"convolutional networks with filters of {widths} letters"] * (self.pooling != ("none",))
        made = "average" if self.average else "sum"
        return f"the {made} of {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]}"

    def build(
        self,
        alphabet: Alphabet,
        *,
        outputs: int,
        length: int,
        encoding: Encoding | None = None,
        reverse_complement: bool = False,
        vectors: Mapping[str, int] = MappingProxyType({}),
        references: int = 0,
    ) -> SumNet:
        """An untrained network; `length` is the longest training sequence, `encoding`, for the CNNs, of ENCODINGS.

        vectors: numbers of dimensions by name; each has parts of its own, which compare with that many training
        sequences as `references` say (see `vector_parts`). CNNs are cnn-POOLING by name, and
        cnn-POOLING-WIDTH where there are several widths. Raises UsageError for more than 1,024 k-mers, for a pooling or
        width given twice, and where no part is left.
        """
        spectra = self.for_alphabet(alphabet).counted or ()
        longest = max(spectra, default=0)
        if alphabet.size**longest > MOST_KMERS:
            raise UsageError(
                f"sum: spectrum={longest} is {alphabet.size**longest} k-mers of {alphabet.name}; "
                f"at most {MOST_KMERS} are counted: spectrum={2 if alphabet.size > NUCLEOTIDES else 5} or less"
            )
        for name, given in (("spectrum", spectra), ("pooling", self.pooling), ("width", self.width)):
            if len(set(given)) < len(given):
                more = "" if name == "spectrum" else "; several CNNs of a kind are networks=2"
                raise UsageError(f"sum: {name}={'+'.join(map(str, given))} repeats itself{more}")
        shape = {"outputs": outputs, "length": length, "reverse_complement": reverse_complement}
        parts: dict[str, Part] = {}
        for k in spectra:
            parts[SPECTRUM + (f"-{k}" if len(spectra) > 1 else "")] = SpectrumNet(alphabet, k, **shape)
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
        # Last: CNNs begin as they would without them.
        if self.neighbours:
            if reverse_complement:
                raise UsageError("sum: neighbours are compared with on one strand. Take neighbours=0, or one strand")
            length = min(length, POSITIONS)
            parts["neighbours"] = NeighbourNet(alphabet, self.neighbours, outputs=outputs, length=length)
        parts |= vector_parts(alphabet, vectors, references, outputs)
        if not parts:
            raise UsageError("sum: no part is left. Count k-mers, take positions or alignments, or give a pooling")
        return SumNet(parts, average=self.average)


def _lengths(counted: tuple[int, ...]) -> str:
    """Those of 1, 2 and 3 letters are "1-, 2- and 3-"."""
    *first, last = (f"{k}-" for k in counted or (0,))
    return f"{', '.join(first)} and {last}" if first else last


@dataclass(frozen=True, kw_only=True)
class Vectors(NetworkSpec):
    """Vectors of language models alone: a linear and a kernel model on each, weighed by held-out sequences."""

    of_parts = reads_vectors = True

    @property
    def default_penalty(self) -> None:
        """None is added to what is solved for."""

    @property
    def in_words(self) -> str:
        """What there is."""
        return "a linear and a kernel model on vectors of a language model"

    def build(
        self,
        alphabet: Alphabet,
        *,
        outputs: int,
        length: int,
        encoding: Encoding | None = None,
        reverse_complement: bool = False,
        vectors: Mapping[str, int] = MappingProxyType({}),
        references: int = 0,
    ) -> SumNet:
        """An untrained network over `vectors`. Raises UsageError where there are none."""
        if not vectors:
            raise UsageError(
                f"vectors: these sequences have no vectors. Give a file of them, {option('vectors', 'NAME=FILE')}"
            )
        return SumNet(vector_parts(alphabet, vectors, references, outputs))


def vector_parts(alphabet: Alphabet, vectors: Mapping[str, int], references: int, outputs: int) -> dict[str, Part]:
    """Two parts for each: vectors-NAME, linear, and kernel-NAME, which compares with `references` other vectors."""
    linear: dict[str, Part] = {
        f"vectors-{name}": VectorNet(alphabet, name, size, outputs=outputs) for name, size in vectors.items()
    }
    if not references:
        return linear
    return linear | {
        f"kernel-{name}": KernelNet(alphabet, name, size, references, outputs=outputs) for name, size in vectors.items()
    }
