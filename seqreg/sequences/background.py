"""Negatives for those who have only positives: shuffles that keep short words, or matched draws from a pool."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError, UsageError
from seqreg.sequences.sequence_set import SequenceSet

_ATTEMPTS = 20  # shuffles of a sequence before it counts as having no other order
_NO_LABELS = {"target": None, "y": None, "split": None, "group": None, "weight": None}


def klet_shuffle(codes: NDArray[np.uint8], k: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A uniformly random rearrangement of a sequence that has every word of k letters exactly as often.

    A sequence is a walk over its words of k - 1 letters; one with the same k-lets is another Euler walk over the same
    edges. A random tree of last exits toward the final word makes it uniform (Altschul and Erickson, Mol Biol Evol
    1985), drawn by loop-erased random walks (Wilson, STOC 1996) as in uShuffle (Jiang et al., BMC Bioinformatics 2008).
    """
    if k < 1:
        raise UsageError(f"k must be at least 1; got {k}")
    if k == 1:
        return generator.permutation(codes)
    if len(codes) <= k:
        return codes.copy()
    words = np.lib.stride_tricks.sliding_window_view(codes, k - 1)
    first_of, walk = np.unique(words, axis=0, return_index=True, return_inverse=True)[1:]
    walk = walk.reshape(-1).tolist()
    exits: list[list[int]] = [[] for _ in range(len(first_of))]
    for here, there in pairwise(walk):
        exits[here].append(there)
    order = _random_exits(exits, end=walk[-1], generator=generator)
    last_letter = codes[first_of + k - 2]
    shuffled = codes.copy()
    here = walk[0]
    for place in range(k - 1, len(codes)):
        here = order[here].pop()
        shuffled[place] = last_letter[here]
    return shuffled


def _random_exits(exits: list[list[int]], end: int, generator: np.random.Generator) -> list[list[int]]:
    """The exits of each word, used from the back: in random order, but the last ones form a tree toward `end`."""
    last: dict[int, int] = {end: -1}
    for start in range(len(exits)):
        chosen: dict[int, int] = {}
        here = start
        while here not in last:  # a walk that forgets its loops, as each word remembers only its latest exit
            chosen[here] = int(generator.integers(len(exits[here])))
            here = exits[here][chosen[here]]
        here = start
        while here not in last:
            last[here] = chosen[here]
            here = exits[here][chosen[here]]
    order = []
    for word, ways in enumerate(exits):
        final = [] if word == end else [ways[last[word]]]
        others = [way for place, way in enumerate(ways) if word == end or place != last[word]]
        order.append(final + [others[place] for place in generator.permutation(len(others))])
    return order


def shuffled_background(positives: SequenceSet, *, k: int = 2, copies: int = 1, seed: int = 0) -> SequenceSet:
    """`copies` k-let-preserving shuffles of every sequence, named `<id>_shuffle<copy>`, without labels.

    Their group is that of their source, or its id: a sequence and its shuffle share letters and carry opposite labels,
    so that on two sides of a split a model is led below chance.
    A shuffle that is one of the positives is drawn again; where that does not help, as of short or repetitive sequences
    that have no other order, it is left out, and a warning counts these. Raises InputError where none is left.
    """
    _check_copies(copies)
    generator = np.random.default_rng(seed)
    names: list[str] = []
    groups: list[str] = []
    sources = source_groups(positives)
    pieces: list[NDArray[np.uint8]] = []
    known = {positives.sequence(index) for index in range(len(positives))}
    for index, name in enumerate(positives.names):
        codes = positives.codes[positives.offsets[index] : positives.offsets[index + 1]]
        for copy in range(1, copies + 1):
            drawn = (klet_shuffle(codes, k, generator) for _ in range(_ATTEMPTS))
            piece = next((each for each in drawn if positives.alphabet.decode(each) not in known), None)
            if piece is not None:
                pieces.append(piece)
                names.append(f"{name}_shuffle{copy}")
                groups.append(sources[index])
    if not pieces:
        raise InputError(
            f"every shuffle that keeps {k}-lets is one of the sequences again",
            file=positives.source or None,
            remedy="Keep shorter words (--k 1), or draw windows of other sequences (--from INPUT).",
        )
    left_out = copies * len(positives) - len(pieces)
    warnings = (f"shuffles left out, as they are the sequence again: {left_out}",) if left_out else ()
    return replace(_assembled(positives, names, pieces, warnings), group=np.array(groups, dtype=np.str_))


