"""What the numbers mean, in sentences for people who are not statisticians; plain where the news is bad."""

from dataclasses import dataclass
from typing import Any

from seqreg.errors import UsageError
from seqreg.report.run_folder import Run
from seqreg.targets import EVERY_METRIC, Values

WIDE = 0.1
FEW_OF_A_CLASS = 20


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A sentence and its tone: `good`, `note` or `warn`."""

    tone: str
    text: str


def number(value: float | None, digits: int = 3) -> str:
    """A metric as text; a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def percent(share: float, digits: int = 0) -> str:
    """A share as text that never breaks before its sign."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def title(metric: str) -> str:
    """The name of a metric for people."""
    return EVERY_METRIC[metric].title if metric in EVERY_METRIC else metric.replace("_", " ")


def interval(metrics: dict[str, Any], metric: str) -> tuple[float, float] | None:
    """The 95 % interval of a metric, or None."""
    limits = (metrics.get("intervals") or {}).get(metric)
    return None if not limits or None in limits else (float(limits[0]), float(limits[1]))


def headline_metric(run: Run) -> str:
    """The metric that heads the page: the first of the target's that is defined."""
    names = run.target.headline
    return next((name for name in names if run.metrics.get(name) is not None), names[-1])


def summary(run: Run) -> str:
    """One sentence: what was trained on what."""
    counts = run.data.get("classes")
    trained_on = sum(n.get("train", 0) for n in counts.values()) if isinstance(counts, dict) else 0
    kind = alphabet(run)
    linear = run.model.get("baseline") in ("vectors", "vector-ridge")
    of_baseline = "A linear model on vectors" if linear else "A k-mer baseline"
    what = of_baseline if run.is_baseline else _network(str(run.model.get("model") or ""))
    if isinstance(run.target, Values):
        number_of = (run.data.get("values") or {}).get("train", {}).get("n")
        size = f"{number_of:,} " if number_of else ""
        said = f"{what} trained on {size}{kind} sequences to predict a value: {run.target.title_with_unit}."
        return said.replace("  ", " ")
    size = f"{trained_on:,} " if trained_on and run.exclusive else ""  # of labels, sequences would count twice
    names = run.classes if len(run.classes) <= 4 else [*run.classes[:3], f"{len(run.classes) - 3} more"]
    listed = f": {', '.join(names)}" if names else ""
    return f"{what} trained on {size}{kind} sequences of {len(run.classes)} {run.target.noun}{listed}.".replace(
        "  ", " "
    )


def alphabet(run: Run) -> str:
    """The alphabet as people write it."""
    name = str(run.data.get("alphabet") or "")
    return name.upper() if name in ("dna", "rna") else name


def _network(text: str) -> str:
    from seqreg.networks import MODELS  # torch takes a while to load, and pages of baselines do without
    from seqreg.specs import parse

    try:
        spec = parse("model", MODELS, text)
    except UsageError:  # of another version
        return "A network"
    in_words = spec.in_words
    return f"{in_words[0].upper()}{in_words[1:]},"


def meaning(run: Run) -> str:
    """What the headline metric says about this model, in words."""
    metric = headline_metric(run)
    value, limits = run.metrics.get(metric), interval(run.metrics, metric)
    if value is None:
        return "No metric is defined on this test part."
    if isinstance(run.target, Values):
        return _meaning_of_values(run, metric, value, limits)
    within = f" ({percent(0.95)} interval {100 * limits[0]:.1f} to {percent(limits[1], 1)})" if limits else ""
    share = percent(value, 1)
    if metric != "auroc":
        every = "" if metric == "accuracy" else ", every class counting equally"
        return f"The model classifies {share} of unseen sequences right{within}{every}."
    if run.binary:
        pair = f"one unseen “{run.positive}” and one “{run.negative}” sequence"
        return f"Given {pair}, the model ranks the “{run.positive}” one higher in {share} of cases{within}."
    pair = "of a class and one of another" if run.exclusive else "with a label and one without it"
    return (
        f"Given one unseen sequence {pair}, the model ranks the right one higher in {share} of cases{within}, "
        f"averaged over the {run.target.noun}."
    )


def _meaning_of_values(run: Run, metric: str, value: float, limits: tuple[float, float] | None) -> str:
    """The same of predicted values."""
    within = f" (95 % interval {number(limits[0], 2)} to {number(limits[1], 2)})" if limits else ""
    unit = f" {run.metrics.get('unit')}" if run.metrics.get("unit") else ""
    error = run.metrics.get("mae")
    off = f" On average a prediction is off by {error:.3g}{unit}." if error is not None else ""
    explained = run.metrics.get("r2")
    share = f" It explains {percent(explained)} of the variance." if explained is not None and explained > 0 else ""
    if metric != "spearman":
        return f"All predictions, or all measured values, are the same.{off}"
    agrees = f"The order of the predictions agrees with the measured one by a rank correlation of {number(value, 2)}"
    return f"{agrees}{within}.{off}{share}"


