"""Motifs of a network: filters merged, flanks cut, tests against closed forms, and the planted ones found again."""

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from Bio import motifs as biopython
from scipy.stats import hypergeom

from seqreg import SequenceClassifier
from seqreg.alphabet import DNA, PROTEIN
from seqreg.explain import find_motifs, meme
from seqreg.networks import CNN, ConvNet
from seqreg.records import read_json, read_tsv
from seqreg.sequences import SequenceSet, read_attributions

SITE = "TGACGTAC"  # unlike its own reverse complement


def looking_for(parts: list[str], *, width: int = 6, strands: bool = False) -> ConvNet:
    """A network whose first filters fire on nothing but these parts, the first most strongly."""
    torch.manual_seed(0)
    net = CNN(filters=len(parts) + 1, width=width).build(DNA, outputs=1, length=40, reverse_complement=strands)
    with torch.no_grad():
        for c, part in enumerate(parts):
            net.convs[0].weight[c] = torch.from_numpy(DNA.mixtures[DNA.encode(part)].T.copy())  # type: ignore[index]
        net.convs[0].bias.fill_(0.5 - width)  # type: ignore[operator]
        net.output.weight.copy_(torch.linspace(3, 1, len(parts) + 1)[None])
    return net


def test_filters_on_the_same_letters_are_one_motif_longer_than_each(plant: Callable[..., SequenceSet]) -> None:
    data = plant(DNA, SITE, n=120)
    net = looking_for([SITE[1:7], SITE[:6], SITE[2:]])
    (found,) = find_motifs(net, data)
    assert found.filters == (0, 1, 2)
    assert found.consensus == SITE
    assert found.fires["with"] == 1.0
    assert found.effect["with"] == -found.effect["absent"] > 0
    assert sum(found.places) == found.sites
    strong = found.counts.max(1) / found.counts.sum(1)
    assert (strong > 0.9).all()
    assert found.bits == pytest.approx(2 * len(SITE), abs=2)


def test_filters_on_different_letters_are_two_motifs(plant: Callable[..., SequenceSet]) -> None:
    data = plant(DNA, SITE, n=120)
    rng = np.random.default_rng(3)
    codes = data.codes.copy()
    other = DNA.encode("GGGATTCC")
    for begin, length in zip(data.offsets[:-1], data.lengths, strict=True):
        for place in rng.permutation(length - 8)[:40]:  # not onto the first motif
            if SITE not in DNA.decode(codes[begin + max(0, place - 8) : begin + place + 16]):
                codes[begin + place : begin + place + 8] = other
                break
    found = find_motifs(looking_for([SITE[1:7], "GGATTC"]), replace(data, codes=codes))
    assert {motif.filters for motif in found[:2]} == {(0,), (1,)}
    assert {motif.consensus for motif in found[:2]} >= {"GGGATTCC"}


def test_a_motif_is_written_as_most_sites_are(plant: Callable[..., SequenceSet]) -> None:
    """A filter that finds the opposite strand gives the motif as it stands in the sequences."""
    opposite = DNA.decode(DNA.complement[DNA.encode(SITE)][::-1])  # type: ignore[index]
    (found,) = find_motifs(looking_for([opposite[1:7]], strands=True), plant(DNA, SITE, n=120))
    assert found.consensus == SITE
    assert found.reverse < 0.05


def test_enrichment_is_the_tail_of_the_hypergeometric_distribution(plant: Callable[..., SequenceSet]) -> None:
    data = plant(DNA, "TGACG", n=90)
    found = find_motifs(looking_for(["TGACGT", "CCATGA"]), data)
    tests = [(motif, name, test) for motif in found for name, test in motif.enriched.items()]
    assert len(tests) >= 4
    for motif, name, test in tests:
        members = int((data.y == data.classes.index(name)).sum())  # type: ignore[union-attr]
        inside = round(motif.fires[name] * members)
        assert test.p == pytest.approx(hypergeom.sf(inside - 1, len(data), members, motif.sites), rel=1e-9)
    p = np.array([test.p for _, _, test in tests])
    order = np.argsort(p)
    stepped = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    np.testing.assert_allclose([test.q for _, _, test in tests], np.minimum(stepped, 1)[np.argsort(order)], rtol=1e-12)


