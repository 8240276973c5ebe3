"""From a run folder to report.html."""

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from seqreg import __version__
from seqreg.explain import consensus, information, logos
from seqreg.report import figures, tables, tuning, words
from seqreg.report.card import render_card
from seqreg.report.damage import made
from seqreg.report.figures import Series
from seqreg.report.pages import environment
from seqreg.report.robustness_figure import damaging_positions
from seqreg.report.run_folder import Run, read_run
from seqreg.writing import atomic_write

MOST_CURVES = 8
HEADINGS = {
    "performance": "How good it is",
    "data": "What it learned from",
    "curves": "Ranking",
    "confusion": "What it confuses",
    "calibration": "Probabilities",
    "errors": "Where it is wrong",
    "motifs": "What it looks for",
    "robustness": "Robustness",
    "learning": "How it learned",
    "tuning": "Tuning",
    "reproduce": "How to get it again",
}


def write_report(run: Path) -> Path:
    """Write `report.html` and `MODEL_CARD.md` into a run folder, from its files alone; return the path of the first.

    Sections whose files are missing are left out. Raises ModelError if there is no run, or a file is damaged.
    """
    contents = read_run(Path(run))
    target = Path(run) / "report.html"
    page, card = made(contents, render), made(contents, render_card)
    for path, text in ((target, page), (target.with_name("MODEL_CARD.md"), card)):
        with atomic_write(path) as handle:
            handle.write(text)
    return target


def render(run: Run) -> str:
    """The page as HTML text."""
    performance, norms = _performance(run), tables.norms(run)
    parts = {
        "performance": performance,
        "curves": _curves(run),
        "calibration": _calibration(run),
        "learning": _learning(run),
        "robustness": _robustness(run),
        "motifs": _motifs(run),
        "tuning": tuning.section(run),
        "examples": tables.examples(run),
    }
    absent = {
        "confusion": not (performance and performance["confusion"]),
        "errors": not parts["examples"],
        "robustness": not (parts["robustness"] or norms),
        **{name: not parts[name] for name in ("curves", "calibration", "learning", "motifs", "tuning")},
    }
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            version=__version__,
            name=run.folder.resolve().name,
            when=tables.moment(str(run.run.get("finished") or run.run.get("started") or "")),
            headings=HEADINGS,
            present=[anchor for anchor in HEADINGS if not absent.get(anchor)],
            summary=words.summary(run),
            alphabet=words.alphabet(run),
            split_remark=words.split_remark(run),
            counts=tables.class_counts(run),
            groups=tables.groups_per_part(run),
            norms=norms,
            configuration=tables.configuration(run),
            facts=tables.facts(run),
            command=tables.command(run),
            explained=[path.relative_to(run.folder).as_posix() for path in sorted(run.folder.glob("*/explain.html"))],
            **parts,
        )
    )


def _performance(run: Run) -> dict[str, Any] | None:
    if not run.n_test:
        return None
    metric = words.headline_metric(run)
    return {
        "name": words.title(metric),
        "value": words.number(run.metrics.get(metric)),
        "interval": words.interval(run.metrics, metric),
        "meaning": words.meaning(run),
        "verdict": words.verdict(run),
        "comparison": tables.comparison(run),
        "models": tables.model_names(run),
        "rows": tables.metric_rows(run),
        "classes": tables.class_rows(run),
        "confusion": tables.confusion(run),
    }


def _figure(svg: str, title: str, caption: str, legend: list[dict[str, str | None]] | None = None) -> dict[str, Any]:
    return {"svg": Markup(svg), "title": title, "caption": caption, "legend": legend or []}


def _curves(run: Run) -> list[dict[str, Any]]:
    """ROC and precision-recall curves; one against the rest where there are several classes."""
    if not run.predictions:
        return []
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve  # seconds to import

    chosen = [run.classes.index(run.positive)] if run.binary else range(len(run.classes))
    both = [k for k in chosen if 0 < run.truth[:, k].sum() < len(run.truth)]
    shown = sorted(sorted(both, key=lambda k: -run.truth[:, k].sum())[:MOST_CURVES])
    if not shown:
        return []
    roc: list[Series] = []
    precision: list[Series] = []
    for k in shown:
        truth, scores = run.truth[:, k], run.probabilities[:, k]
        false, true, _ = roc_curve(truth, scores)
        exact, recall, _ = precision_recall_curve(truth, scores, drop_intermediate=True)
        area, average = auc(false, true), average_precision_score(truth, scores)
        roc.append(Series(name=run.classes[k], note=f"area {area:.3f}", x=false, y=true))
        precision.append(Series(name=run.classes[k], note=f"average {average:.3f}", x=recall[::-1], y=exact[::-1]))
    share = run.truth[:, shown[0]].mean()
    left_out = len(both) - len(shown)
    rest = f" The {left_out} rarest classes are left out." if left_out else ""
    dashed = f" Guessing would give the dotted line at {words.percent(share)}." if len(shown) == 1 else ""
    return [
        _figure(
            figures.curves(
                roc,
                name="roc",
                alt="ROC curve. " + _spoken(roc),
                x_label="false positive rate",
                y_label="true positive rate",
                chance=(0, 1),
            ),
            "ROC",
            "How many true positives a threshold finds, and how many negatives it mistakes for them. "
            f"The dotted diagonal is guessing.{rest}",
            figures.legend(roc),
        ),
        _figure(
            figures.curves(
                precision,
                name="precision",
                alt="Precision-recall curve. " + _spoken(precision),
                x_label="recall (positives found)",
                y_label="precision (calls that are right)",
                chance=(share, share) if len(shown) == 1 else (),
                steps=True,
            ),
            "Precision and recall",
            f"What to expect when the best-scoring sequences are followed up in the laboratory.{dashed}{rest}",
            figures.legend(precision),
        ),
    ]


