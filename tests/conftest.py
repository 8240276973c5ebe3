"""What all tests share: small data with a motif in it, and a world that is the same before every test."""

import hashlib
import json
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.context import ForkContext, ForkProcess
from multiprocessing.queues import Queue, SimpleQueue
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

import seqreg.baselines
from seqreg import records
from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.schemas import Schema
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes
from seqreg.training.evidence import FEWEST as USUALLY_FEWEST
from seqreg.training.folds import SMALL as USUALLY_SMALL
from tests.described import check

# Runs repeat exactly, on any machine: no clock (deadline), no fresh examples, no memory of earlier failures.
settings.register_profile("seqreg", deadline=None, derandomize=True, database=None)
settings.load_profile("seqreg")


EXPORTING = (2, 13)  # the PyTorch of the extra `export`: 2.6 ends Python with a segmentation fault


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    cannot: dict[str, str] = {}
    if not torch.cuda.is_available():
        cannot["gpu"] = "needs a CUDA device"
    if tuple(int(number) for number in torch.__version__.split(".")[:2]) < EXPORTING:
        cannot["onnx"] = "needs a newer PyTorch"
    for item in items:
        for name, reason in cannot.items():
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors on few cores: more threads only get into each other's way."""
    torch.set_num_threads(1)
    # For the programs that tests start: their threads would spin for the core that the other worker is using, which
    # cost one training 72 s of processor time instead of 11.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session", autouse=True)
def described_json() -> Iterator[None]:
    """All JSON that seqreg writes or prints in this process is what its schema says."""
    with_version = records.with_version

    def checked(value: Any, schema: Schema) -> dict[str, Any]:
        plain = with_version(value, schema)
        check(plain, schema)
        return plain

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "with_version", checked)
        yield


def put_json(path: str | Path, value: Any) -> None:
    """Write JSON that need not be what any schema says."""
    Path(path).write_text(records.dump_json(value) + "\n", encoding="utf-8")


def printed(done: CompletedProcess[str]) -> Any:
    """What a command printed with --json, without the version that such objects carry."""
    content = json.loads(done.stdout)
    assert content.pop("schema_version") == 1
    return content


@pytest.fixture(autouse=True)
def fixed_seed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Seeds drawn from the test's own name, so that neither order nor worker matters."""
    seed = int.from_bytes(hashlib.sha256(request.node.nodeid.encode()).digest()[:4], "little")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # code under test may not use it; libraries do
    torch.manual_seed(seed)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of the test's own."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session", autouse=True)
def one_split_of_small_sets() -> Iterator[None]:
    """What tests train is small, and most of them are about other things than the folds it would be given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqreg.training.folds.SMALL", 0)
        # Most tests are not about strands and positions either, which take time to decide.
        patch.setattr("seqreg.training.evidence.FEWEST", sys.maxsize)
        yield


@pytest.fixture(autouse=True)
def folds_of_small_sets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that have folds, or evidence, in their name get what users get."""
    if "folds" in request.node.name:
        monkeypatch.setattr("seqreg.training.folds.SMALL", USUALLY_SMALL)
    if "evidence" in request.node.name:
        monkeypatch.setattr("seqreg.training.evidence.FEWEST", USUALLY_FEWEST)


@pytest.fixture
def few_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two strengths of a linear model to choose from, for tests of what becomes of the choice."""
    monkeypatch.setattr("seqreg.training.heads.STRENGTHS", (1.0, 10.0))
    monkeypatch.setattr("seqreg.baselines.models._LOGISTIC_STRENGTHS", (1.0, 10.0))
    monkeypatch.setattr("seqreg.baselines.models._SVM_STRENGTHS", (0.1, 1.0))


def without_baselines(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Have fewer baselines, in dicts of their own: entries that are taken out and put back come last, out of order."""
    for family in ("OF_CLASSES", "OF_VALUES"):
        known = getattr(seqreg.baselines, family)
        patch.setattr(seqreg.baselines, family, {name: each for name, each in known.items() if name not in names})


