"""What could make the numbers better than they are, and how long the sequences of each class are."""

from typing import Any

from seqreg.report import figures, words
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card


def section(run: Run) -> dict[str, Any] | None:
    """Remarks, warnings first, and a picture of lengths by class; None for a run of a version without checks."""
    remarks = words.checks(run)
    if not remarks:
        return None
    found = {each["name"]: each["value"] for each in run.metrics["checks"]}
    by_class = found.get("length-by-class") or {}
    shown: list[dict[str, Any]] = []
    if by_class:
        said = "; ".join(f"{name}: {each['low']:g} to {each['high']:g}" for name, each in by_class.items())
        svg = figures.ranges(
            [(name, each["low"], each["median"], each["high"]) for name, each in by_class.items()],
            alt=f"Middle half of lengths. {said}",
            x_label="letters",
        )
        shown.append(figure_card(svg, "Lengths", "The middle half of each class, and its median. " + _gc(by_class)))
    return {"remarks": remarks, "figures": shown}


def _gc(by_class: dict[str, Any]) -> str:
    """The share of G and C of each class, where letters are nucleotides."""
    shares = [f"{name} {words.percent(each['gc'])}" for name, each in by_class.items() if "gc" in each]
    return f"Share of G and C: {', '.join(shares)}." if shares else ""
