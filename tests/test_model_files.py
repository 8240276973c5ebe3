"""A model folder that is not what training left is refused, with file and field, before anything large is made."""

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from seqreg.baselines import fit_baseline
from seqreg.errors import ModelError
from seqreg.predictors import load_predictor
from seqreg.targets import Classes
from tests.test_training import planted
from tests.untrained import untrained

KINDS = ("network", "baseline")
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    target = Classes(names=("motif", "none"), asked_for="motif")
    untrained("sum:spectrum=2,filters=4,width=3", target=target).save(folder / "network")
    fit_baseline("kmer-logistic:k=2", planted(40), seed=0).save(folder / "baseline")
    return folder


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / request.param, tmp_path / "model"))


def rewrite(model: Path, change: Change, *, keep_checksum: bool = True) -> None:
    about = json.loads((model / "model.json").read_text())
    change(about)
    if not keep_checksum:
        about.pop("weights_sha256", None)
    (model / "model.json").write_text(json.dumps(about))


def test_what_was_saved_is_loaded(model: Path) -> None:
    data = planted(40)
    before = load_predictor(model).probabilities(data)
    rewrite(model, lambda about: None, keep_checksum=False)
    np.testing.assert_array_equal(load_predictor(model).probabilities(data), before)


def test_weights_of_another_training_are_refused(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    save_file({name: value * 2 for name, value in weights.items()}, model / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.safetensors .* checksum is not the weights_sha256 of model\.json"):
        load_predictor(model)
    rewrite(model, lambda about: None, keep_checksum=False)
    load_predictor(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(model: Path, value: float) -> None:
    weights = load_file(model / "model.safetensors")
    for name in weights:
        changed = {key: array.copy() for key, array in weights.items()}
        if not np.issubdtype(changed[name].dtype, np.floating):
            continue
        changed[name].flat[-1] = value
        save_file(changed, model / "model.safetensors")
        rewrite(model, lambda about: None, keep_checksum=False)
        with pytest.raises(ModelError, match=rf"model\.safetensors .*{name} holds values that are not finite"):
            load_predictor(model)


def test_weights_of_other_shapes_and_names_are_refused(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    rewrite(model, lambda about: None, keep_checksum=False)
    for name in weights:
        for changed in (
            {**weights, name: np.concatenate([weights[name].reshape(-1)] * 2)},
            {key: value for key, value in weights.items() if key != name},
        ):
            save_file(changed, model / "model.safetensors")
            with pytest.raises(ModelError, match=name):
                load_predictor(model)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("classes", [[], ["one"], ["motif", "motif"], ["motif", 1], ["motif", ""], ["motif", None], "motif", 3, {}]),
        ("positive", ["else", 1, ["motif"], {}]),
        ("alphabet", ["latin", 1, None, [], {}]),
    ],
)
def test_fields_of_both_kinds_are_checked(model: Path, field: str, values: list[Any]) -> None:
    for value in values:
        rewrite(model, lambda about, value=value: about.update({field: value}))
        with pytest.raises(ModelError, match=rf"model\.json: {field} cannot be "):
            load_predictor(model)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("temperature", [0, -1, "1", None, True, float("nan"), float("inf"), [], 10**400]),
        ("length", [0, -3, 1.5, "9", None, True, 10**30]),
        ("shortest", [0, "9", None]),
        ("reverse_complement", [0, 1, "no", None]),
        ("model", [1, None, "", [], {}]),
        ("encoding", [1, None, ""]),
    ],
)
def test_fields_of_a_network_are_checked(models: Path, tmp_path: Path, field: str, values: list[Any]) -> None:
    model = Path(shutil.copytree(models / "network", tmp_path / "model"))
    for value in values:
        rewrite(model, lambda about, value=value: about.update({field: value}))
        with pytest.raises(ModelError, match=rf"model\.json: {field} cannot be "):
            load_predictor(model)


LARGE = [
    "cnn:filters=1000000000", "cnn:width=1000000000", "cnn:hidden=1000000000", "cnn:depth=1000000000",
    "smooth-cnn:filters=100000000", "sum:networks=1000000000", "sum:filters=1000000000", "sum:alignments=1000000000",
    f"sum:width={'+'.join(['10000000'] * 50)}",
]  # fmt: skip


@pytest.mark.parametrize("text", LARGE)
def test_a_description_of_a_giant_takes_no_memory(models: Path, tmp_path: Path, text: str) -> None:
    model = Path(shutil.copytree(models / "network", tmp_path / "model"))
    rewrite(model, lambda about: about.update(model=text))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError):
        load_predictor(model)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


ODD = st.sampled_from(
    [None, True, False, 0, -1, 1, 2, 1e308, 10**30, "", "x", "__import__('os')", "\ud800", [], {}, [[]], [None], ["a"]]
)


@settings(max_examples=200)
@given(st.data())
def test_a_strangers_folder_is_read_or_refused_in_a_sentence(models: Path, data: st.DataObject) -> None:
    """Fields changed or missing, bytes of either file changed, cut off or added."""
    kind = data.draw(st.sampled_from(KINDS))
    about = json.loads((models / kind / "model.json").read_text())
    weights = (models / kind / "model.safetensors").read_bytes()
    for field in data.draw(st.lists(st.sampled_from(sorted(about)), max_size=3)):
        about[field] = data.draw(ODD)
    for field in data.draw(st.lists(st.sampled_from(sorted(about)), max_size=1)):
        del about[field]
    text = json.dumps(about).encode()
    weights, text = (_mutated(data, content) for content in (weights, text))
    folder = models / "stranger"
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_bytes(text)
    (folder / "model.safetensors").write_bytes(weights)
    said = ""
    try:
        load_predictor(folder)
    except ModelError as error:
        said = str(error)
    assert (str(folder) in said) == bool(said)
    assert len(said.splitlines()) <= 1


def _mutated(data: st.DataObject, content: bytes) -> bytes:
    how = data.draw(st.sampled_from(["left", "left", "cut", "byte", "more"]))
    at = data.draw(st.integers(0, len(content) - 1))
    if how == "cut":
        return content[:at]
    if how == "byte":
        return content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at + 1 :]
    return content + b"x" if how == "more" else content


def test_the_command_says_which_field(models: Path, tmp_path: Path, call: Callable[..., CompletedProcess[str]]) -> None:
    model = Path(shutil.copytree(models / "network", tmp_path / "model"))
    (tmp_path / "x.fa").write_text(">a\nACGTACGTACGT\n")
    rewrite(model, lambda about: about.update(temperature=0))
    done = call("predict", model, tmp_path / "x.fa")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {model / 'model.json'}: temperature cannot be 0")