def planted(alphabet: Alphabet, motif: str, *, n: int = 60, shortest: int = 21, longest: int = 34) -> SequenceSet:
    """n random sequences of unequal lengths; every second one carries the motif somewhere and is of class `with`."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(shortest, longest + 1, size=n)
    y = np.arange(n) % 2
    sequences = [rng.integers(alphabet.size, size=length).astype(np.uint8) for length in lengths]
    for codes, label in zip(sequences, y, strict=True):
        if label:
            start = rng.integers(len(codes) - len(motif) + 1)
            codes[start : start + len(motif)] = alphabet.encode(motif)
    return SequenceSet(
        alphabet=alphabet,
        names=[f"s{i}" for i in range(n)],
        codes=np.concatenate(sequences),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        target=Classes(names=("absent", "with"), asked_for="with"),
        y=y.astype(np.int64),
        source="planted",
    )


def embedded(data: SequenceSet, size: int = 5, name: str = "esm2") -> SequenceSet:
    """The sequences with made-up vectors: what a random projection leaves of their pairs of letters."""
    letters = len(data.alphabet.symbols)
    mixing = np.random.default_rng(1).normal(size=(letters * letters, size)).astype(np.float32)
    counts = np.zeros((len(data), letters * letters), dtype=np.float32)
    for row, count in enumerate(counts):
        codes = data.codes[data.offsets[row] : data.offsets[row + 1]].astype(np.int64)
        np.add.at(count, codes[:-1] * letters + codes[1:], 1 / len(codes))
    return replace(data, vectors={**data.vectors, name: counts @ mixing})


def different(n: int) -> list[str]:
    """n DNA sequences of A and C, of which none is another or its reverse complement."""
    return ["".join("AC"[i >> place & 1] for place in range(8)) for i in range(n)]


@pytest.fixture
def dna() -> SequenceSet:
    """60 DNA sequences of 21 to 34 nucleotides, half of them with TGACGTCA."""
    return planted(DNA, "TGACGTCA")


@pytest.fixture
def protein() -> SequenceSet:
    """60 proteins of 21 to 34 residues, half of them with WKHFCC."""
    return planted(PROTEIN, "WKHFCC")


@pytest.fixture
def plant() -> Callable[..., SequenceSet]:
    """The maker of planted data, for tests that need another alphabet, motif or size."""
    return planted


class Forked(ForkContext):
    """Processes forked off this one, which are given copies of what others would be sent."""

    class Process(ForkProcess):
        def __init__(self, *, target: Callable[..., None], args: tuple[Any, ...], **more: Any) -> None:
            sent = [
                each if isinstance(each, Queue | SimpleQueue) else pickle.loads(pickle.dumps(each)) for each in args
            ]
            super().__init__(target=target, args=tuple(sent), **more)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started afresh, as users have them, processes pay seconds of imports each: test_workers.py says that they are."""
    usual = multiprocessing.get_context
    monkeypatch.setattr(
        multiprocessing, "get_context", lambda method=None: Forked() if method == "spawn" else usual(method)
    )


@pytest.fixture(scope="session")
def warm() -> Iterator[str]:
    """The address of a warm interpreter (tests/warm.py)."""
    program = Path(__file__).with_name("warm.py")
    grounds = str(program.parent.parent)
    with tempfile.TemporaryDirectory() as folder:  # not pytest's: the path of a socket may have 107 letters
        address = os.path.join(folder, "warm")
        environment = os.environ | {"PYTHONPATH": grounds, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen([sys.executable, str(program), address], env=environment) as running:
            while not os.path.exists(address):
                assert running.poll() is None, "the warm interpreter did not start"
                time.sleep(0.02)
            yield address
            running.terminate()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., CompletedProcess[str]]:
    """Runs a `seqreg` command line in this process: `call("datasets", "list").stdout`."""
    from seqreg.cli import app

    def run(*words: object) -> CompletedProcess[str]:
        arguments = [str(word) for word in words]
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            app(arguments)
        captured = capsys.readouterr()
        return CompletedProcess(arguments, int(end.value.code or 0), captured.out, captured.err)

    return run