def verdict(run: Run) -> list[Remark]:
    """How far the numbers can be trusted: the verdict, then warnings, then the rest."""
    warned = [remark for remark in checks(run) if remark.tone == "warn"]
    remarks = [*warned, *_against_guessing(run), *_test_size(run), *_intervals_of(run)]
    return [against_baselines(run), *sorted(remarks, key=lambda remark: remark.tone != "warn")]


def next_command(run: Run) -> str:
    """The command that the verdict leads to; empty without a verdict."""
    return str((run.metrics.get("verdict") or {}).get("next") or "")


TONES = {"ahead": "good", "tie": "note", "behind": "warn", "guessing": "warn"}


def against_baselines(run: Run) -> Remark:
    """Whether the model is worth having beside a simple one: the sentence that the run ended with."""
    found = run.metrics.get("verdict")
    if not found:
        return Remark(tone="note", text="No simple model was scored beside it, so nothing shows that it is worth it.")
    return Remark(tone=TONES[found["outcome"]], text=found["sentence"])


def _against_guessing(run: Run) -> list[Remark]:
    remarks: list[Remark] = []
    support = {name: entry.get("support", 0) for name, entry in (run.metrics.get("per_class") or {}).items()}
    accuracy = run.metrics.get("accuracy")
    if support and accuracy is not None and run.exclusive and run.n_test:
        common = max(support, key=lambda name: support[name])
        share = support[common] / run.n_test
        if accuracy <= share:
            rates = f"({percent(share, 1)}, the model {percent(accuracy, 1)})"
            text = f"Always answering “{common}” would be right as often {rates}."
            remarks.append(Remark(tone="warn", text=text))
    return remarks


def _test_size(run: Run) -> list[Remark]:
    metric = headline_metric(run)
    limits = interval(run.metrics, metric)
    support = {name: entry.get("support", 0) for name, entry in (run.metrics.get("per_class") or {}).items()}
    scarce = [f"“{name}” ({n})" for name, n in support.items() if n < FEW_OF_A_CLASS]
    remarks: list[Remark] = []
    if limits and limits[1] - limits[0] > WIDE:
        text = (
            f"The test part is small ({run.n_test} sequences), so the intervals are wide: {title(metric)} may well be "
            f"anywhere from {number(limits[0], 2)} to {number(limits[1], 2)}."
        )
        remarks.append(Remark(tone="note", text=text))
    if scarce:
        few = ", ".join(scarce[:4]) + (" and others" if len(scarce) > 4 else "")
        text = f"Fewer than {FEW_OF_A_CLASS} test sequences of {few}: what is said about so few may be chance."
        remarks.append(Remark(tone="note", text=text))
    return remarks


def checks(run: Run) -> list[Remark]:
    """What was looked for that could make the numbers too good, and what to do about it; warnings first."""
    tones = {"ok": "good", "note": "note", "warn": "warn"}
    found = [
        Remark(tone=tones[each["status"]], text=" ".join(filter(None, (each["message"], each["remedy"]))))
        for each in run.metrics.get("checks") or []
    ]
    return sorted(found, key=lambda remark: ("warn", "note", "good").index(remark.tone))


def _intervals_of(run: Run) -> list[Remark]:
    """Whether intervals hold, of a run that predicts values."""
    return _intervals(run) if isinstance(run.target, Values) else []


def _intervals(run: Run) -> list[Remark]:
    """Whether 90 % intervals hold what they promise, as far as this test part can tell."""
    coverage, n = run.metrics.get("coverage"), run.n_test
    if coverage is None or not n:
        return []
    expected = 1.96 * (0.09 / n) ** 0.5
    said = f"{percent(coverage, 1)} of the measured values lie in the 90 % intervals"
    if coverage < 0.9 - expected:
        why = "Test sequences are less like the training ones than these are like each other."
        return [Remark(tone="warn", text=f"Intervals are too narrow here: {said}. {why}")]
    if coverage > 0.9 + expected:
        return [Remark(tone="note", text=f"Intervals are wider than they need be: {said}.")]
    return [Remark(tone="good", text=f"Intervals hold what they promise: {said}.")]


def split_remark(run: Run) -> str:
    """What the way of splitting means for the numbers."""
    by = run.config.get("by")
    if by == "homology":
        return "Parts were split so that similar sequences stay on one side: the test part is new to the model."
    if by == "group" or any(row.get("group") for row in run.splits):
        return "Sequences of one group stay in one part: the test part holds groups that the model has not seen."
    return (
        "Parts were drawn without regard to relatedness. If your sequences come in families or near copies, the model "
        "has seen relatives of the test part and these numbers are too good; split by homology to find out."
    )
