"""Signs point to the positive class in every output, also where its name sorts first and the network speaks against."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import numpy as np
import onnxruntime
import pytest
import torch

from seqreg.estimator import SequenceClassifier
from seqreg.explain import explain
from seqreg.export import metadata, onnx_bytes
from seqreg.predictors.network import TrainedNetwork
from seqreg.records import read_json, read_tsv
from seqreg.sequences import SequenceSet, read_strings
from seqreg.targets import Classes
from tests.untrained import untrained

Call = Callable[..., CompletedProcess[str]]
CLASSES = ("amp", "other")
MOTIF = "TGACTC"


@pytest.fixture(params=CLASSES)
def network(request: pytest.FixtureRequest) -> TrainedNetwork:
    """One filter, the motif; a sequence that has it is of the positive class, whichever that is."""
    found = untrained(f"cnn:filters=1,width={len(MOTIF)}", target=Classes(names=CLASSES, asked_for=request.param))
    module = found.module.eval()
    up = 1 if request.param == CLASSES[1] else -1  # the network's own logit speaks for the second class
    with torch.no_grad():
        module.convs[0].weight.copy_(torch.eye(4)[["ACGT".index(letter) for letter in MOTIF]].T[None])
        module.convs[0].bias.fill_(-0.5)
        module.output.weight.fill_(4 * up)
        module.output.bias.fill_(-12 * up)
    return found


@pytest.fixture
def data(network: TrainedNetwork) -> SequenceSet:
    """Sequences with the motif at position 13, and without any."""
    with_it, without = f"{'A' * 12}{MOTIF}{'G' * 12}", "A" * 15 + "G" * 15
    other = next(name for name in CLASSES if name != network.target.positive)
    return read_strings([with_it, without] * 4, [network.target.positive, other] * 4, alphabet="dna")


@pytest.fixture
def run(network: TrainedNetwork, tmp_path: Path) -> Path:
    network.save(tmp_path / "run")
    return tmp_path / "run"


def test_the_case_is_what_it_says(network: TrainedNetwork, data: SequenceSet) -> None:
    p = network.probabilities(data)[:, CLASSES.index(str(network.target.positive))]
    assert (p[::2] > 0.9).all()
    assert (p[1::2] < 0.1).all()
    assert (network.outputs(data)[::2, 0] > 0).all() == (network.target.positive == CLASSES[1])


def test_attributions(network: TrainedNetwork, data: SequenceSet, run: Path, tmp_path: Path, call: Call) -> None:
    fasta = tmp_path / "x.fa"
    fasta.write_text("".join(f">{name}\n{data.sequence(i)}\n" for i, name in enumerate(data.names)))
    done = call("explain", run, fasta, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "out" / "attributions.h5") as file:
        stored = {
            name: file[name][:] for name in ("logits", "mutagenesis", "gradient_times_input", "integrated_gradients")
        }
        assert list(file.attrs["logit_of"]) == [file.attrs["positive"]] == [network.target.positive]
    assert (stored["logits"][::2] > 0).all()
    assert (stored["logits"][1::2] < 0).all()
    motif = slice(12, 12 + len(MOTIF))
    assert stored["mutagenesis"][motif].min() < -1, "to lose a letter of the motif speaks against it"
    assert stored["mutagenesis"][motif].max() <= 0
    assert (stored["gradient_times_input"][motif] > 0).all()
    assert stored["integrated_gradients"][motif].sum() > 1
    about = read_json(tmp_path / "out" / "explain.json")
    assert {shown["target"] for shown in about["sequences"]} == {network.target.positive}
    assert {shown["prediction"] for shown in about["sequences"]} == set(CLASSES)
    assert f"of {network.target.positive} against" in (tmp_path / "out" / "explain.html").read_text()


def test_motifs(network: TrainedNetwork, data: SequenceSet) -> None:
    found = explain(network, data)
    assert found.logit_of == (network.target.positive,)
    assert found.motifs[0].effect[str(network.target.positive)] > 0
    unlabelled = explain(network, read_strings([data.sequence(i) for i in range(len(data))], alphabet="dna"))
    assert unlabelled.motifs[0].fires[str(network.target.positive)] == 1, "classes are those that are predicted"


def test_the_estimator(network: TrainedNetwork, data: SequenceSet, run: Path) -> None:
    found = SequenceClassifier.load(run).explain([data.sequence(0)])
    assert found.sequences[0].logits[0] > 0


def test_variants(network: TrainedNetwork, data: SequenceSet, run: Path, tmp_path: Path, call: Call) -> None:
    fasta, variants, out = tmp_path / "x.fa", tmp_path / "v.tsv", tmp_path / "out.tsv"
    fasta.write_text(f">one\n{data.sequence(0)}\n")
    variants.write_text(f"id\tvariant\none\t13{MOTIF[0]}>A\n")
    assert call("predict", run, fasta, "--variants", variants, "-o", out).returncode == 0
    (row,) = read_tsv(out)
    assert row["class"] == network.target.positive
    assert float(row["logit_before"]) > 0
    assert float(row["change"]) < 0
    assert float(row["p_after"]) < float(row["p_before"])


def test_scans(network: TrainedNetwork, data: SequenceSet, run: Path, tmp_path: Path, call: Call) -> None:
    fasta, out = tmp_path / "x.fa", tmp_path / "out.bed"
    fasta.write_text(f">chr\n{data.sequence(1)}{data.sequence(0)}\n")
    assert call("predict", run, fasta, "--scan", 30, "--threshold", 0.5, "-o", out).returncode == 0
    lines = [line.split("\t") for line in out.read_text().splitlines() if not line.startswith("#")]
    forward = [line for line in lines if line[5] == "+"]
    assert [(line[1], line[3]) for line in forward] == [("30", network.target.positive)]
    assert float(forward[0][6]) > 0.9


@pytest.mark.onnx
def test_onnx(network: TrainedNetwork, data: SequenceSet) -> None:
    session = onnxruntime.InferenceSession(onnx_bytes(network), providers=["CPUExecutionProvider"])
    x = data.alphabet.mixtures[data.padded()].astype(np.float32).transpose(0, 2, 1)
    logits, p = session.run(None, {"x": x, "lengths": data.lengths})
    about = metadata(network)
    assert json.loads(about["logit_of"]) == [about["positive"]]
    column = json.loads(about["classes"]).index(about["positive"])
    np.testing.assert_array_equal(logits[:, 0] > 0, p[:, column] > 0.5)
    np.testing.assert_array_equal(logits[:, 0] > 0, np.arange(len(data)) % 2 == 0)
