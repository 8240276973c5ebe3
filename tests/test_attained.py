"""Bounds that are reached: on networks where nothing is lost, what is proved is what the worst edits do, exactly.

Random networks leave so much room below the truth that a factor can vanish unnoticed. Each network here loses nothing
on the way of one bound or more: it is affine, or has one window and one filter, or its weights agree in direction.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.certificates import (
    certified_batch,
    edit_certificate,
    hamming_certificate,
    hamming_lipschitz,
    in_double,
    predicted_class,
    symbol_influences,
)
from seqreg.certificates.levenshtein import edit_bound
from seqreg.certificates.radius import margin_bounds
from seqreg.mutagenesis import deletion_scores, insertion_scores, substitution_scores
from seqreg.networks import CNN, AlignmentNet, Blosum62, ConvNet, SmoothCNN, SpectrumNet, Sum, parts_of
from tests.bounds import SLACK, Case, check_bounds, padded, worst_after_edits

EXACT = {"influences", "influences here", "tail"}


def conv_net(
    kernels: Sequence[Tensor],
    head: Sequence[Sequence[float]],
    *,
    alphabet: Alphabet = DNA,
    bias: float = 0.0,
    hidden: Tensor | None = None,
    hidden_bias: Sequence[float] = (),
    length: int = 1,
    encoding: Tensor | None = None,
    **fields,
) -> ConvNet:
    """A network of given weights in float64: kernels (C, D, W), hidden (H, F), head (K, F)."""
    net = ConvNet(
        alphabet,
        torch.eye(alphabet.size) if encoding is None else encoding,
        channels=[len(kernel) for kernel in kernels],
        widths=[kernel.shape[2] for kernel in kernels],
        outputs=len(head),
        length=length,
        hidden=0 if hidden is None else len(hidden),
        **{"activation": "identity", **fields},
    )
    net = net.double().eval().requires_grad_(False)
    for conv, kernel in zip(net.convs, kernels, strict=True):
        conv.weight.copy_(kernel)
        conv.bias.fill_(bias)
    if hidden is not None:
        net.hidden.weight.copy_(hidden)
        net.hidden.bias.copy_(torch.tensor(hidden_bias))
    net.output.weight.copy_(torch.tensor(head))
    net.output.bias.copy_(torch.linspace(0.3, -0.4, len(head)))
    return net


def letters_by_taps(letters: Sequence[float], taps: Sequence[float]) -> Tensor:
    """(1, A, W) a filter whose letters differ alike at every tap."""
    return torch.outer(torch.tensor(letters).double(), torch.tensor(taps).double())[None]


def random_ids(alphabet: Alphabet, lengths: Sequence[int], symbols: int | None = None) -> Tensor:
    ids = torch.randint(0, symbols or alphabet.pad, (len(lengths), max(lengths)), dtype=torch.uint8)
    return ids.masked_fill(torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None], alphabet.pad)


def some_letters(ids: Tensor, alphabet: Alphabet) -> Tensor:
    """Two letters of three may be written, and none at the second position."""
    allowed = torch.rand(*ids.shape, alphabet.size) < 0.7
    allowed[:, 1] = False
    return allowed


# ---- affine networks: no letter asks what another does


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "position"])
@pytest.mark.parametrize(("width", "strands", "outputs"), [(1, True, 1), (2, False, 3), (3, True, 2), (4, False, -3)])
def test_influences_of_an_affine_network_are_all_there_is(
    pooling: str, width: int, strands: bool, outputs: int, masked: bool
) -> None:
    """outputs < 0: several labels. Sequences are longer than those trained on, and as short as one letter."""
    net = conv_net(
        [torch.randn(3, 4, width, dtype=torch.float64)],
        torch.randn(abs(outputs), 3 * (1 if pooling == "mean" else 5 - width)).tolist(),
        pooling=pooling,
        reverse_complement=strands,
        length=4,
    )
    ids = random_ids(DNA, (5, 1, 4, 2))
    y = (net(ids) > 0).long() if outputs < 0 else predicted_class(net(ids))
    check_bounds(Case(net=net, ids=ids, y=y, allowed=some_letters(ids, DNA) if masked else None), EXACT)


def test_influences_of_an_encoded_affine_network_are_all_there_is() -> None:
    encoding = torch.as_tensor(Blosum62(identity=0.3).matrix(PROTEIN)).float()
    net = conv_net(
        [torch.randn(2, encoding.shape[1], 2, dtype=torch.float64)],
        [[1.0, -2.0]],
        alphabet=PROTEIN,
        encoding=encoding,
        pooling="mean",
    )
    ids = random_ids(PROTEIN, (3, 1, 2))
    check_bounds(Case(net=net, ids=ids, y=torch.tensor([1, 0, 1]), most=2), EXACT)


# ---- one window, one filter


def one_window(pooling: str, strands: bool, **fields) -> ConvNet:
    kernel = torch.randn(1, 4, 4, dtype=torch.float64)
    if strands:  # both read the same
        kernel = kernel + kernel[:, [3, 2, 1, 0]].flip(2)
    return conv_net([kernel], [[1.5], [-0.7], [0.4]], pooling=pooling, reverse_complement=strands, length=4, **fields)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("strands", [False, True])
@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"activation": "relu", "bias": 50.0},
        {"hidden": torch.tensor([[3.0]]), "hidden_bias": [90.0]},
    ],
    ids=["identity", "relu", "hidden"],
)
def test_bounds_of_one_window_of_one_filter_are_the_truth(
    fields: dict[str, object], pooling: str, strands: bool, masked: bool
) -> None:
    net = one_window(pooling, strands, **fields)
    ids = random_ids(DNA, (4, 4) if strands else (4, 1, 3, 2))  # on two strands what pads a window lies on two sides
    y = predicted_class(net(ids))
    allowed = some_letters(ids, DNA) if masked else None
    case = Case(net=net, ids=ids, y=y, allowed=allowed)
    check_bounds(case, {*EXACT, "intervals"})
    for singles in (None, case.scores):
        proved = hamming_certificate(net, ids, y, most=3, allowed=allowed, singles=singles)
        assert torch.equal(proved.radius, case.radius)
        torch.testing.assert_close(proved.margin, case.worst[0].amin(1), atol=SLACK, rtol=0)


def test_a_hidden_layer_passes_on_what_falls_and_what_rises() -> None:
    """All units agree: what the feature does costs the margin by way of each of them."""
    hidden = torch.tensor([[2.0], [-3.0], [1.0], [-1.0]])
    net = conv_net(
        [torch.randn(1, 4, 4, dtype=torch.float64)],
        [[1.0, -0.5, 2.0, -0.3]],
        pooling="max",
        hidden=hidden,
        hidden_bias=[90.0] * 4,
    )
    ids = random_ids(DNA, (4, 3))
    for y in ([1, 0], [0, 1]):
        check_bounds(Case(net=net, ids=ids, y=torch.tensor(y)), {*EXACT, "intervals"})


@pytest.mark.parametrize("head", [2.0, -2.0])
def test_hidden_units_that_are_off_do_not_fall_but_may_rise(head: float) -> None:
    """A unit that is just off, beside one that is on: C may only come (rise), and A may only go (fall)."""
    kernel = letters_by_taps([1, 2, 0, 0], [1, 1, 1])
    net = conv_net(
        [kernel], [[1.0 if head > 0 else -1.0, head]], pooling="max", hidden=torch.ones(2, 1), hidden_bias=[9.0, -3.0]
    )
    ids = torch.zeros(1, 3, dtype=torch.uint8)  # AAA: 3, and the second unit is at 0
    allowed = torch.zeros(1, 3, 4, dtype=torch.bool)
    allowed[..., 2 if head > 0 else 1] = True
    check_bounds(Case(net=net, ids=ids, y=torch.tensor([1]), allowed=allowed), {"influences here", "intervals"})


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
def test_hidden_units_of_two_signs_do_not_make_up_for_each_other(pooling: str) -> None:
    """The size of a feature falls with it, down to zero, though one unit has it with the other sign."""
    hidden = torch.tensor([[1.0], [-1.0]])
    kernel = letters_by_taps([1, 0, 0, 0], [1, 1, 1])
    net = conv_net([kernel], [[1.0, 1.0]], pooling=pooling, hidden=hidden, hidden_bias=[0.0, 0.0])
    check_bounds(Case(net=net, ids=padded(net, [(0, 0, 0)]), y=torch.tensor([1])), {*EXACT, "intervals"})


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_hidden_units_are_on_or_off_by_the_windows_that_exist(pooling: str) -> None:
    """Padding would score 0 and turn the unit off, which costs what A costs when it becomes C."""
    kernel = letters_by_taps([-2, -1, -2, -2], [1])
    net = conv_net([kernel], [[1.0]], pooling=pooling, hidden=torch.tensor([[-1.0]]), hidden_bias=[-1.0])
    ids = padded(net, [(0,), (0, 0, 0)])
    case = Case(net=net, ids=ids, y=torch.tensor([1, 1]))
    check_bounds(case)
    assert case.batch.parts[0].active.tolist() == [[[True]], [[True]]]


def test_the_better_strand_turns_a_hidden_unit_on() -> None:
    net = conv_net(
        [letters_by_taps([2, 0, 0, 0], [1])],
        [[1.0]],
        pooling="max",
        reverse_complement=True,
        hidden=torch.tensor([[1.0]]),
        hidden_bias=[-1.0],
    )
    check_bounds(Case(net=net, ids=padded(net, [(0,), (3,), (1,)]), y=torch.tensor([1, 1, 1])), {"intervals"})


def test_a_window_of_padding_is_not_the_best_one() -> None:
    """It would score 0, more than letters do, and could not fall."""
    net = conv_net([letters_by_taps([-1, -2, -2, -2], [1])], [[1.0]], pooling="max")
    check_bounds(Case(net=net, ids=padded(net, [(0,), (0, 0, 0)]), y=torch.tensor([1, 1])))


@pytest.mark.parametrize("taps", [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
def test_the_tap_that_is_worth_most_counts(taps: list[float]) -> None:
    """Of a letter that several windows see, each by another tap."""
    net = conv_net([letters_by_taps([0, 1, 0, 0], taps)], [[1.0]], pooling="max")
    ids = padded(net, [(0, 0, 1, 0, 0)])
    check_bounds(Case(net=net, ids=ids, y=torch.tensor([1])), {*EXACT, "influences of symbols"})


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
def test_what_one_filter_loses_and_another_gains_is_charged_together(pooling: str) -> None:
    """C in place of A costs by way of both."""
    kernel = torch.cat([letters_by_taps([1, 0, 0, 0], [1, 2]), letters_by_taps([0, 1, 0, 0], [3, 1])])
    net = conv_net([kernel], [[1.0, -0.7]], pooling=pooling, length=2)
    check_bounds(Case(net=net, ids=padded(net, [(0, 0)]), y=torch.tensor([1])), EXACT)


@pytest.mark.parametrize("second", [2.0, -2.0])
@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
def test_a_second_layer_adds_up_what_the_first_does(pooling: str, second: float) -> None:
    """One window of both layers; all taps have one sign, so no letter's effect on one undoes that on the other."""
    kernels = [letters_by_taps([0.3, 2.0, 1.1, 0.0], [1.0, 0.5]), second * torch.tensor([[[1.0, 2.0, 0.7]]]).double()]
    activation, bias = ("relu", 40.0) if second > 0 else ("identity", 0.0)
    net = conv_net(kernels, [[1.0], [-0.6]], pooling=pooling, length=4, activation=activation, bias=bias)
    ids = random_ids(DNA, (4, 4))
    for y in ([0, 1], [1, 0]):
        check_bounds(Case(net=net, ids=ids, y=torch.tensor(y)), {*EXACT, "intervals"})


