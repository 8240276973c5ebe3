"""Sums of networks: what each part computes, that everything adds up, and how parts are trained and weighted."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from seqreg.alphabet import DNA, PROTEIN, RNA, Alphabet
from seqreg.baselines.features import count_kmers
from seqreg.certificates import hamming_lipschitz
from seqreg.constraints import SpectralNorm
from seqreg.errors import UsageError
from seqreg.linear import inner_folds
from seqreg.mutagenesis import deletion_scores, forward_substitution_scores, insertion_scores, substitution_scores
from seqreg.mutagenesis.edits import DELETION, INSERTION
from seqreg.networks import MODELS, ConvNet, SpectrumNet, Sum, SumNet, as_onehot, parts_of
from seqreg.sequences import SequenceSet
from seqreg.specs import parse
from seqreg.targets import Classes, Labels
from seqreg.training import TrainConfig, architecture_of, fit, held_out, with_defaults
from seqreg.training.heads import STRENGTHS
from seqreg.training.held_out import FOLDS_OF_FEW, HeldOut
from seqreg.training.learning import learn
from seqreg.training.loop import fit as loop_fit
from seqreg.training.stacking import fit_parts
from seqreg.training.weighing import RIDGE, mean_loss, stacking_weights

LENGTHS = torch.tensor([17, 3, 8, 1, 12])
NETWORKS = [(DNA, 3, False), (DNA, 2, True), (PROTEIN, 2, False)]
SEVERAL = [*NETWORKS, (DNA, (1, 2, 3), True), (PROTEIN, (2, 1), False)]


def random_ids(alphabet: Alphabet, symbols: int | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(0, symbols or alphabet.pad, (5, 17), generator=generator, dtype=torch.uint8)
    return ids.masked_fill(torch.arange(17) >= LENGTHS[:, None], alphabet.pad)


def build(alphabet: Alphabet, k: int | tuple[int, ...], strands: bool, outputs: int = 3) -> SumNet:
    torch.manual_seed(1)
    spec = Sum(spectrum=k if isinstance(k, tuple) else (k,), filters=8, width=4, pooling=("max", "position"))
    net = spec.build(alphabet, outputs=outputs, length=15, reverse_complement=strands).double().eval()
    with torch.no_grad():
        for part in parts_of(net):
            torch.nn.init.normal_(part.output.weight)
    return net


def random_set(n: int = 90, length: int = 12, classes: int = 2) -> SequenceSet:
    """DNA whose class shows in the letter at position 3 and, less clearly, in how often AC occurs."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, (n, length)).astype(np.uint8)
    y = (codes[:, 3] + (generator.random(n) < 0.3)) % classes
    codes[y == 0, -2:] = (0, 1)
    return SequenceSet(
        alphabet=DNA,
        names=[f"s{i}" for i in range(n)],
        codes=codes.ravel(),
        offsets=np.arange(n + 1) * length,
        target=Classes(names=tuple("abc"[:classes])),
        y=y,
    )


@pytest.mark.parametrize(("alphabet", "k", "strands"), NETWORKS)
def test_a_spectrum_counts_kmers_per_window(alphabet: Alphabet, k: int, strands: bool) -> None:
    data = random_set(classes=2) if alphabet is DNA else replace(random_set(), alphabet=PROTEIN)
    net = SpectrumNet(alphabet, k, outputs=2, length=12).double()
    shares = count_kmers(data, k).toarray() / (12 - k + 1)
    expected = shares @ net.output.weight.detach().numpy().T + net.output.bias.detach().numpy()
    np.testing.assert_allclose(net(torch.from_numpy(data.padded())).detach(), expected, atol=1e-12)


@pytest.mark.parametrize("moved", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("alphabet", "k", "strands"), [*NETWORKS, (DNA, 1, False), (DNA, 4, True)])
def test_kmers_that_fire_are_all_that_the_filters_see(alphabet: Alphabet, k: int, strands: bool, moved: float) -> None:
    """Near letters and far from them: values, slopes, and how the slopes turn with the weights."""
    torch.manual_seed(2)
    net = SpectrumNet(alphabet, k, outputs=2, length=17, reverse_complement=strands).double()
    x = net.one_hot(random_ids(alphabet))
    x = (x + moved * torch.randn_like(x)).requires_grad_()
    weight, found = net.output.weight, []
    for features in (net.dense_features(x, LENGTHS), ConvNet.dense_features(net, x, LENGTHS)):
        (slope,) = torch.autograd.grad(net.output(features)[:, 0].sum(), x, create_graph=True)
        turned = torch.autograd.grad(slope.square().sum(), weight)
        found.append((features, slope, *turned))
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-10, rtol=1e-10)
    assert found[0][2].abs().max() > 0


