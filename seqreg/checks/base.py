"""What a check is, what it looks at, and what it finds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqreg.checks.references import stand_in
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes, Labels

Array = NDArray[np.float64]
Status = Literal["ok", "note", "warn"]
Needs = Literal["classes", "model", "baselines"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check says: an entry of `checks` in metrics.json. remedy: empty where all is well."""

    name: str
    status: Status
    value: Any
    message: str
    remedy: str

    def to_plain(self) -> dict[str, Any]:
        """The same in JSON's own types."""
        return to_plain(vars(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What checks look at.

    data: all sequences. learned: those a model learns from, training and validation part. tested: the test part, or
    sequences of which nobody knows what the model learned from. p (n, K): what the model says of these. baselines:
    their metrics there, by name, as metrics.json has them. out_of_fold (N, K): what models said of `data` that had not
    seen it, NaN where none did; a linear model stands in without it. fold (N,): in which each was held out.
    similarity: the share of k-mers from which on sequences are similar.
    """

    data: SequenceSet
    learned: SequenceSet | None = None
    tested: SequenceSet | None = None
    p: Array | None = None
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    out_of_fold: Array | None = None
    fold: NDArray[np.str_] | None = None
    similarity: float = 0.3
    seed: int = 0

    @property
    def has(self) -> set[str]:
        """What is there, of what checks may need."""
        there = {
            "classes": isinstance(self.data.target, Classes | Labels) and self.data.y is not None,
            "model": self.p is not None and self.tested is not None,
            "baselines": bool(self.baselines),
        }
        return {name for name, present in there.items() if present}

    @cached_property
    def unseen(self) -> Array:
        """(N, K) what is said of all sequences by models that had not seen them."""
        if self.out_of_fold is not None:
            return self.out_of_fold
        return stand_in(self.data, self.seed)

    @cached_property
    def together(self) -> SequenceSet | None:
        """The letters of `learned` and, after them, of `tested`, without what belongs to them; None without both."""
        if self.learned is None or self.tested is None:
            return None
        first, second = self.learned, self.tested
        return SequenceSet(
            alphabet=first.alphabet,
            names=[*first.names, *second.names],
            codes=np.concatenate([first.codes, second.codes]),
            offsets=np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        )


Found = tuple[Status, Any, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """needs: what must be there, or the check has nothing to say. function: status, value, and words of the message,
    None where there is nothing to look at. message: for each status, with {} for the words. remedy: what to do.
    """

    name: str
    needs: tuple[Needs, ...]
    function: Callable[[Evidence], Found | None]
    message: Mapping[Status, str]
    remedy: str

    def __call__(self, evidence: Evidence) -> Finding | None:
        """What is found; None where the check does not apply."""
        found = self.function(evidence) if set(self.needs) <= evidence.has else None
        if found is None:
            return None
        status, value, words = found
        remedy = "" if status == "ok" else self.remedy
        return Finding(
            name=self.name, status=status, value=value, message=self.message[status].format(**words), remedy=remedy
        )
