"""table.md: the tables of a summary as Markdown."""

from collections.abc import Mapping, Sequence

from seqreg.benchmark.summary import Group, Summary

SHOWN_UNITS = 12


def markdown(summary: Summary) -> str:
    """All groups of a summary; numbers stand to the right."""
    head = [
        f"# {summary.title}",
        (
            f"Suite `{summary.name}`, protocol {summary.protocol}: {summary.metric}, "
            f"{summary.done:,} of {summary.total:,} cells, {summary.hours:.1f} hours of one core."
        ),
    ]
    parts = [_group(summary, group) for group in summary.groups]
    remarks = [
        *(f"- {name} left out: {reason}" for name, reason in summary.absent.items()),
        *(f"- {text} ({count} cells)" for text, count in summary.left_out.items()),
        *(f"- failed: {text}" for text in summary.failed),
    ]
    return "\n\n".join([*head, *parts, *(["\n".join(remarks)] if remarks else [])]) + "\n"


def _group(summary: Summary, group: Group) -> str:
    columns = ["method", summary.metric, "95 %", "mean rank", f"{summary.reference} minus it", "95 %", "p (Holm)", "s"]
    columns += summary.also
    rows = [
        [
            each.method + (f" ({each.units} of {len(group.units)})" if each.units < len(group.units) else ""),
            f"{each.mean:.3f}",
            "" if each.low is None else f"{each.low:.3f} to {each.high:.3f}",
            _number(each.rank, ".2f"),
            _number(each.difference, "+.3f"),
            "" if each.difference_low is None else f"{each.difference_low:+.3f} to {each.difference_high:+.3f}",
            _number(each.p, ".2g"),
            f"{each.seconds:.1f}",
            *(_mean(group.also.get(name, {}).get(each.method, {})) for name in summary.also),
        ]
        for each in sorted(group.standings, key=lambda each: -each.mean)
    ]
    what = f"{len(group.units)} {'tasks' if summary.protocol.startswith('homology') else 'data sets'}"
    parts = [f"## {group.title[0].upper()}{group.title[1:]}", f"Mean over {what}.", table(columns, rows)]
    if len(group.units) <= SHOWN_UNITS and not group.describing:
        parts += [_per_unit(group), _gaps(summary, group), *_of_reference(summary, group)]
    return "\n\n".join(parts)


def _per_unit(group: Group) -> str:
    """Mean over seeds with its standard error, for every unit and method."""
    rows = [
        [name, *(_with_error(scores.get(unit), group.errors[name].get(unit), ".3f") for unit in group.units)]
        for name, scores in group.scores.items()
    ]
    return table(["mean ± standard error over seeds", *group.units], rows)


def _gaps(summary: Summary, group: Group) -> str:
    """How far the reference is ahead, paired by seed, for every unit and method."""
    rows = [
        [name, *(_with_error(*gaps.get(unit, (None, None)), "+.3f") for unit in group.units)]
        for name, gaps in group.differences.items()
    ]
    return table([f"{summary.reference} minus it", *group.units], rows)


def _of_reference(summary: Summary, group: Group) -> list[str]:
    """The further metrics of the reference, for every unit, where there are any."""
    found = {name: group.also.get(name, {}).get(summary.reference, {}) for name in summary.also}
    rows = [
        [name, *(_number(units.get(unit), ".3f") for unit in group.units)] for name, units in found.items() if units
    ]
    return [table([f"{summary.reference}: mean over seeds", *group.units], rows)] if rows else []


def _with_error(value: float | None, error: float | None, form: str) -> str:
    return _number(value, form) + ("" if error is None else f" ± {error:.3f}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all but the first column stand to the right."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    lines = [columns, rule, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _mean(values: Mapping[str, float]) -> str:
    return f"{sum(values.values()) / len(values):.3f}" if values else ""


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
