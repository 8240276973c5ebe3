"""The regularized network as a scikit-learn classifier."""

from collections.abc import Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted

from seqreg.estimator.classes import ClassEstimator
from seqreg.estimator.inputs import read_labelled
from seqreg.estimator.network import NetworkEstimator
from seqreg.sensitivity.robustness import Robustness, evaluate_robustness


class SequenceClassifier(ClassEstimator, NetworkEstimator):
    """A 1-D convolutional network over sequences, regularized as its parameters say.

    Parameters carry the names of the command line's options, and None means chosen from the data, as there.

    model, encoding, penalty, constraint, attack, augment: `NAME:key=value,...`, an object, or (penalty, constraint and
    augment) a list of them; a penalty may be any callable `penalty(model, x, y, *, progress)`. Their fields are
    parameters too, `penalty__weight` for example. An empty list of penalties is none at all.
    alphabet: "dna", "rna" or "protein". positive: the positive class of a binary task, as y writes it.
    weight_decay, epochs, batch_size, lr, patience: of the training. class_weight: "balanced" in the loss, "resampled"
    in how often sequences are drawn, "none", or a dict.
    start: filters before training, "random" or "windows" of training sequences.
    reverse_complement: score both strands with the same weights.
    calibration: "temperature" makes the probabilities of a network of one part honest, for up to three times the work;
    "none" leaves that out. It changes no prediction, so that a search is quicker without.
    vectors: what a language model says of sequences, as a part of the network beside letters: a `seqreg.VectorTable`,
    its path, or a function of a list of n texts that gives (n, D) numbers; a dict of several by name. The same is asked
    when new sequences are scored; `save` keeps the path of a table, and nothing of a function.
    valid: share of the sequences held out for early stopping and for the weights of parts (none if that is fewer than
    150, or 40 for a network of one part), 0 for none, or (X, y).
    tune: a number of settings to try; or how to search, "halving:trials=50,budget=10" (minutes) or Halving(). What is
    None or empty is then chosen by cross-validation on the sequences of `fit`, in n_jobs processes; the rest is kept.
    device: "auto", "cpu", "cuda" or "cuda:i". n_jobs: CPU threads, -1 for all; None is 1, or what joblib says.
    random_state: an int is the command line's seed. verbose: a line on standard error per epoch.

    After `fit`: classes_; network_, the trained network; history_, a row per epoch; config_, every choice made;
    tuning_, what was tried and why one of it was chosen, where something was.
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
        positive: Any = None,
        weight_decay: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        patience: int | None = None,
        class_weight: Any = None,
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
        self.positive = positive
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.patience = patience
        self.class_weight = class_weight
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
        y: Any,
        max_substitutions: int = 3,
        *,
        edits: Sequence[str] = ("substitution",),
        rule: str = "any",
        beam: int = 1,
    ) -> Robustness:
        """Attacked and certified accuracy by number of edits, as `seqreg robustness` measures them.

        edits: kinds of edits, of "substitution", "insertion" and "deletion". rule: which letters may replace which.
        beam: width of the search for the worst edits. Raises UsageError for a label that was not there at `fit`.
        """
        check_is_fitted(self)
        data = read_labelled(X, y, self._labels, self.network_.alphabet.name, vectors=self.vectors)
        return evaluate_robustness(
            self.network_, data, max_substitutions=max_substitutions, edits=edits, rule=rule, beam=beam
        )
