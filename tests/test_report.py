"""The report: every section from the files of a run, self-contained, well formed, and safe with hostile names."""

import itertools
import json
import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.errors import ModelError
from seqreg.explain import consensus, information, letters, logos, telling_part
from seqreg.networks import Sum
from seqreg.records import write_tsv
from seqreg.report import figures, tables, words, write_report
from seqreg.report.figures import Series, wilson
from seqreg.report.page import HEADINGS
from seqreg.report.run_folder import read_run
from tests.conftest import put_json

VOID = {"meta", "br", "hr", "img", "input", "link", "path", "use", "area", "base", "col", "source", "wbr"}


# ------------------------------------------------------------------------------------------- a run folder to read


def write_run(
    folder: Path,
    classes: Sequence[str] = ("amp", "other"),
    *,
    n: int = 150,
    skill: float = 2.0,
    baseline_skill: float = 1.2,
    multi_label: bool = False,
    alphabet: Alphabet = PROTEIN,
    ids: str = "s",
    length: int = 40,
) -> Path:
    """A run folder as `seqreg train` leaves it, with made-up numbers that belong together."""
    rng = np.random.default_rng(5)
    k = len(classes)
    y = (rng.random((n, k)) < 0.4) if multi_label else np.eye(k, dtype=bool)[np.arange(n) % k]
    p = forecasts(y, skill, multi_label, rng)
    shown = [label(classes, row) for row in y]
    said = [label(classes, row) for row in called(p, multi_label)]
    names = [f"{ids}{i}" for i in range(n)]
    sequences = ["".join(rng.choice(list(alphabet.letters), size=length + 9 * (i % 3))) for i in range(n)]
    positive = classes[0] if k == 2 and not multi_label else None

    write_tsv(folder / "splits.tsv", ("id", "split", "group"), [(name, "test", "") for name in names])
    columns = ("id", "label", "prediction", *(f"p_{name}" for name in classes))
    rows = zip(names, shown, said, p, strict=True)
    write_tsv(folder / "predictions.tsv", columns, [(a, b, c, *(f"{v:.6g}" for v in row)) for a, b, c, row in rows])
    right = np.where(y, p, 1 - p).min(1) if multi_label else p[y]
    worst = np.argsort(right, kind="stable")[:5]
    write_tsv(
        folder / "examples.tsv",
        ("id", "sequence", "label", "prediction", "p"),
        [(names[i], sequences[i], shown[i], said[i], f"{right[i]:.6g}") for i in worst],
    )
    baselines = {
        "kmer-logistic": scores(classes, y, forecasts(y, baseline_skill, multi_label, rng), positive, multi_label),
        "kmer-svm": scores(classes, y, forecasts(y, baseline_skill * 0.8, multi_label, rng), positive, multi_label),
    }
    put_json(folder / "metrics.json", {**scores(classes, y, p, positive, multi_label), "baselines": baselines})
    write_history(folder)
    put_json(folder / "motifs.json", made_up_motifs(classes, alphabet, rng))
    model = {
        "model": "cnn:filters=64,width=8,depth=1,activation=relu,pooling=max,hidden=0,dropout=0",
        "encoding": "one-hot",
        "alphabet": alphabet.name,
        "classes": list(classes),
        "positive": positive,
        "multi_label": multi_label,
    }
    put_json(folder / "model.json", model)
    config = {
        "model": model["model"],
        "penalty": ["adversarial:epsilon=1", "weight-decay:weight=0.001"],
        "by": "stratified",
    }
    put_json(folder / "config.json", {**config, "augment": [], "attack": None, "epochs": 60, "lr": 0.003, "seed": 0})
    per_class = {
        name: {"train": 420 + 31 * i, "valid": 74, "test": int(y[:, i].sum())} for i, name in enumerate(classes)
    }
    run = {
        "versions": {"seqreg": "0.1.0", "python": "3.11.9", "torch": "2.13.0"},
        "seed": 0,
        "device": "cpu",
        "threads": 2,
        "command": ["seqreg", "train", "my peptides.csv", "-o", folder.name, "--penalty", "adversarial:epsilon=1"],
        "timings": {"training": 41.2, "baselines": 75.0},
        "started": "2026-03-04T10:11:12+00:00",
        "data": {
            "source": "my peptides.csv",
            "sha256": "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
            "alphabet": alphabet.name,
            "n": sum(sum(counts.values()) for counts in per_class.values()),
            "lengths": [length, length + 9.0, length + 18],
            "classes": per_class,
            "warnings": ["3 sequences carry two labels, the first of them s17, s40, s77"],
        },
    }
    put_json(folder / "run.json", run)
    return folder


