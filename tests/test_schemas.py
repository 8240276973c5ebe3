"""The JSON Schemas of what seqreg writes; tests/conftest.py holds all JSON written in the tests against them."""

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from seqreg.records import dump_json, read_json, write_json
from seqreg.schemas import VERSIONS, Schema, read_schema
from tests.described import check, closed

NAMES: tuple[Schema, ...] = get_args(Schema)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_and_says_its_version(name: Schema) -> None:
    schema = read_schema(name)
    for each in (schema, closed(schema)):
        Draft202012Validator.check_schema(each)
    assert schema["properties"]["schema_version"] == {"const": VERSIONS[name]}
    assert "schema_version" in schema["required"]
    assert schema["title"]
    assert schema["description"]


def test_each_schema_has_a_version_and_a_file() -> None:
    folder = Path(read_schema.__code__.co_filename).parent
    assert set(NAMES) == set(VERSIONS) == {path.stem for path in folder.glob("*.json")}


def test_files_carry_the_version_first_and_readers_do_without(tmp_path: Path) -> None:
    write_json(tmp_path / "files.json", {"files": ["a"]}, "files")
    text = (tmp_path / "files.json").read_text()
    assert next(iter(json.loads(text))) == "schema_version"
    assert read_json(tmp_path / "files.json") == {"files": ["a"]}


@pytest.mark.parametrize(
    "value",
    [
        {"files": ["a"]},
        {"schema_version": 2, "files": ["a"]},
        {"schema_version": 1, "files": [1]},
        {"schema_version": 1, "files": ["a"], "more": 1},
    ],
)
def test_what_a_schema_does_not_say_is_noticed(value: Any) -> None:
    with pytest.raises(AssertionError, match="Describe it in seqreg/schemas/files"):
        check(value, "files")


def test_keys_are_noticed_within_objects_lists_and_references() -> None:
    scores = {
        "n": 1,
        "classes": [],
        "positive": None,
        "split": "test",
        "intervals": {},
        "per_class": {},
        "confusion": [],
        "reliability": {},
        "reason": {},
    }
    change = {"before": 0.5, "after": 0.5}
    calibration = {"temperature": 1.0, "ece": change, "log_loss": change, "abstain": None}
    whole = {"schema_version": 1, **scores, "calibration": calibration, "baselines": {"svm": scores}}
    check(whole, "metrics")
    for wrong in (
        {**whole, "odd": 1},
        {**whole, "baselines": {"svm": {**scores, "odd": 1}}},
        {**whole, "per_class": {"x": {"support": 1, "odd": 1}}},
        {**whole, "calibration": {**calibration, "odd": 1}},
    ):
        with pytest.raises(AssertionError, match="odd"):
            check(wrong, "metrics")
        Draft202012Validator(read_schema("metrics")).validate(wrong)  # as it is published, it lets keys be added


def test_a_record_without_a_schema_stays_as_it_is() -> None:
    assert json.loads(dump_json({"x": 1})) == {"x": 1}


def test_what_is_printed_carries_a_version_too(call: Any, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sequence,label\nACGTAC,x\nCCGTAC,y\nACGTAA,x\nCCGTAA,y\n")
    done: CompletedProcess[str] = call("encode", tmp_path / "x.csv", "-o", tmp_path / "x.h5", "--json")
    assert json.loads(done.stdout)["schema_version"] == 1
