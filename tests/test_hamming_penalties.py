"""Penalties on substitutions: the bounds they differentiate, spelled out, and what training on them proves."""

import itertools

import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN
from seqreg.certificates import hamming_certificate
from seqreg.errors import UsageError
from seqreg.networks import CNN, ConvNet
from seqreg.penalties import Certified, Hamming


def network(outputs: int, **fields) -> ConvNet:
    net = CNN(filters=3, width=2, **fields).build(DNA, outputs=outputs, length=9).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


def ids_of(*sequences: str) -> torch.Tensor:
    width = max(map(len, sequences))
    return torch.tensor([[*DNA.encode(text), *[DNA.pad] * (width - len(text))] for text in sequences]).to(torch.uint8)


def cost(net: ConvNet, w: torch.Tensor, old: int, new: int) -> float:
    """What replacing old by new can take off `w . features`, max pooling over one layer, filter by filter."""
    total = 0.0
    kernel = net.first_kernel()
    for c, weight in enumerate(w.tolist()):
        change = (kernel[c, new] - kernel[c, old]).tolist()
        total += weight * max(0.0, -min(change)) if weight > 0 else -weight * max(0.0, *change)
    return total


def test_hamming_is_the_mean_constant_over_pairs_of_classes() -> None:
    net, ids = network(3), ids_of("ACGTAC", "GGT")
    pairs = list(itertools.permutations(range(4), 2))
    constants = [
        max(cost(net, sign * (net.output.weight[j] - net.output.weight[k]), a, b) for a, b in pairs for sign in (1, -1))
        for j, k in itertools.combinations(range(3), 2)
    ]
    value = Hamming(weight=0.7)(net, ids, torch.tensor([0, 2]))
    assert value.item() == pytest.approx(0.7 * sum(constants) / 3)


def test_hamming_sums_over_labels_and_over_the_one_logit() -> None:
    net, ids = network(3), ids_of("ACGTAC", "GGT")
    single = [
        max(cost(net, sign * row, a, b) for a, b in itertools.permutations(range(4), 2) for sign in (1, -1))
        for row in net.output.weight
    ]
    value = Hamming(weight=1.0)(net, ids, torch.tensor([[0, 1, 1], [1, 0, 0]]))
    assert value.item() == pytest.approx(sum(single))


def test_the_mean_over_windows_shares_the_constant_out() -> None:
    net = network(1, pooling="mean")
    short, long = ids_of("ACGTA"), ids_of("ACGTACGTA")  # 4 and 8 windows
    y = torch.tensor([1])
    assert Hamming()(net, short, y).item() == pytest.approx(2 * Hamming()(net, long, y).item())
    with torch.no_grad():
        net.output.bias -= 100  # wrong everywhere, so that the hinge is 1 - margin + influence
    influence = [(Certified(weight=1.0, m=1)(net, ids, y) - 1 + net(ids)).item() for ids in (short, long)]
    assert influence[0] == pytest.approx(2 * influence[1])


def test_certified_is_a_hinge_on_the_margin_that_is_proved() -> None:
    net, ids, y = network(3), ids_of("ACGTACG", "GGTC"), torch.tensor([1, 2])
    expected = 0.0
    for row, target in zip(ids, y.tolist(), strict=True):
        letters = [code for code in row.tolist() if code != DNA.pad]
        logits = net(torch.tensor([letters], dtype=torch.uint8))[0].tolist()
        hinges = []
        for other in {0, 1, 2} - {target}:
            w = net.output.weight[target] - net.output.weight[other]
            influence = sorted((max(cost(net, w, a, b) for b in range(4)) for a in letters), reverse=True)
            hinges.append(max(0.0, 1 - (logits[target] - logits[other] - sum(influence[:2]))))
        expected += max(hinges) / 2
    assert Certified(weight=0.5, m=2)(net, ids, y).item() == pytest.approx(0.5 * expected)


