"""How far predictions can be trusted when sequences change: attacked and certified accuracy by number of edits.

Attacked accuracy is what is left after the worst edits that were found, certified accuracy what is left whatever the
edits are; the truth lies between them.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.alphabet import ALPHABETS
from seqreg.attacks import PGD, Allowed, AppliedEdit, beam_search
from seqreg.certificates import (
    TOLERANCE,
    edit_certificate,
    hamming_certificate,
    in_double,
    margin_directions,
    margin_lipschitz,
    margins,
)
from seqreg.errors import InputError, UnknownLayerError, UsageError
from seqreg.metrics import UndefinedMetricError, auroc
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.networks import SequenceNetwork, can, objective
from seqreg.predictors import TrainedNetwork
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet, in_terms_of
from seqreg.unfinished import Once, Piece, afresh
from seqreg.workers import Spread, one_after_another

EPSILONS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
_TENSORS = ("margin", "radius", "changed_at", "margin_after", "logits", "damage", "l2_attacked", "l2_certified")
COLUMNS = ("id", "label", "prediction", "margin", "certified_radius", "edits_to_change", "edits", "margin_after")

_SINGLE_SCORES = {"substitution": substitution_scores, "insertion": insertion_scores, "deletion": deletion_scores}


@dataclass(frozen=True, kw_only=True)
class SequenceRobustness:
    """One sequence. margin: of its label, in logits, negative where the prediction is wrong. certified_radius: edits
    proved harmless, -1 where wrong. edits_to_change: edits after which an attack had changed a right prediction, None
    where it did not. edits: those the attack made, and margin_after them.
    """

    id: str
    label: str
    prediction: str
    margin: float
    certified_radius: int
    edits_to_change: int | None
    edits: tuple[str, ...]
    margin_after: float


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """The content of `robustness.json`; `sequences` and `damage` are for the table and the figure beside it.

    substitutions: 0 .. m, the number of edits at which each accuracy stands (edits of other kinds too, if attack names
    them). Balanced accuracies are means over classes, None for multi-label tasks, whose accuracy is that of all labels
    at once. per_class: n and the accuracies among sequences of each class. l2: the same against the radius in l2 of
    one-hot x, inside of which inputs are no sequences. damage (N, L): fall of the margin by the worst substitution at
    each position, NaN where there is none.
    """

    n: int
    clean_auroc: float | None
    substitutions: list[int]
    attacked_accuracy: list[float]
    certified_accuracy: list[float]
    attacked_balanced_accuracy: list[float] | None
    certified_balanced_accuracy: list[float] | None
    per_class: dict[str, dict[str, Any]]
    l2: dict[str, Any]
    attack: dict[str, Any]
    certificate: dict[str, Any]
    sequences: list[SequenceRobustness] = field(repr=False)
    damage: NDArray[np.float32] = field(repr=False)

    def to_plain(self) -> dict[str, Any]:
        """What `robustness.json` holds."""
        return to_plain({name: value for name, value in vars(self).items() if name not in ("sequences", "damage")})

    def rows(self) -> list[tuple[Any, ...]]:
        """What the table per sequence holds, by `COLUMNS`; edits are joined by `;`."""
        return [
            (
                *(one.id, one.label, one.prediction, f"{one.margin:.6g}", one.certified_radius),
                "" if one.edits_to_change is None else one.edits_to_change,
                *(";".join(one.edits), f"{one.margin_after:.6g}"),
            )
            for one in self.sequences
        ]


@dataclass(frozen=True)
class _Part:
    """What is known of some of the sequences, by their positions in the data."""

    index: NDArray[np.int64]
    margin: Tensor
    radius: Tensor
    changed_at: Tensor
    edits: tuple[tuple[AppliedEdit, ...], ...]
    margin_after: Tensor
    logits: Tensor
    damage: Tensor
    l2_attacked: Tensor
    l2_certified: Tensor
    proofs: tuple[str, ...]

    def to_piece(self) -> Piece:
        """What is kept of unfinished work."""
        edits = [[astuple(edit) for edit in of_one] for of_one in self.edits]
        arrays = {name: getattr(self, name).cpu().numpy() for name in _TENSORS}
        return {**arrays, "index": self.index, "edits": edits, "proofs": list(self.proofs)}

    @classmethod
    def of_piece(cls, piece: Piece) -> "_Part":
        """The same again."""
        edits = tuple(tuple(AppliedEdit(*edit) for edit in of_one) for of_one in piece["edits"])
        tensors = {name: torch.from_numpy(piece[name]) for name in _TENSORS}
        return cls(index=piece["index"], edits=edits, proofs=tuple(piece["proofs"]), **tensors)


def evaluate_robustness(
    network: TrainedNetwork,
    data: SequenceSet,
    *,
    max_substitutions: int = 5,
    edits: Sequence[str] = ("substitution",),
    rule: str = "any",
    mask: Callable[[NDArray[np.int64], int], NDArray[np.bool_]] | None = None,
    beam: int = 1,
    epsilons: Sequence[float] = EPSILONS,
    l2_steps: int = 20,
    batch_size: int = 32,
    once: Once = afresh,
    spread: Spread | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Robustness:
    """Robustness of a trained network on labelled sequences, to at most `max_substitutions` edits of the kinds given.

    rule: which letters may replace which (see `seqreg.attacks.Allowed`). mask(index, length): (n, length, A) bool, the
    letters that may be written at each position of the sequences data[index], to narrow the rule. beam: width of the
    beam search. epsilons: radii of the l2 attack, PGD with `l2_steps`, none for no attack. once: keeps what is
    done of it (see `seqreg.unfinished`). spread: over processes, in place of once (see `seqreg.workers`).
    progress(done, of).

    Attacks search in the network's own precision, and count if the prediction is wrong in float64, in which all is
    certified; so certified accuracy is never above attacked accuracy. Raises InputError for data without labels,
    UnknownLayerError for a network other than seqreg's, UsageError for a rule that does not fit the alphabet.
    """
    if data.y is None:
        raise InputError("robustness asks whether predictions stay right: the sequences need labels")
    if not isinstance(network.module, SequenceNetwork):
        raise UnknownLayerError(f"nothing can be proved for a {type(network.module).__name__}")
    if len(data) == 0 or max_substitutions < 0:
        raise UsageError("robustness needs one sequence and a budget of 0 edits at least")
    if list(epsilons) != sorted(set(epsilons)) or any(epsilon < 0 for epsilon in epsilons):
        raise UsageError(f"radii must rise from 0 or above; got {', '.join(map(str, epsilons))}")
    data = in_terms_of(data, network.target)
    if not can(network.module, "gradients"):
        epsilons = ()  # no ball around letters is attacked by gradients that are not there
    study = _Study(
        network.module, network.alphabet.size, max_substitutions, tuple(edits), beam, tuple(epsilons), l2_steps
    )
    order = np.argsort(data.lengths, kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    arguments = [
        _Batch(
            index=index,
            ids=(ids := data.padded(index)),
            y=np.asarray(data.y)[index].astype(np.int64),
            letters=None if mask is None else mask(index, ids.shape[1]),
            alphabet=network.architecture.alphabet,
            rule=rule,
        )
        for index in batches
    ]
    parts: list[_Part] = []
    done = 0
    for piece in (spread or partial(one_after_another, once=once))(study, arguments):
        parts.append(_Part.of_piece(piece))
        done += len(parts[-1].index)
        if progress is not None:
            progress(done, len(order))
    return _record(network, data, parts, study, rule, masked=mask is not None)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Sequences that are studied together, at these places in the data, and what may be written into them."""

    index: NDArray[np.int64]
    ids: NDArray[np.uint8]
    y: NDArray[np.int64]
    letters: NDArray[np.bool_] | None
    alphabet: str
    rule: str


