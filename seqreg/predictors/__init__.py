"""Fitted things that map sequences to predictions: networks, baselines, and what a run folder holds of either.

One contract: a `Predictor` scores sets of sequences in its alphabet, says what it has learned (`target`), describes
itself and saves itself; no caller needs to know which kind it is.
"""

from seqreg.predictors.base import Predictor
from seqreg.predictors.by_fold import ByFold
from seqreg.predictors.loading import holds_baseline, load_predictor
from seqreg.predictors.network import Architecture, TrainedNetwork, load_trained

__all__ = ["Architecture", "ByFold", "Predictor", "TrainedNetwork", "holds_baseline", "load_predictor", "load_trained"]