def test_a_mixture_counts_in_parts_and_two_in_a_window_do_not() -> None:
    net = SpectrumNet(DNA, 2, outputs=1, length=2).double()
    n = DNA.symbols.index("N")
    one = net(torch.tensor([[0, n]], dtype=torch.uint8))
    each = net(torch.tensor([[0, a] for a in range(4)], dtype=torch.uint8))
    torch.testing.assert_close(one[0], each.mean(0), atol=1e-12, rtol=0)
    assert torch.equal(net(torch.tensor([[n, n]], dtype=torch.uint8))[0], net.output.bias)


@pytest.mark.parametrize(("alphabet", "k", "strands"), SEVERAL)
def test_every_way_to_score_a_sum_agrees_and_padding_does_not_matter(alphabet: Alphabet, k: int, strands: bool) -> None:
    net, ids = build(alphabet, k, strands), random_ids(alphabet)
    view = as_onehot(net, ids)
    fast = net(ids)
    close = {"atol": 1e-10, "rtol": 0}
    torch.testing.assert_close(fast, sum(part(ids) for part in parts_of(net)), **close)
    torch.testing.assert_close(net(view.x, lengths=LENGTHS), fast, **close)
    torch.testing.assert_close(view.forward(view.x), fast, **close)
    alone = torch.cat([net(ids[i : i + 1, :length]) for i, length in enumerate(LENGTHS)])
    torch.testing.assert_close(alone, fast, **close)
    (dense,) = torch.autograd.grad(net(view.x, lengths=LENGTHS)[:, 1].sum(), view.x)
    torch.testing.assert_close(view.gradient(view.logits[:, 1]), view.masked(dense), **close)


@pytest.mark.parametrize("symbols", ["letters", "mixtures"])
@pytest.mark.parametrize(("alphabet", "k", "strands"), SEVERAL)
def test_edits_of_a_sum_score_like_edited_sequences(alphabet: Alphabet, k: int, strands: bool, symbols: str) -> None:
    net, ids = (
        build(alphabet, k, strands),
        random_ids(alphabet, alphabet.size if symbols == "letters" else None)[[0, 2]],
    )
    torch.testing.assert_close(substitution_scores(net, ids), forward_substitution_scores(net, ids), atol=1e-10, rtol=0)
    inserted, deleted = insertion_scores(net, ids), deletion_scores(net, ids)
    for place in (0, 3, 7):
        at = torch.full((2,), place)
        torch.testing.assert_close(
            deleted[:, place], net(DELETION.apply(ids, at, None, alphabet.pad)), atol=1e-10, rtol=0
        )
        for letter in range(alphabet.size):
            edited = INSERTION.apply(ids, at, torch.full((2,), letter), alphabet.pad)
            torch.testing.assert_close(inserted[:, place, letter], net(edited), atol=1e-10, rtol=0)


def test_sums_that_cannot_be_are_refused() -> None:
    shape = {"outputs": 1, "length": 9}
    with pytest.raises(UsageError, match="8000 k-mers of protein; at most 1024"):
        Sum(spectrum=3).build(PROTEIN, **shape)
    with pytest.raises(UsageError, match=r"width=8\+8 repeats itself; several CNNs of a kind are networks=2"):
        Sum(spectrum=2, width=(8, 8)).build(PROTEIN, **shape)
    with pytest.raises(UsageError, match=r"sum: spectrum=1\+2\+1 repeats itself$"):
        Sum(spectrum=(1, 2, 1)).build(PROTEIN, **shape)
    with pytest.raises(UsageError, match="no part is left"):
        Sum(spectrum=0, positions=False, pooling=("none",)).build(DNA, **shape)
    with pytest.raises(UsageError, match="reverse_complement=True needs dna or rna"):
        Sum(spectrum=2).build(PROTEIN, **shape, reverse_complement=True)


