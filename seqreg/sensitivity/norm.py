"""What is known about the norm of a trained network: bounds from above and from below, never an estimate.

Every figure concerns one scalar function, a logit, in logits per unit of l2 distance between one-hot inputs: norms,
not squares. Lower bounds are quotients attained on data and hold for the Lipschitz constant; the interpolation bound
is for the RKHS norm of `smooth-cnn` and is to be compared with the RKHS upper bound only.
"""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqreg.attacks import ascend, origin
from seqreg.certificates import layer_norms, lipschitz_upper_bound, margins
from seqreg.deformations import DEFORMATIONS
from seqreg.errors import UsageError
from seqreg.networks import InputView, SequenceNetwork, added, as_onehot, parts_of
from seqreg.predictors import ByFold, TrainedNetwork
from seqreg.sequences import SequenceSet
from seqreg.unfinished import Piece
from seqreg.workers import Spread, one_after_another

Told = Callable[[int, int], None]

EPSILONS = (0.1, 1.0, 3.0)
ASCENT_STEPS = 10
FEW = 64  # sequences climbed from together
JITTER = 1e-9  # relative to the largest eigenvalue; it can only lower the interpolation bound
MARGIN_QUANTILE = 0.1
MARGIN_REMARK = (
    "With probability 1 - d, err(f) <= share of training margins below g + O(norm * radius / (g sqrt(n))) for all g: "
    "the terms are printed for comparison between models; on real data the bound itself says nothing (it exceeds 1)."
)


@dataclass(frozen=True, kw_only=True)
class NormReport:
    """The content of norm.json; what is unknown is None. per_class holds the same figures for each logit.

    networks: how many, where there are several; then every figure is the largest of theirs.
    """

    n: int
    layers: list[dict[str, Any]]
    lipschitz_upper_bound: float | None
    rkhs: dict[str, Any]
    lower_bounds: dict[str, float | None]
    per_class: dict[str, dict[str, Any]]
    margin_bound: dict[str, Any] | None
    networks: int = 1


def norm_report(
    network: TrainedNetwork,
    data: SequenceSet | None = None,
    *,
    sample: int = 200,
    restarts: int = 3,
    seed: int = 0,
    spread: Spread = one_after_another,
    progress: Told | None = None,
) -> NormReport:
    """Bounds on the norm of each logit: from above for the network, from below on (a sample of) the data.

    sample: sequences looked at. restarts: ascents from random points, beside the one from the sequence itself. spread:
    over processes, with the same result (see `seqreg.workers`). progress(done, of).
    Raises UnknownLayerError for a network with a part of which nothing is proved.
    """
    model = copy.deepcopy(network.module).double().eval()
    names = network.target.output_names
    sequences = _sample(data, sample, seed)
    shortest = network.architecture.shortest
    if data is not None:
        shortest = min(shortest, int(data.lengths.min()))
    with torch.no_grad():
        above = lipschitz_upper_bound(model, shortest, torch.eye(len(names)).double()).tolist()
        squares = model.rkhs_norm_squared()
    norms = [None] * len(names) if squares is None else [math.sqrt(square) for square in squares.tolist()]
    below: list[dict[str, float | None]] = [
        dict.fromkeys(("gradient", "adversarial", "deformation", "interpolation"))
    ] * len(names)
    if sequences is not None:
        ids = torch.from_numpy(sequences.padded()).to(next(model.parameters()).device)
        below = _lower_bounds(model, as_onehot(model, ids), ids, restarts, seed, spread, progress)
    per_class = {
        name: {"lipschitz_upper_bound": above[k], "rkhs_upper_bound": norms[k], **below[k]}
        for k, name in enumerate(names)
    }
    upper = _largest(norms)
    return NormReport(
        n=0 if sequences is None else len(sequences),
        layers=[
            {
                "name": row.name,
                "reshaped_norm": row.reshaped_norm,
                "operator_norm_upper_bound": row.operator_norm_upper_bound,
            }
            for row in layer_norms(model)
        ],
        lipschitz_upper_bound=max(above),
        rkhs={
            "upper_bound": upper,
            "upper_bound_log10": None if upper is None else math.log10(upper) if upper > 0 else None,
            "exact_for": model.hilbert_space,
        },
        lower_bounds={name: _largest([row[name] for row in below]) for name in below[0]},
        per_class=per_class,
        margin_bound=_margin_terms(network, data, upper),
    )


