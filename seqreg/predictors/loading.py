"""What a run folder holds, ready to score sequences."""

from pathlib import Path

from seqreg.baselines import FittedBaseline
from seqreg.predictors.base import Predictor
from seqreg.predictors.network import load_trained
from seqreg.records import read_json


def load_predictor(folder: Path, device: str = "cpu") -> Predictor:
    """The network or baseline of a run folder. Raises ModelError for anything else, and for damaged files."""
    return FittedBaseline.load(folder) if holds_baseline(folder) else load_trained(folder, device)


def holds_baseline(folder: Path) -> bool:
    """Whether model.json says that the folder holds a baseline; False where it cannot be read."""
    try:
        return read_json(folder / "model.json").get("kind") == "baseline"
    except (OSError, ValueError, AttributeError):
        return False  # load_trained says what is wrong
