"""What a run folder holds, ready to score sequences."""

from pathlib import Path

from seqreg.baselines import FittedBaseline
from seqreg.errors import ModelError
from seqreg.model_files import is_baseline, read_description
from seqreg.predictors.base import Predictor
from seqreg.predictors.network import load_trained


def load_predictor(folder: Path, device: str = "cpu") -> Predictor:
    """The network or baseline of a run folder. Raises ModelError for anything else, and for damaged files."""
    return FittedBaseline.load(folder) if holds_baseline(folder) else load_trained(folder, device)


def holds_baseline(folder: Path) -> bool:
    """Whether model.json says that the folder holds a baseline; False where it cannot be read."""
    try:
        return is_baseline(read_description(folder))
    except (OSError, ModelError):
        return False  # load_trained says what is wrong
