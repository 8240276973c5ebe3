"""What the trainings of a search have in common is learned once, and is what each would have learned."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from seqreg.alphabet import DNA, PROTEIN
from seqreg.networks import Part, Sum
from seqreg.penalties import Gradient
from seqreg.sequences import SequenceSet
from seqreg.training import SharedParts, TrainConfig, learn
from seqreg.training.part_loops import Loops
from seqreg.training.shared import LearnedKind, begun_as
from seqreg.unfinished import Once
from tests.conftest import planted

SMALL = Sum(spectrum=(1, 2), filters=4, width=(5,), pooling=("max",))
CONFIG = TrainConfig(model=SMALL, epochs=2, threads=1, device="cpu", calibration="none", valid=0.0)
NEURAL = "cnn-max"


def weights_of(data: SequenceSet, config: TrainConfig, **how: Any) -> dict[str, Any]:
    """What a training ends with: numbers by name, and its history."""
    learned = learn(data, config, most_folds=1, **how)
    numbers = {name: values.numpy() for name, values in learned.network.weights().items()}
    return {**numbers, "history": learned.history}


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds that are learned, from here on, and not read."""
    names: list[str] = []
    shared = SharedParts.learned

    def told(
        self: SharedParts,
        parts: Mapping[str, Part],
        about: Mapping[str, Any],
        learn: Callable[[Once], LearnedKind],
    ) -> LearnedKind:
        def learning(once: Once) -> LearnedKind:
            names.append("+".join(parts))
            return learn(once)

        return shared(self, parts, about, learning)

    monkeypatch.setattr(SharedParts, "learned", told)
    return names


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN], ids=["dna", "protein"])
def test_each_training_is_what_it_would_be_alone_and_learns_only_what_is_its_own(
    alphabet: Any, tmp_path: Path, learned: list[str]
) -> None:
    data = planted(alphabet, "TGACGTCA")
    model = replace(SMALL, alignments=30) if alphabet is PROTEIN else SMALL
    solved = ["positions", "alignments"] if alphabet is PROTEIN else ["positions"]
    spectra = "spectrum-1+spectrum-2"
    first = replace(CONFIG, model=model)
    # What a training is told, and the kinds that no training before it has learned.
    asked: list[tuple[TrainConfig, list[str]]] = [
        (first, [spectra, *solved, NEURAL]),
        (first, []),
        (replace(first, penalty=(Gradient(weight=0.03),)), []),
        (replace(first, constraint=("spectral-norm:radius=1.0",)), []),
        (replace(first, lr=0.01), [NEURAL]),
        (replace(first, augment=("noise:rate=0.1",)), [NEURAL]),
        (replace(first, model=replace(model, filters=6)), [NEURAL]),
        (replace(first, model=replace(model, pooling=("none",))), []),
        (replace(first, seed=1), [spectra, *solved, NEURAL]),
        (replace(first, class_weight="balanced"), [spectra, *solved, NEURAL]),
    ]
    store = SharedParts(path=tmp_path / "shared")
    for number, (config, new) in enumerate(asked):
        learned.clear()
        together = weights_of(data, config, shared=store, folder=tmp_path / str(number))
        assert learned == new, config
        alone = weights_of(data, config)
        assert together.keys() == alone.keys()
        for name, values in alone.items():
            np.testing.assert_array_equal(together[name], values, err_msg=name)


def test_nothing_is_read_that_was_learned_from_other_sequences(tmp_path: Path, learned: list[str]) -> None:
    data, store = planted(DNA, "TGACGTCA"), SharedParts(path=tmp_path)
    fewer = data.subset(np.arange(1, len(data)))
    assert data.y is not None
    others = [fewer, replace(data, y=data.y[::-1].copy()), replace(data, weight=np.linspace(1, 2, len(data)))]
    for each in (data, *others):
        learned.clear()
        learn(each, CONFIG, most_folds=1, shared=store)
        assert len(learned) == 3
    learned.clear()
    learn(fewer, CONFIG, valid=data.subset(np.arange(20)), most_folds=1, shared=store)
    assert len(learned) == 3, "other sequences decide"


def test_a_kind_that_was_cut_off_or_damaged_is_learned_again(
    tmp_path: Path, learned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, store = planted(DNA, "TGACGTCA"), SharedParts(path=tmp_path / "shared")
    whole = weights_of(data, CONFIG)
    run = Loops.run

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Loops, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        learn(data, CONFIG, most_folds=1, shared=store, folder=tmp_path / "cut")
    monkeypatch.setattr(Loops, "run", run)
    learned.clear()
    found = weights_of(data, CONFIG, shared=store, folder=tmp_path / "cut")
    assert learned == [NEURAL]
    files = sorted((tmp_path / "shared").glob("*.kind"))
    assert len(files) == 3
    for file in files:
        file.write_bytes(file.read_bytes()[:-1])
    learned.clear()
    again = weights_of(data, CONFIG, shared=store)
    assert len(learned) == 3
    for name, values in whole.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
        np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_how_a_part_begins_is_all_that_it_is() -> None:
    def built(model: Mapping[str, Any] = MappingProxyType({}), **how: Any) -> Part:
        torch.manual_seed(0)
        alone = {"pooling": ("max",), "spectrum": (0,), "positions": False, **model}
        net = replace(SMALL, **alone).build(DNA, **{"outputs": 1, "length": 20, **how})
        return net.part(next(iter(net.parts)))

    assert begun_as(built()) == begun_as(built())
    others = [
        built(reverse_complement=True),
        built(outputs=2),
        built(model={"pooling": ("mean",)}),
        built(model={"width": (6,)}),
        built(model={"pooling": ("none",), "spectrum": (2,)}),
    ]
    assert len({begun_as(each) for each in (built(), *others)}) == 6