def test_motif_files_are_read_by_other_programs(plant: Callable[..., SequenceSet], tmp_path: Path) -> None:
    memelite = pytest.importorskip("memelite.io")
    found = find_motifs(looking_for([SITE[1:7], "CCATGA"]), plant(DNA, SITE, n=120))
    text = meme(found, "ACGT", np.array([0.3, 0.2, 0.2, 0.3]), both_strands=True)
    (tmp_path / "motifs.meme").write_text(text)
    by_memelite = memelite.read_meme(tmp_path / "motifs.meme")
    by_biopython = biopython.parse(StringIO(text), "minimal")
    assert list(by_memelite) == [f"{motif.name} {motif.consensus}" for motif in found]
    for motif, matrix, other in zip(found, by_memelite.values(), by_biopython, strict=True):
        share = motif.counts / motif.counts.sum(1, keepdims=True)
        np.testing.assert_allclose(matrix.T, share, atol=1e-6)
        assert (other.name, other.num_occurrences, other.length) == (motif.name, motif.sites, len(share))
        np.testing.assert_allclose([other.counts[a] for a in "ACGT"], np.rint(share.T * motif.sites), atol=1)
        assert other.background == {"A": 0.3, "C": 0.2, "G": 0.2, "T": 0.3}
    protein = meme([], PROTEIN.letters, np.full(20, 0.05), both_strands=False)
    assert f"ALPHABET= {PROTEIN.letters}\n" in protein
    assert "strands" not in protein


# ------------------------------------------------------------------------------------------ planted, and found again


PLANTED = ("TGACTCAGCA", "CCACGTGGAAT")
Call = Callable[..., CompletedProcess[str]]


def jaspar_like(consensus: str, rng: np.random.Generator) -> np.ndarray:
    """(W, 4) shares: 0.9 of the consensus letter, 0.55 at two positions."""
    shares = np.full((len(consensus), 4), 0.1 / 3)
    shares[np.arange(len(consensus)), DNA.encode(consensus)] = 0.9
    weak = rng.choice(len(consensus), 2, replace=False)
    shares[weak] = 0.5 * shares[weak] + 0.125
    return shares


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray], dict[str, list[range]]]:
    """A folder that `seqreg explain` filled for the default network, the matrices, and where their sites are.

    300 sequences of 40 to 60 nucleotides; every second one has a site of each motif, on either strand.
    """
    from seqreg.cli import app

    rng = np.random.default_rng(0)
    matrices = [jaspar_like(consensus, rng) for consensus in PLANTED]
    rows, sites = ["id,sequence,label,split"], {}
    for i in range(300):
        codes = rng.integers(4, size=rng.integers(40, 61))
        places: list[range] = []
        for half, m in enumerate(rng.permutation(2)) if i % 2 else ():
            room = len(codes) // 2
            begin = half * room + int(rng.integers(room - len(matrices[m]) + 1))
            letters = [int(rng.choice(4, p=share / share.sum())) for share in matrices[m]]
            codes[begin : begin + len(letters)] = [3 - a for a in letters[::-1]] if rng.random() < 0.5 else letters
            places.append(range(begin, begin + len(letters)))
        sites[f"s{i}"] = places
        label, part = ("bound" if i % 2 else "free"), ("valid" if i % 3 == 0 else "train")
        rows.append(f"s{i},{''.join(DNA.letters[a] for a in codes)},{label},{part}")
    folder = tmp_path_factory.mktemp("planted")
    table, run = folder / "planted.csv", folder / "run"
    table.write_text("\n".join(rows) + "\n")
    quick = ["--epochs", "20", "--no-baselines", "--calibration", "none", "--positive", "bound", "--reverse-complement"]
    for words in (
        ["train", table, "-o", run, *quick, "--device", "cpu", "--threads", 1, "--seed", 0, "-q"],
        ["explain", run, table, "-o", run / "explain", "--sequences", 2, "--show", "s11", "--threads", 1, "-q"],
    ):
        with pytest.raises(SystemExit) as end:
            app([str(word) for word in words])
        assert not end.value.code
    return run / "explain", matrices, sites


def test_planted_motifs_come_first(explained: tuple[Path, list[np.ndarray], dict[str, list[range]]]) -> None:
    folder, matrices, _ = explained
    with open(folder / "motifs.meme") as handle:
        found = biopython.parse(handle, "minimal")
    names = set()
    for motif in found[:2]:
        shares = np.array([motif.counts[a] for a in "ACGT"]).T
        shares = shares / shares.sum(1, keepdims=True)
        likeness = [best_correlation(shares, matrix) for matrix in matrices]
        assert max(likeness) > 0.95
        names.add(int(np.argmax(likeness)))
    assert names == {0, 1}
    table = read_tsv(folder / "motifs.tsv")
    assert float(table[1]["importance"]) > 3 * float(table[2]["importance"])
    assert [row["enriched_in"] for row in table[:2]] == ["bound", "bound"]
    assert all(float(row["q_bound"]) < 1e-20 for row in table[:2])


