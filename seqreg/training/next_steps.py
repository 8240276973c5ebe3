"""What to do after a training, for each verdict: a command made of the one that was typed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_type_hints

from seqreg.settings import TrainSettings
from seqreg.training.claim import BASELINE

Steps = Mapping[str, Sequence[str]]

# Options of a training by which sequences are divided: a baseline takes them too, and none of the others.
_DIVIDING = ("by", "similarity", "identity", "leave_out", "train_size", "positive", "seed", "reverse_complement")
_PARTS = ("valid", "test", "splits", "fold", "folds", "repeats")
_ONLY_HERE = (
    "output",
    "resume",
    "overwrite",
    "config",
    "quiet",
    "json",
    "debug",
    "keep",
    "prevalence",
    "learning_curve",
)
_OF_TUNING = ("trials", "budget", "ensemble", "workers")
_FLAGS = {"learning_curve", "resume", "overwrite", "quiet", "json", "debug", "ensemble"}
_SHORT = {"-o": "output", "-q": "quiet"}


def flag(name: str) -> str:
    """An option as the command line writes it."""
    return f"--{name.replace('_', '-')}"


def steps_after_training(
    command: Sequence[str],
    output: Path,
    source: str,
    rival: str | None,
    *,
    folds: bool = False,
    vectors: Iterable[str] = (),
) -> Steps:
    """Outcome -> words of the command that comes next. rival: the baseline that a network was measured against. folds:
    whether it was cross-validated, so that there is no test part. vectors: names of those that the network reads.
    """
    words = _arguments(command, source)
    read = without(words, (*TrainSettings.__annotations__, *_PARTS, *_ONLY_HERE, *_OF_TUNING))
    divided = baseline_words(words)
    network = ["seqreg", "robustness", str(output), *(read if folds else _tested_on(words, read))]
    simple = ["seqreg", "baseline", *divided, "-o", f"{output}-baseline", *([flag("model"), rival] if rival else [])]
    return {
        "ahead": [*network, *_language_models(vectors), "-o", str(output / "robustness.json")],
        "tie": simple,
        "behind": simple,
        "guessing": ["seqreg", "check", *read],
    }


def steps_after_baseline(command: Sequence[str], output: Path, source: str, rival: str | None) -> Steps:
    """The same where the model is a baseline: a network is what may be tried next, or the baseline that is better."""
    words = _arguments(command, source)
    read = without(words, (*TrainSettings.__annotations__, *_PARTS, *_ONLY_HERE, *_OF_TUNING))
    divided = [*without(baseline_words(words), ("model",))]
    network = ["seqreg", "train", *divided, "-o", f"{output}-network"]
    other = ["seqreg", "baseline", *divided, "-o", f"{output}-{rival}", flag("model"), rival] if rival else network
    return {"ahead": network, "tie": network, "behind": other, "guessing": ["seqreg", "check", *read]}


def steps_after_evaluation(
    run: Path, words: Sequence[str], part: str | None, vectors: Iterable[str] = (), of_rival: Iterable[str] = ()
) -> Steps:
    """The same where a model was measured on an input, or on the part of it that has this name.

    vectors: names of those that the model reads, and those of its opponent, which takes all or none of them.
    """
    simple = ["seqreg", "predict", str(run / BASELINE), *(words if of_rival else without(words, ["vectors"]))]
    robust = ["seqreg", "robustness", str(run), *words, *((flag("part"), part) if part else ())]
    robust += _language_models(vectors)
    return {"ahead": robust, "tie": simple, "behind": simple, "guessing": ["seqreg", "check", *words]}


def _language_models(vectors: Iterable[str]) -> list[str]:
    """What a command on edited sequences needs to be told, the user alone knowing what MODEL is."""
    return [word for name in vectors for word in (flag("embed_with"), f"{name}=MODEL")]


def baseline_words(words: Sequence[str]) -> list[str]:
    """Those of the words that `seqreg baseline` takes too, and that decide what it learns from."""
    others = [name for name in TrainSettings.__annotations__ if name not in _DIVIDING]
    return without(words, (*others, "folds", "repeats", *_ONLY_HERE, *_OF_TUNING))


def without(words: Sequence[str], options: Iterable[str]) -> list[str]:
    """The words without these options, by the names of the library, and without their values."""
    flags = _FLAGS | {name for name, hint in get_type_hints(TrainSettings).items() if hint in (bool, bool | None)}
    dropped = {flag(name): name in flags for name in options}
    dropped |= {f"--no-{name.replace('_', '-')}": True for name in options if name in flags}
    kept: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        name, equals, _ = (flag(_SHORT[word]) if word in _SHORT else word).partition("=")
        if name in dropped:
            place += 1 if equals or dropped[name] else 2
            continue
        kept.append(word)
        place += 1
    return kept


def _arguments(command: Sequence[str], source: str) -> list[str]:
    """What followed the name of the command; what was read, where it came from Python."""
    return [str(word) for word in command[2:]] or [source or "INPUT"]


def _tested_on(words: Sequence[str], read: Sequence[str]) -> list[str]:
    """The test part of the input, or the input that was given for it."""
    given = ""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == flag("test"):
            given = value if equals else after
    share = not given or given.replace(".", "", 1).isdigit()
    return [*read, flag("part"), "test"] if share else [given]
