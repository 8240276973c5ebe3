"""Searches for edits: exact bookkeeping, never worse with more effort, and never outside what is allowed."""

import itertools

import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN, RNA
from seqreg.attacks import Allowed, AppliedEdit, Beam, FoundEdits, Substitution, beam_search, exhaustive_search
from seqreg.certificates import margins, predicted_class
from seqreg.errors import UsageError
from seqreg.networks import CNN, ConvNet
from seqreg.sequences import blosum62

LENGTHS = torch.tensor([11, 7, 9, 4, 10])


def network(seed: int, *, alphabet=DNA, outputs: int = 3, **fields) -> ConvNet:
    torch.manual_seed(seed)
    net = CNN(**{"filters": 5, "width": 4, **fields}).build(alphabet, outputs=outputs, length=11).double().eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


def random_ids(alphabet=DNA, lengths: torch.Tensor = LENGTHS) -> torch.Tensor:
    ids = torch.randint(0, alphabet.size, (len(lengths), int(lengths.max())), dtype=torch.uint8)
    ids[torch.arange(ids.shape[1]) >= lengths[:, None]] = alphabet.pad
    return ids


def replay(ids: torch.Tensor, edits: tuple[AppliedEdit, ...], pad: int) -> list[int]:
    """The edited sequence, written out from right to left so that positions stay those of the original."""
    codes = [code for code in ids.tolist() if code != pad]
    for edit in sorted(edits, key=lambda edit: (edit.position, edit.kind != "insertion"), reverse=True):
        if edit.kind == "insertion":
            codes.insert(edit.position, edit.new)
        else:
            assert codes[edit.position] == edit.old
            codes[edit.position : edit.position + 1] = [edit.new] if edit.kind == "substitution" else []
    return codes


def check_record(net: ConvNet, ids: torch.Tensor, y: torch.Tensor, found: FoundEdits, budget: int) -> None:
    assert found.margin.shape == (len(ids), budget + 1)
    assert (found.margin.diff(dim=1) <= 0).all()
    torch.testing.assert_close(found.margin[:, 0], margins(net(ids), y).detach())
    torch.testing.assert_close(found.margin[:, -1], margins(net(found.ids), y).detach(), atol=1e-10, rtol=0)
    for row, edits, after in zip(ids, found.edits, found.ids, strict=True):
        assert len(edits) <= budget
        several = [edit.position for edit in edits if edit.kind == "insertion"]
        if len(several) == len(set(several)):  # the order within one gap is not part of the record
            assert replay(row, edits, net.alphabet.pad) == [code for code in after.tolist() if code != net.alphabet.pad]


@pytest.mark.parametrize("seed", range(8))
def test_more_effort_never_does_less_damage(seed: int) -> None:
    pooling = ("max", "mean", "position")[seed % 3]
    net = network(seed, pooling=pooling, depth=1 + seed % 2, width=3, outputs=(1, 3)[seed % 2])
    ids = random_ids()
    y = predicted_class(net(ids))
    mask = torch.rand(len(ids), ids.shape[1], 4) < 0.8 if seed % 2 else None
    allowed = Allowed(DNA, mask=mask)
    greedy = beam_search(net, ids, y, budget=3, allowed=allowed, stop_when_wrong=False)
    beam = beam_search(net, ids, y, budget=3, width=4, allowed=allowed, stop_when_wrong=False)
    best = exhaustive_search(net, ids, y, budget=3, allowed=allowed)
    for found in (greedy, beam, best):
        check_record(net, ids, y, found, 3)
    assert (beam.margin <= greedy.margin + 1e-9).all()
    assert (best.margin <= beam.margin + 1e-9).all()
    torch.testing.assert_close(best.margin[:, :2], greedy.margin[:, :2])
    for row, edits in enumerate(best.edits):
        assert mask is None or all(mask[row, edit.position, edit.new] for edit in edits)


@pytest.mark.parametrize("pooling", ["max", "position"])
def test_a_wider_beam_does_no_less_damage_to_any_of_many(pooling: str) -> None:
    """Though what is best after two rounds need not be what greedy search goes on from."""
    net = network(214, pooling=pooling, width=3, outputs=1)
    ids = torch.randint(0, 4, (200, 7), dtype=torch.uint8)
    y = predicted_class(net(ids))
    greedy, *wider = (beam_search(net, ids, y, budget=4, width=width, stop_when_wrong=False) for width in (1, 2, 3))
    for beam in wider:
        assert (beam.margin <= greedy.margin + 1e-9).all()
        assert (beam.margin[:, -1] < greedy.margin[:, -1] - 0.1).double().mean() > 0.05


