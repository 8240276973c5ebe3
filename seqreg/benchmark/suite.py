"""A suite: what is measured, written as one TOML file and checked as a whole before anything runs."""

import itertools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from seqreg.benchmark.learners import LEARNERS, NETWORK, checked_fields, fits
from seqreg.errors import InputError, UsageError
from seqreg.specs import Spec, hyper, unknown_name
from seqreg.targets import EVERY_METRIC, Classes, Target, Values

PROTOCOLS = {
    "small-data": "draws of n training sequences, tested on sequences that were not drawn",
    "small-data-values": "the same for values: training sequences drawn by value, from groups that the test part lacks",
    "robustness": "the same, under attack",
    "homology-small": "one family held out of its superfamily, few training sequences",
    "homology-full": "published memberships of homology tasks, all training sequences",
}
# The columns of the robustness protocol: accuracy at m substitutions, and at an l2 radius.
ROBUSTNESS = re.compile(r"(l2_)?(attacked|certified)_(balanced_)?accuracy_([\d.]+)")
SCORES = tuple(name for name, each in EVERY_METRIC.items() if each.needs != "probabilities" and not each.less_is_better)
INTERVALS = ("coverage", "mean_width")  # what is measured of values beside metrics


@dataclass(frozen=True, kw_only=True)
class Method:
    """One line of the result tables.

    learner: a member of LEARNERS. set: its fields. grid: field -> values to choose from, all combinations of them.
    A field written with a + before it is added to what is there already (another penalty, say).
    like: a method whose chosen setting is the base of this one's. best_of: instead of a learner, methods of which in
    every cell the one counts that did best in its own inner cross-validation.
    """

    name: str
    learner: str = NETWORK
    set: Mapping[str, Any]
    grid: Mapping[str, tuple[Any, ...]]
    like: str | None = None
    best_of: tuple[str, ...] = ()

    def settings(self, base: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The settings to choose from, on top of the one chosen for the method that this one is like."""
        fixed = _joined(base or {}, self.set)
        choices = itertools.product(*self.grid.values())
        return [_joined(fixed, dict(zip(self.grid, values, strict=True))) for values in choices]


@dataclass(frozen=True, kw_only=True)
class Suite(Spec):
    """Data sets x methods x sizes x seeds, and how they are used."""

    name: str = hyper(MISSING, "name of the file")
    title: str = hyper(MISSING, "one line on what is measured")
    protocol: str = hyper(MISSING, "how data sets are used", choices=tuple(PROTOCOLS))
    data: tuple[str, ...] = hyper(MISSING, "names of data sets")
    vectors: tuple[str, ...] = hyper((), "NAME=FILE of language models, {data} in FILE being the name of a data set")
    sizes: tuple[int, ...] = hyper((), "numbers of training sequences")
    seeds: tuple[int, ...] = hyper((0,), "seeds of draws and of trainings")
    tasks: int | None = hyper(None, "homology tasks used, evenly spaced; none: all", low=2)
    metric: str = hyper("auroc", "what is compared, and what hyperparameters are chosen by", choices=SCORES)
    settings: int = hyper(8, "settings tried per method, at most", low=1)
    folds: int = hyper(3, "folds of the inner cross-validation", low=2)
    by: str | None = hyper(None, "what inner folds keep together", choices=("stratified", "group", "homology"))
    most_tested: int = hyper(5000, "test sequences (homology-small: negatives), at most", low=1)
    also: tuple[str, ...] = hyper((), "further metrics whose means are shown")
    reference: str = hyper(MISSING, "the method that all others are compared with")
    methods: tuple[Method, ...] = hyper(MISSING, "what is compared")

    def method(self, name: str) -> Method:
        """The method of this name."""
        return next(each for each in self.methods if each.name == name)

    @property
    def learned(self) -> type[Target]:
        """The kind of target that data sets have."""
        return Values if self.protocol == "small-data-values" else Classes

    @property
    def by_tasks(self) -> bool:
        """Whether hyperparameters are fixed per method, chosen on the first half of the tasks."""
        return self.protocol == "homology-small"


def packaged() -> dict[str, Path]:
    """The suites that come with seqreg, by name."""
    folder = Path(str(files("seqreg.benchmark") / "suites"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_suite(name: str | Path) -> Suite:
    """The suite in a TOML file, or the one of this name that comes with seqreg.

    Raises UsageError with a suggestion for an unknown name, key, field or value, InputError for what is not TOML.
    """
    path = Path(name) if Path(name).is_file() else packaged().get(str(name))
    if path is None:
        raise unknown_name("suite", str(name), packaged())
    try:
        return _suite(path.stem, _content(path))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _content(path: Path) -> dict[str, Any]:
    """What a file says, on top of the packaged suite that it extends."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a TOML file: {error}", file=path) from None
    extended = content.pop("extends", None)
    if extended is None:
        return content
    if extended not in packaged() or packaged()[extended] == path:
        raise unknown_name("suite", str(extended), packaged())
    return {**_content(packaged()[extended]), **content}


