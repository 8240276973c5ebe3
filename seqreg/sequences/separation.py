"""Parts of a set between which no two sequences are related, and what to do where that cannot be had whole.

Groups of relatives stay together as long as the other parts keep room. Where one group is too large for that, it is cut
where relatives are most distant, sequences are moved to where most of their relatives are and, if asked, those that
still have relatives in two parts are left out, as few as a greedy choice needs. The steps are those of GraphPart
(Teufel et al., NAR Genomics and Bioinformatics 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.sequences.duplicates import first_equal
from seqreg.sequences.homology import (
    Families,
    Homology,
    components,
    families,
    number_groups,
    one_large_group,
    relatives,
)
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.shared_kmers import similarities
from seqreg.sequences.strata import grouped_parts

LEFT_OUT = -1
_ROUNDS = 20  # no mutant: moves, in some rounds
_SLACK = 0.1  # by which moves may make a part larger or smaller than wanted


@dataclass(frozen=True, kw_only=True, eq=False)
class Separation:
    """part: (N,) numbers of parts, LEFT_OUT for none. group: (N,) numbers of groups that are in one part each.

    across: (P, 2) positions of relatives that are in different parts. remarks: on how it was made.
    """

    part: NDArray[np.int64]
    group: NDArray[np.int64]
    across: NDArray[np.int64]
    remarks: tuple[str, ...]


def separate(
    sequences: SequenceSet,
    shares: Sequence[float],
    homology: Homology,
    generator: np.random.Generator,
    *,
    leave_out: bool = False,
) -> Separation:
    """Parts with about these shares (they sum to 1) of all sequences and of every class.

    leave_out: leave sequences out rather than have relatives in different parts; without it, clusters are never cut.
    Raises UsageError for a tool that is not installed.
    """
    found = families(sequences, homology)
    n = len(sequences)
    largest = np.bincount(found.groups).argmax()
    inside = np.flatnonzero(found.groups == largest)
    # The other parts keep half their size at least, or the group is cut, if there is anything to cut it into.
    too_large = len(inside) > n - (1 - max(shares)) * n / 2
    units = first_equal(sequences) if leave_out else found.clusters
    if not too_large or len(np.unique(units[inside])) == 1:
        part = grouped_parts(sequences, found.groups, shares, generator)
        none = np.zeros((0, 2), dtype=np.int64)
        remarks = (*found.remarks, *one_large_group(found.groups))
        return Separation(part=part, group=found.groups, across=none, remarks=remarks)
    return _cut(sequences, shares, homology, generator, found, inside, units, leave_out=leave_out)


def _cut(
    sequences: SequenceSet,
    shares: Sequence[float],
    homology: Homology,
    generator: np.random.Generator,
    found: Families,
    inside: NDArray[np.int64],
    units: NDArray[np.int64],
    *,
    leave_out: bool,
) -> Separation:
    """Parts where the group at positions inside (n,) is cut into units (N,), which other groups are as a whole."""
    n = len(sequences)
    unit = n + found.groups
    unit[inside] = units[inside]
    unit = number_groups(unit)
    size = np.bincount(unit)
    pairs, strength = _related(
        replace(found, clusters=unit[inside], table=found.table[inside]),
        sequences.subset(inside),
        homology,
        similar=leave_out,
    )
    pairs = inside[pairs]
    pieces = _pieces(size, unit[pairs], strength, most=round(max(shares) * n))
    first = np.unique(unit, return_index=True)[1]
    part = grouped_parts(sequences, pieces[unit], shares, generator)[first]
    links = _links(unit[pairs], len(size))
    part = move_to_relatives(part, links, size, np.asarray(shares) * n)
    if leave_out:
        part = without_crossing(part, links, size)
    of_pair = part[unit[pairs]]
    together = of_pair[:, 0] == of_pair[:, 1]
    groups = components(first[unit], [(pairs[together, 0], pairs[together, 1])])
    remark = f"relatives make one group of {len(inside)} of {n} sequences, too large for one part: it was cut"
    return Separation(
        part=part[unit],
        group=groups,
        across=pairs[~together & (of_pair != LEFT_OUT).all(axis=1)],
        remarks=(*found.remarks, remark),
    )


def _related(
    found: Families, sequences: SequenceSet, homology: Homology, *, similar: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(P, 2) positions of all relatives in different clusters, and how alike they are (P,), from 0 to 1.

    similar: pairs that share enough k-mers for one cluster are relatives too; they are not aligned.
    """
    units, table = found.clusters, found.table
    pairs, alike, _ = relatives(sequences, table, units, homology.identity, scale=found.scale, every=True)
    if not similar or homology.tool != "kmers":
        return pairs, alike
    rows, shares = [pairs], [alike]
    for row, column, shared in similarities(table, table):
        kept = (row < column) & (units[row] != units[column]) & (shared >= homology.similarity)
        rows.append(np.stack([row[kept], column[kept]], axis=1).astype(np.int64))
        shares.append(shared[kept])
    pairs, place = np.unique(np.concatenate(rows), axis=0, return_index=True)
    return pairs, np.concatenate(shares)[place]


