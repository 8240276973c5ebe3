"""A gradient penalty in a network that seqreg did not write: a small Basset with BatchNorm and dropout.

Resumable: each penalty and seed is a row of results/other_networks.tsv, computed once.
"""

import hashlib
import itertools

import numpy as np
import torch
from cells import Rows, minutes_of_sitting
from page import data_sets, markdown_table, write_section
from torch import Tensor, nn

from seqreg.penalties import Gradient

PENALTIES = {"none": None} | {str(weight): Gradient(weight=weight) for weight in (0.0, 0.001, 0.01, 0.1)}
SEEDS = range(5)
TRAINED_ON, EPOCHS, BATCH, LEARNING_RATE = 600, 15, 50, 2e-3
COLUMNS = ("penalty", "seed", "accuracy", "weights")


class Basset(nn.Module):
    """Kelley et al. (Genome Research 2016), with fewer filters."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(4, 64, 19, padding=9), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = nn.Conv1d(64, 48, 11, padding=5), nn.BatchNorm1d(48)
        self.conv3, self.bn3 = nn.Conv1d(48, 48, 7, padding=3), nn.BatchNorm1d(48)
        self.fc1, self.bn4 = nn.Linear(48, 96), nn.BatchNorm1d(96)
        self.dropout = nn.Dropout(0.3)
        self.fc2 = nn.Linear(96, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool1d(torch.relu(self.bn1(self.conv1(x))), 3)
        x = nn.functional.max_pool1d(torch.relu(self.bn2(self.conv2(x))), 4)
        x = nn.functional.max_pool1d(torch.relu(self.bn3(self.conv3(x))), 4)
        x = self.dropout(torch.relu(self.bn4(self.fc1(x.flatten(1)))))
        return self.fc2(x)


def measure(x: Tensor, y: Tensor, penalty: Gradient | None, seed: int) -> tuple[float, str]:
    """Accuracy on the sequences not trained on, and a digest of weights and running statistics."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    train, test = order[:TRAINED_ON], order[TRAINED_ON:]
    torch.manual_seed(seed)
    net = Basset(int(y.max()) + 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    for _ in range(EPOCHS):
        for rows in train[torch.randperm(len(train))].split(BATCH):
            loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
            if penalty:
                loss = loss + penalty(net, x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        right = torch.cat([net(x[rows]).argmax(1) == y[rows] for rows in test.split(256)])
    digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in net.state_dict().values()))
    return round(float(right.float().mean()), 4), digest.hexdigest()[:12]


def table(rows: list[dict[str, str]]) -> str:
    """Means over seeds, the least difference to no penalty, and how often the weights are the same to the bit."""
    plain = {row["seed"]: row for row in rows if row["penalty"] == "none"}
    lines = []
    for name in dict.fromkeys(row["penalty"] for row in rows):
        here = [row for row in rows if row["penalty"] == name and row["seed"] in plain]
        accuracy = np.array([float(row["accuracy"]) for row in here])
        ahead = accuracy - [float(plain[row["seed"]]["accuracy"]) for row in here]
        same = sum(row["weights"] == plain[row["seed"]]["weights"] for row in here)
        shown = f"{accuracy.mean():.3f} ± {accuracy.std(ddof=1) if len(here) > 1 else 0:.3f}"
        title = "no penalty" if name == "none" else f"`gradient:weight={name}`"
        lines.append([title, shown, f"{ahead.mean():+.3f}", f"{ahead.min():+.3f}", f"{same} of {len(here)}"])
    columns = ["", "accuracy", "to no penalty", "least", "same weights, to the bit"]
    return markdown_table(columns, lines)


def main() -> None:
    minutes = minutes_of_sitting(__doc__)
    torch.set_num_threads(1)
    rows = Rows(__file__, COLUMNS, key=2)
    data = data_sets(["splice"])[0]["splice"]
    x = torch.from_numpy(data.alphabet.mixtures.copy()).float()[torch.from_numpy(data.padded()).long()].mT.contiguous()
    y = torch.from_numpy(data.y)
    for name, seed in rows.missing(itertools.product(PENALTIES, SEEDS), minutes):
        rows.add([(name, seed, *measure(x, y, PENALTIES[name], seed))])
    write_section(
        __file__,
        "A gradient penalty in somebody else's network",
        f"A Basset with BatchNorm and dropout, in a loop of plain PyTorch, on {TRAINED_ON} sequences of `splice`: "
        f"{EPOCHS} epochs, tested on the other {len(x) - TRAINED_ON}, means over {len(SEEDS)} seeds. The least is that "
        "of the seed on which the penalty does worst beside no penalty. Weights and running statistics with a penalty "
        "of weight 0 are to be those without.\n\n" + table(rows.read()),
    )


if __name__ == "__main__":
    main()
