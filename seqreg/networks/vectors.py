"""Functions of the vectors that a language model has of a sequence, as parts of a sum: linear, and by a kernel.

It reads no letters, and what it would say of edited ones is not known: gradients, certificates and exact effects of
edits of a model with this part are refused in a sentence, unless a language model is at hand that computes the vectors
of any sequence (`embed_with`). Then edited sequences are embedded and scored whole; still nothing is proved of them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError, option
from seqreg.linear import column_standards
from seqreg.networks.alignments import draw_references
from seqreg.networks.base import SequenceNetwork
from seqreg.networks.part import Part, parts_of
from seqreg.sequences import SequenceSet

Embedder = Callable[[Sequence[str]], NDArray[np.floating[Any]]]
"""(n, D) vectors of n sequences of letters."""


WIDTH = 0.5  # of the kernel; standardised vectors lie about sqrt(2 D) apart
RIDGE = 1e-6  # of the largest eigenvalue of a kernel: equal vectors make it singular


class VectorNet(Part):
    """Logits (N, K) that are linear in vectors (N, D), standardised on the training part.

    title: the name of the vectors in a set of sequences.
    """

    centre: Tensor
    spread: Tensor
    head_only = dense = True
    receptive_field = 1

    def __init__(self, alphabet: Alphabet, title: str, dimension: int, *, outputs: int) -> None:
        super().__init__(alphabet)
        self.title = title
        self.register_buffer("centre", torch.zeros(dimension))
        self.register_buffer("spread", torch.ones(dimension))
        self.output = nn.Linear(dimension, outputs)
        self._embedder: Embedder | None = None
        unknown = (
            f"this model reads the vectors {title!r} beside letters, and those of edited sequences are not known. "
            f"Name the language model that makes them, {option('embed_with', 'MODEL')}, where it can be named, or "
            f"train a model without {option('vectors')}"
        )
        derived = f"the vectors {title!r} of this model have no gradient in letters, and nothing is proved of them"
        by_letter = (
            f"{derived}. What every single substitution does, a language model tells: predict with "
            f"{option('all_substitutions', True)} and {option('embed_with', 'MODEL')}"
        )
        self.cannot = {"edits": unknown, "gradients": by_letter, "bounds": derived, "graph": derived}

    def embed_with(self, embedder: Embedder) -> None:
        """Compute the vectors of sequences that are in no set."""
        self._embedder = embedder
        self.cannot = {name: text for name, text in self.cannot.items() if name != "edits"}

    @torch.no_grad()
    def prepare(self, train: SequenceSet, seed: int) -> None:
        """Take means and standard deviations of the training vectors; a number that never changes becomes 0."""
        centre, spread = column_standards(self._of(train), train.weight)
        self.centre.copy_(torch.from_numpy(centre))
        self.spread.copy_(torch.from_numpy(spread))

    def read(self, data: SequenceSet, rows: NDArray[np.int64]) -> Tensor:
        """(n, D) standardised vectors of sequences of a set, which are computed where it has none and that can be done.

        Raises UsageError where they are not known, or others.
        """
        if self.title not in data.vectors and self._embedder is not None:
            return self.features(self.ids_of(data, rows))
        return self._standardised(self._of(data)[rows])

    def score(self, data: SequenceSet, rows: NDArray[np.int64]) -> Tensor:
        """Logits (n, K) of sequences of a set."""
        return self.classify(self.read(data, rows))

    def features(self, ids: Tensor) -> Tensor:
        """(N, D) standardised vectors of ids (N, L). Raises UsageError where no language model is at hand."""
        if self._embedder is None:
            raise UsageError(self.cannot["edits"])
        texts = [
            self.alphabet.decode(row[: int(n)]) for row, n in zip(ids.cpu().numpy(), self.lengths(ids), strict=True)
        ]
        vectors = np.asarray(self._embedder(texts), dtype=np.float32)
        if vectors.shape != (len(texts), len(self.centre)):
            raise UsageError(
                f"{option('embed_with')}: its vectors have {vectors.shape[-1]:,} numbers; the model was trained on "
                f"vectors {self.title!r} of {len(self.centre):,}"
            )
        return self._standardised(vectors)

    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Raises UsageError: vectors have no gradient in letters."""
        raise UsageError(self.cannot["gradients"])

    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Raises UsageError: mixtures of letters have no vectors."""
        raise UsageError(self.cannot["gradients"])

    def _of(self, data: SequenceSet) -> NDArray[np.float32]:
        vectors = data.vectors.get(self.title)
        if vectors is None:
            raise UsageError(
                f"this model reads the vectors {self.title!r} of sequences: give the file that holds them, "
                f"{option('vectors', f'{self.title}=FILE')}"
            )
        if vectors.shape[1] != len(self.centre):
            raise UsageError(
                f"the vectors {self.title!r} have {vectors.shape[1]:,} numbers; the model was trained on "
                f"{len(self.centre):,}. Give those of the same language model"
            )
        return vectors

    def _standardised(self, vectors: NDArray[np.float32]) -> Tensor:
        given = torch.from_numpy(vectors).to(self.centre)
        return (given - self.centre) / self.spread


class KernelNet(VectorNet):
    """Logits (N, K) that are linear in `exp(-WIDTH |v - r|^2 / D)` of standardised vectors v and references r (R, D).

    Kernel logistic regression on R landmarks, by the method of Nyström (Williams and Seeger, NIPS 2000); training draws
    the references, of which `used` are there. It sees what a linear function fitted to few vectors of many dimensions
    does not: that a sequence is like others of a class.
    """

    references: Tensor
    used: Tensor

    def __init__(self, alphabet: Alphabet, title: str, dimension: int, references: int, *, outputs: int) -> None:
        super().__init__(alphabet, title, dimension, outputs=outputs)
        self.register_buffer("references", torch.zeros(references, dimension))
        self.register_buffer("used", torch.zeros(()))
        self.output = nn.Linear(references, outputs)

    @torch.no_grad()
    def prepare(self, train: SequenceSet, seed: int) -> None:
        """Take training sequences as references, all or as many of each class as there are."""
        super().prepare(train, seed)
        rows = draw_references(train, len(self.references), seed)
        self.references.zero_()
        self.references[: len(rows)] = super()._standardised(self._of(train)[rows])
        self.used.fill_(len(rows))

    @torch.no_grad()
    def coordinates(self) -> NDArray[np.float64] | None:
        """(R, D') matrix B such that similarities @ B are coordinates in the space of the kernel, D' references used.

        Of the kernel of the references V diag(l) V^T, B is V diag(l)^-1/2.
        """
        used = int(self.used)
        known = self.references[:used].double()
        values, vectors = np.linalg.eigh(_similarities(known, known).cpu().numpy())
        basis = np.zeros((len(self.references), used))
        basis[:used] = vectors / np.sqrt(np.maximum(values, 0) + RIDGE * values[-1])
        return basis

    def _standardised(self, vectors: NDArray[np.float32]) -> Tensor:
        """(n, R) similarities of vectors to the references; 0 to those that are not there."""
        found = _similarities(super()._standardised(vectors), self.references)
        return found * (torch.arange(len(self.references), device=found.device) < self.used)


def _similarities(x: Tensor, references: Tensor) -> Tensor:
    """(n, R) exp(-WIDTH |x - r|^2 / D), of x (n, D) and references (R, D)."""
    return torch.exp(-WIDTH / x.shape[1] * torch.cdist(x, references).square())


def embed_with(model: SequenceNetwork, embedders: dict[str, Embedder]) -> None:
    """Give the parts of a network that read vectors what computes them. Raises UsageError for a name without any."""
    known = {name: _remembering(each) for name, each in embedders.items()}
    for part in parts_of(model):
        if isinstance(part, VectorNet):
            if part.title not in embedders:
                raise UsageError(f"no language model is given for the vectors {part.title!r}")
            part.embed_with(known[part.title])


def _remembering(embedder: Embedder) -> Embedder:
    """The same, but for what it was asked just before: the parts of a sum ask one by one, for sequences and mutants."""
    remembered = lru_cache(maxsize=2)(lambda texts: embedder(list(texts)))
    return lambda texts: remembered(tuple(texts))