def norm_of_folds(
    unseen: ByFold,
    data: SequenceSet,
    *,
    sample: int = 200,
    seed: int = 0,
    spread: Spread = one_after_another,
    progress: Told | None = None,
) -> NormReport:
    """Of the networks of a cross-validation the largest of each figure, each on sequences that it has not seen.

    Bounds stay bounds: from above of all these networks, from below of the largest. sample: sequences looked at, in
    all. The margin bound, which is about training margins, has no place here.
    """
    if len(data) > sample:
        rows = np.sort(np.random.default_rng(seed).choice(len(data), sample, replace=False))
        data, unseen = data.subset(rows), unseen.subset(rows)
    found = [
        norm_report(network, data.subset(rows), seed=seed, spread=spread, progress=progress)
        for network, rows in unseen.pairs()
    ]
    upper = _largest([each.rkhs["upper_bound"] for each in found])
    return NormReport(
        n=len(data),
        layers=[
            {
                "name": rows[0]["name"],
                **{name: _largest([row[name] for row in rows]) for name in rows[0] if name != "name"},
            }
            for rows in zip(*(each.layers for each in found), strict=True)
        ],
        lipschitz_upper_bound=_largest([each.lipschitz_upper_bound for each in found]),
        rkhs={
            "upper_bound": upper,
            "upper_bound_log10": math.log10(upper) if upper else None,
            "exact_for": found[0].rkhs["exact_for"],
        },
        lower_bounds=_largest_of_each([each.lower_bounds for each in found]),
        per_class={name: _largest_of_each([each.per_class[name] for each in found]) for name in found[0].per_class},
        margin_bound=None,
        networks=len(found),
    )