class _Study:
    """What is asked of every batch, with the network in both precisions."""

    def __init__(
        self,
        model: SequenceNetwork,
        letters: int,
        most: int,
        edits: tuple[str, ...],
        beam: int,
        epsilons: tuple[float, ...],
        l2_steps: int,
    ) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.double = in_double(self.model)
        self.device = next(model.parameters()).device
        self.letters, self.most, self.edits, self.beam = letters, most, edits, beam
        self.epsilons, self.l2_steps = epsilons, l2_steps

    def __call__(self, batch: "_Batch") -> Piece:
        """Everything about one batch, to be kept."""
        letters = None if batch.letters is None else torch.from_numpy(batch.letters).to(self.device)
        ids, y = (torch.from_numpy(each).to(self.device) for each in (batch.ids, batch.y))
        allowed = Allowed(ALPHABETS[batch.alphabet], batch.rule, letters)
        return self.part(batch.index, ids, y, allowed).to_piece()

    @torch.no_grad()
    def part(self, index: NDArray[np.int64], ids: Tensor, y: Tensor, allowed: Allowed) -> _Part:
        """Everything about one batch."""
        logits = self.double(ids)
        margin = margins(logits, y)
        changed_at, edits, after = self._attacked(ids, y, margin, allowed)
        singles = {
            name: _SINGLE_SCORES[name](self.double, ids) for name in dict.fromkeys(("substitution", *self.edits))
        }
        letters = allowed.ever(ids)
        radius, proofs = self._certified(ids, y, letters, singles, changed_at - 1)
        return _Part(
            index=index,
            margin=margin,
            radius=radius,
            changed_at=changed_at,
            edits=edits,
            margin_after=after,
            logits=logits,
            damage=_damage(singles["substitution"], y, margin, letters, ids),
            l2_attacked=self._l2_attacked(ids, y, margin),
            l2_certified=self._l2_certified(ids, y, logits),
            proofs=proofs,
        )

    def _attacked(
        self, ids: Tensor, y: Tensor, margin: Tensor, allowed: Allowed
    ) -> tuple[Tensor, tuple[tuple[AppliedEdit, ...], ...], Tensor]:
        """Number of edits that change a right prediction (most + 1: none found; 0: wrong already), edits, margins."""
        found = beam_search(self.model, ids, y, budget=self.most, width=self.beam, allowed=allowed, edits=self.edits)
        after = margins(self.double(found.ids), y)
        number = torch.tensor([len(edits) for edits in found.edits], device=ids.device)
        changed_at = torch.where(after <= 0, number, self.most + 1)
        changed_at = torch.where(margin <= 0, 0, changed_at.clamp(min=1))
        return changed_at, found.edits, after

    def _certified(
        self, ids: Tensor, y: Tensor, letters: Tensor, singles: dict[str, Tensor], ceiling: Tensor
    ) -> tuple[Tensor, tuple[str, ...]]:
        """Proved radii (N,), and by which bound. A radius above the ceiling would contradict the attack."""
        if not can(self.model, "bounds"):
            right = margins(self.double(ids), y) > TOLERANCE
            return torch.where(right, 0, -1), ("",) * len(ids)
        if self.edits == ("substitution",):
            scores = singles["substitution"]
            proved = hamming_certificate(
                self.model, ids, y, most=self.most, allowed=letters, singles=scores, ceiling=ceiling
            )
            return proved.radius, proved.proof
        exact = [singles[name] for name in self.edits]
        radius = edit_certificate(self.model, ids, y, most=self.most, singles=exact)
        name = "single edits, and windows below mean pooling"
        return radius, tuple(name if value > 0 else "" for value in radius.tolist())

    def _l2_attacked(self, ids: Tensor, y: Tensor, margin: Tensor) -> Tensor:
        """(N, E) whether the prediction is still right after PGD in each ball and in the smaller ones."""
        right = (margin > 0)[:, None].repeat(1, len(self.epsilons))
        for column, epsilon in enumerate(self.epsilons):
            rows = torch.nonzero(right[:, column]).squeeze(1)
            if epsilon == 0 or not len(rows):
                continue
            with torch.enable_grad():
                x = PGD(epsilon=epsilon, steps=self.l2_steps)(self.model, ids[rows], y[rows])
            lengths = self.model.lengths(ids[rows])
            wrong = torch.nonzero(margins(self.model(x, lengths=lengths), y[rows]) <= 0).squeeze(1)
            if len(wrong):
                confirmed = margins(self.double(x[wrong].double(), lengths=lengths[wrong]), y[rows[wrong]]) <= 0
                right[rows[wrong[confirmed]], column:] = False
        return right

    def _l2_certified(self, ids: Tensor, y: Tensor, logits: Tensor) -> Tensor:
        """(N, E) whether margins exceed what the Lipschitz constant allows to be lost."""
        if not self.epsilons:
            return torch.zeros(len(ids), 0, dtype=torch.bool, device=ids.device)
        directions = margin_directions(y, logits.shape[1])
        lipschitz = margin_lipschitz(self.double, directions, int(self.model.lengths(ids).min()))
        margin = (directions @ logits[:, :, None]).squeeze(-1)
        radii = torch.tensor(self.epsilons, dtype=torch.float64, device=ids.device)
        return (margin[..., None] - lipschitz[..., None] * radii > TOLERANCE).all(1)


