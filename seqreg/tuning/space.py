"""What may be chosen: a few dimensions with a few values each, of which the default training is one point.

Every kind of regularization is a dimension of its own, with "none" below its weakest strength. So a constraint with two
penalties is a point like any other, and whether one point is regularized more than another can be read off: it is in no
dimension weaker.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from seqreg.constraints import SpectralNorm
from seqreg.deformations.augmentations import Noise, Similar
from seqreg.networks import Blosum62, OneHot
from seqreg.penalties import Adversarial, Gradient, Hamming, WeightDecay
from seqreg.sequences import SequenceSet
from seqreg.specs import Spec
from seqreg.training import FAMILIES, TrainConfig

Point = tuple[int, ...]

ADDED = ("penalty", "constraint", "augment")  # fields that hold several of a family
# Of each kind: the field that holds its strength, and values from weak to strong. The ranges are a choice: about the
# defaults, in steps of 3 or, where fewer have to do, of 10.
STRENGTHS: tuple[tuple[Spec, str, tuple[float, ...]], ...] = (
    (Gradient(), "weight", (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)),
    (WeightDecay(), "weight", (1e-4, 1e-3, 1e-2, 1e-1)),
    (Hamming(), "weight", (0.001, 0.01, 0.1, 1.0)),
    (Adversarial(steps=1), "epsilon", (0.1, 0.3, 1.0, 3.0)),  # five steps take three times as long
    (SpectralNorm(), "radius", (8.0, 4.0, 2.0, 1.0, 0.5)),
    (Noise(), "rate", (0.02, 0.05, 0.1, 0.2)),
    (Similar(), "rate", (0.05, 0.1, 0.2)),
)
# A choice as well: values on both sides of the defaults.
WEIGHT_DECAYS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
DROPOUTS = (0.0, 0.2, 0.5)
RATES = (1e-3, 3e-3, 1e-2)
FILTERS = (32, 64, 128)
WIDTHS = (4, 6, 8, 12, 16)
# Of a sum: no CNN at all, one, or two.
POOLINGS_OF_SUM = (("none",), ("max",), ("max", "mean"))
_OF_NUCLEOTIDES = ((0,), (3,), (4,), (5,))
SPECTRA = {"protein": ((0,), (1,), (2,)), "dna": _OF_NUCLEOTIDES, "rna": _OF_NUCLEOTIDES}
# What the CNNs of a sum are regularized by where nothing is said, which each of them knows by itself.
USUAL = "usual penalties"


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What one index of a point means.

    name: for people. home: the field of the configuration it decides, or "network" for a field of the network.
    values: what may be chosen, None for nothing of the kind. strength: whether later values regularize more.
    spec, key: where a value is the strength of a penalty, constraint or augmentation, that object and its field.
    """

    name: str
    home: str
    values: tuple[Any, ...]
    strength: bool = True
    spec: Spec | None = None
    key: str = ""

    def words(self, index: int) -> str:
        """A value for people: `gradient 0.1`, `no gradient`."""
        value = self.values[index]
        if value is None:
            return f"no {self.name}"
        if isinstance(value, bool):
            return self.name if value else f"no {self.name}"
        if isinstance(value, tuple):
            value = "+".join(map(str, value))
        if isinstance(value, Spec):
            value = FAMILIES[self.home].written(value)
        return f"{self.name} {value:g}" if isinstance(value, float | int) else f"{self.name} {value}"

    def member(self, index: int) -> Spec:
        """The object that has this strength."""
        assert self.spec is not None
        return replace(self.spec, **{self.key: self.values[index]})  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True, kw_only=True)