def _links(pairs: NDArray[np.int64], n: int) -> Any:
    """(U, U) symmetric sparse matrix in CSR form: how many sequences of two units (P, 2) are related."""
    from scipy.sparse import coo_array

    links = coo_array((np.ones(len(pairs), dtype=np.int64), (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
    return (links + links.T).tocsr()


def _pieces(
    size: NDArray[np.int64], pairs: NDArray[np.int64], strength: NDArray[np.float64], *, most: int
) -> NDArray[np.int64]:
    """(U,) numbers of pieces of units: the most alike (P, 2) are joined first, while at most `most` come together."""
    head, held = list(range(len(size))), size.tolist()

    def top(unit: int) -> int:
        while head[unit] != unit:
            head[unit] = unit = head[head[unit]]
        return unit

    for one, other in pairs[np.argsort(-strength, kind="stable")].tolist():
        one, other = sorted((top(one), top(other)))
        if one != other and held[one] + held[other] <= most:
            head[other] = one
            held[one] += held[other]
    return number_groups([top(unit) for unit in range(len(head))])


def move_to_relatives(
    part: NDArray[np.int64], links: Any, size: NDArray[np.int64], wanted: NDArray[np.float64]
) -> NDArray[np.int64]:
    """part (U,) with units moved to where they have more relatives, each move leaving fewer related pairs apart.

    links: (U, U) symmetric counts of related pairs. size: (U,) sequences of each unit. wanted: (P,) sizes of the parts,
    which no move leaves by more than a tenth.
    """
    part, parts = part.copy(), len(wanted)
    filled = np.bincount(part, weights=size, minlength=parts)
    for _ in range(_ROUNDS):
        near = links @ np.eye(parts)[part]
        gain = near.max(axis=1) - near[np.arange(len(part)), part]
        order = np.argsort(-gain, kind="stable")
        before = part.copy()
        for unit in order[: np.count_nonzero(gain > 0)]:
            near = _relatives_in(unit, part, links, parts)  # as they are now
            here, there = part[unit], int(near.argmax())
            room = filled[there] + size[unit] <= (1 + _SLACK) * wanted[there]
            if near[there] > near[here] and room and filled[here] - size[unit] >= (1 - _SLACK) * wanted[here]:
                part[unit] = there
                filled[here] -= size[unit]
                filled[there] += size[unit]
        if (part == before).all():
            break
    return part


def without_crossing(part: NDArray[np.int64], links: Any, size: NDArray[np.int64]) -> NDArray[np.int64]:
    """part (U,) with LEFT_OUT for units until no relatives are in different parts.

    The unit with most relatives elsewhere, by its size, leaves first; in the end those come back that can: a unit that
    stays out has relatives in two parts.
    """
    part, parts = part.copy(), int(part.max()) + 1
    near = links @ np.eye(parts)[part]
    elsewhere = near.sum(axis=1) - near[np.arange(len(part)), part]
    gone: list[int] = []
    while elsewhere.any():
        unit = int((elsewhere / size).argmax())
        row = slice(links.indptr[unit], links.indptr[unit + 1])
        others = links.indices[row]
        apart = (part[others] != part[unit]) & (part[others] != LEFT_OUT)
        elsewhere[others[apart]] -= links.data[row][apart]
        elsewhere[unit], part[unit] = 0, LEFT_OUT
        gone.append(unit)
    for unit in reversed(gone):
        near = _relatives_in(unit, part, links, parts)
        if np.count_nonzero(near) == 1:
            part[unit] = near.argmax()
        elif not near.any():
            part[unit] = np.bincount(part[part != LEFT_OUT], minlength=parts).argmin()
    return part


def _relatives_in(unit: int, part: NDArray[np.int64], links: Any, parts: int) -> NDArray[np.float64]:
    """(P,) how many pairs of relatives a unit has in each part."""
    row = slice(links.indptr[unit], links.indptr[unit + 1])
    here = part[links.indices[row]]
    kept = here != LEFT_OUT
    return np.bincount(here[kept], weights=links.data[row][kept], minlength=parts).astype(np.float64)