def write_tuning(folder: Path) -> None:
    """trials.tsv and tuning.json of 43 trials, as `seqreg tune` leaves them."""
    columns = ("trial", "what", "status", "auroc", "standard_error", "over_default", "over_default_error")
    rows = [(i, f"noise {i}", "compared", 0.9, 0.01, i / 1000, 0.004, 5, 12.5) for i in range(42)]
    write_tsv(
        folder / "trials.tsv",
        (*columns, "folds", "seconds"),
        [*rows, (42, "noise 0.1", "chosen", 0.95, 0.01, 0.05, 0.004, 10, 25)],
    )
    trials = [
        {"trial": i, "at": i % 3, "gain": 0.01 * i, "error": None if i == 0 else 0.004, "own": i != 1}
        for i in (0, 1, 2, 42)
    ]
    found = {
        "chosen": 42,
        "what": "noise 0.1",
        "why": ["Trial 42 with noise 0.1 did it."],
        "tried": 43,
        "seconds": 99.0,
    }
    path = {"name": "noise", "strengths": [None, 0.02, 0.1], "trials": trials}
    put_json(folder / "tuning.json", {**found, "paths": [path]})


def forecasts(y: NDArray[np.bool_], skill: float, multi_label: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    logits = 1.6 * skill * (y - 0.5) + rng.normal(size=y.shape) * 1.3
    if multi_label:
        return 1 / (1 + np.exp(-logits))
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


def called(p: NDArray[np.float64], multi_label: bool) -> NDArray[np.bool_]:
    return p >= 0.5 if multi_label else np.eye(p.shape[1], dtype=bool)[p.argmax(1)]


def label(classes: Sequence[str], row: NDArray[np.bool_]) -> str:
    return ";".join(name for name, on in zip(classes, row, strict=True) if on)


def scores(
    classes: Sequence[str], y: NDArray[np.bool_], p: NDArray[np.float64], positive: str | None, multi_label: bool
) -> dict[str, Any]:
    said = called(p, multi_label)
    values = {
        "accuracy": accuracy_score(y, said),
        "balanced_accuracy": float(np.mean([said[y[:, c], c].mean() for c in range(len(classes))])),
        "auroc": roc_auc_score(y, p, average="macro"),
        "auroc50": None,
        "auprc": average_precision_score(y, p, average="macro"),
        "mcc": 0.71,
        "ece": 0.043,
        "log_loss": 0.35,
    }
    half = 1 / math.sqrt(len(y))
    table = [[int((y[:, i] & said[:, j]).sum()) for j in range(len(classes))] for i in range(len(classes))]
    pairs = [
        [[int(((y[:, c] == a) & (said[:, c] == b)).sum()) for b in (0, 1)] for a in (0, 1)] for c in range(len(classes))
    ]
    edges = np.linspace(0, 1, 6)
    forecast, observed = p.ravel(), y.ravel()
    inside = [(forecast >= low) & (forecast < high) for low, high in itertools.pairwise(edges)]
    return {
        "n": len(y),
        "classes": list(classes),
        "positive": positive,
        "split": "test",
        **values,
        "intervals": {
            k: None if v is None else [max(0, v - half / 2), min(1, v + half / 3)] for k, v in values.items()
        },
        "per_class": {
            name: {
                "precision": 0.9,
                "recall": 0.8,
                "f1": 0.85,
                "support": int(y[:, c].sum()),
                "auroc": 0.93,
                "auprc": None,
            }
            for c, name in enumerate(classes)
        },
        "confusion": pairs if multi_label else table,
        "reliability": {
            "forecast": [float(forecast[bin_].mean()) for bin_ in inside if bin_.any()],
            "observed": [float(observed[bin_].mean()) for bin_ in inside if bin_.any()],
            "count": [int(bin_.sum()) for bin_ in inside if bin_.any()],
        },
        "reason": {"auroc50": "fewer than 50 negatives"},
    }


def write_history(folder: Path) -> None:
    columns = (
        "epoch",
        "learning_rate",
        "loss",
        "classification",
        "adversarial",
        "weight-decay",
        "valid_loss",
    )
    rows = []
    for epoch in range(1, 41):
        fall = math.exp(-epoch / 9)
        terms = (0.02 + 0.67 * fall, 0.11 + 0.2 * fall * (1 - fall), 0.004 + 0.00005 * epoch)
        valid = 0.31 + 0.38 * fall + 0.00015 * max(0, epoch - 22) ** 2
        rows.append((epoch, 0.003, sum(terms), *terms, valid))
    write_tsv(folder / "history.tsv", columns, rows)


def made_up_motifs(classes: Sequence[str], alphabet: Alphabet, rng: np.random.Generator) -> list[dict[str, Any]]:
    motifs = []
    for c in range(7):
        sites = int(rng.integers(30, 300))
        peak = rng.integers(alphabet.size, size=9)
        sharp = rng.choice([0.2, 1.0, 4.0, 6.0], size=9)
        share = np.exp(sharp[:, None] * np.eye(alphabet.size)[peak] + 0.3 * rng.normal(size=(9, alphabet.size)))
        counts = np.stack([rng.multinomial(sites, row / row.sum()) for row in share])
        motifs.append(
            {
                "filter": 3 * c,
                "letters": alphabet.letters,
                "counts": counts.astype(float).tolist(),
                "sites": sites,
                "start": [4.0, 11.0, 23.0],
                "fires": {name: float(rng.random()) for name in classes},
                "effect": {name: float(rng.normal()) for name in classes},
                "importance": 2.0 - 0.2 * c,
            }
        )
    return motifs


# -------------------------------------------------------------------------------------------------- reading pages


class Page(HTMLParser):
    """Tags that do not close, links, sources, ids, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.problems: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        self.problems += self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.stack or self.stack.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.stack):
            self.text.append(data)

    def of(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


def read(folder: Path) -> tuple[str, Page]:
    path = write_report(folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


VARIANTS: dict[str, dict[str, Any]] = {
    "binary": {},
    "multi-class": {"classes": ("ei", "ie", "n"), "alphabet": DNA},
    "multi-label": {"classes": ("membrane", "nucleus", "secreted"), "multi_label": True},
    "many classes": {"classes": [f"family{i}" for i in range(11)], "n": 121},
    "tiny": {"n": 8},
    "long sequences": {"length": 700},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_page_is_well_formed_self_contained_and_accessible(variant: str, tmp_path: Path) -> None:
    text, page = read(write_run(tmp_path, **VARIANTS[variant]))
    assert page.problems == []
    ids = page.of("id")
    assert len(ids) == len(set(ids))
    links = page.of("href") + page.of("src") + page.of("xlink:href")
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert re.findall(r"https?://|url\((?!#)|@import|<script", text) == []
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)
    drawn = [
        index
        for index, (tag, name, value) in enumerate(page.attributes)
        if (tag, name, value) == ("svg", "role", "img")
    ]
    assert drawn
    assert all(page.attributes[index + 1][1] == "aria-label" and page.attributes[index + 1][2] for index in drawn)
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).lower().split()
    assert not re.search(r"#0[0-9a-f]0[0-9a-f]{3}\b", text.split("</style>")[1]), "a stand-in colour was left"


def test_a_curve_ends_where_nothing_is_left(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    curve = {"epsilon": [0, 0.5, 1, 4, 8], "attacked_accuracy": [0.9, 0.4, 0.0, 0.0, 0.0]}
    l2 = {**curve, "certified_accuracy": [0.9, 0.1, 0.0, 0.0, 0.0]}
    put_json(folder / "robustness.json", {"l2": l2})
    shown = " ".join(" ".join(read(folder)[1].text).split())
    assert "attacked 0 % at 1 " in shown
    assert "% at 8" not in shown


def test_every_section_is_there_and_tells_the_files(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "peptides")
    put_json(
        folder / "robustness.json",
        {"substitutions": [0, 1, 2], "attacked_accuracy": [0.9, 0.7, 0.4], "certified_accuracy": [0.9, 0.5, 0.1]},
    )
    put_json(
        folder / "norm.json",
        {"lipschitz_upper_bound": 12.5, "rkhs": {"upper_bound": None}, "lower_bounds": {"gradient": 3.25}},
    )
    write_tuning(folder)
    text, page = read(folder)
    shown = " ".join(" ".join(page.text).split())
    assert "Predicted and measured" not in shown
    for anchor, heading in HEADINGS.items():
        if anchor in ("values", "checks", "folds"):
            continue  # of runs that predict values, were checked, or were cross-validated
        assert f'<section id="{anchor}">' in text
        assert shown.count(heading) >= 2, "in the contents and above its section"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"{metrics['auroc']:.3f}" in shown
    assert f"{metrics['baselines']['kmer-svm']['auroc']:.3f}" in shown
    for fact in ("seqreg train 'my peptides.csv' -o peptides", "3 sequences carry two labels", "adversarial:epsilon=1"):
        assert fact in shown
    assert "2026-03-04 10:11 UTC" in shown
    for row in (folder / "examples.tsv").read_text().splitlines()[1:]:
        name, sequence, *_ = row.split("\t")
        assert name in shown
        assert sequence in shown.replace(" ", "")
    for fact in ("12.5", "3.25", "3 more are in trials.tsv", "noise 0.1 did it", "40 % at 2", "10 % at 2"):
        assert fact in shown


@pytest.mark.parametrize(
    "missing", ["metrics.json", "history.tsv", "motifs.json", "examples.tsv", "config.json", "model.json", "splits.tsv"]
)
def test_a_missing_file_costs_its_own_section_only(missing: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    whole = set(HEADINGS) - {"robustness", "tuning", "values", "checks", "folds"}
    (folder / missing).unlink()
    text, page = read(folder)
    assert page.problems == []
    lost = {
        "metrics.json": {"confusion"},
        "history.tsv": {"learning"},
        "motifs.json": {"motifs"},
        "examples.tsv": {"errors"},
    }
    assert whole - set(re.findall(r'<section id="(\w+)"', text)) == lost.get(missing, set())


def test_a_run_without_a_test_part_says_what_is_not_known(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    for name in ("metrics.json", "predictions.tsv", "examples.tsv", "history.tsv"):
        (folder / name).unlink()
    text, page = read(folder)
    assert page.problems == []
    assert "No test part was held out" in text
    assert re.findall(r'<section id="(\w+)"', text) == ["performance", "data", "motifs", "reproduce"]


def test_a_baseline_by_itself_has_a_page_too(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    for name in ("history.tsv", "motifs.json", "examples.tsv", "splits.tsv"):
        (folder / name).unlink()
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["baselines"]
    put_json(folder / "metrics.json", metrics)
    put_json(folder / "model.json", {"kind": "baseline", "baseline": "kmer-logistic", "classes": metrics["classes"]})
    text, page = read(folder)
    assert page.problems == []
    assert "A k-mer baseline trained on" in text
    assert "this baseline" in text
    assert "beside simple models" not in text


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    classes = (f"a{evil}", '"><b>$x^2$ & 蛋白')
    folder = write_run(tmp_path, classes, ids="<img src=x onerror=alert(1)>&'\"")
    run = json.loads((folder / "run.json").read_text())
    run["data"]["source"], run["command"] = f"{evil}.csv", ["seqreg", "train", evil]
    run["data"]["warnings"] = [evil]
    put_json(folder / "run.json", run)
    text, page = read(folder)
    assert page.problems == []
    assert "<script" not in text
    assert "<img" not in text
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    shown = "".join(page.text)
    assert all(name in shown for name in classes)


def test_a_folder_without_a_run_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"run\.json"):
        write_report(tmp_path)
    folder = write_run(tmp_path)
    for content in ("{", "[1]"):
        (folder / "metrics.json").write_text(content)
        with pytest.raises(ModelError, match=r"metrics\.json"):
            write_report(folder)
    assert not (folder / "report.html").exists()


ODD: tuple[Any, ...] = (None, "x", -1, 1e308, [], [None], {}, {"x": 1}, "\ud800", True)


@pytest.mark.parametrize("file", ["metrics", "model", "run", "config", "motifs", "tuning", "robustness", "norm"])
def test_a_damaged_field_is_named_with_its_file_or_does_no_harm(file: str, tmp_path: Path, rng: Any) -> None:
    folder = write_run(tmp_path)
    path = folder / f"{file}.json"
    if not path.exists():
        pytest.skip(f"the made-up run has no {file}.json")
    content = json.loads(path.read_text())
    for _ in range(2):
        damaged = json.loads(json.dumps(content))
        place, key = damaged, None
        while key is None or (isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7):
            place = place if key is None else place[key]
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = keys[int(rng.integers(len(keys)))]
        place[key] = ODD[int(rng.integers(len(ODD)))]
        path.write_text(json.dumps(damaged))
        said = ""
        try:
            write_report(folder)
        except ModelError as error:
            said = str(error)
        assert not said or str(folder) in said, said


def test_the_damaged_file_is_the_one_that_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    for name, column in (("predictions.tsv", "p_amp"), ("predictions.tsv", "label")):
        text = (folder / name).read_text()
        lines = text.splitlines()
        row = lines[1].split("\t")
        row[lines[0].split("\t").index(column)] = "zero point five"
        (folder / name).write_text("\n".join([lines[0], "\t".join(row), *lines[2:]]))
        with pytest.raises(ModelError, match=rf"{name} is not what a run writes there"):
            write_report(folder)
        (folder / name).write_text(text)
    metrics = json.loads((folder / "metrics.json").read_text())
    put_json(folder / "metrics.json", {**metrics, "intervals": [1]})
    with pytest.raises(ModelError, match=r"metrics\.json: intervals is not what"):
        write_report(folder)


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    assert read(folder)[0] == read(folder)[0]


# ----------------------------------------------------------------------------------------------- words and drawings


@pytest.mark.parametrize(
    ("outcome", "tone"), [("ahead", "good"), ("tie", "note"), ("behind", "warn"), ("guessing", "warn"), (None, "note")]
)
def test_the_verdict_of_the_run_comes_first(outcome: str | None, tone: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    sentence, command = "As the run said: <b>it is</b>.", "seqreg check 'my peptides.csv'"
    verdict = {"outcome": outcome, "sentence": sentence, "next": command} if outcome else None
    put_json(folder / "metrics.json", {**metrics, "verdict": verdict})
    first = words.verdict(read_run(folder))[0]
    assert (first.tone, first.text == sentence) == (tone, outcome is not None)
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert ("&lt;b&gt;it is" in page, "\\<b\\>it is" in card) == (outcome is not None,) * 2
    assert ("seqreg check &#39;my peptides.csv&#39;" in page, command in card) == (outcome is not None,) * 2


def test_the_baseline_that_only_guesses_wins_nothing(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["baselines"]["majority"] = {**metrics["baselines"]["kmer-svm"], "auroc": 0.5, "ece": 0.0, "log_loss": 0.9}
    metrics["baselines"]["kmer-svm"]["ece"] = 0.01
    put_json(folder / "metrics.json", metrics)
    run = read_run(folder)
    best = {row["name"]: [cell["best"] for cell in row["cells"]] for row in tables.metric_rows(run)}
    assert best["ECE"] == [False, False, True, False]
    assert best["AUROC"] == [True, False, False, False]
    assert [row["name"] for row in tables.comparison(run)["rows"]] == ["this network", "kmer-logistic", "kmer-svm"]


def test_small_test_parts_guessing_and_majorities_are_called_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path, n=30)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics.update(auroc=0.55, accuracy=0.5)
    found = {
        "name": "calibration",
        "status": "warn",
        "value": {},
        "message": "Do not read its probabilities.",
        "remedy": "x",
    }
    metrics["checks"] = [found]
    metrics["intervals"]["auroc"] = [0.4, 0.7]
    put_json(folder / "metrics.json", metrics)
    said = " ".join(remark.text for remark in words.verdict(read_run(folder)))
    for phrase in (
        "intervals are wide",
        "Always answering",
        "Fewer than 20",
        "Do not read its probabilities",
    ):
        assert phrase in said


def test_information_is_two_bits_for_one_letter_and_none_for_all() -> None:
    n = 1e12  # so many sites that the correction for small samples vanishes
    heights = information(np.array([[n, 0, 0, 0], [n / 4] * 4, [n / 2, n / 2, 0, 0], [0, 0, 0, 0]]))
    np.testing.assert_allclose(heights.sum(1), [2, 0, 1, 0], atol=1e-9)
    few = information(np.array([[1.0, 0, 0, 0]]))
    assert few.sum() == 0, "one site is no information"


def test_a_logo_stacks_letters_to_their_heights_with_the_largest_on_top() -> None:
    heights = np.array([[0.5, 0.0, 1.5, 0.0], [0.0, 0.0, 0.0, 0.0], [0.25, 1.0, 0.5, 0.0]])
    svg = logos.logo(heights, "ACGT", top=2.0, alt="x")
    found = re.findall(r"#glyph-(\w)\".*?translate\(([\d.]+) ([\d.]+)\) scale\([\d.]+ ([\d.]+)\)", svg)
    assert [letter for letter, *_ in found] == ["A", "G", "A", "G", "C"]
    for x, level, tall in ((float(x), float(y), float(h)) for _, x, y, h in found):
        column = heights[round((x - 17) / logos.COLUMN)]
        below = [h for h in column if h < tall * 2 / logos.HEIGHT - 1e-9]
        assert level == pytest.approx(logos.HEIGHT - sum(below) * logos.HEIGHT / 2)


def test_logos_of_a_page_have_letters_of_one_width() -> None:
    for n in (3, 7):
        svg = logos.logo(np.ones((n, 4)), "ACGT", top=4.0, alt="x", columns=7)
        assert f'viewBox="0 0 {17 + 7 * logos.COLUMN:g} ' in svg


def test_each_letter_fills_its_unit_box() -> None:
    for letter in PROTEIN.letters:
        (path,) = re.findall(r' d="([^"]*)"', logos.glyphs(letter))
        points = np.array(re.findall(r"-?\d+\.\d+", path), dtype=float).reshape(-1, 2)
        assert points[:, 0].min() >= 0
        assert points[:, 0].max() <= 1
        assert points[:, 1].min() == pytest.approx(-0.99)
        assert points[:, 1].max() == pytest.approx(0)


def test_consensus_is_lower_case_where_it_is_weak() -> None:
    assert consensus([[9, 0, 1, 0], [3, 2, 2, 2]], "ACGT") == "Aa"


@pytest.mark.parametrize(("share", "n"), [(0.0, 3), (0.25, 16), (1.0, 40)])
def test_wilson_limits_solve_their_equation(share: float, n: int) -> None:
    z = NormalDist().inv_cdf(0.975)
    for limit in wilson(share, n):
        assert abs(limit - share) == pytest.approx(z * math.sqrt(limit * (1 - limit) / n), abs=1e-9)


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_colours_stand_out_from_what_they_lie_on(theme: str) -> None:
    css = resources.files("seqreg.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    light, dark, printed = (
        {
            name: re.sub(r"^#(.)(.)(.)$", r"#\1\1\2\2\3\3", color)
            for name, color in re.findall(r"--([\w-]+): (#\w+);", part)
        }
        for part in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    )
    colors = {"light": light, "dark": dark, "print": printed}[theme]
    assert colors.keys() == light.keys(), "every theme sets every colour"
    text = {"ink": ("paper", "surface", "good-tint", "warn-tint", "note-tint"), "muted": ("paper", "surface")}
    text |= {"accent": ("paper", "surface"), "good": ("good-tint",), "warn": ("warn-tint",), "note": ("note-tint",)}
    marks = [name for name in colors if name.startswith(("series-", "letter-"))]
    pairs = [(name, under, 4.5) for name, places in text.items() for under in places]
    for name, under, least in [*pairs, *((mark, "surface", 3.0) for mark in marks)]:
        low, high = sorted((luminance(colors[name]), luminance(colors[under])))
        assert (high + 0.05) / (low + 0.05) >= least, f"{name} on {under}"


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    svg = figures.curves([Series(name="a", x=[0, 1], y=[0, 1])], name="a", alt="<b>", x_label="x", y_label="y")
    assert dict(mpl.rcParams) == before
    assert 'aria-label="&lt;b&gt;"' in svg
    assert "var(--series-1)" in svg


def test_a_sum_is_named_by_its_parts() -> None:
    whole = Sum(spectrum=4, width=(12,), pooling=("max", "position")).in_words
    assert whole.startswith("the sum of a linear model on 4-mers, a linear model on positions and convolutional")
    assert Sum(spectrum=0, pooling=("none",)).in_words == "the sum of a linear model on positions"
    aligning = Sum(spectrum=0, positions=False, alignments=1024, pooling=("none",)).in_words
    assert aligning == "the sum of local alignments with up to 1,024 training sequences"
    several = Sum(spectrum=0, positions=False, width=(5, 9), networks=2, average=True).in_words
    assert several == "the average of convolutional networks with filters of 5 and 9 letters"


# ------------------------------------------------------------------------------------------------ letter by letter


def test_letters_stand_as_tall_as_they_count_and_cells_are_as_strong_as_the_change() -> None:
    values = np.array([1.0, -0.5, 0.0, 0.25])
    change = np.zeros((4, 4))
    change[0, 2], change[1, 3], change[3, 0] = -4.0, 2.0, 0.1  # the last is below the lightest shade
    svg = letters.by_letter("ACNT", values, change, "ACGT", first=58, width=40, alt="<x>")
    assert Page(svg).problems == []
    assert "&lt;x&gt;" in svg
    glyph = re.compile(r'#glyph-(.)" class="letter-\w+" transform="translate\((\S+) (\S+)\) scale\(14 (\S+)\)"')
    placed = {letter: (float(x), float(y), float(tall)) for letter, x, y, tall in glyph.findall(svg)}
    (line,) = re.findall(r'class="axis" d="M30 (\S+)h', svg)
    zero = float(line)
    assert placed.keys() == {"A", "C", "T"}
    assert placed["A"][1] == placed["T"][1] == zero
    assert placed["C"][1] - placed["C"][2] == pytest.approx(zero)  # hangs below
    assert placed["C"][2] / placed["A"][2] == pytest.approx(0.5, abs=0.01)
    cells = dict(re.findall(r'class="(raises|lowers)" fill-opacity="(\S+)"', svg))
    assert cells == {"lowers": "1", "raises": "0.5"}
    assert re.findall(r"<text[^>]*>(\d+)</text>", svg) == ["58", "60"]


def test_of_a_long_sequence_the_telling_part_is_shown() -> None:
    values = np.zeros(1000)
    values[700:710] = -1
    part = telling_part(values, 300)
    assert part.stop - part.start == 300
    assert part.start <= 700
    assert part.stop >= 710
    assert part.start % 10 == 0
    assert telling_part(values[:200]) == slice(0, 200)