def test_the_bound_is_brought_in_by_and_by() -> None:
    net, ids, y = network(1), ids_of("ACGTACG", "GGTC"), torch.tensor([1, 0])
    values = [Certified(m=3, warmup=0.4)(net, ids, y, progress=step).item() for step in (0.0, 0.2, 0.4, 1.0)]
    margins = (net(ids)[:, 0] * torch.tensor([1, -1])).tolist()
    assert values[0] == pytest.approx(sum(max(0.0, 1 - margin) for margin in margins) / 2)
    assert values[0] < values[1] < values[2] == values[3]
    assert Certified(warmup=0.0)(net, ids, y, progress=0.0) == Certified(warmup=0.0)(net, ids, y, progress=1.0)


@pytest.mark.parametrize("fields", [{}, {"depth": 2}, {"pooling": "mean"}, {"pooling": "position", "hidden": 4}])
def test_where_the_hinge_is_below_one_the_prediction_is_proved(fields: dict[str, object]) -> None:
    net = network(3, **fields)
    ids, y = torch.randint(0, 4, (60, 9), dtype=torch.uint8), torch.zeros(60, dtype=torch.int64)

    def hinges() -> torch.Tensor:
        return torch.stack([Certified(weight=1.0, m=1)(net, ids[i : i + 1], y[i : i + 1]) for i in range(60)]).detach()

    with torch.no_grad():
        net.output.bias[0] += hinges().median() - 1  # so that half of them are proved
    proved = hinges() < 1
    assert 20 < int(proved.sum()) < 40
    assert (hamming_certificate(net, ids, y, most=1).radius[proved] == 1).all()


def trained(penalty: Hamming | Certified | None) -> float:
    """Share of sequences whose prediction is proved for two substitutions, after training."""
    torch.manual_seed(0)
    net = CNN(filters=8, width=8).build(DNA, outputs=1, length=30)
    ids = torch.randint(0, 4, (40, 30), dtype=torch.uint8)
    y = torch.arange(40) % 2
    ids[y == 1, 10:18] = torch.as_tensor(DNA.encode("TGACGTCA").copy())
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(100):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(ids)[:, 0], y.float())
        if penalty is not None:
            loss = loss + penalty(net, ids, y, progress=step / 100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (hamming_certificate(net, ids, y, most=2).radius == 2).double().mean().item()


def test_training_with_a_penalty_raises_what_is_proved() -> None:
    plain = trained(None)
    assert trained(Hamming(weight=0.1)) > plain
    assert trained(Certified(weight=1.0, m=2)) > plain


def test_one_hot_input_and_unknown_networks() -> None:
    net, ids, y = network(3), ids_of("ACGTACG", "GGTC"), torch.tensor([1, 2])
    for penalty in (Hamming(), Certified()):
        torch.testing.assert_close(
            penalty(net, net.one_hot(ids), y, lengths=net.lengths(ids)), penalty(net, ids, y), atol=1e-12, rtol=0
        )
        with pytest.raises(UsageError, match="no bound for a Sequential"):
            penalty(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(28, 3)), net.one_hot(ids), y)


def test_proteins_have_four_hundred_substitutions() -> None:
    net = CNN(filters=3, width=2).build(PROTEIN, outputs=1, length=9)
    kernel, w = net.first_kernel().detach(), net.output.weight[0].detach()
    worst = 0.0
    for a, b in itertools.permutations(range(20), 2):
        change = kernel[:, b] - kernel[:, a]
        fall, rise = (-change).amax(1).clamp(min=0), change.amax(1).clamp(min=0)
        worst = max(worst, float((w.clamp(min=0) * fall + (-w).clamp(min=0) * rise).sum()))
    ids = torch.randint(0, 20, (2, 9), dtype=torch.uint8)
    assert Hamming(weight=1.0)(net, ids, torch.tensor([0, 1])).item() == pytest.approx(worst, rel=1e-5)