def test_stopping_early_finds_the_same_wrong_answers_with_fewer_edits() -> None:
    net, ids = network(3), random_ids()
    y = predicted_class(net(ids))
    whole = beam_search(net, ids, y, budget=4, width=2, stop_when_wrong=False)
    brief = beam_search(net, ids, y, budget=4, width=2)
    assert torch.equal(whole.margin > 0, brief.margin > 0)
    for margin, edits in zip(brief.margin, brief.edits, strict=True):
        if margin[-1] <= 0:
            assert len(edits) == int((margin > 0).sum())


@pytest.mark.parametrize("edits", [("insertion",), ("deletion",), ("substitution", "insertion", "deletion")])
def test_insertions_and_deletions_are_recorded_in_original_coordinates(edits: tuple[str, ...]) -> None:
    net = network(1, pooling="mean")
    ids = random_ids()
    y = predicted_class(net(ids))
    for width in (1, 3):
        found = beam_search(net, ids, y, budget=3, width=width, edits=edits, stop_when_wrong=False)
        check_record(net, ids, y, found, 3)
        assert {edit.kind for done in found.edits for edit in done} <= set(edits)
        assert any(found.edits)


def test_protected_positions_are_neither_replaced_nor_deleted_nor_split() -> None:
    """By the record, whose edits `replay` makes; without protection the same searches touch those positions."""
    touched = {True: set[str](), False: set[str]()}
    for seed, protect in itertools.product(range(6), (True, False)):
        torch.manual_seed(seed)
        net, ids = network(seed, width=3, pooling=("max", "mean")[seed % 2]), random_ids()
        mask = torch.ones(len(ids), ids.shape[1], 4, dtype=torch.bool)
        mask[:, 2:5] = not protect
        y = predicted_class(net(ids))
        for edits in (("substitution",), ("insertion",), ("deletion",), ("substitution", "insertion", "deletion")):
            found = beam_search(
                net, ids, y, budget=4, allowed=Allowed(DNA, mask=mask), edits=edits, stop_when_wrong=False
            )
            check_record(net, ids, y, found, 4)
            for edit in itertools.chain.from_iterable(found.edits):
                # Insertions come before the position; those at 2 and 5 are beside the stretch, not in it.
                if (3 if edit.kind == "insertion" else 2) <= edit.position < 5:
                    touched[protect].add(edit.kind)
    assert touched == {True: set(), False: {"substitution", "insertion", "deletion"}}


def test_rules_of_allowed_letters() -> None:
    residues = random_ids(PROTEIN)
    similar = Allowed(PROTEIN, "blosum62:1").ever(residues)
    for row, i, letter in itertools.product(range(2), range(4), range(20)):
        code = int(residues[row, i])
        assert similar[row, i, letter] == (letter != code and blosum62()[code, letter] >= 1)
    bases = random_ids()
    pairs = {(DNA.letters[code], DNA.letters[letter]) for code, letter in itertools.product(range(4), range(4))
             if Allowed(DNA, "transitions").ever(torch.tensor([[code]], dtype=torch.uint8))[0, 0, letter]}  # fmt: skip
    assert pairs == {("A", "G"), ("G", "A"), ("C", "T"), ("T", "C")}
    assert not Allowed(DNA).ever(bases)[3, 4:].any()


@pytest.mark.parametrize("alphabet", [DNA, RNA])
def test_synonymous_edits_keep_the_protein(alphabet) -> None:
    from Bio.Seq import Seq  # an independent genetic code

    net = network(5, alphabet=alphabet, width=3, outputs=1)
    ids = torch.tensor([list(alphabet.encode("GTTAAGACTATCA")), list(alphabet.encode("ATCTCGCGTATGA"))])
    ids = ids.to(torch.uint8)
    allowed = Allowed(alphabet, "synonymous:1")

    def translated(codes: torch.Tensor) -> str:
        return str(Seq(alphabet.decode(codes.numpy())[1:]).translate())

    reached = torch.zeros(2, 13, 4, dtype=torch.bool)
    for row, codon, letters in itertools.product(range(2), range(4), itertools.product(range(4), repeat=3)):
        spelled = ids[row].clone()
        place = slice(1 + 3 * codon, 4 + 3 * codon)
        spelled[place] = torch.tensor(letters, dtype=torch.uint8)
        if translated(spelled) == translated(ids[row]):
            reached[row, place] |= torch.nn.functional.one_hot(torch.tensor(letters), 4).bool()
    assert torch.equal(allowed.ever(ids), reached)
    steps = allowed.now(ids, ids)
    for row, i, letter in itertools.product(range(2), range(1, 13), range(4)):
        mutant = ids[row].clone()
        mutant[i] = letter
        assert steps[row, i, letter] == (translated(mutant) == translated(ids[row]))
    y = predicted_class(net(ids))
    beam = beam_search(net, ids, y, budget=3, width=3, allowed=allowed, stop_when_wrong=False)
    best = exhaustive_search(net, ids, y, budget=3, allowed=allowed)
    assert (best.margin <= beam.margin + 1e-9).all()
    for found in (beam, best):
        assert any(found.edits)
        assert [translated(after) for after in found.ids] == [translated(before) for before in ids]
        for row, edits in enumerate(found.edits):
            assert all(allowed.ever(ids)[row, edit.position, edit.new] for edit in edits)
    with pytest.raises(UsageError, match="reads codons"):
        beam_search(net, ids, y, budget=1, allowed=allowed, edits=("deletion",))


