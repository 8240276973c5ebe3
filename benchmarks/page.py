"""RESULTS.md, put together from one section per benchmark; run as a script it only does that."""

import platform
import subprocess
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import torch

from seqreg.errors import SeqregError
from seqreg.sequences import InputSpec, SequenceSet, read_input

HERE = Path(__file__).parent
SECTIONS = HERE / "results"
HEAD = """# What was measured

Every section is written by the script it names, never by hand. Times are ratios of medians measured side by side in
one process, because machines differ and are noisy; scores are means over seeds, and each section says what its
settings were chosen on.
"""


def write_section(script: str, title: str, body: str, arguments: str = "") -> None:
    """Save a benchmark's section, with date, machine and commit, and put RESULTS.md together again.

    arguments: words of a script that writes one section for each of them.
    """
    SECTIONS.mkdir(exist_ok=True)
    words = f"{Path(script).name} {arguments}".strip()
    measured = f"`python benchmarks/{words}`, {date.today().isoformat()}, {device()}, commit {commit()}"
    (SECTIONS / f"{words.replace('.py', '').replace(' ', '_')}.md").write_text(
        f"## {title}\n\n{measured}\n\n{body.strip()}\n", encoding="utf-8"
    )
    compose()


def data_sets(names: Iterable[str]) -> tuple[dict[str, SequenceSet], list[str]]:
    """The named data sets that are found, and the names of those that are not, said."""
    found, missing = {}, []
    for name in names:
        try:
            found[name] = read_input(InputSpec(input=name, require_labels=True))
        except SeqregError as error:
            missing.append(name)
            print(error)
    return found, missing


def compose() -> None:
    """Put RESULTS.md together from the sections there are."""
    sections = [path.read_text(encoding="utf-8") for path in sorted(SECTIONS.glob("*.md"))]
    (HERE / "RESULTS.md").write_text("\n".join([HEAD, *sections]), encoding="utf-8")


def markdown_table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all but the first column are numbers and stand to the right."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, rule, *rows])


def device() -> str:
    """The GPU, or the processor with the number of threads PyTorch uses."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    model = platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        names = [line.partition(":")[2].strip() for line in cpu_info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {torch.get_num_threads()} thread(s)"


def commit() -> str:
    """Short name of the commit measured, marked where the tree had changes."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    compose()
