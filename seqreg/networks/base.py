"""What all of seqreg's networks have in common: they read letters, and know their alphabet."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqreg.alphabet import Alphabet


class SequenceNetwork(nn.Module, ABC):
    """A network over ids (N, L) uint8, padded with the alphabet's padding code, or over one-hot x (N, A, L)."""

    mixtures: Tensor
    receptive_field: int

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet = alphabet
        mixtures = torch.as_tensor(alphabet.mixtures.copy(), dtype=torch.float32)
        self.register_buffer("mixtures", mixtures, persistent=False)

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (N, K) from ids (N, L), or from one-hot x (N, A, L) with the sequences' `lengths` (N,)."""

    @abstractmethod
    def forward_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Logits (N, K) at x (N, A, L), which must hold the one-hot of ids (N, L): fast, and differentiable in x."""

    def one_hot(self, ids: Tensor) -> Tensor:
        """x (N, A, L): each symbol as its mixture of letters, padding as zero."""
        return F.embedding(ids.int(), self.mixtures).transpose(1, 2)

    def lengths(self, ids: Tensor) -> Tensor:
        """(N,) letters before the padding."""
        return (ids != self.alphabet.pad).sum(1)
