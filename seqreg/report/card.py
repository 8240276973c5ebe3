"""From a run folder to MODEL_CARD.md: what somebody must know who is given the model."""

import re
from typing import Any

import jinja2

from seqreg import __version__
from seqreg.report import tables, words
from seqreg.report.run_folder import Run

_BREAKS = re.compile(r"[\r\n\t\v\f\x85\u2028\u2029]+")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")


def render_card(run: Run) -> str:
    """The card as Markdown text; every text out of the run is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seqreg.report", "templates"),
        autoescape=False,  # Markdown is no HTML: `finalize` escapes what both give a meaning
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("MODEL_CARD.md.j2").render(
        run=run,
        name=run.folder.resolve().name,
        version=__version__,
        when=tables.moment(str(run.run.get("finished") or run.run.get("started") or "")),
        measured=not run.target.probabilistic,
        baseline=run.is_baseline,
        summary=words.summary(run),
        alphabet=words.alphabet(run),
        split_remark=words.split_remark(run),
        verdict=words.verdict(run) if run.n_test else [],
        next_command=words.next_command(run) if run.n_test else "",
        checks=words.checks(run),
        counts=tables.class_counts(run),
        metrics=tables.metric_rows(run) if run.n_test else [],
        models=tables.model_names(run),
        calibration=run.metrics.get("calibration") or {},
        robustness=_robustness(run),
        configuration=tables.configuration(run),
        facts=tables.facts(run),
        command=tables.command(run),
        verbatim=lambda text: Verbatim(" ".join(text.splitlines())),
        number=words.number,
        percent=words.percent,
    )


class Verbatim(str):
    """Text that is Markdown already."""


def _escaped(value: Any) -> str:
    """A value as text that Markdown and HTML read as it stands, on one line."""
    return value if isinstance(value, Verbatim) else _SPECIAL.sub(r"\\\1", _BREAKS.sub(" ", str(value)))


def _robustness(run: Run) -> list[tuple[int, float, float]]:
    """Edits, attacked and certified accuracy, where they have been measured."""
    what = "within" if "attacked_within" in run.robustness else "accuracy"
    columns = [run.robustness.get(name) or [] for name in ("substitutions", f"attacked_{what}", f"certified_{what}")]
    return list(zip(*columns, strict=True))
