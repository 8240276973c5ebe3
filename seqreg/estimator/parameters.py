"""Settings of what has a name and settings, reached from outside as scikit-learn reaches nested estimators."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator

from seqreg.errors import UsageError
from seqreg.specs import Spec, name_of, parse, write


class Member(NamedTuple):
    """One spec that a parameter holds: the name under which it is reached, and a copy of the parameter without it."""

    name: str
    spec: Spec
    put: Callable[[Spec], Any]  # the parameter's new value, with another spec in this one's place


class SpecParameters(BaseEstimator):
    """Parameters that hold specs, as `NAME:key=value` texts, objects or lists of either, with their fields reachable.

    `penalty__weight` is the field `weight` of the parameter `penalty`, whether that is "gradient" or Gradient(). In a
    list of several it is `penalty__gradient__weight`, and the second of one name is `penalty__gradient2__weight`.
    A text stays a text; an object is replaced, never changed, so that estimators may share it.
    """

    families: ClassVar[Mapping[str, Mapping[str, type[Spec]]]] = {}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; if `deep`, with the fields of the specs in them."""
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for name, family in self.families.items():
                for member in members(name, params[name], family):
                    fields = member.spec.get_params().items()
                    params |= {f"{member.name}__{field}": value for field, value in fields}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and fields of the specs in them. Raises UsageError for a field that is not there."""
        nested = {
            key: value for key, value in params.items() if key.partition("__")[0] in self.families and "__" in key
        }
        super().set_params(**{key: value for key, value in params.items() if key not in nested})
        for key, value in nested.items():
            name = key.partition("__")[0]
            setattr(self, name, _with_field(name, getattr(self, name), self.families[name], key, value))
        return self


def members(name: str, value: Any, family: Mapping[str, type[Spec]]) -> Iterator[Member]:
    """The specs in a parameter's value; nothing for what is none, or is no text of the family (`fit` complains)."""
    if not isinstance(value, list | tuple):
        if (spec := _spec(name, value, family)) is not None:
            yield Member(name, spec, lambda new: write(family, new) if isinstance(value, str) else new)
        return
    seen: list[str] = []
    for i, item in enumerate(value):
        for inner in members(name, item, family):
            title = name_of(family, inner.spec) or type(inner.spec).__name__
            seen.append(title)
            number = "" if seen.count(title) == 1 else str(seen.count(title))

            def put(new: Spec, i: int = i, inner: Member = inner) -> Any:
                return type(value)([*value[:i], inner.put(new), *value[i + 1 :]])

            yield Member(name if len(value) == 1 else f"{name}__{title}{number}", inner.spec, put)


def plain(value: Any, family: Mapping[str, type[Spec]]) -> Any:
    """A parameter's value in JSON's own types: specs as text, and what has no such form as what Python calls it."""
    if isinstance(value, list | tuple):
        return [plain(item, family) for item in value]
    if isinstance(value, Spec):
        return write(family, value)
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _with_field(name: str, value: Any, family: Mapping[str, type[Spec]], key: str, new: Any) -> Any:
    """The parameter's value with the field that `key` names set."""
    path, _, field = key.rpartition("__")
    found = list(members(name, value, family))
    for member in found:
        if member.name == path and field in member.spec.get_params():
            return member.put(replace(member.spec, **{field: new}))  # pyright: ignore[reportArgumentType]
    if value is None:
        raise UsageError(f"{key}: {name} is None. Say which one it is about, {name}={next(iter(family))!r} for example")
    known = [f"{member.name}__{entry}" for member in found for entry in member.spec.get_params()]
    raise UsageError(f"no parameter {key!r}. In {name}={value!r} there are: {', '.join(known) or 'none'}")


def _spec(name: str, value: Any, family: Mapping[str, type[Spec]]) -> Spec | None:
    if isinstance(value, str):
        try:
            return parse(name, family, value)
        except UsageError:
            return None
    return value if isinstance(value, Spec) else None
