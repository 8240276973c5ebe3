"""A trained baseline: probabilities, what was chosen, and its two files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from seqreg.alphabet import ALPHABETS, Alphabet
from seqreg.baselines.features import KmerFeatures, OneHotFeatures
from seqreg.errors import ModelError, SeqregError, UsageError, option
from seqreg.linear import Array
from seqreg.records import read_json, write_json
from seqreg.sequences import SequenceSet
from seqreg.targets import Target, from_plain
from seqreg.writing import atomic_write

FEATURES: dict[str, type[KmerFeatures] | type[OneHotFeatures]] = {"kmers": KmerFeatures, "one-hot": OneHotFeatures}
FORMAT = 2  # 1 had no number, and said `multi_label` and `link` where 2 says `task`
_KIND = "baseline"
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedBaseline:
    """A `Predictor`: scores = features(sequence) @ coef.T + intercept, which the target turns into probabilities.

    name: its name in `BASELINES`. features: None for the majority baseline, which has no columns (D = 0).
    coef (J, D), intercept (J,): J outputs of the target.
    c: strength of fit, the inverse of regularization. cv_auroc: mean over the inner folds, macro for several classes.
    c and cv_auroc are None where nothing was tuned, or the sequences were too few to hold any out.
    trials: features, c and cv_auroc of all that was compared in the last round of tuning, best first.
    """

    name: str
    alphabet: Alphabet
    target: Target
    features: KmerFeatures | OneHotFeatures | None
    coef: Array
    intercept: Array
    c: float | None = None
    cv_auroc: float | None = None
    trained_on: int = 0
    trials: tuple[dict[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """Its name."""
        return self.name

    @property
    def length(self) -> int | None:
        """The one length that a one-hot baseline reads."""
        return self.features.length if isinstance(self.features, OneHotFeatures) else None

    @property
    def strand_free(self) -> bool:
        """Whether a k-mer and its reverse complement count as one, or nothing counts at all."""
        return self.features is None or (isinstance(self.features, KmerFeatures) and self.features.both_strands)

    @property
    def temperature(self) -> float:
        """Scores are calibrated as they are."""
        return 1.0

    def reads(self, data: SequenceSet) -> bool:
        """Whether it can score all of these: a one-hot baseline knows one length only."""
        return self.length is None or bool((data.lengths == self.length).all())

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

    def both_probabilities(self, data: SequenceSet) -> tuple[Array, Array]:
        """The same twice: a baseline has no temperature."""
        p = self.probabilities(data)
        return p, p

    def weights(self) -> dict[str, Array]:
        """coef and intercept."""
        return {"coef": np.ascontiguousarray(self.coef), "intercept": self.intercept}

    def describe(self) -> dict[str, Any]:
        """What was chosen, in JSON's own types: what `model.json` holds."""
        named = None
        if self.features is not None:
            named = next(name for name, cls in FEATURES.items() if type(self.features) is cls)
        return {
            "format": FORMAT,
            "kind": _KIND,
            "baseline": self.name,
            "alphabet": self.alphabet.name,
            **self.target.to_plain(),
            "features": None
            if named is None or self.features is None
            else {"name": named, **self.features.get_params()},
            "c": self.c,
            "cv_auroc": self.cv_auroc,
            "trained_on": self.trained_on,
            "trials": list(self.trials),
        }

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` (coef, intercept) and `model.json` into the folder, each whole or not at all."""
        folder = Path(folder)
        with atomic_write(folder / "model.safetensors", "wb") as handle:
            handle.write(save(self.weights()))
        write_json(folder / "model.json", self.describe())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The baseline saved in the folder. Raises ModelError for a folder without one, and for damaged files."""
        folder = Path(folder)
        try:
            about = read_json(folder / "model.json")
            if about["kind"] != _KIND:
                raise ModelError(f"{folder} holds another kind of model than a baseline")
            weights = load_file(folder / "model.safetensors")
            chosen = about["features"]
            features = None if chosen is None else FEATURES[chosen.pop("name")](**chosen)
            loaded = cls(
                name=about["baseline"],
                alphabet=ALPHABETS[about["alphabet"]],
                target=from_plain(about),
                features=features,
                coef=weights["coef"],
                intercept=weights["intercept"],
                c=about["c"],
                cv_auroc=about["cv_auroc"],
                trained_on=about["trained_on"],
                trials=tuple(about["trials"]),
            )
        except FileNotFoundError as error:
            raise ModelError(f"{folder} is not the folder of a baseline: no {Path(error.filename).name}") from None
        except ModelError:
            raise
        except (OSError, SafetensorError, json.JSONDecodeError, KeyError, TypeError, ValueError, SeqregError) as error:
            raise ModelError(f"the baseline in {folder} cannot be read: {error}. Train it again") from None
        outputs = loaded.target.outputs
        columns = 0 if features is None else features.columns(loaded.alphabet)
        if loaded.coef.shape != (outputs, columns) or loaded.intercept.shape != (outputs,):
            raise ModelError(f"the weights in {folder} do not belong to its model.json. Train it again")
        return loaded
