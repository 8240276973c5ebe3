"""Searches for the edits that cost the margin most, with exact scores of every candidate."""

import itertools

import torch
from torch import Tensor

from seqreg.attacks.allowed import Allowed
from seqreg.attacks.found import Best, FoundEdits, join_batches
from seqreg.attacks.variant import Variants
from seqreg.certificates import margins
from seqreg.errors import UsageError
from seqreg.mutagenesis import EDITS, INSERTION, deletion_scores, insertion_scores, plain_logits, substitution_scores
from seqreg.networks import SequenceNetwork


@torch.no_grad()
def beam_search(
    model: SequenceNetwork,
    ids: Tensor,
    y: Tensor,
    *,
    budget: int,
    width: int = 1,
    allowed: Allowed | None = None,
    edits: tuple[str, ...] = ("substitution",),
    stop_when_wrong: bool = True,
    batch_size: int = 32,
) -> FoundEdits:
    """Edits of ids (N, L) with targets y by beam search: a round scores all single edits of the `width` best variants.

    One place of the beam always follows the single best edits (width = 1: greedy search), so a wider beam never does
    less damage. No letter is edited twice. stop_when_wrong: a sequence is left alone once its margin is not positive.
    """
    unknown = [name for name in edits if name not in EDITS]
    if unknown or not edits:
        raise UsageError(f"edits are {', '.join(EDITS)}; got {'+'.join(edits) or 'none'}")
    allowed = allowed or Allowed(model.alphabet)
    if allowed.fixed_frame and edits != ("substitution",):
        raise UsageError(f"the rule {allowed.rule} reads codons: it goes with substitutions only")
    parts = [
        _beam(model, ids[rows], y[rows], budget, width, allowed.rows(rows), edits, stop_when_wrong)
        for rows in torch.arange(len(ids), device=ids.device).split(max(1, batch_size // width))
    ]
    return join_batches(parts)


def _beam(
    model: SequenceNetwork,
    ids: Tensor,
    y: Tensor,
    budget: int,
    width: int,
    allowed: Allowed,
    edits: tuple[str, ...],
    stop_when_wrong: bool,
) -> FoundEdits:
    pad = model.alphabet.pad
    original = Variants.unedited(ids).widened(budget if "insertion" in edits else 0, pad)
    worst = margins(plain_logits(model, ids), y, model)
    found = Best(worst, original)
    beam = original
    for _ in range(budget):
        if stop_when_wrong:
            beam = beam.rows(torch.nonzero(found.margin[-1][beam.owner] > 0).squeeze(1))
        if len(beam.ids) == 0:
            found.keep()
            continue
        candidates = _candidates(model, beam, y, allowed, ids, edits)  # S, M
        beam, margin = _chosen(beam, candidates, width, model, edits)
        found.add(beam, margin)
    return found.result()


def _candidates(
    model: SequenceNetwork, beam: Variants, y: Tensor, allowed: Allowed, original: Tensor, edits: tuple[str, ...]
) -> Tensor:
    """(S, M) margins after each single edit: substitutions (L * A), insertions ((L + 1) * A), deletions (L)."""
    inside = beam.ids != model.alphabet.pad
    target = y[beam.owner]
    rule = allowed.rows(beam.owner)
    if rule.mask is not None:
        # The mask speaks of the original's positions; letters carry them along.
        at = beam.source.clamp(max=rule.mask.shape[1] - 1)
        rule = Allowed(rule.alphabet, rule.rule, rule.mask.gather(1, at[:, :, None].expand(-1, -1, rule.mask.shape[2])))
    first = original[beam.owner] if rule.fixed_frame else beam.ids
    letters = rule.now(first, beam.ids)
    letters &= torch.arange(letters.shape[2], device=letters.device) != beam.ids[:, :, None]
    letters &= (inside & ~beam.frozen)[:, :, None]
    blocks: list[Tensor] = []
    for name in edits:
        if name == "substitution":
            block = margins(substitution_scores(model, beam.ids), target, model).masked_fill(~letters, torch.inf)
        elif name == "insertion":
            lengths = inside.sum(1)
            may = INSERTION.places(lengths, beam.ids.shape[1])
            may &= (lengths < beam.ids.shape[1])[:, None]
            may &= ~_between_protected(letters, inside, beam.frozen)
            block = margins(insertion_scores(model, beam.ids), target, model).masked_fill(~may[:, :, None], torch.inf)
        else:
            may = letters.any(2) & (inside.sum(1) > 1)[:, None]
            block = margins(deletion_scores(model, beam.ids), target, model).masked_fill(~may, torch.inf)
        blocks.append(block.flatten(1))
    return torch.cat(blocks, 1)


def _between_protected(letters: Tensor, inside: Tensor, frozen: Tensor) -> Tensor:
    """(S, L + 1) bool, junctions whose both neighbours may not change: nothing is inserted into a protected stretch."""
    protected = ~letters.any(2) & inside & ~frozen
    outside = protected.new_zeros(len(protected), 1)
    return torch.cat([outside, protected], 1) & torch.cat([protected, outside], 1)


def _chosen(
    beam: Variants, candidates: Tensor, width: int, model: SequenceNetwork, edits: tuple[str, ...]
) -> tuple[Variants, Tensor]:
    """The next beam with its margins (S,): per owner the best edit of its first variant, then the best of all."""
    members: dict[int, list[int]] = {}
    for slot, owner in enumerate(beam.owner.tolist()):
        members.setdefault(owner, []).append(slot)
    value, flat = candidates.topk(min(width * width, candidates.shape[1]), dim=1, largest=False)
    value_of, flat_of = value.tolist(), flat.tolist()
    greedy = candidates.topk(1, dim=1, largest=False)  # of equal edits another may come first among more
    best_of, move_of = greedy.values[:, 0].tolist(), greedy.indices[:, 0].tolist()
    parents, moves, worth = [], [], []
    for slots in members.values():
        ranked = sorted(
            (value_of[slot][rank], slot, flat_of[slot][rank]) for slot in slots for rank in range(value.shape[1])
        )
        first = (best_of[slots[0]], slots[0], move_of[slots[0]])
        seen: set[tuple[tuple[int, str, int], ...]] = set()
        for margin, slot, move in itertools.chain([first], ranked):
            done = [(edit.position, edit.kind, edit.new) for edit in beam.edits[slot]]
            key = tuple(sorted([*done, _named(beam, slot, move, model, edits)]))
            if len(seen) == width or margin == torch.inf or key in seen:
                continue
            seen.add(key)
            parents.append(slot)
            moves.append(move)
            worth.append(margin)
    at = torch.tensor(parents, dtype=torch.long, device=candidates.device)
    margin = torch.tensor(worth, dtype=candidates.dtype, device=candidates.device)
    return _apply(beam.rows(at), moves, model, edits), margin


def _decoded(move: int, length: int, letters: int, edits: tuple[str, ...]) -> tuple[str, int, int]:
    """Kind, place and letter of a column of the candidates."""
    for name in edits:
        size = {"substitution": length * letters, "insertion": (length + 1) * letters, "deletion": length}[name]
        if move < size:
            return (name, move, 0) if name == "deletion" else (name, move // letters, move % letters)
        move -= size
    raise AssertionError(move)


def _named(
    beam: Variants, slot: int, move: int, model: SequenceNetwork, edits: tuple[str, ...]
) -> tuple[int, str, int]:
    """An edit in original coordinates, so that one set of edits in two orders is one set."""
    length = beam.ids.shape[1]
    name, place, letter = _decoded(move, length, model.alphabet.size, edits)
    return int(beam.source[slot, place]) if place < length else length, name, letter if EDITS[name].letters else -1


def _apply(variants: Variants, moves: list[int], model: SequenceNetwork, edits: tuple[str, ...]) -> Variants:
    """Each variant (S,) with its move made, in the same order and frame."""
    length = variants.ids.shape[1]
    decoded = [_decoded(move, length, model.alphabet.size, edits) for move in moves]
    if not decoded:
        return variants
    made: list[Variants] = []
    order: list[int] = []
    for name in edits:
        chosen = [row for row, (kind, _, _) in enumerate(decoded) if kind == name]
        if not chosen:
            continue
        order += chosen
        index, place, letter = (
            torch.tensor(column, device=variants.ids.device)
            for column in (chosen, [decoded[row][1] for row in chosen], [decoded[row][2] for row in chosen])
        )
        new = variants.rows(index).edited(EDITS[name], place, letter, model.alphabet.pad)
        made.append(Variants(new.owner, new.ids[:, :length], new.source[:, :length], new.frozen[:, :length], new.edits))
    together = Variants(
        owner=torch.cat([part.owner for part in made]),
        ids=torch.cat([part.ids for part in made]),
        source=torch.cat([part.source for part in made]),
        frozen=torch.cat([part.frozen for part in made]),
        edits=[done for part in made for done in part.edits],
    )
    return together.rows(torch.tensor(order, device=variants.ids.device).argsort())
