"""How the model fares when sequences are changed to mislead it."""

from typing import Any

from seqreg.report import figures, words
from seqreg.report.figures import Series
from seqreg.report.robustness_figure import damaging_positions
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card, spoken


def section(run: Run) -> list[dict[str, Any]]:
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
                alt=f"Accuracy per {label}. " + spoken(lines),
                x_label=label,
                y_label="accuracy",
                whole=whole,
            )
            caption = (
                "Attacked: still right after the worst change that a search found. Certified: proved right for every "
                "such change. The truth lies between the two."
            )
            shown.append(figure_card(drawn, name.capitalize(), caption, figures.legend(lines)))
    share = damaging_positions([row.get("edits", "") for row in run.worst_edits])
    if len(share):
        worst = int(share.argmax())
        alt = f"Share of sequences edited at each position; most often, {words.percent(share[worst])}, at {worst + 1}."
        caption = "Where the edits lie that change a prediction: of each sequence the fewest that a search found."
        shown.append(figure_card(figures.positions(share, alt=alt), "Most damaging positions", caption))
    return shown