# ---- where a sequence stands: what has to be made up for first, and what cannot be lost


def cytosines(text: str, *, w: float, width: int, pooling: str = "max", bias: float = 0.0, worth: float = 1.0) -> Case:
    """w times the share of letters C in the best window, or the mean one; lower-case letters are protected."""
    kernel = letters_by_taps([0, worth, 0, 0], [1] * width)
    activation = "relu" if bias else "identity"
    net = conv_net([kernel], [[w]], pooling=pooling, activation=activation, bias=bias, length=len(text))
    free = torch.tensor([letter.isupper() for letter in text])
    allowed = free[None, :, None].repeat(1, 1, 4)
    ids = torch.as_tensor(DNA.encode(text.upper()).copy())[None]
    return Case(net=net, ids=ids, y=torch.tensor([1]), allowed=allowed)


@pytest.mark.parametrize(
    ("case", "reached", "at"),
    [
        # below zero by 1.5: that is made up for once, however many letters come
        (cytosines("AAAAA", w=-1, width=5, bias=-1.5), {"influences here", "intervals"}, (1, 2, 3)),
        (cytosines("AAAAA", w=-1, width=5, bias=-1.5, pooling="mean"), {"influences here", "intervals"}, (1, 2, 3)),
        (cytosines("AAAAA", w=-1, width=5, bias=-1.5, pooling="position"), {"influences here", "intervals"}, (1, 2, 3)),
        # another window has to rise above the best one first
        (cytosines("caaAAAA", w=-1, width=3), {"influences here"}, (1, 2, 3)),
        (cytosines("AAAAaac", w=-1, width=3), {"influences here"}, (1, 2, 3)),
        # only letters of the best window can lower the maximum, wherever it is
        (cytosines("CCCAAAAA", w=1, width=3), {"influences here"}, (1, 2, 3)),
        (cytosines("AAAAACCC", w=1, width=3), {"influences here"}, (1, 2, 3)),
        (cytosines("AAACCCAA", w=1, width=3), {"influences here"}, (1,)),
        # and not below a window that cannot change, nor above what letters can make of it
        (cytosines("CCCaccca", w=1, width=3), {"influences here", "intervals"}, (1, 2, 3)),
        (cytosines("CCCAcac", w=1, width=3, worth=2.0), {"influences here", "intervals"}, (1,)),
        (cytosines("CCC", w=-1, width=3), {"influences here", "intervals"}, (1, 2, 3)),
        # an activation does not fall below zero
        (cytosines("AACAA", w=1, width=5, bias=-0.5, pooling="mean"), {"influences here", "intervals"}, (1, 2, 3)),
        (cytosines("AACAA", w=1, width=5, bias=-0.5, pooling="max"), {"influences here", "intervals"}, (1, 2, 3)),
        (cytosines("AACAA", w=1, width=5, bias=-0.5, pooling="position"), {"influences here", "intervals"}, (1, 2, 3)),
    ],
    ids=[
        *("below-zero-max", "below-zero-mean", "below-zero-position", "second-best", "second-best-first"),
        *("best-first", "best-last", "best-inside", "equal", "lower-end", "upper-end"),
        *("above-zero-mean", "above-zero-max", "above-zero-position"),
    ],
)
def test_what_a_sequence_is_far_from_is_not_charged(case: Case, reached: set[str], at: tuple[int, ...]) -> None:
    check_bounds(case, reached, at)


