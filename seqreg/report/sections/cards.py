"""What figures of all sections share."""

from typing import Any

from markupsafe import Markup

from seqreg.report.figures import Series


def figure_card(
    svg: str, title: str, caption: str, legend: list[dict[str, str | None]] | None = None
) -> dict[str, Any]:
    """A figure as the template shows it: title above, caption and legend below."""
    return {"svg": Markup(svg), "title": title, "caption": caption, "legend": legend or []}


def spoken(series: list[Series]) -> str:
    """What the series say, for those who do not see them."""
    return ", ".join(f"{each.name}: {each.note}" for each in series)
