"""Objects with named hyperparameters, and the `NAME:key=value,...` text by which people write them.

Every penalty, constraint, attack, network, encoding and augmentation is a frozen keyword-only dataclass
derived from `Spec`, whose fields are declared with `hyper`. From that one declaration come the range checks,
the text form, the listing on the command line and scikit-learn's `get_params` / `set_params`.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from seqreg.errors import FieldError, UsageError


def hyper(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    **shown: str,
) -> Any:
    """A dataclass field with its meaning and allowed range: low <= value <= high, above < value < below.

    shown: what is more to be known of it where it is an option: its family, metavar and panel of the help.
    """
    limits = {"low": low, "above": above, "high": high, "below": below, "choices": choices}
    return field(default=default, metadata={"meaning": meaning, **limits, **shown})


class Spec:
    """Base of all objects that can be written as `NAME:key=value,...`. Derive frozen keyword-only dataclasses."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for entry in fields(self):  # pyright: ignore[reportArgumentType]  # every subclass is a dataclass
            value = getattr(self, entry.name)
            if holds_several(hints[entry.name]) and value is not None and not isinstance(value, tuple):
                value = tuple(value) if isinstance(value, list) else (value,)
                object.__setattr__(self, entry.name, value)
            problem = None if fits(value, hints[entry.name]) else _wanted(hints[entry.name])
            problem = problem or _out_of_range(value, entry.metadata)
            if problem:
                given = _written(value) if isinstance(value, tuple) else repr(value)
                raise FieldError(type(self).__name__, entry.name, f"must be {problem}; got {given}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All hyperparameters by name (scikit-learn's protocol; there is nothing nested, `deep` changes nothing)."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}  # pyright: ignore[reportArgumentType]

    def set_params(self, **params: Any) -> Self:
        """Change hyperparameters in place, checked as at construction (only for scikit-learn's protocol)."""
        known = self.get_params()
        for name in params:
            if name not in known:
                raise UsageError(f"{type(self).__name__} has no field {name!r}; its fields are {', '.join(known)}")
        type(self)(**{**known, **params})
        for name, value in params.items():
            object.__setattr__(self, name, value)
        return self


Member = TypeVar("Member", bound=Spec)


def holds_several(hint: Any) -> bool:
    """Whether a field of this type takes several values."""
    return any(get_origin(option) is tuple for option in (hint, *get_args(hint)))


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type of a field; a whole number is a number, NumPy's numbers are numbers."""
    if hint is Any:
        return True
    if get_origin(hint) in (Union, UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    return isinstance(value, hint)


def _out_of_range(value: Any, limits: Mapping[str, Any]) -> str | None:
    """What the value should have been, or None if it is fine; None is left to the field's type.

    Every entry of a tuple must be in range.
    """
    if value is None:
        return None
    if isinstance(value, tuple):
        return next(filter(None, (_out_of_range(entry, limits) for entry in value)), None)
    if limits.get("choices"):
        return None if value in limits["choices"] else f"one of {', '.join(limits['choices'])}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    low, above, high, below = (limits.get(key) for key in ("low", "above", "high", "below"))
    if math.isnan(value):
        return "a number"
    if low is not None and value < low:
        return f"at least {low:g}"
    if above is not None and value <= above:
        return f"above {above:g}"
    if high is not None and value > high:
        return f"at most {high:g}"
    if below is not None and value >= below:
        return f"below {below:g}"
    return None


def unknown_name(kind: str, name: str, choices: Mapping[str, Any] | list[str]) -> UsageError:
    """The error for a name that is not on a list, with the nearest one that is."""
    close = difflib.get_close_matches(name, list(choices), n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return UsageError(f"Unknown {kind} {name!r}.{guess} Choose from: {', '.join(choices)}")


def parse(kind: str, family: Mapping[str, type[Member]], text: str) -> Member:
    """The object written as `NAME` or `NAME:key=value,...`; `kind` names the family in errors ("penalty")."""
    name, _, rest = text.partition(":")
    if name not in family:
        raise unknown_name(kind, name, family)
    cls = family[name]
    hints = get_type_hints(cls)
    known = {entry.name: hints[entry.name] for entry in fields(cls)}  # pyright: ignore[reportArgumentType]
    values: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, equals, written = item.partition("=")
        if key not in known or not equals:
            raise UsageError(
                f"{kind} {name!r} has no field {item if not equals else key!r}. Its fields: {describe(cls)}"
            )
        if key in values:
            raise UsageError(f"{kind} {name!r} is given {key!r} twice: {text!r}")
        try:
            values[key] = _read(written, known[key])
        except ValueError:
            wanted = _wanted(known[key])
            raise UsageError(
                f"{kind} {name!r}: {key} must be {wanted}; got {written!r}. Its fields: {describe(cls)}"
            ) from None
    return cls(**values)


def resolve(kind: str, family: Mapping[str, type[Spec]], value: str | Spec | Callable[..., Any]) -> Any:
    """The member of a family that a Python caller names by its text form, or passes itself, or any callable like it."""
    return parse(kind, family, value) if isinstance(value, str) else value


def write(family: Mapping[str, type[Spec]], spec: Spec) -> str:
    """The text form with every field spelled out, such that `parse` gives an equal object back."""
    name = name_of(family, spec)
    if name is None:
        return repr(spec)
    written = ",".join(f"{key}={_written(value)}" for key, value in spec.get_params().items())
    return f"{name}:{written}" if written else name


def name_of(family: Mapping[str, type], member: object) -> str | None:
    """What a family calls the class of an object, None where that is none of its members."""
    return next((name for name, cls in family.items() if type(member) is cls), None)


def describe(cls: type[Spec]) -> str:
    """One line: every field with type and default."""
    return ", ".join(f"{row['field']} ({row['type']}, default {row['default']})" for row in field_table(cls)) or "none"


def field_table(cls: type[Spec]) -> list[dict[str, str]]:
    """Rows of field, type, default and meaning, for listings and documentation."""
    hints = get_type_hints(cls)
    rows: list[dict[str, str]] = []
    for entry in fields(cls):  # pyright: ignore[reportArgumentType]  # every subclass is a dataclass
        choices = entry.metadata.get("choices")
        rows.append(
            {
                "field": entry.name,
                "type": "|".join(choices) if choices else _type_name(hints[entry.name]),
                "default": "required" if entry.default is MISSING else _written(entry.default),
                "meaning": entry.metadata.get("meaning", ""),
            }
        )
    return rows


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(_written(item) for item in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _read(text: str, hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        options = get_args(hint)
        if NoneType in options and text.lower() in ("none", ""):
            return None
        return _read(text, next(option for option in options if option is not NoneType))
    if get_origin(hint) is tuple:
        return tuple(_read(item, get_args(hint)[0]) for item in text.split("+")) if text else ()
    if hint is bool:
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise ValueError(text)
        return text.lower() in ("true", "yes", "1")
    return hint(text)


def _wanted(hint: Any) -> str:
    """The type in a sentence: "must be ..."."""
    name = _type_name(hint)
    return f"a {name}" if name.startswith(("number", "whole")) else name


def _type_name(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_type_name(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"{_type_name(get_args(hint)[0])}+..."
    return {float: "number", int: "whole number", str: "text", bool: "true|false", NoneType: "none"}.get(
        hint, str(hint)
    )