def _calibration(run: Run) -> list[dict[str, Any]]:
    """Reliability, and for binary tasks how scores are spread."""
    shown: list[dict[str, Any]] = []
    forecast, observed, count = _reliability_bins(run.metrics.get("reliability"))
    if len(count):
        said = f"probability of “{run.positive}”" if run.binary else "stated probability"
        seen = f"share that are “{run.positive}”" if run.binary else "share that were right"
        alt = "Reliability curve. " + "; ".join(
            f"{words.percent(x)} stated, {words.percent(y)} true, {n:.0f} sequences"
            for x, y, n in zip(forecast, observed, count, strict=True)
        )
        caption = (
            "Of sequences given a probability of 0.8, eight in ten should turn out so: dots on the diagonal. Big dots "
            "are more sequences, whiskers for what chance alone can do (95\N{NO-BREAK SPACE}% intervals)."
        )
        labels = {"x_label": "stated probability", "y_label": "what came true"}
        shown.append(
            _figure(
                figures.reliability(forecast, observed, count, alt=alt, **labels),
                "Reliability",
                f"{caption} Across: {said}; up: {seen}.{_effect_of_temperature(run)}",
            )
        )
    if run.binary and run.predictions:
        k = run.classes.index(run.positive)
        groups = [
            Series(name=name, note=f"{int(is_in.sum())} sequences", x=(), y=run.probabilities[is_in, k])
            for name, is_in in ((run.positive, run.truth[:, k]), (run.negative, ~run.truth[:, k]))
        ]
        spread = [f"median {np.median(np.asarray(each.y)):.2f} for {each.name}" for each in groups if np.size(each.y)]
        shown.append(
            _figure(
                figures.histogram(
                    groups,
                    alt=f"Histogram of the probability of {run.positive}: " + ", ".join(spread),
                    x_label="stated probability",
                    y_label="share of the class",
                ),
                "Scores",
                f"Probability of “{run.positive}” given to the test sequences of each class. Where the two overlap, "
                "the model cannot tell.",
                figures.legend(groups, lines=False),
            )
        )
    return shown


def _effect_of_temperature(run: Run) -> str:
    """What dividing logits by a temperature did to the calibration error, in a sentence."""
    effect = run.metrics.get("calibration") or {}
    if effect.get("temperature", 1.0) == 1.0:
        return ""
    before, after = (words.number(effect["ece"][when]) for when in ("before", "after"))
    return f" Logits are divided by {effect['temperature']:.2f}, which took the ECE from {before} to {after}."


def _reliability_bins(stored: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecast, observed share and number of sequences per bin, from columns or from a list of bins."""
    if isinstance(stored, dict):
        columns = [stored.get(key) or [] for key in ("forecast", "observed", "count")]
    else:
        bins = [each for each in stored or [] if each.get("count")]
        columns = [[each[key] for each in bins] for key in ("confidence", "accuracy", "count")]
    forecast, observed, count = (np.asarray(column, dtype=np.float64) for column in columns)
    return forecast, observed, count


def _learning(run: Run) -> list[dict[str, Any]]:
    """Loss terms and validation metrics per epoch, for each part of a sum by itself."""
    parts = dict.fromkeys(row.get("part", "") for row in run.history)
    rows = {part: [row for row in run.history if row.get("part", "") == part] for part in parts}
    return [figure for part in parts for figure in _course(part, rows[part])]


def _course(part: str, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The course of one training; a term that is not this part's is left out."""
    of = f" of {part}" if part else ""
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0] if name != "part"}
    epochs = columns.pop("epoch", np.arange(len(rows)) + 1.0)
    for other in ("learning_rate", "seconds"):
        columns.pop(other, None)
    scores = {name: y for name, y in columns.items() if name.startswith("valid_") and name != "valid_loss"}
    losses = {name: y for name, y in columns.items() if name not in scores and np.isfinite(y).any()}
    if set(losses) == {"loss", "classification"}:
        losses.pop("loss")  # the sum of one term
    best = None
    if "valid_loss" in losses and np.isfinite(losses["valid_loss"]).any():
        best = float(epochs[np.nanargmin(losses["valid_loss"])])
    kept = (
        " A validation loss that rises while the training loss falls means that the network has begun to learn the "
        f"training sequences by heart. The dotted line marks epoch {best:.0f}, which had the lowest one and was kept."
        if best is not None
        else ""
    )
    shown: list[dict[str, Any]] = []
    if losses:
        names = {"loss": "whole loss", "valid_loss": "validation loss"}
        lines = [
            Series(name=names.get(name, name), note=f"ends at {y[-1]:.3g}", x=epochs, y=y) for name, y in losses.items()
        ]
        values = np.concatenate([y[np.isfinite(y)] for y in losses.values()])
        log = bool(values.min() > 0 and values.max() > 50 * values.min())
        drawn = figures.learning(
            lines, name=f"loss{part}", alt=f"Loss{of} per epoch. " + _spoken(lines), y_label="loss", best=best, log=log
        )
        caption = f"What training made small, each term by itself.{kept}{' Logarithmic scale.' if log else ''}"
        shown.append(_figure(drawn, f"Loss{of}", caption, figures.legend(lines)))
    if scores:
        lines = [
            Series(name=words.title(name.removeprefix("valid_")), note=f"ends at {y[-1]:.3f}", x=epochs, y=y)
            for name, y in scores.items()
        ]
        drawn = figures.learning(
            lines,
            name=f"validation{part}",
            alt="Validation metrics per epoch. " + _spoken(lines),
            y_label="validation part",
            best=best,
        )
        shown.append(
            _figure(drawn, "Validation", "Metrics on sequences held out from the training part.", figures.legend(lines))
        )
    return shown


