"""Mutagenesis: every score equals a forward pass on the edited sequence, spelled out letter by letter."""

import itertools

import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.mutagenesis import (
    EDITS,
    deletion_scores,
    forward_substitution_scores,
    insertion_scores,
    substitution_scores,
)
from seqreg.networks import CNN, Blosum62, ConvNet, SmoothCNN

LENGTHS = (13, 1, 6, 7, 9, 2, 8)
NETWORKS = [
    (alphabet, pooling, depth, hidden, strands)
    for alphabet, pooling, depth, hidden, strands in itertools.product(
        (DNA, PROTEIN), ("max", "mean", "position"), (1, 2, 3), (0, 5), (False, True)
    )
    if not (strands and alphabet is PROTEIN)
]


def network(
    alphabet: Alphabet,
    pooling: str,
    depth: int,
    hidden: int,
    strands: bool,
    *,
    width: int = 3,
    activation: str = "relu",
) -> ConvNet:
    spec = CNN(filters=6, width=width, depth=depth, pooling=pooling, hidden=hidden, activation=activation, dropout=0.5)
    net = spec.build(alphabet, outputs=2, length=11, reverse_complement=strands).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return net


def sequences(alphabet: Alphabet, lengths: tuple[int, ...] = LENGTHS) -> list[list[int]]:
    """Random codes with one ambiguous symbol in the longest."""
    drawn = [torch.randint(0, alphabet.size, (length,)).tolist() for length in lengths]
    drawn[0][4] = alphabet.size + 1
    return drawn


def padded(alphabet: Alphabet, codes: list[list[int]]) -> torch.Tensor:
    width = max(map(len, codes))
    return torch.tensor([row + [alphabet.pad] * (width - len(row)) for row in codes], dtype=torch.uint8)


def edited(codes: list[int], edit: str, place: int, letter: int) -> list[int]:
    return {
        "substitution": [*codes[:place], letter, *codes[place + 1 :]],
        "insertion": [*codes[:place], letter, *codes[place:]],
        "deletion": [*codes[:place], *codes[place + 1 :]],
    }[edit]


def score(net: ConvNet, codes: list[list[int]]) -> torch.Tensor:
    training = net.training
    logits = net.eval()(padded(net.alphabet, codes)).detach()
    net.train(training)
    return logits


def by_hand(net: ConvNet, codes: list[list[int]], edit: str) -> torch.Tensor:
    """(N, P, A, K): unchanged sequences at places that are not there, and where the only letter would go."""
    letters = net.alphabet.size if edit != "deletion" else 1
    places = max(map(len, codes)) + (edit == "insertion")
    mutants = []
    for row in codes:
        inside = len(row) + (edit == "insertion") if len(row) > 1 or edit != "deletion" else 0
        mutants += [
            edited(row, edit, place, letter) if place < inside else row
            for place in range(places)
            for letter in range(letters)
        ]
    return score(net, mutants).unflatten(0, (len(codes), places, letters))


@pytest.mark.parametrize(("alphabet", "pooling", "depth", "hidden", "strands"), NETWORKS)
def test_every_edit_scores_like_the_edited_sequence(
    alphabet: Alphabet, pooling: str, depth: int, hidden: int, strands: bool
) -> None:
    net = network(alphabet, pooling, depth, hidden, strands).train()
    codes = sequences(alphabet, LENGTHS if alphabet is DNA else LENGTHS[:4])
    ids = padded(alphabet, codes)
    close = {"atol": 1e-10, "rtol": 0}
    torch.testing.assert_close(substitution_scores(net, ids), by_hand(net, codes, "substitution"), **close)
    torch.testing.assert_close(insertion_scores(net, ids), by_hand(net, codes, "insertion"), **close)
    torch.testing.assert_close(deletion_scores(net, ids), by_hand(net, codes, "deletion")[:, :, 0], **close)
    assert net.training


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
@pytest.mark.parametrize("activation", ["relu", "smoothed-relu", "identity"])
@pytest.mark.parametrize("width", [1, 2, 7])
def test_filters_of_any_width_and_activation(pooling: str, activation: str, width: int) -> None:
    net = network(DNA, pooling, 1, 0, True, width=width, activation=activation)
    codes = sequences(DNA)
    ids = padded(DNA, codes)
    torch.testing.assert_close(substitution_scores(net, ids), by_hand(net, codes, "substitution"), atol=1e-10, rtol=0)
    torch.testing.assert_close(insertion_scores(net, ids), by_hand(net, codes, "insertion"), atol=1e-10, rtol=0)
    torch.testing.assert_close(deletion_scores(net, ids), by_hand(net, codes, "deletion")[:, :, 0], atol=1e-10, rtol=0)


def test_the_smooth_network_and_its_windows_of_ambiguous_letters() -> None:
    net = SmoothCNN(filters=6, width=4, smoothing=0.3).build(DNA, outputs=2, length=13).double()
    codes = sequences(DNA)
    ids = padded(DNA, codes)
    torch.testing.assert_close(substitution_scores(net, ids), by_hand(net, codes, "substitution"), atol=1e-10, rtol=0)
    torch.testing.assert_close(insertion_scores(net, ids), by_hand(net, codes, "insertion"), atol=1e-10, rtol=0)
    torch.testing.assert_close(deletion_scores(net, ids), by_hand(net, codes, "deletion")[:, :, 0], atol=1e-10, rtol=0)


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
def test_single_precision_agrees_with_forward_passes_on_a_long_protein(pooling: str) -> None:
    net = CNN(filters=33, width=10, pooling=pooling).build(PROTEIN, outputs=2, length=90, encoding=Blosum62())
    ids = torch.randint(0, 20, (2, 90), dtype=torch.uint8)
    ids[1, 70:] = PROTEIN.pad
    torch.testing.assert_close(substitution_scores(net, ids), forward_substitution_scores(net, ids), atol=1e-5, rtol=0)


def test_other_modules_are_run_on_every_mutant() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv1d(4, 3, 2), torch.nn.ReLU(), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten()
    )
    x = torch.nn.functional.one_hot(torch.randint(0, 4, (2, 9)), 4).transpose(1, 2).float()
    scores = substitution_scores(module, x)
    mutant = x.clone()
    mutant[1, :, 5] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    torch.testing.assert_close(scores[1, 5, 2], module(mutant)[1].detach())
    unchanged = scores.gather(2, x.transpose(1, 2).argmax(2)[:, :, None, None].expand(-1, -1, 1, 3))[:, :, 0]
    torch.testing.assert_close(unchanged, module(x).detach()[:, None].expand(-1, 9, -1))


@pytest.mark.parametrize("name", EDITS)
def test_edited_sequences_are_those_spelled_out(name: str) -> None:
    codes = [[0, 1, 2, 3, 2], [3, 1, 2]]
    for place in range(3):
        new = EDITS[name].apply(padded(DNA, codes), torch.tensor([place, place]), torch.tensor([3, 0]), DNA.pad)
        wanted = [edited(row, name, place, letter) for row, letter in zip(codes, (3, 0), strict=True)]
        assert [[code for code in row if code != DNA.pad] for row in new.tolist()] == wanted
