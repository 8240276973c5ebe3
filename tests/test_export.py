"""Exports: the graph computes what the network does, for every N and L, and says what it is."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file

from seqreg.alphabet import ALPHABETS
from seqreg.errors import UsageError
from seqreg.export import onnx_bytes
from seqreg.predictors.network import TrainedNetwork
from seqreg.records import read_json
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes, Labels
from tests.untrained import untrained

pytestmark = pytest.mark.onnx
Call = Callable[..., CompletedProcess[str]]
NETWORKS = {
    "cnn:filters=5,width=4": {"reverse_complement": True},
    "cnn:filters=5,width=4,depth=2,pooling=mean,hidden=3": {"reverse_complement": True},
    "cnn:filters=5,width=4,depth=3,activation=smoothed-relu": {
        "alphabet": "protein",
        "encoding": "blosum62",
        "target": Labels(names=("a", "b")),
    },
    "cnn:filters=5,width=4,pooling=position": {"reverse_complement": True},
    "smooth-cnn:filters=5,width=4": {},
    "sum:spectrum=2,filters=4,pooling=max+position": {"target": Classes(names=("a", "b")), "alphabet": "rna"},
}


def network(model: str, **fields: Any) -> TrainedNetwork:
    fields = {"target": Classes(names=("a", "b", "c")), **fields}
    found = untrained(model, length=17, shortest=9, temperature=0.6, **fields)
    found.module.eval()
    return found


@pytest.mark.parametrize("model", NETWORKS)
def test_the_graph_computes_what_the_network_does(model: str, rng: np.random.Generator) -> None:
    trained = network(model, **NETWORKS[model])
    with torch.no_grad():
        for parameter in filter(lambda each: each.requires_grad, trained.module.parameters()):
            parameter.add_(0.1 * torch.randn_like(parameter))  # a sum begins with heads of zero; k-mers stay k-mers
    alphabet = ALPHABETS[trained.architecture.alphabet]
    content = onnx_bytes(trained)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for lengths in ((1,), (3, 2), (17, 9, 12), (40, 1, 23, 18)):
        ids = np.full((len(lengths), max(lengths)), alphabet.pad, dtype=np.uint8)
        for row, length in enumerate(lengths):
            ids[row, :length] = rng.integers(alphabet.pad, size=length)  # ambiguous letters too
        x = alphabet.mixtures[ids].astype(np.float32).transpose(0, 2, 1)
        logits, p = session.run(None, {"x": x, "lengths": np.array(lengths)})
        with torch.inference_mode():
            wanted = trained.module(torch.from_numpy(ids)).numpy()
        np.testing.assert_allclose(logits, wanted, atol=2e-6, rtol=1e-4)
        np.testing.assert_allclose(p, trained.architecture.probabilities(wanted), atol=2e-6)


@pytest.mark.parametrize("model", NETWORKS)
def test_lengths_beyond_the_letters_are_an_error(model: str) -> None:
    trained = network(model, **NETWORKS[model])
    session = onnxruntime.InferenceSession(onnx_bytes(trained), providers=["CPUExecutionProvider"])
    x = np.zeros((2, trained.alphabet.size, 12), dtype=np.float32)
    session.run(None, {"x": x, "lengths": np.array([12, 5])})
    for wrong in (13, 40):
        with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="out of"):
            session.run(None, {"x": x, "lengths": np.array([12, wrong])})


def test_the_graph_says_what_it_is(tmp_path: Path, call: Call) -> None:
    network("cnn:filters=2,width=3", target=Classes(names=("no", "yes"))).save(tmp_path / "run")
    done = call("export", tmp_path / "run", "-o", tmp_path / "out" / "m.onnx")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("m.onnx\n")
    stored = onnx.load(tmp_path / "out" / "m.onnx")
    about = {entry.key: entry.value for entry in stored.metadata_props}
    assert json.loads(about["classes"]) == ["no", "yes"]
    assert (about["alphabet"], about["letters"], float(about["temperature"])) == ("dna", "ACGT", 0.6)
    assert [value.name for value in stored.graph.input] == ["x", "lengths"]
    assert [value.name for value in stored.graph.output] == ["logits", "probabilities"]


@pytest.mark.parametrize("kind", ["network", "baseline"])
def test_weights_with_a_description(tmp_path: Path, call: Call, dna: SequenceSet, kind: str) -> None:
    if kind == "network":
        network("cnn:filters=2,width=3").save(tmp_path / "run")
    else:
        from seqreg.baselines import fit_baseline

        fit_baseline("kmer-logistic:k=1", dna).save(tmp_path / "run")
    done = call("export", tmp_path / "run", "--format", "safetensors", "-o", tmp_path / "m.safetensors")
    assert done.returncode == 0, done.stderr
    mine, theirs = load_file(tmp_path / "run" / "model.safetensors"), load_file(tmp_path / "m.safetensors")
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    about = read_json(tmp_path / "m.json")
    assert about["letters"] == "ACGT"
    assert read_json(tmp_path / "run" / "model.json").items() <= about.items()


def test_a_baseline_is_no_graph(tmp_path: Path, call: Call, dna: SequenceSet) -> None:
    from seqreg.baselines import fit_baseline

    fit_baseline("majority", dna).save(tmp_path / "run")
    assert call("export", tmp_path / "run", "-o", tmp_path / "m.onnx").returncode == 2


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("seqreg.export.import_module", absent)
    with pytest.raises(UsageError, match=r"the extra 'export', which is not installed \(no module onnx\)"):
        onnx_bytes(network("cnn:filters=2,width=3"))
