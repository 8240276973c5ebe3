"""The contract of parts of a sum: a new one is a class and nothing else, and says itself what it cannot do."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.alphabet import DNA
from seqreg.attacks import ATTACKS
from seqreg.certificates import (
    edit_certificate,
    hamming_certificate,
    hamming_lipschitz,
    lipschitz_upper_bound,
    margins,
    predicted_class,
)
from seqreg.errors import UnknownLayerError, UsageError
from seqreg.explain import explain
from seqreg.export import onnx_bytes
from seqreg.mutagenesis import deletion_scores, forward_substitution_scores, insertion_scores, substitution_scores
from seqreg.networks import CNN, Part, Profile, SequenceNetwork, SpectrumNet, SumNet, as_onehot, parts_of
from seqreg.penalties import PENALTIES
from seqreg.predictors.network import TrainedNetwork, logits_of
from seqreg.sensitivity.norm import norm_report
from seqreg.sequences import SequenceSet
from seqreg.spectral import linear_norm
from seqreg.targets import Classes
from seqreg.training import TrainConfig, fit, with_defaults
from tests.untrained import untrained

OUTPUTS, LENGTH = 3, 7


class Composition(Part, proved=True):
    """Linear in the share of each letter: windows of one letter, below a mean."""

    receptive_field, pooling, head_only, one_filter_fires = 1, "mean", True, True

    def __init__(self, outputs: int = OUTPUTS) -> None:
        super().__init__(DNA)
        self.output = nn.Linear(DNA.size, outputs)

    @property
    def linear(self) -> bool:
        return True

    def features(self, ids: Tensor) -> Tensor:
        return self.features_at(self.one_hot(ids), ids)

    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        return self.dense_features(x, self.lengths(ids))

    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        return self.pool(x, lengths)

    def last_scores(self, ids: Tensor) -> Tensor:
        return self.one_hot(ids).transpose(1, 2)

    def pool(self, h: Tensor, counts: Tensor | None) -> Tensor:
        return h.sum(2) / (h.shape[2] if counts is None else counts[:, None])

    def first_profile(self, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
        change = (self.mixtures[new] - self.mixtures[old])[:, :, None]
        return Profile(change.neg().relu(), change.relu())

    def first_range(self) -> tuple[Tensor, Tensor]:
        return self.mixtures.new_zeros(DNA.size), self.mixtures.new_ones(DNA.size)

    def lipschitz(self, length: int | None, direction: Tensor | None) -> Tensor:
        return linear_norm(self.output.weight.double(), direction) / (length or 1) ** 0.5


class Spectra(Part):
    """k-mers of several k, with one head: a sum within a sum."""

    head_only, receptive_field = True, 2

    def __init__(self, outputs: int = OUTPUTS) -> None:
        super().__init__(DNA)
        self.spectra = nn.ModuleList(SpectrumNet(DNA, k, outputs=outputs, length=LENGTH) for k in (1, 2))

    def parts_within(self) -> list[Part]:
        return list(self.spectra)

    @property
    def outputs(self) -> int:
        return self.spectra[0].outputs

    @property
    def width(self) -> int:
        return sum(part.width for part in self.spectra)

    def features(self, ids: Tensor) -> Tensor:
        return torch.cat([part.features(ids) for part in self.spectra], 1)

    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        return torch.cat([part.features_at(x, ids) for part in self.spectra], 1)

    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        return torch.cat([part.dense_features(x, lengths) for part in self.spectra], 1)

    def classify(self, features: Tensor) -> Tensor:
        pieces = features.split([part.width for part in self.spectra], 1)
        return sum(part.classify(piece) for part, piece in zip(self.spectra, pieces, strict=True))

    def set_head(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
        edges = np.cumsum([part.width for part in self.spectra])[:-1]
        for number, (part, piece) in enumerate(zip(self.spectra, np.split(weight, edges, 1), strict=True)):
            part.set_head(piece, bias if number == 0 else 0 * bias)


class Given(Part):
    """Linear in vectors that come beside the sequences."""

    SENTENCE: ClassVar = "the vectors of changed letters are not known; train without them"
    cannot: ClassVar = dict.fromkeys(("edits", "gradients", "bounds", "graph"), SENTENCE)
    head_only, receptive_field = True, 1

    def __init__(self, vectors: dict[str, NDArray[np.float64]], outputs: int = 1) -> None:
        super().__init__(DNA)
        self.vectors = vectors
        self.output = nn.Linear(len(next(iter(vectors.values()))), outputs)

    def read(self, data: SequenceSet, rows: NDArray[np.int64]) -> Tensor:
        return torch.tensor(np.stack([self.vectors[data.names[row]] for row in rows])).to(self.output.weight)

    def score(self, data: SequenceSet, rows: NDArray[np.int64]) -> Tensor:
        return self.classify(self.read(data, rows))

    def features(self, ids: Tensor) -> Tensor:
        raise UsageError(self.SENTENCE)

    features_at = dense_features = features


def random_ids() -> Tensor:
    ids = torch.randint(0, DNA.size, (4, LENGTH), dtype=torch.uint8)
    return ids.masked_fill(torch.arange(LENGTH) >= torch.tensor([7, 4, 6, 5])[:, None], DNA.pad)


def beside_a_cnn(part: Part) -> SumNet:
    cnn = CNN(filters=3, width=2, pooling="mean").build(DNA, outputs=part.outputs, length=LENGTH)
    return SumNet({"new": part, "cnn-mean": cnn}).double().eval()


TWO = Classes(names=("a", "b"), asked_for="b")


def planted(n: int = 120) -> SequenceSet:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    codes = rng.integers(0, 4, (n, LENGTH)).astype(np.uint8)
    names = [f"s{i}" for i in range(n)]
    offsets = np.arange(n + 1) * LENGTH
    return SequenceSet(alphabet=DNA, names=names, codes=codes.ravel(), offsets=offsets, target=TWO, y=y)


def trained(net: SequenceNetwork) -> TrainedNetwork:
    return replace(untrained("sum", target=TWO, length=LENGTH), module=net)


@pytest.mark.parametrize("new", [Composition, Spectra])
def test_a_new_part_is_scored_edited_and_differentiated(new: Callable[[], Part]) -> None:
    net, ids = beside_a_cnn(new()), random_ids()
    view, lengths = as_onehot(net, ids), net.lengths(ids)
    close = {"atol": 1e-12, "rtol": 0}
    torch.testing.assert_close(net(ids), sum(part(ids) for part in parts_of(net)), **close)
    torch.testing.assert_close(net(view.x, lengths=lengths), net(ids), **close)
    torch.testing.assert_close(substitution_scores(net, ids), forward_substitution_scores(net, ids), **close)
    dense = torch.autograd.grad(net(view.x, lengths=lengths)[:, 1].sum(), view.x)[0]
    torch.testing.assert_close(view.gradient(view.logits[:, 1]), view.masked(dense), **close)


@pytest.mark.parametrize("new", [Composition, Spectra])
def test_what_is_proved_of_a_new_part_holds(new: Callable[[], Part]) -> None:
    net, ids = beside_a_cnn(new()), random_ids()
    y = predicted_class(net(ids))
    now = margins(net(ids), y)
    worst = {1: margins(substitution_scores(net, ids), y).flatten(1).amin(1)}
    worst[2] = torch.stack([_worst_pair(net, row, label) for row, label in zip(ids, y, strict=True)])
    radius = hamming_certificate(net, ids, y, most=2).radius
    assert all((worst[m][radius >= m] > 0).all() for m in worst)
    assert (now - 2 * hamming_lipschitz(net, windows=1).max() <= worst[2]).all()
    proved = edit_certificate(net, ids, y, most=1)
    for scores in (insertion_scores(net, ids), deletion_scores(net, ids)):
        assert (margins(scores, y).flatten(1).amin(1)[proved >= 1] > 0).all()
    x = as_onehot(net, ids[:1]).x.detach()
    other = torch.randn_like(x)
    bound = lipschitz_upper_bound(net, LENGTH)
    assert (net(x + other) - net(x)).norm() <= bound * other.norm()


def _worst_pair(net: SequenceNetwork, ids: Tensor, y: Tensor) -> Tensor:
    mutants = []
    letters = ids[ids < DNA.size]
    for i, j in itertools.combinations(range(len(letters)), 2):
        for a, b in itertools.product(range(DNA.size), repeat=2):
            mutant = letters.clone()
            mutant[i], mutant[j] = a, b
            mutants.append(mutant)
    return margins(net(torch.stack(mutants)), y.repeat(len(mutants))).amin()


def test_the_head_of_a_sum_within_a_sum_is_set_at_once() -> None:
    part, ids, rng = Spectra().double(), random_ids(), np.random.default_rng(0)
    weight, bias = rng.normal(size=(OUTPUTS, part.width)), rng.normal(size=OUTPUTS)
    part.set_head(weight, bias)
    expected = part.features(ids).numpy() @ weight.T + bias
    np.testing.assert_allclose(part(ids).detach(), expected, atol=1e-12)
    part.scale(0.5)
    np.testing.assert_allclose(part(ids).detach(), expected / 2, atol=1e-12)


def test_a_sum_learns_from_what_a_part_reads_beside_the_letters() -> None:
    data, rng = planted(), np.random.default_rng(1)
    vectors = {name: rng.normal(size=3) + 2 * label for name, label in zip(data.names, data.y, strict=True)}
    cnn = CNN(filters=2, width=2).build(DNA, outputs=1, length=LENGTH)
    net = SumNet({"given": Given(vectors), "cnn-max": cnn})
    config = with_defaults(TrainConfig(model="sum", epochs=1, threads=1, penalty=()), data, None)
    fit(net, config, data, None)
    logits = logits_of(net, data, 1)
    alone = logits_of(net.part("given"), data, 1) + logits_of(net.part("cnn-max"), data, 1)
    np.testing.assert_allclose(logits, alone, rtol=1e-5, atol=1e-6)
    assert ((logits[:, 0] > 0) == data.y).mean() > 0.9


IDS, Y = torch.zeros(1, LENGTH, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
DOORS: dict[str, Callable[[SumNet], Any]] = {
    "substitutions": lambda net: substitution_scores(net, IDS),
    "insertions": lambda net: insertion_scores(net, IDS),
    "deletions": lambda net: deletion_scores(net, IDS),
    "gradients": lambda net: as_onehot(net, IDS).x,
    "radius": lambda net: hamming_certificate(net, IDS, Y, most=1),
    "edits": lambda net: edit_certificate(net, IDS, Y, most=1),
    "l2": lipschitz_upper_bound,
    "constant": hamming_lipschitz,
    "norm": lambda net: norm_report(trained(net)),
    "explanation": lambda net: explain(trained(net), replace(planted(2), y=None)),
    **{f"penalty {name}": lambda net, name=name: PENALTIES[name]()(net, IDS, Y) for name in ("gradient", "hamming")},
    **{f"attack {name}": lambda net, name=name: ATTACKS[name]()(net, IDS, Y) for name in ATTACKS},
}


@pytest.mark.parametrize("door", DOORS)
def test_a_part_says_itself_what_it_cannot_do(door: str) -> None:
    net = SumNet({"given": Given({"": np.zeros(2)}), "cnn": CNN(filters=2).build(DNA, outputs=1, length=LENGTH)})
    with pytest.raises(UsageError, match=Given.SENTENCE):
        DOORS[door](net)


def test_a_part_says_itself_that_it_is_no_graph() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(UsageError, match=Given.SENTENCE):
        onnx_bytes(trained(SumNet({"given": Given({"": np.zeros(2)})})))


def test_a_subclass_proves_nothing_unless_it_says_so() -> None:
    class Other(Composition):
        """Computes anything."""

    class OtherSpectrum(SpectrumNet):
        """Computes anything."""

    ids = random_ids()
    for part in (Other(), OtherSpectrum(DNA, 2, outputs=OUTPUTS, length=LENGTH)):
        net = part.double().eval()
        for bound in (lipschitz_upper_bound, hamming_lipschitz):
            with pytest.raises(UnknownLayerError, match=f"a {type(net).__name__} does"):
                bound(net)
        torch.testing.assert_close(substitution_scores(net, ids), forward_substitution_scores(net, ids))
