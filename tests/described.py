"""Whether JSON is what a schema says, to the last key: published schemas let keys be added, the tests do not."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from seqreg.schemas import Schema, read_schema

SPEAKING = ("properties", "patternProperties", "$ref", "allOf")  # keywords by which a schema names keys


def closed(schema: Any, *, here: bool = True) -> Any:
    """The schema with no key allowed that it does not name. here: whether it stands for a whole object, as the parts
    of `allOf` and what `$defs` holds do not: what refers to those has other keys too.
    """
    if not isinstance(schema, dict):
        return schema
    shut = dict(schema)
    for key in ("properties", "patternProperties"):
        if key in shut:
            shut[key] = {name: closed(each) for name, each in shut[key].items()}
    for key in ("items", "additionalProperties", "contains", "not"):
        if key in shut:
            shut[key] = closed(shut[key])
    for key in ("anyOf", "oneOf", "prefixItems"):
        if key in shut:
            shut[key] = [closed(each) for each in shut[key]]
    if "allOf" in shut:
        shut["allOf"] = [closed(each, here=False) for each in shut["allOf"]]
    if "$defs" in shut:
        shut["$defs"] = {name: closed(each, here=False) for name, each in shut["$defs"].items()}
    if here and any(key in shut for key in SPEAKING) and "additionalProperties" not in shut:
        shut["unevaluatedProperties"] = False
    return shut


@cache
def validator(name: Schema) -> Draft202012Validator:
    return Draft202012Validator(closed(read_schema(name)))


def check(value: Any, name: Schema) -> None:
    """Fails where the value is not what the schema of this name says."""
    wrong = next(validator(name).iter_errors(value), None)
    where = "" if wrong is None else "/".join(map(str, wrong.absolute_path))
    assert wrong is None, f"{name} at '{where}': {wrong.message:.600}. Describe it in seqreg/schemas/{name}.json"
