"""Every bound on margins under substitutions, by name, beside the truth that exhaustive search finds."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from seqreg.certificates import (
    CertifiedBatch,
    CertifiedParts,
    certified_parts,
    hamming_lipschitz,
    in_double,
    influences,
    largest_sums,
    margin_directions,
)
from seqreg.certificates.context import influences_here
from seqreg.certificates.euclidean import euclidean_bound, layerwise_bound, margin_lipschitz
from seqreg.certificates.intervals import interval_bound
from seqreg.certificates.tail import single_and_tail_bound, worst_singles
from seqreg.mutagenesis import substitution_scores
from seqreg.networks import SequenceNetwork, SmoothConvNet
from seqreg.penalties.hamming import influences_by_symbol

SLACK = 1e-9  # rounding of float64 sums, far below the tolerance of a certificate


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, sequences (N, L) of any lengths with targets y, and letters (N, L, A) that may be written, or all."""

    net: SequenceNetwork
    ids: Tensor
    y: Tensor
    allowed: Tensor | None = None
    most: int = 3

    @cached_property
    def batch(self) -> CertifiedParts:
        """What the bounds start from."""
        return certified_parts(in_double(self.net), self.ids, self.y, self.allowed)

    @cached_property
    def scores(self) -> Tensor:
        """(N, L, A, K) logits of all single mutants."""
        return substitution_scores(self.net, self.ids)

    @cached_property
    def lipschitz(self) -> Tensor:
        """(N, P) constants of the margins, for sequences no shorter than these."""
        shortest = int(self.net.lengths(self.ids).min())
        return margin_lipschitz(in_double(self.net), self.batch.directions, shortest)

    @property
    def mixed(self) -> Tensor:
        """(N, 1) infinite where a sequence holds ambiguous letters, of which constants do not speak."""
        mixed = (self.ids >= self.net.alphabet.size) & (self.ids != self.net.alphabet.pad)
        return torch.where(mixed.any(1, keepdim=True), torch.inf, 0.0)

    @cached_property
    def worst(self) -> Tensor:
        """(M + 1, N, P) smallest margins over at most 0 .. M substitutions, by running the network on every one."""
        directions = margin_directions(self.y, self.net(self.ids).shape[1])
        worst = torch.full((self.most + 1, *directions.shape[:2]), torch.inf, dtype=torch.float64)
        for m, row in itertools.product(range(self.most + 1), range(len(self.ids))):
            variants = self.mutants(row, m)
            if len(variants):
                worst[m, row] = (self.net(variants) @ directions[row].t()).amin(0).detach()
        return worst.cummin(0).values

    @property
    def radius(self) -> Tensor:
        """(N,) most substitutions, up to M, that change no prediction whichever they are; -1 where it is wrong."""
        return (self.worst.amin(2) > 0).long().cumprod(0).sum(0) - 1

    def mutants(self, row: int, m: int) -> Tensor:
        """All sequences with exactly m allowed substitutions in sequence `row`."""
        ids = self.ids[row]
        options = [
            [
                a
                for a in range(self.net.alphabet.size)
                if a != code and (self.allowed is None or self.allowed[row, i, a])
            ]
            for i, code in enumerate(ids.tolist())
            if code != self.net.alphabet.pad
        ]
        found = []
        for places in itertools.combinations(range(len(options)), m):
            for chosen in itertools.product(*(options[i] for i in places)):
                mutant = ids.tolist()
                for i, letter in zip(places, chosen, strict=True):
                    mutant[i] = letter
                found.append(mutant)
        return torch.tensor(found, dtype=torch.uint8).view(-1, len(ids))


def _by_symbol(part: CertifiedBatch) -> Tensor:
    """(N, P, L) influences that the penalty `certified` looks up."""
    distinct, which = torch.unique(part.directions.flatten(0, 1), dim=0, return_inverse=True)
    return influences_by_symbol(part.model, part.ids, distinct, which.view(part.directions.shape[:2]))


