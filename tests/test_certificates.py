"""Certificates: never above the truth, which exhaustive enumeration of all substitutions tells on small networks."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.certificates import (
    CertifiedBatch,
    certified_batch,
    certified_parts,
    edit_certificate,
    hamming_certificate,
    hamming_lipschitz,
    in_double,
    influences,
    largest_sums,
    margin_directions,
    margins,
    predicted,
    symbol_influences,
)
from seqreg.certificates.context import influences_here
from seqreg.certificates.euclidean import euclidean_bound, layerwise_bound, margin_lipschitz
from seqreg.certificates.intervals import interval_bound
from seqreg.certificates.levenshtein import edit_bound
from seqreg.certificates.tail import single_and_tail_bound, worst_singles
from seqreg.errors import UsageError
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.networks import (
    CNN,
    AlignmentNet,
    Blosum62,
    ConvNet,
    SequenceNetwork,
    SmoothCNN,
    SmoothConvNet,
    SpectrumNet,
    Sum,
    parts_of,
)

SLACK = 1e-9  # rounding of float64 sums, far below the tolerance of a certificate


@dataclass(frozen=True)
class Case:
    """A random network, a few sequences of unequal lengths for it, and what may be substituted."""

    net: SequenceNetwork
    ids: Tensor
    y: Tensor
    allowed: Tensor | None
    most: int


def random_case(seed: int, *, aligned: bool = False) -> Case:
    g = torch.Generator().manual_seed(seed)

    def pick(*choices):
        return choices[int(torch.randint(len(choices), (1,), generator=g))]

    alphabet: Alphabet = PROTEIN if aligned else pick(DNA, DNA, PROTEIN)
    outputs = pick(1, 2, 3, 4)
    depth = pick(1, 1, 2, 3)
    spec = CNN(
        filters=pick(2, 5),
        width=pick(1, 2, 3) if depth > 1 else pick(1, 2, 3, 5),
        depth=depth,
        pooling=pick("max", "mean", "position"),
        hidden=pick(0, 0, 4),
        activation=pick("relu", "relu", "smoothed-relu", "identity"),
    )
    longest = pick(5, 8, 12) if alphabet is DNA else pick(3, 5)
    most = 3 if longest <= 8 and alphabet is DNA else 2
    net = spec.build(
        alphabet,
        outputs=outputs,
        length=longest - pick(0, 1),
        encoding=pick(None, Blosum62()) if alphabet is PROTEIN else None,
        reverse_complement=alphabet is DNA and pick(False, True),
    )
    if outputs > 1 and pick(False, False, False, True):
        smooth = SmoothCNN(filters=3, width=pick(2, 3), smoothing=pick(0.2, 1.0))
        net = smooth.build(alphabet, outputs=outputs, length=longest)
    if aligned or seed % 3 == 2:
        linear = Sum(
            spectrum=pick(0, 1, 2) if alphabet is PROTEIN else pick(0, 1, 2, 3),
            positions=pick(True, False),
            alignments=3 if aligned else 0,
            filters=4,
            width=pick(1, 2, 3, (1, 3)),
            pooling=pick(("max",), ("position",), ("max", "mean"), ("none",)),
            networks=pick(1, 1, 2),
        )
        try:
            net = linear.build(
                alphabet,
                outputs=outputs,
                length=longest - pick(0, 1),
                reverse_complement=alphabet is DNA and pick(False, True),
            )
        except UsageError:  # no part was drawn
            net = SpectrumNet(alphabet, 2, outputs=outputs, length=longest, reverse_complement=alphabet is DNA)
    net = net.double().eval()
    with torch.no_grad():
        for parameter in filter(lambda each: each.requires_grad, net.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=g, dtype=torch.float64) * pick(0.2, 0.6, 1.0))
    for part in filter(lambda each: isinstance(each, AlignmentNet), net.modules()):
        part.references[:2] = torch.randint(0, PROTEIN.pad, (2, part.references.shape[1]), generator=g)
    n = 4
    lengths = torch.randint(1, longest + 1, (n,), generator=g)
    lengths[0] = longest
    symbols = pick(alphabet.size, alphabet.size, alphabet.pad)
    ids = torch.randint(0, symbols, (n, longest), generator=g, dtype=torch.uint8)
    ids[torch.arange(longest) >= lengths[:, None]] = alphabet.pad
    allowed = None
    if pick(False, True):
        allowed = torch.rand(n, longest, alphabet.size, generator=g) < pick(0.3, 0.8)
        allowed[:, pick(0, 1)] = False
    labels = torch.randint(0, 2, (n, outputs), generator=g) if outputs > 1 and pick(False, True) else None
    y = predicted(net(ids)).clone() if labels is None else labels  # mostly right, so that radii are of interest
    if labels is None and pick(False, True):
        y[-1] = (y[-1] + 1) % max(outputs, 2)
    return Case(net, ids, y, allowed, most)


def mutants(case: Case, row: int, m: int) -> Tensor:
    """All sequences with exactly m allowed substitutions in sequence `row`."""
    ids, letters = case.ids[row], case.net.alphabet.size
    options = [
        [a for a in range(letters) if a != code and (case.allowed is None or case.allowed[row, i, a])]
        for i, code in enumerate(ids.tolist())
        if code != case.net.alphabet.pad
    ]
    found = []
    for places in itertools.combinations(range(len(options)), m):
        for chosen in itertools.product(*(options[i] for i in places)):
            mutant = ids.tolist()
            for i, letter in zip(places, chosen, strict=True):
                mutant[i] = letter
            found.append(mutant)
    return torch.tensor(found, dtype=torch.uint8).view(-1, len(ids))


def worst_margins(case: Case) -> Tensor:
    """(M + 1, N, P) smallest margins over at most 0 .. M substitutions, by running the network on every one."""
    directions = margin_directions(case.y, case.net(case.ids).shape[1])
    worst = torch.full((case.most + 1, *directions.shape[:2]), torch.inf, dtype=torch.float64)
    for m, row in itertools.product(range(case.most + 1), range(len(case.ids))):
        variants = mutants(case, row, m)
        if len(variants):
            worst[m, row] = (case.net(variants) @ directions[row].t()).amin(0).detach()
    return worst.cummin(0).values


def check(case: Case) -> Tensor:
    """Every bound and the certificate against the truth; returns proved minus true radius, (N,)."""
    truth = worst_margins(case)
    batch = certified_parts(in_double(case.net), case.ids, case.y, case.allowed)
    torch.testing.assert_close(batch.margins, truth[0], atol=SLACK, rtol=0)
    scores = substitution_scores(case.net, case.ids)
    shortest = int(case.net.lengths(case.ids).min())
    anywhere, singles = batch.added(influences), worst_singles(batch.parts[0], scores)
    lipschitz = sum(margin_lipschitz(part.model, part.directions, shortest) for part in batch.parts)
    torch.testing.assert_close(single_and_tail_bound(batch.margins, singles, anywhere, 1), truth[1], atol=SLACK, rtol=0)
    for m in range(1, case.most + 1):
        bounds = {
            "influences": batch.margins - largest_sums(anywhere, m),
            "influences here": batch.margins - largest_sums(batch.added(lambda part, m=m: influences_here(part, m)), m),
            "influences of symbols": batch.margins - largest_sums(batch.added(by_symbol), m),
            "intervals": batch.together(lambda part, m=m: interval_bound(part, m)),
            "tail": single_and_tail_bound(batch.margins, singles, anywhere, m),
            "l2": euclidean_bound(batch.margins, lipschitz, m),
            "first layer and l2": batch.together(lambda part, m=m: layerwise(part, m)),
            "constant": batch.margins - m * sum(constant(part) for part in batch.parts),
        }
        for name, bound in bounds.items():
            excess = float((bound - truth[m]).max())
            assert excess <= SLACK, f"{name} proves {excess} too much for m = {m}"
    true_radius = (truth.amin(2) > 0).long().cumprod(0).sum(0) - 1
    for given in (None, scores):
        proved = hamming_certificate(
            case.net, case.ids, case.y, most=case.most, allowed=case.allowed, singles=given, batch_size=3
        )
        assert (proved.radius <= true_radius).all()
    return proved.radius - true_radius


def by_symbol(batch: CertifiedBatch) -> Tensor:
    """(N, P, L) influences looked up by symbol, as the penalty does."""
    table = symbol_influences(batch.model, batch.directions.flatten(0, 1)).unflatten(0, batch.margins.shape)
    ids = batch.ids.long()
    if batch.model.pooling == "position":
        place = torch.arange(ids.shape[1]).clamp(max=table.shape[3] - 1)
        at = ids[:, None, None].expand(-1, table.shape[1], 1, -1)
        return table[..., place].gather(2, at)[:, :, 0]
    found = table.gather(2, ids[:, None].expand(-1, table.shape[1], -1))
    return found / batch.counts[:, None, None] if batch.model.pooling == "mean" else found


def layerwise(batch: CertifiedBatch, m: int) -> Tensor:
    """The layerwise bound, where there are layers to go through."""
    if isinstance(batch.model, SmoothConvNet):
        return batch.margins - torch.inf
    return layerwise_bound(batch, m)


def constant(batch: CertifiedBatch) -> Tensor:
    """(N, P) Hamming-Lipschitz constants of the margins, for the windows of the shortest sequence."""
    flat = batch.directions.flatten(0, 1)
    return hamming_lipschitz(batch.model, flat, int(batch.counts.min())).view(batch.margins.shape)


@pytest.mark.parametrize("seed", range(60))
def test_no_bound_is_above_the_truth(seed: int) -> None:
    check(random_case(seed))


@pytest.mark.parametrize("seed", range(12))
def test_no_bound_is_above_the_truth_where_sequences_are_aligned(seed: int) -> None:
    check(random_case(seed, aligned=True))


@pytest.mark.slow
def test_no_bound_is_above_the_truth_in_thousands_of_networks() -> None:
    gaps = torch.cat([check(random_case(seed)) for seed in range(1000, 4000)])
    assert (gaps == 0).double().mean() > 0.5  # and the bounds say something


def test_a_margin_is_positive_exactly_where_the_prediction_is_right() -> None:
    for outputs, y in ((1, torch.tensor([0, 1, 1, 0])), (3, torch.tensor([2, 0, 1, 1]))):
        logits = torch.randn(4, outputs, dtype=torch.float64)
        assert torch.equal(margins(logits, y) > 0, predicted(logits) == y)
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.randint(0, 2, (4, 3))
    assert torch.equal(margins(logits, labels) > 0, (predicted(logits, multi_label=True) == labels).all(1))
    variants = torch.randn(4, 5, 6, 3)
    assert torch.equal(margins(variants, labels)[:, 2, 4], margins(variants[:, 2, 4], labels))


def test_the_constant_is_attained_where_nothing_is_lost() -> None:
    """One linear filter of one letter under mean pooling: the worst substitution costs exactly D."""
    net = CNN(filters=1, width=1, pooling="mean", activation="identity").build(DNA, outputs=1, length=9).double()
    ids = torch.randint(0, 4, (1, 9), dtype=torch.uint8)
    ids[0, 2:6] = torch.arange(4)
    change = (substitution_scores(net, ids) - net(ids)[:, None, None]).abs()
    torch.testing.assert_close(change[:, 2:6].max(), hamming_lipschitz(net)[0].detach(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("seed", range(8))
def test_the_constant_holds_for_sequences_longer_than_those_trained_on(seed: int) -> None:
    """Of two strands one may see a position that the other does not."""
    torch.manual_seed(seed)
    shape = {"outputs": 1, "length": 4, "reverse_complement": True}
    if seed % 2:
        net = CNN(filters=2, width=2, pooling="position", activation="identity").build(DNA, **shape)
    else:
        net = parts_of(Sum(spectrum=0, pooling=("none",)).build(DNA, **shape))[0]
    net = net.double().eval()
    if seed == 0:  # where both strands see a letter, what it adds on one it takes away on the other
        net.output.weight.data = torch.tensor([[0.0, 1, 0, 1]], dtype=torch.float64).repeat_interleave(4, dim=1)
    for length in (4, 5, 7, 9):
        ids = torch.randint(0, 4, (20, length), dtype=torch.uint8)
        change = (substitution_scores(net, ids) - net(ids)[:, None, None]).abs().amax()
        assert change <= hamming_lipschitz(net)[0] + 1e-9
        table = symbol_influences(net, torch.ones(1, 1, dtype=torch.float64))[0]
        place = torch.arange(length).clamp(max=table.shape[1] - 1)
        fall = (net(ids)[:, None, None] - substitution_scores(net, ids)).amax((2, 3))
        assert (fall <= table[ids.long(), place] + 1e-9).all()


def test_the_constant_has_a_gradient() -> None:
    net = CNN(filters=3, width=2, depth=2, hidden=2).build(DNA, outputs=3, length=9).double()
    hamming_lipschitz(net).mean().backward()
    assert all(parameter.grad is not None for name, parameter in net.named_parameters() if name.endswith("weight"))


def edited_once(net: ConvNet, sequence: tuple[int, ...]) -> set[tuple[int, ...]]:
    """All sequences one substitution, insertion or deletion away."""
    letters, places = range(net.alphabet.size), range(len(sequence))
    found = {(*sequence[:i], a, *sequence[i + 1 :]) for i in places for a in letters}
    found |= {(*sequence[:i], a, *sequence[i:]) for i in range(len(sequence) + 1) for a in letters}
    return found | {(*sequence[:i], *sequence[i + 1 :]) for i in places if len(sequence) > 1}


@pytest.mark.parametrize("seed", range(24))
def test_no_edit_changes_what_is_proved_for_edits(seed: int) -> None:
    torch.manual_seed(seed)
    depth, hidden, strands = 1 + seed % 2, (0, 3)[seed // 2 % 2], seed // 4 % 2 == 1
    spec = CNN(filters=3, width=2, depth=depth, hidden=hidden, pooling="mean")
    net = spec.build(DNA, outputs=1 + seed % 3, length=8, reverse_complement=strands)
    if seed > 20:
        net = SmoothCNN(filters=3, width=2).build(DNA, outputs=2, length=8)
    if seed % 6 == 3:
        net = SpectrumNet(DNA, 2, outputs=1 + seed % 3, length=8, reverse_complement=strands)
    net = net.double().eval()
    codes = [tuple(torch.randint(0, 4, (length,)).tolist()) for length in (8, 5)]
    if seed % 4 == 0:
        codes[0] = (DNA.symbols.index("R"), *codes[0][1:])

    def padded(sequences) -> Tensor:
        width = max(map(len, sequences))
        return torch.tensor([[*row, *[DNA.pad] * (width - len(row))] for row in sequences]).to(torch.uint8)

    ids = padded(codes)
    with torch.no_grad():  # a weak signal beside a bias, so that proofs are possible
        net.output.weight.mul_(torch.rand(()) * 0.4)
        y = predicted(net(ids))
    reached = [[{row} for row in codes]]
    for _ in range(2):
        reached.append([set().union(*(edited_once(net, row) for row in rows)) | rows for rows in reached[-1]])
    truth = torch.tensor(
        [
            [margins(net(padded(sorted(rows))), y[n].expand(len(rows))).min().item() for n, rows in enumerate(level)]
            for level in reached
        ]
    )
    batch = certified_batch(in_double(net), ids, y)
    for m in (1, 2):
        assert (edit_bound(batch, m).amin(1) <= truth[m] + SLACK).all()
    singles = [
        function(net, ids).flatten(1, -2) for function in (substitution_scores, insertion_scores, deletion_scores)
    ]
    exact = edit_certificate(net, ids, y, most=2, singles=singles)
    true_radius = (truth > 0).long().cumprod(0).sum(0) - 1
    assert (exact <= true_radius).all()
    assert (exact[truth[1] > 1e-5] >= 1).all()
    assert (edit_certificate(net, ids, y, most=2) <= exact).all()


def test_other_poolings_have_no_radius_beyond_one_edit() -> None:
    net, ids = CNN(filters=3, width=2).build(DNA, outputs=1, length=9), torch.zeros(1, 9, dtype=torch.uint8)
    assert edit_certificate(net, ids, predicted(net(ids)), most=3).tolist() == [0]
