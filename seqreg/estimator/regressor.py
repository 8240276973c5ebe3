"""The regularized network as a scikit-learn regressor."""

from collections.abc import Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted

from seqreg.estimator.inputs import read_labelled
from seqreg.estimator.network import NetworkEstimator
from seqreg.estimator.numbers import NumberEstimator
from seqreg.sensitivity.shifts import Shifts, evaluate_shifts
from seqreg.training.learning import Learned


class SequenceRegressor(NumberEstimator, NetworkEstimator):
    """A 1-D convolutional network that predicts a number for each sequence, regularized as its parameters say.

    Parameters are those of `SequenceClassifier`, but for what concerns classes (positive, class_weight).
    Values are standardised on the training part, and predicted in the unit of y.

    loss: "squared", which is also what None means, or "huber", to which outliers matter less.
    calibration: "temperature" also learns how far predictions are off, for `predict_interval`, from sequences held out:
    the validation part where there is one, otherwise by cross-fitting, for up to three times the work; "none" leaves
    cross-fitting out. It changes no prediction.

    After `fit`: network_, the trained network; history_, a row per epoch; config_, every choice made; conformal_, the
    errors that intervals are made from, None where nothing was held out.
    """

    def __init__(
        self,
        model: Any = None,
        encoding: Any = None,
        penalty: Any = None,
        constraint: Any = None,
        attack: Any = None,
        augment: Any = None,
        *,
        alphabet: str | None = None,
        weight_decay: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        patience: int | None = None,
        loss: str | None = None,
        start: str = "random",
        reverse_complement: bool | None = None,
        calibration: str = "temperature",
        vectors: Any = None,
        valid: Any = 0.15,
        tune: Any = None,
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.encoding = encoding
        self.penalty = penalty
        self.constraint = constraint
        self.attack = attack
        self.augment = augment
        self.alphabet = alphabet
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.patience = patience
        self.loss = loss
        self.start = start
        self.reverse_complement = reverse_complement
        self.calibration = calibration
        self.vectors = vectors
        self.valid = valid
        self.tune = tune
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def robustness(
        self,
        X: Any,
        y: Any = None,
        max_substitutions: int = 3,
        *,
        edits: Sequence[str] = ("substitution",),
        rule: str = "any",
        beam: int = 1,
        tolerance: float | None = None,
    ) -> Shifts:
        """Largest changes of predictions by number of edits, found and proved, as `seqreg robustness` measures them.

        y: values that stand beside predictions in the table of sequences; nothing else needs them. edits, rule, beam:
        as for `SequenceClassifier.robustness`. tolerance: change, in the unit of y, up to which a prediction counts as
        unmoved; half a standard deviation of the training values without it.
        """
        check_is_fitted(self)
        known: dict[str, Any] = {"alphabet": self.network_.alphabet.name, "vectors": self.vectors}
        data = self._read(X) if y is None else read_labelled(X, y, self._known, **known)
        asked: dict[str, Any] = {"edits": edits, "rule": rule, "beam": beam, "tolerance": tolerance}
        return evaluate_shifts(self.network_, data, max_substitutions=max_substitutions, **asked)

    def _keep(self, learned: Learned) -> None:
        super()._keep(learned)
        self.conformal_ = learned.conformal
