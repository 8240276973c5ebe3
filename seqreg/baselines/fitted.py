"""A trained baseline: predictions, what was chosen, and its two files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from seqreg.alphabet import ALPHABETS, Alphabet
from seqreg.baselines.features import CompositionFeatures, Features, KmerFeatures, OneHotFeatures, VectorFeatures
from seqreg.errors import ModelError, SeqregError, UsageError, option
from seqreg.linear import Array
from seqreg.model_files import (
    KIND_OF_BASELINE,
    check_description,
    check_format,
    check_weights,
    is_baseline,
    is_count,
    is_names,
    is_positive,
    is_text,
    read_model,
    write_model,
)
from seqreg.sequences import SequenceSet, Windows
from seqreg.specs import name_of
from seqreg.targets import Target, from_plain

FEATURES: dict[str, type[Features]] = {
    "kmers": KmerFeatures,
    "one-hot": OneHotFeatures,
    "composition": CompositionFeatures,
    "vectors": VectorFeatures,
}
FORMAT = 2  # 1 had no number, and said `multi_label` and `link` where 2 says `task`
_ROWS_AT_ONCE = 20_000
_FIELDS: dict[str, Callable[[Any], bool]] = {
    "baseline": is_text,
    "alphabet": lambda value: is_text(value) and value in ALPHABETS,
    "classes": is_names,
    "c": lambda value: value is None or is_positive(value),
    "longest": lambda value: value is None or is_count(value),
    "trials": lambda value: isinstance(value, list),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedBaseline:
    """A `Predictor`: scores = features(sequence) @ coef.T + intercept, which the target turns into p.

    name: its name in `BASELINES`. features: None for majority and mean, which have no columns (D = 0).
    coef (J, D), intercept (J,): J outputs of the target.
    c: strength of fit, the inverse of regularization. cv_score: mean of the target's headline metric over the inner
    folds, auroc (macro for several classes) or spearman.
    trained_on, longest: sequences learned from, and letters of the longest; None in folders of older versions.
    c and cv_score are None where nothing was tuned, or the sequences were too few to hold any out.
    trials: features, c and score of all that was compared in the last round of tuning, best first.
    errors: (n,) of values, the absolute errors of predictions for sequences held out; not kept in folders.
    """

    name: str
    alphabet: Alphabet
    target: Target
    features: Features | None
    coef: Array
    intercept: Array
    c: float | None = None
    cv_score: float | None = None
    trained_on: int = 0
    longest: int | None = None
    trials: tuple[dict[str, Any], ...] = ()
    errors: Array | None = None

    @property
    def title(self) -> str:
        """Its name."""
        return self.name

    @property
    def length(self) -> int | None:
        """The one length that a one-hot baseline reads, or the longest that was learned from."""
        return self.longest if self._one_length is None else self._one_length

    @property
    def _one_length(self) -> int | None:
        return self.features.length if isinstance(self.features, OneHotFeatures) else None

    @property
    def cv_auroc(self) -> float | None:
        """`cv_score`, as it is called of classes."""
        return self.cv_score

    @property
    def strand_free(self) -> bool:
        """Whether a k-mer and its reverse complement count as one, or nothing counts at all."""
        return self.features is None or (isinstance(self.features, KmerFeatures) and self.features.both_strands)

    @property
    def temperature(self) -> float:
        """Scores are calibrated as they are."""
        return 1.0

    @property
    def vectors(self) -> Mapping[str, int]:
        """Numbers of dimensions of the vectors that it reads, by name."""
        features = self.features
        return dict(zip(features.names, features.sizes, strict=True)) if isinstance(features, VectorFeatures) else {}

    def reads(self, data: SequenceSet) -> bool:
        """Whether it can score all of these: a one-hot baseline knows one length only, others read vectors."""
        if any(name not in data.vectors or data.vectors[name].shape[1] != size for name, size in self.vectors.items()):
            return False
        return self._one_length is None or bool((data.lengths == self._one_length).all())

    def outputs(self, data: SequenceSet) -> Array:
        """(N, J) before the link."""
        if data.alphabet.name != self.alphabet.name:
            raise UsageError(
                f"this baseline reads {self.alphabet.name}, the sequences are {data.alphabet.name}; "
                f"read them with {option('alphabet', self.alphabet.name)}"
            )
        parts = [np.zeros((0, len(self.intercept)))]
        for start in range(0, len(data), _ROWS_AT_ONCE):
            part = data.subset(np.arange(start, min(start + _ROWS_AT_ONCE, len(data))))
            linear = 0.0 if self.features is None else self.features.matrix(part) @ self.coef.T
            parts.append(np.broadcast_to(linear + self.intercept, (len(part), len(self.intercept))))
        return np.concatenate(parts)

    def probabilities(self, data: SequenceSet) -> Array:
        """(N, K) probabilities, a column per name of the target."""
        return self.target.predict(self.outputs(data))

    def window_outputs(self, windows: Windows) -> Array:
        """(M, J) of windows that slide over long sequences, each read alone."""
        return np.concatenate([self.outputs(piece) for piece in windows.sequences()])

    def window_probabilities(self, windows: Windows) -> Array:
        """(M, K) probabilities of windows that slide over long sequences."""
        return self.target.predict(self.window_outputs(windows))

    def both_probabilities(self, data: SequenceSet) -> tuple[Array, Array]:
        """The same twice: a baseline has no temperature."""
        p = self.probabilities(data)
        return p, p

    def weights(self) -> dict[str, Array]:
        """coef and intercept."""
        return {"coef": np.ascontiguousarray(self.coef), "intercept": self.intercept}

    def describe(self) -> dict[str, Any]:
        """What was chosen, in JSON's own types: what `model.json` holds."""
        return {
            "format": FORMAT,
            "kind": KIND_OF_BASELINE,
            "baseline": self.name,
            "alphabet": self.alphabet.name,
            **self.target.to_plain(),
            "features": None
            if self.features is None
            else {"name": name_of(FEATURES, self.features), **self.features.get_params()},
            "c": self.c,
            _cv(self.target): self.cv_score,
            "trained_on": self.trained_on,
            "longest": self.longest,
            "trials": list(self.trials),
        }

    def save(self, folder: str | Path) -> None:
        """Write `model.json` and `model.safetensors` (coef, intercept) into the folder, each whole or not at all."""
        write_model(Path(folder), self.describe(), save(self.weights()))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The baseline saved in the folder. Raises ModelError for a folder without one, and for damaged files."""
        folder = Path(folder)
        about, content = read_model(folder)
        if not is_baseline(about):
            raise ModelError(f"{folder} holds another kind of model than a baseline")
        check_format(folder, about.get("format", 1), FORMAT)
        check_description(folder, about, _FIELDS)
        try:
            weights = load(content)
            chosen = about["features"]
            features = None if chosen is None else FEATURES[chosen.pop("name")](**chosen)
            target = from_plain(about)
            loaded = cls(
                name=about["baseline"],
                alphabet=ALPHABETS[about["alphabet"]],
                target=target,
                features=features,
                coef=weights["coef"],
                intercept=weights["intercept"],
                c=about["c"],
                cv_score=about[_cv(target)],
                trained_on=about["trained_on"],
                longest=about.get("longest"),
                trials=tuple(about["trials"]),
            )
            columns = 0 if features is None else features.columns(loaded.alphabet)
        except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, SeqregError) as error:
            raise ModelError(f"the baseline in {folder} cannot be read: {error}. Train it again") from None
        shapes = {"coef": (loaded.target.outputs, columns), "intercept": (loaded.target.outputs,)}
        for name, shape in shapes.items():
            array = weights[name]
            check_weights(folder, name, array.shape, shape, finite=bool(np.isfinite(array).all()))
        return loaded


def _cv(target: Target) -> str:
    """What the score of inner cross-validation is called in files."""
    return f"cv_{target.headline[0]}"
