"""What the network looks for: logos of its first filters."""

from typing import Any

from markupsafe import Markup

from seqreg.explain import consensus, information, logos
from seqreg.report.run_folder import Run


def section(run: Run) -> dict[str, Any] | None:
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
