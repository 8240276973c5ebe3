"""Local alignments: sums over all of them, counted one by one, and a network that is linear in their logarithms."""

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from Bio.Align import PairwiseAligner, substitution_matrices
from scipy.optimize import minimize
from torch import Tensor

from seqreg.alphabet import DNA, PROTEIN
from seqreg.errors import UsageError
from seqreg.explain import integrated_gradients
from seqreg.export import onnx_bytes
from seqreg.linear import inner_folds
from seqreg.metrics import auroc
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.mutagenesis.scores import forward_substitution_scores
from seqreg.networks import AlignmentNet, Sum, as_onehot
from seqreg.networks.alignment_blocks import blocks_of
from seqreg.networks.alignments import draw_references
from seqreg.networks.local_alignment import BETA, EXTEND, OPEN, Queries, log_sums, passing
from seqreg.predictors.network import load_trained
from seqreg.sequences import SequenceSet, blosum62
from seqreg.targets import Classes, Labels
from seqreg.training import TrainConfig, fit, train, with_defaults
from seqreg.training.learning import learn
from seqreg.training.stacking import fit_parts
from seqreg.training.weighing import mean_loss

Plant = Callable[..., SequenceSet]
SIMILARITY = PROTEIN.mixtures @ blosum62() @ PROTEIN.mixtures.T
ALONE = Sum(spectrum=0, positions=False, pooling=("none",), alignments=20)


def chains(rows: int, columns: int, begin: tuple[int, int] = (0, 0)) -> Iterator[list[tuple[int, int]]]:
    """Every way to match positions of two sequences, one pair at least, both in order."""
    for i, j in itertools.product(range(begin[0], rows), range(begin[1], columns)):
        yield [(i, j)]
        for rest in chains(rows, columns, (i + 1, j + 1)):
            yield [(i, j), *rest]


def score(chain: list[tuple[int, int]], one: np.ndarray, other: np.ndarray) -> float:
    """Similarities of what is matched, less what gaps cost between one match and the next."""
    total = sum(SIMILARITY[one[i], other[j]] for i, j in chain)
    for (i, j), (next_i, next_j) in itertools.pairwise(chain):
        gaps = (next_i - i - 1, next_j - j - 1)
        total -= sum(OPEN + EXTEND * (gap - 1) for gap in gaps if gap)
    return float(total)


def counted(one: np.ndarray, other: np.ndarray) -> float:
    """The score, by going through all alignments."""
    sums = sum(math.exp(BETA * score(chain, one, other)) for chain in chains(len(one), len(other)))
    return math.log(1 + sums) / BETA


def sequences(rng: np.random.Generator, lengths: list[int], symbols: int = PROTEIN.size) -> np.ndarray:
    """ids (N, L) of random sequences."""
    ids = np.full((len(lengths), max(lengths)), PROTEIN.pad, dtype=np.uint8)
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.integers(symbols, size=length)
    return ids


def plain(row: np.ndarray) -> np.ndarray:
    """A sequence without padding."""
    return row[row != PROTEIN.pad].astype(np.int64)


def queries(ids: np.ndarray, dtype: type = np.float64) -> Queries:
    match = np.exp(BETA * SIMILARITY)
    match[:, PROTEIN.pad] = 0
    return Queries(match=match.astype(dtype), kinds=[plain(row) for row in ids])


def network(rng: np.random.Generator, references: list[int], *, outputs: int = 2) -> AlignmentNet:
    """A network in double precision with random references, the last of which is not used."""
    net = AlignmentNet(PROTEIN, len(references) + 1, outputs=outputs, length=max(references)).double().eval()
    net.references[:-1] = torch.from_numpy(sequences(rng, references, PROTEIN.pad))
    return net