def _damage(scores: Tensor, y: Tensor, margin: Tensor, letters: Tensor, ids: Tensor) -> Tensor:
    """(N, L) fall of the margin by the worst allowed substitution at each position, NaN where none is."""
    others = letters & (torch.arange(letters.shape[2], device=ids.device) != ids[:, :, None])
    worst = margins(scores, y).masked_fill(~others, torch.inf).amin(2)
    return (margin[:, None] - worst).masked_fill(~others.any(2), torch.nan)


def _record(
    network: TrainedNetwork, data: SequenceSet, parts: list[_Part], study: _Study, rule: str, *, masked: bool
) -> Robustness:
    index = np.concatenate([part.index for part in parts])
    back = np.argsort(index)

    def joined(name: str) -> NDArray[Any]:
        return torch.cat([getattr(part, name) for part in parts]).cpu().numpy()[back]

    counts = np.arange(study.most + 1)
    attacked = joined("changed_at")[:, None] > counts
    certified = joined("radius")[:, None] >= counts
    l2_attacked, l2_certified = joined("l2_attacked"), joined("l2_certified")
    target, y = data.labelled()
    members = {name: np.flatnonzero(carried) for name, carried in zip(target.names, target.members(y).T, strict=True)}
    balanced = None if target.one_class(y) is None else [rows for rows in members.values() if len(rows)]
    accuracies = {
        name: {"attacked_accuracy": _mean(attacked, rows), "certified_accuracy": _mean(certified, rows)}
        for name, rows in members.items()
    }
    proofs = [name for part in parts for name in part.proofs if name]
    return Robustness(
        n=len(data),
        clean_auroc=_clean_auroc(network, data, joined("logits")),
        substitutions=counts.tolist(),
        attacked_accuracy=attacked.mean(0).tolist(),
        certified_accuracy=certified.mean(0).tolist(),
        attacked_balanced_accuracy=_balanced(attacked, balanced),
        certified_balanced_accuracy=_balanced(certified, balanced),
        per_class={name: {"n": len(rows), **accuracies[name]} for name, rows in members.items()},
        l2={
            "epsilon": list(study.epsilons),
            "attacked_accuracy": l2_attacked.mean(0).tolist(),
            "certified_accuracy": l2_certified.mean(0).tolist(),
            "attacked_balanced_accuracy": _balanced(l2_attacked, balanced),
            "certified_balanced_accuracy": _balanced(l2_certified, balanced),
        },
        attack={
            "name": "beam search with exact scores",
            "beam": study.beam,
            "edits": list(study.edits),
            "allowed": rule,
            "protected": masked,
            "l2": {"name": "pgd", "steps": study.l2_steps},
        },
        certificate={"precision": "float64", "tolerance": TOLERANCE, "proofs": _tally(proofs)},
        sequences=_sequences(network, data, parts, study, back),
        damage=_padded_damage(parts, back, int(data.lengths.max())),
    )


