"""Networks: padding never matters, and the look-up path gives the dense path's numbers to every order needed."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.errors import ModelError, UsageError
from seqreg.networks import CNN, Blosum62, ConvNet, as_onehot
from seqreg.networks.convolution import conv, conv_outer, conv_place
from seqreg.networks.lookup import first_argmax, first_best, window_dot, window_outer, window_place
from seqreg.predictors.network import load_trained
from seqreg.sequences import SequenceSet, blosum62
from seqreg.targets import Classes
from tests.untrained import untrained

LENGTHS = torch.tensor([23, 2, 5, 10, 11, 12, 13, 3, 1])
CASES = [
    (alphabet, pooling, depth, strands)
    for alphabet, pooling, depth, strands in itertools.product(
        (DNA, PROTEIN), ("max", "mean", "position"), (1, 2, 3), (False, True)
    )
    if alphabet is DNA or not strands
]


def random_ids(alphabet: Alphabet, lengths: torch.Tensor = LENGTHS, seed: int = 0) -> torch.Tensor:
    """ids (N, L) with every symbol of the alphabet, ambiguous ones included, padded to the longest."""
    generator = torch.Generator().manual_seed(seed)
    longest = int(lengths.max())
    ids = torch.randint(0, alphabet.pad, (len(lengths), longest), dtype=torch.uint8, generator=generator)
    return torch.where(torch.arange(longest) < lengths[:, None], ids, torch.tensor(alphabet.pad, dtype=torch.uint8))


def build(alphabet: Alphabet, pooling: str, depth: int, strands: bool, hidden: int = 0) -> ConvNet:
    torch.manual_seed(1)
    spec = CNN(filters=7, width=4, depth=depth, pooling=pooling, hidden=hidden)
    return spec.build(alphabet, outputs=3, length=20, reverse_complement=strands).double()


@pytest.mark.parametrize(("alphabet", "pooling", "depth", "strands"), CASES)
def test_padding_never_changes_a_score(alphabet: Alphabet, pooling: str, depth: int, strands: bool) -> None:
    net = build(alphabet, pooling, depth, strands, hidden=5)
    ids = random_ids(alphabet)
    together = net(ids)
    alone = torch.cat([net(ids[i : i + 1, :length]) for i, length in enumerate(LENGTHS)])
    wider = net(torch.nn.functional.pad(ids, (0, 6), value=alphabet.pad))
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)
    torch.testing.assert_close(together, wider, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("alphabet", "pooling", "depth", "strands"), CASES)
def test_lookup_path_equals_the_dense_path_to_second_order(
    alphabet: Alphabet, pooling: str, depth: int, strands: bool
) -> None:
    net = build(alphabet, pooling, depth, strands)
    view = as_onehot(net, random_ids(alphabet))

    def penalised(logits: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        (gradient,) = torch.autograd.grad(logits[:, 1].sum(), view.x, create_graph=True)
        total = gradient.pow(2).sum() + logits.pow(2).sum()
        return gradient, torch.autograd.grad(total, [*net.parameters()])

    dense, fast = net(view.x, lengths=LENGTHS), view.forward(view.x)
    torch.testing.assert_close(fast, dense, atol=1e-10, rtol=0)
    torch.testing.assert_close(net(random_ids(alphabet)), dense, atol=1e-10, rtol=0)
    for mine, other in zip(penalised(fast), penalised(dense), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("depth", [1, 2])
def test_single_precision_lookup_stays_within_a_hundred_thousandth(depth: int) -> None:
    net = build(PROTEIN, "max", depth, strands=False).float()
    view = as_onehot(net, random_ids(PROTEIN))
    torch.testing.assert_close(view.forward(view.x), net(view.x, lengths=LENGTHS), atol=1e-5, rtol=1e-5)


def test_reverse_complement_sharing_scores_both_strands_alike() -> None:
    for pooling in ("max", "mean", "position"):
        net = build(DNA, pooling, 2, strands=True)
        ids = random_ids(DNA)
        torch.testing.assert_close(net(ids), net(net.reverse_complement_ids(ids)), atol=1e-12, rtol=0)


def test_best_windows_are_found_anew_after_any_change() -> None:
    net, ids = build(DNA, "max", 1, strands=True), random_ids(DNA)

    def dense() -> torch.Tensor:
        return net(net.one_hot(ids), lengths=net.lengths(ids))

    torch.testing.assert_close(net(ids), dense(), atol=1e-12, rtol=0)
    net.convs[0].weight.data.neg_()
    torch.testing.assert_close(net(ids), dense(), atol=1e-12, rtol=0)
    ids[0] = ids[0].flip(0)
    torch.testing.assert_close(net(ids), dense(), atol=1e-12, rtol=0)
    ids = ids[:4]
    torch.testing.assert_close(net(ids), dense(), atol=1e-12, rtol=0)
    net.float()
    torch.testing.assert_close(net(ids), dense(), atol=1e-5, rtol=0)


def test_encoding_is_folded_into_the_kernel() -> None:
    torch.manual_seed(0)
    net = CNN(filters=5, width=3).build(PROTEIN, outputs=2, length=9, encoding=Blosum62()).double()
    ids = random_ids(PROTEIN, torch.tensor([9, 9]))
    vectors = torch.einsum(
        "ad,nal->ndl", torch.as_tensor(Blosum62().matrix(PROTEIN)).float().double(), net.one_hot(ids)
    )
    pooled = torch.relu(net.convs[0](vectors)).amax(2)
    torch.testing.assert_close(net(ids), net.output(pooled), atol=1e-10, rtol=0)


def test_blosum62_root_reproduces_the_similarities_it_keeps() -> None:
    root = Blosum62().matrix(PROTEIN)
    kept = root @ root.T
    scale = np.trace(kept @ blosum62()) / np.trace(kept @ kept)
    residual = np.linalg.eigvalsh(blosum62() - scale * kept)
    assert np.sum(residual < -1e-9) == np.sum(np.linalg.eigvalsh(blosum62()) < 0)
    assert np.abs(residual[residual > -1e-9]).max() < 1e-9


def test_identity_leads_from_blosum62_to_one_hot() -> None:
    roots = [Blosum62(identity=share).matrix(PROTEIN) for share in (0, 0.3, 1)]
    np.testing.assert_allclose(roots[1] @ roots[1].T, 0.7 * roots[0] @ roots[0].T + 0.3 * np.eye(20), atol=1e-12)
    np.testing.assert_allclose(roots[2], np.eye(20), atol=1e-12)
    np.testing.assert_allclose([np.mean(np.sum(root**2, axis=1)) for root in roots], 1)


def test_trilinear_pieces_have_right_derivatives_of_both_orders() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 9, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(5, 4, 2, dtype=torch.float64, requires_grad=True)
    g = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    starts = torch.randint(0, 8, (3, 5))
    for function, inputs in (
        (lambda x, w: window_dot(x, w, starts), (x, kernel)),
        (lambda g, w: window_place(g, w, starts, 9), (g, kernel)),
        (lambda g, x: window_outer(g, x, starts, 2), (g, x)),
    ):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


def test_convolution_pieces_have_right_derivatives_of_both_orders() -> None:
    x = torch.randn(3, 4, 9, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(5, 4, 2, dtype=torch.float64, requires_grad=True)
    g = torch.randn(3, 5, 8, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(conv(x, kernel, bias), torch.nn.functional.conv1d(x, kernel, bias))
    for function, inputs in ((conv, (x, kernel, bias)), (conv_place, (g, kernel)), (conv_outer, (g, x))):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


def test_first_argmax_is_the_first_of_equal_windows() -> None:
    torch.manual_seed(0)
    for windows in (1, 5, 31, 32, 47, 100):
        scores = torch.randint(0, 4, (3, windows, 7)).float()
        assert torch.equal(first_argmax(scores), scores.argmax(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("filters_together", [True, False])
def test_first_best_is_the_first_of_equal_windows_that_count(dtype: torch.dtype, filters_together: bool) -> None:
    torch.manual_seed(0)
    for windows in (1, 5, 47):
        scores = torch.randint(0, 4, (3, 7, windows)).to(dtype)
        counts = torch.tensor([1, windows, (windows + 1) // 2])
        given = scores.transpose(1, 2).contiguous().transpose(1, 2) if filters_together else scores
        for known in (None, counts):
            starts, best = first_best(given, known)
            for n, count in enumerate([windows] * 3 if known is None else counts.tolist()):
                inside = scores[n, :, :count].float()
                assert torch.equal(starts[n], inside.argmax(1))
                assert torch.equal(best[n].float(), inside.amax(1))


def test_names_that_cannot_work_together_are_refused() -> None:
    with pytest.raises(UsageError, match="reverse_complement=True needs dna or rna"):
        CNN().build(PROTEIN, outputs=1, length=9, reverse_complement=True)
    with pytest.raises(UsageError, match="blosum62 is for protein"):
        CNN().build(DNA, outputs=1, length=9, encoding=Blosum62())


def test_saved_network_scores_alike_and_damage_is_named(tmp_path: Path) -> None:
    target = Classes(names=("no", "yes"), asked_for="yes")
    settings: dict[str, Any] = {"encoding": "blosum62", "alphabet": "protein", "target": target}
    network = untrained("cnn:filters=5,width=3", **settings, length=20, shortest=1)
    ids = random_ids(PROTEIN)
    data = SequenceSet(
        alphabet=PROTEIN,
        names=[str(i) for i in range(len(LENGTHS))],
        codes=ids[ids != PROTEIN.pad].numpy(),
        offsets=np.concatenate([[0], np.cumsum(LENGTHS.numpy())]),
    )
    network.save(tmp_path)
    again = load_trained(tmp_path)
    np.testing.assert_array_equal(network.outputs(data), again.outputs(data))
    np.testing.assert_allclose(
        replace(again, batch_size=2).outputs(data), network.module(ids).detach().numpy(), atol=1e-6
    )
    np.testing.assert_allclose(again.probabilities(data).sum(1), 1)

    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-9])
    with pytest.raises(ModelError, match="damaged"):
        load_trained(tmp_path)
    (tmp_path / "model.json").write_text('{"format": 1}')
    with pytest.raises(ModelError, match="not a model description"):
        load_trained(tmp_path)
    with pytest.raises(ModelError, match=r"no model\.json"):
        load_trained(tmp_path / "elsewhere")


def test_a_batch_holds_no_more_letters_than_it_may(protein: SequenceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    network = untrained("cnn:filters=3,width=4", protein)
    whole = network.outputs(protein)
    shapes: list[tuple[int, int]] = []
    network.module.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    monkeypatch.setattr("seqreg.predictors.network.LETTERS_PER_BATCH", 100)
    np.testing.assert_allclose(replace(network, batch_size=4).outputs(protein), whole, atol=1e-6)
    assert sum(n for n, _ in shapes) == len(protein)
    assert max(n * length for n, length in shapes) <= 100
    monkeypatch.setattr("seqreg.predictors.network.LETTERS_PER_BATCH", 1)  # a sequence longer than a batch goes alone
    np.testing.assert_allclose(network.outputs(protein), whole, atol=1e-6)


def test_what_inference_mode_has_seen_can_be_trained_on() -> None:
    net, ids = build(DNA, "max", 1, False), random_ids(DNA)
    expected = torch.autograd.grad(net(ids).sum(), [*net.parameters()])
    net = build(DNA, "max", 1, False)
    with torch.inference_mode():
        net(ids)
    torch.testing.assert_close(torch.autograd.grad(net(ids).sum(), [*net.parameters()]), expected)
