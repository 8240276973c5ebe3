"""Likeness to training sequences, position by position: a kernel machine, and what it proves of itself."""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.errors import UsageError
from seqreg.export import onnx_bytes
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.mutagenesis.scores import forward_substitution_scores
from seqreg.networks import Blosum62, NeighbourNet, Sum, SumNet
from seqreg.networks.neighbours import WIDTH
from seqreg.predictors.network import Architecture, TrainedNetwork, logits_of, restored
from seqreg.sequences import SequenceSet
from seqreg.targets import Values
from seqreg.training import TrainConfig, fit, with_defaults
from seqreg.training.defaults import MOST_NEIGHBOURS, decided, default_model

ALONE = Sum(spectrum=0, positions=False, pooling=("none",), neighbours=30)


def mutants(alphabet: Alphabet, n: int, length: int = 9, seed: int = 0) -> SequenceSet:
    """Sequences with up to two letters replaced, of values that are sums over positions and one product."""
    rng = np.random.default_rng(seed)
    wild = np.random.default_rng(5).integers(alphabet.size, size=length)
    effect = np.random.default_rng(6).normal(size=(length, alphabet.size))
    codes = np.tile(wild, (n, 1)).astype(np.uint8)
    for row in codes:
        row[rng.choice(length, 2)] = rng.integers(alphabet.size, size=2)
    single = effect[np.arange(length), codes]
    y = single.sum(1) + single[:, 0] * single[:, 3]
    values = Values(title="activity").learned_from(y)
    names = [f"m{i}" for i in range(n)]
    offsets = np.arange(n + 1, dtype=np.int64) * length
    return SequenceSet(alphabet=alphabet, names=names, codes=codes.ravel(), offsets=offsets, target=values, y=y)


def network(alphabet: Alphabet = DNA, *, outputs: int = 2, length: int = 5, references: int = 4) -> NeighbourNet:
    """A network in float64 with random references, the last of which is not used."""
    net = NeighbourNet(alphabet, references, outputs=outputs, length=length).double().eval()
    net.references[:-1] = torch.randint(alphabet.size, (references - 1, length), dtype=torch.uint8)
    net.spread.fill_(3.7)
    return net.requires_grad_(False)


