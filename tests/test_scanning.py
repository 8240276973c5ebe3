"""Windows that slide: scored together they are what each is alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.networks import CNN, SequenceNetwork, SmoothCNN, Sum
from seqreg.networks.sliding_loops import slide_dot, slide_over
from seqreg.sequences import InputSpec, Scan, Windows
from seqreg.sequences.windows import Run

SPECS = {
    "max": CNN(filters=5, width=4),
    "smoothed": CNN(filters=5, width=4, activation="smoothed-relu", hidden=3),
    "deep": CNN(filters=5, width=3, depth=3, hidden=2),
    "mean": CNN(filters=5, width=4, pooling="mean"),
    "deep mean": CNN(filters=5, width=2, depth=2, pooling="mean", hidden=7),
    "position": CNN(filters=3, width=4, pooling="position"),
    "smooth": SmoothCNN(filters=4, width=3),
    "sum": Sum(filters=8, width=(3, 5), pooling=("max", "position"), spectrum=2),
}


def network(name: str, alphabet: Alphabet, *, both: bool, outputs: int = 2, length: int = 9) -> SequenceNetwork:
    torch.manual_seed(len(name))
    model = SPECS[name].build(alphabet, outputs=outputs, length=length, reverse_complement=both).double().eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    return model


def windows_of(alphabet: Alphabet, runs: list[tuple[int, int]], step: int, *, both: bool, seed: int = 0) -> Windows:
    """Random letters, mixtures among them, of runs (count, length)."""
    generator = np.random.default_rng(seed)
    made, start = [], 3
    for i, (count, length) in enumerate(runs):
        codes = generator.integers(0, alphabet.size, (count - 1) * step + length).astype(np.uint8)
        strange = generator.random(len(codes)) < 0.1
        codes[strange] = generator.integers(alphabet.size, alphabet.pad, int(strange.sum()))
        made.append(Run(f"c{i}", start, count, length, codes))
        start += 5
    return Windows(alphabet=alphabet, runs=made, step=step, both_strands=both)


def alone(model: SequenceNetwork, windows: Windows) -> torch.Tensor:
    """The oracle: every window run through the network by itself."""
    rows = []
    for piece in windows.sequences():
        for i in range(len(piece)):
            ids = torch.from_numpy(piece.codes[piece.offsets[i] : piece.offsets[i + 1]].copy())
            rows.append(model(ids[None]))
    return torch.cat(rows)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(("both_trained", "both_asked"), [(False, False), (True, False), (False, True), (True, True)])
@torch.no_grad()
def test_windows_together_are_the_windows_alone(name: str, both_trained: bool, both_asked: bool) -> None:
    if name in ("smooth",) and both_trained:
        both_trained = False
    model = network(name, DNA, both=both_trained)
    for step, runs in ((1, [(12, 9)]), (4, [(7, 11), (1, 2), (3, 8), (1, 1)]), (20, [(3, 13), (2, 6)])):
        windows = windows_of(DNA, runs, step, both=both_asked, seed=step)
        found = model.score_windows(windows)
        assert found.shape == (len(windows), 2)
        torch.testing.assert_close(found, alone(model, windows), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_proteins_slide_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("sum", PROTEIN, both=False)
    windows = windows_of(PROTEIN, [(40, 10), (6, 31)], 2, both=False)
    wanted = alone(model, windows)
    for cached in (1, 300, 1 << 20):  # blocks of few windows, of several, and of all
        monkeypatch.setattr("seqreg.networks.sliding.CACHED", cached)
        torch.testing.assert_close(model.score_windows(windows), wanted, rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 12)), min_size=1, max_size=3),
    step=st.integers(1, 14),
    seed=st.integers(0, 9),
)
def test_pooling_while_sliding(runs: list[tuple[int, int]], step: int, seed: int) -> None:
    count, places = np.array(runs).T
    spans = (count - 1) * step + places
    first = np.cumsum([0, *spans[:-1]])
    rows = np.random.default_rng(seed).normal(size=(spans.sum(), 3))
    each = [rows[f + k * step :][:t] for f, n, t in zip(first, count, places, strict=True) for k in range(n)]
    out = np.empty((count.sum(), 3))
    for largest, pooled in ((True, np.max), (False, np.sum)):
        slide_over(rows, first, count, places, step, largest, out)
        np.testing.assert_allclose(out, [pooled(window, axis=0) for window in each], rtol=1e-12, atol=1e-12)
    weight = np.random.default_rng(seed + 1).normal(size=(2, 5, 3))
    for mirrored in (False, True):
        dots = np.empty((count.sum(), 2))
        slide_dot(rows, first, count, places, step, weight[:, ::-1].copy() if mirrored else weight, mirrored, dots)
        read = [(window[::-1] if mirrored else window)[:5] for window in each]
        wanted = [[(weight[h, : len(window)] * window).sum() for h in range(2)] for window in read]
        np.testing.assert_allclose(dots, wanted, rtol=1e-12, atol=1e-12)


def test_a_window_of_unknown_letters_ends_a_run(tmp_path: Path) -> None:
    letters = "ACGTACGT" + "N" * 9 + "ACG" + "N" * 20 + "TTTTT"
    (tmp_path / "x.fa").write_text(f">a\n{letters}\n>b\nNNNNNN\n>c\nAC\n")
    scan = Scan(InputSpec(input=tmp_path / "x.fa"), DNA, window=4, step=3)
    found = [(name, start, end) for piece in scan for name, start, end, _ in zip(*piece.place, strict=True)]
    starts = [*range(0, len(letters) - 3, 3)]
    starts += [len(letters) - 4] if starts[-1] + 4 < len(letters) else []
    wanted = [("a", s, s + 4) for s in starts if set(letters[s : s + 4]) != {"N"}] + [("c", 0, 2)]
    assert found == wanted
    of_b = 2  # from 0, and the last
    assert scan.warnings == (f"windows without a known letter left out: {len(starts) + 1 - len(wanted) + of_b}",)
    texts = [piece.sequence(i) for windows in scan for piece in windows.sequences() for i in range(len(piece))]
    assert texts == [letters[s:e] for name, s, e in wanted if name == "a"] + ["AC"]
