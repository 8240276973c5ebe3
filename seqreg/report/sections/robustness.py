"""How the model fares when sequences are changed to mislead it."""

from typing import Any

from seqreg.report import figures, words
from seqreg.report.figures import Series
from seqreg.report.robustness_figure import damaging_positions
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card, spoken

_OF_CALLS = (
    "Attacked: still right after the worst change that a search found. Certified: proved right for every such change. "
    "The truth lies between the two."
)
_OF_VALUES = (
    "Attacked: the share of sequences whose prediction no change that a search found moves by more than that. "
    "Certified: of those for which this is proved for every such change. The truth lies between the two."
)


def section(run: Run) -> list[dict[str, Any]]:
    """Accuracy under attack, and what is proved, per number of substitutions and per radius."""
    moved = "attacked_within" in run.robustness
    what = "within" if moved else "accuracy"
    named = {f"attacked_{what}": "attacked", f"certified_{what}": "certified"}
    y_label = f"moved by at most {run.robustness['tolerance']:.3g}" if moved else "accuracy"
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
                alt=f"{y_label.capitalize()} per {label}. " + spoken(lines),
                x_label=label,
                y_label=y_label,
                whole=whole,
            )
            caption = _OF_VALUES if moved else _OF_CALLS
            shown.append(figure_card(drawn, name.capitalize(), caption, figures.legend(lines)))
    share = damaging_positions([row.get("edits", "") for row in run.worst_edits])
    if len(share):
        worst = int(share.argmax())
        alt = f"Share of sequences edited at each position; most often, {words.percent(share[worst])}, at {worst + 1}."
        caption = "Where the edits lie that change a prediction: of each sequence the fewest that a search found."
        shown.append(figure_card(figures.positions(share, alt=alt), "Most damaging positions", caption))
    return shown
