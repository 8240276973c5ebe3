"""Training: the loop, its checkpoints, and the run folder it leaves behind.

One contract: `train(data, config, folder)` writes a run; `learn(data, config)` gives the network only; `fit(model,
config, train, valid)` trains a network alone.
"""

from seqreg.training.baseline_run import train_baseline
from seqreg.training.config import TrainConfig
from seqreg.training.defaults import with_defaults
from seqreg.training.families import FAMILIES, Family
from seqreg.training.folds import CrossValidation, usual
from seqreg.training.learning import Learned, architecture_of, learn
from seqreg.training.loop import Progress
from seqreg.training.machine import choose_device, reproducible
from seqreg.training.run import RunResult, train
from seqreg.training.shared import SharedParts
from seqreg.training.stacking import fit

__all__ = [
    "FAMILIES",
    "CrossValidation",
    "Family",
    "Learned",
    "Progress",
    "RunResult",
    "SharedParts",
    "TrainConfig",
    "architecture_of",
    "choose_device",
    "fit",
    "learn",
    "reproducible",
    "train",
    "train_baseline",
    "usual",
    "with_defaults",
]
