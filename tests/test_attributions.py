"""Attributions: against runs of every mutant, finite differences and closed forms, and the file that keeps them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
import torch

from seqreg.alphabet import DNA
from seqreg.errors import InputError
from seqreg.explain import attributions, gradient_times_input, integrated_gradients
from seqreg.explain.catalogue import Motif
from seqreg.explain.explanation import _shown
from seqreg.explain.figures import MOST_LETTERS, STYLE, draw_attribution, draw_motif, telling_part
from seqreg.networks import ConvNet
from seqreg.predictors import TrainedNetwork
from seqreg.sequences import Attribution, SequenceSet, read_attributions, read_strings, write_attributions
from seqreg.targets import Classes
from tests.untrained import untrained

Plant = Callable[..., SequenceSet]
SVG, HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
NETWORKS = [
    "sum:spectrum=2,filters=5,width=4,pooling=max+position",
    "cnn:filters=5,width=4",
    "cnn:filters=5,width=4,depth=2,hidden=3,pooling=mean",
    "cnn:filters=5,width=4,pooling=position",
    "smooth-cnn:filters=5,width=4",
]


@pytest.fixture
def ragged(plant: Plant) -> SequenceSet:
    """7 sequences of 3 to 11 nucleotides, some of them N, some shorter than a filter."""
    data = plant(DNA, "TGA", n=7, shortest=3, longest=11)
    codes = data.codes.copy()
    codes[::9] = DNA.symbols.index("N")
    return replace(data, codes=codes)


def network(model: str, classes: tuple[str, ...] = ("a", "b", "c"), *, strands: bool = False) -> TrainedNetwork:
    torch.manual_seed(4)
    found = untrained(model, target=Classes(names=classes), length=11, shortest=3, reverse_complement=strands)
    found.module.double()
    return found


@pytest.mark.parametrize(("model", "strands"), [*((model, False) for model in NETWORKS), (NETWORKS[1], True)])
def test_every_sequence_by_itself(model: str, strands: bool, ragged: SequenceSet) -> None:
    """Padding and company change nothing: mutagenesis equals runs of each mutant, paths add up to what they cross."""
    net = network(model, strands=strands)
    for i, found in enumerate(attributions(net, ragged, batch=3, steps=100)):
        ids = torch.from_numpy(ragged.padded(np.array([i])))
        with torch.no_grad():
            logits = net.module.eval()(ids)[0]
            unknown = net.module(torch.full_like(ids, DNA.symbols.index("N")))[0]
            for place in range(ids.shape[1]):
                for letter in range(DNA.size):
                    mutant = ids.clone()
                    mutant[0, place] = letter
                    change = (net.module(mutant)[0] - logits).numpy()
                    np.testing.assert_allclose(found.mutagenesis[place, letter], change, atol=1e-6)
        assert (found.id, found.sequence) == (ragged.names[i], ragged.sequence(i))
        assert found.mutagenesis.shape == (ids.shape[1], DNA.size, 3)
        np.testing.assert_allclose(found.logits, logits.numpy(), atol=1e-6)
        np.testing.assert_allclose(found.baseline_logits, unknown.numpy(), atol=1e-6)
        crossed = found.logits - found.baseline_logits
        np.testing.assert_allclose(found.integrated_gradients.sum(0), crossed, atol=1e-2)


def test_what_paths_leave_out_shrinks_with_their_steps(ragged: SequenceSet) -> None:
    net: ConvNet = network(NETWORKS[1]).module  # type: ignore[assignment]
    ids = torch.from_numpy(ragged.padded())
    gaps = []
    for steps in (4, 32, 256):
        values, baseline_logits = integrated_gradients(net, ids, steps)
        gaps.append(float((values.sum(1) - (net(ids).detach() - baseline_logits)).abs().max()))
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]


def test_of_a_linear_network_all_attributions_agree(ragged: SequenceSet) -> None:
    """f = sum of letter weights: the path gives w[letter] - mean w, which is minus the mean effect of replacing it."""
    net = network("cnn:filters=5,width=1,activation=identity,pooling=mean")
    plain = replace(ragged, codes=np.minimum(ragged.codes, DNA.size - 1))
    for found in attributions(net, plain, steps=1):
        np.testing.assert_allclose(found.integrated_gradients, -found.mutagenesis.mean(1), atol=1e-6)
        weight = found.gradient_times_input[:, None] + found.mutagenesis  # of each letter at each place
        np.testing.assert_allclose(weight - weight[:1], 0, atol=1e-6)


def test_slopes_are_finite_differences(ragged: SequenceSet) -> None:
    net: ConvNet = network("smooth-cnn:filters=5,width=4").module  # type: ignore[assignment]
    ids = torch.from_numpy(ragged.padded(np.flatnonzero(ragged.lengths >= 4)))
    x, lengths, h = net.one_hot(ids).double(), net.lengths(ids), 1e-6
    slopes = gradient_times_input(net, ids)
    with torch.no_grad():
        for place in range(ids.shape[1]):
            step = torch.zeros_like(x)
            step[:, :, place] = h * x[:, :, place]
            change = (net(x + step, lengths=lengths) - net(x - step, lengths=lengths)) / (2 * h)
            torch.testing.assert_close(slopes[:, place], change, atol=1e-7, rtol=1e-6)


def test_the_network_is_left_as_found(ragged: SequenceSet) -> None:
    net = network("cnn:filters=5,width=4,dropout=0.5")
    net.module.train()
    first, second = list(attributions(net, ragged)), list(attributions(net, ragged))
    assert net.module.training
    assert all(parameter.grad is None for parameter in net.module.parameters())
    np.testing.assert_array_equal(first[3].integrated_gradients, second[3].integrated_gradients)


@pytest.mark.parametrize("positive", [None, "a", "b"])
@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_letters_speak_for_the_class_that_is_named(
    classes: tuple[str, ...], positive: str | None, ragged: SequenceSet
) -> None:
    """What stands above the line raises the probability of `target`: the logit of attributions goes with it."""
    net = network(NETWORKS[1], classes)
    target = Classes(names=classes, asked_for=positive if len(classes) == 2 else None)
    net = replace(net, architecture=replace(net.architecture, target=target))
    p = net.probabilities(ragged)
    logits = np.stack([found.logits for found in attributions(net, ragged)])
    for i in range(len(ragged)):
        shown = _shown(net, ragged, p, i)
        assert shown.prediction == classes[p[i].argmax()]
        assert shown.target == ((positive or "b") if len(classes) == 2 else shown.prediction)
        of_target = p[:, classes.index(shown.target)]
        others = np.delete(p, classes.index(shown.target), axis=1).max(axis=1)
        against = np.delete(logits, shown.k, axis=1).max(axis=1) if len(classes) > 2 else 0
        np.testing.assert_array_equal(logits[:, shown.k] > against, of_target > others)


# ------------------------------------------------------------------------------------------------------- the file


def made_up(n: int, alive: list[int] | None = None) -> Iterator[Attribution]:
    rng = np.random.default_rng(1)
    for i in range(n):
        length = 2 + i % 5
        if alive is not None:
            alive.append(i)
        yield Attribution(
            id=f"séq {i}",
            sequence="ACGTNA"[:length],
            logits=rng.normal(size=2).astype(np.float32),
            baseline_logits=rng.normal(size=2).astype(np.float32),
            mutagenesis=rng.normal(size=(length, 4, 2)).astype(np.float32),
            gradient_times_input=rng.normal(size=(length, 2)).astype(np.float32),
            integrated_gradients=rng.normal(size=(length, 2)).astype(np.float32),
        )


def test_a_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "attributions.h5"
    write_attributions(path, made_up(150), {"letters": "ACGT", "classes": ("a", "b"), "positive": None})
    for found, expected in zip(read_attributions(path), made_up(150), strict=True):
        assert (found.id, found.sequence) == (expected.id, expected.sequence)
        for name in ("logits", "baseline_logits", "mutagenesis", "gradient_times_input", "integrated_gradients"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert [each.id for each in read_attributions(path, [140, 7])] == ["séq 140", "séq 7"]


def test_a_file_is_laid_out_as_documented(tmp_path: Path) -> None:
    path = tmp_path / "attributions.h5"
    write_attributions(path, made_up(70), {"letters": "ACGT", "classes": ("a", "b"), "positive": None})
    with h5py.File(path) as file:
        attributes = dict(file.attrs)
        offsets, mutagenesis = file["offsets"][:], file["mutagenesis"][:]
        letters = file["letters"][:].tobytes().decode()
        ids = file["ids"].asstr()[:].tolist()
    assert attributes["format"] == "seqreg-attributions"
    assert attributes["units"] == "logits"
    assert list(attributes["classes"]) == ["a", "b"]
    rows = list(made_up(70))
    assert ids == [each.id for each in rows]
    assert letters == "".join(each.sequence for each in rows)
    for i, each in enumerate(rows):
        np.testing.assert_array_equal(mutagenesis[offsets[i] : offsets[i + 1]], each.mutagenesis)


def test_writing_holds_few_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    held: list[int] = []
    stack = np.stack

    def counted(arrays: list[np.ndarray]) -> np.ndarray:
        held.append(len(arrays))
        return stack(arrays)

    monkeypatch.setattr(np, "stack", counted)
    write_attributions(tmp_path / "a.h5", made_up(1000, asked), {})
    assert len(asked) == 1000
    assert max(held) <= 64


def test_a_file_cut_short_or_of_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "attributions.h5"
    write_attributions(path, made_up(9), {})
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match="damaged"):
        read_attributions(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(InputError, match="not a file of attributions"):
        read_attributions(tmp_path / "other.h5")


def test_nothing_is_left_of_a_file_that_failed(tmp_path: Path) -> None:
    def failing() -> Iterator[Attribution]:
        yield from made_up(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_attributions(tmp_path / "a.h5", failing(), {})
    assert list(tmp_path.iterdir()) == []


def test_modisco_lite_finds_a_planted_pattern(tmp_path: Path) -> None:
    """As its authors take it: one-hot letters and what each letter would contribute, from attributions.h5."""
    modisco = pytest.importorskip("modiscolite.tfmodisco", reason="modisco-lite is not installed")
    rng, motif = np.random.default_rng(0), "TGACTCAT"
    codes = rng.integers(4, size=(250, 100)).astype(np.uint8)
    for row in codes:
        at = rng.integers(20, 70)
        row[at : at + len(motif)] = ["ACGT".index(letter) for letter in motif]
    texts = ["".join("ACGT"[code] for code in row) for row in codes]
    net = network(f"cnn:filters=9,width={len(motif)}", ("absent", "present"))
    module: ConvNet = net.module  # type: ignore[assignment]
    with torch.no_grad():
        module.convs[0].weight[0] = torch.eye(4)[["ACGT".index(letter) for letter in motif]].T
        module.convs[0].bias.fill_(0)
        module.output.weight[:, 0] = 1
    write_attributions(tmp_path / "attributions.h5", attributions(net, read_strings(texts, alphabet="dna")), {})
    with h5py.File(tmp_path / "attributions.h5") as file:
        change = file["mutagenesis"][:, :, 0].reshape(*codes.shape, 4)
    hypothetical = change - change.mean(2, keepdims=True)
    found, _ = modisco.TFMoDISco(
        hypothetical_contribs=hypothetical.astype(np.float32),
        one_hot=np.eye(4, dtype=np.float32)[codes],
        target_seqlet_fdr=0.2,
        max_seqlets_per_metacluster=2000,
    )
    consensus = "".join("ACGT"[code] for code in np.asarray(found[0].sequence).argmax(1))
    assert motif in consensus or motif[::-1].translate(str.maketrans("ACGT", "TGCA")) in consensus


def flat(sequence: str, score: float) -> Attribution:
    """Every letter and every substitution is worth the same."""
    logits, scores = np.zeros(1, dtype=np.float32), np.full((len(sequence), 1), score, dtype=np.float32)
    return Attribution(
        id="s",
        sequence=sequence,
        logits=logits,
        baseline_logits=logits,
        mutagenesis=np.full((len(sequence), 4, 1), score, dtype=np.float32),
        gradient_times_input=scores,
        integrated_gradients=scores,
    )


@pytest.mark.parametrize(
    ("sequence", "score"), [("ACGTAC", 1.0), ("ACGTAC", 0.0), ("NNNNNN", 1.0), ("ACGTACGTAC" * 40, 1.0)]
)
def test_the_positions_of_what_is_drawn_are_its_axis(sequence: str, score: float, tmp_path: Path) -> None:
    """Also where no letter says anything: letters that score 0, and letters that are none."""
    found = flat(sequence, score)
    if len(sequence) > MOST_LETTERS:
        found.integrated_gradients[:50] = 0
    draw_attribution(tmp_path / "s.svg", found, "ACGT", 0, "with")
    drawing = ElementTree.parse(tmp_path / "s.svg")
    texts = [entry.text or "" for entry in drawing.iter(f"{SVG}text")]
    part = telling_part(found.integrated_gradients[:, 0])
    first, last = part.start + 1, part.stop
    assert [int(text) for text in texts if text.isdecimal()] == [
        position for position in range(first, last + 1) if position % 10 == 0 or position == first
    ]
    letters = [entry.get(HREF, "")[-1] for entry in drawing.iter(f"{SVG}use")]
    assert letters == ([] if score == 0 or "N" in sequence else list(sequence[part]))


MOTIF = Motif(
    name="motif-1",
    filters=(0,),
    letters="ACGT",
    counts=np.diag([20.0, 9.0, 9.0, 20.0]) + 1,
    bits=3.0,
    sites=20,
    start=(1.0, 2.0, 3.0),
    places=(1,) * 20,
    reverse=0.0,
    fires={},
    enriched={},
    effect={},
    importance=1.0,
)


def test_figures_for_print_stand_by_themselves(tmp_path: Path) -> None:
    """Every outline and class that is referred to is in the file, and looks as the page does in print."""
    found = flat("ACGTAC", 1.0)
    found.mutagenesis[2] = -0.5
    draw_attribution(tmp_path / "s.svg", replace(found, id="a<b&c"), "ACGT", 0, "with")
    draw_motif(tmp_path / "m.svg", MOTIF)
    for name, said in (("s.svg", "a<b&c"), ("m.svg", "bits")):
        drawing = ElementTree.parse(tmp_path / name)
        outlines = {f"#{entry.get('id')}" for entry in drawing.iter(f"{SVG}path") if entry.get("id")}
        used = {entry.get(HREF) for entry in drawing.iter(f"{SVG}use")}
        assert used <= outlines
        assert used
        assert any(said in (entry.text or "") for entry in drawing.iter(f"{SVG}text"))
        classes = {entry.get("class") for kind in ("use", "path") for entry in drawing.iter(f"{SVG}{kind}")} - {None}
        assert {f".{each}" for each in classes} <= set(re.findall(r"\.[\w-]+", STYLE))
    css = resources.files("seqreg.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    printed = css[css.index("@media print") :]
    for letter, color in re.findall(r"(--letter-\w+): (#\w+)", printed):
        assert f".{letter[2:]} {{ fill: {color}; }}" in STYLE
