"""From a run folder to report.html."""

from pathlib import Path

from seqreg import __version__
from seqreg.report import tables, words
from seqreg.report.card import render_card
from seqreg.report.damage import make_or_blame
from seqreg.report.pages import environment
from seqreg.report.run_folder import Run, read_run
from seqreg.report.sections import (
    calibration,
    checks,
    curves,
    folds,
    learning,
    motifs,
    performance,
    robustness,
    tuning,
    values,
)
from seqreg.writing import atomic_write

HEADINGS = {
    "performance": "How good it is",
    "folds": "Fold by fold",
    "checks": "Could it be fooling you?",
    "data": "What it learned from",
    "values": "Predicted and measured",
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
    page, card = make_or_blame(contents, render), make_or_blame(contents, render_card)
    for path, text in ((target, page), (target.with_name("MODEL_CARD.md"), card)):
        with atomic_write(path) as handle:
            handle.write(text)
    return target


def render(run: Run) -> str:
    """The page as HTML text."""
    norms = tables.norms(run)
    parts = {
        "performance": performance.section(run),
        "values": values.section(run),
        "curves": curves.section(run),
        "calibration": calibration.section(run),
        "learning": learning.section(run),
        "robustness": robustness.section(run),
        "motifs": motifs.section(run),
        "tuning": tuning.section(run),
        "examples": tables.examples(run),
        "checks": checks.section(run),
        "folds": folds.section(run),
        "thresholds": tables.thresholds(run),
    }
    absent = {
        "confusion": not (parts["performance"] and parts["performance"]["confusion"]),
        "errors": not parts["examples"],
        "robustness": not (parts["robustness"] or norms),
        **{
            name: not parts[name]
            for name in ("values", "curves", "calibration", "learning", "motifs", "tuning", "checks", "folds")
        },
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
