"""Robustness of a cross-validation: every sequence is attacked through the network that had not seen it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.predictors.network import load_trained
from seqreg.sensitivity.robustness import Robustness, SequenceRobustness, evaluate_robustness
from seqreg.sequences import SequenceSet

Piece = tuple[NDArray[np.int64], Robustness]


def evaluate_fold_by_fold(
    run: Path,
    fold_of: Mapping[str, str],
    data: SequenceSet,
    *,
    mask: Callable[[NDArray[np.int64], int], NDArray[np.bool_]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    device: str = "cpu",
    **asked: Any,
) -> Robustness:
    """`evaluate_robustness` of each fold's network, in the folder of a run, on what it had not seen.

    fold_of: the fold in which each sequence was held out, by id. Other arguments are those of `evaluate_robustness`.
    """
    folds = np.array([fold_of[name] for name in data.names])
    found: list[Piece] = []
    done = 0
    for fold in np.unique(folds).tolist():
        rows = np.flatnonzero(folds == fold)
        network = load_trained(run / "folds" / fold, device)
        within = None if mask is None else partial(_of_rows, mask, rows)
        part = evaluate_robustness(network, data.subset(rows), mask=within, **asked)
        found.append((rows, part))
        done += len(rows)
        if progress is not None:
            progress(done, len(data))
    return put_together(data, found)


def _of_rows(
    mask: Callable[[NDArray[np.int64], int], NDArray[np.bool_]],
    rows: NDArray[np.int64],
    index: NDArray[np.int64],
    n: int,
) -> NDArray[np.bool_]:
    """The letters that may be written, of some of the rows."""
    return mask(rows[index], n)


def put_together(data: SequenceSet, found: Sequence[Piece]) -> Robustness:
    """The robustness of all sequences from that of each fold: positions (n,) in `data`, and what was found of them.

    Every accuracy is over all sequences, as each counts once; the AUROC before any edit is the mean over folds, as
    scores of different networks are not compared. Balanced accuracies in l2 are not known of sequences one by one, and
    are left out.
    """
    order = np.argsort(np.concatenate([rows for rows, _ in found]))
    each = [one for _, part in found for one in part.sequences]
    sequences = [each[i] for i in order.tolist()]
    counts = np.asarray(found[0][1].substitutions)
    attacked, certified = (np.array([right(one, counts) for one in sequences]) for right in (_attacked, _certified))
    target, y = data.labelled()
    members = {name: np.flatnonzero(carried) for name, carried in zip(target.names, target.members(y).T, strict=True)}
    classes = None if target.one_class(y) is None else [rows for rows in members.values() if len(rows)]

    def balanced(rights: NDArray[np.bool_]) -> list[float] | None:
        return None if classes is None else np.mean([rights[rows].mean(0) for rows in classes], axis=0).tolist()

    areas = [part.clean_auroc for _, part in found if part.clean_auroc is not None]
    first = found[0][1]
    return Robustness(
        n=len(data),
        clean_auroc=float(np.mean(areas)) if areas else None,
        substitutions=first.substitutions,
        attacked_accuracy=attacked.mean(0).tolist(),
        certified_accuracy=certified.mean(0).tolist(),
        attacked_balanced_accuracy=balanced(attacked),
        certified_balanced_accuracy=balanced(certified),
        per_class={
            name: {
                "n": len(rows),
                "attacked_accuracy": attacked[rows].mean(0).tolist() if len(rows) else None,
                "certified_accuracy": certified[rows].mean(0).tolist() if len(rows) else None,
            }
            for name, rows in members.items()
        },
        l2=_l2([part for _, part in found]),
        attack=first.attack,
        certificate={**first.certificate, "proofs": _summed([part.certificate["proofs"] for _, part in found])},
        sequences=sequences,
        damage=_damage(data, found),
    )


def _attacked(one: SequenceRobustness, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m + 1,) whether an attack with so many edits leaves the prediction right."""
    if one.certified_radius < 0:
        return np.zeros(len(counts), dtype=bool)
    return np.ones(len(counts), dtype=bool) if one.edits_to_change is None else counts < one.edits_to_change


def _certified(one: SequenceRobustness, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m + 1,) whether it is proved right whatever so many edits are."""
    return one.certified_radius >= counts


def _l2(parts: Sequence[Robustness]) -> dict[str, Any]:
    weight = np.array([part.n for part in parts], dtype=np.float64)
    means = {
        name: np.average([part.l2[name] for part in parts], axis=0, weights=weight).tolist()
        for name in ("attacked_accuracy", "certified_accuracy")
    }
    unknown = dict.fromkeys(("attacked_balanced_accuracy", "certified_balanced_accuracy"))
    return {"epsilon": parts[0].l2["epsilon"], **means, **unknown}


def _summed(tallies: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(each.get(name, 0) for each in tallies) for name in sorted(set().union(*tallies))}


def _damage(data: SequenceSet, found: Sequence[Piece]) -> NDArray[np.float32]:
    damage = np.full((len(data), int(data.lengths.max())), np.nan, dtype=np.float32)
    for rows, part in found:
        damage[rows, : part.damage.shape[1]] = part.damage
    return damage