@pytest.mark.parametrize(("alphabet", "lengths"), [(DNA, (1, 2, 3, 4, 5)), (RNA, (1, 2, 3, 4, 5)), (PROTEIN, (1, 2))])
def test_what_is_left_to_the_alphabet_is_written_down(alphabet: Alphabet, lengths: tuple[int, ...]) -> None:
    left, said = (TrainConfig(model=Sum(spectrum=chosen, width=(7,))) for chosen in (None, lengths))
    filled = with_defaults(left, replace(random_set(), alphabet=alphabet), None)
    assert filled == with_defaults(said, replace(random_set(), alphabet=alphabet), None)
    assert filled.to_plain()["model"].startswith(f"sum:spectrum={'+'.join(map(str, lengths))},")
    shape = {"outputs": 1, "length": 12}
    built = Sum().build(alphabet, **shape)
    assert {name: built.part(name).width for name in built.kinds()["spectrum"]} == {
        f"spectrum-{k}": alphabet.size**k for k in lengths
    }
    assert Sum(spectrum=4).in_words == Sum().in_words.replace("k-mers", "4-mers")
    assert Sum(spectrum=(1, 2, 3)).in_words == Sum().in_words.replace("k-mers", "1-, 2- and 3-mers")
    assert "spectrum" not in Sum(spectrum=0).build(alphabet, **shape).kinds(), "none is a choice"


def test_spectra_of_several_lengths_are_one_regression_on_all_their_kmers() -> None:
    data = random_set()
    net = Sum(spectrum=(1, 2), positions=False, pooling=("none",)).build(DNA, outputs=1, length=12)
    model = "sum:spectrum=1+2,positions=false,pooling=none"
    config = with_defaults(TrainConfig(model=model, threads=1), data, None)
    fitted = fit_parts(net, config, data, None)
    blocks = [count_kmers(data, k).toarray() / (12 - k + 1) for k in (1, 2)]
    x = np.concatenate([block / np.sqrt((block**2).sum(1).mean() * 2) for block in blocks], 1)
    losses = {}
    for c in STRENGTHS:
        scores = np.zeros((len(data), 1))
        for inner, outer in inner_folds(data, FOLDS_OF_FEW, config.seed):
            solved = LogisticRegression(C=c, max_iter=5000).fit(x[inner], data.y[inner])
            scores[outer, 0] = solved.decision_function(x[outer])
        losses[c] = mean_loss(scores, fitted.y, fitted.weight)
    best = min(losses, key=lambda c: losses[c])
    assert fitted.scores.shape == (1, len(data), 1)
    assert mean_loss(fitted.scores[0], fitted.y, fitted.weight) == pytest.approx(
        losses[best], rel=2e-3
    )  # as far as the solver goes
    whole = LogisticRegression(C=best, max_iter=5000).fit(x, data.y).decision_function(x)
    together = net(torch.from_numpy(data.padded())).detach().numpy()[:, 0]
    assert np.corrcoef(together, whole)[0, 1] > 1 - 1e-4
    np.testing.assert_allclose(together.mean(), whole.mean(), atol=0.02)
    weights, offset = stacking_weights(fitted.scores, fitted.y, fitted.weight)
    fit(net, config, data, None)
    weighed = net(torch.from_numpy(data.padded())).detach().numpy()[:, 0]
    np.testing.assert_allclose(weighed, weights[0] * together + offset, atol=1e-3)


def trained(model: str, data: SequenceSet, valid: SequenceSet | None = None, **fields: object) -> SumNet:
    config = TrainConfig(model=model, epochs=4, threads=1, **fields)  # pyright: ignore[reportArgumentType]
    config = with_defaults(config, data, valid)
    spec = Sum(spectrum=2, filters=8, width=4, pooling=("max", "position"))
    torch.manual_seed(0)
    net = spec.build(DNA, outputs=1 if len(data.classes) == 2 else len(data.classes), length=12)
    if "pooling=none" in model:
        net = Sum(spectrum=0, pooling=("none",)).build(DNA, outputs=net(torch.zeros(1, 9).byte()).shape[1], length=12)
    fit(net, config, data, valid)
    return net


