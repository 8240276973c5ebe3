"""What the JSON files of seqreg hold: a JSON Schema (draft 2020-12) for each kind, in NAME.json beside this file.

Every file carries `schema_version`. It changes where a program that reads the file would have to change: where a key
goes away or means something else. Keys may be added at any time.
"""

import json
from importlib.resources import files
from typing import Any, Literal

Schema = Literal[
    "calibration",
    "checks",
    "comparison",
    "config",
    "explain",
    "files",
    "metrics",
    "model",
    "motifs",
    "norm",
    "piece",
    "printed",
    "robustness",
    "run",
    "suite",
    "summary",
    "tuning",
]
VERSION = "schema_version"
VERSIONS: dict[Schema, int] = {
    "calibration": 1,
    "checks": 1,
    "comparison": 1,
    "config": 1,
    "explain": 1,
    "files": 1,
    "metrics": 1,
    "model": 1,
    "motifs": 1,
    "norm": 1,
    "piece": 1,
    "printed": 1,
    "robustness": 1,
    "run": 1,
    "suite": 1,
    "summary": 1,
    "tuning": 1,
}


def schema_text(name: Schema) -> str:
    """The JSON Schema of this name, as it is published."""
    return files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")


def read_schema(name: Schema) -> dict[str, Any]:
    """The JSON Schema of this name."""
    return json.loads(schema_text(name))