def test_the_strand_on_which_a_filter_is_best_is_the_one_that_counts() -> None:
    """GG reads CC on the other strand: only there letters can lower the maximum."""
    kernel = letters_by_taps([0, 1, 0, 0], [1, 1])
    for text in ("GGTTTT", "TTTTGG", "TTGGTT", "AACCAA"):
        net = conv_net([kernel], [[1.0]], pooling="max", reverse_complement=True)
        ids = torch.as_tensor(DNA.encode(text).copy())[None]
        check_bounds(Case(net=net, ids=ids, y=torch.tensor([1]), most=2), {"influences here"}, (1,))


def test_the_letter_that_would_cost_most_is_replaced_first() -> None:
    """The one in the middle costs nothing now, and 5 in other sequences; the two beside it cost 1 and 6 together."""
    kernel = torch.full((2, 4, 3), 0.0, dtype=torch.float64)
    kernel[0, 0, 0], kernel[0, 0, 2] = 1.0, 6.0
    kernel[1, :, 1] = torch.tensor([-10.0, -5.0, -10.0, -10.0])
    net = conv_net([kernel], [[1.0, -1.0]], pooling="max", activation="relu")
    check_bounds(Case(net=net, ids=padded(net, [(0, 0, 0)]), y=torch.tensor([1])))