def _suite(name: str, content: dict[str, Any]) -> Suite:
    common = _table("network", content.pop("network", {}))
    tables = content.pop("methods", [])
    if not isinstance(tables, list) or not tables:
        raise UsageError("no methods: write each as a table [[methods]]")
    methods = tuple(_method(_table("methods", table), common) for table in tables)
    values = _typed(Suite, {"name": name, **content}, "key", ("methods",))
    suite = Suite(**values, methods=methods)
    _check(suite)
    return suite


def _method(table: dict[str, Any], common: dict[str, Any]) -> Method:
    values = _typed(Method, {"set": {}, "grid": {}, **table}, "key of a method", ())
    name, learner = values["name"], values.get("learner", NETWORK)
    if learner not in LEARNERS:
        raise UsageError(f"{name}: {unknown_name('learner', learner, LEARNERS)}")
    try:
        inherits = learner == NETWORK and not values.get("like") and not values.get("best_of")
        fixed = checked_fields(learner, {**(common if inherits else {}), **values["set"]})
        grid: dict[str, tuple[Any, ...]] = {}
        for field, choices in values["grid"].items():
            if not isinstance(choices, list) or not choices:
                raise UsageError(f"grid.{field} is a list of values; got {choices!r}")
            checked = [checked_fields(learner, {field: choice}) for choice in choices]
            grid[next(iter(checked[0]))] = tuple(next(iter(each.values())) for each in checked)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    return Method(**{**values, "set": fixed, "grid": grid})


def _check(suite: Suite) -> None:
    names = [each.name for each in suite.methods]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two methods are called {twice!r}")
    if suite.reference not in names:
        raise unknown_name("reference", suite.reference, names)
    for position, method in enumerate(suite.methods):
        earlier = names[:position]
        for other in filter(None, (method.like, *method.best_of)):
            if other not in earlier:
                raise UsageError(f"{method.name}: {unknown_name('earlier method', other, earlier or ['none'])}")
        if method.like and suite.method(method.like).learner != method.learner:
            raise UsageError(f"{method.name} cannot be like {method.like}, which is another learner")
        if method.best_of and (method.set or method.grid or method.like):
            raise UsageError(f"{method.name}: best_of stands alone")
        tried = len(method.settings())
        if tried > suite.settings:
            raise UsageError(
                f"{method.name} has {tried} settings, more than the {suite.settings} that every method may try"
            )
    wants_sizes = suite.protocol != "homology-full"
    if bool(suite.sizes) != wants_sizes:
        raise UsageError(f"protocol {suite.protocol} {'needs' if wants_sizes else 'takes no'} sizes")
    if not suite.data or not suite.seeds:
        raise UsageError("data and seeds need at least one entry each")
    for name in suite.also:
        known = [*suite.learned.metrics, *(() if suite.learned.probabilistic else INTERVALS)]
        if name not in known and not (suite.protocol == "robustness" and ROBUSTNESS.fullmatch(name)):
            raise unknown_name("metric", name, known)
    if suite.metric not in suite.learned.metrics:
        raise unknown_name("metric", suite.metric, suite.learned.metrics)
    if suite.tasks is not None and not suite.protocol.startswith("homology"):
        raise UsageError(f"protocol {suite.protocol} takes no tasks")


def _joined(base: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields on top of others; those with a + before them are added to what is there."""
    joined = dict(base)
    for name, value in fields.items():
        own = name.removeprefix("+")
        joined[own] = value if own == name else (*(joined.get(own) or ()), *value)
    return joined


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{name} must be a table; got {value!r}")
    return value


def _typed(cls: type, values: Mapping[str, Any], kind: str, elsewhere: tuple[str, ...]) -> dict[str, Any]:
    """Values under the names of a dataclass's fields, lists as tuples, each of the type of its field."""
    hints = get_type_hints(cls)
    entries = {entry.name: entry for entry in fields(cls) if entry.name not in elsewhere}
    typed: dict[str, Any] = {}
    for written, value in values.items():
        name = written.replace("-", "_")
        if name not in entries:
            raise unknown_name(kind, written, list(entries))
        value = tuple(value) if isinstance(value, list) else value
        if name in ("set", "grid"):
            _table(name, value)
        elif not fits(value, hints[name]):
            raise UsageError(f"{written} cannot be {value!r}")
        typed[name] = value
    missing = [name for name, entry in entries.items() if entry.default is MISSING and name not in typed]
    if missing:
        raise UsageError(f"no {missing[0]!r}" + (f" in method {values['name']!r}" if "name" in values else ""))
    return typed
