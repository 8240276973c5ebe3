"""What the local alignment part of a sum is trained by: references drawn from training sequences, and their space.

Scores against R references are R functions in the space of the local alignment kernel, and a head on them is a kernel
machine on R landmarks: the method of Nyström (Williams and Seeger, NIPS 2000). Coordinates in which the norm of that
space is the Euclidean one come from the kernel of the references; a logistic regression on them is solved for by
`stacking` as that of every other linear part.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.networks import AlignmentNet
from seqreg.sequences import SequenceSet
from seqreg.training.start import members_of_classes

_RIDGE = 1e-6  # of the largest eigenvalue: equal sequences make the kernel singular


@torch.no_grad()
def take_references(part: AlignmentNet, train: SequenceSet, seed: int) -> None:
    """Take training sequences as the references of a part, in place; all, or as many of each class as there are.

    A class with fewer than its share leaves the rest to the others. Raises no error where sequences are fewer than
    references: those left over stay padding, which scores 0.
    """
    rows = draw_references(train, len(part.references), seed)
    part.references.fill_(part.alphabet.pad)
    ids = torch.from_numpy(train.padded(rows))
    part.references[: len(rows), : ids.shape[1]] = ids.to(part.references.device)


def draw_references(train: SequenceSet, number: int, seed: int) -> NDArray[np.int64]:
    """Rows of `number` sequences at most, each once, in order: as evenly of the classes as their sizes allow."""
    rng = np.random.default_rng(seed)
    turn = np.full(len(train), len(train))
    for members in members_of_classes(train):
        place = rng.permutation(len(members))
        turn[members] = np.minimum(turn[members], place)  # of several labels, the first that takes its turn
    return np.sort(np.lexsort((rng.permutation(len(train)), turn))[:number])


@torch.no_grad()
def coordinates(part: AlignmentNet) -> NDArray[np.float64]:
    """(R, R) matrix B such that scores @ B are coordinates in the space of the kernel; unused references have none.

    Of the kernel of the references K = V diag(l) V^T, B is V diag(l)^-1/2. The kernel need not be positive: eigenvalues
    are shifted by the smallest, as Saigo et al. (2004) do.
    """
    used = (part.reference_lengths() > 0).cpu().numpy()
    kernel = part.features(part.references).double().cpu().numpy()[np.ix_(used, used)]
    values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
    values = values - min(values[0], 0) + _RIDGE * values[-1]
    basis = np.zeros((len(used), int(used.sum())))
    basis[used] = vectors / np.sqrt(values)
    return basis
