"""Which candidate is taken, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqreg.errors import SeqregError
from seqreg.targets import EVERY_METRIC
from seqreg.tuning.search import Candidate, Scores, Search, State, mean, standard_error


@dataclass(frozen=True, kw_only=True)
class Choice:
    """chosen: what is taken. best: what has the best mean on held-out folds. why: sentences for people."""

    chosen: Candidate
    best: Candidate
    why: tuple[str, ...]


def choose(search: Search, state: State, scores: Scores) -> Choice:
    """The finalist with the best mean metric over the folds that all finalists met, or a more regularized equal of it.

    Equal by the one-standard-error rule (Breiman et al., 1984), with the standard error of the difference: both were
    scored on the same folds, and how hard a fold is says nothing about either. A baseline is taken as it is. Where
    time was over before anything could be compared, the default is taken. Raises SeqregError if all trainings failed.
    """
    default, finalists = state.candidates[0], state.finalists
    if not finalists:
        errors = [scores.error(each) for each in state.candidates]
        if all(errors):
            raise SeqregError(f"every training failed; the default one: {errors[0]}")
        why = "Time was over before anything could be compared: this is the default training."
        return Choice(chosen=default, best=default, why=(why,))
    met = [fold for fold in range(scores.folds) if all(scores.complete(each, [fold]) for each in finalists)]
    best = min(finalists, key=lambda each: scores.rank(each, met))
    equals = more_regularized_equals(search, state.candidates, best, scores)
    chosen = equals[0] if equals else best
    metric = EVERY_METRIC[search.metric].title
    why = [f"{_title(best)} has the best mean {metric} over {len(met)} held-out folds, {_measured(best, scores, met)}."]
    if chosen is not best:
        why.append(
            f"{_title(chosen)} is regularized more and within one standard error of it, {_measured(chosen, scores)}: "
            "it was taken."
        )
    rivals = [("The default training", default), *[(_title(each), each) for each in finalists if each.baseline]]
    why += [f"{name} has {_measured(each, scores, met)}." for name, each in rivals if each not in (best, chosen)]
    why += _plainly(search, chosen, [each for each in finalists if each.baseline])
    return Choice(chosen=chosen, best=best, why=tuple(why))


def more_regularized_equals(
    search: Search, candidates: Sequence[Candidate], best: Candidate, scores: Scores
) -> list[Candidate]:
    """Networks that differ from the best in being regularized more, and are within one standard error of it.

    Judged on the folds that both met, the whole first partition at least. The most regularized first: it is the most
    steps of strength away.
    """
    found: list[tuple[int, float, int, Candidate]] = []
    for each in candidates:
        if best.point is None or each.point is None or not search.space.regularized_more(each.point, best.point):
            continue
        worse = scores.of(best) - scores.of(each)
        if scores.complete(each, range(search.folds)) and mean(worse) <= standard_error(worse):
            steps = sum(np.subtract(each.point, best.point).tolist())
            found.append((-steps, mean(worse), each.number, each))
    return [each for *_, each in sorted(found, key=lambda item: item[:3])]


def _plainly(search: Search, chosen: Candidate, baselines: Sequence[Candidate]) -> list[str]:
    if chosen.baseline:
        return [
            "No network that was tried is better than this linear model, so the linear model is what is in this run."
        ]
    said = [] if baselines else ["No baseline was compared."]
    if chosen.point is not None and search.space.unpenalized(chosen.point) == chosen.point:
        said.append("No penalty, constraint or augmentation that was tried is better than none.")
    return said


def _title(candidate: Candidate) -> str:
    kind = "baseline" if candidate.baseline else "network"
    return f"Trial {candidate.number} ({'the default' if candidate.number == 0 else f'{kind}: {candidate.words}'})"


def _measured(candidate: Candidate, scores: Scores, folds: Sequence[int] | None = None) -> str:
    values = scores.of(candidate)
    values = values if folds is None else values[list(folds)]
    return f"{mean(values):.3f} (standard error {standard_error(values):.3f})"
