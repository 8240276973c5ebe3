"""The section on tuning: what was chosen and why, every trial, and how scores depend on strengths."""

from typing import Any

from markupsafe import Markup

from seqreg.report import figures, words
from seqreg.report.run_folder import Run

MOST_TRIALS = 40
MOST_PATHS = 4
# What a status in trials.tsv means.
STATUS = {
    "chosen": "chosen",
    "finalist": "met all folds",
    "compared": "met the first folds",
    "stopped": "stopped early",
    "failed": "failed",
    "unfinished": "out of time",
}


def section(run: Run) -> dict[str, Any] | None:
    """What the template shows, or None where nothing was tuned."""
    if not run.trials or not run.tuning:
        return None
    minutes = run.tuning["seconds"] / 60
    metric = run.tuning.get("metric", "auroc")
    rows = sorted((_row(trial, metric) for trial in run.trials), key=lambda row: (not row["own"], -row["order"]))
    return {
        "metric": words.title(metric),
        "tried": run.tuning["tried"],
        "effort": f"{minutes:.0f} minutes" if minutes >= 2 else f"{run.tuning['seconds']:.0f} seconds",
        "what": run.tuning["what"],
        "why": run.tuning["why"],
        "figures": [_path(path, run) for path in _shown(run.tuning["paths"])],
        "rows": rows[:MOST_TRIALS],
        "more": max(0, len(rows) - MOST_TRIALS),
    }


def _row(trial: dict[str, str], metric: str) -> dict[str, Any]:
    """A line of the table; `order` by what was gained, those without a score last."""
    gain = _number(trial["over_default"])
    return {
        "number": trial["trial"],
        "what": trial["what"],
        "status": STATUS.get(trial["status"], trial["status"]),
        "own": trial["status"] == "chosen",
        "score": words.number(_number(trial[metric])),
        "error": _spread(trial["standard_error"]),
        "gain": "" if trial["trial"] == "0" else words.number(gain),
        "gain_error": "" if trial["trial"] == "0" else _spread(trial["over_default_error"]),
        "folds": trial["folds"],
        "seconds": f"{float(trial['seconds']):.0f}\N{NO-BREAK SPACE}s",
        "order": -1.0 if gain is None else gain,
    }


def _shown(paths: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The paths that say most: those of the chosen setting's own strengths, then those with most strengths tried."""

    def tried(path: dict[str, Any], *, own: bool) -> int:
        return len({trial["at"] for trial in path["trials"] if trial["own"] or not own})

    several = [path for path in paths if tried(path, own=False) > 2] or paths
    return sorted(several, key=lambda path: (-tried(path, own=True), -tried(path, own=False)))[:MOST_PATHS]


def _path(path: dict[str, Any], run: Run) -> dict[str, Any]:
    """One figure: what every trial gained over the default training, by one strength."""
    name, trials = path["name"], path["trials"]
    metric = words.title(run.tuning.get("metric", "auroc"))
    labels = ["none" if not value else f"{value:g}" for value in path["strengths"]]
    own = sorted((trial for trial in trials if trial["own"]), key=lambda trial: trial["at"])
    others = [trial for trial in trials if not trial["own"]]
    chosen = next((trial for trial in own if trial["trial"] == run.tuning["chosen"]), None)
    best = max(trials, key=lambda trial: trial["gain"])
    alt = (
        f"{metric} gained over the default training by strength of {name}, {len(trials)} trials. Most is gained at "
        f"{labels[best['at']]}: {words.number(best['gain'])}."
    )
    drawn = figures.by_strength(own, others, labels, chosen=chosen, name=f"path-{name}".replace(" ", "-"), alt=alt)
    line = {"color": "var(--series-1)", "dashes": "", "name": "the chosen setting", "note": "with this strength varied"}
    dots = {"color": "var(--series-7)", "dashes": None, "name": "other trials", "note": "which differ in more"}
    return {
        "svg": Markup(drawn),
        "title": name[:1].upper() + name[1:],
        "caption": f"{metric} on held-out folds minus that of the default training on the same folds, stronger to the "
        "right. Whiskers are standard errors; the large dot was chosen.",
        "legend": [*([line] if len(own) > 1 else []), *([dots] if others else [])],
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


def _spread(text: str) -> str:
    return f"± {words.number(float(text))}" if text else ""
