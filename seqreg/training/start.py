"""Where training starts from: filters drawn at random, or windows of the sequences that are learned from."""

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.errors import UsageError
from seqreg.networks import SequenceNetwork
from seqreg.sequences import SequenceSet, members_of_classes


@torch.no_grad()
def start_from_windows(model: SequenceNetwork, train: SequenceSet, seed: int) -> None:
    """Replace the filters of the first convolution by windows of training sequences, as many of each class.

    A filter becomes an encoded window, shifted to mean 0 and scaled to the spread of the filters it replaces: it
    answers most to itself, and to similar windows next. Convolutional kernel networks start from centroids of windows
    (Chen, Jacob and Mairal, *Bioinformatics* 2019). Raises UsageError for a network without such filters.
    """
    net = model.windowed()
    if net is None:
        raise UsageError(f"start=windows: a {type(model).__name__} has no filters that could be windows")
    weight = net.first_conv().weight
    windows = torch.from_numpy(_draw_windows(train, len(weight), weight.shape[2], seed)).to(weight.device)
    filters = torch.einsum("caw,ad->cdw", net.one_hot(windows), net.encoding)
    filters = filters - filters.mean((1, 2), keepdim=True)
    spread = filters.std((1, 2), keepdim=True)
    weight.copy_(torch.where(spread > 0, filters / spread * weight.std(), weight))


def _draw_windows(train: SequenceSet, number: int, width: int, seed: int) -> NDArray[np.uint8]:
    """ids (number, width), each a random window of a random sequence, of one class after the other."""
    rng = np.random.default_rng(seed)
    members = members_of_classes(train)
    rows = np.array([rng.choice(members[each % len(members)]) for each in range(number)])
    first = rng.integers(np.maximum(train.lengths[rows] - width, 0) + 1)
    return np.take_along_axis(train.padded(rows, length=width), first[:, None] + np.arange(width), axis=1)
