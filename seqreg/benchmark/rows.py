"""Results as a flat table: one row per cell, and one per cell for each method that is the best of others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqreg.benchmark.cells import Cell
from seqreg.benchmark.suite import Suite
from seqreg.records import write_tsv

PLACE = ("stage", "data", "task", "size", "seed", "method")
ABOUT = ("setting", "cv_score", "settings_tried", "trained", "tested", "seconds")
WHY_NOT = ("left_out", "error")

Row = dict[str, Any]


def rows_of(suite: Suite, finished: Sequence[tuple[Cell, Mapping[str, Any]]]) -> list[Row]:
    """A row per finished cell, in the order of cells, followed by those of methods that are the best of others."""
    rows = [_row(cell, record) for cell, record in finished]
    computed = list(rows)
    for method in suite.methods:
        if method.best_of:
            rows += _best_of(method.name, method.best_of, computed)
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Save as results.tsv; what is unknown is empty."""
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    columns = (*PLACE, *metrics, *ABOUT, *WHY_NOT)
    flat = [{**row, **row["metrics"], "setting": setting_text(row["setting"] or {})} for row in rows]
    write_tsv(path, columns, ([_text(row.get(column)) for column in columns] for row in flat))


def setting_text(setting: Mapping[str, Any]) -> str:
    """A setting as text."""
    return "; ".join(f"{name}={_value(value)}" for name, value in setting.items())


def _row(cell: Cell, record: Mapping[str, Any]) -> Row:
    place = {name: getattr(cell, name) for name in PLACE}
    known = {name: record.get(name) for name in (*ABOUT, *WHY_NOT)}
    return {**place, **known, "metrics": record["metrics"], "trials": record.get("trials", [])}


def _best_of(name: str, others: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """For each place the row of the method whose inner cross-validation promised most, the first of equals."""
    best: dict[tuple[Any, ...], Row] = {}
    for other in others:
        for row in rows:
            if row["method"] != other or row["stage"] != "report" or not row["metrics"]:
                continue
            place = tuple(row[key] for key in PLACE[:-1])
            if place not in best or (row["cv_score"] or 0) > (best[place]["cv_score"] or 0):
                best[place] = row
    return [{**row, "method": name, "setting": {"chosen": row["method"]}, "trials": []} for row in best.values()]


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split())
