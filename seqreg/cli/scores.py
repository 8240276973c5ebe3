"""How metrics are shown: a line each, with their intervals, beside the baselines where there are some."""

from typing import Any

from seqreg.cli.terminal import Terminal


def show_metrics(terminal: Terminal, metrics: dict[str, Any]) -> None:
    """Print what `metrics.json` holds as a table; an undefined metric with its reason."""
    baselines: dict[str, Any] = metrics.get("baselines") or {}
    names = list(metrics["intervals"])
    rows = [
        (
            name,
            metrics[name],
            _interval(metrics["intervals"][name]),
            *(each[name] for each in baselines.values()),
        )
        for name in names
    ]
    terminal.table(("metric", "value", "95 % interval", *baselines), rows)
    if "coverage" in metrics:
        terminal.note(_intervals(metrics))
    else:
        terminal.note(_calibration(metrics.get("calibration") or {}))
    terminal.warn(f"{name} is undefined: {reason}" for name, reason in metrics.get("reason", {}).items())


def show_verdict(terminal: Terminal, metrics: dict[str, Any]) -> None:
    """Print what checks warn of, the sentence on whether the model is worth having, and what to do next."""
    warned = (each for each in metrics.get("checks") or () if each["status"] == "warn")
    terminal.warn(f"{each['name']}: {each['message']} {each['remedy']}" for each in warned)
    if "learning_curve" in metrics:
        terminal.note(metrics["learning_curve"]["sentence"])
    verdict = metrics.get("verdict")
    if verdict is not None:
        terminal.note(f"Verdict: {verdict['sentence']}")
        terminal.note(f"Next: {verdict['next']}")


def _calibration(effect: dict[str, Any]) -> str:
    """What the temperature did, and how often prediction sets held the truth."""
    if not effect:
        return "Calibration was not measured"
    ece, levels = effect["ece"], effect["abstain"] or []
    sets = [f"{row['covered']:.1%} at {row['coverage']:.0%} ({row['single']:.0%} of one class)" for row in levels]
    change = f"ece {ece['before']:.4g} before, {ece['after']:.4g} after"
    said = f"Calibration: temperature {effect['temperature']:.3g}, {change}"
    return said + (f"; prediction sets hold the truth of {', '.join(sets)}" if sets else "")


def _intervals(metrics: dict[str, Any]) -> str:
    """How often the intervals of values held what was measured."""
    about = metrics.get("intervals_of")
    if about is None:
        return f"Intervals were not judged: {metrics.get('coverage_reason')}"
    levels = [f"{row['covered']:.1%} at {row['coverage']:.0%}" for row in about["levels"]]
    unit = f" {metrics['unit']}" if metrics.get("unit") else ""
    mean = about["levels"][1]["mean_width"]
    width = "without end" if mean is None else f"{mean:.3g}{unit}"
    return f"Intervals: they hold the measured value of {', '.join(levels)}; mean width {width} at 90%"


def _interval(ends: list[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"
