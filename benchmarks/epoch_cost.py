"""What an epoch of training costs, beside the script that a user of PyTorch would write for the same network.

    OMP_NUM_THREADS=1 python benchmarks/epoch_cost.py

300 sequences, 45 of them for early stopping: one convolution, ReLU, maximum over windows, a linear head, AdamW, batches
of 32 from a `DataLoader` of one-hot rows, the loss on the validation part after every epoch. Beside it `seqreg`'s loop
trains the same network, without a penalty and with the gradient penalty of its default. All take turns in one process,
on one thread; times are of the processor, after a first training that loads and compiles. Needs the data sets named in
`SETS` (a folder on SEQREG_DATA) where they are not embedded.
"""

import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from page import data_sets, markdown_table, write_section
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seqreg.networks import CNN
from seqreg.penalties import Gradient
from seqreg.sequences import SequenceSet, train_subset
from seqreg.training import TrainConfig, with_defaults
from seqreg.training.loop import fit
from seqreg.training.parts import split_parts

SETS = ("amp", "ecoli-sigma70", "splice")
SEQUENCES, VALID, EPOCHS, TURNS = 300, 0.15, 30, 5
CNN_TRAINED = CNN()


class Plain(nn.Module):
    """For one-hot x (N, A, L)."""

    def __init__(self, letters: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(letters, CNN_TRAINED.filters, CNN_TRAINED.width)
        self.output = nn.Linear(CNN_TRAINED.filters, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(F.relu(self.conv(x)).amax(2))


def one_hot(data: SequenceSet, longest: int) -> TensorDataset:
    """As a user encodes: (N, A, L), zero beyond the end and at letters that are not known."""
    ids = torch.from_numpy(data.padded()).long()
    x = F.one_hot(ids.clamp(max=data.alphabet.size), data.alphabet.size + 1)[..., : data.alphabet.size]
    x = F.pad(x.float().transpose(1, 2), (0, longest - ids.shape[1]))
    return TensorDataset(x, torch.from_numpy(np.asarray(data.y)).long())


def by_hand(train: SequenceSet, valid: SequenceSet, config: TrainConfig) -> None:
    """The script: early stopping keeps the best weights, and is never met within so few epochs."""
    torch.manual_seed(0)
    longest = int(max(train.lengths.max(), valid.lengths.max()))
    model = Plain(train.alphabet.size, len(train.classes))
    batches = DataLoader(one_hot(train, longest), batch_size=config.batch_size, shuffle=True)
    held_out = DataLoader(one_hot(valid, longest), batch_size=256)
    assert config.lr is not None
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr)
    best, kept = float("inf"), copy.deepcopy(model.state_dict())
    for _ in range(EPOCHS):
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = sum(float(F.cross_entropy(model(x), y, reduction="sum")) for x, y in held_out) / len(valid)
        if loss < best:
            best, kept = loss, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)


def by_seqreg(train: SequenceSet, valid: SequenceSet, config: TrainConfig) -> None:
    """The loop of every CNN."""
    torch.manual_seed(0)
    outputs = train.labelled()[0].outputs
    network = CNN_TRAINED.build(train.alphabet, outputs=outputs, length=int(train.lengths.max()))
    fit(network, config, train, valid)


def seconds(call: Callable[[], None]) -> float:
    """Of the processor, for an epoch."""
    begun = time.process_time()
    call()
    return (time.process_time() - begun) / EPOCHS


def main() -> None:
    torch.set_num_threads(1)
    found, _ = data_sets(SETS)
    lines = []
    for name, data in found.items():
        config = TrainConfig(model=CNN_TRAINED, epochs=EPOCHS, patience=EPOCHS, valid=VALID, test=0.0, start="random")
        parts = split_parts(data.subset(train_subset(data, SEQUENCES, seed=0, by="stratified")), config)
        train, valid = parts.train, parts.valid
        assert valid is not None
        plain = with_defaults(TrainConfig(**{**vars(config), "penalty": ()}), train, valid)
        penalized = with_defaults(TrainConfig(**{**vars(config), "penalty": (Gradient(),)}), train, valid)
        ways: dict[str, Callable[[], None]] = {
            "by hand": lambda train=train, valid=valid, config=plain: by_hand(train, valid, config),
            "seqreg": lambda train=train, valid=valid, config=plain: by_seqreg(train, valid, config),
            "penalized": lambda train=train, valid=valid, config=penalized: by_seqreg(train, valid, config),
        }
        for call in ways.values():
            call()
        times = {way: [] for way in ways}
        for _ in range(TURNS):
            for way, call in ways.items():
                times[way].append(seconds(call))
        hand, own, under = (statistics.median(times[way]) for way in ways)
        cells = [f"{1000 * each:.1f}" for each in (hand, own, under)]
        lines.append([name, *cells, f"{hand / own:.1f}", f"{hand / under:.1f}"])
        print(*lines[-1], flush=True)
    head = ["data set", "by hand, ms", "seqreg, ms", "with gradient penalty, ms", "times as fast", "with the penalty"]
    write_section(
        __file__,
        "An epoch beside a script in PyTorch",
        f"{CNN_TRAINED.filters} filters of {CNN_TRAINED.width} letters, {SEQUENCES} sequences of which "
        f"{round(100 * VALID)} % are held out, medians of {TURNS} trainings of {EPOCHS} epochs, by turns.\n\n"
        + markdown_table(head, lines),
    )


if __name__ == "__main__":
    main()
