"""How sequences are ranked: ROC and precision-recall curves."""

from typing import Any

from seqreg.report import figures, words
from seqreg.report.figures import Series
from seqreg.report.run_folder import Run
from seqreg.report.sections.cards import figure_card, spoken

MOST_CURVES = 8


def section(run: Run) -> list[dict[str, Any]]:
    """ROC and precision-recall curves; one against the rest where there are several classes."""
    if not run.predictions or not run.target.probabilistic:
        return []
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve  # seconds to import

    chosen = [run.classes.index(run.positive)] if run.binary else range(len(run.classes))
    both = [k for k in chosen if 0 < run.truth[:, k].sum() < len(run.truth)]
    shown = sorted(sorted(both, key=lambda k: -run.truth[:, k].sum())[:MOST_CURVES])
    if not shown:
        return []
    roc: list[Series] = []
    precision: list[Series] = []
    for k in shown:
        truth, scores = run.truth[:, k], run.probabilities[:, k]
        false, true, _ = roc_curve(truth, scores)
        exact, recall, _ = precision_recall_curve(truth, scores, drop_intermediate=True)
        area, average = auc(false, true), average_precision_score(truth, scores)
        roc.append(Series(name=run.classes[k], note=f"area {area:.3f}", x=false, y=true))
        precision.append(Series(name=run.classes[k], note=f"average {average:.3f}", x=recall[::-1], y=exact[::-1]))
    share = run.truth[:, shown[0]].mean()
    left_out = len(both) - len(shown)
    rest = f" The {left_out} rarest classes are left out." if left_out else ""
    dashed = f" Guessing would give the dotted line at {words.percent(share)}." if len(shown) == 1 else ""
    return [
        figure_card(
            figures.curves(
                roc,
                name="roc",
                alt="ROC curve. " + spoken(roc),
                x_label="false positive rate",
                y_label="true positive rate",
                chance=(0, 1),
            ),
            "ROC",
            "How many true positives a threshold finds, and how many negatives it mistakes for them. "
            f"The dotted diagonal is guessing.{rest}",
            figures.legend(roc),
        ),
        figure_card(
            figures.curves(
                precision,
                name="precision",
                alt="Precision-recall curve. " + spoken(precision),
                x_label="recall (positives found)",
                y_label="precision (calls that are right)",
                chance=(share, share) if len(shown) == 1 else (),
                steps=True,
            ),
            "Precision and recall",
            f"What to expect when the best-scoring sequences are followed up in the laboratory.{dashed}{rest}",
            figures.legend(precision),
        ),
    ]