def every(length: int) -> Tensor:
    """All sequences of DNA."""
    return torch.tensor(list(itertools.product(range(4), repeat=length)), dtype=torch.uint8)


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN])
def test_likeness_is_the_gaussian_of_encoded_letters(alphabet: Alphabet) -> None:
    net = network(alphabet)
    letters = Blosum62().matrix(PROTEIN) if alphabet is PROTEIN else np.eye(4)
    ids = torch.randint(alphabet.size, (3, 5), dtype=torch.uint8)
    found = net.features(ids)
    for n, r in itertools.product(range(3), range(3)):
        apart = letters[ids[n].numpy()] - letters[net.references[r].numpy()]
        assert found[n, r].item() == pytest.approx(np.exp(-(apart**2).sum() / np.float32(3.7)))
    longer = torch.cat([ids, ids[:, :2]], 1)
    torch.testing.assert_close(net.features(longer), found)  # later letters do not count


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN])
def test_it_is_kernel_ridge_regression_on_the_training_part(alphabet: Alphabet) -> None:
    data = mutants(alphabet, 30)
    config = with_defaults(TrainConfig(model=ALONE, reverse_complement=False, valid=0.0), data, None)
    net = ALONE.build(alphabet, outputs=1, length=9)
    with torch.random.fork_rng():
        fit(net, config, data, None)
    part = net.part("neighbours")
    assert isinstance(part, NeighbourNet)
    letters = Blosum62().matrix(PROTEIN) if alphabet is PROTEIN else np.eye(4)
    rows = letters[data.codes.reshape(30, 9)].reshape(30, -1)
    apart = pdist(rows, "sqeuclidean")
    assert part.spread.item() == pytest.approx(np.median(apart[apart > 0]) / WIDTH, rel=1e-2)
    new = mutants(alphabet, 7, seed=1)
    others = letters[new.codes.reshape(7, 9)].reshape(7, -1)
    _, y = data.labelled()
    mean = rows.mean(0)
    fits = []
    for strength in np.geomspace(1e-5, 1e3, 400):  # the one that it chose is among them, nearly
        gamma = 1 / part.spread.item()
        kernel = np.exp(-gamma * ((rows[:, None] - rows) ** 2).sum(2))
        across = np.exp(-gamma * ((others[:, None] - rows) ** 2).sum(2))
        middle = kernel.mean(0)
        centred = kernel - middle - middle[:, None] + kernel.mean()
        solved = KernelRidge(alpha=strength, kernel="precomputed").fit(centred, data.target.learned(y))  # pyright: ignore[reportOptionalMemberAccess]
        fits.append(solved.predict(across - across.mean(1)[:, None] - middle + kernel.mean()))
    found = logits_of(net, new, 1)[:, 0]
    shape = [np.corrcoef(found, each)[0, 1] for each in fits]
    assert max(shape) > 0.9999
    assert mean.shape == (9 * alphabet.size,)


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN])
def test_effects_of_edits_are_exact(alphabet: Alphabet) -> None:
    net = network(alphabet)
    ids = torch.randint(alphabet.pad, (4, 7), dtype=torch.uint8)  # longer than the references, with mixtures
    ids[1, 3:] = ids[2, 6:] = alphabet.pad
    expected = forward_substitution_scores(net, ids)
    torch.testing.assert_close(substitution_scores(net, ids), expected)
    for n, row in enumerate(ids[:3].tolist()):
        plain = [letter for letter in row if letter != alphabet.pad]
        first = insertion_scores(net, ids)[n, 0, 2]
        padded = torch.tensor([[2, *plain]], dtype=torch.uint8)
        torch.testing.assert_close(first, net(padded)[0])
        torch.testing.assert_close(
            deletion_scores(net, ids)[n, 0], net(torch.tensor([plain[1:]], dtype=torch.uint8))[0]
        )


def test_no_effect_is_above_its_bound_and_the_norm_is_that_of_the_space() -> None:
    net, ids = network(length=4), every(4)
    scores = net(ids)
    u = torch.tensor([[1.0, -2.0], [0.5, 0.0]], dtype=torch.float64)
    bound = net.effects(u)
    sharp = torch.zeros_like(bound[..., :4, :])
    for i, old, new in itertools.product(range(4), range(4), range(4)):
        there = ids[:, i] == old
        changed = ids[there].clone()
        changed[:, i] = new
        sharp[:, i, old, new] = ((net(changed) - scores[there]) @ u.t()).abs().amax(0)
    assert (sharp <= bound[:, :, :4] + 1e-12).all()
    assert (sharp > 0.3 * bound[:, :, :4]).any()  # of the size of what there is
    norm, weight = net.lipschitz(None, u[0]) / np.sqrt(2 / np.float32(3.7)), u[0] @ net.output.weight
    kernel = net.features(net.references)
    assert norm.item() == pytest.approx((weight @ kernel @ weight).sqrt().item(), rel=1e-6)


@pytest.mark.parametrize("others", [0, 1, 2])
def test_costs_at_a_site_hold_after_other_letters_were_replaced(others: int) -> None:
    net, ids = network(length=3, outputs=1), every(3)
    u = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    costs = net.site_costs(u, ids, others)
    anywhere = net.site_costs(u, ids, None)
    assert costs is not None
    assert anywhere is not None
    assert (costs <= anywhere + 1e-12).all()
    scores = {tuple(row): value.item() for row, value in zip(ids.tolist(), net(ids)[:, 0], strict=True)}
    for n, row in enumerate(ids.tolist()):
        for other in ids.tolist():
            apart = [i for i in range(3) if row[i] != other[i]]
            if len(apart) > others:
                continue
            for i, letter in itertools.product(set(range(3)) - set(apart), range(4)):
                mutant = [*other[:i], letter, *other[i + 1 :]]
                moved = scores[tuple(other)] - scores[tuple(mutant)]
                assert moved <= costs[n, 0, i, letter] + 1e-12
                assert -moved <= costs[n, 1, i, letter] + 1e-12


