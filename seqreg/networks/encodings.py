"""Fixed encodings: linear maps from letters to vectors, folded into the first convolution.

A network sees one-hot letters x (N, A, L) and an encoding E (A, D) by way of the kernel
`sum_d W[c, d, j] E[a, d]` (C, A, W), so every derivative, perturbation and bound is with respect to one-hot x.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.alphabet import Alphabet
from seqreg.errors import UsageError
from seqreg.sequences import blosum62
from seqreg.specs import Spec, hyper


def identity(size: int) -> Tensor:
    """(size, size) identity in single precision.

    Not `torch.eye`, which imports PyTorch's compiler where shapes are built without memory: seconds of each command.
    """
    return torch.as_tensor(np.eye(size, dtype=np.float32))


class Encoding(Spec, ABC):
    """A vector of D numbers for each of the A letters of an alphabet."""

    @abstractmethod
    def matrix(self, alphabet: Alphabet) -> NDArray[np.float64]:
        """(A, D) the letters' vectors. Raises UsageError for an alphabet that it has none for."""


@dataclass(frozen=True, kw_only=True)
class OneHot(Encoding):
    """One coordinate per letter: every substitution moves the input equally far."""

    def matrix(self, alphabet: Alphabet) -> NDArray[np.float64]:
        """(A, A) identity."""
        return np.eye(alphabet.size)


@dataclass(frozen=True, kw_only=True)
class Blosum62(Encoding):
    """Square root of the BLOSUM62 similarity: exchangeable amino acids lie close together (protein only)."""

    identity: float = hyper(0.0, "share of exact matches in the similarity: 0 is BLOSUM62, 1 is one-hot", low=0, high=1)

    def matrix(self, alphabet: Alphabet) -> NDArray[np.float64]:
        """(20, 20) symmetric root of the similarity, BLOSUM62 without its negative eigenvalues plus the identity.

        Both at mean diagonal 1, so that rows have mean square norm 1.
        """
        if alphabet.name != "protein":
            raise UsageError(f"encoding blosum62 is for protein sequences; these are {alphabet.name}. Use one-hot")
        values, vectors = np.linalg.eigh(blosum62())
        values = np.clip(values, 0, None)
        similarity = (1 - self.identity) * values / values.mean() + self.identity
        return (vectors * np.sqrt(similarity)) @ vectors.T