class Space:
    """dimensions: what is chosen. start: the point of the default training.

    fixed: what all points share of penalties, constraints and augmentations. network: the default one, whose fields
    that are no dimension all points share; None where the network was asked for.
    """

    dimensions: tuple[Dimension, ...]
    start: Point
    fixed: Mapping[str, tuple[Any, ...]]
    network: Spec | None
    known: dict[Point, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    def setting(self, point: Point) -> dict[str, Any]:
        """The fields of a `TrainConfig` that the point stands for."""
        if point not in self.known:  # a search asks for the same ones again and again
            self.known[point] = self._setting(point)
        return self.known[point]

    def _setting(self, point: Point) -> dict[str, Any]:
        setting: dict[str, Any] = dict(self.fixed)
        shape: dict[str, Any] = {}
        usual = False
        for dimension, index in zip(self.dimensions, point, strict=True):
            value = dimension.values[index]
            if dimension.name == USUAL:
                usual = bool(value)
            elif dimension.spec is not None:
                setting[dimension.home] += () if value is None else (dimension.member(index),)
            elif dimension.home == "network":
                shape[dimension.name] = value
            else:
                setting[dimension.home] = value
        if usual and not setting["penalty"]:
            setting["penalty"] = None
        if self.network is not None:
            setting["model"] = replace(self.network, **shape)  # pyright: ignore[reportArgumentType]
        return setting

    def words(self, point: Point) -> str:
        """What distinguishes the point from the default training."""
        if point != self.start and point == self.unpenalized(self.start):
            return "no penalty"
        trio = zip(self.dimensions, point, self.start, strict=True)
        changes = {each.name: each.words(index) for each, index, usual in trio if index != usual}
        if any(each.name in changes and each.home == "penalty" and each.spec is not None for each in self.dimensions):
            changes.pop(USUAL, None)  # the others took their place
        return ", ".join(changes.values()) or "default"

    def regularized_more(self, point: Point, other: Point) -> bool:
        """Whether the point differs from the other in strengths only, and is weaker in none."""
        trio = zip(self.dimensions, point, other, strict=True)
        return point != other and all(a >= b if each.strength else a == b for each, a, b in trio)

    def change(self, point: Point, changes: Mapping[str, int]) -> Point:
        """The point with other indices in the dimensions that are named."""
        pairs = zip(self.dimensions, point, strict=True)
        return self._alone(tuple(changes.get(each.name, index) for each, index in pairs))

    def _alone(self, point: Point) -> Point:
        """The point without the usual penalties where there are others: those take their place."""
        pairs = list(zip(self.dimensions, point, strict=True))
        others = any(index for each, index in pairs if each.home == "penalty" and each.spec is not None)
        return tuple(0 if others and each.name == USUAL else index for each, index in pairs)

    def unpenalized(self, point: Point) -> Point:
        """The point without any penalty, constraint or augmentation."""
        return self.change(point, {each.name: 0 for each in self.dimensions if each.home in ADDED})

    def first_points(self) -> list[Point]:
        """The default training, the same without penalty, then one change at a time."""
        points = [self.start, self.unpenalized(self.start)]
        for name, choose in _IDEAS:
            for each, usual in zip(self.dimensions, self.start, strict=True):
                index = choose(each, usual) if each.name == name else None
                if index is not None:
                    points.append(self.change(self.start, {name: index}))
        return list(dict.fromkeys(points))

    def neighbours(self, point: Point) -> list[Point]:
        """One step up, and one down, in every penalty and constraint that is at work."""
        return [
            self.change(point, {each.name: index + step})
            for each, index in zip(self.dimensions, point, strict=True)
            if each.home in ("penalty", "constraint") and each.spec is not None and index > 0
            for step in (1, -1)
            if index + step < len(each.values)
        ]

    def child(self, parents: Sequence[Point], generator: np.random.Generator) -> Point:
        """A mixture of two parents, or one of them, with one or two values changed."""
        first, second = (parents[i] for i in generator.integers(len(parents), size=2))
        mixed = generator.random(len(first)) < 0.5
        point = [b if mix else a for a, b, mix in zip(first, second, mixed, strict=True)]
        changes = min(len(point), int(generator.integers(1, 3)))
        for k in generator.choice(len(point), size=changes, replace=False):
            last = len(self.dimensions[k].values) - 1
            if self.dimensions[k].strength and point[k] > 0:
                point[k] = min(last, point[k] + int(generator.choice((-1, 1))))
            elif last > 0:  # from nothing to anything
                point[k] = (point[k] + int(generator.integers(1, last + 1))) % (last + 1)
        return self._alone(tuple(point))


Choose = Callable[[Dimension, int], int | None]


def _at(value: Any) -> Choose:
    return lambda dimension, usual: dimension.values.index(value) if value in dimension.values else None


def _stronger(dimension: Dimension, usual: int) -> int | None:
    index = usual + 2 if usual else len(dimension.values) // 2
    return index if index < len(dimension.values) else None


def _opposite(dimension: Dimension, usual: int) -> int:
    return 0 if 2 * usual > len(dimension.values) - 1 else len(dimension.values) - 1


# Single changes in the order in which they are tried, what is thought to pay most on small sets first: a judgement. It
# decides in searches only that end before all are tried.
_IDEAS: tuple[tuple[str, Choose], ...] = (
    ("held out", _at(0.0)),
    ("filters", _opposite),
    ("gradient", _stronger),
    ("noise", _at(0.05)),
    ("spectral-norm", _at(4.0)),
    ("pooling", _at(("none",))),
    ("encoding", _at(Blosum62())),
    ("decoupled weight decay", _at(1.0)),
    ("hamming", _at(0.01)),
    ("weight-decay", _at(0.001)),
    ("pooling", _opposite),
    ("width", _opposite),
    ("spectrum", _opposite),
    ("positions", _opposite),
    ("dropout", _at(0.2)),
    ("learning rate", _at(1e-3)),
    ("both strands", _opposite),
    ("similar", _at(0.1)),
    ("adversarial", _at(0.3)),
)


def setting_texts(setting: Mapping[str, Any]) -> dict[str, Any]:
    """A setting as files say it: objects as texts."""
    return {name: FAMILIES[name].written(value) if name in FAMILIES else value for name, value in setting.items()}


def space_of(asked: TrainConfig, default: TrainConfig, train: SequenceSet, *, held_out: bool) -> Space:
    """The space around a default training. What was asked for is not in question: it is the same in all points.

    asked: as given, None where free. default: the same, complete. held_out: whether a share of the training part that
    nobody asked for decides when to stop; then training on all of it for a fixed time is a choice too.
    """
    found: list[tuple[Dimension, Any]] = []
    fixed: dict[str, tuple[Any, ...]] = {}
    for home in ADDED:
        family = FAMILIES[home].members
        given, usual = getattr(asked, home), getattr(default, home) or ()
        if given or (home == "penalty" and given is not None):  # an empty tuple of penalties asks for none
            fixed[home] = given
            continue
        chosen = {type(spec): spec for spec in usual}
        for spec, key, values in STRENGTHS:
            if type(spec) not in family.values():
                continue
            own = chosen.pop(type(spec), None)
            name = next(name for name, cls in family.items() if cls is type(spec))
            value = None if own is None else getattr(own, key)
            ladder = (None, *_with(value, values))
            found.append((Dimension(name=name, home=home, values=ladder, spec=own or spec, key=key), value))
        fixed[home] = tuple(chosen.values())
        if home == "penalty" and default.penalty is None:
            found.append((Dimension(name=USUAL, home=home, values=(None, True)), True))

    def free(name: str, home: str, values: tuple[Any, ...], usual: Any, *, strength: bool = False) -> None:
        found.append((Dimension(name=name, home=home, values=_with(usual, values), strength=strength), usual))

    if asked.weight_decay is None:
        free("decoupled weight decay", "weight_decay", WEIGHT_DECAYS, default.weight_decay, strength=True)
    network = None
    if asked.model is None:
        network = default.model
        own = {entry.name: getattr(network, entry.name) for entry in fields(network)}
        widths = [width for width in WIDTHS if width <= np.median(train.lengths)]
        choices: dict[str, tuple[Any, ...]] = {
            "dropout": DROPOUTS,
            "filters": FILTERS,
            "width": tuple((width,) for width in widths) if network.of_parts else tuple(widths),
            "spectrum": SPECTRA[train.alphabet.name],
            "positions": (False, True),
            "pooling": POOLINGS_OF_SUM if network.of_parts else ("max", "mean"),
        }
        for name, values in choices.items():
            if name in own:
                free(name, "network", values, own[name], strength=name == "dropout")
    if asked.encoding is None and train.alphabet.name == "protein":
        free("encoding", "encoding", (OneHot(), Blosum62()), default.encoding)
    if asked.reverse_complement is None and train.alphabet.name == "dna":
        free("both strands", "reverse_complement", (False, True), bool(default.reverse_complement))
    if asked.lr is None:
        free("learning rate", "lr", RATES, default.lr)
    if held_out:
        free("held out", "valid", (0.0,), asked.valid)
    return Space(
        dimensions=tuple(dimension for dimension, _ in found),
        start=tuple(dimension.values.index(usual) for dimension, usual in found),
        fixed=fixed,
        network=network,
    )


def _with(value: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values and this one, numbers in their order."""
    if value is None or value in values:
        return values
    if isinstance(value, bool) or not isinstance(value, float | int) or not values:
        return (*values, value)
    return tuple(sorted((*values, value), reverse=values[0] > values[-1]))
