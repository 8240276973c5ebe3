"""The motifs of a network: its filters, those that look at the same letters merged, the most important first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqreg.explain.information import consensus, core, information
from seqreg.explain.motifs import evenly, importance_of, learned_parts, look_at, shares
from seqreg.networks import SequenceNetwork
from seqreg.sequences import SequenceSet

# Two filters are one motif if their windows overlap, always alike, in this share of the rarer one's sites.
SAME_PLACE = 1 / 3
SHORTEST = 3  # letters of a motif: fewer are found anywhere
PARTS = 20  # of a sequence, for the histogram of places


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """Whether sites are more frequent in a class than outside it: Fisher's exact test, one-sided.

    odds_ratio: sample odds of a site in the class over those outside; inf where nothing outside is a site. p: of the
    test. q: p adjusted over all motifs and classes after Benjamini and Hochberg. On the sequences that a network was
    trained on p is too small: its filters were chosen to tell these classes apart.
    """

    odds_ratio: float
    p: float
    q: float


@dataclass(frozen=True, kw_only=True)
class Motif:
    """What one or several filters look for, from the windows that excite the first of them.

    filters: those merged, the most important first. Sites are its sites, as in `FilterMotif`; its windows are looked
    at with half a filter's width on either side, and flanks that say nothing are cut off.
    letters: the A letters, columns of counts. counts: (W, A) letters at each position; a mixture counts in parts.
    bits: information content, summed over positions. sites: their number.
    start: quartiles (25, 50, 75 %) of the position, counted from 1, of the motif's leftmost letter.
    places: sites whose middle lies in each of 20 equal parts of the sequence. reverse: share of sites on the opposite
    strand. fires: class -> share of its sequences that are sites. enriched: class -> Fisher's test.
    effect: class -> mean contribution of the filters together to that class's logit over the sites, in logits.
    importance: standard deviation of that contribution over sequences, root mean square over logits.
    """

    name: str
    filters: tuple[int, ...]
    letters: str
    counts: NDArray[np.float64]
    bits: float
    sites: int
    start: tuple[float, float, float]
    places: tuple[int, ...]
    reverse: float
    fires: dict[str, float]
    enriched: dict[str, Enrichment]
    effect: dict[str, float]
    importance: float

    @property
    def consensus(self) -> str:
        """The most frequent letters, lower case where they hold less than half."""
        return consensus(self.counts, self.letters)


class _Seen(NamedTuple):
    """The best windows in N sequences of the C filters of all learned parts."""

    site: NDArray[np.bool_]  # (N, C)
    first: NDArray[np.int64]  # (N, C) leftmost letter, from 0
    reverse: NDArray[np.bool_]  # (N, C) whether the window is read on the opposite strand
    width: NDArray[np.int64]  # (C,)
    contribution: Tensor  # (N, K, C) to the logits


def find_motifs(
    model: SequenceNetwork, sequences: SequenceSet, *, top: int = 20, sample: int = 2000, batch: int = 64
) -> list[Motif]:
    """The `top` most important motifs that the network finds in labelled sequences, most important first.

    sample: at most so many sequences, evenly spaced, are looked at, `batch` at a time. Empty without learned filters.
    """
    assert sequences.y is not None
    assert len(sequences) > 0
    if not learned_parts(model):
        return []
    sequences = evenly(sequences, sample)
    seen = _see(model, sequences, batch)
    groups = [
        (group, float(importance_of(seen.contribution[:, :, group].sum(2, keepdim=True)))) for group in _merged(seen)
    ]
    groups.sort(key=lambda each: -each[1])
    motifs: list[Motif] = []
    for group, importance in groups:
        motif = _motif(sequences, seen, group)
        if motif is not None:
            motifs.append(replace(motif, name=f"motif-{len(motifs) + 1}", importance=importance))
        if len(motifs) == top:
            break
    return _adjusted(motifs)


def _see(model: SequenceNetwork, sequences: SequenceSet, batch: int) -> _Seen:
    """The filters of all learned parts side by side: their contributions add up to one logit."""
    found: list[_Seen] = []
    for part in learned_parts(model):
        look, width = look_at(part, sequences, batch), part.first_kernel().shape[2]
        found.append(
            _Seen(
                site=look.site.cpu().numpy(),
                first=look.first_letter(sequences.lengths, width),
                reverse=look.reverse.cpu().numpy(),
                width=np.full(look.start.shape[1], width),
                contribution=look.contribution,
            )
        )
    return _Seen(
        site=np.concatenate([each.site for each in found], axis=1),
        first=np.concatenate([each.first for each in found], axis=1),
        reverse=np.concatenate([each.reverse for each in found], axis=1),
        width=np.concatenate([each.width for each in found]),
        contribution=torch.cat([each.contribution for each in found], 2),
    )


def _merged(seen: _Seen) -> list[list[int]]:
    """Filters in groups, by falling importance; the first of each group is the one that the others agree with."""
    groups: list[list[int]] = []
    for c in importance_of(seen.contribution).argsort(descending=True, stable=True).tolist():
        if not seen.site[:, c].any():
            continue
        for group in groups:
            if _same_place(seen, group[0], c):
                group.append(c)
                break
        else:
            groups.append([c])
    return groups


def _same_place(seen: _Seen, s: int, c: int) -> bool:
    """Whether the windows of filters s and c overlap, always alike, often enough for one motif."""
    both = seen.site[:, s] & seen.site[:, c]
    ahead = seen.first[both, c] - seen.first[both, s]
    behind = seen.width[s] - seen.width[c] - ahead
    shift = np.where(seen.reverse[both, s], behind, ahead)  # along the strand on which s reads
    opposite = seen.reverse[both, c] != seen.reverse[both, s]
    overlap = (shift < seen.width[s]) & (shift > -seen.width[c])
    times = np.unique((2 * shift + opposite)[overlap], return_counts=True)[1]
    rarer = min(seen.site[:, s].sum(), seen.site[:, c].sum())
    return bool(times.max(initial=0) >= max(2, SAME_PLACE * rarer))


def _motif(sequences: SequenceSet, seen: _Seen, group: Sequence[int]) -> Motif | None:
    """The motif of a group of filters, nameless; None where letters are preferred at too few positions."""
    c, alphabet, (target, y) = group[0], sequences.alphabet, sequences.labelled()
    names, carried = target.sides(y)
    is_site, width = seen.site[:, c], int(seen.width[c])
    index, flank = np.flatnonzero(is_site), width // 2
    reverse = seen.reverse[index, c]
    if reverse.mean() > 0.5:
        reverse = ~reverse  # the motif as most of its sites are written
    windows = _windows(sequences, index, seen.first[index, c] - flank, width + 2 * flank, reverse)
    counts = alphabet.mixtures[windows].sum(0)
    kept = core(counts)
    if kept.stop - kept.start < SHORTEST:
        return None
    counts = counts[kept]
    begin = seen.first[index, c] - flank + np.where(reverse, width + 2 * flank - kept.stop, kept.start)
    middle = (begin + len(counts) / 2) / sequences.lengths[index]
    places = np.bincount((middle * PARTS).astype(int).clip(0, PARTS - 1), minlength=PARTS)
    low, half, high = (np.quantile(np.maximum(begin, 0), [0.25, 0.5, 0.75]) + 1).tolist()
    effect = seen.contribution[:, :, list(group)].sum(2)[torch.from_numpy(index)].mean(0)
    return Motif(
        name="",
        filters=tuple(group),
        letters=alphabet.letters,
        counts=counts,
        bits=float(information(counts).sum()),
        sites=len(index),
        start=(low, half, high),
        places=tuple(places.tolist()),
        reverse=float(reverse.mean()),
        fires=shares(names, carried, is_site),
        enriched=dict(_enriched(names, carried, is_site)),
        effect=target.effects(effect.tolist()),
        importance=0.0,
    )


def _windows(
    sequences: SequenceSet,
    index: NDArray[np.int64],
    begin: NDArray[np.int64],
    width: int,
    reverse: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """(n, width) symbols of sequences `index` from position `begin`, read on the strand they were found on."""
    alphabet = sequences.alphabet
    place = begin[:, None] + np.arange(width)
    inside = (place >= 0) & (place < sequences.lengths[index, None])
    at = np.where(inside, place + sequences.offsets[index, None], 0)
    windows = np.where(inside, sequences.codes[at], alphabet.pad)
    if alphabet.complement is not None:
        windows[reverse] = alphabet.complement[windows[reverse, ::-1]]
    return windows


def _enriched(
    classes: Sequence[str], carried: NDArray[np.bool_], is_site: NDArray[np.bool_]
) -> Iterator[tuple[str, Enrichment]]:
    from scipy.stats import fisher_exact  # takes a while to load

    for name, member in zip(classes, carried.T, strict=True):
        if member.any() and not member.all():
            table = [[int((is_site == s)[member == m].sum()) for s in (True, False)] for m in (True, False)]
            test: Any = fisher_exact(table, alternative="greater")
            yield name, Enrichment(odds_ratio=float(test.statistic), p=float(test.pvalue), q=float(test.pvalue))


def _adjusted(motifs: list[Motif]) -> list[Motif]:
    """The motifs with q filled in."""
    from scipy.stats import false_discovery_control  # takes a while to load

    p = [test.p for motif in motifs for test in motif.enriched.values()]
    q = iter(false_discovery_control(p).tolist() if p else [])
    return [
        replace(motif, enriched={name: replace(test, q=next(q)) for name, test in motif.enriched.items()})
        for motif in motifs
    ]
