"""How far predicted values can be trusted when sequences change: attacked and certified shifts by number of edits.

The attacked shift is the largest change of a prediction that a search found, upwards or downwards, the certified shift
one that no edits exceed; the truth lies between them. Both are in the unit of the values.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.alphabet import ALPHABETS
from seqreg.attacks import Allowed, beam_search
from seqreg.certificates import certified_edit_shifts, certified_shifts, in_double
from seqreg.errors import UsageError
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.networks import Value, objective
from seqreg.networks.objectives import TOLERANCE as DEVIATIONS
from seqreg.predictors import ByFold, TrainedNetwork
from seqreg.records import to_plain
from seqreg.sensitivity.batches import Batch, Mask, in_batches
from seqreg.sequences import SequenceSet
from seqreg.targets import Values
from seqreg.unfinished import Once, Piece, afresh
from seqreg.workers import Spread

COLUMNS = ("id", "value", "prediction", "attacked_shift", "certified_shift", "edits", "prediction_after")
QUANTILE = 0.9
ROUNDING = 1e-9  # standard deviations by which a bound is widened: more than float64 loses on the way

_SINGLE_SCORES = {"substitution": substitution_scores, "insertion": insertion_scores, "deletion": deletion_scores}


@dataclass(frozen=True, kw_only=True)
class SequenceShift:
    """One sequence: its prediction, the largest shifts at most edits, found and proved, and the edits that reach it."""

    id: str
    value: str
    prediction: float
    attacked_shift: float
    certified_shift: float
    edits: tuple[str, ...]
    prediction_after: float


@dataclass(frozen=True, kw_only=True)
class Shifts:
    """The content of `robustness.json` of values; `sequences` is for the table beside it.

    substitutions: 0 .. m, the number of edits at which each entry stands. attacked_shift, certified_shift: `median` and
    `quantile_90` over sequences of the largest change of the prediction, None where nothing is proved. attacked_within,
    certified_within: shares of sequences whose prediction moves by at most the tolerance.
    """

    n: int
    target: str
    unit: str
    substitutions: list[int]
    attacked_shift: dict[str, list[float]]
    certified_shift: dict[str, list[float]]
    attacked_within: list[float]
    certified_within: list[float]
    tolerance: float
    attack: dict[str, Any]
    certificate: dict[str, Any]
    sequences: list[SequenceShift] = field(repr=False)

    def to_plain(self) -> dict[str, Any]:
        """What `robustness.json` holds."""
        return to_plain({name: value for name, value in vars(self).items() if name != "sequences"})

    def rows(self) -> list[tuple[Any, ...]]:
        """What the table per sequence holds, by `COLUMNS`; edits are joined by `;`."""
        return [
            (
                *(one.id, one.value, *(f"{x:.6g}" for x in (one.prediction, one.attacked_shift))),
                f"{one.certified_shift:.6g}" if np.isfinite(one.certified_shift) else "",
                *(";".join(one.edits), f"{one.prediction_after:.6g}"),
            )
            for one in self.sequences
        ]


def evaluate_shifts(
    network: TrainedNetwork,
    data: SequenceSet,
    *,
    unseen: ByFold | None = None,
    max_substitutions: int = 5,
    edits: Sequence[str] = ("substitution",),
    rule: str = "any",
    mask: Mask | None = None,
    beam: int = 1,
    tolerance: float | None = None,
    batch_size: int = 32,
    once: Once = afresh,
    spread: Spread | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Shifts:
    """Shifts of the predictions of a network of values, for at most `max_substitutions` edits of the kinds given.

    tolerance: in the unit, half a standard deviation of the network's training values without it. The others are those
    of `evaluate_robustness`; labels are not needed. Searches run in float64, in which all is certified.
    """
    target = network.target
    assert isinstance(target, Values)
    if len(data) == 0 or max_substitutions < 0:
        raise UsageError("robustness needs one sequence and a budget of 0 edits at least")
    tolerance = DEVIATIONS * target.scale if tolerance is None else tolerance
    if tolerance < 0:
        raise UsageError(f"a tolerance is at least 0; got {tolerance:g}")
    asking = list((unseen or ByFold.alone(network, len(data))).pairs())
    studies = [_Study(each, max_substitutions, tuple(edits), beam, rule) for each, _ in asking]
    how: dict[str, Any] = {"once": once, "spread": spread, "progress": progress}
    pieces = in_batches(studies, [rows for _, rows in asking], data, batch_size=batch_size, mask=mask, **how)
    return _record(target, data, list(pieces), studies[0], tolerance, masked=mask is not None)


class _Study:
    """What is asked of every batch, with the network in float64 that searches downwards, and upwards."""

    def __init__(self, network: TrainedNetwork, most: int, edits: tuple[str, ...], beam: int, rule: str) -> None:
        model, target = network.module, network.target
        assert isinstance(target, Values)
        self.target = target
        self.double = in_double(model)
        own = objective(target)
        assert isinstance(own, Value)
        self.directed = [copy.deepcopy(self.double).learns(replace(own, tolerance=0.0, only=way)) for way in (1, -1)]
        self.alphabet = network.architecture.alphabet
        self.most, self.edits, self.beam, self.rule = most, edits, beam, rule
        self.device = next(model.parameters()).device

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Piece:
        """index (n,), and in the unit: clean (n,), attacked and certified (n, most + 1), after (n,), and the edits."""
        ids = torch.from_numpy(batch.ids).to(self.device)
        mask = None if batch.letters is None else torch.from_numpy(batch.letters).to(self.device)
        alphabet = ALPHABETS[self.alphabet]
        allowed = Allowed(alphabet, self.rule, mask)
        clean = self.double(ids)[:, 0]
        how = {"budget": self.most, "width": self.beam, "allowed": allowed, "edits": self.edits}
        found = [beam_search(model, ids, clean, **how, stop_when_wrong=False) for model in self.directed]
        moved = torch.stack([-each.margin for each in found]).clamp(min=0)  # down and up, n, most + 1
        way = moved[:, :, -1].argmax(0).tolist()
        after = torch.stack([self.double(each.ids)[:, 0] for each in found], 1)
        proved = self._certified(ids, allowed.ever(ids)) + ROUNDING
        after = after[torch.arange(len(ids)), torch.tensor(way)]
        scale = self.target.scale
        return {
            "index": batch.index,
            "clean": self.target.predict(clean.cpu().numpy()),
            "attacked": moved.amax(0).cpu().numpy() * scale + 0.0,  # no -0
            "certified": proved.amax(2).cpu().numpy() * scale,
            "after": self.target.predict(after.cpu().numpy()),
            "edits": [[edit.written(alphabet) for edit in found[w].edits[i]] for i, w in enumerate(way)],
        }

    def _certified(self, ids: Tensor, letters: Tensor) -> Tensor:
        """(n, most + 1, 2) in outputs."""
        singles = [_SINGLE_SCORES[name](self.double, ids) for name in self.edits]
        if self.edits == ("substitution",):
            return certified_shifts(self.double, ids, most=self.most, allowed=letters, singles=singles[0])
        return certified_edit_shifts(self.double, ids, most=self.most, singles=singles)


def _record(
    target: Values, data: SequenceSet, pieces: list[Piece], study: _Study, tolerance: float, *, masked: bool
) -> Shifts:
    back = np.argsort(np.concatenate([piece["index"] for piece in pieces]))
    names = ("clean", "attacked", "certified", "after")
    before, attacked, certified, then = (np.concatenate([piece[name] for piece in pieces])[back] for name in names)
    certified[:, 0] = 0.0
    edits = [each for piece in pieces for each in piece["edits"]]
    known = [""] * len(data) if data.y is None else target.texts(data.y)
    return Shifts(
        n=len(data),
        target=target.title,
        unit=target.unit,
        substitutions=list(range(study.most + 1)),
        attacked_shift=_summed(attacked),
        certified_shift=_summed(certified),
        attacked_within=(attacked <= tolerance).mean(0).tolist(),
        certified_within=(certified <= tolerance).mean(0).tolist(),
        tolerance=tolerance,
        attack={
            "name": "beam search with exact scores, downwards and upwards",
            "beam": study.beam,
            "edits": list(study.edits),
            "allowed": study.rule,
            "protected": masked,
        },
        certificate={"precision": "float64", "tolerance": ROUNDING * target.scale},
        sequences=[
            SequenceShift(
                id=data.names[i],
                value=known[i],
                prediction=float(before[i]),
                attacked_shift=float(attacked[i, -1]),
                certified_shift=float(certified[i, -1]),
                edits=tuple(edits[at]),
                prediction_after=float(then[i]),
            )
            for i, at in enumerate(back.tolist())
        ],
    )


def _summed(shift: NDArray[np.float64]) -> dict[str, list[float]]:
    """Over sequences (N, M), for each number of edits."""
    return {
        "median": np.quantile(shift, 0.5, axis=0, method="higher").tolist(),
        "quantile_90": np.quantile(shift, QUANTILE, axis=0, method="higher").tolist(),
    }
