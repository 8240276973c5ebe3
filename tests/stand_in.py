"""A stand-in for the `seqreg` command: writes down its words and makes the files that a workflow waits for.

python stand_in.py RECORD WORDS...; a file `fails` in the working directory names a command and its exit code.
"""

import json
import sys
from pathlib import Path

FILES = {
    "train": ("run.json", "model.safetensors", "metrics.json", "predictions.tsv", "model.json", "report.html"),
    "benchmark": ("report.html", "results.tsv", "table.md", "summary.json"),
}
BESIDE = {"compare": (".html", ".tsv"), "robustness": (".tsv",)}


def main(record: str, command: str, *words: str) -> int:
    with open(record, "a", encoding="utf-8") as handle:
        handle.write(json.dumps([command, *words]) + "\n")
    print(command, *words)
    fails = Path("fails").read_text().split() if Path("fails").is_file() else []
    if command in fails:
        return int(fails[1])
    if "--output" not in words:
        return 0
    output = Path(words[words.index("--output") + 1])
    made = [output / name for name in FILES.get(command, ())] or [output]
    for path in [*made, *(output.with_suffix(suffix) for suffix in BESIDE.get(command, ()))]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
