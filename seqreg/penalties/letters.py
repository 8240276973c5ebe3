"""A batch as letters, whatever it came as, for penalties that deform sequences."""

from collections.abc import Iterator

import torch
from torch import Tensor

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.deformations import DEFORMATIONS, refit
from seqreg.errors import UsageError
from seqreg.networks import InputView, SequenceNetwork

SEEDS = 2**40  # no mutant: any large number


class Letters:
    """The ids (N, L) of a view, their deformations, and the network's logits of either.

    A network of seqreg brings its alphabet and takes sequences of any length. For any other module the alphabet is
    known by its number of letters, and deformed sequences are cut, or filled up, to the length they had.
    Raises UsageError if one-hot x holds anything but the letters and mixtures of the alphabet.
    """

    def __init__(self, view: InputView) -> None:
        self._view = view
        if isinstance(view.model, SequenceNetwork):
            self.alphabet, self._mixtures = view.model.alphabet, view.model.mixtures
        else:
            self.alphabet = _known_by(view.x.shape[1])
            self._mixtures = torch.as_tensor(self.alphabet.mixtures.copy(), dtype=view.x.dtype, device=view.x.device)
        self.ids = self._read() if view.ids is None else view.ids

    def deformed(
        self, names: tuple[str, ...], *, samples: int, size: int, threshold: float, progress: float, keep_length: bool
    ) -> Iterator[Tensor]:
        """`samples` random deformations of every sequence by each name, as ids (N, L').

        The generator is seeded by `progress`: other draws in every step of a training, the same in its repetition.
        """
        generator = torch.Generator().manual_seed(round(progress * SEEDS))
        keep_length = keep_length or not isinstance(self._view.model, SequenceNetwork)
        for name in names:
            for _ in range(1 if name == "reverse-complement" else samples):
                ids = DEFORMATIONS[name](self.ids, self.alphabet, generator, size=size, threshold=threshold)
                if keep_length:
                    ids = refit(ids, self._view.mask.sum(1), self.ids.shape[1], self.alphabet)
                yield ids

    def logits(self, ids: Tensor) -> Tensor:
        """Logits (n, K) of ids (n, L')."""
        model = self._view.model
        return model(ids if isinstance(model, SequenceNetwork) else self.one_hot(ids))

    def one_hot(self, ids: Tensor) -> Tensor:
        """X (n, A, L') of ids."""
        return self._mixtures[ids.long()].transpose(1, 2)

    def _read(self) -> Tensor:
        view = self._view
        exact = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(view.x.detach().transpose(1, 2), self._mixtures, compute_mode=exact)
        distance, nearest = distances.min(2)
        padding = nearest == self.alphabet.pad
        if bool((distance > 1e-4).any()) or bool((padding & view.mask).any()):
            raise UsageError(
                f"deformations need x to hold {self.alphabet.name} letters, each column one-hot or an ambiguity mixture"
            )
        return nearest.masked_fill(~view.mask, self.alphabet.pad).to(torch.uint8)


def _known_by(size: int) -> Alphabet:
    for alphabet in (DNA, PROTEIN):
        if alphabet.size == size:
            return alphabet
    raise UsageError(f"deformations know alphabets of {DNA.size} and {PROTEIN.size} letters; x has {size} rows")