def _robustness(run: Run) -> list[dict[str, Any]]:
    """Accuracy under attack, and what is proved, per number of substitutions and per radius."""
    named = {"attacked_accuracy": "attacked", "certified_accuracy": "certified"}
    l2 = run.robustness.get("l2") or {}
    shown: list[dict[str, Any]] = []
    for source, key, name, label, whole in (
        (run.robustness, "substitutions", "substitutions", "substituted letters", True),
        (l2, "epsilon", "radius", "l2 radius", False),
    ):
        known = {called: source[column] for column, called in named.items() if source.get(key) and source.get(column)}
        lost = next((at for at, left in enumerate(zip(*known.values(), strict=True)) if not any(left)), None)
        budgets = source.get(key, [])[: None if lost is None else lost + 1]  # where nothing is left, nothing comes back
        lines = [
            Series(
                name=called,
                note=f"{words.percent(left[len(budgets) - 1])} at {budgets[-1]:g}",
                x=budgets,
                y=left[: len(budgets)],
            )
            for called, left in known.items()
        ]
        if lines:
            drawn = figures.per_budget(
                lines,
                name=name,
                alt=f"Accuracy per {label}. " + _spoken(lines),
                x_label=label,
                y_label="accuracy",
                whole=whole,
            )
            caption = (
                "Attacked: still right after the worst change that a search found. Certified: proved right for every "
                "such change. The truth lies between the two."
            )
            shown.append(_figure(drawn, name.capitalize(), caption, figures.legend(lines)))
    share = damaging_positions([row.get("edits", "") for row in run.worst_edits])
    if len(share):
        worst = int(share.argmax())
        alt = f"Share of sequences edited at each position; most often, {words.percent(share[worst])}, at {worst + 1}."
        caption = "Where the edits lie that change a prediction: of each sequence the fewest that a search found."
        shown.append(_figure(figures.positions(share, alt=alt), "Most damaging positions", caption))
    return shown


def _motifs(run: Run) -> dict[str, Any] | None:
    """Logos of the filters that move predictions most."""
    if not run.motifs:
        return None
    letters = run.motifs[0]["letters"]
    heights = [information(motif["counts"]) for motif in run.motifs]
    top = logos.shared_top(heights)
    cards: list[dict[str, Any]] = []
    for motif, height in zip(run.motifs, heights, strict=True):
        best = consensus(motif["counts"], letters)
        alt = f"Sequence logo of filter {motif['filter']}: {best}"
        raised = [name for name, effect in motif["effect"].items() if effect > 0]
        strongest = max(raised, key=lambda name: motif["effect"][name]) if raised else None
        cards.append(
            {
                "filter": motif["filter"],
                "svg": Markup(logos.logo(height, letters, top=top, alt=alt)),
                "consensus": best,
                "sites": motif["sites"],
                "start": motif["start"],
                "fires": _most(motif["fires"]),
                "speaks_for": strongest,
                "effect": motif["effect"][strongest] if strongest else None,
            }
        )
    key = () if len(letters) == 4 else logos.RESIDUE_KEY
    return {"glyphs": Markup(logos.glyphs(letters)), "cards": cards, "key": key}


def _most(fires: dict[str, float], n: int = 6) -> list[tuple[str, float]]:
    """The n classes in which a filter fires most, in the order of classes."""
    kept = sorted(fires, key=lambda name: -fires[name])[:n]
    return [(name, share) for name, share in fires.items() if name in kept]


def _spoken(series: list[Series]) -> str:
    return ", ".join(f"{each.name}: {each.note}" for each in series)
