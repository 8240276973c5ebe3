"""From the folder of an explanation to explain.html."""

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from seqreg import __version__
from seqreg.errors import ModelError
from seqreg.explain import consensus, information, logos, telling_part
from seqreg.explain.letters import by_letter, width_of
from seqreg.records import read_json
from seqreg.report.pages import environment
from seqreg.sequences import Attribution, read_attributions
from seqreg.writing import atomic_write

HEADINGS = {"motifs": "Motifs", "sequences": "Letter by letter", "files": "Files and numbers"}
# Motifs that move predictions less than this share of the most important one are folded away.
MINOR = 0.1
MOST_SHARES = 6  # classes shown of a motif: those in which it fires most


def write_explain_page(folder: Path) -> Path:
    """Write `explain.html` into a folder that `write_explanation` filled, and return its path.

    Raises ModelError if there is no explanation, InputError if attributions.h5 is damaged.
    """
    folder = Path(folder)
    try:
        about = read_json(folder / "explain.json")
        places = [each["index"] for each in about["sequences"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"{folder} holds no explanation: {error}. Run seqreg explain again") from None
    found = read_attributions(folder / "attributions.h5", places)
    motifs = _motifs(about)
    width = width_of(max((len(each.sequence) for each in found), default=0))
    text = (
        environment()
        .get_template("explain.html.j2")
        .render(
            version=__version__,
            about=about,
            headings={anchor: title for anchor, title in HEADINGS.items() if anchor != "motifs" or motifs},
            glyphs=Markup(logos.glyphs(about["letters"])),
            key=() if len(about["letters"]) == 4 else logos.RESIDUE_KEY,
            motifs=motifs,
            major=sum(not card["minor"] for card in motifs),
            sequences=[
                _sequence(shown, each, about, number, width)
                for number, (shown, each) in enumerate(zip(about["sequences"], found, strict=True), start=1)
            ],
        )
    )
    target = folder / "explain.html"
    with atomic_write(target) as handle:
        handle.write(text)
    return target


def _motifs(about: dict[str, Any]) -> list[dict[str, Any]]:
    motifs = about["motifs"]
    heights = [information(motif["counts"]) for motif in motifs]
    top, columns = logos.shared_top(heights), max(map(len, heights), default=0)
    cards: list[dict[str, Any]] = []
    for motif, height in zip(motifs, heights, strict=True):
        best = consensus(motif["counts"], about["letters"])
        alt = f"Sequence logo of {motif['name']}: {best}"
        strongest = max(motif["effect"], key=lambda name: motif["effect"][name])
        enriched = min(motif["enriched"], key=lambda name: motif["enriched"][name]["p"], default=None)
        least = sorted(motif["fires"].values())[-MOST_SHARES:][0]
        cards.append(
            {
                **motif,
                "consensus": best,
                "svg": Markup(logos.logo(height, about["letters"], top=top, alt=alt, columns=columns)),
                "speaks_for": strongest if motif["effect"][strongest] > 0 else None,
                "logits": motif["effect"][strongest],
                "enriched_in": enriched,
                "test": motif["enriched"].get(enriched),
                "shares": [each for each in motif["fires"].items() if each[1] >= least],
                "tallest": max(motif["places"]) or 1,
                "minor": motif["importance"] < MINOR * motifs[0]["importance"],
            }
        )
    return cards


def _sequence(
    shown: dict[str, Any], found: Attribution, about: dict[str, Any], number: int, width: int
) -> dict[str, Any]:
    values, change = (each[:, ..., shown["k"]] for each in (found.integrated_gradients, found.mutagenesis))
    part = telling_part(values)
    sequence = found.sequence[part]
    strongest = _strongest(sequence, values[part], part.start + 1)
    alt = f"Attributions of {shown['id']} for {shown['target']}; strongest letters: {strongest}"
    return {
        **shown,
        "svg": Markup(
            by_letter(
                sequence, values[part], change[part], about["letters"], first=part.start + 1, width=width, alt=alt
            )
        ),
        "file": f"logos/sequence-{number}.svg",
        "length": len(found.sequence),
        "part": (part.start + 1, part.stop),
        "change": (float(change.min()), float(change.max())),
        "logit": float(found.logits[shown["k"]]),
        "total": float(values.sum()),
    }


def _strongest(sequence: str, values: NDArray[np.floating], first: int, n: int = 5) -> str:
    order = np.argsort(-np.abs(values), kind="stable")[:n]
    return ", ".join(f"{sequence[i]} at {first + i}" for i in sorted(order.tolist()))