def test_what_is_remembered_of_effects_is_of_the_same_weights() -> None:
    net = network()
    u = torch.ones(1, 2, dtype=torch.float64)
    before = net.effects(u)
    torch.testing.assert_close(net.effects(u), before)
    with torch.no_grad():
        net.output.weight.mul_(3)
    torch.testing.assert_close(net.effects(u), 3 * before)
    torch.testing.assert_close(copy.deepcopy(net).effects(-u), 3 * before)


def test_values_of_proteins_of_one_length_have_neighbours_by_default() -> None:
    data = mutants(PROTEIN, 12)
    assert default_model(data, in_place=True).neighbours == 12 <= MOST_NEIGHBOURS
    assert default_model(mutants(DNA, 12), in_place=True).neighbours == 0
    shorter = data.subset(np.arange(11))
    unequal = SequenceSet(
        alphabet=PROTEIN,
        names=data.names,
        codes=np.concatenate([shorter.codes, data.codes[-5:]]),
        offsets=np.concatenate([shorter.offsets, [shorter.offsets[-1] + 5]]),
        target=data.target,
        y=data.y,
    )
    assert default_model(unequal, in_place=True).neighbours == 0


@pytest.mark.parametrize("first", ["neighbours.references", "neighbours.output.weight"])
def test_it_is_restored_whatever_stands_first_in_a_file(first: str) -> None:
    about = {"model": "sum:spectrum=0,positions=false,pooling=none,neighbours=3", "encoding": "one-hot"}
    shape = {"alphabet": "protein", "length": 6, "shortest": 6, "reverse_complement": False}
    architecture = Architecture(**about, **shape, target=Values(title="activity"))
    weights = architecture.build().state_dict()
    name = f"parts.{first}"
    again = restored(architecture, {name: weights[name], **weights})
    assert all(torch.equal(value, again.module.state_dict()[key]) for key, value in weights.items())


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN])
def test_values_of_one_length_need_no_evidence_of_positions(alphabet: Alphabet) -> None:
    data = mutants(alphabet, 60)
    config, reasons = decided(TrainConfig(), data, None)
    assert config.model.pooling == ("max", "position")
    assert config.reverse_complement is False
    assert [reason.split(":")[0] for reason in reasons] == ["Positions count"]
    if alphabet is DNA:
        assert with_defaults(TrainConfig(reverse_complement=True), data, None).reverse_complement
        said, reasons = decided(TrainConfig(), replace(data, both_strands=True), None)
        assert said.reverse_complement
        assert reasons[0].startswith("Reads both strands: the data say")


def test_both_strands_are_refused() -> None:
    with pytest.raises(UsageError, match="on one strand"):
        ALONE.build(DNA, outputs=1, length=9, reverse_complement=True)


@pytest.mark.onnx
def test_it_is_exported() -> None:
    pytest.importorskip("onnxruntime")
    architecture = Architecture(
        model="sum:spectrum=1,pooling=none,neighbours=4",
        encoding="one-hot",
        alphabet="protein",
        target=Values(title="activity", scale=2.0),
        length=6,
        shortest=6,
        reverse_complement=False,
    )
    module = architecture.build().eval()
    assert isinstance(module, SumNet)
    part = module.part("neighbours")
    assert isinstance(part, NeighbourNet)
    part.references.copy_(torch.randint(20, (4, 6)))
    assert onnx_bytes(TrainedNetwork(architecture=architecture, module=module))  # compared with the network there