def source_groups(positives: SequenceSet) -> list[str]:
    """(N,) the group of each sequence, its id where it has none."""
    group = [""] * len(positives) if positives.group is None else positives.group.tolist()
    return [own or name for own, name in zip(group, positives.names, strict=True)]


def matched_background(
    positives: SequenceSet, pool: SequenceSet, *, copies: int = 1, candidates: int = 50, seed: int = 0
) -> SequenceSet:
    """For every sequence, `copies` windows of sequences of the pool, of its length and nearly its composition.

    Each is the best of `candidates` random windows by the l1 distance of letter shares, used once and never equal to a
    positive. Names are `<pool id>:<start>-<end>`, counted from 0, end excluded; the group is the sequence of the pool,
    or its group, as its windows overlap. Raises InputError if no sequence of the pool is long enough or all windows are
    used up.
    """
    _check_copies(copies)
    if pool.alphabet is not positives.alphabet:
        raise UsageError(f"the pool is {pool.alphabet.name}, the positives are {positives.alphabet.name}")
    generator = np.random.default_rng(seed)
    # Running counts of every letter: the composition of any window is a difference of two rows.
    running = np.zeros((len(pool.codes) + 1, pool.alphabet.size), dtype=np.int32)
    np.cumsum(pool.codes[:, None] == np.arange(pool.alphabet.size, dtype=np.uint8), axis=0, out=running[1:])
    known = {positives.sequence(index) for index in range(len(positives))}
    used: set[tuple[int, int]] = set()
    names: list[str] = []
    pieces: list[NDArray[np.uint8]] = []
    distances: list[float] = []
    groups: list[str] = []
    sources = source_groups(pool)
    for index, length in enumerate(positives.lengths.tolist()):
        codes = positives.codes[positives.offsets[index] : positives.offsets[index + 1]]
        share = np.bincount(codes, minlength=256)[: pool.alphabet.size] / length
        windows = np.maximum(pool.lengths - length + 1, 0)
        ends = np.cumsum(windows)
        if ends[-1] < copies:
            raise InputError(
                f"no sequence of the pool has the {length} letters of {positives.names[index]!r}",
                file=pool.source or None,
                remedy="Give a pool of longer sequences.",
            )
        for _ in range(copies):
            drawn = generator.integers(ends[-1], size=candidates)
            owner = np.searchsorted(ends, drawn, side="right")
            within = drawn - (ends - windows)[owner]
            start = pool.offsets[owner] + within
            distance = np.abs((running[start + length] - running[start]) / length - share).sum(axis=1)
            for best in np.argsort(distance, kind="stable").tolist():
                piece = pool.codes[start[best] : start[best] + length]
                place = (int(start[best]), length)
                if place not in used and pool.alphabet.decode(piece) not in known:
                    break
            else:
                raise InputError(
                    f"no unused window of {length} letters found in the pool for {positives.names[index]!r}",
                    file=pool.source or None,
                    remedy="Give a larger pool.",
                )
            used.add(place)
            pieces.append(piece)
            distances.append(float(distance[best]))
            names.append(f"{pool.names[int(owner[best])]}:{within[best]}-{within[best] + length}")
            groups.append(sources[int(owner[best])])
    note = f"mean distance of letter shares to the positives (0 to 2): {np.mean(distances):.3g}"
    return replace(_assembled(positives, names, pieces, (note,)), group=np.array(groups, dtype=np.str_))


def _check_copies(copies: int) -> None:
    if copies < 1:
        raise UsageError(f"copies must be at least 1; got {copies}")


def _assembled(
    positives: SequenceSet, names: list[str], pieces: list[NDArray[np.uint8]], warnings: tuple[str, ...]
) -> SequenceSet:
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return replace(
        positives, names=names, codes=np.concatenate(pieces), offsets=offsets, warnings=warnings, **_NO_LABELS
    )
