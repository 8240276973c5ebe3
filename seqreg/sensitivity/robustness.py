"""How far predictions can be trusted when sequences change: attacked and certified accuracy by number of edits.

Attacked accuracy is what is left after the worst edits that were found, certified accuracy what is left whatever the
edits are; the truth lies between them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.certificates import TOLERANCE
from seqreg.errors import InputError, UnknownLayerError, UsageError
from seqreg.metrics import UndefinedMetricError, auroc
from seqreg.networks import SequenceNetwork, can, objective
from seqreg.predictors import ByFold, TrainedNetwork
from seqreg.records import to_plain
from seqreg.sensitivity.batches import Mask, in_batches
from seqreg.sensitivity.study import StudiedPart, Study
from seqreg.sequences import SequenceSet, in_terms_of
from seqreg.unfinished import Once, afresh
from seqreg.workers import Spread

EPSILONS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
# A choice for time: a second at most for a sequence and the default network. Learned from 300 sequences of `splice`,
# draw 10, its balanced accuracy after two substitutions is .216 by the attack; bounds prove .093, and with pairs .195.
PAIRS = 30_000
COLUMNS = ("id", "label", "prediction", "margin", "certified_radius", "edits_to_change", "edits", "margin_after")

Asking = tuple[TrainedNetwork, NDArray[np.int64]]


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


def evaluate_robustness(
    network: TrainedNetwork,
    data: SequenceSet,
    *,
    unseen: ByFold | None = None,
    max_substitutions: int = 5,
    edits: Sequence[str] = ("substitution",),
    rule: str = "any",
    mask: Mask | None = None,
    beam: int = 1,
    epsilons: Sequence[float] = EPSILONS,
    l2_steps: int = 20,
    pairs: int = PAIRS,
    batch_size: int = 32,
    once: Once = afresh,
    spread: Spread | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Robustness:
    """Robustness of a trained network on labelled sequences, to at most `max_substitutions` edits of the kinds given.

    unseen: the networks of a cross-validation; then each sequence is attacked through its own, and the AUROC before any
    edit is the mean over these, as scores of different networks are not compared.
    rule: which letters may replace which (see `seqreg.attacks.Allowed`). mask(index, length): (n, length, A) bool, the
    letters that may be written at each position of the sequences data[index], to narrow the rule. beam: width of the
    beam search. epsilons: radii of the l2 attack, PGD with `l2_steps`, none for no attack. pairs: of substitutions
    of a sequence, to be tried at most where neither a bound nor the attack settles two; 0: none. once: keeps what is
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
    if len(data) == 0 or min(max_substitutions, pairs) < 0:
        raise UsageError("robustness needs one sequence, and 0 edits and pairs at least")
    if list(epsilons) != sorted(set(epsilons)) or any(epsilon < 0 for epsilon in epsilons):
        raise UsageError(f"radii must rise from 0 or above; got {', '.join(map(str, epsilons))}")
    data = in_terms_of(data, network.target)
    if not can(network.module, "gradients"):
        epsilons = ()  # no ball around letters is attacked by gradients that are not there
    searched = (network.architecture.alphabet, rule, max_substitutions, tuple(edits), beam)
    asked = (*searched, tuple(epsilons), l2_steps, pairs)
    asking = list((unseen or ByFold.alone(network, len(data))).pairs())
    studies = [Study(each.module, *asked) for each, _ in asking]
    how: dict[str, Any] = {"once": once, "spread": spread, "progress": progress}
    pieces = in_batches(studies, [rows for _, rows in asking], data, batch_size=batch_size, mask=mask, **how)
    return _record(asking, data, list(map(StudiedPart.of_piece, pieces)), studies[0], masked=mask is not None)


def _record(
    asking: list[Asking], data: SequenceSet, parts: list[StudiedPart], study: Study, *, masked: bool
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
        clean_auroc=_clean_auroc(asking, data, joined("logits")),
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
            "allowed": study.rule,
            "protected": masked,
            "l2": {"name": "pgd", "steps": study.l2_steps},
        },
        certificate={"precision": "float64", "tolerance": TOLERANCE, "pairs": study.pairs, "proofs": _tally(proofs)},
        sequences=_sequences(asking[0][0], data, parts, study, back),
        damage=_padded_damage(parts, back, int(data.lengths.max())),
    )


def _mean(right: NDArray[np.bool_], rows: NDArray[np.int64]) -> list[float] | None:
    return right[rows].mean(0).tolist() if len(rows) else None


def _balanced(right: NDArray[np.bool_], classes: list[NDArray[np.int64]] | None) -> list[float] | None:
    return None if classes is None else np.mean([right[rows].mean(0) for rows in classes], axis=0).tolist()


def _clean_auroc(asking: list[Asking], data: SequenceSet, logits: NDArray[np.float64]) -> float | None:
    """The mean over networks, of those of whose sequences it is defined."""
    areas = []
    for network, rows in asking:
        p = network.architecture.probabilities(logits[rows])
        with suppress(UndefinedMetricError):
            areas.append(auroc(np.asarray(data.y)[rows], p, positive=network.target.positive_index))
    return float(np.mean(areas)) if areas else None


def _tally(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


def _sequences(
    network: TrainedNetwork, data: SequenceSet, parts: list[StudiedPart], study: Study, back: NDArray[np.int64]
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


def _padded_damage(parts: list[StudiedPart], back: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    damage = np.full((len(back), length), np.nan, dtype=np.float32)
    start = 0
    for part in parts:
        values = part.damage.cpu().numpy()
        damage[start : start + len(values), : values.shape[1]] = values
        start += len(values)
    return damage[back]