@pytest.mark.parametrize(("classes", "held_out"), [*itertools.product((2, 3), (False, True))])
def test_a_linear_part_is_a_logistic_regression(classes: int, held_out: bool) -> None:
    data = random_set(classes=classes)
    valid = data.subset(np.arange(60, 90)) if held_out else None
    train = data.subset(np.arange(60))
    net = trained("sum:spectrum=0,pooling=none", train, valid)
    logits = net(torch.from_numpy(data.padded())).detach().double().numpy()
    x = np.eye(4)[data.padded()].reshape(len(data), -1) / np.sqrt(12)
    tol = 1e-4 if classes == 2 else 1e-8  # two classes are solved by the same method, and are as far from the optimum
    fitted = [
        LogisticRegression(C=c, tol=tol, max_iter=5000).fit(x[:60], train.y).decision_function(x).reshape(len(data), -1)
        for c in STRENGTHS
    ]
    alike = [np.corrcoef((each - each.mean(0)).ravel(), (logits - logits.mean(0)).ravel())[0, 1] for each in fitted]
    assert max(alike) > 1 - 1e-6


def test_filters_of_linear_parts_stay_as_they_are() -> None:
    net = trained(
        "sum:spectrum=2,filters=8,width=4,pooling=max+position", random_set(), penalty=("spectral", "gradient")
    )
    fresh = Sum(spectrum=2, filters=8, width=4, pooling=("max", "position")).build(DNA, outputs=1, length=12)
    SpectralNorm(radius=0.01).project_(net, 100)
    for part, other in zip(parts_of(net), parts_of(fresh), strict=True):
        same = torch.equal(part.convs[0].weight, other.convs[0].weight)
        assert same == part.head_only
        assert part.output.weight.norm() <= 0.011


def test_weights_of_parts_are_the_best_that_are_not_negative() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 200)
    good = (2.0 * y - 1 + generator.normal(size=200))[None, :, None]
    noise, against = generator.normal(size=(1, 200, 1)), -good
    scores = np.concatenate([good, 3 * noise, against, good + 0.1 * noise])
    weights, offset = stacking_weights(scores, y, np.ones(200))
    assert (weights >= 0).all()
    assert weights[2] == 0
    assert weights[1] * 3 < 0.1 * weights[0]
    spread = scores.std((1, 2))

    def objective(w: np.ndarray, b: np.ndarray) -> float:
        return mean_loss(np.tensordot(w, scores, 1) + b, y, np.ones(200)) + RIDGE * float(((w * spread) ** 2).sum())

    best = objective(weights, offset)
    for _ in range(50):
        other = np.clip(weights + generator.normal(size=4) * 0.05, 0, None)
        assert objective(other, offset + generator.normal() * 0.05) >= best - 1e-6


def test_several_labels_and_classes_are_stacked_too() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, (80, 3))
    scores = np.stack([labels * 2.0 - 1, generator.normal(size=(80, 3))])
    weights, offset = stacking_weights(scores, labels, np.ones(80))
    assert weights[0] > 3 * weights[1]
    assert offset.shape == (3,)
    y = labels.argmax(1)
    assert mean_loss(scores[0], y, np.ones(80)) == pytest.approx(
        float(np.mean([-np.log(np.exp(row[k]) / np.exp(row).sum()) for row, k in zip(scores[0], y, strict=True)]))
    )


def test_a_draw_of_a_large_validation_part_stands_for_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid = random_set(30), random_set(90)
    for most, found in ((1000, 90), (40, 40)):
        monkeypatch.setattr(held_out, "MOST_JUDGED", most)
        judged = HeldOut.of(train, valid, with_defaults(TrainConfig(), train, valid), None, None)
        assert (len(judged.data), judged.unseen, judged.folds) == (found, True, [])
        assert set(judged.data.names) <= set(valid.names)
        assert np.bincount(judged.y.ravel().astype(int)).min() >= 10
    assert len(judged.y) == len(judged.weight) == len(judged.rows) == 40


