"""Baselines in pieces that several processes may learn, each baseline in one of them; none of it needs PyTorch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqreg.baselines import FittedBaseline, baselines_for, fit_baseline
from seqreg.sequences import SequenceSet
from seqreg.unfinished import Unfinished


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Every baseline on the same data, what is done of each in a file of its own.

    files: their folder. about: what decides the pieces in them.
    """

    files: Path
    data: SequenceSet
    seed: int
    about: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """Of those that can learn from the data."""
        return baselines_for(self.data)

    def file(self, name: str) -> Path:
        """Where what is done of a baseline is kept."""
        return self.files / f"baseline-{name}"

    def learn(self, names: Iterable[str], tell: Callable[[], None] = lambda: None) -> list[FittedBaseline]:
        """Those of `names` that no other process is at; tell: called before each."""
        fitted: list[FittedBaseline] = []
        for name in names:
            tell()
            with Unfinished(self.file(name), config=self.about) as once:
                if once.mine:
                    fitted.append(fit_baseline(name, self.data, seed=self.seed, once=once))
        return fitted
