"""Certificates: never above the truth, which exhaustive enumeration of all edits tells on small networks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.certificates import (
    HammingCertificate,
    certified_batch,
    edit_certificate,
    hamming_certificate,
    hamming_lipschitz,
    in_double,
    margins,
    predicted_class,
    symbol_influences,
)
from seqreg.certificates.levenshtein import edit_bound
from seqreg.errors import UsageError
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.networks import (
    CNN,
    AlignmentNet,
    Blosum62,
    ConvNet,
    NeighbourNet,
    SmoothCNN,
    SpectrumNet,
    Sum,
    parts_of,
)
from tests.bounds import SLACK, Case, check_bounds, padded, worst_after_edits


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
    longest = pick(4, 6, 9) if alphabet is DNA else pick(2, 3)
    most = 3 if longest <= 6 and alphabet is DNA else 2
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
        neighbours = pick(0, 3)
        linear = Sum(
            spectrum=pick((0,), (1,), (2,), (1, 2)) if alphabet is PROTEIN else pick((0,), (2,), (1, 2), (1, 3)),
            positions=pick(True, False),
            alignments=3 if aligned else 0,
            neighbours=neighbours,
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
                reverse_complement=alphabet is DNA and not neighbours and pick(False, True),
            )
        except UsageError:  # no part was drawn
            net = SpectrumNet(alphabet, 2, outputs=outputs, length=longest, reverse_complement=alphabet is DNA)
    net = net.double().eval()
    with torch.no_grad():
        for parameter in filter(lambda each: each.requires_grad, net.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=g, dtype=torch.float64) * pick(0.2, 0.6, 1.0))
    for part in filter(lambda each: isinstance(each, AlignmentNet), net.modules()):
        part.references[:2] = torch.randint(0, PROTEIN.pad, (2, part.references.shape[1]), generator=g)
    for part in filter(lambda each: isinstance(each, NeighbourNet), net.modules()):
        part.references[:2] = torch.randint(0, alphabet.pad, (2, part.references.shape[1]), generator=g)
        part.spread.fill_(pick(0.5, 3.0, 20.0))
    n = 4
    lengths = torch.randint(1, longest + 1, (n,), generator=g)
    lengths[0], lengths[-1] = longest, 1
    symbols = pick(alphabet.size, alphabet.size, alphabet.pad)
    ids = torch.randint(0, symbols, (n, longest), generator=g, dtype=torch.uint8)
    ids[torch.arange(longest) >= lengths[:, None]] = alphabet.pad
    allowed = None
    if pick(False, True):
        allowed = torch.rand(n, longest, alphabet.size, generator=g) < pick(0.3, 0.8)
        allowed[:, pick(0, 1)] = False
    labels = torch.randint(0, 2, (n, outputs), generator=g) if outputs > 1 and pick(False, True) else None
    y = predicted_class(net(ids)).clone() if labels is None else labels  # mostly right, so that radii are of interest
    if labels is None and pick(False, True):
        y[-1] = (y[-1] + 1) % max(outputs, 2)
    return Case(net=net, ids=ids, y=y, allowed=allowed, most=most)


def check(case: Case) -> Tensor:
    """Every bound and the certificate against the truth; returns proved minus true radius, (N,)."""
    check_bounds(case, {"tail"}, at=(1,))
    for given in (None, case.scores):
        proved = hamming_certificate(
            case.net, case.ids, case.y, most=case.most, allowed=case.allowed, singles=given, batch_size=3
        )
        assert (proved.radius <= case.radius).all()
    assert torch.equal(proved.radius.clamp(max=1), case.radius.clamp(max=1))  # single mutants settle one exactly
    return proved.radius - case.radius


@pytest.mark.parametrize("seed", range(36))
def test_no_bound_is_above_the_truth(seed: int) -> None:
    check(random_case(seed))


@pytest.mark.parametrize("seed", range(6))
def test_no_bound_is_above_the_truth_where_sequences_are_aligned(seed: int) -> None:
    check(random_case(seed, aligned=True))


@pytest.mark.slow
def test_no_bound_is_above_the_truth_in_thousands_of_networks() -> None:
    gaps = torch.cat([check(random_case(seed)) for seed in range(1000, 4000)])
    assert (gaps == 0).double().mean() > 0.5  # and the bounds say something


def test_a_margin_is_positive_exactly_where_the_prediction_is_right() -> None:
    for outputs in (1, 2, 3, 4):
        y = torch.arange(40) % max(2, outputs)
        logits = torch.randn(40, outputs, dtype=torch.float64)
        assert torch.equal(margins(logits, y) > 0, predicted_class(logits) == y)
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.randint(0, 2, (4, 3))
    assert torch.equal(margins(logits, labels) > 0, ((logits > 0).long() == labels).all(1))
    variants = torch.randn(4, 5, 6, 3)
    assert torch.equal(margins(variants, labels)[:, 2, 4], margins(variants[:, 2, 4], labels))


@pytest.mark.parametrize("seed", range(8))
def test_the_constant_holds_for_sequences_longer_than_those_trained_on(seed: int) -> None:
    """Of two strands one may see a position that the other does not."""
    torch.manual_seed(seed)
    shape = {"outputs": 1, "length": 4, "reverse_complement": True}
    if seed % 2:
        net = CNN(filters=2, width=2, pooling="position", activation="identity").build(DNA, **shape)
    else:
        net = parts_of(Sum(spectrum=(0,), pooling=("none",)).build(DNA, **shape))[0]
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


@pytest.mark.parametrize("seed", range(12))
def test_no_edit_changes_what_is_proved_for_edits(seed: int) -> None:
    torch.manual_seed(seed)
    depth, hidden, strands = 1 + seed % 2, (0, 3)[seed // 2 % 2], seed // 4 % 2 == 1
    spec = CNN(filters=3, width=2, depth=depth, hidden=hidden, pooling="mean")
    net = spec.build(DNA, outputs=1 + seed % 3, length=7, reverse_complement=strands)
    if seed in (5, 10):
        net = SmoothCNN(filters=3, width=2).build(DNA, outputs=2, length=7)
    if seed % 6 == 3:
        net = SpectrumNet(DNA, 2, outputs=1 + seed % 3, length=7, reverse_complement=strands)
    net = net.double().eval().requires_grad_(False)
    codes = [tuple(torch.randint(0, 4, (length,)).tolist()) for length in (6, net.receptive_field + seed % 2)]
    if seed % 4 == 0:
        codes[0] = (DNA.symbols.index("R"), *codes[0][1:])
    ids = padded(net, codes)
    net.output.weight.mul_(torch.rand(()) * 0.4)  # a weak signal beside a bias, so that proofs are possible
    y = predicted_class(net(ids))
    worst = worst_after_edits(net, codes, y, 2)
    batch = certified_batch(in_double(net), ids, y)
    for m in (1, 2):
        assert (edit_bound(batch, m) <= worst[m] + SLACK).all()
    singles = [
        function(net, ids).flatten(1, -2) for function in (substitution_scores, insertion_scores, deletion_scores)
    ]
    exact = edit_certificate(net, ids, y, most=2, singles=singles)
    truth = worst.amin(2)
    true_radius = (truth > 0).long().cumprod(0).sum(0) - 1
    assert (exact <= true_radius).all()
    assert torch.equal(exact.clamp(max=1), true_radius.clamp(max=1))
    assert (edit_certificate(net, ids, y, most=2) <= exact).all()


# ---- every sequence is judged by itself


def some_batch(pooling: str, radii: Callable[[ConvNet, Tensor, Tensor], Tensor]) -> tuple[ConvNet, Tensor, Tensor]:
    """A network, 7 sequences of one length, one of them twice, and targets, two of them wrong, with several radii."""
    net = CNN(filters=5, width=2, pooling=pooling).build(DNA, outputs=3, length=6).double().eval().requires_grad_(False)
    ids = torch.randint(0, 4, (7, 6), dtype=torch.uint8)
    ids[5] = ids[1]
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    y = torch.zeros(7, dtype=torch.long)
    margin = margins(net(ids), y)
    net.output.bias[0] += 0.1 - margin.min()
    y[[2, 6]] = torch.tensor([1, 2])
    for _ in range(60):  # more and more certain of the first class
        if len(radii(net, ids, y).unique()) >= 3:
            return net, ids, y
        net.output.bias[0] += 0.2
    raise AssertionError("no bias gives three different radii")


def rows_of(found: HammingCertificate) -> list[tuple[float, int, str]]:
    return list(zip(found.margin.tolist(), found.radius.tolist(), found.proof, strict=True))


@pytest.mark.parametrize("given", [False, True], ids=["bounds", "singles"])
@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
def test_a_certificate_depends_on_its_own_sequence_only(pooling: str, given: bool) -> None:
    """Whatever stands beside it, in which order, in which batch, and how far it is padded."""
    net, ids, y = some_batch(pooling, lambda *batch: hamming_certificate(*batch, most=3).radius)
    allowed = torch.rand(7, 6, 4) < 0.8
    allowed[5] = allowed[1]
    singles = substitution_scores(net, ids) if given else None

    def certified(rows: list[int], batch_size: int = 32, most: int = 3, pad: int = 0) -> list[tuple[float, int, str]]:
        wider = torch.nn.functional.pad(ids, (0, pad), value=DNA.pad)
        room = torch.nn.functional.pad(allowed, (0, 0, 0, pad))
        scores = None if singles is None else torch.nn.functional.pad(singles[rows], (0, 0, 0, 0, 0, pad))
        return rows_of(
            hamming_certificate(
                net, wider[rows], y[rows], most=most, allowed=room[rows], singles=scores, batch_size=batch_size
            )
        )

    together = certified([*range(7)])
    radii = [radius for _, radius, _ in together]
    assert radii[2] == radii[6] == -1
    assert len(set(radii)) >= 2
    assert together[5] == together[1]
    for rows, batch_size in (([3, 0, 6, 5, 2, 1, 4], 32), ([*range(7)], 2), ([0, 0, 4, 4, 2, 2], 4), ([4], 1)):
        for one, row in zip(certified(rows, batch_size), rows, strict=True):
            assert one[0] == pytest.approx(together[row][0], abs=SLACK)
            assert one[1:] == together[row][1:]
    assert [radius for _, radius, _ in certified([*range(7)], pad=3)] == radii
    for most in (0, 1, 2):
        assert [radius for _, radius, _ in certified([*range(7)], most=most)] == [min(most, each) for each in radii]


def test_a_ceiling_lowers_its_own_radius_only_and_fewer_letters_raise_it() -> None:
    net, ids, y = some_batch("max", lambda *batch: hamming_certificate(*batch, most=3).radius)
    free = hamming_certificate(net, ids, y, most=3).radius
    ceiling = torch.tensor([0, 3, -1, 1, 2, 0, 7])
    assert torch.equal(hamming_certificate(net, ids, y, most=3, ceiling=ceiling).radius, torch.minimum(free, ceiling))
    allowed = torch.rand(7, 6, 4) < 0.7
    narrow = hamming_certificate(net, ids, y, most=3, allowed=allowed).radius
    narrower = hamming_certificate(net, ids, y, most=3, allowed=allowed & (torch.arange(6) > 2)[:, None]).radius
    assert (free <= narrow).all()
    assert (narrow <= narrower).all()
    for ceiling in (None, torch.full((7,), 9)):
        nothing = hamming_certificate(net, ids, y, most=3, allowed=torch.zeros_like(allowed), ceiling=ceiling).radius
        assert torch.equal(nothing, torch.where(free < 0, -1, 3))


def test_what_is_wrong_has_no_radius_however_little() -> None:
    net, ids = CNN(filters=5, width=2).build(DNA, outputs=3, length=6).eval(), torch.randint(0, 4, (9, 6)).byte()
    with torch.no_grad():
        net.output.weight.mul_(1e-3)
        net.output.bias.zero_()
    for y in range(3):
        target = torch.full((9,), y)
        found = hamming_certificate(net, ids, target, most=1)
        assert torch.equal(found.radius < 0, predicted_class(in_double(net)(ids)) != y)
        assert torch.equal(edit_certificate(net, ids, target, most=1) < 0, found.radius < 0)


def test_a_radius_under_edits_depends_on_its_own_sequence_only() -> None:
    net, ids, y = some_batch("mean", lambda *batch: edit_certificate(*batch, most=3))
    singles = [
        function(net, ids).flatten(1, -2) for function in (substitution_scores, insertion_scores, deletion_scores)
    ]
    radii = edit_certificate(net, ids, y, most=3, singles=singles)
    assert radii[5] == radii[1]
    assert radii[2] == radii[6] == -1
    for rows, batch_size in (([3, 0, 6, 5, 2, 1, 4], 64), ([*range(7)], 2), ([0, 0, 4, 4, 2, 2], 4)):
        found = edit_certificate(
            net, ids[rows], y[rows], most=3, singles=[each[rows] for each in singles], batch_size=batch_size
        )
        assert torch.equal(found, radii[rows])
    for most in (0, 1, 2):
        assert torch.equal(edit_certificate(net, ids, y, most=most, singles=singles), radii.clamp(max=most))


def test_other_poolings_have_no_radius_beyond_one_edit() -> None:
    net, ids = CNN(filters=3, width=2).build(DNA, outputs=1, length=9), torch.zeros(1, 9, dtype=torch.uint8)
    assert edit_certificate(net, ids, predicted_class(net(ids)), most=3).tolist() == [0]