def test_the_sum_is_over_every_local_alignment(rng: np.random.Generator) -> None:
    ids, references = sequences(rng, [1, 3, 4, 5], PROTEIN.pad), sequences(rng, [5, 1, 4, 2, 3], PROTEIN.pad)
    ids[2, :3] = references[0, [0, 1, 4]]  # so that gaps are worth their costs
    references[2, :4] = PROTEIN.encode("WCWC")
    ids[3, :5] = PROTEIN.encode("WCAWC")
    found = log_sums(queries(ids), blocks_of(references, PROTEIN.pad), len(references), 1)
    expected = [[counted(plain(one), plain(other)) for other in references] for one in ids]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_is_at_least_that_of_the_best_alignment_and_never_overflows(
    rng: np.random.Generator, dtype: type
) -> None:
    ids, references = sequences(rng, [30, 900, 150]), sequences(rng, [900, 40, 1, 800, *range(20, 37)])
    references[0] = ids[1]
    references[3, :800] = np.delete(ids[1], np.arange(300, 400))
    best = PairwiseAligner(
        mode="local",
        substitution_matrix=substitution_matrices.load("BLOSUM62"),
        open_gap_score=-OPEN,
        extend_gap_score=-EXTEND,
    )
    expected = np.array(
        [
            [best.score(PROTEIN.decode(one), PROTEIN.decode(other)) for other in references]  # pyright: ignore[reportArgumentType]
            for one in ids
        ]
    )
    found = log_sums(queries(ids, dtype), blocks_of(references, PROTEIN.pad), len(references), 2)
    assert np.isfinite(found).all()
    assert (found >= expected * (1 - 1e-6)).all()
    assert found[1, 0] < 1.05 * expected[1, 0]  # of equal sequences one alignment makes up nearly all of the sum
    assert found[1, 3] < 1.05 * expected[1, 3]
    exact = log_sums(queries(ids), blocks_of(references, PROTEIN.pad), len(references), 1)
    np.testing.assert_allclose(found, exact, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_passes_through_a_match_is_its_share_of_the_sum(rng: np.random.Generator, dtype: type) -> None:
    ids, references = sequences(rng, [4]), sequences(rng, [4, 2, 3])
    blocks = blocks_of(references, PROTEIN.pad)
    query = queries(ids, dtype)
    ((block, shares),) = passing(query.match, query.kinds[0], blocks, 1)
    for row, reference in zip(shares, block.rows, strict=True):
        other = plain(references[reference])
        weights = {tuple(chain): math.exp(BETA * score(chain, ids[0], other)) for chain in chains(4, len(other))}
        total = 1 + sum(weights.values())
        expected = np.zeros(row.shape)
        for chain, weight in weights.items():
            for i, j in chain:
                expected[i, other[j]] += weight / total
        np.testing.assert_allclose(row, expected, atol=1e-6 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shares_of_long_alike_sequences_are_those_of_one_alignment(rng: np.random.Generator, dtype: type) -> None:
    ids = sequences(rng, [700])
    query = queries(ids, dtype)
    ((_, shares),) = passing(query.match, query.kinds[0], blocks_of(ids, PROTEIN.pad), 1)
    np.testing.assert_allclose(shares[0, 5:-5].sum(1), 1, atol=0.01)  # an alignment may leave out an end
    assert (shares[0].argmax(1) == ids[0]).mean() > 0.99


def test_letters_and_one_hot_rows_score_alike_whatever_the_padding(rng: np.random.Generator) -> None:
    net = network(rng, [9, 1, 14])
    ids = torch.from_numpy(sequences(rng, [12, 5, 1], PROTEIN.pad))
    together = net(ids)
    np.testing.assert_allclose(net(net.one_hot(ids), net.lengths(ids)).detach(), together.detach(), atol=1e-6)
    wide = torch.nn.functional.pad(ids, (0, 7), value=PROTEIN.pad)
    torch.testing.assert_close(net(wide), together, rtol=0, atol=1e-12)
    for row, length in enumerate((12, 5, 1)):
        torch.testing.assert_close(net(ids[row : row + 1, :length])[0], together[row], rtol=0, atol=1e-12)
    assert bool((net.features(ids)[:, -1] == 0).all())  # a reference that is not used
    scores = net.features(net.references)[:-1, :-1]
    torch.testing.assert_close(scores, scores.t())


def test_scores_and_gradients_are_finite_far_from_letters(rng: np.random.Generator) -> None:
    net = network(rng, [300], outputs=1).float()
    x = (20 * net.one_hot(net.references[:1])).requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x)
    exact = copy.deepcopy(net).double()
    torch.testing.assert_close(net(x), exact(x.double()).float(), rtol=1e-5, atol=1e-5)
    assert bool(slope.isfinite().all())
    assert slope.dtype == torch.float32


def test_gradients_are_those_of_finite_differences_and_so_are_theirs_in_the_head(rng: np.random.Generator) -> None:
    net = network(rng, [6, 9], outputs=1)
    ids = torch.from_numpy(sequences(rng, [7, 4]))
    lengths = net.lengths(ids)
    x = net.one_hot(ids) + 0.1 * torch.rand(2, PROTEIN.size, 7)  # anywhere, not only on letters
    x = (x * (torch.arange(7) < lengths[:, None])[:, None]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: net(x, lengths), x)

    def steepness(weight: Tensor) -> Tensor:
        view = as_onehot(net, ids)
        logits = torch.func.functional_call(net, {"output.weight": weight}, (view.x,), {"lengths": lengths})
        return view.gradient(logits[:, 0], create_graph=True).square().sum()

    assert torch.autograd.gradcheck(steepness, net.output.weight)


def test_single_edits_score_as_the_edited_sequences_do(rng: np.random.Generator) -> None:
    net = network(rng, [8, 30, 3], outputs=3)
    ids = torch.from_numpy(sequences(rng, [10, 6, 1], PROTEIN.pad))
    found = substitution_scores(net, ids)
    torch.testing.assert_close(found, forward_substitution_scores(net, ids), rtol=0, atol=1e-10)
    inserted, deleted = insertion_scores(net, ids), deletion_scores(net, ids)
    text = ids[1, :6]
    for place, letter in ((0, 3), (6, 19), (2, 7)):
        longer = torch.cat([text[:place], torch.tensor([letter], dtype=torch.uint8), text[place:]])
        torch.testing.assert_close(inserted[1, place, letter], net(longer[None])[0])
    torch.testing.assert_close(deleted[1, 4], net(torch.cat([text[:4], text[5:]])[None])[0])
    torch.testing.assert_close(deleted[2, 0], net(ids[2:, :1])[0])  # nothing is left of a sole letter


def test_paths_from_unknown_letters_add_up_to_what_they_cross(rng: np.random.Generator) -> None:
    net = network(rng, [9, 20], outputs=2)
    ids = torch.from_numpy(sequences(rng, [12, 8], PROTEIN.pad))
    found, baseline = integrated_gradients(net, ids, steps=100)
    torch.testing.assert_close(found.sum(1), net(ids) - baseline, rtol=1e-3, atol=1e-3)


def test_references_are_drawn_as_evenly_as_classes_allow(protein: SequenceSet) -> None:
    few = protein.subset(np.array([1, 3, *range(0, 60, 2)]))  # two of one class, thirty of the other
    rows = draw_references(few, 10, seed=1)
    assert len(set(rows.tolist())) == len(rows) == 10
    assert {0, 1} < set(rows.tolist())
    assert draw_references(few, 10, seed=2).tolist() != rows.tolist()
    assert draw_references(few, 100, seed=1).tolist() == list(range(32))
    both = np.stack([np.ones(32), np.arange(32) < 2], 1).astype(np.uint8)
    labels = replace(few, target=Labels(names=few.classes), y=both)
    assert {0, 1} < set(draw_references(labels, 6, seed=0).tolist())


def test_coordinates_have_the_inner_products_of_the_shifted_kernel(rng: np.random.Generator) -> None:
    net = network(rng, [6, 9, 6, 12])
    net.references[2] = net.references[0]
    basis = net.coordinates()
    assert basis is not None
    kernel = np.array(
        [
            [counted_by_rows(plain(one), plain(other)) for other in net.references[:4].numpy()]
            for one in net.references[:4].numpy()
        ]
    )
    smallest = min(np.linalg.eigvalsh(kernel)[0], 0)
    features = kernel @ basis[:4]
    expected = kernel @ np.linalg.inv(kernel - (smallest - 1e-6 * np.linalg.eigvalsh(kernel)[-1]) * np.eye(4)) @ kernel
    np.testing.assert_allclose(features @ features.T, expected, rtol=1e-4, atol=1e-3)
    assert not basis[4].any()


def counted_by_rows(one: np.ndarray, other: np.ndarray) -> float:
    """The score by the recursion of Saigo et al. (2004), cell by cell."""
    m, x, y = (np.zeros((len(one) + 1, len(other) + 1)) for _ in range(3))
    opened, extended = math.exp(-BETA * OPEN), math.exp(-BETA * EXTEND)
    for i, j in itertools.product(range(1, len(one) + 1), range(1, len(other) + 1)):
        before = 1 + m[i - 1, j - 1] + x[i - 1, j - 1] + y[i - 1, j - 1]
        m[i, j] = math.exp(BETA * SIMILARITY[one[i - 1], other[j - 1]]) * before
        x[i, j] = opened * m[i - 1, j] + extended * x[i - 1, j]
        y[i, j] = opened * (m[i, j - 1] + x[i, j - 1]) + extended * y[i, j - 1]
    return math.log1p(m.sum()) / BETA


@pytest.mark.parametrize("held_out", [False, True])
def test_the_head_is_the_kernel_machine_that_minimises_loss_and_norm(
    protein: SequenceSet, held_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, valid = protein.subset(np.arange(30)), protein.subset(np.arange(30, 60)) if held_out else None
    strength = 3.0
    monkeypatch.setattr("seqreg.training.heads.STRENGTHS", (strength,))
    config = with_defaults(TrainConfig(model="sum", threads=1), data, valid)
    net = ALONE.build(PROTEIN, outputs=1, length=34)
    fitted = fit_parts(net, config, data, valid)
    rows = draw_references(data, 20, config.seed)
    of_all = [plain(row) for row in data.padded()]
    scores = np.array([[counted_by_rows(one, of_all[r]) for r in rows] for one in of_all])
    kernel = scores[rows]
    values = np.linalg.eigvalsh(kernel)
    norm = kernel - (min(values[0], 0) - 1e-6 * values[-1]) * np.eye(20)
    scale = np.trace(scores @ np.linalg.solve(norm, scores.T)) / 30  # rows of mean square length 1

    def objective(p: np.ndarray, index: np.ndarray) -> float:
        assert data.y is not None
        loss = mean_loss((scores[index] @ p[:-1] + p[-1])[:, None], data.y[index], np.ones(len(index)))
        return p[:-1] @ norm @ p[:-1] * scale / 2 + strength * len(index) * loss

    def solved(index: np.ndarray) -> np.ndarray:
        # In coordinates of the norm, where the problem is as well conditioned as it can be.
        root = np.linalg.inv(np.linalg.cholesky(norm)).T
        change = np.block([[root, np.zeros((20, 1))], [np.zeros((1, 20)), np.ones((1, 1))]])
        found = minimize(lambda q: objective(change @ q, index), np.zeros(21), method="BFGS", options={"gtol": 1e-4})
        return change @ found.x

    expected = solved(np.arange(30))
    logits = net(torch.from_numpy(data.padded())).detach().numpy()[:, 0]
    np.testing.assert_allclose(logits, scores @ expected[:-1] + expected[-1], atol=0.02)
    if valid is not None:
        of_valid = net(torch.from_numpy(valid.padded())).detach().numpy()
        np.testing.assert_allclose(fitted.scores[0], of_valid, atol=1e-4)
        return
    assert data.y is not None
    inner, outer = inner_folds(data, 5, config.seed)[0]
    without = solved(inner)
    np.testing.assert_allclose(fitted.scores[0][outer, 0], scores[outer] @ without[:-1] + without[-1], atol=0.02)


def family(rng: np.random.Generator, n: int) -> SequenceSet:
    """n proteins, of which every second has a domain that letters were inserted into and lost from."""
    domain = rng.integers(PROTEIN.size, size=40)
    rows, y = [], np.arange(n) % 2
    for label in y:
        row = rng.integers(PROTEIN.size, size=60)
        if label:
            copy = np.where(rng.random(40) < 0.5, rng.integers(PROTEIN.size, size=40), domain)
            copy = np.delete(np.insert(copy, rng.integers(40), rng.integers(PROTEIN.size, size=3)), rng.integers(40))
            row = np.concatenate([row[:10], copy, row[10:30]])
        rows.append(row.astype(np.uint8))
    return SequenceSet(
        alphabet=PROTEIN,
        names=[f"s{i}" for i in range(n)],
        codes=np.concatenate(rows),
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        target=Classes(names=("other", "relative"), asked_for="relative"),
        y=y.astype(np.int64),
        source="family",
    )


def test_relatives_with_gaps_are_found_from_a_few_and_two_sequences_are_enough(rng: np.random.Generator) -> None:
    everything = family(rng, 120)
    data, unseen = everything.subset(np.arange(40)), everything.subset(np.arange(40, 120))
    config = TrainConfig(model="sum:spectrum=0,positions=false,pooling=none,alignments=40", threads=1)
    found = learn(data, config).network.probabilities(unseen)
    assert unseen.y is not None
    assert auroc(unseen.y, found) > 0.9
    net = ALONE.build(PROTEIN, outputs=1, length=int(data.lengths.max()))
    two = data.subset(np.array([0, 1]))
    fit(net, with_defaults(TrainConfig(model="sum", threads=1), two, None), two, None)
    assert torch.isfinite(net(torch.from_numpy(unseen.padded()))).all()


def test_alignments_stand_beside_networks_and_a_saved_model_is_the_same(protein: SequenceSet, tmp_path: Path) -> None:
    model = "sum:spectrum=1,positions=false,alignments=12,filters=4,width=5,average=true"
    config = TrainConfig(model=model, threads=1, epochs=2, baselines=False, calibration="none")
    run = train(protein, config, tmp_path / "run")
    again = load_trained(tmp_path / "run")
    np.testing.assert_array_equal(again.outputs(protein), run.network.outputs(protein))
    part = again.module.part("alignments")  # pyright: ignore[reportCallIssue]
    assert int((part.reference_lengths() > 0).sum()) == 12
    with pytest.raises(UsageError, match="alignments"):
        onnx_bytes(again)


def test_alignments_are_of_proteins() -> None:
    with pytest.raises(UsageError, match="these are dna"):
        ALONE.build(DNA, outputs=1, length=20)
