"""Logits of all single edits of sequences, exactly."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqreg.mutagenesis.edits import DELETION, INSERTION, SUBSTITUTION, Edit
from seqreg.mutagenesis.strand import Strand, finish
from seqreg.networks import ConvNet, Part, SequenceNetwork, added, parts_of

_ELEMENTS = 1 << 22  # numbers held at once: small enough for a laptop, large enough to keep the loops busy


@torch.no_grad()
def substitution_scores(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (N, L, A, K) of every sequence with any one letter replaced: saturation mutagenesis.

    x: ids (N, L) uint8 for seqreg's networks, which are scored by recomputing the windows around each edit; or one-hot
    (N, A, L) for any other module, which is run on every mutant. Entry [n, i, a] has letter a at position i; the letter
    already there, and places in the padding, hold the logits of the unchanged sequence. Dropout is never applied.
    """
    if isinstance(model, SequenceNetwork) and x.dim() == 2:
        return _edit_scores(model, x, SUBSTITUTION)
    return forward_substitution_scores(model, x)


@torch.no_grad()
def insertion_scores(model: SequenceNetwork, ids: Tensor) -> Tensor:
    """Logits (N, L + 1, A, K) with one letter inserted before position i = 0 .. l; beyond, the unchanged logits."""
    return _edit_scores(model, ids, INSERTION)


@torch.no_grad()
def deletion_scores(model: SequenceNetwork, ids: Tensor) -> Tensor:
    """Logits (N, L, K) with position i deleted; in the padding, and for a sole letter, the unchanged logits."""
    return _edit_scores(model, ids, DELETION).squeeze(2)


@torch.no_grad()
def forward_substitution_scores(model: nn.Module, x: Tensor, batch_size: int = 256) -> Tensor:
    """`substitution_scores` by running the network on every mutant; ids (N, L), or one-hot x (N, A, L)."""
    training = model.training
    model.eval()
    try:
        if x.dim() == 2:
            assert isinstance(model, SequenceNetwork)
            places, letters = SUBSTITUTION.places(model.lengths(x), x.shape[1]), model.alphabet.size
        else:
            places, letters = x.sum(1) > 0, x.shape[1]
        row, place = torch.nonzero(places, as_tuple=True)
        clean = model(x)
        scores = clean[:, None, None].repeat(1, x.shape[-1], letters, 1)
        per_site = torch.arange(letters, device=x.device)
        for sites in torch.arange(len(row), device=x.device).split(max(1, batch_size // letters)):
            n, at, letter = (
                index.flatten() for index in torch.broadcast_tensors(row[sites, None], place[sites, None], per_site)
            )
            mutants = x[n]
            count = torch.arange(len(n), device=x.device)
            if x.dim() == 2:
                mutants[count, at] = letter.to(x.dtype)
            else:
                mutants[count, :, at] = F.one_hot(letter, letters).to(x.dtype)
            scores[row[sites], place[sites]] = model(mutants).unflatten(0, (-1, letters))
        return scores
    finally:
        model.train(training)


def plain_logits(model: SequenceNetwork, ids: Tensor) -> Tensor:
    """Logits (N, K) without dropout, whatever mode the network is in."""
    training = model.training
    model.eval()
    try:
        return model(ids)
    finally:
        model.train(training)


def _edit_scores(model: SequenceNetwork, ids: Tensor, edit: Edit) -> Tensor:
    """(N, P, B, K), B = A for edits that write a letter and 1 for deletions; those of a sum add up."""
    return added(_part_scores(part, ids, edit) for part in parts_of(model))


def _part_scores(part: Part, ids: Tensor, edit: Edit) -> Tensor:
    """Those of a part: by what it says of substitutions, window by window where it has them, or else whole."""
    part.demand("edits")
    places = edit.places(part.lengths(ids), ids.shape[1])
    letters = part.alphabet.size if edit.letters else 1
    scores = plain_logits(part, ids)[:, None, None].repeat(1, places.shape[1], letters, 1)
    net = part.windowed()
    changes = part.substitution_changes(ids) if edit is SUBSTITUTION else None
    if changes is not None:
        for row, change in enumerate(changes):
            scores[row, : len(change)] += change.to(scores.dtype)
    elif net is not None:
        channels = max(parameter.shape[0] for parameter in net.convs.parameters())
        few = max(1, _ELEMENTS // (channels * max(1, ids.shape[1])))
        for rows in torch.arange(len(ids), device=ids.device).split(few):
            _fill(net, ids[rows], edit, places[rows], scores, int(rows[0]))
    else:
        _fill_whole(part, ids, edit, places, scores, 0)
    return scores


def _fill(model: ConvNet, ids: Tensor, edit: Edit, places: Tensor, scores: Tensor, offset: int) -> None:
    """Write the scores of a batch that fits in memory."""
    lengths = model.lengths(ids)
    # Recomputing windows needs sequences that fill a window before and after; shorter ones cost little to score whole.
    short = (lengths + min(edit.grow, 0) < model.receptive_field) if edit.grow else torch.zeros_like(lengths).bool()
    _fill_whole(model, ids, edit, places & short[:, None], scores, offset)
    row, place = torch.nonzero(places & ~short[:, None], as_tuple=True)
    if not len(row):
        return
    strand = Strand(model, ids, edit)
    opposite = Strand(model, model.reverse_complement_ids(ids), edit) if model.reverse_complement else None
    width, _, channels = strand.table.shape
    span = channels if strand.prune else channels * (2 * model.receptive_field - width)
    # no mutant: as many at once as there is room for
    for sites in torch.arange(len(row), device=ids.device).split(max(1, _ELEMENTS // (4 * scores.shape[2] * span))):
        n, at = row[sites], place[sites]
        pooled = strand.pooled(n, at)
        if opposite is not None:
            mirrored = opposite.pooled(n, lengths[n] - at - (0 if edit.grow > 0 else 1))
            if edit.letters:
                mirrored = mirrored[:, model.complement[: model.alphabet.size]]
            pooled = model.join(pooled, mirrored)
        scores[offset + n, at] = finish(model, pooled)


def _fill_whole(model: Part, ids: Tensor, edit: Edit, places: Tensor, scores: Tensor, offset: int) -> None:
    """Score whole edited sequences."""
    places = places & (model.lengths(ids) + edit.grow > 0)[:, None]
    row, place = torch.nonzero(places, as_tuple=True)
    letters = scores.shape[2]
    for sites in torch.arange(len(row), device=ids.device).split(1024):
        n, at = (index[sites].repeat_interleave(letters) for index in (row, place))
        letter = torch.arange(letters, device=ids.device).repeat(len(sites))
        edited = edit.apply(ids[n], at, letter if edit.letters else None, model.alphabet.pad)
        scores[offset + row[sites], place[sites]] = plain_logits(model, edited).unflatten(0, (-1, letters))
