"""Motifs of filters: against a loop over windows, and the laws of contributions."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.explain import FilterMotif, filter_motifs
from seqreg.explain.motifs import learned_parts, look_at
from seqreg.networks import CNN, MODELS, ConvNet
from seqreg.records import to_plain
from seqreg.sequences import SequenceSet
from seqreg.targets import Labels


def build(alphabet: Alphabet, *, pooling: str = "max", depth: int = 1, outputs: int = 1, **more: int) -> ConvNet:
    torch.manual_seed(3)
    strands = bool(more.pop("strands", 0))
    spec = CNN(filters=6, width=5, pooling=pooling, depth=depth, hidden=more.get("hidden", 0), dropout=0.5)
    net = spec.build(alphabet, outputs=outputs, length=34, reverse_complement=strands).double()
    for conv in net.convs:  # no bias, so that every filter fires somewhere
        torch.nn.init.zeros_(conv.bias)
    return net


def slow_motif(net: ConvNet, data: SequenceSet, c: int) -> tuple[np.ndarray, list[int], set[int]]:
    """Counts (W, A), starts and sites of filter c, one window at a time."""
    kernel, bias = net.first_kernel()[c].detach(), net.convs[0].bias[c].detach()
    width, mixtures = kernel.shape[1], torch.from_numpy(data.alphabet.mixtures.copy())
    best = []
    for i in range(len(data)):
        forward = torch.from_numpy(data.padded(np.array([i]))[0].copy())
        forward = torch.nn.functional.pad(forward, (0, max(0, width - len(forward))), value=data.alphabet.pad)
        strands = [forward]
        if net.reverse_complement:
            strands.append(net.reverse_complement_ids(forward[None])[0])
        length = int(data.lengths[i])
        found = (-1.0, 0, forward[:width])
        for s, ids in enumerate(strands):
            for t in range(max(length, width) - width + 1):
                value = float(torch.relu((mixtures[ids[t : t + width].long()].T * kernel).sum() + bias))
                if net.pooling == "position":  # both strands carry half of the head's weight at window t
                    heads = net.output.weight.detach().view(-1, len(net.first_kernel()), net.windows)
                    value *= float(heads[:, c, t].abs().max()) / len(strands)
                if value > found[0]:
                    found = (value, (max(length - width - t, 0) if s else t) + 1, ids[t : t + width])
        best.append(found)
    largest = max(value for value, _, _ in best)
    sites = {i for i, (value, _, _) in enumerate(best) if value > 0.5 * largest}
    counts = sum((mixtures[best[i][2].long()] for i in sorted(sites)), torch.zeros(width, data.alphabet.size))
    return counts.numpy(), [best[i][1] for i in sorted(sites)], sites


@pytest.mark.parametrize(
    ("strands", "depth", "pooling"), [(0, 1, "max"), (0, 1, "position"), (1, 1, "position"), (1, 2, "mean")]
)
def test_counts_sites_and_starts_equal_a_loop_over_windows(
    strands: int, depth: int, pooling: str, dna: SequenceSet
) -> None:
    net = build(DNA, pooling=pooling, depth=depth, strands=strands)
    codes = dna.codes.copy()
    codes[::17] = DNA.symbols.index("N")
    data = replace(dna, codes=codes)
    motifs = filter_motifs(net, data, batch=7)
    assert motifs
    for motif in motifs:
        counts, starts, sites = slow_motif(net, data, motif.filter)
        np.testing.assert_allclose(motif.counts, counts, atol=1e-12)
        assert motif.sites == len(sites)
        assert motif.start == tuple(np.quantile(starts, [0.25, 0.5, 0.75]))
        for k, name in enumerate(data.classes):
            members = set(np.flatnonzero(data.y == k))
            assert motif.fires[name] == pytest.approx(len(sites & members) / len(members), abs=1e-12)


@pytest.mark.parametrize(("pooling", "depth"), [("max", 1), ("mean", 2), ("position", 1)])
def test_contributions_add_up_to_the_logits(pooling: str, depth: int, plant: Callable[..., SequenceSet]) -> None:
    data = plant(PROTEIN, "WKHFC", n=21)
    net = build(PROTEIN, pooling=pooling, depth=depth, outputs=2)
    labels = Labels(names=data.classes)
    data = replace(data, target=labels, y=np.stack([data.y, 1 - data.y], 1).astype(np.uint8))  # type: ignore[operator]
    torch.nn.init.zeros_(net.output.bias)
    # Without later biases the logits are homogeneous in the first activations (Euler): contributions are all there is.
    net.convs[0].bias.data.fill_(50.0)  # type: ignore[operator]
    net.convs[0].weight.data.mul_(0.1)  # type: ignore[operator]
    motifs = filter_motifs(net, data)
    with torch.no_grad():
        logits = net.eval()(torch.from_numpy(data.padded())).mean(0)
    assert [motif.sites for motif in motifs] == [len(data)] * 6
    totals = [sum(motif.effect[name] for motif in motifs) for name in data.classes]
    np.testing.assert_allclose(totals, logits.numpy(), rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "vectors"])
def test_contributions_are_made_by_every_model(name: str, plant: Callable[..., SequenceSet]) -> None:
    data = plant(DNA, "TGACGTCA", n=24)
    net = MODELS[name]().build(DNA, outputs=1, length=34).double()
    found = filter_motifs(net, data, top=10**6)
    assert len(found) > 0
    assert len({motif.filter for motif in found}) == len(found)
    parts = learned_parts(net)
    assert max(motif.filter for motif in found) < sum(len(part.first_kernel()) for part in parts)
    if parts == [net]:  # a linear head over one layer: what its filters contribute is all there is but its bias
        contribution = look_at(parts[0], data).contribution.sum(2)
        with torch.no_grad():
            logits = net.eval()(torch.from_numpy(data.padded())) - parts[0].output.bias
        torch.testing.assert_close(contribution, logits)


def test_a_filter_made_of_the_motif_comes_first_and_shows_it(protein: SequenceSet) -> None:
    net = build(PROTEIN)
    motif = PROTEIN.encode("WKHFC")
    with torch.no_grad():
        net.convs[0].weight.mul_(0.01)
        net.convs[0].weight[4] = torch.from_numpy(PROTEIN.mixtures[motif].T.copy())
        net.convs[0].bias[4] = -2.5
        net.output.weight.fill_(0.7)
    first = filter_motifs(net, protein)[0]
    assert first.filter == 4
    assert "".join(PROTEIN.letters[a] for a in first.counts.argmax(1)) == "WKHFC"
    assert first.fires["with"] == 1.0
    assert first.fires["absent"] < 0.5
    assert first.effect["with"] > 0
    assert first.effect["absent"] == -first.effect["with"]


def test_where_position_counts_a_motif_out_of_place_is_no_site(protein: SequenceSet) -> None:
    net = build(PROTEIN, pooling="position")
    motif = PROTEIN.encode("WKHFC")
    codes = protein.codes.copy()
    for i, begin in enumerate(protein.offsets[:-1]):
        place = 3 if i % 2 else 11
        codes[begin + place : begin + place + len(motif)] = motif
    with torch.no_grad():
        net.convs[0].weight[:] = torch.from_numpy(PROTEIN.mixtures[motif].T.copy())
        net.convs[0].bias[:] = -3.5
        net.output.weight.fill_(0.001)
        net.output.weight.view(6, net.windows)[:, 3] = 1.0
    found = filter_motifs(net, replace(protein, codes=codes))[0]
    assert found.start == (4.0, 4.0, 4.0)
    assert found.fires == {"absent": 0.0, "with": 1.0}


def test_importance_falls_and_top_and_sample_are_obeyed(dna: SequenceSet) -> None:
    net = build(DNA, hidden=3)
    importance = [motif.importance for motif in filter_motifs(net, dna)]
    assert importance == sorted(importance, reverse=True)
    few = filter_motifs(net, dna, top=2, sample=11)
    assert len(few) == 2
    assert all(motif.sites <= 11 for motif in few)


def test_the_network_is_left_as_found(dna: SequenceSet) -> None:
    net = build(DNA).train()
    first, second = filter_motifs(net, dna), filter_motifs(net, dna)
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())
    assert to_plain(first) == to_plain(second)
    assert isinstance(first[0], FilterMotif)
    assert np.shape(to_plain(first)[0]["counts"]) == (5, 4)