def test_weights_can_be_learned_from_fewer_folds() -> None:
    data = random_set()
    config = with_defaults(TrainConfig(model="sum:spectrum=2,filters=4,width=4", epochs=1, threads=1), data, None)
    parts = Sum(spectrum=2, filters=4, width=4).build(DNA, outputs=1, length=12)
    whole, first = (fit_parts(parts, config, data, None, most_folds=most) for most in (None, 1))
    folds = inner_folds(data, FOLDS_OF_FEW, config.seed)
    assert whole.scores.shape[1] == len(data)
    assert np.array_equal(first.y, data.y[np.sort(folds[0][1])])
    assert first.unseen


def test_several_networks_of_a_kind_are_those_of_the_folds() -> None:
    data = random_set()
    model = "sum:spectrum=2,filters=4,width=4,networks=3"
    config = with_defaults(TrainConfig(model=model, epochs=2, threads=1), data, None)
    spec = Sum(spectrum=2, filters=4, width=4, networks=3)
    torch.manual_seed(0)
    net = spec.build(DNA, outputs=1, length=12)
    assert net.kinds()["cnn-max"] == ["cnn-max#1", "cnn-max#2", "cnn-max#3"]
    fitted = fit_parts(net, config, data, None)
    assert fitted.scores.shape == (3, len(data), 1)
    folds = inner_folds(data, 3, config.seed)
    for number, (kept, outer) in enumerate(folds):
        torch.manual_seed(0)
        alone = spec.build(DNA, outputs=1, length=12).part(f"cnn-max#{number + 1}")
        loop_fit(
            alone, replace(config, seed=config.seed + number, penalty=alone.default_penalty), data.subset(kept), None
        )
        held_out = alone(torch.from_numpy(data.padded(outer))).detach().numpy()
        np.testing.assert_allclose(fitted.scores[2][outer], held_out, atol=1e-6)
        assert torch.equal(alone.output.weight, net.part(f"cnn-max#{number + 1}").output.weight)

    ids = torch.from_numpy(data.padded())
    apart = spec.build(DNA, outputs=1, length=12)
    judged = fit_parts(apart, config, data.subset(np.arange(6, len(data))), data.subset(np.arange(6))).scores[2]
    mean = torch.stack([apart.part(name)(ids[:6]) for name in apart.kinds()["cnn-max"]]).mean(0)
    np.testing.assert_allclose(judged, mean.detach(), atol=1e-6)

    torch.manual_seed(0)
    whole = spec.build(DNA, outputs=1, length=12)
    fit(whole, config, data, None)
    weights, offset = stacking_weights(fitted.scores, fitted.y, fitted.weight)
    means = [sum(net.part(name)(ids) for name in names) / len(names) for names in net.kinds().values()]
    expected = sum(weight * mean for weight, mean in zip(weights, means, strict=True)) + float(offset[0])
    torch.testing.assert_close(whole(ids), expected, atol=1e-5, rtol=0)
    few = data.subset(np.array([0, 1, 2, 3]))
    fit(whole, with_defaults(TrainConfig(model=model, epochs=1, threads=1), few, None), few, None)
    assert torch.isfinite(whole(ids)).all()


def test_an_average_counts_alike_what_is_trained_on_all() -> None:
    data = random_set()
    model = "sum:spectrum=2,positions=false,filters=4,width=3+5,networks=2,average=true"
    config = with_defaults(TrainConfig(model=model, epochs=2, threads=1), data, None)
    spec = Sum(spectrum=2, positions=False, filters=4, width=(3, 5), networks=2, average=True)
    torch.manual_seed(0)
    net = spec.build(DNA, outputs=1, length=12)
    kinds = {f"cnn-max-{width}": [f"cnn-max-{width}#{number}" for number in (1, 2)] for width in (3, 5)}
    assert net.kinds() == {"spectrum": ["spectrum"], **kinds}
    fit(net, config, data, None)
    torch.manual_seed(0)
    fresh = spec.build(DNA, outputs=1, length=12)
    ids = torch.from_numpy(data.padded())
    for number, name in itertools.product((0, 1), kinds):
        alone = fresh.part(kinds[name][number])
        loop_fit(alone, replace(config, seed=config.seed + number, penalty=alone.default_penalty), data, None)
        torch.testing.assert_close(net.part(kinds[name][number])(ids), alone(ids) / 6, atol=1e-6, rtol=0)
    torch.manual_seed(0)
    apart = spec.build(DNA, outputs=1, length=12)
    scores = fit_parts(apart, config, data, None).scores[:, :, 0]
    # The linear part comes to the spread that CNNs have among sequences of one class.
    assert data.y is not None
    spread = [
        np.sqrt(np.mean([(each[i] - each[data.y == data.y[i]].mean()) ** 2 for i in range(len(each))]))
        for each in scores
    ]
    factor = np.mean(spread[1:]) / spread[0]
    assert abs(factor - 1) > 0.1
    torch.testing.assert_close(net.part("spectrum")(ids), apart.part("spectrum")(ids) * factor / 3, atol=1e-5, rtol=0)