def _largest_of_each(rows: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    return {name: _largest([row[name] for row in rows]) for name in rows[0]}


def _lower_bounds(
    model: SequenceNetwork, view: InputView, ids: Tensor, restarts: int, seed: int, spread: Spread, told: Told | None
) -> list[dict[str, float | None]]:
    clean = view.logits
    deformation = _deformation_quotients(model, ids, clean.detach(), seed)
    found = _adversarial_quotients(model, ids, restarts, seed, spread, told)
    rows: list[dict[str, float | None]] = []
    for k in range(clean.shape[1]):
        steepest = float(view.gradient(clean[:, k], retain_graph=True).flatten(1).norm(dim=1).max())
        points = torch.cat([torch.from_numpy(piece["points"][k]) for piece in found]).to(ids.device)
        rows.append(
            {
                "gradient": steepest,
                "adversarial": max(float(piece["quotients"][k]) for piece in found),
                "deformation": None if deformation is None else float(deformation[:, k].max()),
                "interpolation": None if model.hilbert_space is None else _interpolation_bound(model, view, points, k),
            }
        )
    return rows


def _adversarial_quotients(
    model: SequenceNetwork, ids: Tensor, restarts: int, seed: int, spread: Spread, told: Told | None
) -> list[Piece]:
    """What `Climbs` finds from each few sequences of ids (N, L)."""
    climbs = Climbs(model, ids, restarts, seed)
    starts = [(begin, begin + FEW) for begin in range(0, len(ids), FEW)]
    found = []
    for piece in spread(climbs, starts):
        found.append(piece)
        if told is not None:
            told(len(found), len(starts))
    return found


class Climbs:
    """Largest |f_k(x + d) - f_k(x)| / ||d||_2 found by ascents of several radii from some of the sequences ids (N, L).

    The ascents are climbed in single precision, and what they reach is measured in double. A few sequences at a time
    stay in a processor's cache; from which of them an ascent starts anew does not depend on how many those are.
    """

    def __init__(self, model: SequenceNetwork, ids: Tensor, restarts: int, seed: int) -> None:
        self._model, self._ids, self._restarts, self._seed = model, ids, restarts, seed
        self._single = copy.deepcopy(model).float().requires_grad_(False)

    def __call__(self, places: tuple[int, int]) -> Piece:
        """quotients (K,), and points (K, n, A, L): where the ascents of radius 1 from the sequences end."""
        model, rows = self._model, slice(*places)
        generator = torch.Generator().manual_seed(self._seed)
        ids = self._ids[rows]
        x, lengths = model.one_hot(ids), model.lengths(ids)
        at = as_onehot(self._single, ids)
        letters = at.mask[:, None]
        with torch.no_grad():
            clean = model(x, lengths=lengths)
        best, points = [0.0] * clean.shape[1], [x] * clean.shape[1]
        shape = len(self._ids), *x.shape[1:]
        for epsilon in EPSILONS:
            for start in range(self._restarts + 1):
                noise = torch.randn(shape, generator=generator, dtype=x.dtype)[rows].to(x.device) * letters
                size = noise.flatten(1).norm(dim=1)[:, None, None].clamp(min=1e-12)
                noise = noise * (0.5 * epsilon * bool(start) / size)
                around = origin(at if not start else as_onehot(self._single, (x + noise).float(), lengths))
                for k, sign in itertools.product(range(len(best)), (1, -1)):
                    end = ascend(
                        around,
                        lambda logits, k=k, sign=sign: sign * logits[:, k],
                        epsilon=epsilon,
                        steps=ASCENT_STEPS,
                        step_size=1.5 * epsilon / ASCENT_STEPS,
                    )
                    moved = (noise if start else 0) + end.delta().to(x.dtype)
                    with torch.no_grad():
                        change = (model(x + moved, lengths=lengths)[:, k] - clean[:, k]).abs()
                    best[k] = max(best[k], _ratio(change, moved.flatten(1).norm(dim=1)))
                    if epsilon == 1.0 and start == 0 and sign == 1:  # no mutant: any of them is a point to begin at
                        points[k] = x + moved
        return {"quotients": np.array(best), "points": torch.stack(points).cpu().numpy()}


def _ratio(change: Tensor, size: Tensor) -> float:
    """Largest quotient over the rows that moved."""
    return float(torch.where(size > 1e-9, change / size.clamp(min=1e-9), 0).max())


def _deformation_quotients(model: SequenceNetwork, ids: Tensor, clean: Tensor, seed: int) -> Tensor | None:
    """(D N, K) |f(tau x) - f(x)| / ||tau x - x||_2 over deformations that keep a sequence's length."""
    generator = torch.Generator().manual_seed(seed)
    quotients: list[Tensor] = []
    x, lengths = model.one_hot(ids), model.lengths(ids)
    for deform in DEFORMATIONS.values():
        try:
            deformed = deform(ids, model.alphabet, generator, size=1, threshold=1)
        except UsageError:  # a deformation of another alphabet
            continue
        if deformed.shape != ids.shape:
            continue
        size = (model.one_hot(deformed) - x).flatten(1).norm(dim=1)
        kept = (model.lengths(deformed) == lengths) & (size > 0)
        if bool(kept.any()):
            with torch.no_grad():
                quotients.append(((model(deformed) - clean).abs() / size[:, None])[kept])
    return torch.cat(quotients) if quotients else None


def _interpolation_bound(model: SequenceNetwork, view: InputView, points: Tensor, k: int) -> float:
    """`sqrt(f_X^T (K + jitter I)^-1 f_X)` on sequences and adversarial points: the least norm through f_X."""
    x = torch.cat([view.x.detach(), points])
    assert view.lengths is not None
    lengths = torch.cat([view.lengths, view.lengths])
    with torch.no_grad():
        offset = added(part.output.bias[k] for part in parts_of(model))
        values = model(x, lengths=lengths)[:, k] - offset
        kernel = model.rkhs_kernel(x, lengths)
        eigenvalues, vectors = torch.linalg.eigh((kernel + kernel.t()) / 2)
        jitter = JITTER * eigenvalues[-1].clamp(min=0) * len(x)
        shares = (vectors.t() @ values).square() / (eigenvalues.clamp(min=0) + jitter)
        return float(shares.sum().sqrt())


def _margin_terms(network: TrainedNetwork, data: SequenceSet | None, norm: float | None) -> dict[str, Any] | None:
    """The terms of the margin bound (Bietti et al., 2019) for a norm that bounds the whole function; else None."""
    if data is None or data.target is None or data.y is None or norm is None:
        return None
    classes = data.target.one_class(data.y)
    if classes is None:
        return None
    logits = torch.from_numpy(network.outputs(data)).double()
    found = margins(logits, torch.from_numpy(classes)).numpy()
    margin = float(np.quantile(found, MARGIN_QUANTILE))
    term = norm / (margin * math.sqrt(len(data))) if margin > 0 else None
    return {
        "norm": norm,
        "radius": 1.0,
        "n": len(data),
        "margin": margin,
        "complexity_term": term,
        "remark": MARGIN_REMARK,
    }


def _sample(data: SequenceSet | None, size: int, seed: int) -> SequenceSet | None:
    if data is None or len(data) <= size:
        return data
    return data.subset(np.sort(np.random.default_rng(seed).choice(len(data), size, replace=False)))


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None