# ---- constants, and tables by symbol: for all sequences at once


TIGHT: dict[str, Callable[[], ConvNet]] = {
    "max": lambda: conv_net([letters_by_taps([0.3, 2, -1, 0], [1])], [[2.0], [-1], [0.5]], pooling="max"),
    "max-wide": lambda: conv_net([letters_by_taps([0.3, 2, -1, 0], [1, 1, 1])], [[2.0]], pooling="max"),
    "max-strands": lambda: conv_net(
        [letters_by_taps([2, -1, -1, 2], [1, 1])], [[2.0], [1]], pooling="max", reverse_complement=True
    ),
    "max-strand-alone": lambda: conv_net(
        [letters_by_taps([3, 0, 0, 0], [1])], [[2.0]], pooling="max", reverse_complement=True
    ),
    "mean": lambda: conv_net([torch.randn(3, 4, 1).double()], torch.randn(2, 3).tolist(), pooling="mean"),
    "mean-wide": lambda: conv_net([letters_by_taps([0.3, 2, -1, 0], [1, 0.2])], [[2.0], [-1]], pooling="mean"),
    "mean-strands": lambda: conv_net(
        [torch.randn(3, 4, 1).double()], torch.randn(1, 3).tolist(), pooling="mean", reverse_complement=True
    ),
    "position": lambda: conv_net(
        [torch.randn(3, 4, 1).double()], torch.randn(2, 9).tolist(), pooling="position", length=3
    ),
    "position-wide": lambda: conv_net(
        [letters_by_taps([0.3, 2, -1, 0], [1, 0.2])], [[2.0, 0.5], [-1, -3]], pooling="position", length=3
    ),
    "hidden": lambda: conv_net(
        [letters_by_taps([0.3, 2, -1, 0], [1])],
        [[1.0, -0.5]],
        pooling="max",
        hidden=torch.tensor([[2.0], [-3.0]]),
        hidden_bias=[50.0, 50.0],
    ),
    "deep": lambda: conv_net(
        [letters_by_taps([0.3, 2, -1, 0], [1, 1]), -2 * torch.ones(1, 1, 1).double()], [[1.0], [-0.5]], pooling="max"
    ),
    "spectrum": lambda: spectrum([0.3, 2, -1, 0], [1.0, 0.5, 0.8]),
    "spectrum-strands": lambda: spectrum([2, -1, -1, 2], [1.0, 0.5, 1.0], strands=True),
}


