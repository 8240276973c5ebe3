"""The protocol of fitted things that map sequences to predictions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqreg.alphabet import Alphabet
from seqreg.sequences import SequenceSet, Windows
from seqreg.targets import Target


class Predictor(Protocol):
    """A fitted model. N sequences, K outputs of its target; p has a column per name of the target."""

    @property
    def alphabet(self) -> Alphabet:
        """The letters it reads."""
        ...

    @property
    def target(self) -> Target:
        """What it has learned."""
        ...

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        ...

    @property
    def length(self) -> int | None:
        """Letters of the longest sequence it was trained on; None where that is not known and does not matter."""
        ...

    @property
    def strand_free(self) -> bool:
        """Whether a sequence and its reverse complement have the same score."""
        ...

    @property
    def temperature(self) -> float:
        """What outputs are divided by before they become probabilities."""
        ...

    @property
    def vectors(self) -> Mapping[str, int]:
        """Numbers of dimensions of the vectors that it reads, by name."""
        ...

    def reads(self, data: SequenceSet) -> bool:
        """Whether it can score all of these."""
        ...

    def outputs(self, data: SequenceSet) -> NDArray[Any]:
        """(N, K) scores before the temperature and the link."""
        ...

    def window_outputs(self, windows: Windows) -> NDArray[Any]:
        """(M, K) outputs of windows that slide over long sequences."""
        ...

    def probabilities(self, data: SequenceSet) -> NDArray[np.float64]:
        """p of every sequence."""
        ...

    def window_probabilities(self, windows: Windows) -> NDArray[np.float64]:
        """p of every window."""
        ...

    def both_probabilities(self, data: SequenceSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """p at temperature 1, and as it is; the model runs once."""
        ...

    def weights(self) -> Mapping[str, Any]:
        """All that was fitted, by name: tensors or arrays in host memory."""
        ...

    def describe(self) -> dict[str, Any]:
        """All else that is needed to use the weights, in JSON's own types: what `model.json` holds."""
        ...

    def save(self, folder: Path) -> None:
        """Write model.json and model.safetensors, each whole or not at all."""
        ...
