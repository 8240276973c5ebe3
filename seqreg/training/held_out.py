"""The sequences by which the parts of a sum are weighed: held out in folds, or a validation part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqreg.linear import Array, Split, draw, inner_folds
from seqreg.sequences import SequenceSet
from seqreg.training.config import TrainConfig, example_weights

# Few sequences are held out in more folds: each fit needs all it can get, and takes little time. The numbers are a
# choice: five folds leave a fit 80 % of the sequences, three 67 % in three fifths of the time.
FEW, FOLDS_OF_FEW, FOLDS = 200, 5, 3
# Of a larger validation part a draw by class stands for all: a loss is known well enough then, and features of all of
# them would be most of what a training holds in memory.
MOST_JUDGED = 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """What is held out: folds (kept, held out) of the training part, or a validation part and no folds.

    data: the sequences whose scores decide, with y as scores are compared with it (`learned`), the classes `within`
    which spreads are looked at, and weights (n,); rows (n,): which of all scores they are.
    unseen: False where too few sequences are there to hold any out, and those trained on stand in.
    """

    folds: list[Split]
    data: SequenceSet
    unseen: bool
    rows: NDArray[np.int64]
    y: NDArray[Any]
    within: NDArray[Any]
    weight: Array

    @classmethod
    def of(
        cls,
        train: SequenceSet,
        valid: SequenceSet | None,
        config: TrainConfig,
        number: int | None,
        most_folds: int | None,
    ) -> "HeldOut":
        """number: of folds, where it is not for the number of sequences to say."""
        data = train if valid is None else draw(valid, MOST_JUDGED, config.seed)
        target, y = data.labelled()
        number = number or (FOLDS_OF_FEW if len(data) < FEW else FOLDS)
        folds = inner_folds(data, number, config.seed)[:most_folds] if valid is None else []
        rows = np.sort(np.concatenate([outer for _, outer in folds])) if folds else np.arange(len(data))
        weight = example_weights(data, config.class_weight)[rows]
        unseen = bool(folds) or valid is not None
        about = {"y": target.learned(y)[rows], "within": target.within(y)[rows], "weight": weight}
        return cls(folds=folds, data=data, unseen=unseen, rows=rows, **about)
