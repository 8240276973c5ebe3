"""Prototypes: windows of training sequences that vote for the class they are of.

A filter is a window, and answers by how far its best match in a sequence exceeds what many sequences reach. The logit
of a class is the mean answer of its windows minus that of all the others: the classifier by class means of kernel
methods (Schölkopf and Smola, *Learning with Kernels*, 2002, section 1.2). The similarity is that of the best local
alignment without gaps, of one length; with gaps and all lengths it is the local alignment kernel (Saigo, Vert, Ueda and
Akutsu, *Bioinformatics* 2004). All windows of a class have equal votes: there is little to overfit.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.baselines.tuning import drawn
from seqreg.networks import ConvNet
from seqreg.networks.trained import features_of
from seqreg.sequences import SequenceSet, carried_classes
from seqreg.training.start import encoded, members_of_classes, number_of_windows, windows_at

MATCHED = 4_000  # sequences at most on which windows are silenced; as many are matched at a time

Array = NDArray[np.float64]


@torch.no_grad()
def fit_prototypes(part: ConvNet, train: SequenceSet, silent: float, seed: int) -> Array:
    """Draw the windows of a part in place, as many of each class, and give them their votes.

    silent: the share of training sequences on which a window is. Returns votes (n, K) for the training sequences, on
    each of which windows of its own group (`train.group`; of itself, where there are no groups) do not count. Logits
    are to be made of votes, by a factor and an offset.
    """
    weight, bias, head = part.convs[0].weight, part.first_bias(), part.output
    assert isinstance(weight, torch.Tensor)
    windows, rows = draw_windows(train, len(weight), weight.shape[2], seed)
    weight.copy_(encoded(part, torch.from_numpy(windows).to(weight.device)))
    bias.zero_()
    few = drawn(train, MATCHED, seed)
    matches = features_of(part, few)
    reached = np.quantile(matches, silent, axis=0).astype(np.float32)
    bias.copy_(torch.as_tensor(-reached))

    carried = carried_classes(train)[rows, -head.out_features :].astype(np.float64)  # of two classes, the second
    of_class, of_others = (each / np.maximum(each.sum(0), 1) for each in (carried, 1 - carried))
    head.weight.copy_(torch.as_tensor(of_class - of_others).t())
    head.bias.zero_()
    home = np.arange(len(train)) if train.group is None else train.group
    votes = np.zeros((len(train), head.out_features))
    for begin in range(0, len(train), MATCHED):
        index = np.arange(begin, min(begin + MATCHED, len(train)))
        answers = np.maximum(matches - reached, 0) if few is train else features_of(part, train.subset(index))
        votes[index] = _votes(answers, carried, home[rows] != home[index, None])
    return votes


def draw_windows(train: SequenceSet, number: int, width: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """ids (number, width) of windows of sequences, and their rows; as many of each class, each as often as any other.

    A window is drawn again only when all of its class are.
    """
    rng = np.random.default_rng(seed)
    classes, windows_of = members_of_classes(train), number_of_windows(train, width)
    rows, first = [], []
    for k, members in enumerate(classes):
        ends = windows_of[members].cumsum()
        share = number // len(classes) + (k < number % len(classes))
        enough = share <= ends[-1]
        of_class = rng.choice(ends[-1], share, replace=False) if enough else np.resize(rng.permutation(ends[-1]), share)
        at = np.searchsorted(ends, of_class, side="right")
        rows.append(members[at])
        first.append(of_class - (ends - windows_of[members])[at])
    row = np.concatenate(rows)
    return windows_at(train, row, np.concatenate(first), width), row


def _votes(answers: NDArray[np.floating], carried: Array, counted: NDArray[np.bool_]) -> Array:
    """(n, K) mean of answers (n, F) of windows that carry a class (F, K) minus that of the others, of those counted."""
    for_it, against = (((answers * counted) @ of) / np.maximum(counted @ of, 1) for of in (carried, 1 - carried))
    return for_it - against