def _constant(part: CertifiedBatch) -> Tensor:
    """(N, P) Hamming-Lipschitz constants of the margins, for the windows of each sequence."""
    flat = part.directions.flatten(0, 1)
    windows = part.counts.repeat_interleave(part.directions.shape[1])
    return hamming_lipschitz(part.model, flat, windows).view(part.margins.shape)


def _layerwise(part: CertifiedBatch, m: int) -> Tensor:
    """The layerwise bound, where there are layers to go through."""
    return part.margins - torch.inf if isinstance(part.model, SmoothConvNet) else layerwise_bound(part, m)


def _less(case: Case, influence: Callable[[CertifiedBatch], Tensor], m: int) -> Tensor:
    return case.batch.margins - largest_sums(case.batch.added(influence), m)


def _tail(case: Case, m: int) -> Tensor:
    singles = worst_singles(case.batch.parts[0], case.scores)
    return single_and_tail_bound(case.batch.margins, singles, case.batch.added(influences), m)


# (N, P) lower bounds of the margins after at most m substitutions.
BOUNDS: dict[str, Callable[[Case, int], Tensor]] = {
    "influences": lambda case, m: _less(case, influences, m),
    "influences here": lambda case, m: _less(case, lambda part: influences_here(part, m), m),
    "influences of symbols": lambda case, m: _less(case, _by_symbol, m),
    "constant": lambda case, m: case.batch.margins - m * sum(_constant(part) for part in case.batch.parts) - case.mixed,
    "intervals": lambda case, m: case.batch.together(lambda part: interval_bound(part, m)),
    "tail": _tail,
    "l2": lambda case, m: euclidean_bound(case.batch.margins, case.lipschitz, m),
    "first layer and l2": lambda case, m: case.batch.together(lambda part: _layerwise(part, m)),
}


def check_bounds(case: Case, reached: set[str] = frozenset(), at: tuple[int, ...] = (1, 2, 3)) -> None:  # pyright: ignore[reportArgumentType]
    """No bound is above the truth, and those named are the truth after `at` substitutions."""
    torch.testing.assert_close(case.batch.margins, case.worst[0], atol=SLACK, rtol=0)
    for m in range(1, case.most + 1):
        for name, bound in BOUNDS.items():
            excess = bound(case, m).detach() - case.worst[m]
            assert float(excess.max()) <= SLACK, f"{name} proves {float(excess.max())} too much for m = {m}"
            if name in reached and m in at:
                assert float(excess.min()) >= -SLACK, f"{name} leaves {float(-excess.min())} unproved for m = {m}"


# ---- insertions and deletions


def padded(net: SequenceNetwork, sequences: list[tuple[int, ...]]) -> Tensor:
    """ids (N, L) of sequences of symbol codes."""
    width = max(map(len, sequences))
    return torch.tensor([[*row, *[net.alphabet.pad] * (width - len(row))] for row in sequences]).to(torch.uint8)


def worst_after_edits(net: SequenceNetwork, sequences: list[tuple[int, ...]], y: Tensor, most: int) -> Tensor:
    """(M + 1, N, P) smallest margins over at most 0 .. M edits of any kind, by running the network on every outcome."""
    directions = margin_directions(y, net(padded(net, sequences)).shape[1])
    levels, reached = [], [{row} for row in sequences]
    for _ in range(most + 1):
        margins = [net(padded(net, sorted(rows))) @ u.t() for rows, u in zip(reached, directions, strict=True)]
        levels.append(torch.stack([each.amin(0).detach() for each in margins]))
        reached = [rows.union(*(_edited_once(net, row) for row in rows)) for rows in reached]
    return torch.stack(levels)


def _edited_once(net: SequenceNetwork, sequence: tuple[int, ...]) -> set[tuple[int, ...]]:
    """All sequences one substitution, insertion or deletion away, but for the empty one."""
    letters, places = range(net.alphabet.size), range(len(sequence))
    found = {(*sequence[:i], a, *sequence[i + 1 :]) for i in places for a in letters}
    found |= {(*sequence[:i], a, *sequence[i:]) for i in range(len(sequence) + 1) for a in letters}
    return found | {(*sequence[:i], *sequence[i + 1 :]) for i in places if len(sequence) > 1}