def test_rules_that_make_no_sense_are_refused() -> None:
    for alphabet, rule, words in (
        (PROTEIN, "transitions", "for dna and rna"),
        (DNA, "blosum62", "for protein"),
        (DNA, "transitionz", "Did you mean 'transitions'"),
        (DNA, "synonymous:3", "0, 1 or 2"),
        (PROTEIN, "blosum62:high", "whole number"),
    ):
        with pytest.raises(UsageError, match=words):
            Allowed(alphabet, rule)
    with pytest.raises(UsageError, match="too many"):
        exhaustive_search(network(0), torch.zeros(1, 60, dtype=torch.uint8), torch.tensor([0]), budget=4)


def test_edits_are_written_as_geneticists_do() -> None:
    codes = {letter: PROTEIN.symbols.index(letter) for letter in "AVG"}
    assert AppliedEdit(11, "substitution", codes["A"], codes["V"]).written(PROTEIN) == "p.A12V"
    assert AppliedEdit(11, "deletion", codes["A"], -1).written(PROTEIN) == "p.A12del"
    assert AppliedEdit(11, "insertion", -1, codes["G"]).written(PROTEIN) == "p.11_12insG"
    assert AppliedEdit(11, "substitution", 0, 2).written(DNA) == "12A>G"
    assert AppliedEdit(11, "deletion", 0, -1).written(DNA) == "12del"
    assert AppliedEdit(0, "insertion", -1, 2).written(DNA) == "0_1insG"


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
@pytest.mark.parametrize("steps", [1, 3])
def test_first_order_substitutions_are_the_best_of_a_linear_network(pooling: str, steps: int) -> None:
    """With filters of one letter and no nonlinearity below mean or position pooling, first order is exact."""
    net = network(4, pooling=pooling, width=1, activation="identity", outputs=1).train()
    ids = random_ids()
    y = predicted_class(net(ids))
    attacked = Substitution(budget=3, steps=steps)(net, ids, y)
    assert attacked.dtype == ids.dtype
    assert ((attacked != ids).sum(1) <= 3).all()
    assert torch.equal(attacked == DNA.pad, ids == DNA.pad)
    assert net.training
    if pooling != "max":
        best = exhaustive_search(net, ids, y, budget=3)
        torch.testing.assert_close(margins(net(attacked), y), best.margin[:, -1], atol=1e-9, rtol=0)


def test_first_order_substitutions_on_one_hot_equal_those_on_ids() -> None:
    net, ids = network(6, depth=2, width=2), random_ids()
    y = predicted_class(net(ids))
    for budget, steps in ((2, 1), (3, 2)):
        attack = Substitution(budget=budget, steps=steps)
        x = attack(net, net.one_hot(ids), y, lengths=LENGTHS)
        assert torch.equal(x, net.one_hot(attack(net, ids, y)))
        assert all(parameter.grad is None for parameter in net.parameters())
    narrow = Substitution(budget=4, allowed="transitions")(net, ids, y)
    changed = narrow != ids
    assert changed.any()
    assert (narrow[changed].int() - ids[changed].int()).abs().eq(2).all()
    with pytest.raises(UsageError, match="know the letters"):
        Substitution(allowed="transitions")(net, net.one_hot(ids), y)


def test_the_beam_as_an_attack_returns_the_worst_it_found() -> None:
    net, ids = network(7), random_ids()
    y = predicted_class(net(ids))
    found = beam_search(net, ids, y, budget=2, width=2, stop_when_wrong=False)
    assert torch.equal(Beam(budget=2, width=2)(net, ids, y), found.ids)
    with pytest.raises(UsageError, match="needs ids"):
        Beam()(net, net.one_hot(ids), y)
