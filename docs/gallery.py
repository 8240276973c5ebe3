"""Make the figures of the gallery anew: `python docs/gallery.py`, in minutes on one core.

They are cut out of reports as they stand, with legends and captions; `gallery/index.md` puts them in order. Giving the
folder of a run cuts out its figures without training.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

FIGURES = Path(__file__).parent / "gallery" / "figures"
TRAIN = "train amp --train-size 300 --model sum:spectrum=2,filters=32,width=8 --epochs 30 --seed 0 -o runs/amp"
ATTACK = "robustness runs/amp amp --part test --max-substitutions 3 --sample 60 -o runs/amp/robustness.json"
EXPLAIN = "explain runs/amp amp --part test --sequences 4 -o runs/amp/explain"
LOGOS = 4


def pieces(report: str) -> dict[str, str]:
    """Name -> HTML without line breaks of the figures of a report, and of its first logos."""
    found = re.findall(r"<figure class=\"card.*?</figure>", report, flags=re.DOTALL)
    cut = {_name(re.findall("<h3>(.*?)</h3>", figure)[0]): figure for figure in found}
    logos = re.findall(r"<svg class=\"logo\".*?</svg>", report, flags=re.DOTALL)[:LOGOS]
    if logos:
        glyphs = re.findall(r"<svg class=\"glyphs\".*?</svg>", report, flags=re.DOTALL)
        told = (
            "<figcaption>Letters at the best windows of the filters that move predictions most, in bits.</figcaption>"
        )
        cut["logos"] = f'<figure class="card"><h3>Filters</h3>{glyphs[0]}{"".join(logos)}{told}</figure>'
    return cut


def letters(page: str) -> str:
    """The first sequence of the page of an explanation, whose letters are the outlines that the logos bring along."""
    drawn = re.findall(r"<svg class=\"by-letter\".*?</svg>", page, flags=re.DOTALL)[0]
    told = (
        "Above: what each letter adds to the score, by integrated gradients. Below: how the score changes when another "
        "letter, its row, takes the place of the one there, which has a dot; blue raises it, orange lowers it."
    )
    return f'<figure class="card wide"><h3>Letters of one peptide</h3>{drawn}<figcaption>{told}</figcaption></figure>'


def _name(title: str) -> str:
    return re.sub(r"\W+", "-", re.sub("<.*?>", "", title).lower()).strip("-")


def main() -> None:
    """Run the commands in a folder of their own, unless a run is given, and write one file per figure."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "runs/amp")
        if len(sys.argv) == 1:
            for command in (TRAIN, ATTACK, EXPLAIN):
                subprocess.run([sys.executable, "-m", "seqreg", *command.split()], cwd=folder, check=True)
        FIGURES.mkdir(parents=True, exist_ok=True)
        cut = pieces((run / "report.html").read_text(encoding="utf-8"))
        cut["letters"] = letters((run / "explain" / "explain.html").read_text(encoding="utf-8"))
        for name, figure in cut.items():
            line = re.sub(r"\s*\n\s*", " ", figure)  # Markdown would end the block at an empty one
            (FIGURES / f"{name}.html").write_text(line + "\n", encoding="utf-8")
            print(name, len(line))


if __name__ == "__main__":
    main()