def best_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two matrices (W, 4) slid along each other, on either strand, over at least 8 columns."""
    return max(
        float(np.corrcoef(a[i : i + n].ravel(), strand[j : j + n].ravel())[0, 1])
        for strand in (b, b[::-1, ::-1])
        for i in range(len(a))
        for j in range(len(strand))
        if (n := min(len(a) - i, len(strand) - j)) >= 8
    )


@pytest.mark.slow  # memelite compiles itself when it is first called, a minute of processor time
def test_tomtom_finds_the_planted_motifs(
    explained: tuple[Path, list[np.ndarray], dict[str, list[range]]], rng: np.random.Generator
) -> None:
    memelite = pytest.importorskip("memelite")
    folder, matrices, _ = explained
    found = list(memelite.io.read_meme(folder / "motifs.meme").values())[:2]
    others = [rng.dirichlet(np.full(4, 0.3), size=rng.integers(8, 14)).T for _ in range(60)]
    p = memelite.tomtom(found, [*(matrix.T for matrix in matrices), *others], n_jobs=1)[0]
    assert (p.min(1) < 1e-4).all()
    assert sorted(p.argmin(1).tolist()) == [0, 1]


def test_mutagenesis_marks_the_planted_sites(
    explained: tuple[Path, list[np.ndarray], dict[str, list[range]]],
) -> None:
    folder, _, sites = explained
    inside = []
    for found in read_attributions(folder / "attributions.h5"):
        places = {place for site in sites[found.id] for place in site}
        if places:
            hurt = np.abs(found.mutagenesis[:, :, 0].sum(1))
            inside += [int(i) in places for i in np.argsort(-hurt)[:10]]
    assert np.mean(inside) > 0.9


def test_the_folder_says_what_it_is_about(explained: tuple[Path, list[np.ndarray], dict[str, list[range]]]) -> None:
    folder, _, _ = explained
    about = read_json(folder / "explain.json")
    assert about["n"] == 300
    assert re.fullmatch(r"[0-9a-f]{64}", about["model_sha256"])
    assert about["sequences"][0]["id"] == "s11"
    assert len(about["sequences"]) == 3
    assert {path.name for path in folder.iterdir()} == {
        "attributions.h5", "explain.html", "explain.json", "logos", "motifs.meme", "motifs.tsv",
    }  # fmt: skip
    page = (folder / "explain.html").read_text()
    assert "motif-1" in page
    assert "http" not in page.split("</style>")[1].replace("http-equiv", "")
    assert 'href="explain/explain.html"' in (folder.parent / "report.html").read_text()


def test_wrong_input_is_refused(
    explained: tuple[Path, list[np.ndarray], dict[str, list[range]]], call: Call, tmp_path: Path
) -> None:
    folder, _, _ = explained
    run, table = folder.parent, folder.parent.parent / "planted.csv"
    done = call("explain", run, table, "-o", tmp_path / "x", "--show", "nobody")
    assert done.returncode == 2
    assert "no sequence 'nobody'" in done.stderr
    assert call("explain", run, table, "-o", tmp_path / "x", "--sequences", -1).returncode == 2
    assert call("explain", tmp_path, table, "-o", tmp_path / "x").returncode == 2
    assert not (tmp_path / "x").exists()


def test_from_python(plant: Callable[..., SequenceSet]) -> None:
    data = plant(DNA, SITE, n=60)
    texts = [data.sequence(i) for i in range(60)]
    labels = [data.label(i) for i in range(60)]
    clf = SequenceClassifier("cnn:filters=6,width=5", epochs=2, random_state=0, valid=0.0).fit(texts, labels)
    found = clf.explain(texts[:7], labels[:7], steps=16)
    assert (found.letters, found.classes, found.logit_of) == ("ACGT", ("absent", "with"), ("with",))
    assert [each.sequence for each in found.sequences] == texts[:7]
    np.testing.assert_allclose(
        [each.logits[0] for each in found.sequences], clf.decision_function(texts[:7]), rtol=1e-5, atol=1e-6
    )
    called = clf.explain(texts[:7], steps=2)
    assert {name for motif in called.motifs for name in motif.fires} <= {"absent", "with"}