def _mean(right: NDArray[np.bool_], rows: NDArray[np.int64]) -> list[float] | None:
    return right[rows].mean(0).tolist() if len(rows) else None


def _balanced(right: NDArray[np.bool_], classes: list[NDArray[np.int64]] | None) -> list[float] | None:
    return None if classes is None else np.mean([right[rows].mean(0) for rows in classes], axis=0).tolist()


def _clean_auroc(network: TrainedNetwork, data: SequenceSet, logits: NDArray[np.float64]) -> float | None:
    positive = network.target.positive_index
    try:
        return auroc(np.asarray(data.y), network.architecture.probabilities(logits), positive=positive)
    except UndefinedMetricError:
        return None


def _tally(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


def _sequences(
    network: TrainedNetwork, data: SequenceSet, parts: list[_Part], study: _Study, back: NDArray[np.int64]
) -> list[SequenceRobustness]:
    rows, target = [], network.target
    for part in parts:
        called = [text or ";" for text in target.texts(objective(target).call(part.logits).cpu().numpy())]
        for at, position in enumerate(part.index.tolist()):
            changed_at = int(part.changed_at[at])
            rows.append(
                SequenceRobustness(
                    id=data.names[int(position)],
                    label=data.label(position),
                    prediction=called[at],
                    margin=float(part.margin[at]),
                    certified_radius=int(part.radius[at]),
                    edits_to_change=changed_at if 0 < changed_at <= study.most else None,
                    edits=tuple(edit.written(network.alphabet) for edit in part.edits[at]),
                    margin_after=float(part.margin_after[at]),
                )
            )
    return [rows[row] for row in back.tolist()]


def _padded_damage(parts: list[_Part], back: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    damage = np.full((len(back), length), np.nan, dtype=np.float32)
    start = 0
    for part in parts:
        values = part.damage.cpu().numpy()
        damage[start : start + len(values), : values.shape[1]] = values
        start += len(values)
    return damage[back]