def test_an_average_is_calibrated_by_networks_like_it() -> None:
    data = random_set(n=150)
    model = "sum:spectrum=0,positions=false,filters=4,width=4,average="
    config = TrainConfig(epochs=3, threads=1)
    averaged, weighed = (learn(data, replace(config, model=model + each)).network for each in ("true", "false"))
    assert averaged.architecture.temperature != 1
    assert weighed.architecture.temperature == 1


def test_every_width_of_a_sum_must_be_in_range() -> None:
    with pytest.raises(UsageError, match="Sum: width must be at least 1; got 4\\+0"):
        parse("model", MODELS, "sum:width=4+0")
    with pytest.raises(UsageError, match="pooling must be one of max, mean"):
        Sum(pooling=("max", "min"))


def test_a_part_that_helps_is_used_and_one_sequence_per_class_still_trains() -> None:
    net = trained("sum:spectrum=2,filters=8,width=4,pooling=max+position", random_set())
    size = {name: part.output.weight.detach().norm().item() for name, part in net.parts.items()}
    assert size["positions"] > 0
    two = random_set().subset(np.array([0, int(np.flatnonzero(random_set().y != random_set().y[0])[0])]))
    net = trained("sum:spectrum=2,filters=8,width=4,pooling=max+position", two)
    assert torch.isfinite(net(torch.from_numpy(two.padded()))).all()


def test_sums_learn_several_labels_of_proteins() -> None:
    data = replace(random_set(), alphabet=PROTEIN)
    assert data.y is not None
    data = replace(
        data,
        target=Labels(names=("a", "b")),
        y=np.stack([data.y, data.codes.reshape(90, -1)[:, 5] > 1], 1).astype(np.uint8),
    )
    config = with_defaults(TrainConfig(epochs=4, threads=1), data, None)
    assert isinstance(config.model, Sum)
    assert config.model.spectrum == (1, 2)
    torch.manual_seed(0)
    net = architecture_of(config, data).build()
    fit(net, config, data, None)  # pyright: ignore[reportArgumentType]
    right = (net(torch.from_numpy(data.padded())) > 0).numpy() == data.y
    assert right.mean() > 0.9


def test_the_hamming_bound_of_a_sum_holds_and_is_reached_by_letters() -> None:
    everything = torch.tensor(list(itertools.product(range(4), repeat=5)), dtype=torch.uint8)
    apart = (everything[:, None] != everything).sum(2)
    letters = Sum(spectrum=1, positions=False, pooling=("none",))
    for outputs, spec in ((1, Sum(spectrum=2, filters=3, width=2)), (3, letters)):
        torch.manual_seed(2)
        net = spec.build(DNA, outputs=outputs, length=5, reverse_complement=False).double().eval()
        with torch.no_grad():
            for part in parts_of(net):
                torch.nn.init.normal_(part.output.weight)
            scores = net(everything)
        units = torch.eye(outputs, dtype=torch.float64)
        pairs = [units[0]] if outputs == 1 else [units[j] - units[k] for j, k in itertools.combinations(range(3), 2)]
        bound = hamming_lipschitz(net)
        for direction, most in zip(pairs, bound, strict=True):
            moved = (scores @ direction)[:, None] - scores @ direction
            for m in (1, 2, 3):
                worst = moved[apart == m].abs().max()
                assert worst <= m * most + 1e-9
                if spec is letters:
                    torch.testing.assert_close(worst, m * most)
        alone = sum(hamming_lipschitz(part) for part in parts_of(net))
        torch.testing.assert_close(bound, alone)