@pytest.mark.parametrize("name", TIGHT)
def test_constants_are_the_largest_change_of_any_letter_in_any_sequence(name: str) -> None:
    """And a table by symbol holds the largest fall of that symbol, ambiguous ones as well, at each position."""
    net = TIGHT[name]()
    outputs = net.output.out_features
    unit = torch.eye(outputs, dtype=torch.float64)
    pairs = [unit[j] - unit[k] for j, k in itertools.combinations(range(outputs), 2)]
    u = unit if outputs == 1 else torch.stack(pairs)  # Q, K
    length = 2 * net.receptive_field - 1 if net.pooling == "mean" else max(3, net.receptive_field)
    symbols = [*range(4), DNA.symbols.index("N"), DNA.symbols.index("R")]
    others = itertools.product(range(4), repeat=length - 1)
    ids = torch.tensor([[*rest[:at], v, *rest[at:]] for rest in others for at in range(length) for v in symbols]).byte()
    place, symbol = torch.arange(length).repeat_interleave(len(symbols)), torch.tensor(symbols).repeat(length)
    place, symbol = (each.repeat(len(ids) // len(each)) for each in (place, symbol))
    mutant = substitution_scores(net, ids)[torch.arange(len(ids)), place]  # B, A, K
    fall = (net(ids)[:, None] - mutant) @ u.t()  # B, A, Q
    windows = int(net.window_counts(torch.tensor(length)))
    plain = symbol < 4
    found = hamming_lipschitz(net, None if outputs == 1 else u, windows)
    torch.testing.assert_close(found, fall[plain].abs().amax((0, 1)), atol=SLACK, rtol=0)
    torch.testing.assert_close(hamming_lipschitz(net, windows=windows), found)
    table = symbol_influences(net, u) / (windows if net.pooling == "mean" else 1)
    for v in symbols:
        for i in range(length) if net.pooling == "position" else [None]:
            chosen = (symbol == v) if i is None else (symbol == v) & (place == i)
            worst, found = fall[chosen].amax((0, 1)).clamp(min=0), table[:, v] if i is None else table[:, v, i]
            if v < 4 or not isinstance(net, SpectrumNet):
                torch.testing.assert_close(found, worst, atol=SLACK, rtol=0)
            assert (found >= worst - SLACK).all()
    assert not table[:, DNA.pad].any()


def test_constants_are_in_full_where_one_strand_rises_alone() -> None:
    net = conv_net([letters_by_taps([3, 0, 0, 0], [1])], [[-2.0]], pooling="max", reverse_complement=True)
    table = symbol_influences(net, torch.ones(1, 1, dtype=torch.float64))
    fall = (net(padded(net, [(1,)])) - substitution_scores(net, padded(net, [(1,)]))).max()  # C, which becomes A
    torch.testing.assert_close(table[0, 1], fall, atol=SLACK, rtol=0)
    allowed = (torch.arange(4) == 0)[None, None]  # any T would do on the other strand
    case = Case(net=net, ids=padded(net, [(1,)]), y=torch.tensor([1]), allowed=allowed, most=1)
    check_bounds(case, {*EXACT, "intervals", "influences of symbols"})


def test_mean_pooling_divides_the_constant_by_the_windows_trained_on_unless_told() -> None:
    net = conv_net([torch.randn(2, 4, 2).double()], [[1.0, -1.0]], pooling="mean", length=6)
    torch.testing.assert_close(hamming_lipschitz(net), hamming_lipschitz(net, windows=5))


# ---- what l2 norms prove


@pytest.mark.parametrize("pooling", ["max", "mean", "position"])
def test_m_substitutions_move_a_sequence_by_the_root_of_twice_their_number(pooling: str) -> None:
    """The network looks along A - C only, as far as a sequence of `length` letters can go."""
    length = 1 if pooling == "max" else 3
    head = [[1.0] * 3, [-0.5] * 3] if pooling == "position" else [[1.0], [-0.5]]
    net = conv_net([letters_by_taps([1, -1, 0, 0], [1])], head, pooling=pooling, length=3)
    ids = torch.zeros(1, length, dtype=torch.uint8)
    check_bounds(Case(net=net, ids=ids, y=torch.tensor([0])), {"l2"}, (length,))
    both = Case(net=net, ids=padded(net, [(0,), (0, 0, 0)]), y=torch.tensor([0, 0]))  # of which one has few windows
    proved = hamming_certificate(net, both.ids, both.y, most=3).radius
    assert torch.equal(proved, both.radius if pooling == "mean" else proved.minimum(both.radius))


@pytest.mark.parametrize(
    ("first", "second", "fields", "text", "letter"),
    [
        ([[[2.0], [0], [-1], [0]]], -3.0, {"pooling": "max"}, "G", "A"),
        ([[[2.0], [0], [-1], [0]]], -3.0, {"pooling": "position", "length": 3}, "Gcg", "A"),
        # every window sees the letter in the middle, by a tap that is worth the same
        ([[[2.0] * 3, [0] * 3, [-1] * 3, [0] * 3]], -3.0, {"pooling": "mean"}, "ccGcc", "A"),
        # one filter sees the A, the other sees it as the T opposite
        ([[[1.0], [-1], [-1], [-1]], [[-1], [-1], [-1], [1]]], 3.0, {"pooling": "max", "strands": True}, "A", "C"),
        ([[[1.0], [-1], [-1], [1]]], 3.0, {"pooling": "mean", "strands": True}, "A", "C"),
        # from A to C costs 3 on one strand, from T to G costs 1 on the other
        ([[[2.0], [-1], [0], [1]]], 3.0, {"pooling": "mean", "strands": True}, "A", "C"),
    ],
    ids=["max", "position", "mean", "max-strands", "mean-strands", "mean-strands-apart"],
)
def test_layers_pass_on_a_substitution_in_full(
    first: list[list[list[float]]], second: float, fields: dict[str, object], text: str, letter: str
) -> None:
    """The second layer, the hidden one and the head take what comes times 3, 2 and 1.5."""
    channels, strands = len(first), bool(fields.get("strands"))
    features = channels * (3 if fields["pooling"] == "position" else 1)
    row = torch.ones(features) if channels > 1 else torch.eye(features)[0]
    net = conv_net(
        [torch.tensor(first).double(), second * torch.eye(channels).double()[:, :, None]],
        [row.tolist(), (-0.5 * row).tolist()],
        hidden=2 * torch.eye(features),
        hidden_bias=[90.0] * features,
        reverse_complement=strands,
        **{name: value for name, value in fields.items() if name != "strands"},
    )
    ids = torch.as_tensor(DNA.encode(text.upper()).copy())[None]
    allowed = torch.zeros(1, len(text), 4, dtype=torch.bool)
    allowed[0, :, DNA.letters.index(letter)] = torch.tensor([each.isupper() for each in text])
    case = Case(net=net, ids=ids, y=torch.tensor([0]), allowed=allowed, most=1)
    check_bounds(case, {"first layer and l2"})


# ---- spectra, and alignments


def spectrum(letters: Sequence[float], taps: Sequence[float], *, strands: bool = False) -> SpectrumNet:
    """The weight of a k-mer is the sum of what its letters are worth at each tap; half of that in the second class."""
    net = SpectrumNet(DNA, len(taps), outputs=2, length=5, reverse_complement=strands).double().eval()
    net.requires_grad_(False)
    kmers = torch.tensor(list(itertools.product(letters, repeat=len(taps)))).double() @ torch.tensor(taps).double()
    net.output.weight.copy_(torch.stack([kmers, kmers / 2]))
    return net


@pytest.mark.parametrize("taps", [[1.0], [1.0, 0.4], [1.0, 0.5, 0.8]])
def test_influences_on_a_spectrum_whose_letters_add_up_are_all_there_is(taps: list[float]) -> None:
    ids = random_ids(DNA, (5, 3, 4), symbols=4)
    allowed = torch.ones(*ids.shape, 4, dtype=torch.bool)
    allowed[:, 1] = False
    for y in ([0, 1, 0], [1, 0, 1]):
        net = spectrum([0.3, 2, -1, 0], taps)
        check_bounds(Case(net=net, ids=ids, y=torch.tensor(y), allowed=allowed), EXACT)
        both = spectrum([2, -1, -1, 2], [*taps[:1], *taps[1:2], *taps[:1]][: len(taps) // 2 * 2 + 1], strands=True)
        check_bounds(Case(net=both, ids=ids, y=torch.tensor(y), allowed=allowed), EXACT)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_what_a_kmer_may_lose_is_the_largest_fall_near_it(k: int) -> None:
    net = SpectrumNet(DNA, k, outputs=2, length=5).double()
    torch.nn.init.normal_(net.output.weight)
    u = torch.tensor([[1.0, -1.0], [0.0, 1.0]]).double()
    weight = (u @ net.output.weight.detach()).unflatten(1, [4] * k)
    for others in range(k + 1):
        found = net.content_costs(u, others).detach()
        for q, tap, v in itertools.product(range(2), range(k), itertools.product(range(4), repeat=k)):
            near = [
                x
                for x in itertools.product(range(4), repeat=k)
                if x[tap] == v[tap] and sum(a != b for a, b in zip(x, v, strict=True)) <= others
            ]
            falls = [weight[q][x] - min(weight[q][(*x[:tap], b, *x[tap + 1 :])] for b in range(4)) for x in near]
            torch.testing.assert_close(found[q, tap, int("".join(map(str, v)), 4)], max(falls))
        flat = weight.flatten(1)
        torch.testing.assert_close(found[:, 0, -1], flat.amax(1).clamp(min=0) - flat.amin(1).clamp(max=0))


@pytest.mark.parametrize("strands", [False, True])
def test_one_kmer_in_all_is_found_by_as_many_substitutions_as_it_takes(strands: bool) -> None:
    """All is well until the last of three letters has changed: one that is charged for its neighbours' sake only."""
    net = SpectrumNet(DNA, 3, outputs=1, length=5, reverse_complement=strands).double().eval().requires_grad_(False)
    net.output.weight.fill_(1.0)
    net.output.weight[0, 21] = -9.0  # CCC
    ids = torch.as_tensor(DNA.encode("AAAANTTTT").copy()).view(3, 3)
    check_bounds(Case(net=net, ids=ids, y=torch.tensor([1, 1, 1])))


def test_two_ambiguous_letters_in_a_window_count_as_nothing() -> None:
    net = SpectrumNet(DNA, 2, outputs=1, length=3).double().eval().requires_grad_(False)
    net.output.weight.fill_(1.0)
    check_bounds(Case(net=net, ids=padded(net, [(DNA.symbols.index("N"),) * 3]), y=torch.tensor([0])))


def aligned(lengths: Sequence[int], head: list[list[float]]) -> AlignmentNet:
    """References of these lengths, of one letter alone, which tells others apart as no other does.

    All that can be matched is, so that scores are sums over letters.
    """
    net = AlignmentNet(PROTEIN, len(lengths), outputs=len(head), length=max(lengths)).double().eval()
    net.requires_grad_(False)
    inside = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    net.references.copy_(torch.where(inside, 3, PROTEIN.pad))
    similarity = torch.full((20, 20), 100.0).double()
    similarity[3] = similarity[:, 3] = torch.linspace(100, 119, 20)
    similarity[3, 3] = 160
    net.similarity.copy_(net.mixtures @ similarity @ net.mixtures.t())
    net.output.weight.copy_(torch.tensor(head))
    return net


def test_influences_on_scores_of_full_alignments_are_all_there_is() -> None:
    net = aligned([3], [[1.0], [-0.5]])
    for lengths in ((3, 3), (2, 3)):
        ids = random_ids(PROTEIN, lengths, symbols=20)
        for y in ([0, 1], [1, 0]):
            check_bounds(Case(net=net, ids=ids, y=torch.tensor(y), most=2), {*EXACT, "intervals"})
    check_bounds(Case(net=net, ids=padded(net, [(3,)]), y=torch.tensor([0]), most=1), {"first layer and l2"})


def test_influences_of_all_parts_add_up() -> None:
    """At each place the last letter costs most in every part."""
    net = Sum(spectrum=2, pooling=("none",)).build(DNA, outputs=2, length=5).double().eval().requires_grad_(False)
    for part in parts_of(net):
        worth = -torch.arange(4.0)
        if isinstance(part, SpectrumNet):
            worth = (worth[:, None] + worth).flatten()
            part.output.weight.copy_(torch.stack([worth, 0 * worth]))
        else:
            worth = worth[:, None] * torch.rand(5)
            part.output.weight.copy_(torch.stack([worth.flatten(), 0 * worth.flatten()]))
    ids = random_ids(DNA, (5, 3, 4), symbols=4)
    check_bounds(Case(net=net, ids=ids, y=torch.zeros(3, dtype=torch.long)), EXACT)
    constants = [hamming_lipschitz(part, windows=3) for part in parts_of(net)]
    torch.testing.assert_close(hamming_lipschitz(net, windows=3), sum(constants))


# ---- insertions and deletions


# Networks, sequences, and the classes whose margins the worst edits reach.
EDITED: dict[str, tuple[Callable[[], ConvNet], list[str], list[int]]] = {
    "one letter": (
        lambda: conv_net([letters_by_taps([0.3, 2, -1, 0], [1])], [[1.0], [-0.5], [0.9]], pooling="mean"),
        ["ACGTC", "CCCC", "GGG"],
        [0, 1],
    ),
    # AA alone counts, and a letter in the middle is in two windows of it
    "two letters": (
        lambda: conv_net(
            [letters_by_taps([1, 0, 0, 0], [1, 1])], [[1.0], [-0.5]], pooling="mean", activation="relu", bias=-1
        ),
        ["AAAAAA", "AAAAA"],
        [0],
    ),
    "two layers": (
        lambda: conv_net(
            [letters_by_taps([1, 0, 0, 0], [1]), torch.ones(1, 1, 2).double()],
            [[1.0], [-0.5]],
            pooling="mean",
            activation="relu",
            bias=-0.5,
        ),
        ["AAAAAA", "AAAAA"],
        [0],
    ),
    "strands": (
        lambda: conv_net(
            [letters_by_taps([1, 0, 0, 1], [1, 1])],
            [[1.0], [-0.5]],
            pooling="mean",
            activation="relu",
            bias=-1,
            reverse_complement=True,
        ),
        ["AAAAAA", "TTTAA", "AAACCC"],
        [0],
    ),
    "hidden": (
        lambda: conv_net(
            [letters_by_taps([0.3, 2, -1, 0], [1])],
            [[1.0, -0.5]],
            pooling="mean",
            hidden=torch.tensor([[2.0], [-3.0]]),
            hidden_bias=[50.0, 50.0],
        ),
        ["ACGTC", "CA"],
        [0, 1],
    ),
    "spectrum": (lambda: counted("AA"), ["AAAAAA", "AAAAA"], [1]),
    # with so little smoothing it is the convolution of windows over the root of two
    "smooth": (lambda: smooth([[[1.0, 1.0], [0, 0], [0, 0], [0, 0]]]), ["AACA"], [0]),
}


def counted(kmer: str) -> SpectrumNet:
    """A spectrum of which one k-mer counts."""
    net = SpectrumNet(DNA, len(kmer), outputs=1, length=5).double().eval().requires_grad_(False)
    net.output.weight.zero_()
    net.output.weight[0, int("".join(str(DNA.letters.index(letter)) for letter in kmer), 4)] = 1.0
    return net


def smooth(kernel: list[list[list[float]]], smoothing: float = 1e-9) -> ConvNet:
    """The first class counts against the filter, the second for it."""
    spec = SmoothCNN(filters=1, width=len(kernel[0][0]), smoothing=smoothing)
    net = spec.build(DNA, outputs=2, length=5).double().eval().requires_grad_(False)
    net.convs[0].weight.copy_(torch.tensor(kernel))
    net.output.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    return net


def radius(worst: Tensor) -> Tensor:
    """(N,) most edits that leave all margins (M + 1, N, P) positive."""
    return (worst.amin(2) > 0).long().cumprod(0).sum(0) - 1


@pytest.mark.parametrize("name", EDITED)
def test_no_edits_do_less_than_the_worst_that_is_proved(name: str) -> None:
    """Where a sequence may lose its last window nothing is proved, and single edits settle one."""
    build, texts, reached = EDITED[name]
    net = build()
    codes = [tuple(DNA.encode(text).tolist()) for text in texts]
    ids = padded(net, codes)
    for target in (0, 1):
        y = torch.full((len(texts),), target)
        truth = worst_after_edits(net, codes, y, 2)
        for m in (0, 1, 2):
            bound = edit_bound(certified_batch(in_double(net), ids, y), m)
            possible = net.lengths(ids) - m >= net.receptive_field
            assert torch.equal(bound > -math.inf, possible[:, None].expand_as(bound))
            assert (bound <= truth[m] + SLACK).all()
            if target in reached:
                assert (
                    m == 0
                    or (edit_certificate(net, ids, y, most=m)[possible] == radius(truth[: m + 1])[possible]).all()
                )
                torch.testing.assert_close(bound[possible], truth[m][possible], atol=SLACK, rtol=0)


@pytest.mark.parametrize(
    ("net", "text"),
    [
        # one of two letters may go, and half a window is worth less than any whole one
        (conv_net([torch.ones(1, 4, 2).double()], [[1.0]], pooling="mean"), "AC"),
        (conv_net([torch.ones(1, 4, 3).double()], [[1.0]], pooling="mean"), "ACG"),
        # a window with an N in it is smaller than any of letters, and more of the mean once a letter has gone
        (smooth([[[0.0] * 2] * 4], 1.0), "NAA"),
        (smooth([[[0.0] * 2] * 4], 1.0), "AANA"),
    ],
    ids=["shortest-2", "shortest-3", "ambiguous", "ambiguous-inside"],
)
def test_the_last_window_and_windows_of_ambiguous_letters_are_not_taken_for_whole_ones(net: ConvNet, text: str) -> None:
    codes = [tuple(DNA.encode(text).tolist())]
    ids, y = padded(net, codes), torch.tensor([1])
    truth = worst_after_edits(net, codes, y, 2)
    for m in (1, 2):
        assert (edit_bound(certified_batch(net, ids, y), m) <= truth[m] + SLACK).all()
    singles = [edit(net, ids).flatten(1, -2) for edit in (substitution_scores, insertion_scores, deletion_scores)]
    assert (edit_certificate(net, ids, y, most=2, singles=singles) <= radius(truth)).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_letter_in_place_of_an_ambiguous_one_makes_a_window_larger(sign: float) -> None:
    """Filters of zero see nothing but the size of a window, which N makes smaller: bounds must allow for its growth."""
    net = smooth([[[0.0]] * 4], 1.0)
    net.output.weight.mul_(sign)
    ids = torch.as_tensor(DNA.encode("NNNRAN").copy()).view(2, 3)
    check_bounds(Case(net=net, ids=ids, y=torch.tensor([0, 0])))
    check_bounds(Case(net=net, ids=ids, y=torch.tensor([1, 1])))


def test_the_smooth_network_of_almost_no_smoothing_is_as_certain_as_any() -> None:
    net = smooth([[[1.0, 1.0], [0.2, 0.2], [3.0, 3.0], [0.5, 0.5]]])
    ids = random_ids(DNA, (2, 2), symbols=4)
    for y in ([0, 1], [1, 0]):
        check_bounds(Case(net=net, ids=ids, y=torch.tensor(y), most=2), {*EXACT, "intervals"})


@pytest.mark.parametrize("depth", [1, 2])
def test_scores_of_single_mutants_take_the_place_of_influences_and_of_nothing_else(depth: int) -> None:
    net = CNN(filters=3, width=2, depth=depth).build(DNA, outputs=2, length=5).double().eval()
    case = Case(net=net, ids=padded(net, [(0, 1, 2, 3, 0)]), y=torch.tensor([0]))
    singles = substitution_scores(net, case.ids)
    none = torch.zeros(1, 1, dtype=torch.float64)

    def names(m: int, singles: torch.Tensor | None) -> set[str]:
        return {name for name, _ in margin_bounds(case.batch, none[..., None], singles, none, m)}

    assert names(1, singles) == {"worst single"}
    assert names(2, singles) - {"worst single and influences"} == names(2, None) - {"influences"} >= {"l2"}
