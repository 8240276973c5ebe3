"""Tuning: network, encoding and regularization chosen by cross-validation within the training part.

One contract: a search sees training sequences only, is a function of the results so far (`Search.state`), and keeps
each training's scores in a file of its own; `tune` trains what was chosen and leaves a run folder as `train` does.
It is not Optuna's, whose samplers go on from whichever trials are over, so that with several processes the outcome
depends on their timing; here it is the same for any number of them, after a kill too.
"""

from seqreg.specs import Spec
from seqreg.tuning.outcome import Outcome
from seqreg.tuning.run import Halving, TunedRun, prepare_trials, run_search, tune
from seqreg.tuning.trials import Progress

__all__ = ["SEARCHES", "Halving", "Outcome", "Progress", "TunedRun", "prepare_trials", "run_search", "tune"]

SEARCHES: dict[str, type[Spec]] = {"halving": Halving}
"""The ways of searching people choose by name; a new one also says when it is over (`Search.state`)."""
