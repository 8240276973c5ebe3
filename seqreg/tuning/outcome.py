"""What a search found, as files: `tuning.json` and a row of `trials.tsv` per candidate."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqreg.records import read_json, to_plain, write_json, write_tsv
from seqreg.tuning.choice import Choice
from seqreg.tuning.search import Candidate, Scores, Search, State, mean, standard_error
from seqreg.tuning.space import USUAL, setting_texts

SETTING = (
    *("baseline", "model", "encoding", "reverse_complement", "penalty", "constraint", "augment"),
    *("weight_decay", "lr", "valid"),
)
Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """metric: what decided, tie_breaker: where that was equal. chosen, best: trial numbers. what: of the chosen one,
    for people. why: sentences.

    setting: fields of a `TrainConfig`, or `baseline` with a name. tried: candidates; folds: on each of which the best
    were scored; seconds: of all trainings together. rows: of `trials.tsv`.
    paths: for each kind of regularization its strengths in order, and of every candidate where it stands among them
    (`at`), what it gains over the default on the folds that both met (`gain`, with `error`), and whether it differs
    from the chosen one in this strength alone (`own`).
    """

    chosen: int
    best: int
    what: str
    why: tuple[str, ...]
    setting: dict[str, Any]
    tried: int
    folds: int
    seconds: float
    paths: tuple[dict[str, Any], ...]
    rows: tuple[Row, ...] = ()
    metric: str = "auroc"
    tie_breaker: str = "log_loss"

    @property
    def columns(self) -> tuple[str, ...]:
        """Of `trials.tsv`."""
        head = ("trial", "what", "status", self.metric, "standard_error", "over_default", "over_default_error")
        return (*head, self.tie_breaker, "folds", "scores", "seconds", *SETTING)

    def to_plain(self) -> dict[str, Any]:
        """What `tuning.json` holds: all but the table."""
        return to_plain(
            {
                **{name: value for name, value in vars(self).items() if name != "rows"},
                "setting": setting_texts(self.setting),
            }
        )

    def save(self, folder: Path) -> None:
        """Write both files, the one that says that the search is over last."""
        write_tsv(folder / "trials.tsv", self.columns, self.rows)
        write_json(folder / "tuning.json", self, "tuning")

    @classmethod
    def load(cls, folder: Path) -> "Outcome | None":
        """What an earlier sitting found, None where its search is not over."""
        path = folder / "tuning.json"
        if not path.is_file():
            return None
        stored = read_json(path)
        stored["setting"] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored["setting"].items()
        }
        return cls(**stored)

    @classmethod
    def of(cls, search: Search, state: State, scores: Scores, choice: Choice) -> "Outcome":
        """From the results of a search and what was chosen by them."""
        return cls(
            chosen=choice.chosen.number,
            best=choice.best.number,
            what=choice.chosen.words,
            why=choice.why,
            setting=dict(choice.chosen.setting),
            tried=len(state.candidates),
            folds=scores.folds,
            seconds=round(sum(float(np.nansum(scores.of(each, "seconds"))) for each in state.candidates), 1),
            paths=tuple(_paths(search, state, scores, choice.chosen)),
            rows=tuple(_rows(search, state, scores, choice)),
            metric=search.metric,
            tie_breaker=search.tie_breaker,
        )


def _rows(search: Search, state: State, scores: Scores, choice: Choice) -> Iterator[Row]:
    default = scores.of(state.candidates[0])
    for each in state.candidates:
        values, losses, seconds = (scores.of(each, name) for name in (search.metric, search.tie_breaker, "seconds"))
        met, setting = np.isfinite(seconds), setting_texts(each.setting)
        yield (
            each.number,
            each.words,
            _status(each, search, state, scores, choice),
            *map(_short, (mean(values), standard_error(values), mean(values - default))),
            *map(_short, (standard_error(values - default), mean(losses))),
            int(met.sum()),
            " ".join(_short(value) or "-" for value in values[met]),
            f"{np.nansum(seconds):.1f}",
            *(_text(setting.get(name)) for name in SETTING),
        )


def _status(candidate: Candidate, search: Search, state: State, scores: Scores, choice: Choice) -> str:
    """How far a candidate came."""
    if candidate == choice.chosen:
        return "chosen"
    if scores.error(candidate):
        return "failed"
    if candidate in state.finalists:
        return "finalist"
    if scores.complete(candidate, range(search.folds)):
        return "compared"
    return "stopped" if scores.complete(candidate, search.screened) else "unfinished"


def _paths(search: Search, state: State, scores: Scores, chosen: Candidate) -> Iterator[dict[str, Any]]:
    default = scores.of(state.candidates[0])
    networks = [(each, each.point) for each in state.candidates if each.point is not None]
    for k, dimension in enumerate(search.space.dimensions):
        if not dimension.strength or dimension.name == USUAL or len({point[k] for _, point in networks}) < 2:
            continue
        trials: list[dict[str, Any]] = []
        for each, point in networks:
            gain = scores.of(each) - default
            if np.isfinite(gain).any():
                own = (
                    chosen.point is not None
                    and search.space.change(point, {dimension.name: chosen.point[k]}) == chosen.point
                )
                error = None if each.number == 0 else standard_error(gain)
                trials.append({"trial": each.number, "at": point[k], "gain": mean(gain), "error": error, "own": own})
        yield {"name": dimension.name, "strengths": list(dimension.values), "trials": trials}


def _text(value: Any) -> Any:
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else value


def _short(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else ""
