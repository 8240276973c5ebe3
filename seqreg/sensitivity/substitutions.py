"""What every single substitution does to what a model says of a sequence: exact, a matrix of changes per sequence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.certificates import in_double
from seqreg.mutagenesis import plain_logits, substitution_scores
from seqreg.predictors import Predictor, TrainedNetwork
from seqreg.sequences import SequenceSet, padded_batches
from seqreg.targets import Target

_LETTERS = 1 << 14  # of the sequences that are mutated at a time

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Substitutions:
    """changes (l, A): what letter a at position i adds, 0 for the letter that is there.

    id, letters: of the sequence of l letters. named: what changes: a value, in its unit, or the log-odds of a class,
    the one that `VariantScore` tells of.
    """

    id: str
    named: str
    letters: str
    changes: Array

    def rows(self, target: Target) -> Iterator[tuple[str, ...]]:
        """A row per position, by `columns_of_substitutions`."""
        head = (self.id, self.named) if target.probabilistic else (self.id,)
        for position, (letter, changes) in enumerate(zip(self.letters, self.changes.tolist(), strict=True), start=1):
            yield (*head, str(position), letter, *(f"{change:.6g}" for change in changes))


def columns_of_substitutions(model: Predictor) -> tuple[str, ...]:
    """Names of the cells of a row: a column for each letter of the alphabet."""
    head = ("id", "class") if model.target.probabilistic else ("id",)
    return (*head, "position", "letter", *model.alphabet.letters)


@torch.no_grad()
def all_substitutions(model: Predictor, data: SequenceSet) -> list[Substitutions]:
    """All single substitutions of sequences, in their order; several for each where several labels are told of."""
    found: dict[int, list[Substitutions]] = {}
    of_network = _mutated_by_network(model) if isinstance(model, TrainedNetwork) else None
    order = np.argsort(data.lengths, kind="stable")
    for places in padded_batches(data.lengths[order], len(data), _LETTERS):
        rows = order[places]
        part = data.subset(rows)
        before, after = _mutated_one_by_one(model, part) if of_network is None else of_network(part)
        told = model.target.log_odds if model.target.probabilistic else model.target.predict
        mutated = told(after.reshape(-1, after.shape[3]))
        changes, p = mutated.reshape(*after.shape[:3], -1) - told(before)[:, None, None], model.target.predict(before)
        there = part.padded()[:, :, None] == np.arange(data.alphabet.size)
        changes[there] = 0.0  # but for rounding
        for n, row in enumerate(rows.tolist()):
            about = {"id": data.names[row], "letters": data.sequence(row)}
            found[row] = [
                Substitutions(named=model.target.shown_names[k], changes=changes[n, : data.lengths[row], :, k], **about)
                for k in model.target.reported(p[n])
            ]
    return [each for row in range(len(data)) for each in found[row]]


def _mutated_by_network(network: TrainedNetwork) -> Callable[[SequenceSet], tuple[Array, Array]]:
    """Outputs (N, K) of sequences and (N, L, A, K) of their mutants, in float64, temperature and all."""
    double = in_double(network.module)
    device = next(double.parameters()).device

    def mutated(data: SequenceSet) -> tuple[Array, Array]:
        ids = torch.from_numpy(data.padded()).to(device)
        outputs = (plain_logits(double, ids), substitution_scores(double, ids))
        before, after = (each.cpu().numpy() / network.temperature for each in outputs)
        return before, after

    return mutated


def _mutated_one_by_one(model: Predictor, data: SequenceSet) -> tuple[Array, Array]:
    """The same of a baseline, which scores each mutant as a sequence."""
    before, letters = model.outputs(data), data.alphabet.size
    after = np.zeros((len(data), int(data.lengths.max()), letters, before.shape[1]))
    for n, length in enumerate(data.lengths.tolist()):
        codes = data.codes[data.offsets[n] : data.offsets[n + 1]]
        mutants = np.tile(codes, (length, letters, 1))
        mutants[np.arange(length), :, np.arange(length)] = np.arange(letters)
        names, offsets = range(length * letters), np.arange(length * letters + 1, dtype=np.int64) * length
        each = SequenceSet(
            alphabet=data.alphabet, names=[str(name) for name in names], codes=mutants.ravel(), offsets=offsets
        )
        after[n, :length] = model.outputs(each).reshape(length, letters, -1)
    return before, after
